//! Settings of training.

use serde::Deserialize;

use crate::identity::{self, Canonical};

/// How candidates of a space are trained, unless the user chooses otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Most passes over the training windows, at least 1.
    pub epochs: usize,
    /// Windows per step, at least 2.
    pub batch_size: usize,
    /// Peak learning rate of Adam, above zero.
    pub learning_rate: f32,
    /// Most windows per epoch.
    pub windows_per_epoch: usize,
    /// Most multiply-accumulates of the forward passes of an epoch; large networks see fewer windows.
    pub macs_per_epoch: f64,
    /// Training stops after this many epochs without improvement on held-out clips, and the best epoch's weights are
    /// kept. With 0 it runs to the end and keeps the last weights.
    #[serde(default = "usual_patience")]
    pub patience: usize,
    /// Means against overfitting; none by default.
    #[serde(default)]
    pub recipe: Recipe,
}

/// Means against overfitting, each between 0 and 1; zero leaves one out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Parameter of the symmetric beta distribution that two windows are mixed by (Zhang et al., 2018).
    pub mix_up: f32,
    /// Largest share of the frames that one mask hides (SpecAugment, Park et al., 2019).
    pub mask_frames: f32,
    /// Largest share of the bands that one mask hides.
    pub mask_bands: f32,
    /// Standard deviation of noise on every standardised value.
    pub noise: f32,
    /// Probability that a classifier's targets spread evenly over all classes.
    pub label_smoothing: f32,
    /// Weight of the loss that stops an autoencoder from reconstructing known outliers (Hendrycks et al., 2019).
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
    /// That of what is fitted in closed form, which takes no notice of it.
    pub const NONE: Training = Training {
        epochs: 1,
        batch_size: 2,
        learning_rate: 1.0,
        windows_per_epoch: 1,
        macs_per_epoch: 1.0,
        patience: 0,
        recipe: Recipe {
            mix_up: 0.0,
            mask_frames: 0.0,
            mask_bands: 0.0,
            noise: 0.0,
            label_smoothing: 0.0,
            outlier_exposure: 0.0,
        },
    };

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
            "recipe.{name} is {value}, but must be between 0 and 1"
        ))
    }
}
