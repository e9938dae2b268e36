//! Pooled statistics: one vector per window of frames describes the bands over time.
//!
//! A frame's bands are averaged in groups of neighbours, and the averages are kept as whole numbers of 1/128 dB. Sums
//! over frames are therefore exact: neither their order nor an endless stream changes anything. Host and device run
//! this code.

/// The chosen statistics, and the number of groups of bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Statistics {
    /// Number of groups of neighbouring bands, each averaged in dB; at most as many as there are bands.
    pub groups: usize,
    /// A bit for every kind, see [`Statistics::has`].
    pub kinds: u32,
    /// Weight of a rank relative to the next louder one, in 2^-15: [`FULL_RANKING`] gives the mean, 0 the maximum.
    pub ranking: u32,
}

/// A statistic over the frames of a window; the vector holds them in this order, each for all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The mean.
    Mean,
    /// Standard deviation, divided by the number of frames.
    Deviation,
    /// The maximum.
    Maximum,
    /// The mean with weights that fall by the ranking from each frame to the next quieter one.
    Ranked,
    /// Mean absolute difference of neighbouring frames.
    Difference,
}

impl Kind {
    /// Every kind, in the order of the vector.
    pub const ALL: [Kind; 5] = [
        Kind::Mean,
        Kind::Deviation,
        Kind::Maximum,
        Kind::Ranked,
        Kind::Difference,
    ];

    /// Its bit in [`Statistics::kinds`].
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// With this ranking all ranks have the same weight.
pub const FULL_RANKING: u32 = 1 << 15;
/// Most frames of a window: sums of squares fit.
pub const MAX_FRAMES: usize = 1 << 13;
/// Steps of a decibel.
const STEPS_PER_DB: f32 = 128.0;

impl Statistics {
    /// What is wrong with them for a front end of `bands` bands; `None` where nothing is wrong.
    pub fn fault(&self, bands: usize, frames: usize) -> Option<&'static str> {
        if self.groups == 0 || self.groups > bands {
            return Some("its statistics are of no group of bands, or of more groups than bands");
        }
        if self.kinds == 0 || self.kinds >= 1 << Kind::ALL.len() {
            return Some("its statistics are none, or some that are unknown");
        }
        if self.ranking > FULL_RANKING {
            return Some("a rank weighs more than the one before it");
        }
        (frames == 0 || frames > MAX_FRAMES)
            .then_some("its statistics are over no frame or more than 8192")
    }

    /// Whether the vector has this kind.
    pub const fn has(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    /// Number of kinds.
    pub const fn count(&self) -> usize {
        self.kinds.count_ones() as usize
    }

    /// Length of the vector.
    pub const fn features(&self) -> usize {
        self.count() * self.groups
    }

    /// Number of 16-bit numbers that a [`Pool`] keeps: the window's frames, and one more band of them where frames are
    /// ranked.
    pub const fn buffer_len(&self, frames: usize) -> usize {
        let sorted = if self.has(Kind::Ranked) { 1 } else { 0 };
        (self.groups + sorted) * frames
    }
}

/// The latest frames of a stream, and their statistics.
#[derive(Debug)]
pub struct Pool<'m> {
    statistics: Statistics,
    frames: usize,
    /// One row of frames per group; `next` is the place of the next frame, in place of the oldest.
    buffer: &'m mut [i16],
    next: usize,
}

impl<'m> Pool<'m> {
    /// A pool over `frames` frames.
    ///
    /// # Panics
    /// Where the buffer is not [`Statistics::buffer_len`] long.
    pub fn new(statistics: Statistics, frames: usize, buffer: &'m mut [i16]) -> Pool<'m> {
        assert_eq!(
            buffer.len(),
            statistics.buffer_len(frames),
            "room for frames"
        );
        Pool {
            statistics,
            frames,
            buffer,
            next: 0,
        }
    }

    /// Forgets all frames; the buffer is overwritten before it counts.
    pub fn reset(&mut self) {
        self.next = 0;
    }

    /// Takes one frame in dB.
    pub fn push(&mut self, features: &[f32]) {
        let groups = self.statistics.groups;
        let mut first = 0;
        for group in 0..groups {
            let end = (group + 1) * features.len() / groups;
            let bands = &features[first..end];
            let sum: f32 = bands.iter().sum();
            self.buffer[group * self.frames + self.next] = steps(sum / bands.len() as f32);
            first = end;
        }
        self.next = (self.next + 1) % self.frames;
    }

    /// The statistics of the latest frames, in dB, by their place in the vector.
    pub fn each(&mut self, mut give: impl FnMut(usize, f32)) {
        let Statistics {
            groups, ranking, ..
        } = self.statistics;
        let (rows, sorted) = self.buffer.split_at_mut(groups * self.frames);
        let frames = self.frames as f32 * STEPS_PER_DB;
        for (group, row) in rows.chunks_exact(self.frames).enumerate() {
            // At most 2^13 values of 15 bits.
            let sum: i32 = row.iter().map(|value| i32::from(*value)).sum();
            let mut place = group;
            for kind in Kind::ALL {
                if !self.statistics.has(kind) {
                    continue;
                }
                let value = match kind {
                    Kind::Mean => sum as f32 / frames,
                    Kind::Deviation => {
                        let squares: i64 = row.iter().map(|value| square(*value)).sum();
                        let variance = self.frames as i64 * squares - i64::from(sum).pow(2);
                        (variance as u64).isqrt() as f32 / frames
                    }
                    Kind::Maximum => {
                        let maximum = row.iter().copied().max().unwrap_or(0);
                        f32::from(maximum) / STEPS_PER_DB
                    }
                    Kind::Ranked => {
                        sorted.copy_from_slice(row);
                        sort_descending(sorted);
                        ranked_mean(sorted, ranking) / STEPS_PER_DB
                    }
                    Kind::Difference => differences(row, self.next) as f32 / frames,
                };
                give(place, value);
                place += groups;
            }
        }
    }
}

/// Rounds decibels to steps, halves up, and saturates.
fn steps(decibels: f32) -> i16 {
    // Positive where it is not saturated, so that cutting off rounds.
    let shifted = (decibels * STEPS_PER_DB + 32_768.5).clamp(0.0, 65_535.0);
    (shifted as i32 - 32_768) as i16
}

fn square(value: i16) -> i64 {
    i64::from(i32::from(value) * i32::from(value))
}

/// The sum of absolute differences from one frame to the next. The oldest frame is at `oldest`.
fn differences(row: &[i16], oldest: usize) -> i64 {
    let sum = |frames: &[i16]| -> i64 {
        let pairs = frames.iter().zip(frames.get(1..).unwrap_or_default());
        pairs
            .map(|(a, b)| i64::from((i32::from(*b) - i32::from(*a)).abs()))
            .sum()
    };
    let (newer, older) = row.split_at(oldest);
    let joint = match (older.last(), newer.first()) {
        (Some(before), Some(after)) => (i32::from(*after) - i32::from(*before)).abs(),
        _ => 0,
    };
    sum(older) + sum(newer) + i64::from(joint)
}

/// The mean of values that fall, with weights that fall by `ranking`.
fn ranked_mean(values: &[i16], ranking: u32) -> f32 {
    // 30 bits of weight, 15 of value and 13 of frames fit 64.
    let mut weight = 1u64 << 30;
    let (mut sum, mut weights) = (0i64, 0u64);
    for value in values {
        sum += weight as i64 * i64::from(*value);
        weights += weight;
        weight = (weight * u64::from(ranking) + (1 << 14)) >> 15;
        if weight == 0 {
            break;
        }
    }
    (sum as f64 / weights as f64) as f32
}

/// Shell's sort, with Ciura's gaps.
fn sort_descending(values: &mut [i16]) {
    for gap in [1750, 701, 301, 132, 57, 23, 10, 4, 1] {
        for idx in gap..values.len() {
            let value = values[idx];
            let mut place = idx;
            while place >= gap && values[place - gap] < value {
                values[place] = values[place - gap];
                place -= gap;
            }
            values[place] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same statistics in 64 bits, of frames in dB with one band per group.
    fn expected(frames: &[f64], ranking: f64) -> [f64; 5] {
        let count = frames.len() as f64;
        let mean = frames.iter().sum::<f64>() / count;
        let variance = frames.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let mut sorted = frames.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let weights: Vec<f64> = (0..frames.len())
            .map(|rank| ranking.powi(rank as i32))
            .collect();
        let ranked = sorted.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>();
        let differences = frames.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        [
            mean,
            variance.sqrt(),
            sorted[0],
            ranked / weights.iter().sum::<f64>(),
            differences.sum::<f64>() / count,
        ]
    }

    #[test]
    fn statistics_are_those_of_64_bits() {
        let check = |frames: usize, pushed: usize, ranking: f64| {
            let statistics = Statistics {
                groups: 2,
                kinds: 31,
                ranking: (ranking * f64::from(FULL_RANKING)) as u32,
            };
            let mut buffer = vec![0; statistics.buffer_len(frames)];
            let mut pool = Pool::new(statistics, frames, &mut buffer);
            // Whole steps: nothing is rounded. The second group is the mean of two bands.
            let value = |frame: usize, band: usize| {
                ((frame * 37 + band * 11) % 101 * 2) as f64 / 64.0 - 60.0 - band as f64
            };
            for frame in 0..pushed {
                pool.push(&[0, 1, 2].map(|band| value(frame, band) as f32));
            }
            let mut found = vec![f32::NAN; statistics.features()];
            pool.each(|place, value| found[place] = value);
            let seen = pushed - frames..pushed;
            let first: Vec<f64> = seen.clone().map(|frame| value(frame, 0)).collect();
            let second = seen.map(|frame| (value(frame, 1) + value(frame, 2)) / 2.0);
            let second: Vec<f64> = second.collect();
            for (group, frames) in [first, second].iter().enumerate() {
                for (kind, expected) in expected(frames, ranking).into_iter().enumerate() {
                    let found = f64::from(found[2 * kind + group]);
                    // Half a step where a group is rounded, and the rank's weight in 15 bits.
                    assert!(
                        (found - expected).abs() < 0.02,
                        "{kind} {group}: {found} {expected}"
                    );
                }
            }
        };
        check(1, 3, 0.9);
        check(7, 7, 0.0);
        check(20, 33, 0.5);
        check(300, 700, 0.9);
        check(2000, 2000, 1.0);
    }
}
