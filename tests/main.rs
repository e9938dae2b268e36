mod cli;
mod data;
mod layers;
mod networks;
mod oracle;
mod quantisation;
mod real;
mod tflite;
