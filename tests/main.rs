mod cli;
mod firmware;
mod layers;
mod networks;
mod oracle;
mod quantisation;
mod real;
mod tflite;
