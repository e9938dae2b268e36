//! Features that lie in a file of the cache or in memory, and windows that are cut from them as they are needed.

use std::{borrow::Cow, fs::File, ops::Range, path::PathBuf, sync::Arc};

use super::{Arithmetic, Features, Matrix, Standardiser, packed::Layout};
use crate::{
    audio::{Companding, FeatureSpec},
    disk,
};

/// Features that were there and cannot be read any more: the machine is at fault, and no candidate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read features from {}: {reason}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub reason: String,
}

/// Features of every clip of a data set, in the order of its clips, exact ones and those of a device.
///
/// Those in a file take no memory: what is asked for is read. A clip that could not be read has no frames.
#[derive(Debug)]
pub struct Rows {
    /// The front end that made them.
    pub spec: FeatureSpec,
    /// Name and reason for each clip that could not be read.
    pub skipped: Vec<(String, String)>,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    Memory {
        exact: Vec<Matrix>,
        /// `None` where they are the exact ones.
        device: Option<Vec<Matrix>>,
    },
    File {
        file: File,
        path: PathBuf,
        layout: Layout,
        clips: Vec<ClipPlace>,
    },
}

/// Where a clip lies in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClipPlace {
    pub start: u64,
    pub frames: usize,
}

impl Rows {
    /// Features in memory, the same for all purposes.
    pub fn in_memory(features: Features) -> Rows {
        Rows {
            spec: features.spec,
            skipped: features.skipped,
            place: Place::Memory {
                exact: features.clips,
                device: None,
            },
        }
    }

    /// Number of clips.
    pub fn clips(&self) -> usize {
        match &self.place {
            Place::Memory { exact, .. } => exact.len(),
            Place::File { clips, .. } => clips.len(),
        }
    }

    /// Number of frames of a clip.
    pub fn frames(&self, clip: usize) -> usize {
        match &self.place {
            Place::Memory { exact, .. } => exact[clip].frames(),
            Place::File { clips, .. } => clips[clip].frames,
        }
    }

    /// All frames of a clip.
    pub fn clip(&self, of: Arithmetic, clip: usize) -> Result<Cow<'_, Matrix>, ReadError> {
        Ok(match &self.place {
            Place::Memory { exact, device } => Cow::Borrowed(&chosen(of, exact, device)[clip]),
            Place::File { .. } => {
                let values = self.values(of, clip, 0..self.frames(clip))?;
                let bands = values.bands;
                let values = values.values.into_owned();
                Cow::Owned(Matrix { bands, values })
            }
        })
    }

    /// All clips, in memory.
    pub fn features(&self, of: Arithmetic) -> Result<Features, ReadError> {
        let clips = (0..self.clips()).map(|idx| Ok(self.clip(of, idx)?.into_owned()));
        Ok(Features {
            spec: self.spec,
            clips: clips.collect::<Result<_, _>>()?,
            skipped: self.skipped.clone(),
        })
    }

    /// Some frames of a clip.
    fn values(
        &self,
        of: Arithmetic,
        clip: usize,
        wanted: Range<usize>,
    ) -> Result<Frames<'_>, ReadError> {
        match &self.place {
            Place::Memory { exact, device } => {
                let Matrix { bands, values } = &chosen(of, exact, device)[clip];
                Ok(Frames {
                    bands: *bands,
                    values: Cow::Borrowed(&values[wanted.start * bands..wanted.end * bands]),
                })
            }
            Place::File {
                file,
                path,
                layout,
                clips,
            } => {
                let ClipPlace { start, frames } = clips[clip];
                let read =
                    |at: usize, bytes: &mut [u8]| disk::read_at(file, bytes, start + at as u64);
                let values = layout.frames(of, frames, wanted, read);
                let values = values.map_err(|error| ReadError {
                    path: path.clone(),
                    reason: error.to_string(),
                })?;
                Ok(Frames {
                    bands: self.spec.bands(),
                    values: Cow::Owned(values),
                })
            }
        }
    }

    /// Bytes of memory that they take. A file counts for what it costs to keep it open, so that not too many are.
    pub(super) fn bytes(&self) -> u64 {
        const OPEN_FILE: u64 = 2 << 20;
        let size = |clips: &Vec<Matrix>| -> usize {
            clips.iter().map(|clip| 4 * clip.values.len() + 64).sum()
        };
        match &self.place {
            Place::Memory { exact, device } => {
                (size(exact) + device.as_ref().map_or(0, size)) as u64
            }
            Place::File { clips, .. } => OPEN_FILE + size_of_val(&clips[..]) as u64,
        }
    }
}

/// Frames of a clip, one after another.
struct Frames<'a> {
    bands: usize,
    values: Cow<'a, [f32]>,
}

fn chosen<'a>(
    of: Arithmetic,
    exact: &'a [Matrix],
    device: &'a Option<Vec<Matrix>>,
) -> &'a [Matrix] {
    match (of, device) {
        (Arithmetic::Device, Some(device)) => device,
        _ => exact,
    }
}

/// Features as a network sees them: standardised as they are read, and companded where the front end does so.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What was extracted.
    pub rows: Arc<Rows>,
    /// What makes their mean 0 and their deviation 1.
    pub standardiser: Standardiser,
    /// What compresses values far from the mean.
    pub companding: Option<Companding>,
}

impl Prepared {
    /// Frames of a clip as a network sees them; exact features.
    pub fn frames(&self, clip: usize, wanted: Range<usize>) -> Result<Vec<f32>, ReadError> {
        let frames = self.rows.values(Arithmetic::Exact, clip, wanted)?;
        let mut values = frames.values.into_owned();
        self.standardiser.apply_to(&mut values);
        if let Some(companding) = self.companding {
            for value in &mut values {
                *value = companding.compress(*value);
            }
        }
        Ok(values)
    }
}

/// Windows of consecutive frames from many clips.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    source: Source<'a>,
    /// Frames in one window.
    pub frames: usize,
    /// `(clip, first frame)` of every window.
    pub index: Vec<(u32, u32)>,
    /// The class of every clip, for classifiers; empty for other networks.
    pub classes: Vec<u32>,
}

#[derive(Debug, Clone)]
enum Source<'a> {
    /// As they are.
    Clips(Vec<&'a Matrix>),
    /// Clips by their position among all.
    Prepared(&'a Prepared, Vec<usize>),
}

impl<'a> Windows<'a> {
    /// All windows of clips that are standardised. They start `stride` frames apart; 0 counts as 1.
    pub fn new(
        clips: Vec<&'a Matrix>,
        classes: Vec<u32>,
        frames: usize,
        stride: usize,
    ) -> Windows<'a> {
        let lengths: Vec<usize> = clips.iter().map(|clip| clip.frames()).collect();
        Windows::of(Source::Clips(clips), &lengths, classes, frames, stride)
    }

    /// The same of some clips of a data set, by their positions.
    pub fn prepared(
        features: &'a Prepared,
        clips: Vec<usize>,
        classes: Vec<u32>,
        frames: usize,
        stride: usize,
    ) -> Windows<'a> {
        let lengths: Vec<usize> = clips
            .iter()
            .map(|&clip| features.rows.frames(clip))
            .collect();
        let source = Source::Prepared(features, clips);
        Windows::of(source, &lengths, classes, frames, stride)
    }

    fn of(
        source: Source<'a>,
        lengths: &[usize],
        classes: Vec<u32>,
        frames: usize,
        stride: usize,
    ) -> Windows<'a> {
        let mut index = Vec::new();
        for (clip_idx, length) in lengths.iter().enumerate() {
            let last = length.checked_sub(frames);
            for first in last
                .into_iter()
                .flat_map(|last| (0..=last).step_by(stride.max(1)))
            {
                index.push((clip_idx as u32, first as u32));
            }
        }
        Windows {
            source,
            frames,
            index,
            classes,
        }
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The values of window `idx`: `frames * bands`, frame-major.
    ///
    /// # Errors
    /// Where they lie in a file that cannot be read any more.
    pub fn window(&self, idx: usize) -> Result<Cow<'a, [f32]>, ReadError> {
        let (clip, first) = self.index[idx];
        let (clip, first) = (clip as usize, first as usize);
        match &self.source {
            Source::Clips(clips) => {
                let Matrix { bands, values } = clips[clip];
                let window = &values[first * bands..][..self.frames * bands];
                Ok(Cow::Borrowed(window))
            }
            Source::Prepared(features, clips) => {
                let window = features.frames(clips[clip], first..first + self.frames)?;
                Ok(Cow::Owned(window))
            }
        }
    }

    /// The windows with these numbers.
    ///
    /// # Errors
    /// As [`Windows::window`].
    pub fn gather(
        &self,
        idxs: impl IntoIterator<Item = usize>,
    ) -> Result<Vec<Cow<'a, [f32]>>, ReadError> {
        idxs.into_iter().map(|idx| self.window(idx)).collect()
    }

    /// The class of window `idx`.
    pub fn class(&self, idx: usize) -> u32 {
        self.classes[self.index[idx].0 as usize]
    }
}
