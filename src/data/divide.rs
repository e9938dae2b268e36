//! Who steers and who judges: deterministic divisions of the clips, and the classes of a classifier.
//!
//! Clips are divided in the order of a hash of their file names, so that the division depends neither on the
//! folder from which a data set was opened nor on the numbering of its recordings.

use std::collections::{BTreeMap, BTreeSet};

use super::{Clip, Dataset, Domain, Label, Split, first_few, section_name};

/// Labelled test clips, divided; indices into [`Dataset::clips`], ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestDivision {
    /// The clips whose score steers the search.
    pub steer: Vec<usize>,
    /// The clips whose score is only shown.
    pub shown: Vec<usize>,
    /// Set where some clips are in both parts, and says why.
    pub note: Option<String>,
}

/// Training clips, divided; indices into [`Dataset::clips`], ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainDivision {
    pub fit: Vec<usize>,
    /// Decides when training stops.
    pub validation: Vec<usize>,
}

/// The distinct machines and sections of the training clips, sorted: class 0, 1, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Machine and section.
    pub names: Vec<(String, String)>,
}

impl Classes {
    pub(super) fn new(dataset: &Dataset) -> Classes {
        let training = dataset.train_clips();
        let names: BTreeSet<(String, String)> = training
            .into_iter()
            .map(|idx| &dataset.clips[idx])
            .map(|clip| (clip.machine.clone(), clip.section.clone()))
            .collect();
        Classes {
            names: names.into_iter().collect(),
        }
    }

    /// The class of a clip; `None` where no training clip shares its machine and section.
    pub fn class_of(&self, clip: &Clip) -> Option<u32> {
        let key = (&clip.machine, &clip.section);
        let class = self
            .names
            .binary_search_by(|(machine, section)| (machine, section).cmp(&key));
        class.ok().and_then(|class| u32::try_from(class).ok())
    }
}

/// Divides the labelled test clips into a half that steers the search and an untouched half.
///
/// Every machine, section, domain and label is halved by itself; of an odd number the larger part steers.
/// A section that lacks normals or anomalies, or in which one such group has a single clip, is too small for
/// both: all its clips are in both parts, and the note names it.
pub fn divide_test(dataset: &Dataset) -> TestDivision {
    type Groups = BTreeMap<(Domain, Label), Vec<usize>>;
    let mut sections: BTreeMap<(&str, &str), Groups> = BTreeMap::new();
    for (idx, clip) in dataset.clips.iter().enumerate() {
        if let (Split::Test, Some(label)) = (clip.split, clip.label) {
            let groups = sections.entry((&clip.machine, &clip.section)).or_default();
            groups.entry((clip.domain, label)).or_default().push(idx);
        }
    }

    let mut steer = Vec::new();
    let mut shown = Vec::new();
    let mut too_small = Vec::new();
    for ((machine, section), groups) in sections {
        let has = |wanted| groups.keys().any(|&(_, label)| label == wanted);
        let is_divisible = has(Label::Normal)
            && has(Label::Anomaly)
            && groups.values().all(|clips| clips.len() >= 2);
        for clips in groups.into_values() {
            if is_divisible {
                let ordered = hash_order(dataset, clips);
                let (first, second) = ordered.split_at(ordered.len().div_ceil(2));
                steer.extend_from_slice(first);
                shown.extend_from_slice(second);
            } else {
                steer.extend_from_slice(&clips);
                shown.extend_from_slice(&clips);
            }
        }
        if !is_divisible {
            too_small.push(section_name(machine, section));
        }
    }
    steer.sort_unstable();
    shown.sort_unstable();
    let note = (!too_small.is_empty()).then(|| {
        format!(
            "too few labelled test clips to keep some untouched by the search: {}; \
             there the test score is that of the clips that steer",
            first_few(&too_small)
        )
    });
    TestDivision { steer, shown, note }
}

/// Holds out `share` (0 to 1) of the clips to train on, rounded, from every machine, section and domain by itself.
///
/// Every group keeps at least one clip to fit. Where the share comes to no clip at all, one is held out;
/// of a single training clip, it is used for both.
pub fn divide_train(dataset: &Dataset, share: f64) -> TrainDivision {
    let mut groups: BTreeMap<(&str, &str, Domain), Vec<usize>> = BTreeMap::new();
    for idx in dataset.train_clips() {
        let clip = &dataset.clips[idx];
        let key = (clip.machine.as_str(), clip.section.as_str(), clip.domain);
        groups.entry(key).or_default().push(idx);
    }

    let mut fit = Vec::new();
    let mut validation = Vec::new();
    for clips in groups.into_values() {
        // A cast from a float saturates, and NaN becomes 0.
        let n_held_out = (share * clips.len() as f64).round() as usize;
        let n_held_out = n_held_out.min(clips.len() - 1);
        let ordered = hash_order(dataset, clips);
        let (held_out, kept) = ordered.split_at(n_held_out);
        validation.extend_from_slice(held_out);
        fit.extend_from_slice(kept);
    }
    if validation.is_empty() {
        fit = hash_order(dataset, fit);
        match fit.len() {
            0 | 1 => validation.clone_from(&fit),
            _ => validation.extend(fit.pop()),
        }
    }
    fit.sort_unstable();
    validation.sort_unstable();
    TrainDivision { fit, validation }
}

/// The clips in the order of their file names' BLAKE3 hashes; clips of one file name by their whole names.
fn hash_order(dataset: &Dataset, mut clips: Vec<usize>) -> Vec<usize> {
    clips.sort_by_cached_key(|&idx| {
        let clip = &dataset.clips[idx];
        (
            *blake3::hash(clip.file_name().as_bytes()).as_bytes(),
            &clip.name,
        )
    });
    clips
}
