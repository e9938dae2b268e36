//! Reads a sound file block by block, so that memory does not grow with its length.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    Audio, AudioError, Channel, Encoding, read,
    resample::Resampling,
    wav::{self, Container, Head},
};

/// Bytes in which the sound of a WAV file has begun; where it has not, the file is read whole.
const HEAD_BYTES: u64 = 1 << 16;
/// Moments of a block before its rate is changed.
const BLOCK: usize = 1 << 15;

/// The sound of a file at another rate, block by block.
///
/// Whole and floating-point WAV is read as it is needed. Files of other codings are decoded whole at first.
#[derive(Debug)]
pub struct SoundStream {
    source: Blocks,
    resampling: Option<Resampling>,
    sample_rate_hz: u32,
    is_done: bool,
    /// Zeros that follow the sound.
    silence: usize,
}

#[derive(Debug)]
enum Blocks {
    /// A file at its next moment, and the bytes of sound that are left.
    File { file: File, head: Head, left: u64 },
    /// What is left of a decoded file.
    Decoded(std::vec::IntoIter<f32>),
}

impl SoundStream {
    /// Opens a file for its sound at a rate. Errors name the path.
    pub fn open(
        path: &Path,
        channel: Channel,
        sample_rate_hz: u32,
    ) -> Result<SoundStream, AudioError> {
        let named = |error| read::naming(path, error);
        let (source, from_hz) = match of_wav(path, channel).map_err(named)? {
            Some((file, head, left)) => {
                let rate_hz = head.sample_rate_hz();
                (Blocks::File { file, head, left }, rate_hz)
            }
            None => {
                let audio = read(path, channel)?;
                let samples = audio.samples.into_iter();
                (Blocks::Decoded(samples), audio.sample_rate_hz)
            }
        };
        SoundStream::new(source, from_hz, sample_rate_hz).map_err(named)
    }

    /// The same of sound in memory.
    pub fn of(audio: Audio, sample_rate_hz: u32) -> Result<SoundStream, AudioError> {
        let samples = Blocks::Decoded(audio.samples.into_iter());
        SoundStream::new(samples, audio.sample_rate_hz, sample_rate_hz)
    }

    fn new(source: Blocks, from_hz: u32, sample_rate_hz: u32) -> Result<SoundStream, AudioError> {
        Ok(SoundStream {
            source,
            resampling: match from_hz == sample_rate_hz {
                true => None,
                false => Some(Resampling::new(from_hz, sample_rate_hz)?),
            },
            sample_rate_hz,
            is_done: false,
            silence: 0,
        })
    }

    /// The same, with so many zeros after it: they complete frames whose middle is near the end of the sound.
    pub fn with_silence(self, samples: usize) -> SoundStream {
        let silence = samples;
        SoundStream { silence, ..self }
    }

    /// The next samples of 16 bits, as a device gets them; `None` at the end. A block may be empty.
    pub fn next_block(&mut self) -> Result<Option<Vec<i16>>, AudioError> {
        if self.is_done {
            let silence = std::mem::take(&mut self.silence);
            return Ok((silence > 0).then(|| vec![0; silence]));
        }
        let block = self.source.next()?;
        self.is_done = block.is_empty();
        let samples = match &mut self.resampling {
            None => block,
            Some(resampling) if self.is_done => resampling.finish()?,
            Some(resampling) => resampling.push(&block)?,
        };
        let block = Audio {
            samples,
            sample_rate_hz: self.sample_rate_hz,
        };
        block.require_finite()?;
        Ok(Some(block.to_i16()))
    }
}

impl Blocks {
    /// The next samples; none at the end.
    fn next(&mut self) -> Result<Vec<f32>, AudioError> {
        match self {
            Blocks::Decoded(samples) => Ok(samples.by_ref().take(BLOCK).collect()),
            Blocks::File { file, head, left } => {
                let bytes = (*left).min((BLOCK * head.moment_bytes()) as u64);
                let mut data = Vec::with_capacity(bytes as usize);
                let found = file.by_ref().take(bytes).read_to_end(&mut data);
                found.map_err(|error| AudioError::Io(error.to_string()))?;
                *left -= data.len() as u64;
                if data.len() as u64 != bytes {
                    *left = 0;
                }
                let recording = head.decoded(&data)?;
                recording.audio.require_finite()?;
                if recording.form.encoding == Encoding::Float {
                    recording.audio.require_scale()?;
                }
                Ok(recording.audio.samples)
            }
        }
    }
}

/// A file at its first moment, how it is stored, and the bytes of its sound; `None` where it has to be decoded whole.
fn of_wav(path: &Path, channel: Channel) -> Result<Option<(File, Head, u64)>, AudioError> {
    let io = |error: std::io::Error| AudioError::Io(error.to_string());
    let mut file = File::open(path).map_err(io)?;
    let file_bytes = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    file.by_ref()
        .take(HEAD_BYTES)
        .read_to_end(&mut start)
        .map_err(io)?;
    let Some(container) = Container::of(&start) else {
        return Ok(None);
    };
    let Some(head) = wav::head(&start, container, channel, file_bytes)? else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(head.sound_at)).map_err(io)?;
    let left = head.sound_bytes;
    Ok(Some((file, head, left)))
}
