//! The tables of DCASE's task 2, as its baselines and evaluators compute them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ClipScore, Confusion, PAUC_MAX_FPR, auc, harmonic_mean, pauc,
    statistics::{mean, student_quantile},
};
use crate::data::{Domain, Layout};

/// Figures of a domain of a section.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DomainFigures {
    /// Normal clips of the domain against the anomalies that the year's rule names.
    pub auc: Option<f64>,
    /// By the same rule; shown for 2021 and 2023.
    pub pauc: Option<f64>,
    /// Of the decisions on the domain's own clips.
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Figures of a section.
#[derive(Debug, Clone, PartialEq)]
pub struct SectionFigures {
    pub machine: String,
    pub section: String,
    /// Over all clips of the section.
    pub auc: Option<f64>,
    pub pauc: Option<f64>,
    pub source: DomainFigures,
    /// `None` where the section has one domain.
    pub target: Option<DomainFigures>,
}

/// Which anomalies a domain's normal clips are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Those of the domain, as in 2021.
    Own,
    /// All of the section, as from 2022 on.
    All,
}

/// The figure that ranks a system, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Official {
    /// Harmonic mean of AUC (source), AUC (target) and pAUC over machines and sections.
    pub score: f64,
    /// Half the width of its 95 % interval, by leaving out one clip at a time. `None` with fewer than three clips, or
    /// where a class has but one.
    pub half_width: Option<f64>,
    /// What the evaluator of 2023 prints as such: the mean for AUC and for pAUC over all clips pooled, without the factor
    /// of clips less one that its source has (Mesaros et al. 2019, section IV). Only for comparison with published ones.
    pub evaluator_half_width: Option<f64>,
}

/// Figures per machine and section, in the order of their names. A clip is called anomalous above `threshold_of`.
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

/// The official score of labelled clips; `None` where no section has figures.
pub fn official(clips: &[ClipScore], against: Against) -> Option<Official> {
    let score =
        |clips: &[ClipScore]| official_score(&dcase_sections(clips, against, &|_| f64::NAN));
    let areas = [
        jackknife(clips, &|clips| auc_of(clips, auc)),
        jackknife(clips, &|clips| {
            auc_of(clips, |n, a| pauc(n, a, PAUC_MAX_FPR))
        }),
    ];
    let evaluator = match areas {
        [Some(area), Some(partial)] => Some((area + partial) / 2.0 / (clips.len() as f64 - 1.0)),
        _ => None,
    };
    Some(Official {
        score: score(clips)?,
        half_width: jackknife(clips, &score),
        evaluator_half_width: evaluator,
    })
}

fn official_score(sections: &[SectionFigures]) -> Option<f64> {
    let mut figures = Vec::new();
    for section in sections {
        figures.extend(section.source.auc);
        figures.extend(section.target.and_then(|target| target.auc));
        figures.extend(section.pauc);
    }
    // As the evaluator, which keeps a single zero from taking all.
    let floored: Vec<f64> = figures
        .iter()
        .map(|figure| figure.max(f64::EPSILON))
        .collect();
    harmonic_mean(&floored)
}

fn auc_of(clips: &[ClipScore], area: impl Fn(&[f64], &[f64]) -> Option<f64>) -> Option<f64> {
    let of = |anomaly: bool| -> Vec<f64> {
        let chosen = clips.iter().filter(|clip| clip.anomaly == anomaly);
        chosen.map(|clip| clip.score).collect()
    };
    area(&of(false), &of(true))
}

/// Half the width of the 95 % interval of a figure by the jackknife.
///
/// `None` with fewer than three clips, or where the figure cannot be had without one of them.
fn jackknife(clips: &[ClipScore], figure: &dyn Fn(&[ClipScore]) -> Option<f64>) -> Option<f64> {
    if clips.len() < 3 {
        return None;
    }
    let mut rest = clips.to_vec();
    let mut figures = Vec::with_capacity(clips.len());
    for idx in 0..clips.len() {
        let left_out = rest.swap_remove(idx);
        figures.push(figure(&rest));
        rest.push(left_out);
        let last = rest.len() - 1;
        rest.swap(idx, last);
    }
    let figures: Vec<f64> = figures.into_iter().collect::<Option<_>>()?;
    let n = figures.len() as f64;
    let centre = mean(&figures);
    let squares: f64 = figures.iter().map(|figure| (figure - centre).powi(2)).sum();
    Some(student_quantile(0.975, n - 1.0) * (squares * (n - 1.0) / n).sqrt())
}

/// Which anomalies a domain's normal clips are held against, as the year of the data asks.
pub fn against(layout: Layout) -> Against {
    match layout {
        Layout::Dcase2021 => Against::Own,
        _ => Against::All,
    }
}
