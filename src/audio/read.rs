//! Reads sound files. The first bytes tell the format, and no claimed length is trusted.

use std::{fs::File, io::Read, path::Path};

use super::{Audio, AudioError, Channel, Matrix, flac, wav};

/// A file is read whole, up to this size; two hours of eight channels at 16 kHz and 16 bits fit.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// Reads one channel of a WAV or FLAC file at the file's own rate. Errors name the path.
pub fn read(path: &Path, channel: Channel) -> Result<Audio, AudioError> {
    read_bytes(path)
        .and_then(|bytes| decode(&bytes, channel))
        .map_err(|error| naming(path, error))
}

/// Reads ready features, f32 little-endian and frame-major, as MLPerf Tiny stores them. Errors name the path.
pub fn read_log_mel(path: &Path, bands: usize) -> Result<Matrix, AudioError> {
    read_bytes(path)
        .and_then(|bytes| decode_log_mel(&bytes, bands))
        .map_err(|error| naming(path, error))
}

/// Decodes the bytes of a WAV or FLAC file. The result has at least one sample, and all samples are finite.
pub fn decode(bytes: &[u8], channel: Channel) -> Result<Audio, AudioError> {
    let audio = match bytes {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ] => wav::decode(bytes, channel)?,
        [b'f', b'L', b'a', b'C', ..] => flac::decode(bytes, channel)?,
        [] => return Err(AudioError::Empty),
        _ => return Err(AudioError::UnknownFormat),
    };
    if audio.samples.is_empty() {
        return Err(AudioError::Empty);
    }
    audio.require_finite()?;
    Ok(audio)
}

fn naming(path: &Path, error: AudioError) -> AudioError {
    AudioError::File {
        path: path.to_path_buf(),
        error: Box::new(error),
    }
}

fn decode_log_mel(bytes: &[u8], bands: usize) -> Result<Matrix, AudioError> {
    let (values, rest) = bytes.as_chunks::<4>();
    if values.is_empty() {
        return Err(AudioError::Empty);
    }
    if !(rest.is_empty() && values.len().is_multiple_of(bands)) {
        return Err(AudioError::Malformed(
            "the size is not a whole number of frames of 32-bit bands",
        ));
    }
    let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(AudioError::NotFinite { position }),
        None => Ok(Matrix { bands, values }),
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, AudioError> {
    let io_error = |error: std::io::Error| AudioError::Io(error.to_string());
    let metadata = std::fs::metadata(path).map_err(io_error)?;
    if !metadata.is_file() {
        return Err(AudioError::Io("not a file".to_string()));
    }
    let mut bytes = Vec::new();
    if metadata.len() <= MAX_FILE_BYTES {
        bytes.reserve_exact(metadata.len() as usize);
    }
    let file = File::open(path).map_err(io_error)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(AudioError::TooLarge {
            limit: "2 GiB as a file",
        });
    }
    Ok(bytes)
}
