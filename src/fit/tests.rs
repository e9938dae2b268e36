use serde_json::Value;

use super::*;
use crate::{
    graph::{GraphBuilder, Shape, Style, Window},
    quant::run_float,
    space::Covariance,
    units::Rng,
};

const GAUSSIAN: Fit = Fit {
    covariance: Covariance::LedoitWolf,
    shared: true,
    standardised: true,
    points: 1,
    per_domain: false,
    sections: 1,
};

/// Vectors of a few directions that vary more than others, the sections apart from each other.
fn vectors(count: usize, size: usize, classes: u32) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(3, size as u64);
    (0..count)
        .map(|idx| {
            let class = idx as u32 % classes;
            let common = rng.normal();
            let value = |axis: usize| {
                let own = rng.normal() * (1.0 + axis as f64 / 2.0);
                (own + 2.0 * common + 3.0 * f64::from(class)) as f32
            };
            (0..size).map(value).collect()
        })
        .collect()
}

fn samples<'a>(vectors: &'a [Vec<f32>], classes: u32, std: &'a [f32]) -> Samples<'a> {
    let numbers = 0..vectors.len() as u32;
    Samples {
        vectors: vectors.iter().map(Vec::as_slice).collect(),
        classes: numbers.clone().map(|idx| idx % classes).collect(),
        domains: numbers.clone().map(|idx| idx / classes % 2).collect(),
        clips: numbers.collect(),
        std,
    }
}

/// The graph that the family `pooled-gaussian` builds.
fn graph(how: &Fit, size: usize) -> Graph {
    let mut net = GraphBuilder::new(Shape::new(1, size, 1));
    let whitened = match (how.covariance, how.blocks()) {
        (Covariance::Diagonal, 1) => {
            let vector = net.reshape(0, Shape::vector(size));
            net.depthwise(vector, Window::same(1, 1), Style::LINEAR)
        }
        (_, blocks) => net.dense(0, blocks * size, Style::LINEAR),
    };
    net.finish(whitened)
}

#[test]
fn shrinkage_and_distances_are_those_of_scikit_learn() {
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/golden/covariance.json")).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        let all = value.as_array().unwrap().iter();
        all.map(|number| number.as_f64().unwrap()).collect()
    };
    for case in golden["cases"].as_array().unwrap() {
        let size = case["size"].as_u64().unwrap() as usize;
        let rows = |name: &str| -> Vec<Vec<f32>> {
            let values = numbers(&case[name]);
            let row = |row: &[f64]| row.iter().map(|value| *value as f32).collect();
            values.chunks(size).map(row).collect()
        };
        let (vectors, others) = (rows("samples"), rows("others"));
        let std = vec![1.0; size];
        for (name, covariance) in [
            ("ledoit_wolf", Covariance::LedoitWolf),
            ("oas", Covariance::Oas),
        ] {
            let how = Fit {
                covariance,
                ..GAUSSIAN
            };
            let all: Vec<usize> = (0..vectors.len()).collect();
            let samples = samples(&vectors, 1, &std);
            let detector = Detector::of(&how, &samples, &all);
            let shrinkage = case[name]["shrinkage"].as_f64().unwrap();
            // Sums in another order.
            assert!(
                (detector.shrinkage() - shrinkage).abs() < 1e-9,
                "{name} of {size}"
            );
            for (other, expected) in others.iter().zip(numbers(&case[name]["distances"])) {
                let found = detector.score(other, 0);
                assert!((found / expected - 1.0).abs() < 1e-8, "{found} {expected}");
            }
        }
    }
}

#[test]
fn the_layer_and_its_points_give_the_score() {
    let check = |how: Fit, classes: u32| {
        const SIZE: usize = 12;
        let vectors = vectors(60, SIZE, classes);
        let std: Vec<f32> = (0..SIZE).map(|idx| 0.5 + idx as f32 / 10.0).collect();
        let samples = samples(&vectors, classes, &std);
        let how = Fit {
            sections: classes as usize,
            ..how
        };
        let graph = graph(&how, SIZE);
        let all: Vec<usize> = (0..vectors.len()).collect();
        let detector = Detector::of(&how, &samples, &all);
        let fitted = fit(&how, &graph, &samples).unwrap();
        let whitened = run_float(&graph, &fitted.weights, &samples.vectors);
        for (idx, whitened) in whitened.iter().enumerate() {
            // A class that nobody knows counts as the nearest.
            for class in 0..=classes {
                let found = distance(&fitted.points, class as usize, whitened);
                let expected = detector.score(samples.vectors[idx], class);
                // Weights and outputs of 32 bits.
                assert!(
                    (found - expected).abs() < 1e-4 * (1.0 + expected),
                    "{how:?}"
                );
            }
        }
        assert_eq!(fitted.out_of_sample.len(), vectors.len(), "{how:?}");
        let mean = |scores: &mut dyn Iterator<Item = f64>| scores.sum::<f64>() / 60.0;
        let inside = mean(
            &mut (0..60).map(|idx| detector.score(samples.vectors[idx], samples.classes[idx])),
        );
        let outside = mean(&mut fitted.out_of_sample.iter().map(|(_, score)| *score));
        assert!(outside > inside, "{how:?}: {outside} {inside}");
    };
    for covariance in Covariance::ALL {
        for standardised in [false, true] {
            let how = Fit {
                covariance,
                standardised,
                ..GAUSSIAN
            };
            check(how, 1);
            check(how, 3);
            check(
                Fit {
                    shared: false,
                    ..how
                },
                3,
            );
            check(
                Fit {
                    per_domain: true,
                    ..how
                },
                2,
            );
            check(Fit { points: 5, ..how }, 2);
        }
    }
}

/// Leaving one out by the formula is leaving one out.
#[test]
fn the_formula_leaves_one_out() {
    const SIZE: usize = 6;
    for classes in [1, 3] {
        for covariance in [
            Covariance::Diagonal,
            Covariance::LedoitWolf,
            Covariance::Oas,
        ] {
            let vectors = vectors(24, SIZE, classes);
            let std = [1.0; SIZE];
            let samples = samples(&vectors, classes, &std);
            let how = Fit {
                covariance,
                sections: classes as usize,
                ..GAUSSIAN
            };
            let all: Vec<usize> = (0..vectors.len()).collect();
            let whole = Detector::of(&how, &samples, &all);
            let found = whole.left_out(&samples).expect("one vector per clip");
            for (left, found) in found.into_iter().enumerate() {
                let kept: Vec<usize> = all.iter().copied().filter(|idx| *idx != left).collect();
                let mut without = Detector::of(&how, &samples, &kept);
                // The formula keeps how much is guessed, and what.
                without.blocks[0].keep_guess_of(&whole.blocks[0]);
                let expected = without.score(samples.vectors[left], samples.classes[left]);
                let found = found.unwrap();
                assert!(
                    (found / expected - 1.0).abs() < 1e-6,
                    "{covariance:?}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn too_few_is_said() {
    let std = [1.0; 4];
    let vectors = vectors(1, 4, 1);
    let found = fit(&GAUSSIAN, &graph(&GAUSSIAN, 4), &samples(&vectors, 1, &std));
    assert_eq!(found, Err(FitError::TooFew(1)));
}
