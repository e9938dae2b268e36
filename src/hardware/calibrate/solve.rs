//! Small dense problems: non-negative least squares and the inverse of a symmetric matrix.

use std::cell::{Cell, RefCell};

use argmin::{
    core::{CostFunction, Error, Executor, Gradient},
    solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS},
};

/// Least squares over `x >= 0`: rows `a` with `a . x` as near to the targets as possible.
///
/// L-BFGS over `x = z^2`, on columns scaled to length one. It starts inside, so it cannot get stuck where a
/// coefficient is wrongly zero: there the objective falls with `z` in every direction.
///
/// # Errors
/// Where the point found is not an optimum: how the search ended.
pub fn non_negative_least_squares(rows: &[&[f64]], targets: &[f64]) -> Result<Vec<f64>, String> {
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
    // The objective is a quadratic form, so a fit of many rows costs no more than a fit of few.
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
    let end = Executor::new(&squares, solver)
        .configure(|state| state.param(start))
        .run();
    // At the limit of the arithmetic a line search finds nothing better and may search for ever; then the run ends
    // with an error at the optimum. So the point itself is checked. Where it is not an optimum, the error says how the
    // run ended.
    let root = squares.best.borrow().1.clone();
    let scaled: Vec<f64> = squared(&root)
        .into_iter()
        .map(|x| if x < NEGLIGIBLE { 0.0 } else { x })
        .collect();
    let scale = targets
        .iter()
        .map(|target| target * target)
        .sum::<f64>()
        .sqrt();
    let slope = squares.worst_slope(&scaled) / scale.max(f64::MIN_POSITIVE);
    if slope > STEEPEST {
        let end = match end {
            Ok(result) => result.state.termination_status.to_string(),
            Err(error) => error.to_string(),
        };
        return Err(format!("{end}; a slope of {slope:.1e} is left"));
    }
    Ok(scaled
        .iter()
        .zip(&scales)
        .map(|(x, scale)| x / scale)
        .collect())
}

/// Largest slope that may be left at an optimum, as a share of the length of the targets: coefficients are then right
/// to about as many digits.
const STEEPEST: f64 = 1e-5;

/// Convex problems of a few coefficients take a few hundred evaluations.
const MAX_EVALUATIONS: usize = 5000;

/// Scaled coefficients below this are zero: targets and coefficients that matter are near one.
const NEGLIGIBLE: f64 = 1e-6;

/// `x' G x / 2 - s' x` for `x = z^2`: half the sum of squared residuals, up to a constant.
struct Squares {
    gram: Vec<Vec<f64>>,
    slope: Vec<f64>,
    evaluations: Cell<usize>,
    /// The lowest cost so far, and its point.
    best: RefCell<(f64, Vec<f64>)>,
}

impl Squares {
    /// `G x - s`.
    fn slopes(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.gram.iter().zip(&self.slope);
        rows.map(|(row, slope)| super::dot(row, x) - slope)
            .collect()
    }

    /// How far `x` is from an optimum. At an optimum no slope is left along a coefficient, and none falls away from
    /// zero.
    fn worst_slope(&self, x: &[f64]) -> f64 {
        let wrong = |(slope, x): (f64, &f64)| match *x == 0.0 {
            true => (-slope).max(0.0),
            false => slope.abs(),
        };
        let slopes = self.slopes(x).into_iter().zip(x).map(wrong);
        slopes.fold(0.0, f64::max)
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

/// The inverse of a symmetric positive definite matrix (Gauss-Jordan).
///
/// # Errors
/// The first column that depends on the columns before it.
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

/// A column depends on the columns before it when taking away its projection on them shrinks its square by this
/// factor.
const DEPENDENT: f64 = 1e-9;
