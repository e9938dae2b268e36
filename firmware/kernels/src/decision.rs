//! Makes one score of the windows' scores of a sound, and decides whether it is an anomaly.

use core::{fmt, str::FromStr};

use crate::{
    blob::{Decision, Threshold},
    bytes::split_words,
};

/// How the scores of a sound's windows become its score.
///
/// A rule by rank keeps the latest windows in at most [`MOST_ENTRIES`] entries. Where there are more windows, an entry
/// is the highest score of several neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClipRule {
    /// The mean.
    Mean,
    /// The highest score.
    Max,
    /// The lowest score that this per cent of the entries do not exceed, 1 to 99.
    Quantile(u8),
    /// The mean of the highest entries: this per cent of them, 1 to 100, rounded up to whole entries.
    Top(u8),
    /// The mean weighted by rank: the highest score counts 1, each further one this per cent of the last, 1 to 99.
    Ranked(u8),
}

/// An unknown name of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownClipRule;

impl fmt::Display for UnknownClipRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no rule for a clip's score has that name; there are mean, max, q1 to q99 (a quantile), top1 to top100 \
             (the mean of the highest per cent) and rank1 to rank99 (weights that fall by rank)",
        )
    }
}

impl core::error::Error for UnknownClipRule {}

impl FromStr for ClipRule {
    type Err = UnknownClipRule;

    fn from_str(text: &str) -> Result<ClipRule, UnknownClipRule> {
        let percent = |text: &str| text.parse::<u8>().map_err(|_| UnknownClipRule);
        let rule = match text {
            "mean" => ClipRule::Mean,
            "max" => ClipRule::Max,
            _ => match (
                text.strip_prefix("top"),
                text.strip_prefix("rank"),
                text.strip_prefix('q'),
            ) {
                (Some(share), _, _) => ClipRule::Top(percent(share)?),
                (_, Some(factor), _) => ClipRule::Ranked(percent(factor)?),
                (_, _, Some(quantile)) => ClipRule::Quantile(percent(quantile)?),
                _ => return Err(UnknownClipRule),
            },
        };
        rule.is_sound().then_some(rule).ok_or(UnknownClipRule)
    }
}

impl fmt::Display for ClipRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClipRule::Mean => f.write_str("mean"),
            ClipRule::Max => f.write_str("max"),
            ClipRule::Quantile(percent) => write!(f, "q{percent}"),
            ClipRule::Top(percent) => write!(f, "top{percent}"),
            ClipRule::Ranked(percent) => write!(f, "rank{percent}"),
        }
    }
}

/// Most entries of a rule by rank. A score and its place in the order take 5 bytes.
pub const MOST_ENTRIES: u32 = 128;
/// A weight below this share of the highest entry's weight changes no score.
const LEAST_WEIGHT: f64 = 1e-9;

impl ClipRule {
    /// Whether its percentage is within bounds.
    pub const fn is_sound(self) -> bool {
        match self {
            ClipRule::Mean | ClipRule::Max => true,
            ClipRule::Quantile(percent) | ClipRule::Ranked(percent) => {
                percent >= 1 && percent <= 99
            }
            ClipRule::Top(percent) => percent >= 1 && percent <= 100,
        }
    }

    /// Number of 32-bit words that [`RunningScore`] needs for so many windows.
    pub const fn memory_words(self, windows: u32) -> usize {
        match self {
            ClipRule::Mean => 0,
            _ => {
                let entries = entries_of(windows) as usize;
                entries + entries.div_ceil(4)
            }
        }
    }

    /// The score of entries in descending order.
    fn of_sorted(self, entries: impl ExactSizeIterator<Item = f32>) -> Option<f32> {
        let mut entries = entries;
        let count = entries.len();
        let share = |percent: u8| (count * usize::from(percent)).div_ceil(100);
        match self {
            ClipRule::Mean => mean_of(entries, count),
            ClipRule::Max => entries.next(),
            ClipRule::Quantile(percent) => entries.nth(count - share(percent).min(count)),
            ClipRule::Top(percent) => mean_of(entries, share(percent)),
            ClipRule::Ranked(percent) => {
                let (mut weight, mut weights, mut sum) = (1.0, 0.0, 0.0);
                for entry in entries {
                    sum += weight * f64::from(entry);
                    weights += weight;
                    weight *= f64::from(percent) / 100.0;
                    if weight < LEAST_WEIGHT {
                        break;
                    }
                }
                (weights > 0.0).then(|| (sum / weights) as f32)
            }
        }
    }
}

/// The mean of the first entries, by exact sums.
fn mean_of(entries: impl Iterator<Item = f32>, count: usize) -> Option<f32> {
    let sum: i64 = entries.take(count).map(units).sum();
    (count > 0).then(|| (sum as f64 / count as f64) as f32 / UNITS)
}

/// Number of windows that share an entry, where so many windows make a score.
const fn group_of(windows: u32) -> u32 {
    bounded(windows).div_ceil(MOST_ENTRIES)
}

const fn entries_of(windows: u32) -> u32 {
    bounded(windows).div_ceil(group_of(windows))
}

/// The nearest number of windows that a score can cover.
const fn bounded(windows: u32) -> u32 {
    const MOST: u32 = 1 << 20;
    match windows {
        0 => 1,
        1..=MOST => windows,
        _ => MOST,
    }
}

/// The score of a continuing sound: over the latest windows, by any [`ClipRule`].
#[derive(Debug)]
pub struct RunningScore<'m> {
    rule: ClipRule,
    mean: MeanScore,
    ranked: Ranked<'m>,
}

impl<'m> RunningScore<'m> {
    /// A score over so many windows; `None` where `memory` is shorter than [`ClipRule::memory_words`].
    pub fn new(rule: ClipRule, windows: u32, memory: &'m mut [u32]) -> Option<RunningScore<'m>> {
        let memory = memory.get_mut(..rule.memory_words(windows))?;
        let entries = match rule {
            ClipRule::Mean => 0,
            _ => entries_of(windows) as usize,
        };
        let (scores, order) = split_words(memory, entries);
        Some(RunningScore {
            rule,
            mean: MeanScore::new(windows),
            ranked: Ranked {
                scores,
                order: &mut order[..entries],
                group: group_of(windows),
                newest: 0,
                in_newest: 0,
                filled: 0,
            },
        })
    }

    /// Forgets all windows.
    pub fn reset(&mut self) {
        self.mean.reset();
        self.ranked.reset();
    }

    /// Adds the score of one more window.
    pub fn push(&mut self, score: f32) {
        match self.rule {
            ClipRule::Mean => self.mean.push(score),
            _ => self.ranked.push(score),
        }
    }

    /// Number of windows that the score covers.
    pub fn windows(&self) -> u32 {
        match self.rule {
            ClipRule::Mean => self.mean.windows(),
            _ => self.ranked.windows(),
        }
    }

    /// `None` before the first window.
    pub fn score(&self) -> Option<f32> {
        match self.rule {
            ClipRule::Mean => self.mean.mean(),
            rule => rule.of_sorted(self.ranked.descending()),
        }
    }
}

/// The latest scores in a ring, and their order.
#[derive(Debug)]
struct Ranked<'m> {
    /// Bits of f32.
    scores: &'m mut [u32],
    /// Places in the ring, highest score first; only the filled ones.
    order: &'m mut [u8],
    /// Number of windows per entry; the entry keeps their highest score.
    group: u32,
    newest: usize,
    in_newest: u32,
    filled: usize,
}

impl Ranked<'_> {
    fn reset(&mut self) {
        (self.newest, self.in_newest, self.filled) = (0, 0, 0);
    }

    fn windows(&self) -> u32 {
        (self.filled as u32).saturating_sub(1) * self.group + self.in_newest
    }

    fn descending(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        let order = self.order[..self.filled].iter();
        order.map(|place| self.at(*place))
    }

    fn at(&self, place: u8) -> f32 {
        f32::from_bits(self.scores[usize::from(place)])
    }

    fn push(&mut self, score: f32) {
        let score = bounded_score(score);
        if self.filled > 0 && self.in_newest < self.group {
            self.in_newest += 1;
            if score > self.at(self.newest as u8) {
                self.take_out();
                self.put_in(score);
            }
            return;
        }
        if self.filled > 0 {
            self.newest = (self.newest + 1) % self.scores.len();
        }
        if self.filled == self.scores.len() {
            self.take_out();
        }
        self.put_in(score);
        self.in_newest = 1;
    }

    /// Takes the place of the newest entry out of the order.
    fn take_out(&mut self) {
        let place = self.newest as u8;
        if let Some(at) = self.order[..self.filled]
            .iter()
            .position(|known| *known == place)
        {
            self.order.copy_within(at + 1..self.filled, at);
            self.filled -= 1;
        }
    }

    /// Puts the newest entry's place into the order.
    fn put_in(&mut self, score: f32) {
        self.scores[self.newest] = score.to_bits();
        let at = self.order[..self.filled].partition_point(|place| self.at(*place) >= score);
        self.order.copy_within(at..self.filled, at + 1);
        self.order[at] = self.newest as u8;
        self.filled += 1;
    }
}

/// The score within the bounds of the sums; 0 where it is not a number.
fn bounded_score(score: f32) -> f32 {
    match score.is_nan() {
        true => 0.0,
        false => score.clamp(-LARGEST_SCORE, LARGEST_SCORE),
    }
}

/// A score as a whole number.
fn units(score: f32) -> i64 {
    (bounded_score(score) * UNITS) as i64
}

/// Slots of [`MeanScore`].
const SLOTS: usize = 16;

/// The mean over the latest windows' scores.
///
/// Scores are added exactly, as whole numbers: neither their order nor an endless stream changes anything. Windows are
/// counted in 16 slots of equal length, and a new slot replaces the oldest one. Once there are enough windows, the mean
/// is over at least 15/16 of the wanted length, and at most over that length rounded up to whole slots.
#[derive(Debug, Clone)]
pub struct MeanScore {
    slots: [i64; SLOTS],
    slot: usize,
    slot_windows: u32,
    in_slot: u32,
    full_slots: u32,
}

/// Scores are whole multiples of the reciprocal of this.
const UNITS: f32 = (1u64 << 32) as f32;
/// No score counts as further from zero: sums over 2^20 windows fit.
const LARGEST_SCORE: f32 = 1024.0;

impl MeanScore {
    /// The mean over a number of windows, 1 to 2^20.
    pub fn new(windows: u32) -> MeanScore {
        MeanScore {
            slots: [0; SLOTS],
            slot: 0,
            slot_windows: bounded(windows).div_ceil(SLOTS as u32),
            in_slot: 0,
            full_slots: 0,
        }
    }

    /// Forgets all scores.
    pub fn reset(&mut self) {
        self.slots = [0; SLOTS];
        (self.slot, self.in_slot, self.full_slots) = (0, 0, 0);
    }

    /// Adds the score of one more window.
    pub fn push(&mut self, score: f32) {
        if self.in_slot == self.slot_windows {
            self.slot = (self.slot + 1) % SLOTS;
            self.slots[self.slot] = 0;
            self.in_slot = 0;
            self.full_slots = (self.full_slots + 1).min(SLOTS as u32 - 1);
        }
        self.slots[self.slot] += units(score);
        self.in_slot += 1;
    }

    /// Number of windows in the mean.
    pub fn windows(&self) -> u32 {
        self.full_slots * self.slot_windows + self.in_slot
    }

    /// The mean of the scores; `None` before the first window.
    pub fn mean(&self) -> Option<f32> {
        let windows = self.windows();
        let sum: i64 = self.slots.iter().sum();
        (windows > 0).then(|| (sum as f64 / f64::from(windows)) as f32 / UNITS)
    }
}

impl Decision {
    /// A score above it is a vote for an alarm; `None` where there is no threshold.
    pub fn limit(&self) -> Option<f32> {
        match self.threshold {
            Threshold::None => None,
            Threshold::Gamma(threshold) | Threshold::Quantile(threshold) => Some(threshold),
            Threshold::EvenOdds => Some(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The score of the latest windows, from all of them, sorted.
    fn by_hand(rule: ClipRule, windows: u32, scores: &[f32]) -> Option<f32> {
        let group = windows.div_ceil(MOST_ENTRIES) as usize;
        let entries: Vec<f32> = scores
            .chunks(group)
            .map(|chunk| chunk.iter().copied().fold(f32::MIN, f32::max))
            .collect();
        let kept = (windows as usize).div_ceil(group).min(entries.len());
        let mut latest = entries[entries.len() - kept..].to_vec();
        latest.sort_by(|a, b| b.total_cmp(a));
        let mean = |values: &[f32]| {
            let sum: i64 = values.iter().map(|value| (value * UNITS) as i64).sum();
            (sum as f64 / values.len() as f64) as f32 / UNITS
        };
        let count = |percent: u8| (latest.len() * usize::from(percent)).div_ceil(100);
        (!latest.is_empty()).then(|| match rule {
            ClipRule::Mean => unreachable!("the mean has slots"),
            ClipRule::Max => latest[0],
            ClipRule::Quantile(percent) => latest[latest.len() - count(percent)],
            ClipRule::Top(percent) => mean(&latest[..count(percent)]),
            ClipRule::Ranked(percent) => {
                let weight = |idx: usize| (f64::from(percent) / 100.0).powi(idx as i32);
                let sum: f64 = latest
                    .iter()
                    .enumerate()
                    .map(|(idx, v)| weight(idx) * f64::from(*v))
                    .sum();
                (sum / (0..latest.len()).map(weight).sum::<f64>()) as f32
            }
        })
    }

    #[test]
    fn rules_by_rank_are_those_of_sorted_windows() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // There are few values: some scores are equal.
            (state >> 20) as f32 / 64.0 - 20.0
        };
        let rules = [
            ClipRule::Max,
            ClipRule::Quantile(1),
            ClipRule::Quantile(90),
            ClipRule::Top(10),
            ClipRule::Top(100),
            ClipRule::Ranked(90),
        ];
        for windows in [1, 2, 7, 128, 129, 500] {
            for rule in rules {
                let mut memory = vec![u32::MAX; rule.memory_words(windows)];
                let mut running = RunningScore::new(rule, windows, &mut memory).unwrap();
                let mut scores = Vec::new();
                assert_eq!(running.score(), None);
                for _ in 0..3 * windows {
                    scores.push(random());
                    running.push(scores[scores.len() - 1]);
                    let expected = by_hand(rule, windows, &scores).unwrap();
                    let found = running.score().unwrap();
                    // One multiplies weights again and again, the other uses powers; the other rules are exact.
                    let allowed = if matches!(rule, ClipRule::Ranked(_)) {
                        1e-5
                    } else {
                        0.0
                    };
                    assert!(
                        (found - expected).abs() <= allowed,
                        "{rule} {windows}: {found} {expected}"
                    );
                    assert!(running.windows() <= windows.next_multiple_of(group_of(windows)));
                }
                running.reset();
                assert_eq!((running.score(), running.windows()), (None, 0));
                running.push(f32::NAN);
                assert_eq!(running.score(), Some(0.0));
            }
        }
    }

    #[test]
    fn rules_have_names_and_bounds() {
        for name in [
            "mean", "max", "q1", "q99", "top1", "top100", "rank1", "rank99",
        ] {
            assert_eq!(name.parse::<ClipRule>().unwrap().to_string(), name);
        }
        for name in [
            "", "q0", "q100", "top0", "top101", "rank0", "rank100", "top", "median", "q-1",
        ] {
            assert_eq!(name.parse::<ClipRule>(), Err(UnknownClipRule), "{name}");
        }
        let mut none = [];
        assert!(RunningScore::new(ClipRule::Mean, 300, &mut none).is_some());
        assert!(RunningScore::new(ClipRule::Max, 1, &mut none).is_none());
    }

    #[test]
    fn mean_slides_by_slots_and_is_exact() {
        let mut mean = MeanScore::new(32);
        assert_eq!(mean.mean(), None);
        for idx in 0..32 {
            mean.push(if idx == 0 { 1.0 } else { 2.0 });
        }
        assert_eq!((mean.windows(), mean.mean()), (32, Some(63.0 / 32.0)));
        mean.push(2.0);
        // The first slot of two windows is gone, and one window of the next is there.
        assert_eq!((mean.windows(), mean.mean()), (31, Some(2.0)));
        mean.reset();
        assert_eq!(mean.mean(), None);
        mean.push(f32::NAN);
        assert_eq!(mean.mean(), Some(0.0));
        let mut endless = MeanScore::new(1);
        for _ in 0..100_000 {
            endless.push(0.1);
        }
        assert_eq!(endless.mean(), Some(0.1));
    }
}
