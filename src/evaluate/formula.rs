//! An evaluator that does not train, for tests of everything around it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{EvaluateError, Evaluation, Evaluator, Scores};
use crate::{
    score::{Figure, Figures, Measure},
    space::{Candidate, Task, Training},
};

/// Scores that grow with the logarithm of the parameters, with a ripple that depends on the candidate.
#[derive(Debug, Clone, Copy)]
pub struct Formula {
    /// How long one training pretends to take; a fit takes no time.
    pub pause: Duration,
}

impl Evaluator for Formula {
    fn content_key(&self, candidate: &Candidate, training: &Training, seed: u64) -> String {
        format!(
            "formula-{}-{}-{seed}",
            candidate.network_key(),
            training.epochs
        )
    }

    fn expected_seconds(&self, candidate: &Candidate, _: &Training) -> f64 {
        1e-3 + 1e-6 * candidate.graph.macs() as f64
    }

    fn evaluate(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError> {
        let key = self.content_key(candidate, training, seed);
        let hash = blake3::hash(key.as_bytes());
        let ripple = f64::from(hash.as_bytes()[0]) / 2550.0;
        if !matches!(candidate.task, Task::Distance(_)) {
            thread::sleep(self.pause.mul_f64(0.5 + 10.0 * ripple));
        }
        if stop.load(Ordering::Relaxed) {
            return Err(EvaluateError::Interrupted);
        }
        if hash.as_bytes()[1] < 8 {
            return Err(EvaluateError::Failed(
                "the formula fails one time in 32".to_string(),
            ));
        }
        let auc = 0.5 + 0.4 * (1.0 - 1.0 / (candidate.graph.params() as f64).ln()) + ripple - 0.1;
        let auc = auc.min(1.0);
        let pauc = auc / 2.0 + 0.25;
        let figures = Figures::default()
            .with(Figure::AUC, auc)
            .with(Figure::steering(Measure::Pauc), pauc)
            .with(Figure::AUC_FLOAT, auc)
            .with(Figure::float(Measure::Pauc), pauc)
            .with(Figure::test(Measure::Auc), auc);
        Ok(Evaluation {
            scores: Scores {
                epochs: training.epochs,
                ..Scores::headline(figures)
            },
            model: None,
        })
    }
}
