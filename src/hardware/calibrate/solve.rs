//! Small dense problems: non-negative least squares and the inverse of a symmetric matrix.

use std::cell::{Cell, RefCell};

use argmin::{
    core::{CostFunction, Error, Executor, Gradient},
    solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS},
};

/// Least squares over `x >= 0`: rows `a` with `a . x` as near to the targets as possible.
///
/// L-BFGS over `x = z^2`, on columns scaled to length one. From a start inside, it cannot get stuck where
/// a coefficient is wrongly zero: there the objective falls with `z` in every direction.
pub fn non_negative_least_squares(rows: &[&[f64]], targets: &[f64]) -> Vec<f64> {
    let len = rows.first().map_or(0, |row| row.len());
    let length = |column: usize| {
        let squares = rows.iter().map(|row| row[column] * row[column]);
        squares.sum::<f64>().sqrt()
    };
    let scales: Vec<f64> = (0..len)
        .map(|column| match length(column) {
            0.0 => 1.0,
            length => length,
        })
        .collect();
    // The objective is kept as a quadratic form: a fit of many rows costs no more than one of few.
    let start = vec![1.0; len];
    let mut squares = Squares {
        gram: vec![vec![0.0; len]; len],
        slope: vec![0.0; len],
        evaluations: Cell::new(0),
        best: RefCell::new((f64::INFINITY, start.clone())),
    };
    for (row, target) in rows.iter().zip(targets) {
        let row: Vec<f64> = row.iter().zip(&scales).map(|(a, s)| a / s).collect();
        for (i, a) in row.iter().enumerate() {
            squares.slope[i] += a * target;
            for (sum, b) in squares.gram[i].iter_mut().zip(&row) {
                *sum += a * b;
            }
        }
    }
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), len + 3)
        .with_tolerance_grad(1e-11)
        .and_then(|solver| solver.with_tolerance_cost(1e-16))
        .expect("the tolerances are not negative");
    // At the limit of the arithmetic a line search finds nothing better, and may search on for ever; the
    // best point is the answer then too, so it does not matter how the run ended.
    let _ = Executor::new(&squares, solver)
        .configure(|state| state.param(start))
        .run();
    let (_, root) = squares.best.into_inner();
    root.iter()
        .zip(&scales)
        .map(|(z, scale)| {
            let x = z * z;
            if x < NEGLIGIBLE { 0.0 } else { x / scale }
        })
        .collect()
}

/// Convex problems of a few coefficients take some hundred evaluations.
const MAX_EVALUATIONS: usize = 5000;

/// Scaled coefficients below this are zero: targets are near one, and so are coefficients that matter.
const NEGLIGIBLE: f64 = 1e-6;

/// `x' G x / 2 - s' x` for `x = z^2`: half the sum of squared residuals, up to a constant.
struct Squares {
    gram: Vec<Vec<f64>>,
    slope: Vec<f64>,
    evaluations: Cell<usize>,
    /// The lowest cost so far, and where.
    best: RefCell<(f64, Vec<f64>)>,
}

impl Squares {
    /// `G x - s`.
    fn slopes(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.gram.iter().zip(&self.slope);
        rows.map(|(row, slope)| super::dot(row, x) - slope)
            .collect()
    }
}

fn squared(root: &[f64]) -> Vec<f64> {
    root.iter().map(|z| z * z).collect()
}

impl CostFunction for &Squares {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, root: &Vec<f64>) -> Result<f64, Error> {
        self.evaluations.set(self.evaluations.get() + 1);
        if self.evaluations.get() > MAX_EVALUATIONS {
            return Err(Error::msg(
                "no better point within the limit of evaluations",
            ));
        }
        let x = squared(root);
        let slopes = self.slopes(&x);
        let both = slopes.iter().zip(&self.slope);
        let cost = both.zip(&x).map(|((a, b), x)| 0.5 * x * (a - b)).sum();
        let mut best = self.best.borrow_mut();
        if cost < best.0 {
            *best = (cost, root.clone());
        }
        Ok(cost)
    }
}

impl Gradient for &Squares {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, root: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let slopes = self.slopes(&squared(root));
        Ok(slopes
            .iter()
            .zip(root)
            .map(|(slope, z)| 2.0 * slope * z)
            .collect())
    }
}

/// The inverse of a symmetric positive definite matrix by Gauss and Jordan; or the first column that depends on those before.
pub fn inverse(matrix: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, usize> {
    let len = matrix.len();
    let mut left: Vec<Vec<f64>> = matrix.to_vec();
    let mut right: Vec<Vec<f64>> = (0..len)
        .map(|i| (0..len).map(|j| f64::from(i == j)).collect())
        .collect();
    for column in 0..len {
        let pivot = left[column][column];
        if pivot.is_nan() || pivot <= DEPENDENT * matrix[column][column] {
            return Err(column);
        }
        for j in 0..len {
            left[column][j] /= pivot;
            right[column][j] /= pivot;
        }
        for row in (0..len).filter(|&row| row != column) {
            let factor = left[row][column];
            for j in 0..len {
                left[row][j] -= factor * left[column][j];
                right[row][j] -= factor * right[column][j];
            }
        }
    }
    Ok(right)
}

/// A column whose square, with its projection on the columns before taken away, falls by this much depends on them.
const DEPENDENT: f64 = 1e-9;
