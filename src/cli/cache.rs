//! `nas cache`: what is kept between commands and can be made again, features of data sets and images of firmware.

use std::{fs, io, path::Path};

use super::{Failure, Global, out};
use nas::{
    features::{cached_bytes, clear_cache},
    report::json::{self, lists::CacheDocument},
    units::Bytes,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show how much they take
    Size,
    /// Remove them; commands that need them make them anew
    Clear,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (folder, images) = (global.cache(), global.images());
        let [features, firmware] = [cached_bytes(&folder), disk_bytes(&images)];
        let sizes = format!(
            "{} of features and {} of firmware in {}",
            Bytes(features),
            Bytes(firmware),
            folder.display()
        );
        match self.command {
            Command::Size if global.json => out::print(json::render(&CacheDocument {
                schema_version: json::SCHEMA_VERSION,
                features_bytes: features,
                firmware_bytes: firmware,
            })),
            Command::Size => out::print(sizes + "\n"),
            Command::Clear => {
                clear_cache(&folder)?;
                match fs::remove_dir_all(&images) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    _ => global.note(&format!("removed {sizes}")),
                }
                Ok(())
            }
        }
    }
}

/// Bytes of all files in a folder and below; none where it is not there.
fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}
