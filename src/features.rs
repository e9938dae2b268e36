//! Features of a whole data set: extracted once per front end, in parallel, cached on disk by content.

use std::sync::Arc;

use crate::{audio::FeatureSpec, data::Dataset};

pub use crate::audio::Matrix;

/// Features of every clip of a data set for one [`FeatureSpec`], in the order of [`Dataset::clips`].
///
/// A clip that could not be read is an empty matrix and is named in `skipped`.
#[derive(Debug)]
pub struct Features {
    pub spec: FeatureSpec,
    pub clips: Vec<Matrix>,
    /// Name and reason.
    pub skipped: Vec<(String, String)>,
}

/// Windows of consecutive frames out of many clips; a window is a contiguous slice of its clip.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    /// Standardised features, one matrix per clip.
    pub clips: Vec<&'a Matrix>,
    /// Frames in one window.
    pub frames: usize,
    /// `(clip, first frame)` of every window.
    pub index: Vec<(u32, u32)>,
    /// The class of every clip, for classifiers; empty otherwise.
    pub classes: Vec<u32>,
}

impl<'a> Windows<'a> {
    /// All windows of the clips, `stride` frames apart.
    pub fn new(
        clips: Vec<&'a Matrix>,
        classes: Vec<u32>,
        frames: usize,
        stride: usize,
    ) -> Windows<'a> {
        let mut index = Vec::new();
        for (clip_idx, clip) in clips.iter().enumerate() {
            let last = clip.frames().checked_sub(frames);
            for first in last
                .into_iter()
                .flat_map(|last| (0..=last).step_by(stride.max(1)))
            {
                index.push((clip_idx as u32, first as u32));
            }
        }
        Windows {
            clips,
            frames,
            index,
            classes,
        }
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The values of window `idx`: `frames * bands`, frame-major.
    pub fn window(&self, idx: usize) -> &'a [f32] {
        let (clip, first) = self.index[idx];
        let clip = self.clips[clip as usize];
        &clip.values[first as usize * clip.bands..][..self.frames * clip.bands]
    }

    /// The class of window `idx`.
    pub fn class(&self, idx: usize) -> u32 {
        self.classes[self.index[idx].0 as usize]
    }
}

/// Loads features of one data set, from the cache where they are.
#[derive(Debug)]
pub struct FeatureStore {}

impl FeatureStore {
    /// Features for `spec`; extracted at the first call, shared afterwards.
    pub fn get(&self, _dataset: &Dataset, _spec: &FeatureSpec) -> Result<Arc<Features>, String> {
        Err("not written yet".to_string())
    }
}
