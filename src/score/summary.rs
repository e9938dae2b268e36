//! Figures of a scored set of clips, per machine, section and domain.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{PAUC_MAX_FPR, auc, harmonic_mean, pauc, uncertainty::mean_interval};
use crate::data::Domain;

/// The score of one labelled clip.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipScore {
    /// Name of the machine.
    pub machine: String,
    /// Name of the section.
    pub section: String,
    /// Source or target domain.
    pub domain: Domain,
    /// Whether the clip is labelled as an anomaly.
    pub anomaly: bool,
    /// Higher is more anomalous; may be infinite or not a number.
    pub score: f64,
}

/// Figures of one group of clips.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupScore {
    /// Name of the machine.
    pub machine: String,
    /// Name of the section.
    pub section: String,
    /// The domain; `None` for the whole section.
    pub domain: Option<Domain>,
    /// AUC, 0 to 1; `None` on the row of a whole section that has a row per domain, and where a class is missing.
    pub auc: Option<f64>,
    /// Partial AUC, 0 to 1; `None` on the row of one domain, and where a class is missing.
    pub pauc: Option<f64>,
    /// Number of normal clips.
    pub normals: usize,
    /// Number of anomalous clips.
    pub anomalies: usize,
}

/// The figures of a scored set of clips.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Sorted by machine and section.
    pub groups: Vec<GroupScore>,
    /// Harmonic mean of the groups' AUCs: the plain AUC where there is one section with one domain.
    pub auc: Option<f64>,
    /// The 95 % interval of `auc` over clips, `[low, high]`.
    pub auc_interval: Option<[f64; 2]>,
    /// Harmonic mean of the groups' partial AUCs.
    pub pauc: Option<f64>,
    /// Harmonic mean of all AUCs and partial AUCs: DCASE's official score.
    pub official: Option<f64>,
    /// Sentences about groups without figures, and about clips whose score is not a number.
    pub notes: Vec<String>,
}

/// Figures per machine and section, by the rule of DCASE 2022.
///
/// A section with both domains has one AUC per domain and one partial AUC over all its clips. The AUC compares the
/// domain's normal clips with *all* anomalies of the section. A section with one domain has both figures over all its
/// clips. Groups with a missing class have no figures; the means leave them out, and the notes name them.
pub fn summarise(clips: &[ClipScore]) -> Summary {
    let mut sections: BTreeMap<(&str, &str), Vec<&ClipScore>> = BTreeMap::new();
    for clip in clips {
        let key = (clip.machine.as_str(), clip.section.as_str());
        sections.entry(key).or_default().push(clip);
    }
    let mut groups = Vec::new();
    for ((machine, section), clips) in sections {
        let domains: BTreeSet<Domain> = clips.iter().map(|clip| clip.domain).collect();
        let scores_of = |anomaly: bool, domain: Option<Domain>| -> Vec<f64> {
            let chosen = |clip: &&&ClipScore| {
                clip.anomaly == anomaly && domain.is_none_or(|domain| clip.domain == domain)
            };
            clips.iter().filter(chosen).map(|clip| clip.score).collect()
        };
        let anomaly = scores_of(true, None);
        let group = |domain: Option<Domain>, normals: usize| GroupScore {
            machine: machine.to_string(),
            section: section.to_string(),
            domain,
            auc: None,
            pauc: None,
            normals,
            anomalies: anomaly.len(),
        };
        let normal = scores_of(false, None);
        let whole = GroupScore {
            pauc: pauc(&normal, &anomaly, PAUC_MAX_FPR),
            ..group(None, normal.len())
        };
        if domains.len() < 2 {
            let auc = auc(&normal, &anomaly);
            groups.push(GroupScore { auc, ..whole });
            continue;
        }
        for domain in domains {
            let normal = scores_of(false, Some(domain));
            groups.push(GroupScore {
                auc: auc(&normal, &anomaly),
                ..group(Some(domain), normal.len())
            });
        }
        groups.push(whole);
    }
    let aucs: Vec<f64> = groups.iter().filter_map(|group| group.auc).collect();
    let paucs: Vec<f64> = groups.iter().filter_map(|group| group.pauc).collect();
    Summary {
        auc: harmonic_mean(&aucs),
        auc_interval: mean_interval(&groups),
        pauc: harmonic_mean(&paucs),
        official: harmonic_mean(&[aucs, paucs].concat()),
        notes: notes(clips, &groups),
        groups,
    }
}

impl fmt::Display for GroupScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.machine, self.section)?;
        match self.domain {
            Some(Domain::Source) => write!(f, " (source)"),
            Some(Domain::Target) => write!(f, " (target)"),
            None => Ok(()),
        }
    }
}

fn notes(clips: &[ClipScore], groups: &[GroupScore]) -> Vec<String> {
    let mut notes = Vec::new();
    for group in groups {
        let missing = match (group.normals, group.anomalies) {
            (0, 0) => "labelled clips",
            (0, _) => "normal clips",
            (_, 0) => "anomalous clips",
            _ => continue,
        };
        notes.push(format!("{group}: no {missing}, left out of the means"));
    }
    let broken = clips.iter().filter(|clip| clip.score.is_nan()).count();
    if broken > 0 {
        let plural = if broken == 1 { "clip" } else { "clips" };
        notes.push(format!(
            "{broken} {plural} scored not a number, judged wrong"
        ));
    }
    notes
}
