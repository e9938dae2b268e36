//! Matrix products with operands rounded to bfloat16 and sums in single precision, for processors with AVX512-BF16.
//! One instruction multiplies and adds 32 pairs, twice as many as in single precision.
//!
//! Operands are packed into panels of 16 columns (of 16 rows for the left one). Two neighbours along the inner
//! dimension share a word, as VDPBF16PS takes them. A tile of 8 x 32 sums stays in registers over the whole inner
//! dimension.
#![expect(
    unsafe_code,
    reason = "vector instructions take pointers, and functions that need CPU features may be called once they were found"
)]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_shuffle_i32x4, _mm512_storeu_ps,
    _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

use super::kernels::Operand;

/// Columns of a panel: the words of a vector.
const PANEL: usize = 16;
/// Rows and columns of a tile: with two panels of the right operand, 16 of 32 registers hold sums.
const TILE: [usize; 2] = [8, 2 * PANEL];
/// Pairs of the inner dimension in one product, so that panels stay in the cache.
const DEPTH: usize = 512;

/// Room for packed operands.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    left: Vec<u32>,
    right: Vec<u32>,
}

/// Whether the processor has the instructions.
pub fn is_supported() -> bool {
    is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512f")
}

/// Whether a product is large enough that packing pays.
pub fn pays(a: &Operand, b: &Operand) -> bool {
    a.rows >= TILE[0] && a.columns >= 2 * PANEL && b.columns >= PANEL
}

/// `out = a b`, or `out += a b` where `accumulate`; one thread, always in the same order.
///
/// # Panics
/// Where the processor lacks the instructions.
pub fn matrix_product(
    a: Operand,
    b: Operand,
    out: &mut [f32],
    accumulate: bool,
    packed: &mut Packed,
) {
    assert!(is_supported());
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    for from in (0..a.columns.max(1)).step_by(2 * DEPTH) {
        let until = a.columns.min(from + 2 * DEPTH);
        let depth = (until - from).div_ceil(2);
        // SAFETY: the processor has been asked for these features just above.
        unsafe {
            pack(a.transposed(), from, until, 1, &mut packed.left);
            pack(b, from, until, 2, &mut packed.right);
            multiply(packed, depth, b.columns, out, accumulate || from > 0);
        }
    }
}

/// Packs rows `from..until` of an operand. The number of panels is a multiple of `panels`; missing panels are zero.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack(operand: Operand, from: usize, until: usize, panels: usize, out: &mut Vec<u32>) {
    let (rows, columns) = (until - from, operand.columns);
    let depth = rows.div_ceil(2);
    out.resize(columns.div_ceil(panels * PANEL) * panels * depth * PANEL, 0);
    let value = |row: usize, column: usize| {
        let at =
            (from + row) as isize * operand.row_stride + column as isize * operand.column_stride;
        operand.values[at as usize..].as_ptr()
    };
    for (idx, panel) in out.chunks_exact_mut(depth.max(1) * PANEL).enumerate() {
        let first = idx * PANEL;
        let width = columns.saturating_sub(first).min(PANEL);
        let lines = panel.as_chunks_mut::<PANEL>().0;
        if width == 0 {
            lines.fill([0; PANEL]);
        } else if operand.column_stride == 1 {
            // SAFETY: the masked lanes of both loads lie within the operand's rows.
            for (pair, line) in lines.iter_mut().enumerate() {
                let low = unsafe { load(value(2 * pair, first), width) };
                let high = match 2 * pair + 1 < rows {
                    true => unsafe { load(value(2 * pair + 1, first), width) },
                    false => _mm512_setzero_ps(),
                };
                store(interleaved(bits(_mm512_cvtne2ps_pbh(high, low))), line);
            }
        } else {
            // Neighbours along the inner dimension lie side by side: they are rounded in blocks, then transposed.
            for (block, lines) in lines.chunks_mut(PANEL).enumerate() {
                let mut square = [[0; PANEL]; PANEL];
                let left = rows - 2 * PANEL * block;
                for (column, line) in square.iter_mut().enumerate().take(width) {
                    let start = value(2 * PANEL * block, first + column);
                    // SAFETY: `left` values of this column follow, side by side; without one more, nothing is read.
                    let (low, high) = unsafe {
                        let low = load(start, left);
                        (
                            low,
                            load(start.wrapping_add(PANEL), left.saturating_sub(PANEL)),
                        )
                    };
                    store(bits(_mm512_cvtne2ps_pbh(high, low)), line);
                }
                for (line, row) in lines.iter_mut().zip(transposed(&square)) {
                    store(row, line);
                }
            }
        }
    }
}

/// Multiplies packed operands of `pairs` pairs into an output of `columns` columns.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn multiply(packed: &Packed, depth: usize, columns: usize, out: &mut [f32], accumulate: bool) {
    for (band_idx, band) in out.chunks_mut(TILE[0] * columns).enumerate() {
        let (panel, half) = (band_idx / 2, band_idx % 2);
        let left = &packed.left[panel * depth * PANEL..][..depth * PANEL];
        for (idx, right) in packed.right.chunks_exact(2 * depth * PANEL).enumerate() {
            let sums = match half {
                0 => tile::<0>(left, right),
                _ => tile::<1>(left, right),
            };
            let first = idx * TILE[1];
            let width = (columns - first).min(TILE[1]);
            for (row, sums) in band.chunks_exact_mut(columns).zip(sums) {
                let row = &mut row[first..first + width];
                match row.as_chunks_mut::<PANEL>() {
                    ([left, right], []) => {
                        add(sums[0], left, accumulate);
                        add(sums[1], right, accumulate);
                    }
                    _ => {
                        // Storing part of a vector takes longer than all of this.
                        let mut whole = [[0.0; PANEL]; 2];
                        add(sums[0], &mut whole[0], false);
                        add(sums[1], &mut whole[1], false);
                        for (out, sum) in row.iter_mut().zip(whole.as_flattened()) {
                            *out = if accumulate { *out + sum } else { *sum };
                        }
                    }
                }
            }
        }
    }
}

/// The sums of one half of a left panel with two right panels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn tile<const HALF: usize>(left: &[u32], right: &[u32]) -> [[__m512; 2]; TILE[0]] {
    let (first, second) = right.split_at(right.len() / 2);
    let lines = left.as_chunks::<PANEL>().0.iter();
    let pairs = lines
        .zip(first.as_chunks::<PANEL>().0)
        .zip(second.as_chunks::<PANEL>().0);
    let mut sums = [[_mm512_setzero_ps(); 2]; TILE[0]];
    for ((line, first), second) in pairs {
        let right = [halves(words(first)), halves(words(second))];
        let own: &[u32; TILE[0]] = &line.as_chunks().0[HALF];
        for (sums, pair) in sums.iter_mut().zip(own) {
            let pair = halves(_mm512_set1_epi32(pair.cast_signed()));
            sums[0] = _mm512_dpbf16_ps(sums[0], pair, right[0]);
            sums[1] = _mm512_dpbf16_ps(sums[1], pair, right[1]);
        }
    }
    sums
}

/// Stores a vector, or adds it to the old values.
#[inline]
#[target_feature(enable = "avx512f")]
fn add(sum: __m512, out: &mut [f32; PANEL], accumulate: bool) {
    // SAFETY: `out` is a vector.
    unsafe {
        let sum = match accumulate {
            true => _mm512_add_ps(sum, _mm512_loadu_ps(out.as_ptr())),
            false => sum,
        };
        _mm512_storeu_ps(out.as_mut_ptr(), sum);
    }
}

/// The first `count` values, at most 16, and zeros after them.
///
/// # Safety
/// That many values must be readable.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(values: *const f32, count: usize) -> __m512 {
    let mask = ((1_u32 << count.min(PANEL)) - 1) as u16;
    // SAFETY: lanes outside of the mask are not read.
    unsafe { _mm512_maskz_loadu_ps(mask, values) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn words(line: &[u32; PANEL]) -> __m512i {
    // SAFETY: a line is a vector.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(vector: __m512i, line: &mut [u32; PANEL]) {
    // SAFETY: a line is a vector.
    unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), vector) }
}

/// Transposes in four steps; each step doubles the length of the runs that are already in a row.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(square: &[[u32; PANEL]; PANEL]) -> [__m512i; PANEL] {
    let rows: [__m512i; PANEL] = std::array::from_fn(|row| words(&square[row]));
    let pairs: [__m512i; PANEL] = std::array::from_fn(|idx| {
        let row = idx & !1;
        match idx & 1 {
            0 => _mm512_unpacklo_epi32(rows[row], rows[row + 1]),
            _ => _mm512_unpackhi_epi32(rows[row], rows[row + 1]),
        }
    });
    // Four rows of one column of every quarter.
    let quads: [__m512i; PANEL] = std::array::from_fn(|idx| {
        let pair = (idx & !3) + (idx >> 1 & 1);
        match idx & 1 {
            0 => _mm512_unpacklo_epi64(pairs[pair], pairs[pair + 2]),
            _ => _mm512_unpackhi_epi64(pairs[pair], pairs[pair + 2]),
        }
    });
    // Eight rows of the same column of two quarters.
    let eights: [__m512i; PANEL] = std::array::from_fn(|idx| {
        let quad = (idx & 8) + (idx & 3);
        match idx >> 2 & 1 {
            0 => _mm512_shuffle_i32x4::<0b10_00_10_00>(quads[quad], quads[quad + 4]),
            _ => _mm512_shuffle_i32x4::<0b11_01_11_01>(quads[quad], quads[quad + 4]),
        }
    });
    std::array::from_fn(|column| {
        let eight = (column & 3) + (column >> 2 & 1) * 4;
        match column >> 3 {
            0 => _mm512_shuffle_i32x4::<0b10_00_10_00>(eights[eight], eights[eight + 8]),
            _ => _mm512_shuffle_i32x4::<0b11_01_11_01>(eights[eight], eights[eight + 8]),
        }
    })
}

/// Turns sixteen low halves, then sixteen high ones, into sixteen words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleaved(vector: __m512i) -> __m512i {
    const ORDER: [u16; 2 * PANEL] = {
        let mut order = [0; 2 * PANEL];
        let mut idx = 0;
        while idx < PANEL {
            order[2 * idx] = idx as u16;
            order[2 * idx + 1] = (PANEL + idx) as u16;
            idx += 1;
        }
        order
    };
    // SAFETY: the order is a vector.
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
    _mm512_permutexvar_epi16(order, vector)
}

#[inline]
fn bits(vector: __m512bh) -> __m512i {
    // SAFETY: both are 512 plain bits.
    unsafe { std::mem::transmute(vector) }
}

#[inline]
fn halves(vector: __m512i) -> __m512bh {
    // SAFETY: both are 512 plain bits.
    unsafe { std::mem::transmute(vector) }
}
