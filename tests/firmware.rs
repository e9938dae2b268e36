//! Models run as firmware in QEMU: the same bytes as on the host, the memory that was promised, named errors.

use std::{path::PathBuf, time::Duration};

use nas::{
    measure::{Bench, MeasureError, Place},
    quant::{Interpreter, quantize},
    space::{Spaces, builtin},
    units::Rng,
};

use crate::networks::random_weights;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A bench on an emulated core; `None`, and a line that says why, where a tool is missing.
fn bench(place: Place) -> Option<Bench> {
    match Bench::open(&place, &images(), TIMEOUT, &|note| println!("{note}")) {
        Ok(bench) => Some(bench),
        Err(error @ (MeasureError::Missing { .. } | MeasureError::NoToolchain { .. })) => {
            assert!(
                std::env::var("NAS_REQUIRE_TOOLS").as_deref() != Ok("1"),
                "{error}"
            );
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Images are built once for all tests.
fn images() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("firmware")
}

/// Blobs of random candidates of every space, with random weights.
fn candidates(of_each_space: usize) -> Vec<(String, Vec<u8>)> {
    let mut blobs = Vec::new();
    for space in builtin() {
        let name = space.name.clone();
        let alone = Spaces::new(vec![space], 6);
        let mut rng = Rng::new(5, 0);
        for idx in 0..of_each_space {
            let graph = alone.decode(&alone.random(&mut rng)).graph;
            let weights = random_weights(&graph, &mut rng);
            let length = graph.input_shape().len();
            let window: Vec<f32> = (0..length).map(|_| rng.normal() as f32).collect();
            let model = quantize(&graph, &weights, &[&window]).expect("the network is quantised");
            blobs.push((format!("{name} {idx}"), model.to_blob()));
        }
    }
    blobs
}

#[test]
fn a_cortex_m7_computes_what_the_host_computes() {
    computes_what_the_host_computes(Place::QemuM7);
}

#[test]
fn a_cortex_m55_computes_what_the_host_computes() {
    computes_what_the_host_computes(Place::QemuM55);
}

fn computes_what_the_host_computes(place: Place) {
    let Some(mut bench) = bench(place) else {
        return;
    };
    for (name, blob) in candidates(50) {
        let host = Interpreter::new(&blob).expect("the host runs it");
        let seen = bench.measure(&blob);
        let seen = match seen {
            Err(MeasureError::Refused { name, message }) => {
                println!("{message} {name} {}", blob.len());
                continue;
            }
            seen => seen.unwrap(),
        };
        println!("{name} {} {seen:?}", host.arena_bytes());
        assert!(seen.outputs_match, "{name}: {seen:?}");
        assert_eq!(seen.arena_bytes, host.arena_bytes() as u64, "{name}");
    }
}
