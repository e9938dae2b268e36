//! The channel of a recording that is used, and the layout of its samples.

use super::{AudioError, require, require_sample_rate};
use crate::identity::{self, Canonical};

const MAX_CHANNELS: usize = 8;

/// The channel of a recording that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The mean of all channels.
    Mean,
    /// One channel, from 0 on. The baselines of MIMII and DCASE use the first.
    Index(usize),
}

impl Default for Channel {
    fn default() -> Channel {
        Channel::Index(0)
    }
}

impl Canonical for Channel {
    fn write_canonical(&self, text: &mut String) {
        match self {
            Channel::Mean => text.push_str("Mean"),
            Channel::Index(idx) => identity::tuple(text, "Index", &[idx]),
        }
    }
}

/// The layout of samples that a header states, checked to be possible.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels in the recording, 1 to 8.
    pub channels: usize,
    channel: Channel,
}

impl Layout {
    /// Checks what a header states: rate, number of channels, and whether the wanted channel exists.
    pub fn new(
        sample_rate_hz: u32,
        channels: usize,
        channel: Channel,
    ) -> Result<Layout, AudioError> {
        require_sample_rate(sample_rate_hz)?;
        require(
            (1..=MAX_CHANNELS).contains(&channels),
            "the number of channels",
            channels,
            "1 to 8",
        )?;
        match channel {
            Channel::Index(wanted) if wanted >= channels => {
                Err(AudioError::NoSuchChannel { wanted, channels })
            }
            Channel::Index(_) | Channel::Mean => Ok(Layout {
                sample_rate_hz,
                channels,
                channel,
            }),
        }
    }

    /// The value of the chosen channel at one moment; `sample` returns the value of a channel.
    #[inline]
    pub fn mix(&self, sample: impl Fn(usize) -> f32) -> f32 {
        match self.channel {
            Channel::Index(channel) => sample(channel),
            Channel::Mean => {
                let sum: f64 = (0..self.channels).map(|c| f64::from(sample(c))).sum();
                (sum / self.channels as f64) as f32
            }
        }
    }
}
