mod cli;
mod layers;
mod oracle;
