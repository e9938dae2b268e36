//! Power spectrum of a windowed frame: a real FFT in f32 with a fixed order of operations.
//!
//! A frame of `n` samples is `n / 2` complex numbers. A first pass multiplies with the window and transforms 4 or 8
//! of them at a time. Passes of radix 4 follow. The last pass separates the transforms of even and odd samples, and
//! computes power. All passes but the first work on four numbers side by side, which fill a vector register of Helium
//! and of SSE. No sum is reordered and no product fused: every processor with IEEE arithmetic gets the same bits.
//!
//! Subnormal numbers are the exception: Helium takes them for zero. This has no effect: two computations that differ
//! only in them end in powers far below the floor of the logarithm.

use super::Tables;
#[cfg(all(feature = "mve", target_arch = "arm"))]
use super::mve::butterfly;

/// Four consecutive numbers: the real or the imaginary parts of four points.
type Lanes = [f32; 4];
/// Four complex points: real parts, then imaginary ones.
pub(super) type Block = [f32; 8];
/// Twiddle factors of the second, third and fourth quarter for four points, as [`Block`]s.
pub(super) type Twiddles = [f32; 24];

/// Twiddle factors of all passes of radix 4, in blocks.
pub(super) const fn twiddle_blocks(n_fft: usize) -> usize {
    // A pass that makes transforms of `4 q` points has `q` factors, and q grows by 4 from the first pass on.
    let points = n_fft / 2;
    let (mut quarter, mut blocks) = (first_radix(points), 0);
    while 4 * quarter <= points {
        blocks += quarter / 4;
        quarter *= 4;
    }
    blocks
}

/// Number of points that the first pass transforms at a time. The other factor of the length is a power of four.
pub(super) const fn first_radix(points: usize) -> usize {
    if points.trailing_zeros() % 2 == 1 {
        8
    } else {
        4
    }
}

/// Four times the power of the bins from 0 to `n_fft / 2 - 1`, into the first half of `scratch`; bin 0 is not
/// computed.
///
/// `samples` and `scratch` are `n_fft` long, as the tables are made for.
pub(super) fn power_spectrum(samples: &[i16], tables: &Tables<'_>, scratch: &mut [f32]) {
    let blocks = scratch.as_chunks_mut::<8>().0;
    if first_radix(samples.len() / 2) == 8 {
        first_pass(samples, tables.window, blocks, transform8);
    } else {
        first_pass(samples, tables.window, blocks, transform4);
    }
    let mut twiddles = tables.twiddles;
    let mut quarter = first_radix(samples.len() / 2) / 4;
    while 4 * quarter <= blocks.len() {
        let (of_pass, rest) = twiddles.split_at(quarter);
        radix4_pass(blocks, of_pass);
        twiddles = rest;
        quarter *= 4;
    }
    split_to_power(blocks, tables.split);
    // A block also holds its imaginary parts, which are of no use any more.
    for block in 1..scratch.len() / 8 {
        scratch.copy_within(8 * block..8 * block + 4, 4 * block);
    }
}

/// A complex number of the first pass.
type Point = [f32; 2];

/// Windows the samples and transforms every `points / RADIX`th of them, into the order of the next pass.
#[inline(always)]
fn first_pass<const RADIX: usize>(
    samples: &[i16],
    window: &[f32],
    blocks: &mut [Block],
    transform: impl Fn([Point; RADIX]) -> [Point; RADIX],
) {
    let groups = samples.len() / 2 / RADIX;
    let samples = samples.as_chunks::<2>().0;
    let samples: [&[[i16; 2]]; RADIX] = core::array::from_fn(|l| &samples[l * groups..][..groups]);
    // The window is symmetric: its second half is its first half backwards, one sample later.
    let half = window.len() - 1;
    let rising = window[..half].as_chunks::<2>().0;
    let falling = window[1..].as_chunks::<2>().0;
    let rising: [&[[f32; 2]]; RADIX] = core::array::from_fn(|l| {
        let part = if l < RADIX / 2 { l } else { RADIX - 1 - l };
        let weights = if l < RADIX / 2 { rising } else { falling };
        &weights[part * groups..][..groups]
    });
    let unused_bits = groups.leading_zeros() + 1;
    for group in 0..groups {
        let points = core::array::from_fn(|l| {
            let [even, odd] = samples[l][group];
            let [even_weight, odd_weight] = if l < RADIX / 2 {
                rising[l][group]
            } else {
                let [odd, even] = rising[l][groups - 1 - group];
                [even, odd]
            };
            [f32::from(even) * even_weight, f32::from(odd) * odd_weight]
        });
        let points = transform(points);
        let place = reversed(group, unused_bits) * (RADIX / 4);
        for (block, points) in blocks[place..][..RADIX / 4]
            .iter_mut()
            .zip(points.as_chunks::<4>().0)
        {
            let [a, b, c, d] = *points;
            *block = [a[0], b[0], c[0], d[0], a[1], b[1], c[1], d[1]];
        }
    }
}

/// The lowest bits of a number in reverse order, without the `unused` bits above them.
fn reversed(number: usize, unused: u32) -> usize {
    // Where no bit is used, the shift is by all of them.
    number.reverse_bits().checked_shr(unused).unwrap_or(0)
}

#[inline(always)]
fn transform4([a, b, c, d]: [Point; 4]) -> [Point; 4] {
    let (sum, difference) = ([a[0] + c[0], a[1] + c[1]], [a[0] - c[0], a[1] - c[1]]);
    let (odd_sum, odd_difference) = ([b[0] + d[0], b[1] + d[1]], [b[0] - d[0], b[1] - d[1]]);
    [
        [sum[0] + odd_sum[0], sum[1] + odd_sum[1]],
        [
            difference[0] + odd_difference[1],
            difference[1] - odd_difference[0],
        ],
        [sum[0] - odd_sum[0], sum[1] - odd_sum[1]],
        [
            difference[0] - odd_difference[1],
            difference[1] + odd_difference[0],
        ],
    ]
}

#[inline(always)]
fn transform8(points: [Point; 8]) -> [Point; 8] {
    const R: f32 = core::f32::consts::FRAC_1_SQRT_2;
    let [a, b, c, d, e, f, g, h] = points;
    let even = transform4([a, c, e, g]);
    let [o0, o1, o2, o3] = transform4([b, d, f, h]);
    // Times exp(-i pi k / 4).
    let odd = [
        o0,
        [R * (o1[0] + o1[1]), R * (o1[1] - o1[0])],
        [o2[1], -o2[0]],
        [R * (o3[1] - o3[0]), -(R * (o3[0] + o3[1]))],
    ];
    core::array::from_fn(|k| {
        let (even, odd) = (even[k % 4], odd[k % 4]);
        if k < 4 {
            [even[0] + odd[0], even[1] + odd[1]]
        } else {
            [even[0] - odd[0], even[1] - odd[1]]
        }
    })
}

/// Joins every four neighbouring transforms into one of four times their length.
fn radix4_pass(blocks: &mut [Block], twiddles: &[Twiddles]) {
    let quarter = twiddles.len();
    for group in blocks.chunks_exact_mut(4 * quarter) {
        let (low, high) = group.split_at_mut(2 * quarter);
        let (first, second) = low.split_at_mut(quarter);
        let (third, fourth) = high.split_at_mut(quarter);
        let blocks = first.iter_mut().zip(second).zip(third).zip(fourth);
        for ((((first, second), third), fourth), twiddles) in blocks.zip(twiddles) {
            butterfly(first, second, third, fourth, twiddles);
        }
    }
}

/// The transforms lie in the order of their first points' reversed bits: 0, 2, 1, 3.
#[cfg(not(all(feature = "mve", target_arch = "arm")))]
#[inline(always)]
fn butterfly(
    first: &mut Block,
    second: &mut Block,
    third: &mut Block,
    fourth: &mut Block,
    twiddles: &Twiddles,
) {
    let [of_first, of_second, of_third, of_fourth, of_fifth, of_sixth] = lanes(twiddles);
    let (a_re, a_im) = parts(first);
    let (c_re, c_im) = product(parts(second), (of_third, of_fourth));
    let (b_re, b_im) = product(parts(third), (of_first, of_second));
    let (d_re, d_im) = product(parts(fourth), (of_fifth, of_sixth));
    let (sum_re, sum_im) = (add(a_re, c_re), add(a_im, c_im));
    let (difference_re, difference_im) = (sub(a_re, c_re), sub(a_im, c_im));
    let (odd_sum_re, odd_sum_im) = (add(b_re, d_re), add(b_im, d_im));
    let (odd_difference_re, odd_difference_im) = (sub(b_re, d_re), sub(b_im, d_im));
    *first = joined(add(sum_re, odd_sum_re), add(sum_im, odd_sum_im));
    *second = joined(
        add(difference_re, odd_difference_im),
        sub(difference_im, odd_difference_re),
    );
    *third = joined(sub(sum_re, odd_sum_re), sub(sum_im, odd_sum_im));
    *fourth = joined(
        sub(difference_re, odd_difference_im),
        add(difference_im, odd_difference_re),
    );
}

/// From the transform `z` of `x[2 n] + i x[2 n + 1]` to power, in place of the real parts.
///
/// `2 x[k] = (z[k] + conj z[-k]) - i w^k (z[k] - conj z[-k])`, and `x[-k]` has the same two terms subtracted.
fn split_to_power(blocks: &mut [Block], split: &[Block]) {
    let last = blocks.len() - 1;
    for (idx, twiddles) in split.iter().enumerate() {
        let (cos, sin) = parts(twiddles);
        let front = blocks[idx];
        // Points -k for the four k of the front block; for k = 0 it is the point itself.
        let (back, back_first) = (blocks[last - idx], blocks[(last + 1 - idx) % (last + 1)]);
        let back_re = [back_first[0], back[3], back[2], back[1]];
        let back_im = [back_first[4], back[7], back[6], back[5]];
        let (front_re, front_im) = parts(&front);
        let (even_re, even_im) = (add(front_re, back_re), sub(front_im, back_im));
        let (odd_re, odd_im) = (add(front_im, back_im), sub(back_re, front_re));
        let turned_re = add(mul(cos, odd_re), mul(sin, odd_im));
        let turned_im = sub(mul(cos, odd_im), mul(sin, odd_re));
        let power = power(add(even_re, turned_re), add(even_im, turned_im));
        let back_power = self::power(sub(even_re, turned_re), sub(even_im, turned_im));
        if idx > 0 {
            blocks[last + 1 - idx][0] = back_power[0];
        }
        blocks[last - idx][3] = back_power[1];
        blocks[last - idx][2] = back_power[2];
        blocks[last - idx][1] = back_power[3];
        blocks[idx][..4].copy_from_slice(&power);
    }
    // The middle point is its own partner.
    if let Some(middle) = blocks.get_mut(split.len()) {
        let (re, im) = (middle[0] + middle[0], middle[4] + middle[4]);
        middle[0] = re * re + im * im;
    }
}

#[inline(always)]
fn parts(block: &Block) -> (Lanes, Lanes) {
    let [re, im] = lanes(block);
    (re, im)
}

#[cfg(not(all(feature = "mve", target_arch = "arm")))]
#[inline(always)]
fn joined(re: Lanes, im: Lanes) -> Block {
    let ([a, b, c, d], [e, f, g, h]) = (re, im);
    [a, b, c, d, e, f, g, h]
}

#[inline(always)]
fn lanes<const NUMBERS: usize, const COUNT: usize>(numbers: &[f32; NUMBERS]) -> [Lanes; COUNT] {
    core::array::from_fn(|idx| numbers.as_chunks().0[idx])
}

#[inline(always)]
fn add(left: Lanes, right: Lanes) -> Lanes {
    core::array::from_fn(|lane| left[lane] + right[lane])
}

#[inline(always)]
fn sub(left: Lanes, right: Lanes) -> Lanes {
    core::array::from_fn(|lane| left[lane] - right[lane])
}

#[inline(always)]
fn mul(left: Lanes, right: Lanes) -> Lanes {
    core::array::from_fn(|lane| left[lane] * right[lane])
}

#[cfg(not(all(feature = "mve", target_arch = "arm")))]
#[inline(always)]
fn product((re, im): (Lanes, Lanes), (cos, sin): (Lanes, Lanes)) -> (Lanes, Lanes) {
    // Times cos - i sin.
    (
        add(mul(re, cos), mul(im, sin)),
        sub(mul(im, cos), mul(re, sin)),
    )
}

#[inline(always)]
fn power(re: Lanes, im: Lanes) -> Lanes {
    add(mul(re, re), mul(im, im))
}
