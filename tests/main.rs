mod cli;
mod layers;
mod oracle;
mod real;
