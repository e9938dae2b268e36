//! A batch on the host, and the recipe's disturbances: windows are mixed in pairs, masked, shifted and made noisy.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{space::Recipe, units::Rng};

/// Windows and their targets, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Number of windows.
    pub size: usize,
    /// The windows, `size` rows.
    pub inputs: Vec<f32>,
    /// The targets, `size` rows: sounds of an autoencoder, or probabilities of classes.
    pub targets: Vec<f32>,
}

impl Batch {
    /// Inputs and targets as `[batch, values]`.
    pub fn tensors(self, device: &Device) -> [Tensor<2>; 2] {
        let size = self.size;
        [self.inputs, self.targets].map(|values| {
            let shape = [size, values.len() / size.max(1)];
            Tensor::from_data(TensorData::new(values, shape), device)
        })
    }

    /// Adds other windows after these.
    pub fn append(&mut self, mut other: Batch) {
        self.size += other.size;
        self.inputs.append(&mut other.inputs);
        self.targets.append(&mut other.targets);
    }

    /// Applies a recipe to windows of `frames` frames. An autoencoder's targets are without masks and noise.
    pub fn disturb(&mut self, recipe: &Recipe, frames: usize, rng: &mut Rng) {
        let window_len = self.inputs.len() / self.size.max(1);
        let is_classifier = self.targets.len() != self.inputs.len();
        if recipe.mix_up > 0.0 {
            self.mix(f64::from(recipe.mix_up), rng);
        }
        if recipe.label_smoothing > 0.0 && is_classifier {
            let classes = self.targets.len() / self.size.max(1);
            let kept = 1.0 - recipe.label_smoothing;
            for target in &mut self.targets {
                *target = kept * *target + recipe.label_smoothing / classes as f32;
            }
        }
        for window in self.inputs.chunks_exact_mut(window_len.max(1)) {
            if recipe.noise > 0.0 {
                add_noise(window, recipe.noise, rng);
            }
            mask(window, frames, [recipe.mask_frames, recipe.mask_bands], rng);
        }
    }

    /// Mixes each window with the next one, and the last with the first, by shares from a symmetric beta
    /// distribution.
    fn mix(&mut self, alpha: f64, rng: &mut Rng) {
        let shares: Vec<f32> = (0..self.size).map(|_| beta(alpha, rng) as f32).collect();
        for values in [&mut self.inputs, &mut self.targets] {
            let len = values.len() / self.size.max(1);
            let first = values[..len].to_vec();
            for (idx, share) in shares.iter().enumerate() {
                let (own, others) = values[idx * len..].split_at_mut(len);
                let other = others.get(..len).unwrap_or(&first);
                for (value, other) in own.iter_mut().zip(other) {
                    *value = share * *value + (1.0 - share) * other;
                }
            }
        }
    }
}

/// Adds normal noise of this deviation, two values per draw (Box-Muller in f32: training does not notice millionths).
fn add_noise(window: &mut [f32], deviation: f32, rng: &mut Rng) {
    for pair in window.chunks_mut(2) {
        let radius =
            deviation * (-2.0 * (1.0 - rng.uniform() as f32).max(f32::MIN_POSITIVE).ln()).sqrt();
        let (sine, cosine) = (std::f32::consts::TAU * rng.uniform() as f32).sin_cos();
        for (value, part) in pair.iter_mut().zip([cosine, sine]) {
            *value += radius * part;
        }
    }
}

/// Sets a run of frames and a run of bands to the mean, 0; `longest` holds their largest shares.
fn mask(window: &mut [f32], frames: usize, longest: [f32; 2], rng: &mut Rng) {
    let bands = window.len() / frames.max(1);
    let mut run = |count: usize, longest: f32| {
        let most = (longest * count as f32) as usize;
        match most {
            0 => 0..0,
            _ => {
                let length = rng.below(most + 1);
                let first = rng.below(count - length + 1);
                first..first + length
            }
        }
    };
    let hidden_frames = run(frames, longest[0]);
    let hidden_bands = run(bands, longest[1]);
    for (frame, values) in window.chunks_exact_mut(bands.max(1)).enumerate() {
        match hidden_frames.contains(&frame) {
            true => values.fill(0.0),
            false => values[hidden_bands.clone()].fill(0.0),
        }
    }
}

/// A draw from the beta distribution with both shapes `alpha`, at most 1 (Jöhnk, 1964).
fn beta(alpha: f64, rng: &mut Rng) -> f64 {
    loop {
        let [a, b] = [rng.uniform(), rng.uniform()].map(|uniform| uniform.powf(1.0 / alpha));
        if a + b <= 1.0 {
            // Both vanish only for tiny shapes, and those give 0 or 1.
            return if a + b > 0.0 { a / (a + b) } else { 1.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    const FRAMES: usize = 6;
    const BANDS: usize = 5;

    /// Window `n` is full of `n + 1`; of two classes, windows take turns.
    fn batch(size: usize) -> Batch {
        let row = |idx: usize| vec![idx as f32 + 1.0; FRAMES * BANDS];
        let target = |idx: usize| [[1.0, 0.0], [0.0, 1.0]][idx % 2];
        Batch {
            size,
            inputs: (0..size).flat_map(row).collect(),
            targets: (0..size).flat_map(target).collect(),
        }
    }

    fn disturbed(size: usize, recipe: Recipe, seed: u64) -> Batch {
        let mut batch = batch(size);
        batch.disturb(&recipe, FRAMES, &mut Rng::new(seed, 0));
        batch
    }

    #[test]
    fn an_empty_recipe_changes_nothing() {
        assert_eq!(disturbed(7, Recipe::default(), 1), batch(7));
    }

    proptest! {
        #[test]
        fn mixtures_lie_between_neighbours(size in 1usize..9, alpha in 0.01f32..1.0, seed: u64) {
            let recipe = Recipe { mix_up: alpha, ..Recipe::default() };
            let mixed = disturbed(size, recipe, seed);
            for (idx, (window, target)) in mixed.inputs.chunks(FRAMES * BANDS).zip(mixed.targets.chunks(2)).enumerate() {
                let (own, next) = (idx as f32 + 1.0, ((idx + 1) % size) as f32 + 1.0);
                let share = (window[0] - next) / (own - next);
                prop_assert!(window.iter().all(|value| *value == window[0]));
                prop_assert!(window[0] >= own.min(next) - 1e-5 && window[0] <= own.max(next) + 1e-5);
                prop_assert!((target[0] + target[1] - 1.0).abs() < 1e-6);
                // Sound and label are mixed by the same share, where the neighbours' labels differ.
                if (idx + 1) % size % 2 != idx % 2 {
                    prop_assert!((target[idx % 2] - share).abs() < 1e-5, "{target:?} {share}");
                }
            }
        }

        #[test]
        fn masks_hide_whole_frames_and_bands(share in 0.0f32..=1.0, seed: u64) {
            let recipe = Recipe { mask_frames: share, mask_bands: share, ..Recipe::default() };
            let masked = disturbed(3, recipe, seed);
            prop_assert_eq!(&masked.targets, &batch(3).targets);
            for window in masked.inputs.chunks(FRAMES * BANDS) {
                let hidden = |frame: usize, band: usize| window[frame * BANDS + band] == 0.0;
                let frames = (0..FRAMES).filter(|&f| (0..BANDS).all(|b| hidden(f, b))).count();
                let bands = (0..BANDS).filter(|&b| (0..FRAMES).all(|f| hidden(f, b))).count();
                let all = window.iter().filter(|value| **value == 0.0).count();
                if frames < FRAMES && bands < BANDS {
                    prop_assert!(frames as f32 <= share * FRAMES as f32);
                    prop_assert!(bands as f32 <= share * BANDS as f32);
                    prop_assert_eq!(all, frames * BANDS + bands * FRAMES - frames * bands);
                }
            }
        }
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let mut rng = Rng::new(3, 0);
        let check = |values: &[f64], mean: f64, variance: f64| {
            let count = values.len() as f64;
            let found = values.iter().sum::<f64>() / count;
            let spread = values.iter().map(|v| (v - found).powi(2)).sum::<f64>() / count;
            // Six standard errors of 10,000 draws.
            assert!((found - mean).abs() < 0.06 * variance.sqrt(), "{found}");
            assert!((spread / variance - 1.0).abs() < 0.1, "{spread}");
        };
        for alpha in [0.2, 0.5, 1.0] {
            let shares: Vec<f64> = (0..10_000).map(|_| beta(alpha, &mut rng)).collect();
            check(&shares, 0.5, 0.25 / (2.0 * alpha + 1.0));
        }
        let mut window = vec![0.0; 10_000];
        add_noise(&mut window, 0.3, &mut rng);
        let noise: Vec<f64> = window.into_iter().map(f64::from).collect();
        check(&noise, 0.0, 0.09);
    }
}
