//! Reads sound files. The first bytes tell the format, and no claimed length is trusted.

use std::{fs::File, io::Read, path::Path};

use super::{Audio, AudioError, Channel, Matrix, coded, wav, wav::Container};

/// A file is read whole, up to this size; two hours of eight channels at 16 kHz and 16 bits fit.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// A decoded recording, and how it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The chosen channel.
    pub audio: Audio,
    /// How the file stores it.
    pub form: Form,
}

/// How a file stores its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    /// The coding.
    pub encoding: Encoding,
    /// Channels in the file.
    pub channels: u32,
    /// Bits per sample of one channel; 0 where the coding has no such number.
    pub bits: u32,
}

/// The coding of a file's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Encoding {
    /// WAV with whole numbers.
    Pcm,
    /// WAV with floating-point numbers.
    Float,
    /// WAV with A-law.
    ALaw,
    /// WAV with mu-law.
    MuLaw,
    /// WAV with IMA's ADPCM.
    ImaAdpcm,
    /// WAV with Microsoft's ADPCM.
    MsAdpcm,
    /// FLAC.
    Flac,
    /// Ogg Vorbis.
    Vorbis,
    /// MP3.
    Mp3,
}

impl Encoding {
    /// The name for people and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Pcm => "WAV, integer",
            Encoding::Float => "WAV, float",
            Encoding::ALaw => "WAV, A-law",
            Encoding::MuLaw => "WAV, mu-law",
            Encoding::ImaAdpcm => "WAV, IMA ADPCM",
            Encoding::MsAdpcm => "WAV, MS ADPCM",
            Encoding::Flac => "FLAC",
            Encoding::Vorbis => "Ogg Vorbis",
            Encoding::Mp3 => "MP3",
        }
    }
}

/// Reads one channel of a sound file at the file's own rate. Errors name the path.
pub fn read(path: &Path, channel: Channel) -> Result<Audio, AudioError> {
    Ok(read_recording(path, channel)?.audio)
}

/// As [`read`], with how the file stores its sound.
pub fn read_recording(path: &Path, channel: Channel) -> Result<Recording, AudioError> {
    read_bytes(path)
        .and_then(|bytes| decode_recording(&bytes, channel))
        .map_err(|error| naming(path, error))
}

/// Whether a file begins like a sound that [`read`] decodes, whatever its name.
pub fn is_sound(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.is_ok() && (Container::of(&start).is_some() || coded::is_coded(&start))
}

/// Reads ready features, f32 little-endian and frame-major, as MLPerf Tiny stores them. Errors name the path.
pub fn read_log_mel(path: &Path, bands: usize) -> Result<Matrix, AudioError> {
    read_bytes(path)
        .and_then(|bytes| decode_log_mel(&bytes, bands))
        .map_err(|error| naming(path, error))
}

/// Decodes the bytes of a sound file. The result has at least one sample, and all samples are finite.
pub fn decode(bytes: &[u8], channel: Channel) -> Result<Audio, AudioError> {
    Ok(decode_recording(bytes, channel)?.audio)
}

fn decode_recording(bytes: &[u8], channel: Channel) -> Result<Recording, AudioError> {
    let recording = match Container::of(bytes) {
        Some(container) => wav::decode(bytes, container, channel)?,
        None if coded::is_coded(bytes) => coded::decode(bytes, channel)?,
        None if bytes.is_empty() => return Err(AudioError::Empty),
        None => return Err(AudioError::UnknownFormat),
    };
    let audio = &recording.audio;
    if audio.samples.is_empty() {
        return Err(AudioError::Empty);
    }
    audio.require_finite()?;
    if recording.form.encoding == Encoding::Float {
        audio.require_scale()?;
    }
    Ok(recording)
}

pub(super) fn naming(path: &Path, error: AudioError) -> AudioError {
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
