use super::{BLOCK, Requantize};

/// `FULLY_CONNECTED`: weights `[outputs, inputs]`.
#[inline(always)]
pub fn fully_connected(input: &[i8], weights: &[i8], requantize: &Requantize, output: &mut [i8]) {
    for_blocks!(output, [BLOCK, 4, 1], |first, block| {
        channels(input, weights, requantize, first, block)
    });
}

/// `N` neighbouring output channels, the first of them `first`.
#[inline(always)]
fn channels<const N: usize>(
    input: &[i8],
    weights: &[i8],
    requantize: &Requantize,
    first: usize,
    output: &mut [i8; N],
) {
    let mut accumulators: [i32; N] = requantize.biases.block(first);
    let taps = input.len();
    let row = |channel: usize| &weights[(first + channel) * taps..][..taps];
    let (quads, singles) = accumulators.as_chunks_mut::<4>();
    for (idx, quad) in quads.iter_mut().enumerate() {
        let rows = core::array::from_fn(|channel| row(idx * 4 + channel));
        let sums = dot::<4>(input, rows);
        for (accumulator, sum) in quad.iter_mut().zip(sums) {
            *accumulator += sum;
        }
    }
    for (idx, single) in singles.iter_mut().enumerate() {
        *single += dot(input, [row(N / 4 * 4 + idx)])[0];
    }
    requantize.block(accumulators, first, output);
}

/// The products of a vector with `N` rows of the same length, which share every load of the vector.
#[inline(always)]
pub(super) fn dot<const N: usize>(input: &[i8], rows: [&[i8]; N]) -> [i32; N] {
    let taps = input.len();
    let rows = rows.map(|row| &row[..taps]);
    let mut sums = [0; N];
    for idx in 0..taps {
        let value = i32::from(input[idx]);
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum += value * i32::from(row[idx]);
        }
    }
    sums
}
