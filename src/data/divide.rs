//! Divides clips into those that steer a search and those that judge it, always in the same way, and lists the classes
//! of a classifier.
//!
//! Clips are ordered by a hash of their recordings' names, which are mostly file names. So the division depends neither
//! on the folder that was opened nor on the numbering of the recordings.

use std::collections::{BTreeMap, BTreeSet};

use super::{Clip, Dataset, Domain, Label, Learns, Split, first_few, section_name};

/// Labelled test clips, divided. Both lists are ascending indices into [`Dataset::clips`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestDivision {
    /// The clips whose score steers the search.
    pub steer: Vec<usize>,
    /// The clips whose score is only shown.
    pub shown: Vec<usize>,
    /// Says why some clips are in both parts; `None` where no clip is.
    pub note: Option<String>,
}

/// Training clips, divided. Both lists are ascending indices into [`Dataset::clips`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainDivision {
    /// The clips that weights are fitted to.
    pub fit: Vec<usize>,
    /// The clips that decide when training stops.
    pub validation: Vec<usize>,
}

/// The distinct machines and sections of the training clips, sorted: class 0, 1, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Machine and section of each class; machine and label where labels are learnt.
    pub names: Vec<(String, String)>,
    learns: Learns,
}

impl Classes {
    pub(super) fn new(dataset: &Dataset) -> Classes {
        let training = dataset.train_clips();
        let names: BTreeSet<(String, String)> = training
            .into_iter()
            .map(|idx| &dataset.clips[idx])
            .map(|clip| {
                let name = match dataset.learns {
                    Learns::Labels => clip.label.unwrap_or(Label::Normal).name(),
                    Learns::Sections | Learns::Classes => &clip.section,
                };
                (clip.machine.clone(), name.to_string())
            })
            .collect();
        Classes {
            names: names.into_iter().collect(),
            learns: dataset.learns,
        }
    }

    /// The class of a clip; `None` where no training clip has that class.
    pub fn class_of(&self, clip: &Clip) -> Option<u32> {
        match self.learns {
            Learns::Labels => self.find(&clip.machine, clip.label.unwrap_or(Label::Normal).name()),
            Learns::Sections | Learns::Classes => self.find(&clip.machine, &clip.section),
        }
    }

    fn find(&self, machine: &str, name: &str) -> Option<u32> {
        let class = self
            .names
            .binary_search_by(|(m, n)| (m.as_str(), n.as_str()).cmp(&(machine, name)));
        class.ok().and_then(|class| u32::try_from(class).ok())
    }
}

/// Divides the labelled test clips into a half that steers the search and a half that it never sees.
///
/// Every machine, section, domain and label is halved on its own; of an odd number the larger part steers. Where clips
/// are disturbed, they say themselves whether they steer, and real anomalies only judge. A section is too small to divide
/// where it lacks normals or anomalies, or where one such group has a single clip. All its clips are then in both parts,
/// and the note names it.
pub fn divide_test(dataset: &Dataset) -> TestDivision {
    type Groups = BTreeMap<(Domain, Label), Vec<usize>>;
    let mut sections: BTreeMap<(&str, &str), Groups> = BTreeMap::new();
    let mut steer = Vec::new();
    let mut shown = Vec::new();
    let are_disturbed = dataset.has_disturbed();
    for (idx, clip) in dataset.clips.iter().enumerate() {
        match (clip.split, clip.label, clip.disturbed()) {
            (Split::Test, Some(_), Some(made)) if made.steers => steer.push(idx),
            (Split::Test, Some(_), Some(_)) => shown.push(idx),
            // Disturbed clips choose; real anomalies judge the choice.
            (Split::Test, Some(Label::Anomaly), None) if are_disturbed => shown.push(idx),
            (Split::Test, Some(label), None) => {
                let groups = sections.entry((&clip.machine, &clip.section)).or_default();
                groups.entry((clip.domain, label)).or_default().push(idx);
            }
            _ => (),
        }
    }

    let mut too_small = Vec::new();
    for ((machine, section), groups) in sections {
        let has = |wanted| groups.keys().any(|&(_, label)| label == wanted);
        let is_divisible = (dataset.learns == Learns::Classes
            || has(Label::Normal) && (has(Label::Anomaly) || are_disturbed))
            && groups.values().all(|clips| clips.len() >= 2);
        for clips in groups.into_values() {
            let [first, second] = match is_divisible {
                true => halves(dataset, clips),
                false => [clips.clone(), clips],
            };
            steer.extend(first);
            shown.extend(second);
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
             their test score comes from the clips that steer",
            first_few(&too_small)
        )
    });
    TestDivision { steer, shown, note }
}

/// Holds out `share` (0 to 1) of the training clips for validation, rounded, in every machine, section and domain.
///
/// Every group keeps at least one clip to fit. Where the share is less than one clip in all, one clip is held out. A
/// single training clip is used for both.
pub fn divide_train(dataset: &Dataset, share: f64) -> TrainDivision {
    let mut groups: BTreeMap<(&str, &str, Domain, bool), Vec<usize>> = BTreeMap::new();
    for idx in dataset.train_clips() {
        let clip = &dataset.clips[idx];
        let is_anomaly = clip.label == Some(Label::Anomaly);
        let key = (
            clip.machine.as_str(),
            clip.section.as_str(),
            clip.domain,
            is_anomaly,
        );
        groups.entry(key).or_default().push(idx);
    }

    let mut fit = Vec::new();
    let mut validation = Vec::new();
    for clips in groups.into_values() {
        // A cast from float to integer saturates, and NaN becomes 0.
        let n_held_out = (share * clips.len() as f64).round() as usize;
        let n_held_out = n_held_out.min(clips.len() - 1);
        let (held_out, kept) = divided(dataset, clips, n_held_out);
        validation.extend(held_out);
        fit.extend(kept);
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

/// The half of some clips that steers, and the other; both are all of them where there is only one.
pub(super) fn halves(dataset: &Dataset, clips: Vec<usize>) -> [Vec<usize>; 2] {
    if clips.len() < 2 {
        return [clips.clone(), clips];
    }
    let half = clips.len().div_ceil(2);
    divided(dataset, clips, half).into()
}

/// The first `count` clips in hash order, and the rest. Clips of one recording stay together on the first side, unless
/// the rest would then be empty.
pub(super) fn divided(
    dataset: &Dataset,
    clips: Vec<usize>,
    count: usize,
) -> (Vec<usize>, Vec<usize>) {
    let mut first = hash_order(dataset, clips);
    let recording = |idx: usize| dataset.clips[idx].recording();
    let mut end = count;
    while end > 0 && end < first.len() && recording(first[end - 1]) == recording(first[end]) {
        end += 1;
    }
    if end == first.len() {
        end = count;
    }
    let rest = first.split_off(end);
    (first, rest)
}

/// The clips ordered by the BLAKE3 hash of their recordings; clips of one recording by their whole names.
fn hash_order(dataset: &Dataset, mut clips: Vec<usize>) -> Vec<usize> {
    clips.sort_by_cached_key(|&idx| {
        let clip = &dataset.clips[idx];
        (
            *blake3::hash(clip.recording().as_bytes()).as_bytes(),
            &clip.name,
        )
    });
    clips
}
