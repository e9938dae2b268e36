use super::{BLOCK, Requantize};

/// `FULLY_CONNECTED`: weights `[outputs, inputs]`.
#[inline(always)]
pub fn fully_connected(input: &[i8], weights: &[i8], requantize: &Requantize, output: &mut [i8]) {
    let (blocks, rest) = output.as_chunks_mut::<BLOCK>();
    let split = blocks.len() * BLOCK;
    for (idx, block) in blocks.iter_mut().enumerate() {
        channels::<BLOCK>(input, weights, requantize, idx * BLOCK, block);
    }
    let (quads, singles) = rest.as_chunks_mut::<4>();
    for (idx, quad) in quads.iter_mut().enumerate() {
        channels::<4>(input, weights, requantize, split + idx * 4, quad);
    }
    let split = split + quads.len() * 4;
    for (idx, single) in singles.as_chunks_mut::<1>().0.iter_mut().enumerate() {
        channels::<1>(input, weights, requantize, split + idx, single);
    }
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
    let rows = &weights[first * taps..(first + N) * taps];
    let (quads, singles) = accumulators.as_chunks_mut::<4>();
    let mut quads_of_rows = rows.chunks_exact(4 * taps);
    for (quad, rows) in quads.iter_mut().zip(&mut quads_of_rows) {
        let sums = dot4(input, rows);
        for (accumulator, sum) in quad.iter_mut().zip(sums) {
            *accumulator += sum;
        }
    }
    for (single, row) in singles
        .iter_mut()
        .zip(quads_of_rows.remainder().chunks_exact(taps))
    {
        *single += dot(input, row);
    }
    requantize.block(accumulators, first, output);
}

/// The product of a vector with one row.
#[inline(always)]
pub(super) fn dot(input: &[i8], row: &[i8]) -> i32 {
    input
        .iter()
        .zip(row)
        .map(|(x, w)| i32::from(*x) * i32::from(*w))
        .sum()
}

/// The products of a vector with four consecutive rows.
#[inline(always)]
fn dot4(input: &[i8], rows: &[i8]) -> [i32; 4] {
    let taps = input.len();
    let (a, rest) = rows.split_at(taps);
    let (b, rest) = rest.split_at(taps);
    let (c, d) = rest.split_at(taps);
    let mut sums = [0; 4];
    for idx in 0..taps {
        let x = i32::from(input[idx]);
        sums[0] += x * i32::from(a[idx]);
        sums[1] += x * i32::from(b[idx]);
        sums[2] += x * i32::from(c[idx]);
        sums[3] += x * i32::from(d[idx]);
    }
    sums
}
