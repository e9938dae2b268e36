use super::{
    super::{Requantize, portable},
    products::vector_times_rows,
    requantize::Scaler,
};

/// Blocks of four outputs whose accumulators are on the stack at once.
const BLOCKS: usize = 16;

/// `FULLY_CONNECTED`: weights `[outputs, inputs]`.
pub fn fully_connected(input: &[i8], weights: &[i8], requantize: &Requantize, output: &mut [i8]) {
    let taps = input.len();
    assert!(weights.len() == taps * output.len() && requantize.fits(output.len()));
    if output.len() < 4 || !requantize.is_aligned() {
        return portable::fully_connected(input, weights, requantize, output);
    }
    let scaler = Scaler::new(requantize);
    let mut sums = [[0; 4]; BLOCKS];
    let mut first = 0;
    while first < output.len() {
        // The last block begins earlier where outputs are no multiple of four, and writes some of them again.
        let left = output.len() - first;
        let (start, blocks) = match left {
            0..4 => (output.len() - 4, 1),
            _ => (first, (left / 4).min(BLOCKS)),
        };
        // SAFETY: rows `start..start + 4 * blocks` are there.
        unsafe {
            let rows = weights.as_ptr().add(start * taps);
            vector_times_rows(input.as_ptr(), rows, taps, &mut sums[..blocks]);
        }
        let output = &mut output[start..start + 4 * blocks];
        scaler.row(sums.as_flattened(), start, output);
        first = start + 4 * blocks;
    }
}
