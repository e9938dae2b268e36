//! Sums of products of 8-bit inputs and weights, many at a time.
//!
//! Both are below 2^8 in magnitude, so that 256 products sum up to less than 2^24, which a 32-bit float holds
//! exactly: the order of the sums does not matter, and vector instructions of any width give the same.

/// Outputs of a group.
pub const LANES: usize = 16;
/// Pixels that share a reading of weights.
pub const PIXELS: usize = 4;
/// Products whose sum a float holds.
const EXACT: usize = 256;

/// Weights `[output][tap]` in groups of [`LANES`] outputs, tap by tap; zeros fill the last group.
pub fn group(weights: &[i16], taps: usize) -> Vec<Vec<[f32; LANES]>> {
    let outputs = weights.chunks(taps * LANES);
    outputs
        .map(|outputs| {
            let mut group = vec![[0.0; LANES]; taps];
            for (lane, weights) in outputs.chunks_exact(taps).enumerate() {
                for (row, &weight) in group.iter_mut().zip(weights) {
                    row[lane] = f32::from(weight);
                }
            }
            group
        })
        .collect()
}

/// Sums of [`PIXELS`] patches, as long as the group, with all outputs of a group.
pub type Sums = fn(&[Vec<f32>; PIXELS], &[[f32; LANES]]) -> [[i64; LANES]; PIXELS];

/// The fastest build for this machine.
pub fn sums() -> Sums {
    #[cfg(target_arch = "x86_64")]
    if let Some(sums) = x86::sums() {
        return sums;
    }
    |patches, group| body(patches, group, |sum, input, weight| sum + input * weight)
}

#[inline(always)]
fn body(
    patches: &[Vec<f32>; PIXELS],
    group: &[[f32; LANES]],
    add: impl Fn(f32, f32, f32) -> f32,
) -> [[i64; LANES]; PIXELS] {
    let mut sums = [[0; LANES]; PIXELS];
    for (idx, rows) in group.chunks(EXACT).enumerate() {
        let from = idx * EXACT;
        let [a, b, c, d] = [0, 1, 2, 3].map(|pixel| &patches[pixel][from..from + rows.len()]);
        let mut exact = [[0.0_f32; LANES]; PIXELS];
        let inputs = a.iter().zip(b).zip(c).zip(d);
        for (row, (((&a, &b), &c), &d)) in rows.iter().zip(inputs) {
            for lane in 0..LANES {
                exact[0][lane] = add(exact[0][lane], a, row[lane]);
                exact[1][lane] = add(exact[1][lane], b, row[lane]);
                exact[2][lane] = add(exact[2][lane], c, row[lane]);
                exact[3][lane] = add(exact[3][lane], d, row[lane]);
            }
        }
        for (sums, exact) in sums.iter_mut().zip(exact) {
            for (sum, exact) in sums.iter_mut().zip(exact) {
                *sum += i64::from(exact as i32);
            }
        }
    }
    sums
}

/// The same code compiled for the vector instructions of x86-64 hosts.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a function that needs CPU features may be called once they were found"
)]
mod x86 {
    use super::{LANES, PIXELS, Sums, body};

    pub fn sums() -> Option<Sums> {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was found on this CPU.
            Some(|patches, group| unsafe { with_avx512(patches, group) })
        } else if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
        {
            // SAFETY: the features were found on this CPU.
            Some(|patches, group| unsafe { with_avx2(patches, group) })
        } else {
            None
        }
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    fn with_avx512(patches: &[Vec<f32>; PIXELS], group: &[[f32; LANES]]) -> [[i64; LANES]; PIXELS] {
        body(patches, group, |sum, input, weight| {
            input.mul_add(weight, sum)
        })
    }

    #[target_feature(enable = "avx2,fma")]
    fn with_avx2(patches: &[Vec<f32>; PIXELS], group: &[[f32; LANES]]) -> [[i64; LANES]; PIXELS] {
        body(patches, group, |sum, input, weight| {
            input.mul_add(weight, sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest sums there are, longer than a float holds at once, are exact in every build.
    #[test]
    fn sums_are_exact() {
        let taps = 1000;
        let weights: Vec<i16> = (0..17 * taps)
            .map(|idx| if idx % 7 == 0 { -255 } else { 255 })
            .collect();
        let groups = group(&weights, taps);
        let patches: [Vec<f32>; PIXELS] = [255.0, -255.0, 1.0, 0.0].map(|input| vec![input; taps]);
        for (first, group) in groups.iter().enumerate() {
            let sums = sums()(&patches, group);
            let plain = body(&patches, group, |sum, input, weight| sum + input * weight);
            assert_eq!(sums, plain);
            let outputs = weights.chunks(taps).skip(first * LANES).take(LANES);
            for (lane, weights) in outputs.enumerate() {
                let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
                let expected = [255 * sum, -255 * sum, sum, 0];
                assert_eq!([0, 1, 2, 3].map(|pixel| sums[pixel][lane]), expected);
            }
        }
    }
}
