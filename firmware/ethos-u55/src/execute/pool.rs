//! Pooling.

use super::{Finish, taps};
use crate::{
    error::Problem,
    operation::{Kernel, PoolMode, Window},
    scale::Scale,
};

/// Outputs of a pool over an input whose zero point is taken off.
///
/// Padding never is the largest and does not count for a mean.
pub fn pool(
    kernel: &Kernel,
    window: &Window,
    mode: PoolMode,
    scale: Scale,
    input: &[i32],
    finish: &Finish,
) -> Result<Vec<i32>, Problem> {
    let depth = kernel.ifm.shape.depth;
    let shape = kernel.ofm.shape;
    let mut values = Vec::with_capacity(shape.elements());
    let mut pooled = vec![0_i64; depth];
    for y in 0..shape.height {
        for x in 0..shape.width {
            let mut count = 0;
            pooled.fill(if mode == PoolMode::Max { i64::MIN } else { 0 });
            for (_, pixel) in taps(window, [y, x]) {
                count += 1;
                let inputs = &input[pixel * depth..(pixel + 1) * depth];
                for (pooled, &input) in pooled.iter_mut().zip(inputs) {
                    let input = i64::from(input);
                    *pooled = match mode {
                        PoolMode::Max => input.max(*pooled),
                        _ => *pooled + input,
                    };
                }
            }
            if count == 0 {
                return Err(Problem::Contradiction("a window that is all padding"));
            }
            let scale = match mode {
                PoolMode::Average if window.has_padding() => Scale::mean_of(count),
                _ => scale,
            };
            if mode == PoolMode::ReduceSum {
                values.push(finish.output(pooled.iter().sum(), scale));
            } else {
                let outputs = pooled.iter().map(|&pooled| finish.output(pooled, scale));
                values.extend(outputs);
            }
        }
    }
    Ok(values)
}
