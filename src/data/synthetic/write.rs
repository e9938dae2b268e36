//! Writes a synthetic set in DCASE2022's layout: 16-bit wav files and one attributes table per section.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{SAMPLE_RATE_HZ, render};
use crate::{
    audio,
    data::{Clip, Dataset, Source},
};

/// Why a set could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The folder holds something already.
    #[error("`{0}` is not empty; name a new or an empty folder")]
    NotEmpty(PathBuf),
    /// The clip comes from no generator; holds its name.
    #[error("clip `{0}` is not synthetic; only synthetic sets can be written")]
    NotSynthetic(String),
    /// A folder could not be made or read.
    #[error("cannot write `{path}`: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A recording could not be written.
    #[error("cannot write `{path}`: {source}")]
    Csv {
        /// The file that could not be written.
        path: PathBuf,
        /// The writer's error.
        source: csv::Error,
    },
}

/// Renders every clip to `dir/<clip name>` and adds `dir/<machine>/attributes_NN.csv`.
///
/// It refuses a folder that holds anything, so it never overwrites a file.
pub fn write(dataset: &Dataset, dir: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(dir).map_err(|source| io_error(dir, source))?;
    let mut entries = fs::read_dir(dir).map_err(|source| io_error(dir, source))?;
    if entries.next().is_some() {
        return Err(WriteError::NotEmpty(dir.to_path_buf()));
    }
    for clip in &dataset.clips {
        if let Some(folder) = dir.join(&clip.name).parent() {
            fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
        }
    }
    dataset
        .clips
        .par_iter()
        .try_for_each(|clip| write_wav(clip, dir))?;

    let mut tables: Vec<(&str, &str)> = dataset
        .clips
        .iter()
        .map(|clip| (clip.machine.as_str(), clip.section.as_str()))
        .collect();
    tables.sort_unstable();
    tables.dedup();
    for (machine, section) in tables {
        let path = dir.join(machine).join(format!("attributes_{section}.csv"));
        let rows = dataset
            .clips
            .iter()
            .filter(|clip| clip.machine == machine && clip.section == section);
        write_attributes(rows, &path).map_err(|source| WriteError::Csv { path, source })?;
    }
    Ok(())
}

fn write_wav(clip: &Clip, dir: &Path) -> Result<(), WriteError> {
    let Source::Synthetic(spec) = &clip.source else {
        return Err(WriteError::NotSynthetic(clip.name.clone()));
    };
    let path = dir.join(&clip.name);
    let samples: Vec<i16> = render(spec)
        .samples
        .iter()
        .map(|sample| (f64::from(*sample) * 32768.0).round() as i16)
        .collect();
    audio::encode(&samples, SAMPLE_RATE_HZ)
        .map_err(io::Error::other)
        .and_then(|bytes| fs::write(&path, bytes))
        .map_err(|source| io_error(&path, source))
}

/// Writes the columns `file_name,d1p,d1v,d2p,d2v,...`. Rows with fewer attributes end in empty fields.
fn write_attributes<'a>(
    clips: impl Iterator<Item = &'a Clip> + Clone,
    path: &Path,
) -> Result<(), csv::Error> {
    let width = clips
        .clone()
        .map(|clip| clip.attributes.len())
        .max()
        .unwrap_or(0);
    let mut table = csv::Writer::from_path(path)?;
    let header = (1..=width).flat_map(|n| [format!("d{n}p"), format!("d{n}v")]);
    table.write_record(std::iter::once("file_name".to_string()).chain(header))?;
    for clip in clips {
        let mut row = vec![clip.name.as_str()];
        row.extend(
            clip.attributes
                .iter()
                .flat_map(|(key, value)| [key.as_str(), value.as_str()]),
        );
        row.resize(1 + 2 * width, "");
        table.write_record(row)?;
    }
    table.flush()?;
    Ok(())
}

fn io_error(path: &Path, source: io::Error) -> WriteError {
    WriteError::Io {
        path: path.to_path_buf(),
        source,
    }
}
