//! What of a data set a run uses, and what a user should know about it before scores mean anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    audio::FeatureSpec,
    data::{self, Clip, Dataset, Label},
    evaluate::Pipeline,
    features::FeatureError,
    space::Spaces,
};

/// A run asks before it goes on without this share of its labelled clips.
const MANY: f64 = 0.1;
/// Names of clips in one sentence.
const SHOWN: usize = 3;

/// Labelled clips that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{lost} of {all} {kind} cannot be used: {examples}; scores would be those of another data set. \
     `nas data info` lists them; --allow-skipped begins all the same"
)]
pub struct Losses {
    lost: usize,
    all: usize,
    kind: &'static str,
    examples: String,
}

/// The clips of a data set by what became of them.
pub(super) struct Account {
    /// What a user should know, a sentence each.
    pub notes: Vec<String>,
    losses: Option<Losses>,
}

impl Account {
    /// Looks at the clips of a pipeline, for a search of these spaces.
    pub fn of(pipeline: &Pipeline, spaces: &Spaces) -> Result<Account, FeatureError> {
        let dataset = pipeline.dataset();
        let features = pipeline.extracted(&probe(pipeline))?;
        let look = data::look(dataset);
        let mut lost: BTreeMap<&str, &str> = features
            .skipped
            .iter()
            .map(|(name, reason)| (name.as_str(), without_path(reason)))
            .collect();
        for clip in look.inaudible(dataset) {
            let reason = "is digital silence to a device of 16 bits";
            lost.entry(&clip.name).or_insert(reason);
        }
        let skipped: Vec<String> = lost
            .iter()
            .map(|(name, reason)| format!("{name} ({reason})"))
            .collect();
        let mut notes = dataset.notes.clone();
        let mut note = |names: &[String], words: &str| {
            if !names.is_empty() {
                notes.push(format!("{} {words}: {}", clips(names.len()), few(names)));
            }
        };
        note(&skipped, "left out, because they cannot be used");
        let frames = pipeline.shortest_clip_frames(&probe(pipeline))?;
        let measured = dataset.clips.iter().zip(0..features.clips());
        let short: Vec<String> = measured
            .filter(|(clip, idx)| {
                clip.disturbed().is_none() && (1..frames).contains(&features.frames(*idx))
            })
            .map(|(clip, _)| clip.name.clone())
            .collect();
        note(
            &short,
            "shorter than nine of ten are; networks whose windows do not fit them neither train on them nor count them",
        );
        let rates: BTreeSet<u32> = spaces
            .spaces()
            .iter()
            .map(|space| space.sample_rate_hz)
            .collect();
        for (rate_hz, count) in look.rates_hz() {
            let others: Vec<String> = rates
                .iter()
                .filter(|to| **to != rate_hz)
                .map(u32::to_string)
                .collect();
            if !others.is_empty() {
                notes.push(format!(
                    "{} of {rate_hz} Hz: resampled to {} Hz",
                    clips(count),
                    others.join(" or ")
                ));
            }
        }
        notes.extend(look.notes(dataset));
        notes.extend(pipeline.notes());
        Ok(Account {
            losses: losses(dataset, &lost),
            notes,
        })
    }

    /// Fails where too many labelled clips cannot be used.
    pub fn refuse_losses(&self) -> Result<(), Losses> {
        match &self.losses {
            None => Ok(()),
            Some(losses) => Err(Losses {
                examples: losses.examples.clone(),
                ..*losses
            }),
        }
    }
}

/// The front end that clips are measured with.
pub(super) fn probe(pipeline: &Pipeline) -> FeatureSpec {
    let fixed = pipeline.dataset().fixed_features;
    fixed.unwrap_or(FeatureSpec::DCASE)
}

/// The kind of clips of which too many are lost; files that are no clips count among all of them.
fn losses(dataset: &Dataset, lost: &BTreeMap<&str, &str>) -> Option<Losses> {
    let labelled = || {
        let real = dataset
            .clips
            .iter()
            .filter(|clip| clip.disturbed().is_none());
        real.filter(|clip| clip.label.is_some())
    };
    let no_clips: Vec<&str> = dataset
        .left_out
        .iter()
        .filter(|file| file.is_clip)
        .map(|file| file.name.as_str())
        .collect();
    let of = |kind, clips: Vec<&Clip>, further: &[&str]| {
        let own = clips.iter().filter_map(|clip| {
            let reason = lost.get(clip.name.as_str())?;
            Some(format!("{} ({reason})", clip.name))
        });
        let further_names = further.iter().map(|name| name.to_string());
        let names: Vec<String> = own.chain(further_names).collect();
        let all = clips.len() + further.len();
        let is_much = !names.is_empty() && names.len() as f64 >= MANY * all as f64;
        is_much.then(|| Losses {
            lost: names.len(),
            all,
            kind,
            examples: few(&names),
        })
    };
    let with = |label| {
        labelled()
            .filter(|clip| clip.label == Some(label))
            .collect()
    };
    of("clips with the label `anomaly`", with(Label::Anomaly), &[])
        .or_else(|| of("clips with the label `normal`", with(Label::Normal), &[]))
        .or_else(|| of("labelled files", labelled().collect(), &no_clips))
}

/// A reason without the path in front of it: the clip's name says that already.
fn without_path(reason: &str) -> &str {
    match reason.split_once(": ") {
        Some((path, rest)) if path.contains('/') => rest,
        _ => reason,
    }
}

fn clips(count: usize) -> String {
    format!("{count} clip{}", if count == 1 { "" } else { "s" })
}

fn few(names: &[String]) -> String {
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
