//! Adam in one pass over each parameter, as an optimiser of burn.

use burn::{
    optim::{AdamState, AdaptiveMomentumState, Optimizer},
    tensor::{Device, Tensor},
};

use super::kernels;

/// Defaults of Kingma and Ba.
pub const BETAS: [f32; 2] = [0.9, 0.999];
/// Default of Keras.
pub const EPSILON: f32 = 1e-7;

/// Adam that updates parameters and moments in place.
#[derive(Clone)]
pub struct FusedAdam;

impl Optimizer for FusedAdam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let device = parameter.device();
        let momentum = state.map_or_else(
            || {
                let zeros = parameter.zeros_like();
                AdaptiveMomentumState::new(0, zeros.clone(), zeros)
            },
            |state| state.momentum,
        );
        let time = momentum.time + 1;
        let mut values = [parameter, momentum.moment_1, momentum.moment_2].map(Tensor::into_data);
        let gradient = gradient.into_data();
        let [parameter, first, second] = &mut values;
        const F32: &str = "parameters are f32";
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        kernels::adam(
            parameter.as_mut_slice().expect(F32),
            gradient.as_slice().expect(F32),
            first.as_mut_slice().expect(F32),
            second.as_mut_slice().expect(F32),
            BETAS,
            (rate / (1.0 - f64::from(BETAS[0]).powi(power))) as f32,
            (1.0 / (1.0 - f64::from(BETAS[1]).powi(power)).sqrt()) as f32,
            EPSILON,
        );
        let [parameter, first, second] = values.map(|data| Tensor::from_data(data, &device));
        let momentum = AdaptiveMomentumState::new(time, first, second);
        (parameter, Some(AdamState::new(momentum)))
    }

    fn to_device<const D: usize>(mut state: AdamState<D>, device: &Device) -> AdamState<D> {
        state.momentum.moment_1 = state.momentum.moment_1.to_device(device);
        state.momentum.moment_2 = state.momentum.moment_2.to_device(device);
        state
    }
}
