//! Models run as firmware in QEMU: the same bytes as on the host, the memory that was promised, named errors.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use nas::{
    audio::{Audio, Companding, DeviceExtractor, FeatureSpec, FrontEnd},
    graph::{GraphBuilder, Shape, Style},
    hardware::{self, Core},
    measure::{
        self, BOARDS, Bench, BoardKind, Image, Inputs, Kernels, Limit, MeasureError, Measurement,
        Place, Toolchain, find_program,
    },
    quant::{Hearing, Interpreter, append_front_end, quantize},
    space::{self, Candidate, Spaces, builtin},
    units::Rng,
};
use nas_kernels::{
    alarm::AlarmRule,
    blob::{
        self, CHECKED_FROM, Decision, FrontEndRecord, HEADER_BYTES, TENSOR_BYTES, Task, Threshold,
    },
    decision::{ClipRule, MOST_ENTRIES},
    memory_bytes,
};

use crate::networks::random_weights;

tests! {
    a_cortex_m7_computes_what_the_host_computes: [RustForM7, Qemu],
    a_cortex_m55_computes_what_the_host_computes: [RustForM55, Qemu],
    a_cortex_m7_hears_what_the_host_hears: [RustForM7, Qemu],
    a_cortex_m55_hears_what_the_host_hears: [RustForM55, Qemu],
    a_cortex_m7_takes_the_memory_that_was_estimated: [RustForM7, Qemu],
    a_cortex_m55_takes_the_memory_that_was_estimated: [RustForM55, Qemu],
    companding_takes_the_instructions_that_are_estimated: [RustForM7, RustForM55, Qemu],
    a_model_that_cannot_run_is_refused_by_name: [RustForM7, RustForM55, Qemu],
    a_run_beyond_its_limit_is_given_up: [RustForM7, RustForM55, Qemu],
    the_kernels_of_a_core_equal_the_portable_ones: [RustForM7, RustForM55, Qemu],
    the_images_of_real_chips_link: [RustForM7, RustForM55],
}

/// A hundred times what the slowest candidate takes.
pub const LIMIT: Limit = Limit::instructions(20_000_000_000);

/// A bench on an emulated core that compares and counts; cycles, which take longest, are left to [`whole_bench`].
pub fn bench(place: &Place) -> Bench {
    let board = place.board().unwrap();
    Bench::of_image(board, image(board, Kernels::OfCore), LIMIT).unwrap()
}

/// The bench of `nas measure`.
fn whole_bench(place: &Place) -> Bench {
    Bench::open(place, &images(), LIMIT, &|note| say!("{note}")).unwrap()
}

/// The image of a board.
pub fn image(board: &'static BoardKind, kernels: Kernels) -> Image {
    measure::build(board, kernels, &images(), &|note| say!("{note}")).unwrap()
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

fn a_cortex_m7_computes_what_the_host_computes() {
    computes_what_the_host_computes(Place::QemuM7);
}

fn a_cortex_m55_computes_what_the_host_computes() {
    computes_what_the_host_computes(Place::QemuM55);
}

fn computes_what_the_host_computes(place: Place) {
    const OF_EACH_SPACE: usize = 20;
    let (mut bench, mut whole) = (bench(&place), whole_bench(&place));
    let mut too_large = 0;
    for (idx, (name, blob)) in candidates(OF_EACH_SPACE).into_iter().enumerate() {
        let host = Interpreter::new(&blob).expect("the host runs it");
        let seen = match bench.measure(&blob) {
            // Random candidates may exceed the chip; the firmware must say so.
            Err(MeasureError::Refused { name, .. }) if name == "too-large" => {
                too_large += 1;
                continue;
            }
            seen => seen.unwrap_or_else(|error| panic!("{name}: {error}")),
        };
        assert!(seen.outputs_match, "{name}: {seen:?}");
        assert_eq!(seen.arena_bytes, host.arena_bytes() as u64, "{name}");
        if idx % OF_EACH_SPACE == 0 {
            let again = whole.measure(&blob).expect("what ran once runs again");
            say!("{name}: {again:?}");
            let (cycles, _) = again.cycles.expect("cycles are estimated");
            // Both cores issue at most two instructions at once.
            let instructions = again.instructions.expect("instructions are counted");
            assert!(2 * cycles > instructions, "{name}: {again:?}");
            let same = Measurement {
                cycles: None,
                on: seen.on.clone(),
                ..again
            };
            assert_eq!(same, seen, "{name}: counts are exact");
        }
    }
    let all = OF_EACH_SPACE * builtin().len();
    say!("{too_large} of {all} are too large for the chip");
    assert!(too_large < all / 2);
}

fn a_cortex_m7_hears_what_the_host_hears() {
    hears_what_the_host_hears(Place::QemuM7);
}

fn a_cortex_m55_hears_what_the_host_hears() {
    hears_what_the_host_hears(Place::QemuM55);
}

fn a_cortex_m7_takes_the_memory_that_was_estimated() {
    takes_the_memory_that_was_estimated(Place::QemuM7, "stm32h743-nas");
}

fn a_cortex_m55_takes_the_memory_that_was_estimated() {
    takes_the_memory_that_was_estimated(Place::QemuM55, "alif-e7-hp");
}

/// A whole detector of every space: front end, network, stack, code.
fn takes_the_memory_that_was_estimated(place: Place, target: &str) {
    let mut bench = bench(&place);
    let target = hardware::find(target).unwrap();
    for space in builtin() {
        let name = space.name.clone();
        let alone = Spaces::new(vec![space], 6);
        let mut rng = Rng::new(9, 0);
        // The first that fits the chip.
        let (candidate, seen) = loop {
            let candidate = alone.decode(&alone.random(&mut rng));
            let weights = random_weights(&candidate.graph, &mut rng);
            let length = candidate.graph.input_shape().len();
            let window: Vec<f32> = (0..length).map(|_| rng.normal() as f32).collect();
            let network = quantize(&candidate.graph, &weights, &[&window]).unwrap();
            let blob = with_ears(network.to_blob(), &candidate);
            match bench.measure(&blob) {
                Err(MeasureError::Refused { name, .. }) if name == "too-large" => {}
                seen => {
                    break (
                        candidate,
                        seen.unwrap_or_else(|error| panic!("{name}: {error}")),
                    );
                }
            }
        };
        let front_end = Some(&candidate.front_end);
        let ram = hardware::ram_parts(front_end, &candidate.clip_rules, &candidate.graph, &target);
        let flash = hardware::flash_parts(front_end, &candidate.graph, &target);
        let estimate = hardware::estimate(&candidate, &target);
        assert_eq!(ram.arena, seen.arena_bytes as f64, "{name}: arena");
        let heard = seen.front_end_bytes.expect("there is a front end");
        assert_eq!(ram.front_end, heard as f64, "{name}: front end");
        say!("{name}: stack {} of {} B", ram.stack, seen.stack_bytes);
        let code = seen.image.text + seen.image.rodata + seen.image.data;
        let shares = [
            ("RAM", estimate.ram_bytes.value, seen.ram_bytes(), 0.02),
            ("code", flash.code, code, 0.05),
            (
                "flash",
                estimate.flash_bytes.value,
                seen.flash_bytes(),
                0.05,
            ),
        ];
        for (what, estimated, seen, allowed) in shares {
            let share = estimated / seen as f64 - 1.0;
            say!("{name}: {what} {:+.2} %", 100.0 * share);
            assert!(share.abs() <= allowed, "{name}: {what} {estimated} {seen}");
        }
    }
}

/// The network of a candidate with its front end, whose features are taken as they are.
fn with_ears(mut blob: Vec<u8>, candidate: &Candidate) -> Vec<u8> {
    let FrontEnd {
        spec,
        frames,
        frame_stride,
        statistics,
        companding,
    } = candidate.front_end;
    let tables = spec.device_tables().unwrap();
    let features = candidate.front_end.features();
    let floats = [tables.floats, vec![1.0; features], vec![0.0; features]].concat();
    let record = record(&spec, frames, frame_stride);
    let decision = Decision {
        task: match candidate.task {
            space::Task::Reconstruct => Task::Reconstruct,
            space::Task::Classify { .. } => Task::Classify,
            space::Task::Distance(_) => Task::Distance,
        },
        // All entries of a rule by rank, one window in each.
        windows: MOST_ENTRIES,
        rule: candidate
            .clip_rules
            .iter()
            .copied()
            .max()
            .unwrap_or(ClipRule::Mean),
        threshold: Threshold::None,
        alarm: AlarmRule::IMMEDIATE,
    };
    let centres = match candidate.task {
        space::Task::Distance(how) => Some(centres(&how, candidate)),
        _ => None,
    };
    let hearing = Hearing {
        front_end: record,
        floats: &floats,
        ends: &tables.ends,
        statistics,
        // Of features as they are, in steps of their own.
        companding: companding.map(|companding| companding.on_device(1.0, 0)),
        decision,
        centres: centres.as_deref(),
    };
    append_front_end(&mut blob, &hearing);
    blob
}

/// As many points as a fit can have, all at the origin.
fn centres(how: &space::Fit, candidate: &Candidate) -> Vec<u8> {
    let dimensions = candidate.graph.output_shape().len() / how.blocks();
    let count = how.most_points();
    let mut section: Vec<u8> = [dimensions, count]
        .into_iter()
        .flat_map(|word| (word as u32).to_le_bytes())
        .collect();
    for idx in 0..count {
        let centre = blob::Centre {
            class: (idx % how.sections) as u32,
            block: (idx % how.blocks()) as u32,
            weight: 1.0,
            offset: 0.0,
        };
        section.extend(centre.to_bytes());
    }
    section.resize(section.len() + 2 * count * dimensions, 0);
    section
}

/// The front end as the blob has it.
fn record(spec: &FeatureSpec, frames: usize, frame_stride: usize) -> FrontEndRecord {
    let device = spec.on_device();
    FrontEndRecord {
        sample_rate_hz: spec.sample_rate_hz,
        n_fft: device.n_fft as u32,
        hop_length: device.hop_length as u32,
        n_mels: device.n_mels as u32,
        coefficients: device.coefficients as u32,
        frames: frames as u32,
        frame_stride: frame_stride as u32,
        tables_offset: 0,
    }
}

fn hears_what_the_host_hears(place: Place) {
    let mut bench = bench(&place);
    let specs = front_ends();
    assert!(specs.len() > 20, "only {} front ends", specs.len());
    let rules = [
        ClipRule::Mean,
        ClipRule::Max,
        ClipRule::Quantile(80),
        ClipRule::Top(30),
        ClipRule::Ranked(70),
    ];
    let compandings = [None, Companding::beyond(1), Companding::beyond(3)];
    let kinds = rules
        .into_iter()
        .cycle()
        .zip(compandings.into_iter().cycle());
    for (spec, (rule, companding)) in specs.into_iter().zip(kinds) {
        let blob = detector(&spec, rule, companding);
        let seen = bench
            .measure(&blob)
            .unwrap_or_else(|error| panic!("{spec}: {error}"));
        assert!(seen.outputs_match, "{spec}: {seen:?}");
        let promised =
            memory_bytes(&spec.on_device(), FRAMES, None) + 4 * rule.memory_words(WINDOWS);
        assert_eq!(seen.front_end_bytes, Some(promised as u64), "{spec}");
    }
}

/// Estimates count three steps of a DCT for a companded feature, of two to three instructions each: two comparisons, a
/// difference, a product, a sum, and their loads. A core with vectors needs fewer.
fn companding_takes_the_instructions_that_are_estimated() {
    let spec = FeatureSpec::DCASE;
    for (place, expected) in [(Place::QemuM7, 5.0..9.0), (Place::QemuM55, 0.5..9.0)] {
        let mut bench = bench(&place);
        let [plain, companded] = [None, Companding::beyond(3)].map(|companding| {
            let seen = bench.measure(&detector(&spec, ClipRule::Mean, companding));
            seen.unwrap().hop_instructions.unwrap() as f64
        });
        let each = (companded - plain) / spec.bands() as f64;
        say!("{place:?}: {each:.2} instructions for a companded feature, {plain} for a hop");
        assert!(expected.contains(&each), "{place:?}: {each}");
    }
}

/// The front ends of random candidates of every space.
fn front_ends() -> BTreeSet<FeatureSpec> {
    let mut specs = BTreeSet::new();
    for space in builtin() {
        let alone = Spaces::new(vec![space], 6);
        let mut rng = Rng::new(5, 1);
        specs.extend((0..200).map(|_| alone.decode(&alone.random(&mut rng)).front_end.spec));
    }
    specs
}

/// Windows that a [`detector`]'s score is of.
const WINDOWS: u32 = 100;
/// Frames that a [`detector`] sees at once.
const FRAMES: usize = 3;

/// An autoencoder without training behind a front end: its score moves with every feature.
fn detector(spec: &FeatureSpec, rule: ClipRule, companding: Option<Companding>) -> Vec<u8> {
    let mut rng = Rng::new(6, 0);
    let bands = spec.bands();
    let mut builder = GraphBuilder::new(Shape::new(FRAMES, bands, 1));
    let hidden = builder.dense(0, 8, Style::BATCH_NORM_RELU);
    let output = builder.dense(hidden, FRAMES * bands, Style::LINEAR);
    let graph = builder.finish(output);
    let weights = random_weights(&graph, &mut rng);
    let window: Vec<f32> = (0..FRAMES * bands).map(|_| rng.normal() as f32).collect();
    let mut blob = quantize(&graph, &weights, &[&window])
        .expect("the network is quantised")
        .to_blob();

    let noise = (0..16_000).map(|_| (rng.normal() * 3000.0).round() as f32 / 32768.0);
    let noise = Audio {
        samples: noise.collect(),
        sample_rate_hz: spec.sample_rate_hz,
    };
    let features = DeviceExtractor::new(spec).unwrap().extract(&noise).unwrap();
    let last = &features.values[features.values.len() - bands..];
    // Steps of 0.1 dB around what noise gives.
    const GAIN: f32 = 10.0;
    let tables = spec.device_tables().unwrap();
    let mut floats = tables.floats;
    floats.extend(vec![GAIN; bands]);
    floats.extend(last.iter().map(|feature| -GAIN * feature));
    let record = record(spec, FRAMES, 1);
    let decision = Decision {
        task: Task::Reconstruct,
        windows: WINDOWS,
        rule,
        threshold: Threshold::Quantile(1.0),
        alarm: AlarmRule::IMMEDIATE,
    };
    let hearing = Hearing {
        front_end: record,
        floats: &floats,
        ends: &tables.ends,
        statistics: None,
        // A deviation of 2 dB.
        companding: companding.map(|companding| companding.on_device(0.5 / GAIN, 0)),
        decision,
        centres: None,
    };
    append_front_end(&mut blob, &hearing);
    blob
}

fn a_model_that_cannot_run_is_refused_by_name() {
    for place in [Place::QemuM7, Place::QemuM55] {
        let mut bench = bench(&place);
        let (_, good) = candidates(1).swap_remove(0);
        let length = Interpreter::new(&good)
            .expect("the host runs it")
            .lengths()
            .0;
        let input = Inputs::random_tensors(1, length);
        let mut check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
            let mut blob = good.clone();
            change(&mut blob);
            match bench.reproduces(&blob, &input, 1) {
                Err(MeasureError::Refused { name, message }) => {
                    assert_eq!(name, expected, "{message}");
                }
                other => panic!("{expected}: {other:?}"),
            }
        };
        let put = |blob: &mut Vec<u8>, at: usize, word: u32| {
            blob[at..at + 4].copy_from_slice(&word.to_le_bytes());
        };
        let sealed = |blob: &mut Vec<u8>, at: usize, word: u32| {
            put(blob, at, word);
            blob::seal(blob);
        };
        let first_op = {
            let tensors = u32::from_le_bytes(good[24..28].try_into().expect("four bytes"));
            HEADER_BYTES + tensors as usize * TENSOR_BYTES
        };
        check(&|blob| blob.clear(), "not-a-model");
        check(&|blob| blob[0] = b'X', "not-a-model");
        check(&|blob| put(blob, 8, 999), "other-version");
        check(&|blob| *blob.last_mut().expect("a byte") ^= 1, "corrupt");
        check(&|blob| blob.truncate(blob.len() / 2), "corrupt");
        check(&|blob| put(blob, 12, CHECKED_FROM as u32), "corrupt");
        check(&|blob| sealed(blob, 24, 1 << 20), "corrupt");
        check(&|blob| put(blob, 12, 1 << 30), "too-large");
        // The arena's size, then the kind of the first operator.
        check(&|blob| sealed(blob, 40, 16 << 20), "too-large");
        check(&|blob| sealed(blob, first_op, 99), "missing-operator");
        check(&|blob| *blob = vec![0xff; 4096], "not-a-model");
        let short = Inputs::random_tensors(1, length + 1);
        match bench.reproduces(&good, &short, 1) {
            Err(MeasureError::Refused { name, .. }) => assert_eq!(name, "input"),
            other => panic!("{other:?}"),
        }
        let wrong = bench.reproduces(&good, &input, 1);
        assert!(!wrong.expect("a wrong hash is a result"));
    }
}

/// The limit counts the guest's instructions: however busy the machine is, the same run is given up or not.
fn a_run_beyond_its_limit_is_given_up() {
    for place in [Place::QemuM7, Place::QemuM55] {
        let board = place.board().unwrap();
        let (_, blob) = candidates(1).swap_remove(0);
        let length = Interpreter::new(&blob).unwrap().lengths().0;
        // Some hundred million instructions; the firmware looks every ten million.
        let inputs = Inputs::random_tensors(2000, length);
        let hash = inputs.expected_hash(&blob).unwrap();
        let run = |instructions| {
            let image = image(board, Kernels::OfCore);
            let mut bench =
                Bench::of_image(board, image, Limit::instructions(instructions)).unwrap();
            bench.reproduces(&blob, &inputs, hash)
        };
        assert!(run(LIMIT.instructions).unwrap());
        match run(1) {
            Err(MeasureError::Limit {
                instructions: 1, ..
            }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Random operators of every kind that a core has kernels of its own for: `firmware/check`.
fn the_kernels_of_a_core_equal_the_portable_ones() {
    for board in BOARDS.iter() {
        let Some((machine, _)) = board.machine else {
            continue;
        };
        let qemu = find_program("qemu-system-arm").unwrap();
        let toolchain = Toolchain::of(board.core).unwrap();
        let kernels = match board.core {
            Core::CortexM7 => "dsp",
            Core::CortexM55 => "mve",
        };
        let folder = images().join("check");
        let built = toolchain
            .cargo(board.target())
            .args(["--quiet", "--package", "nas-check", "--features", kernels])
            .arg("--target-dir")
            .arg(&folder)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/firmware"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{errors}");
        let checked = Command::new(qemu)
            .args([
                "-M",
                machine,
                "-nographic",
                "-monitor",
                "none",
                "-serial",
                "none",
            ])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(folder.join(board.target()).join("release/nas-check"))
            .output()
            .unwrap();
        let said = [checked.stdout, checked.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        say!("{}: {said}", board.name);
        assert!(checked.status.success(), "{said}");
        assert!(said.contains("\"differences\":0"), "{said}");
    }
}

fn the_images_of_real_chips_link() {
    for board in BOARDS.iter().filter(|board| board.machine.is_none()) {
        let image = image(board, Kernels::OfCore);
        assert!(image.sections.text > 10_000, "{image:?}");
    }
}
