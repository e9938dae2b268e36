//! Scores clips by other rules than the one by which a model was searched.

use std::{collections::BTreeMap, str::FromStr};

use super::{Aim, Model, ModelFault, Scorer};
use crate::{
    data::{Clip, Domain},
    features::Matrix,
    score::{ClipRule, Mahalanobis, ResidualSums, clip_score},
};

/// What tells how anomalous a clip is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ScoreBy {
    /// Reconstruction error, or log-odds against the claimed section, of all windows together.
    Windows(ClipRule),
    /// The Mahalanobis length of an autoencoder's mean residual: the smaller of two, by the source and by the target
    /// training clips. This is the selective mode of the DCASE 2023 baseline.
    Mahalanobis,
    /// The Mahalanobis distance between a classifier's mean output and that of the claimed section's training clips.
    Embedding,
}

/// An unknown way to score; holds what the user wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to score; there are windows, mahalanobis and embedding")]
pub struct UnknownScore(String);

impl FromStr for ScoreBy {
    type Err = UnknownScore;

    fn from_str(text: &str) -> Result<ScoreBy, UnknownScore> {
        match text {
            "windows" => Ok(ScoreBy::Windows(ClipRule::Mean)),
            "mahalanobis" => Ok(ScoreBy::Mahalanobis),
            "embedding" => Ok(ScoreBy::Embedding),
            _ => Err(UnknownScore(text.to_string())),
        }
    }
}

/// A rule that does not suit a model or its training clips.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RescoreError {
    /// The network could not be run.
    #[error("the model cannot be run: {0}")]
    Model(#[from] ModelFault),
    /// The score needs a model of the other task.
    #[error("{score} scores need {needed}, and this model is {found}")]
    Task {
        /// Name of the score.
        score: &'static str,
        /// The kind of model that it needs.
        needed: &'static str,
        /// The kind of model that was given.
        found: &'static str,
    },
    /// The training clips do not determine a covariance.
    #[error(
        "{score} scores need training clips that vary in every band; the data has {clips} that are long enough"
    )]
    TooLittle {
        /// Name of the score.
        score: &'static str,
        /// Number of training clips that are long enough.
        clips: usize,
    },
}

/// Scores clips by a rule. Some rules are fitted to training clips first.
#[derive(Debug)]
pub struct Rescorer<'a> {
    scorer: Scorer<'a>,
    model: &'a Model,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Windows(ClipRule),
    Residual(Vec<Mahalanobis>),
    Embedding {
        distance: Mahalanobis,
        /// Mean output per class.
        centres: BTreeMap<usize, Vec<f32>>,
    },
}

impl<'a> Rescorer<'a> {
    /// Prepares the rule `by` for `model`. `training` are the normal training clips with the device's features in dB.
    ///
    /// # Errors
    /// Where the rule does not suit the model or its training clips.
    pub fn new(
        model: &'a Model,
        by: ScoreBy,
        training: &[(&Clip, &Matrix)],
    ) -> Result<Rescorer<'a>, RescoreError> {
        let mut scorer = Scorer::new(model)?;
        let rule = match (by, model.card.aim()) {
            (ScoreBy::Windows(rule), _) => Rule::Windows(rule),
            (ScoreBy::Mahalanobis, Aim::Reconstruct) => {
                residual_rule(&mut scorer, model, training)?
            }
            (ScoreBy::Embedding, Aim::Classify { .. }) => {
                embedding_rule(&mut scorer, model, training)?
            }
            (ScoreBy::Mahalanobis, aim) => {
                return Err(RescoreError::Task {
                    score: "mahalanobis",
                    needed: "an autoencoder",
                    found: named(aim),
                });
            }
            (ScoreBy::Embedding, aim) => {
                return Err(RescoreError::Task {
                    score: "embedding",
                    needed: "a classifier",
                    found: named(aim),
                });
            }
        };
        Ok(Rescorer {
            scorer,
            model,
            rule,
        })
    }

    /// The score of a clip, from the device's features in dB; `None` where it is shorter than one window.
    pub fn clip_score(&mut self, clip: &Clip, features: &Matrix) -> Option<f64> {
        let class = self.model.card.class_of(clip);
        match &self.rule {
            Rule::Windows(rule) => {
                let scores = self.scorer.window_scores(features, class);
                clip_score(*rule, self.model.card.score_windows, &scores)
            }
            Rule::Residual(domains) => {
                let residual = self.scorer.residuals(features).concat();
                if residual.is_empty() {
                    return None;
                }
                domains
                    .iter()
                    .map(|domain| domain.score(&residual))
                    .reduce(f64::min)
            }
            Rule::Embedding { distance, centres } => {
                let outputs = self.scorer.outputs(features);
                let offset = mean_offset(&outputs, centres.get(&class)?)?;
                Some(distance.score(&offset))
            }
        }
    }
}

/// What a model of an aim is called.
fn named(aim: Aim) -> &'static str {
    match aim {
        Aim::Reconstruct => "an autoencoder",
        Aim::Classify { .. } => "a classifier",
        Aim::Distance => "a distance already",
    }
}

fn residual_rule(
    scorer: &mut Scorer,
    model: &Model,
    training: &[(&Clip, &Matrix)],
) -> Result<Rule, RescoreError> {
    let [_, bands] = model.card.front_end().window();
    let mut sums: BTreeMap<Domain, ResidualSums> = BTreeMap::new();
    for (clip, features) in training {
        let sums = sums
            .entry(clip.domain)
            .or_insert_with(|| ResidualSums::new(bands));
        for residual in scorer.residuals(features) {
            sums.add(&residual);
        }
    }
    let domains: Vec<Mahalanobis> = sums
        .values()
        .filter_map(ResidualSums::mahalanobis)
        .collect();
    match domains.is_empty() {
        true => Err(RescoreError::TooLittle {
            score: "mahalanobis",
            clips: training.len(),
        }),
        false => Ok(Rule::Residual(domains)),
    }
}

fn embedding_rule(
    scorer: &mut Scorer,
    model: &Model,
    training: &[(&Clip, &Matrix)],
) -> Result<Rule, RescoreError> {
    let mut by_class: BTreeMap<usize, Vec<Vec<f32>>> = BTreeMap::new();
    for (clip, features) in training {
        let outputs = scorer.outputs(features);
        by_class
            .entry(model.card.class_of(clip))
            .or_default()
            .extend(outputs);
    }
    let n_outputs = model.card.classes.len();
    let mut sums = ResidualSums::new(n_outputs);
    let mut centres = BTreeMap::new();
    for (class, outputs) in by_class {
        let origin = vec![0.0; n_outputs];
        let Some(centre) = mean_offset(&outputs, &origin) else {
            continue;
        };
        for output in &outputs {
            let offset: Vec<f32> = output.iter().zip(&centre).map(|(o, c)| o - c).collect();
            sums.add(&offset);
        }
        centres.insert(class, centre);
    }
    match sums.mahalanobis() {
        Some(distance) => Ok(Rule::Embedding { distance, centres }),
        None => Err(RescoreError::TooLittle {
            score: "embedding",
            clips: training.len(),
        }),
    }
}

/// The mean of the outputs less the origin; `None` without outputs.
fn mean_offset(outputs: &[Vec<f32>], origin: &[f32]) -> Option<Vec<f32>> {
    if outputs.is_empty() {
        return None;
    }
    let count = outputs.len() as f64;
    let mean = |(idx, origin): (usize, &f32)| {
        let sum: f64 = outputs.iter().map(|output| f64::from(output[idx])).sum();
        (sum / count - f64::from(*origin)) as f32
    };
    Some(origin.iter().enumerate().map(mean).collect())
}
