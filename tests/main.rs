mod layers;
mod oracle;
