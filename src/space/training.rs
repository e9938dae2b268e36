//! How candidates of a space are trained.

use serde::Deserialize;

use crate::identity::{self, Canonical};

/// How candidates of a space are trained, unless the user says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub epochs: usize,
    pub batch_size: usize,
    /// Peak learning rate of Adam.
    pub learning_rate: f32,
    /// Windows drawn per epoch at most.
    pub windows_per_epoch: usize,
    /// Multiply-accumulates of the forward passes of an epoch at most: large networks see fewer windows.
    pub macs_per_epoch: f64,
    /// Epochs without improvement on held-out clips before training stops, and the best epoch's weights are kept; with
    /// 0 it goes on to the end and keeps the last ones.
    #[serde(default = "usual_patience")]
    pub patience: usize,
    #[serde(default)]
    pub recipe: Recipe,
}

/// What keeps a network from learning its training windows by heart; zero leaves a means out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Shape of the symmetric beta distribution of the shares by which two windows are mixed (Zhang et al., 2018).
    pub mix_up: f32,
    /// Longest share of the frames that one mask hides (SpecAugment, Park et al., 2019).
    pub mask_frames: f32,
    /// Longest share of the bands that one mask hides.
    pub mask_bands: f32,
    /// Standard deviation of noise on every standardised value.
    pub noise: f32,
    /// Probability that a classifier's targets share out evenly over all classes.
    pub label_smoothing: f32,
    /// Weight of the loss that keeps an autoencoder from reconstructing known outliers (Hendrycks et al., 2019).
    pub outlier_exposure: f32,
}

impl Canonical for Recipe {
    fn write_canonical(&self, text: &mut String) {
        let Recipe {
            mix_up,
            mask_frames,
            mask_bands,
            noise,
            label_smoothing,
            outlier_exposure,
        } = self;
        let fields: [(&str, &dyn Canonical); 6] = [
            ("mix_up", mix_up),
            ("mask_frames", mask_frames),
            ("mask_bands", mask_bands),
            ("noise", noise),
            ("label_smoothing", label_smoothing),
            ("outlier_exposure", outlier_exposure),
        ];
        identity::record(text, "Recipe", &fields);
    }
}

fn usual_patience() -> usize {
    6
}

impl Training {
    /// What is wrong with these values; `None` where nothing is.
    pub fn fault(&self) -> Option<String> {
        let positive = |value: f64| value > 0.0;
        if self.epochs == 0
            || self.windows_per_epoch == 0
            || !positive(self.macs_per_epoch)
            || self.batch_size < 2
            || !positive(f64::from(self.learning_rate))
        {
            return Some(
                "needs at least one epoch of one window, positive macs_per_epoch, a batch of two and a positive learning rate"
                    .to_string(),
            );
        }
        let recipe = &self.recipe;
        let shares = [
            ("mix_up", recipe.mix_up),
            ("mask_frames", recipe.mask_frames),
            ("mask_bands", recipe.mask_bands),
            ("noise", recipe.noise),
            ("label_smoothing", recipe.label_smoothing),
            ("outlier_exposure", recipe.outlier_exposure),
        ];
        let (name, value) = shares
            .into_iter()
            .find(|(_, value)| !(0.0..=1.0).contains(value))?;
        Some(format!(
            "recipe.{name} is {value}; numbers between 0 and 1 can stand there"
        ))
    }
}
