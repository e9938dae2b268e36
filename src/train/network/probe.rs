//! Access to a network for tests.

use burn::{module::Param, tensor::Tensor};

use super::{Network, host, tensor};
use crate::units::Rng;

impl Network {
    /// Sets scales and shifts to values unlike the initial ones, so that mistakes with them show.
    pub fn disturb(&mut self, rng: &mut Rng) {
        self.for_each_vector(|value| value + (0.3 * rng.normal()) as f32);
    }

    fn for_each_vector(&mut self, mut change: impl FnMut(f32) -> f32) {
        for layer in self.layers.iter_mut().flatten() {
            for parameter in layer.scale.iter_mut().chain([&mut layer.shift]) {
                let old = parameter.val();
                let values: Vec<f32> = host(old.clone()).into_iter().map(&mut change).collect();
                *parameter = Param::from_tensor(tensor(values, old.dims(), &old.device()));
            }
        }
    }

    /// Adds to one value of a parameter; parameters count as in [`Network::gradients`].
    pub fn nudge(&mut self, parameter: usize, idx: usize, change: f32) {
        fn apply<const D: usize>(parameter: &mut Param<Tensor<D>>, idx: usize, change: f32) {
            let old = parameter.val();
            let mut values = host(old.clone());
            values[idx] += change;
            *parameter = Param::from_tensor(tensor(values, old.dims(), &old.device()));
        }
        let mut count = 0;
        for layer in self.layers.iter_mut().flatten() {
            if count == parameter {
                apply(&mut layer.weight, idx, change);
            }
            count += 1;
            for vector in layer.scale.iter_mut().chain([&mut layer.shift]) {
                if count == parameter {
                    apply(vector, idx, change);
                }
                count += 1;
            }
        }
    }

    /// Gradients of weight, scale and shift of every layer.
    pub fn gradients(&self, gradients: &burn::tensor::Gradients) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        for layer in self.layers.iter().flatten() {
            all.push(host(
                layer
                    .weight
                    .val()
                    .grad(gradients)
                    .expect("weights are trained"),
            ));
            for vector in layer.scale.iter().chain([&layer.shift]) {
                all.push(host(
                    vector
                        .val()
                        .grad(gradients)
                        .expect("scales and shifts are trained"),
                ));
            }
        }
        all
    }
}
