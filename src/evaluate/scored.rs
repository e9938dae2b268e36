//! Scores all clips of a data set with a found model.

use std::collections::BTreeSet;

use super::{Model, RescoreError, Rescorer, ScoreBy};
use crate::{
    data::{Clip, Dataset, Label, Split},
    features::{Features, Matrix},
    score::{
        ClipScore, Official, OperatingPoint, Summary, THRESHOLD_QUANTILE, against, at_recall,
        official, quantile, summarise,
    },
};

/// Which clips are scored, and by which rule.
#[derive(Debug, Clone, Copy)]
pub struct Scoring {
    /// What tells how anomalous a clip is.
    pub rule: ScoreBy,
    /// Whether only test clips are scored.
    pub test_only: bool,
    /// Share of the labelled anomalies that the threshold must find, 0 to 1, at the fewest false alarms; `None` for the
    /// rule's own threshold.
    pub min_recall: Option<f64>,
}

/// The scored clips of a data set and their figures.
#[derive(Debug)]
pub struct Scored<'a> {
    /// The clips that are long enough for a window, with their scores; higher is more anomalous.
    pub clips: Vec<(&'a Clip, f64)>,
    /// The labelled test clips among them.
    pub labelled: Vec<ClipScore>,
    /// Figures of merit over the labelled test clips.
    pub summary: Summary,
    /// DCASE's official score; `None` where labels are missing.
    pub official: Option<Official>,
    /// A clip with a higher score is called anomalous; `None` where there is no threshold.
    pub threshold: Option<f64>,
    /// What the threshold for the wanted recall does.
    pub point: Option<OperatingPoint>,
    /// Clips that could be read but are shorter than a window.
    pub too_short: Vec<&'a Clip>,
}

/// Scores the clips of a data set with a model.
///
/// `features` are the data set's features as a device computes them, in dB.
///
/// # Errors
/// Where the rule does not suit the model, or needs more training clips.
pub fn score_clips<'a>(
    model: &Model,
    dataset: &'a Dataset,
    features: &Features,
    scoring: Scoring,
) -> Result<Scored<'a>, RescoreError> {
    let is_as_searched = scoring.rule == ScoreBy::Windows(model.card.clip_rule());
    let training: Vec<(&Clip, &Matrix)> = match is_as_searched {
        true => Vec::new(),
        false => training_clips(dataset, features),
    };
    let mut rescorer = Rescorer::new(model, scoring.rule, &training)?;
    let mut clips = Vec::new();
    let skipped: BTreeSet<&str> = features
        .skipped
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let mut too_short = Vec::new();
    for (clip, matrix) in dataset.clips.iter().zip(&features.clips) {
        if scoring.test_only && clip.split != Split::Test {
            continue;
        }
        match rescorer.clip_score(clip, matrix) {
            Some(score) => clips.push((clip, score)),
            None if skipped.contains(clip.name.as_str()) => {}
            None => too_short.push(clip),
        }
    }
    let labelled: Vec<ClipScore> = clips
        .iter()
        .filter_map(|(clip, score)| labelled(clip, *score))
        .collect();
    let of = |anomaly: bool| -> Vec<f64> {
        let chosen = labelled.iter().filter(|clip| clip.anomaly == anomaly);
        chosen.map(|clip| clip.score).collect()
    };
    let point = scoring
        .min_recall
        .and_then(|recall| at_recall(&of(false), &of(true), recall));
    let fitted = match is_as_searched {
        true => model.card.threshold,
        false => {
            let scores: Vec<f64> = training
                .iter()
                .filter_map(|(clip, matrix)| rescorer.clip_score(clip, matrix))
                .collect();
            quantile(&scores, THRESHOLD_QUANTILE)
        }
    };
    Ok(Scored {
        summary: summarise(&labelled),
        official: official(&labelled, against(dataset.layout)),
        threshold: point.map(|point| point.threshold).or(fitted),
        point,
        labelled,
        clips,
        too_short,
    })
}

/// Scores of the labelled test clips by the rule by which the model was searched.
///
/// # Errors
/// Where the model's network cannot be run.
pub fn test_scores(
    model: &Model,
    dataset: &Dataset,
    features: &Features,
) -> Result<Vec<ClipScore>, RescoreError> {
    let mut rescorer = Rescorer::new(model, ScoreBy::Windows(model.card.clip_rule()), &[])?;
    let clips = dataset.clips.iter().zip(&features.clips);
    let scored = clips.filter(|(clip, _)| clip.split == Split::Test);
    Ok(scored
        .filter_map(|(clip, matrix)| labelled(clip, rescorer.clip_score(clip, matrix)?))
        .collect())
}

/// The clip with its label and score; `None` where it is no labelled test clip.
fn labelled(clip: &Clip, score: f64) -> Option<ClipScore> {
    let label = clip.label.filter(|_| clip.split == Split::Test)?;
    Some(ClipScore {
        machine: clip.machine.clone(),
        section: clip.section.clone(),
        domain: clip.domain,
        anomaly: label == Label::Anomaly,
        score,
    })
}

/// Training clips that are not labelled anomalous, with their features.
fn training_clips<'a>(dataset: &'a Dataset, features: &'a Features) -> Vec<(&'a Clip, &'a Matrix)> {
    let clips = dataset.train_clips().into_iter();
    let clips = clips.map(|idx| (&dataset.clips[idx], &features.clips[idx]));
    clips
        .filter(|(clip, _)| clip.label != Some(Label::Anomaly))
        .collect()
}
