//! Unpacks the two ADPCM codings of WAV: four bits per sample, in blocks that each begin with a whole sample.
//!
//! Both follow "Multiple channel audio data and WAVE files" and "New Multimedia Data Types and Data Techniques" by
//! Microsoft; results are those of libsndfile.

use super::AudioError;

/// A data chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks<'a> {
    /// The blocks, the last one perhaps cut.
    pub data: &'a [u8],
    /// Bytes of a whole block.
    pub block_bytes: usize,
    /// Channels of the recording.
    pub channels: usize,
    /// Samples of each channel, where the file says it: the last block is filled up.
    pub moments: Option<u32>,
}

impl<'a> Blocks<'a> {
    /// The blocks that hold more than their head of so many bytes per channel.
    fn whole(&self, head: usize) -> Result<impl Iterator<Item = &'a [u8]>, AudioError> {
        let head = head * self.channels;
        if self.block_bytes <= head {
            return Err(AudioError::Malformed("ADPCM blocks without samples"));
        }
        let blocks = self.data.chunks(self.block_bytes);
        Ok(blocks.filter(move |block| block.len() >= head))
    }

    /// The samples without what fills the last block. A claim that would cut more is wrong, as libsndfile's is for two
    /// channels.
    fn cut(&self, mut samples: Vec<i16>) -> Vec<i16> {
        let claimed = self
            .moments
            .map(|moments| (moments as usize).saturating_mul(self.channels));
        if let Some(claimed) = claimed
            && claimed + 2 * self.block_bytes > samples.len()
        {
            samples.truncate(claimed);
        }
        samples
    }
}

/// The two samples of a byte.
type Nibbles = [u8; 2];

fn low_first(byte: u8) -> Nibbles {
    [byte & 15, byte >> 4]
}

/// How the index into [`IMA_STEPS`] moves after a code, without its sign.
const IMA_MOVES: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

#[rustfmt::skip]
const IMA_STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
];

/// The samples of IMA ADPCM, those of one moment beside each other.
pub(super) fn ima(blocks: &Blocks<'_>) -> Result<Vec<i16>, AudioError> {
    let channels = blocks.channels;
    let mut samples = Vec::with_capacity(2 * blocks.data.len());
    for block in blocks.whole(4)? {
        let (heads, words) = block.split_at(4 * channels);
        let mut states: Vec<(i32, usize)> = heads
            .chunks_exact(4)
            .map(|head| {
                let first = i16::from_le_bytes([head[0], head[1]]);
                (i32::from(first), usize::from(head[2]).min(88))
            })
            .collect();
        samples.extend(states.iter().map(|(value, _)| *value as i16));
        // Four bytes of every channel in turn hold eight of its samples.
        for group in words.chunks_exact(4 * channels) {
            let start = samples.len();
            samples.resize(start + 8 * channels, 0);
            for (channel, bytes) in group.chunks_exact(4).enumerate() {
                let codes = bytes.iter().flat_map(|byte| low_first(*byte));
                for (idx, code) in codes.enumerate() {
                    let (value, index) = &mut states[channel];
                    let step = IMA_STEPS[*index];
                    let part =
                        |bit: u8, shift: i32| if code & bit == 0 { 0 } else { step >> shift };
                    let size = (step >> 3) + part(4, 0) + part(2, 1) + part(1, 2);
                    let signed = if code & 8 == 0 { size } else { -size };
                    *value = (*value + signed).clamp(-32768, 32767);
                    let moved = *index as i32 + IMA_MOVES[usize::from(code & 7)];
                    *index = moved.clamp(0, 88) as usize;
                    samples[start + idx * channels + channel] = *value as i16;
                }
            }
        }
    }
    Ok(blocks.cut(samples))
}

/// How the step changes after a code, in 256ths.
const MS_ADAPT: [i64; 16] = [
    230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230,
];

/// No step of real sound comes near; damaged blocks must not overflow.
const MS_LARGEST_STEP: i64 = 1 << 32;

#[derive(Debug, Clone, Copy, Default)]
struct MsState {
    weights: [i64; 2],
    step: i64,
    last: [i64; 2],
}

/// The samples of Microsoft's ADPCM, those of one moment beside each other. `extra` is the end of the format chunk.
pub(super) fn ms(blocks: &Blocks<'_>, extra: &[u8]) -> Result<Vec<i16>, AudioError> {
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..)?.first_chunk::<2>()?;
        Some(i64::from(i16::from_le_bytes(*bytes)))
    };
    // The size of the rest, samples per block, the number of predictors, then two weights for each.
    let predictors = word(extra, 4).unwrap_or(0);
    let weights: Vec<[i64; 2]> = (0..predictors.max(0) as usize)
        .map_while(|idx| Some([word(extra, 6 + 4 * idx)?, word(extra, 8 + 4 * idx)?]))
        .collect();
    let malformed = AudioError::Malformed("ADPCM without the predictor that a block asks for");
    let channels = blocks.channels;
    let mut samples = Vec::with_capacity(2 * blocks.data.len());
    for block in blocks.whole(7)? {
        let (heads, bytes) = block.split_at(7 * channels);
        let mut states = vec![MsState::default(); channels];
        for (channel, state) in states.iter_mut().enumerate() {
            let value = |group: usize| {
                word(heads, channels + 2 * (group * channels + channel)).unwrap_or_default()
            };
            *state = MsState {
                weights: *weights
                    .get(usize::from(heads[channel]))
                    .ok_or_else(|| malformed.clone())?,
                step: value(0),
                last: [value(1), value(2)],
            };
        }
        for age in [1, 0] {
            samples.extend(states.iter().map(|state| state.last[age] as i16));
        }
        let codes = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (idx, code) in codes.enumerate() {
            let state = &mut states[idx % channels];
            let [near, far] = state.last;
            let expected = (near * state.weights[0] + far * state.weights[1]) >> 8;
            let signed = i64::from(code) - if code & 8 == 0 { 0 } else { 16 };
            let value = (expected + signed * state.step).clamp(-32768, 32767);
            let step = (MS_ADAPT[usize::from(code)] * state.step) >> 8;
            state.step = step.clamp(16, MS_LARGEST_STEP);
            state.last = [value, near];
            samples.push(value as i16);
        }
        // A cut block may end between the channels of a moment.
        samples.truncate(samples.len() - samples.len() % channels);
    }
    Ok(blocks.cut(samples))
}
