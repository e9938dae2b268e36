//! The tables of DCASE's task 2, as its baselines and evaluators compute them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ClipScore, Confusion, PAUC_MAX_FPR, auc, curve::areas_without_each, harmonic_mean, pauc,
    statistics::mean,
};
use crate::{
    data::{Domain, Layout},
    stats::student_quantile,
};

/// Figures of one domain of a section.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DomainFigures {
    /// AUC of the domain's normal clips against the anomalies that the year's rule names; `None` without either kind.
    pub auc: Option<f64>,
    /// Partial AUC by the same rule; shown for 2021 and 2023.
    pub pauc: Option<f64>,
    /// Share of the alarms on the domain's own clips that are anomalies, 0 to 1.
    pub precision: f64,
    /// Share of the domain's anomalies that are found, 0 to 1.
    pub recall: f64,
    /// Harmonic mean of precision and recall, 0 to 1.
    pub f1: f64,
}

/// Figures of a section.
#[derive(Debug, Clone, PartialEq)]
pub struct SectionFigures {
    /// Name of the machine.
    pub machine: String,
    /// Name of the section.
    pub section: String,
    /// AUC over all clips of the section; `None` where a kind of clips is missing.
    pub auc: Option<f64>,
    /// Partial AUC over all clips of the section.
    pub pauc: Option<f64>,
    /// The source domain, or all clips where the section has one domain.
    pub source: DomainFigures,
    /// `None` where the section has one domain.
    pub target: Option<DomainFigures>,
}

/// Which anomalies a domain's normal clips are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The anomalies of the domain, as in 2021.
    Own,
    /// All anomalies of the section, as from 2022 on.
    All,
}

/// The score that ranks a system, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Official {
    /// Harmonic mean of AUC (source), AUC (target) and pAUC over machines and sections.
    pub score: f64,
    /// Half the width of its 95 % interval, by leaving out one clip at a time. `None` with fewer than three clips, or
    /// where a class has only one.
    pub half_width: Option<f64>,
    /// The half width that the evaluator of 2023 prints: the mean of those of AUC and pAUC over all clips pooled. Its
    /// source has a factor of clips less one, which the evaluator leaves out (Mesaros et al. 2019, section IV). Use it
    /// only for comparison with published ones.
    pub evaluator_half_width: Option<f64>,
}

/// Figures per machine and section, in the order of their names. A clip that scores above `threshold_of` is called
/// anomalous.
///
/// Groups with a missing class have no AUC.
pub fn dcase_sections(
    clips: &[ClipScore],
    against: Against,
    threshold_of: &dyn Fn(&ClipScore) -> f64,
) -> Vec<SectionFigures> {
    let mut sections: BTreeMap<(&str, &str), Vec<&ClipScore>> = BTreeMap::new();
    for clip in clips {
        let key = (clip.machine.as_str(), clip.section.as_str());
        sections.entry(key).or_default().push(clip);
    }
    let figures = |((machine, section), clips): ((&str, &str), Vec<&ClipScore>)| {
        let scores_of = |anomaly: bool, domain: Option<Domain>| -> Vec<f64> {
            let chosen = |clip: &&&ClipScore| {
                clip.anomaly == anomaly && domain.is_none_or(|domain| clip.domain == domain)
            };
            clips.iter().filter(chosen).map(|clip| clip.score).collect()
        };
        let (normal, anomaly) = (scores_of(false, None), scores_of(true, None));
        let threshold = clips.first().map_or(f64::NAN, |clip| threshold_of(clip));
        let in_domain = |domain: Option<Domain>| {
            let (own_normal, own_anomaly) = (scores_of(false, domain), scores_of(true, domain));
            let rivals = match against {
                Against::Own => &own_anomaly,
                Against::All => &anomaly,
            };
            let confusion = Confusion::at_threshold(&own_normal, &own_anomaly, threshold);
            DomainFigures {
                auc: auc(&own_normal, rivals),
                pauc: pauc(&own_normal, rivals, PAUC_MAX_FPR),
                precision: confusion.precision(),
                recall: confusion.recall(),
                f1: confusion.f1(),
            }
        };
        let domains: BTreeSet<Domain> = clips.iter().map(|clip| clip.domain).collect();
        let has_both = domains.len() > 1;
        SectionFigures {
            machine: machine.to_string(),
            section: section.to_string(),
            auc: auc(&normal, &anomaly),
            pauc: pauc(&normal, &anomaly, PAUC_MAX_FPR),
            source: in_domain(has_both.then_some(Domain::Source)),
            target: has_both.then(|| in_domain(Some(Domain::Target))),
        }
    };
    sections.into_iter().map(figures).collect()
}

/// The official score of labelled clips; `None` where no section has figures. Takes `n log n` steps for `n` clips.
pub fn official(clips: &[ClipScore], against: Against) -> Option<Official> {
    let score = harmonic_mean(&ranking_figures(&dcase_sections(clips, against, &|_| {
        f64::NAN
    })))?;
    let areas = [1.0, PAUC_MAX_FPR].map(|max_fpr| {
        let of = |anomaly: bool| -> Vec<f64> {
            let chosen = clips.iter().filter(|clip| clip.anomaly == anomaly);
            chosen.map(|clip| clip.score).collect()
        };
        jackknife(areas_without_each(&of(false), &of(true), max_fpr).concat())
    });
    let evaluator = match areas {
        [Some(area), Some(partial)] => Some((area + partial) / 2.0 / (clips.len() as f64 - 1.0)),
        _ => None,
    };
    Some(Official {
        score,
        half_width: jackknife(scores_without_each(clips, against)),
        evaluator_half_width: evaluator,
    })
}

/// The figures of the sections; their harmonic mean ranks a system.
fn ranking_figures(sections: &[SectionFigures]) -> Vec<f64> {
    let mut figures = Vec::new();
    for section in sections {
        figures.extend(section.source.auc);
        figures.extend(section.target.and_then(|target| target.auc));
        figures.extend(section.pauc);
    }
    // As in the evaluator: a single zero must not make the mean zero.
    let floored = figures.iter().map(|figure| figure.max(f64::EPSILON));
    floored.collect()
}

/// The official score without each clip in turn, in any order. A clip changes only the figures of its own section.
fn scores_without_each(clips: &[ClipScore], against: Against) -> Vec<Option<f64>> {
    let mut sections: BTreeMap<(&str, &str), Vec<ClipScore>> = BTreeMap::new();
    for clip in clips {
        let key = (clip.machine.as_str(), clip.section.as_str());
        sections.entry(key).or_default().push(clip.clone());
    }
    let sections: Vec<Vec<ClipScore>> = sections.into_values().collect();
    // Counts of figures and sums of their reciprocals. Those of other sections are added up from both ends: to subtract
    // a large reciprocal again would lose the small ones.
    let terms = |figures: &[f64]| {
        let reciprocals: f64 = figures.iter().map(|figure| figure.recip()).sum();
        [figures.len() as f64, reciprocals]
    };
    let add = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
    let whole = |section: &Vec<ClipScore>| {
        terms(&ranking_figures(&dcase_sections(section, against, &|_| {
            f64::NAN
        })))
    };
    let own: Vec<[f64; 2]> = sections.iter().map(whole).collect();
    let mut after = vec![[0.0; 2]];
    for terms in own.iter().rev() {
        after.push(add(after[after.len() - 1], *terms));
    }
    let mut before = [0.0; 2];
    let mut scores = Vec::with_capacity(clips.len());
    for (idx, section) in sections.iter().enumerate() {
        let others = add(before, after[sections.len() - 1 - idx]);
        let score = |figures: Vec<f64>| {
            let [count, reciprocals] = add(others, terms(&figures));
            (count > 0.0).then(|| count / reciprocals)
        };
        scores.extend(
            figures_without_each(section, against)
                .into_iter()
                .map(score),
        );
        before = add(before, own[idx]);
    }
    scores
}

/// The ranking figures of a section without each of its clips.
fn figures_without_each(section: &[ClipScore], against: Against) -> Vec<Vec<f64>> {
    let counts = [Domain::Source, Domain::Target]
        .map(|domain| section.iter().filter(|clip| clip.domain == domain).count());
    let domains: &[Option<Domain>] = match counts.contains(&0) {
        true => &[None],
        false => &[Some(Domain::Source), Some(Domain::Target)],
    };
    let mut areas = Vec::new();
    for domain in domains {
        let is_in = |clip: &ClipScore| domain.is_none_or(|domain| clip.domain == domain);
        areas.push(Without::new(section, 1.0, |clip| match against {
            Against::All => clip.anomaly || is_in(clip),
            Against::Own => is_in(clip),
        }));
    }
    areas.push(Without::new(section, PAUC_MAX_FPR, |_| true));
    let without = |(idx, clip): (usize, &ClipScore)| {
        // A domain without its only clip is gone.
        if counts[clip.domain as usize] == 1 {
            let rest = [&section[..idx], &section[idx + 1..]].concat();
            return ranking_figures(&dcase_sections(&rest, against, &|_| f64::NAN));
        }
        let figures = areas.iter().filter_map(|area| area.each[idx]);
        figures.map(|figure| figure.max(f64::EPSILON)).collect()
    };
    section.iter().enumerate().map(without).collect()
}

/// An area under the curve of some clips of a section, without each clip of the section.
struct Without {
    each: Vec<Option<f64>>,
}

impl Without {
    fn new(section: &[ClipScore], max_fpr: f64, is_in: impl Fn(&ClipScore) -> bool) -> Without {
        let scores = |anomaly: bool| -> Vec<f64> {
            let chosen = section
                .iter()
                .filter(|clip| clip.anomaly == anomaly && is_in(clip));
            chosen.map(|clip| clip.score).collect()
        };
        let (normal, anomaly) = (scores(false), scores(true));
        let all = pauc(&normal, &anomaly, max_fpr);
        let [normal, anomaly] = areas_without_each(&normal, &anomaly, max_fpr);
        let (mut normal, mut anomaly) = (normal.into_iter(), anomaly.into_iter());
        let without = |clip: &ClipScore| match (is_in(clip), clip.anomaly) {
            (false, _) => all,
            (true, false) => normal.next().flatten(),
            (true, true) => anomaly.next().flatten(),
        };
        Without {
            each: section.iter().map(without).collect(),
        }
    }
}

/// Half the width of a figure's 95 % interval by the jackknife, from its values without each clip.
///
/// `None` with fewer than three clips, or where one of the values is missing.
fn jackknife(without_each: Vec<Option<f64>>) -> Option<f64> {
    if without_each.len() < 3 {
        return None;
    }
    let figures: Vec<f64> = without_each.into_iter().collect::<Option<_>>()?;
    let n = figures.len() as f64;
    let centre = mean(&figures);
    let squares: f64 = figures.iter().map(|figure| (figure - centre).powi(2)).sum();
    Some(student_quantile(0.975, n - 1.0) * (squares * (n - 1.0) / n).sqrt())
}

/// Which anomalies a domain's normal clips are compared with, by the rule of the data's year.
pub fn against(layout: Layout) -> Against {
    match layout {
        Layout::Dcase2021 => Against::Own,
        _ => Against::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rng;

    /// Scores with ties, some of them not a number, from three sections.
    fn clips(count: usize, seed: u64) -> Vec<ClipScore> {
        let mut rng = Rng::new(seed, 0);
        let clip = |idx: usize| {
            let anomaly = rng.below(3) == 0;
            let section = rng.below(3);
            let score = match rng.below(40) {
                0 => f64::NAN,
                _ => (4.0 * (rng.normal() + f64::from(u8::from(anomaly)))).round() / 4.0,
            };
            ClipScore {
                machine: "fan".to_string(),
                section: section.to_string(),
                // The third section has one domain, and the second has at most one clip of its other domain.
                domain: match (section, idx) {
                    (0, _) if idx.is_multiple_of(2) => Domain::Target,
                    (1, 7) => Domain::Target,
                    _ => Domain::Source,
                },
                anomaly,
                score,
            }
        };
        (0..count).map(clip).collect()
    }

    #[test]
    fn leaving_out_in_one_pass_is_leaving_out_one_by_one() {
        for (count, seed) in [(4, 1), (9, 2), (30, 3), (150, 4)] {
            let clips = clips(count, seed);
            for against in [Against::Own, Against::All] {
                let slow = |idx: usize| {
                    let rest = [&clips[..idx], &clips[idx + 1..]].concat();
                    let sections = dcase_sections(&rest, against, &|_| f64::NAN);
                    harmonic_mean(&ranking_figures(&sections)).unwrap_or(-1.0)
                };
                let sorted = |mut values: Vec<f64>| {
                    values.sort_by(f64::total_cmp);
                    values
                };
                let found = scores_without_each(&clips, against);
                let found = sorted(found.iter().map(|score| score.unwrap_or(-1.0)).collect());
                let expected = sorted((0..count).map(slow).collect());
                for (found, expected) in found.iter().zip(&expected) {
                    // The sums are in another order.
                    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
                }
                assert_eq!(found.len(), expected.len());
            }
        }
    }

    /// To leave out one by one would build the curves of 60,000 clips 60,000 times, which takes an hour.
    #[test]
    fn many_clips_are_no_wait() {
        let clips = clips(60_000, 5);
        let half_width = official(&clips, Against::All).unwrap().half_width.unwrap();
        let tenth = official(&clips[..6_000], Against::All).unwrap();
        // Ten times the clips make it narrower by the square root of ten, apart from sampling noise.
        let narrower = tenth.half_width.unwrap() / half_width / 10f64.sqrt();
        assert!((0.7..1.4).contains(&narrower), "{narrower}");
    }
}
