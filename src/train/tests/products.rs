//! Matrix products in single precision and in bfloat16.

use proptest::prelude::*;

use crate::{
    train::{fused::Products, kernels::Operand},
    units::Rng,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Products are the sums of products of the rounded operands, whatever their layouts; small ones are not rounded.
    #[test]
    fn products_are_sums_of_rounded_products(
        [rows, depth, columns] in [8_usize..70, 32..1200, 16..70],
        transposed in any::<[bool; 2]>(),
        accumulate: bool,
        seed: u64,
    ) {
        let mut rng = Rng::new(seed, 0);
        let mut values = |len| -> Vec<f32> { (0..len).map(|_| rng.normal() as f32).collect() };
        let (left, right) = (values(rows * depth), values(depth * columns));
        let before = values(rows * columns);
        let operand = |values, rows, columns, transposed| match transposed {
            false => Operand::new(values, rows, columns),
            true => Operand::new(values, columns, rows).transposed(),
        };
        // To the nearest of the upper sixteen bits, ties to even.
        let brain = |value: f32| {
            let bits = value.to_bits();
            f64::from(f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
        };
        for (products, is_brain) in [(Some(Products::Single), false), (Products::brain(), true)] {
            let Some(mut products) = products else { continue };
            let rounded = |value| if is_brain { brain(value) } else { f64::from(value) };
            let mut out = before.clone();
            let a = operand(&left, rows, depth, transposed[0]);
            let b = operand(&right, depth, columns, transposed[1]);
            products.compute(a, b, &mut out, accumulate);
            let at = |idx: usize, row, column, [rows, columns]: [usize; 2]| match transposed[idx] {
                false => row * columns + column,
                true => column * rows + row,
            };
            for (idx, out) in out.iter().enumerate() {
                let terms = (0..depth).map(|k| {
                    rounded(left[at(0, idx / columns, k, [rows, depth])])
                        * rounded(right[at(1, k, idx % columns, [depth, columns])])
                });
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term: f64| {
                    (sum + term, size + term.abs())
                });
                let expected = sum + if accumulate { f64::from(before[idx]) } else { 0.0 };
                // Half a unit in the last place of the largest sum on the way, for every addition.
                let tolerance = (size + 4.0) * depth as f64 * 2_f64.powi(-24);
                prop_assert!((f64::from(*out) - expected).abs() <= tolerance, "{out} is not {expected}");
            }
        }
    }
}
