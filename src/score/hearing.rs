//! What a detector hears of disturbed sound: a figure to choose by, and per kind of disturbance the strength from which it
//! hears most of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{judged_anomalous, judged_normal, quantile};
use crate::{data::Domain, disturb::Kind, stats::Z_95, units::Rng};

/// Share of undisturbed normal clips that may sound an alarm in a profile: at its threshold, one of ten.
pub const FALSE_ALARM_RATE: f64 = 0.1;
/// A kind is heard from the strength at which this share of disturbed clips sounds an alarm.
const HEARD: f64 = 0.9;
/// Resamplings of the clips that were disturbed, for intervals.
const RESAMPLINGS: usize = 200;
/// The score of a disturbed clip.
#[derive(Debug, Clone, PartialEq)]
pub struct DisturbedScore {
    /// Where its own normal clips are: machine, section and domain.
    pub group: (String, String, Domain),
    /// What was done.
    pub kind: Kind,
    /// How strongly, in the unit of the kind.
    pub strength: f64,
    /// The name of the normal clip that it was made of.
    pub of: String,
    /// Anomaly score.
    pub score: f64,
}

/// The score of a normal clip as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalScore {
    /// Machine, section and domain.
    pub group: (String, String, Domain),
    /// Anomaly score.
    pub score: f64,
}

/// How well disturbed clips stand out, 0 to 1; 0.5 is chance.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// The mean over kinds.
    pub mean: f64,
    /// 95 % interval of the mean over the clips.
    pub interval: [f64; 2],
    /// The chance that a disturbed clip scores above a normal one of its group, mean over strengths, for each kind.
    pub of_kinds: BTreeMap<Kind, f64>,
}

/// How well disturbed clips stand out among the normal clips of their group; `None` without such pairs.
///
/// Strengths that every detector hears, or none, add the same to all, so that they do not change who is first.
pub fn sensitivity(normal: &[NormalScore], disturbed: &[DisturbedScore]) -> Option<Sensitivity> {
    type Sum = (f64, usize);
    let mean = |(sum, count): Sum| sum / count.max(1) as f64;
    let add = |(sum, count): &mut Sum, value: f64| (*sum, *count) = (*sum + value, *count + 1);
    let (mut kinds, mut of, mut normals) = (
        BTreeMap::<(Kind, i64), Sum>::new(),
        BTreeMap::<&str, Sum>::new(),
        BTreeMap::<usize, Sum>::new(),
    );
    for one in disturbed {
        let theirs = judged_anomalous(&[one.score]).next()?;
        for (idx, other) in normal.iter().enumerate() {
            if other.group != one.group {
                continue;
            }
            let own = judged_normal(&[other.score]).next()?;
            let wins = match theirs.partial_cmp(&own)? {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
            // Strengths differ by tenths or more.
            let strength = (1000.0 * one.strength) as i64;
            add(kinds.entry((one.kind, strength)).or_default(), wins);
            add(of.entry(&one.of).or_default(), wins);
            add(normals.entry(idx).or_default(), wins);
        }
    }
    let mut of_strengths = BTreeMap::<Kind, Sum>::new();
    for ((kind, _), sum) in kinds {
        add(of_strengths.entry(kind).or_default(), mean(sum));
    }
    let of_strengths = of_strengths.into_iter();
    let of_kinds: BTreeMap<Kind, f64> = of_strengths.map(|(kind, sum)| (kind, mean(sum))).collect();
    let values = || of_kinds.values();
    let overall = (!of_kinds.is_empty()).then(|| values().sum::<f64>() / of_kinds.len() as f64)?;
    // DeLong's variance, with the disturbed clips of one recording as one.
    let variance = |means: Vec<f64>| {
        let count = means.len() as f64;
        let middle = means.iter().sum::<f64>() / count;
        let squares = means
            .iter()
            .map(|mean| (mean - middle).powi(2))
            .sum::<f64>();
        squares / (count - 1.0).max(1.0) / count
    };
    let error = variance(of.into_values().map(mean).collect())
        + variance(normals.into_values().map(mean).collect());
    let reach = Z_95 * error.sqrt();
    Some(Sensitivity {
        mean: overall,
        interval: [(overall - reach).max(0.0), (overall + reach).min(1.0)],
        of_kinds,
    })
}

/// What a detector hears, kind by kind, on normal clips that neither trained it nor chose it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The share of normal clips at whose scores the threshold lies, among the clips that steer.
    pub false_alarm_rate: f64,
    /// Normal clips above that threshold, and all, among those that neither trained nor chose.
    pub false_alarms: [usize; 2],
    /// Number of normal clips that were disturbed.
    pub clips: usize,
    /// One for each kind.
    pub kinds: Vec<Hears>,
}

/// From which strength a detector hears a kind of disturbance: there nine of ten disturbed clips sound an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hears {
    /// The kind, for example `knocks`.
    pub kind: String,
    /// `dB` below the level of the machine, or `%` of its speed.
    pub unit: String,
    /// The strength; null where even the strongest is not heard. At the faintest, it may hear fainter ones, too.
    pub from: Option<f64>,
    /// The lower end of its 95 % interval over the clips; null where that is not heard.
    pub low: Option<f64>,
    /// The upper end; null where that is not heard.
    pub high: Option<f64>,
    /// Strength, and share of disturbed clips above the threshold, 0 to 1.
    pub heard: Vec<[f64; 2]>,
}

/// The profile of a detector whose threshold follows from the normal clips that steer; `None` without clips.
pub fn profile(
    steering: &[NormalScore],
    normal: &[NormalScore],
    disturbed: &[DisturbedScore],
) -> Option<Profile> {
    let scores: Vec<f64> = steering.iter().map(|clip| clip.score).collect();
    let threshold = quantile(&scores, 1.0 - FALSE_ALARM_RATE).filter(|_| !disturbed.is_empty())?;
    let alarms = normal
        .iter()
        .filter(|clip| clip.score.is_nan() || clip.score > threshold);
    let mut names: Vec<&str> = disturbed.iter().map(|one| one.of.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut rng = Rng::new(0, 0x6865_6172_696e_6721);
    let mut hears = Vec::new();
    for kind in Kind::ALL {
        let of_kind: Vec<(usize, f64, bool)> = disturbed
            .iter()
            .filter(|one| one.kind == kind)
            .filter_map(|one| {
                let clip = names.binary_search(&one.of.as_str()).ok()?;
                Some((clip, one.strength, one.score > threshold))
            })
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        let heard = shares(&of_kind, &vec![1; names.len()]);
        let mut resampled: Vec<f64> = (0..RESAMPLINGS)
            .map(|_| {
                let mut weights = vec![0; names.len()];
                (0..names.len()).for_each(|_| weights[rng.below(names.len())] += 1);
                from(kind, &shares(&of_kind, &weights)).unwrap_or(f64::INFINITY)
            })
            .collect();
        resampled.sort_by(f64::total_cmp);
        let tail = RESAMPLINGS / 40;
        let end = |idx: usize| Some(resampled[idx]).filter(|strength| strength.is_finite());
        hears.push(Hears {
            kind: kind.name().to_string(),
            unit: kind.unit().to_string(),
            from: from(kind, &heard),
            low: end(tail),
            high: end(RESAMPLINGS - 1 - tail),
            heard,
        });
    }
    Some(Profile {
        false_alarm_rate: FALSE_ALARM_RATE,
        false_alarms: [alarms.count(), normal.len()],
        clips: names.len(),
        kinds: hears,
    })
}

/// Strength and share of heard clips, from faint to plain; each clip counts as often as its weight says.
fn shares(clips: &[(usize, f64, bool)], weights: &[usize]) -> Vec<[f64; 2]> {
    let mut found: Vec<(f64, usize, usize)> = Vec::new();
    for (clip, strength, is_heard) in clips {
        let weight = weights[*clip];
        let own = match found.iter().position(|(known, ..)| known == strength) {
            Some(own) => own,
            None => {
                found.push((*strength, 0, 0));
                found.len() - 1
            }
        };
        found[own].1 += if *is_heard { weight } else { 0 };
        found[own].2 += weight;
    }
    found.retain(|(_, _, all)| *all > 0);
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let share =
        |(strength, heard, all): (f64, usize, usize)| [strength, heard as f64 / all.max(1) as f64];
    found.into_iter().map(share).collect()
}

/// The strength from which nine of ten are heard, between two strengths by a straight line; `None` where none is so strong.
///
/// Shares that fall with strength are chance: they are levelled with their neighbours, weighted alike, before.
fn from(kind: Kind, shares: &[[f64; 2]]) -> Option<f64> {
    let mut levelled: Vec<(f64, usize)> = Vec::new();
    for [_, share] in shares {
        let mut last = (*share, 1);
        while let Some((before, count)) = levelled.pop() {
            if before <= last.0 {
                levelled.push((before, count));
                break;
            }
            let both = count + last.1;
            last = (
                (before * count as f64 + last.0 * last.1 as f64) / both as f64,
                both,
            );
        }
        levelled.push(last);
    }
    let rising: Vec<f64> = levelled
        .iter()
        .flat_map(|(share, count)| std::iter::repeat_n(*share, *count))
        .collect();
    // Sums of tenths are a little off.
    let next = rising.iter().position(|share| *share >= HEARD - 1e-9)?;
    let Some(before) = next.checked_sub(1) else {
        return Some(shares[0][0]);
    };
    let part = (HEARD - rising[before]) / (rising[next] - rising[before]);
    let [low, high] = [before, next].map(|idx| kind.even(shares[idx][0]));
    Some(kind.uneven(low + part.min(1.0) * (high - low)))
}

impl Profile {
    /// What it hears and what it does not, in a sentence.
    pub fn sentence(&self) -> String {
        let mut heard = Vec::new();
        let mut unheard = Vec::new();
        for one in &self.kinds {
            let Ok(kind) = one.kind.parse::<Kind>() else {
                continue;
            };
            match one.from {
                Some(from) => heard.push(format!("{} from {}", kind.title(), one.show(kind, from))),
                None => {
                    let strongest = one.heard.last().map(|[strength, _]| kind.show(*strength));
                    unheard.push(format!(
                        "{} of {}",
                        kind.title(),
                        strongest.unwrap_or_default()
                    ));
                }
            }
        }
        let mut parts = Vec::new();
        if !heard.is_empty() {
            parts.push(format!("hears {}", heard.join(", ")));
        }
        if !unheard.is_empty() {
            parts.push(format!("does not hear {}", unheard.join(", ")));
        }
        parts.join("; ")
    }

    /// The 95 % interval of every strength, in a sentence.
    pub fn intervals(&self) -> String {
        let interval = |one: &Hears| {
            let kind = one.kind.parse::<Kind>().ok()?;
            Some(format!("{} {}", kind.title(), one.interval()?))
        };
        let intervals: Vec<String> = self.kinds.iter().filter_map(interval).collect();
        format!("95 % intervals: {}", intervals.join(", "))
    }

    /// What the sentence rests on.
    pub fn basis(&self) -> String {
        let [alarms, normals] = self.false_alarms;
        format!(
            "nine of ten disturbed clips are found, at a threshold that one of ten normal clips exceeds among those that steer; \
             of {normals} others {alarms} exceeded it; made of {} clips that neither trained nor chose",
            self.clips
        )
    }
}

impl Hears {
    /// A strength with its unit, and whether it may hear fainter ones.
    fn show(&self, kind: Kind, from: f64) -> String {
        let or_less = match self.heard.first() {
            Some([faintest, _]) if from <= *faintest => " or less",
            _ => "",
        };
        format!("{}{or_less}", kind.show(from))
    }

    /// A cell of a table: the strength, or that it is not heard.
    pub fn cell(&self) -> String {
        match (self.kind.parse::<Kind>(), self.from) {
            (Ok(kind), Some(from)) => self.show(kind, from),
            _ => "not heard".to_string(),
        }
    }

    /// The 95 % interval of the strength, for readers: `-24 to -18 dB`.
    /// `None` where that end is not heard either.
    pub fn interval(&self) -> Option<String> {
        let kind = self.kind.parse::<Kind>().ok()?;
        let show = |end: Option<f64>| end.map_or("not heard".to_string(), |end| kind.show(end));
        self.low
            .map(|low| format!("{} to {}", kind.show(low), show(self.high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> (String, String, Domain) {
        (String::new(), "0".to_string(), Domain::Source)
    }

    /// Ten normal clips with scores of 0 to 9, each of which gets louder by the strength of each kind.
    fn made(gain: impl Fn(Kind, usize) -> f64) -> (Vec<NormalScore>, Vec<DisturbedScore>) {
        let normal: Vec<NormalScore> = (0..10)
            .map(|idx| NormalScore {
                group: group(),
                score: f64::from(idx),
            })
            .collect();
        let mut disturbed = Vec::new();
        for kind in Kind::ALL {
            for (step, strength) in kind.strengths().into_iter().enumerate() {
                for idx in 0..10 {
                    disturbed.push(DisturbedScore {
                        group: group(),
                        kind,
                        strength,
                        of: format!("clip {idx}"),
                        score: f64::from(idx) + gain(kind, step),
                    });
                }
            }
        }
        (normal, disturbed)
    }

    #[test]
    fn a_profile_says_from_where_nine_of_ten_are_heard() {
        fn check(gain: impl Fn(Kind, usize) -> f64, expected: &str) {
            let (normal, disturbed) = made(gain);
            let found = profile(&normal, &normal, &disturbed).unwrap();
            assert_eq!(found.sentence(), expected);
            for one in &found.kinds {
                let inside = [one.low, one.from, one.high].map(|end| end.unwrap_or(f64::INFINITY));
                assert!(inside.is_sorted(), "{one:?}");
            }
        }
        check(
            |_, _| 0.0,
            "does not hear a tone of -9 dB, hiss of -9 dB, knocks of -9 dB, a burst of -9 dB, a missing band of 0 dB, \
             swinging loudness of -12 dB, another speed of 8 %",
        );
        // The threshold is 8.1: a gain of 7.2 lifts nine of ten above it.
        check(
            |kind, step| match kind {
                Kind::Tone => 20.0,
                Kind::Knocks if step >= 2 => 20.0,
                Kind::Speed if step >= 2 => 7.2,
                Kind::Hiss => [0.0, 0.0, 0.0, 3.2, 20.0][step],
                _ => 0.0,
            },
            "hears a tone from -33 dB or less, hiss from -10 dB, knocks from -22 dB, another speed from 2 %; \
             does not hear a burst of -9 dB, a missing band of 0 dB, swinging loudness of -12 dB",
        );
    }

    #[test]
    fn sensitivity_is_the_mean_over_kinds() {
        let (normal, disturbed) = made(|_, _| 0.0);
        let found = sensitivity(&normal, &disturbed).unwrap();
        assert!((found.mean - 0.5).abs() < 1e-12);
        let (normal, disturbed) = made(|kind, _| if kind == Kind::Tone { 10.0 } else { 0.0 });
        let found = sensitivity(&normal, &disturbed).unwrap();
        assert!((found.of_kinds[&Kind::Tone] - 1.0).abs() < 1e-12);
        assert!((found.mean - (1.0 + 6.0 * 0.5) / 7.0).abs() < 1e-12);
        let [low, high] = found.interval;
        assert!(low < found.mean && found.mean < high);
        // Scores that are no numbers are heard by nobody.
        let (normal, disturbed) = made(|_, _| f64::NAN);
        assert_eq!(sensitivity(&normal, &disturbed).unwrap().mean, 0.0);
        assert_eq!(sensitivity(&normal, &[]), None);
    }

    #[test]
    fn shares_that_fall_by_chance_are_levelled() {
        let of = |shares: [f64; 4]| {
            let strengths = [-30.0, -24.0, -18.0, -12.0];
            let pairs: Vec<[f64; 2]> = strengths
                .into_iter()
                .zip(shares)
                .map(|(s, h)| [s, h])
                .collect();
            from(Kind::Tone, &pairs)
        };
        assert_eq!(of([0.0, 0.0, 0.0, 0.8]), None);
        assert_eq!(of([0.95, 0.9, 1.0, 1.0]), Some(-30.0));
        assert_eq!(of([0.0, 0.8, 1.0, 1.0]), Some(-21.0));
        // 1 and 0.6 are 0.8 each.
        assert_eq!(of([0.0, 1.0, 0.6, 1.0]), Some(-15.0));
    }
}
