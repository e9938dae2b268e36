//! A batch on the host, and how a recipe disturbs it: windows mixed in pairs, masked, shifted, made noisy.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{space::Recipe, units::Rng};

/// Windows and what they are to become, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub size: usize,
    pub inputs: Vec<f32>,
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

    /// Applies a recipe to windows of `frames` frames. An autoencoder still has to give the sound without masks,
    /// level and noise.
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
            if recipe.level > 0.0 {
                let shift = f64::from(recipe.level) * rng.normal();
                window.iter_mut().for_each(|value| *value += shift as f32);
            }
            if recipe.noise > 0.0 {
                let draw = |value: &mut f32| *value += recipe.noise * rng.normal() as f32;
                window.iter_mut().for_each(draw);
            }
            mask(window, frames, [recipe.mask_frames, recipe.mask_bands], rng);
        }
    }

    /// Mixes every window with the next one, the last with the first, by shares from a symmetric beta distribution.
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

/// Hides a run of frames and a run of bands behind the mean, which is 0; each is at most that share long.
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
            // Both vanish only for tiny shapes, which give 0 or 1.
            return if a + b > 0.0 { a / (a + b) } else { 1.0 };
        }
    }
}
