//! Pareto front and hypervolume of points whose coordinates are all minimised.

/// Indices of the points that no other point dominates, in ascending order.
///
/// Of equal points, the first stays. A point with a NaN is never on the front.
pub fn pareto_front<P: AsRef<[f64]>>(points: &[P]) -> Vec<usize> {
    let point = |idx: usize| points[idx].as_ref();
    let mut order: Vec<usize> = (0..points.len())
        .filter(|&idx| point(idx).iter().all(|value| !value.is_nan()))
        .collect();
    // After a lexicographic (and stable) sort, only an earlier point can dominate or equal a later one.
    order.sort_by(|&a, &b| lexicographic(point(a), point(b)));
    let mut front: Vec<usize> = Vec::new();
    for idx in order {
        if !front.iter().any(|&other| covers(point(other), point(idx))) {
            front.push(idx);
        }
    }
    front.sort_unstable();
    front
}

/// The volume between a front and a reference point: everything that at least one point dominates, up to `reference`.
///
/// The result is exact: a sweep in two and three dimensions, slices above. Points that are not strictly below the
/// reference on every axis do not count, and neither do points with another number of axes or with an infinity.
pub fn hypervolume<P: AsRef<[f64]>>(points: &[P], reference: &[f64]) -> f64 {
    // From here on a point is the side lengths of the box that it spans with the reference, so larger is better.
    let boxes: Vec<Vec<f64>> = points
        .iter()
        .map(AsRef::as_ref)
        .filter(|point| point.len() == reference.len())
        .map(|point| reference.iter().zip(point).map(|(r, p)| r - p).collect())
        .filter(|sides: &Vec<f64>| sides.iter().all(|side| *side > 0.0 && side.is_finite()))
        .collect();
    union(boxes.iter().map(Vec::as_slice).collect(), reference.len())
}

/// The volume of the union of boxes with the origin as a common corner, in their first `n_axes` axes.
fn union(mut boxes: Vec<&[f64]>, n_axes: usize) -> f64 {
    if n_axes == 0 {
        return 0.0;
    }
    // Largest last side first: all boxes before a last side fill the slice below it.
    let last = n_axes - 1;
    boxes.sort_by(|a, b| b[last].total_cmp(&a[last]));
    let bottom = |idx: usize| boxes.get(idx).map_or(0.0, |sides: &&[f64]| sides[last]);
    match n_axes {
        1 => bottom(0),
        2 => area(boxes.iter().map(|sides| (sides[1], sides[0]))),
        3 => {
            let mut stairs = Stairs::default();
            let mut volume = 0.0;
            for (idx, sides) in boxes.iter().enumerate() {
                stairs.add(sides[0], sides[1]);
                volume += stairs.area * (sides[2] - bottom(idx + 1));
            }
            volume
        }
        _ => (0..boxes.len())
            .map(|idx| (idx, boxes[idx][last] - bottom(idx + 1)))
            .filter(|(_, thickness)| *thickness > 0.0)
            .map(|(idx, thickness)| thickness * union(boxes[..=idx].to_vec(), last))
            .sum(),
    }
}

/// The area under rectangles (width, height) in the order of falling width.
fn area(rectangles: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut area = 0.0;
    let mut top = 0.0;
    for (width, height) in rectangles {
        if height > top {
            area += width * (height - top);
            top = height;
        }
    }
    area
}

/// A staircase of corners (width, height) and the area under it; widths rise and heights fall.
#[derive(Default)]
pub(super) struct Stairs {
    corners: Vec<(f64, f64)>,
    /// The area under all rectangles so far.
    pub area: f64,
}

impl Stairs {
    /// Adds a rectangle, and removes the corners that it covers.
    pub fn add(&mut self, width: f64, height: f64) {
        // Corners before `right` are narrower. Those before `left` are narrower and higher, and stay.
        let right = self.corners.partition_point(|corner| corner.0 < width);
        let floor = self.corners.get(right).map_or(0.0, |corner| corner.1);
        if floor >= height {
            return;
        }
        let left = self.corners.partition_point(|corner| corner.1 > height);
        let covered_from = |idx: usize| match idx {
            0 => 0.0,
            _ => self.corners[idx - 1].0,
        };
        let mut gain = (width - covered_from(right)) * (height - floor);
        for idx in left..right {
            gain += (self.corners[idx].0 - covered_from(idx)) * (height - self.corners[idx].1);
        }
        // A corner of the same width and less height is covered too.
        let covered = self.corners[right..].partition_point(|corner| corner.0 <= width);
        self.corners
            .splice(left..right + covered, [(width, height)]);
        self.area += gain;
    }
}

/// Whether `a` is nowhere worse than `b`.
fn covers(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

fn lexicographic(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::Rng;

    #[test]
    fn fronts() {
        fn check(points: &[[f64; 2]], expected: &[usize]) {
            assert_eq!(pareto_front(points), expected, "{points:?}");
        }
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        check(&[], &[]);
        check(
            &[[2.0, 2.0], [1.0, 3.0], [3.0, 3.0], [3.0, 1.0]],
            &[0, 1, 3],
        );
        check(&[[1.0, 1.0], [0.0, 2.0], [1.0, 1.0]], &[0, 1]);
        check(&[[1.0, 2.0], [1.0, 1.0], [0.0, 1.0]], &[2]);
        check(&[[0.0, -0.0], [-0.0, 0.0]], &[0]);
        check(&[[nan, 0.0], [0.0, nan], [inf, 5.0]], &[2]);
        check(&[[inf, 0.0], [0.0, inf], [-inf, inf]], &[0, 2]);
        let no_axes: [[f64; 0]; 2] = [[], []];
        assert_eq!(pareto_front(&no_axes), [0]);
    }

    #[test]
    fn hypervolumes() {
        fn check(points: &[&[f64]], reference: &[f64], expected: f64) {
            assert_eq!(hypervolume(points, reference), expected, "{points:?}");
        }
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        check(&[], &[1.0, 1.0], 0.0);
        check(&[&[]], &[], 0.0);
        check(&[&[0.25], &[0.5]], &[1.0], 0.75);
        check(&[&[0.0, 0.5], &[0.5, 0.0]], &[1.0, 1.0], 0.75);
        check(&[&[1.0, 0.0], &[2.0, -1.0]], &[1.0, 1.0], 0.0);
        check(&[&[nan, 0.0], &[-inf, 0.0], &[0.0]], &[1.0, 1.0], 0.0);
        check(&[&[0.5, 0.5, 0.5], &[0.5, 0.5, 0.5]], &[1.0; 3], 0.125);
        check(
            &[&[0.0, 0.5, 0.5], &[0.5, 0.0, 0.5], &[0.5, 0.5, 0.0]],
            &[1.0; 3],
            0.5,
        );
        check(&[&[0.5; 4], &[0.5; 4]], &[1.0; 4], 1.0 / 16.0);
        check(
            &[&[0.0, 0.5, 0.5, 0.5], &[0.5, 0.5, 0.5, 0.0]],
            &[1.0; 4],
            3.0 / 16.0,
        );
        check(&[&[0.0; 5]], &[1.0, 2.0, 3.0, 4.0, 5.0], 120.0);
    }

    /// The volume by inclusion and exclusion over all subsets: another way to the same number, for few points.
    fn by_inclusion_and_exclusion(points: &[Vec<f64>], reference: &[f64]) -> f64 {
        (1usize..1 << points.len())
            .map(|subset| {
                let members = || (0..points.len()).filter(|idx| subset >> idx & 1 == 1);
                let common: f64 = (0..reference.len())
                    .map(|axis| {
                        let worst = members()
                            .map(|idx| points[idx][axis])
                            .fold(f64::MIN, f64::max);
                        (reference[axis] - worst).max(0.0)
                    })
                    .product();
                if members().count() % 2 == 1 {
                    common
                } else {
                    -common
                }
            })
            .sum()
    }

    /// Points on a coarse grid, so that ties and duplicates are common; grid sums are exact in f64.
    fn grid_points(max: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
        (1usize..=5).prop_flat_map(move |n_axes| {
            let coordinate = (-1i32..=9).prop_map(|value| f64::from(value) / 8.0);
            prop::collection::vec(prop::collection::vec(coordinate, n_axes), 1..max)
        })
    }

    proptest! {
        #[test]
        fn front_is_what_the_definition_says(points in grid_points(30)) {
            let dominates = |a: &[f64], b: &[f64]| covers(a, b) && a != b;
            let expected: Vec<usize> = (0..points.len())
                .filter(|&idx| !points.iter().any(|other| dominates(other, &points[idx])))
                .filter(|&idx| !points[..idx].contains(&points[idx]))
                .collect();
            prop_assert_eq!(pareto_front(&points), expected);
        }

        #[test]
        fn hypervolume_is_the_volume_of_the_union(points in grid_points(8)) {
            let reference = vec![1.0; points[0].len()];
            // Coordinates are eighths, so every volume is a whole number of 8^-5 and both ways are exact.
            prop_assert_eq!(
                hypervolume(&points, &reference),
                by_inclusion_and_exclusion(&points, &reference)
            );
        }

        #[test]
        fn hypervolume_grows_exactly_with_new_front_members(points in grid_points(20)) {
            let reference = vec![1.0; points[0].len()];
            let (newest, older) = points.split_last().unwrap();
            let before = hypervolume(older, &reference);
            let after = hypervolume(&points, &reference);
            let adds = newest.iter().all(|value| *value < 1.0)
                && !older.iter().any(|other| covers(other, newest));
            prop_assert_eq!(after > before, adds);
            prop_assert_eq!(after == before, !adds);
            let front: Vec<_> = pareto_front(&points).iter().map(|&idx| &points[idx]).collect();
            let front: Vec<&[f64]> = front.into_iter().map(|point| &point[..]).collect();
            prop_assert_eq!(hypervolume(&front, &reference), after);
        }
    }

    #[test]
    fn dimensions_agree_on_large_fronts() {
        // A last axis on which all points are equal is a factor: the sweeps and the slices must agree.
        let mut rng = Rng::new(1, 0);
        for n_axes in 2..=4 {
            let flat: Vec<Vec<f64>> = (0..200)
                .map(|_| (0..n_axes).map(|_| rng.uniform()).collect())
                .collect();
            let raised: Vec<Vec<f64>> = flat.iter().map(|p| [&p[..], &[0.5]].concat()).collect();
            let expected = hypervolume(&flat, &vec![1.0; n_axes]) / 2.0;
            let found = hypervolume(&raised, &vec![1.0; n_axes + 1]);
            // Sums of a few hundred terms below 1 round by at most some 1e-14.
            assert!(
                (found - expected).abs() < 1e-12,
                "{n_axes}: {found} {expected}"
            );
            assert!(found > 0.0 && found < 0.5);
        }
    }
}
