mod networks;
mod oracle;
mod quantisation;
