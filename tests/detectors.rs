//! Whole detectors on the host: streams against scored clips, and hostile blobs.

use nas::{
    audio::{Audio, Companding, DeviceExtractor, Feature, FeatureSpec, FrontEnd, Statistics},
    evaluate::{
        Class, Distance, DistancePoint, FORMAT_VERSION, Model, ModelCard, Scorer, StatisticsCard,
    },
    graph::{GraphBuilder, Shape, Style},
    quant::quantize,
    units::Rng,
};
use nas_kernels::{
    Hop, Stream,
    blob::{
        self, BlobError, COMPANDING, DECISION_BYTES, FRONT_END_BYTES, HEADER_BYTES, MAGIC,
        SECTION_BYTES, SECTIONS_AT, Section, VERSION,
    },
};
use proptest::prelude::*;

use crate::networks::random_weights;

tests! {
    version_2_hears_what_it_heard,
    unknown_sections_are_skipped_unless_required,
    a_stream_is_a_scored_clip,
    companding_is_a_section_of_its_own,
    damaged_detectors_never_panic,
}

const FRAMES: usize = 4;
const FRAME_STRIDE: usize = 2;
/// The class of a classifier that every clip claims to be of.
const CLASS: usize = 1;

/// A detector without training; its standardisation suits the noise of [`noise`], so that features differ.
pub fn detector(kind: Kind, score_windows: u32) -> Model {
    let (feature, classes, companding) = match kind {
        Kind::Frames(feature, classes) => (feature, classes, None),
        Kind::Companded(feature) => (feature, 0, Companding::beyond(1)),
        Kind::Statistics(sections) => (Feature::LogMel, sections, None),
    };
    let statistics = match kind {
        Kind::Frames(..) | Kind::Companded(_) => None,
        // All of them, of groups that do not divide the bands.
        Kind::Statistics(_) => Some(Statistics {
            groups: 7,
            kinds: 31,
            ranking: 29_000,
        }),
    };
    let spec = FeatureSpec {
        sample_rate_hz: 16_000,
        n_fft: 256,
        hop_length: 100,
        n_mels: 20,
        feature,
    };
    let front_end = FrontEnd {
        spec,
        frames: FRAMES,
        frame_stride: FRAME_STRIDE,
        statistics,
        companding,
    };
    let [rows, columns] = front_end.window();
    let bands = front_end.features();
    let mut rng = Rng::new(8, classes as u64);
    let mut builder = GraphBuilder::new(Shape::new(rows, columns, 1));
    let output = match kind {
        // Two sections, each with a layer of its own.
        Kind::Statistics(_) => builder.dense(0, 2 * rows * columns, Style::LINEAR),
        Kind::Frames(..) | Kind::Companded(_) => {
            let hidden = builder.dense(0, 8, Style::BATCH_NORM_RELU);
            let outputs = if classes > 0 { classes } else { rows * columns };
            builder.dense(hidden, outputs, Style::LINEAR)
        }
    };
    let graph = builder.finish(output);
    let weights = random_weights(&graph, &mut rng);
    let window: Vec<f32> = (0..rows * columns).map(|_| rng.normal() as f32).collect();
    let network = quantize(&graph, &weights, &[&window]).unwrap();
    let point = |class: u32, block: u32, first: i16| DistancePoint {
        class,
        block,
        weight: 0.5 + class as f32,
        coordinates: (0..bands as i16).map(|idx| first + 100 * idx).collect(),
    };
    let distance = statistics.map(|_| Distance {
        dimensions: bands,
        points: vec![point(0, 0, -900), point(1, 1, 300), point(1, 0, -2000)],
    });

    let features = front_end
        .rows(&features(&spec, &noise(4000, &mut rng)))
        .into_owned();
    let column = |band: usize| features.values.iter().skip(band).step_by(bands);
    let card = ModelCard {
        format_version: FORMAT_VERSION,
        task: match (statistics, classes) {
            (Some(_), _) => "distance",
            (None, 0) => "reconstruct",
            _ => "classify",
        }
        .to_string(),
        sample_rate_hz: spec.sample_rate_hz,
        n_fft: spec.n_fft,
        hop_length: spec.hop_length,
        n_mels: spec.n_mels,
        n_mfcc: match feature {
            Feature::LogMel => None,
            Feature::Mfcc { coefficients } => Some(coefficients),
        },
        features: None,
        input: None,
        output: None,
        frames: FRAMES,
        frame_stride: FRAME_STRIDE,
        statistics: statistics.map(|which| StatisticsCard {
            groups: which.groups,
            kinds: which.kinds,
            ranking: which.ranking,
        }),
        companding: companding.map(|companding| companding.knee),
        scored_on: "samples".to_string(),
        clip_score: None,
        int8: None,
        hears: None,
        mean: (0..bands)
            .map(|band| column(band).sum::<f32>() / column(band).count() as f32)
            .collect(),
        std: vec![3.0; bands],
        classes: (0..classes)
            .map(|idx| Class {
                machine: "fan".to_string(),
                section: idx.to_string(),
            })
            .collect(),
        tells_classes: false,
        threshold: Some(1.0),
        threshold_rule: Some("quantile".to_string()),
        threshold_gamma: None,
        threshold_quantile: Some(1.0),
        false_alarms: None,
        score_windows,
        alarm: None,
        synthetic: true,
        distance,
    };
    Model::new(card, network.to_tflite(), network.to_blob()).unwrap()
}

fn noise(count: usize, rng: &mut Rng) -> Vec<i16> {
    let loudness = 500.0 + 3000.0 * rng.uniform();
    (0..count)
        .map(|_| (rng.normal() * loudness) as i16)
        .collect()
}

fn features(spec: &FeatureSpec, samples: &[i16]) -> nas::audio::Matrix {
    let audio = Audio {
        samples: samples
            .iter()
            .map(|sample| f32::from(*sample) / 32768.0)
            .collect(),
        sample_rate_hz: spec.sample_rate_hz,
    };
    DeviceExtractor::new(spec).unwrap().extract(&audio).unwrap()
}

/// What a detector sees, and how many classes it knows.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Frames, before an autoencoder or a classifier.
    Frames(Feature, usize),
    /// Companded frames, before an autoencoder.
    Companded(Feature),
    /// Statistics of frames, before a distance.
    Statistics(usize),
}

pub const KINDS: [Kind; 7] = [
    Kind::Frames(Feature::LogMel, 0),
    Kind::Frames(Feature::LogMel, 3),
    Kind::Frames(Feature::Mfcc { coefficients: 13 }, 0),
    Kind::Frames(Feature::Mfcc { coefficients: 13 }, 3),
    Kind::Statistics(2),
    Kind::Companded(Feature::LogMel),
    Kind::Companded(Feature::Mfcc { coefficients: 13 }),
];

/// How windows' scores become one.
const RULES: [&str; 5] = ["mean", "max", "q80", "top30", "rank70"];

/// The same detector with another rule.
fn with_rule(model: &Model, rule: &str) -> Model {
    let card = ModelCard {
        clip_score: Some(rule.to_string()),
        ..model.card.clone()
    };
    let network = nas::quant::QuantizedModel::from_tflite(&model.tflite).unwrap();
    Model::new(card, model.tflite.clone(), network.to_blob()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Samples in pieces of any length give the features, scores and decisions that the host gives a whole clip.
    fn a_stream_is_a_scored_clip(
        kind in 0..KINDS.len(),
        rule in 0usize..5,
        seed in 0u64..1 << 40,
        length in 600usize..5000,
        pieces in proptest::collection::vec(0usize..700, 1..20),
    ) {
        let mut rng = Rng::new(seed, 0);
        let mut samples = noise(length, &mut rng);
        // The score is of all windows of the clip.
        let model = with_rule(&detector(KINDS[kind], length as u32), RULES[rule]);
        let clip = features(&model.card.front_end().spec, &samples);
        let mut scorer = Scorer::new(&model).unwrap();
        let frames = scorer.quantize(&clip);
        let windows: Vec<Vec<i8>> = scorer.windows(&frames).map(<[i8]>::to_vec).collect();
        let scores = scorer.window_scores(&clip, CLASS);
        let score = scorer.clip_score(&clip, CLASS);

        // The host centres frames, so silence follows a clip.
        samples.extend(vec![0; model.card.n_fft / 2]);
        let mut heard = 0;
        // Sample by sample where a piece has none.
        let pieces = pieces.iter().cycle().map_while(|length| {
            let piece = samples.get(heard..)?;
            let piece = &piece[..piece.len().min((*length).max(1))];
            heard += piece.len();
            (!piece.is_empty()).then_some(piece)
        });
        let mut seen = Vec::new();
        let last = with_stream(&model.blob, |stream| {
            let mut last = None;
            for mut piece in pieces {
                while let Some(hop) = stream.next(&mut piece) {
                    if let Some(score) = hop.window_score {
                        seen.push((stream.window().concat(), score));
                    }
                    last = Some(hop);
                }
            }
            last
        });
        let last: Hop = last.unwrap().unwrap();
        prop_assert_eq!(&seen, &windows.into_iter().zip(scores).collect::<Vec<_>>());
        prop_assert!(!seen.is_empty());
        prop_assert_eq!(last.score.map(f64::from), score);
        prop_assert_eq!(last.anomaly, score.map(|score| score > model.card.threshold.unwrap()));
        // The last frame of the stream may belong to no window of the clip.
        let [clipped, _] = scorer.clipped(&model.card.front_end().rows(&clip));
        prop_assert_eq!(clipped as u32, with_stream(&model.blob, |stream| {
            stream.push(&samples);
            stream.clipped()
        }).unwrap());
    }
}

/// Opens a stream on a blob, and does something with it; an error where the blob is refused.
pub fn with_stream<T>(
    blob: &[u8],
    act: impl FnOnce(&mut Stream<'_, '_>) -> T,
) -> Result<T, BlobError> {
    let model = nas_kernels::Model::parse(blob)?;
    if model.arena_bytes() + model.stream_bytes() > MEMORY {
        let (needed, found) = (model.arena_bytes() + model.stream_bytes(), MEMORY);
        return Err(BlobError::ArenaTooSmall { needed, found });
    }
    let mut arena = vec![0; model.arena_bytes()];
    let mut memory = vec![0; model.stream_bytes() / 4];
    let mut stream = Stream::new(&model, CLASS, &mut arena, &mut memory)?;
    Ok(act(&mut stream))
}

/// A device with more is legal, and slow.
const MEMORY: usize = 1 << 18;

/// Ways to damage a blob.
#[derive(Debug, Clone)]
enum Damage {
    /// Bytes anywhere.
    Bytes(Vec<(prop::sample::Index, u8)>),
    /// Words of header, table of sections, front end and decision.
    Words(Vec<(prop::sample::Index, u32)>),
    /// The end is missing.
    Cut(prop::sample::Index),
    /// Nothing of it is left but magic, version and length.
    Noise(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    use proptest::{collection::vec, sample::Index};
    let word = prop_oneof![
        any::<u32>(),
        0u32..40,
        prop::sample::select(vec![
            u32::MAX,
            1 << 31,
            i32::MAX as u32,
            1 << 16,
            0x7fc0_0000
        ]),
    ];
    prop_oneof![
        vec((any::<Index>(), any::<u8>()), 1..6).prop_map(Damage::Bytes),
        vec((any::<Index>(), word), 1..4).prop_map(Damage::Words),
        any::<Index>().prop_map(Damage::Cut),
        vec(any::<u8>(), 0..600).prop_map(Damage::Noise),
    ]
}

/// The table of sections, which ends a blob.
fn sections(blob: &[u8]) -> Vec<Section> {
    let table = u32::from_le_bytes(*blob[SECTIONS_AT..].first_chunk().unwrap());
    let (entries, _) = blob[table as usize..].as_chunks::<SECTION_BYTES>();
    entries.iter().map(Section::from_bytes).collect()
}

impl Damage {
    /// The damaged blob, with a length and a checksum that fit.
    fn apply(&self, good: &[u8]) -> Vec<u8> {
        let mut blob = good.to_vec();
        let at = |at: usize| u32::from_le_bytes(*good[at..].first_chunk().unwrap()) as usize;
        match self {
            Damage::Bytes(bytes) => {
                for (index, byte) in bytes {
                    blob[index.index(good.len())] = *byte;
                }
            }
            Damage::Words(words) => {
                let table = at(SECTIONS_AT);
                let records = sections(good).into_iter().flat_map(|section| {
                    let length = section
                        .length
                        .min(FRONT_END_BYTES.max(DECISION_BYTES) as u32);
                    section.offset as usize..(section.offset + length) as usize
                });
                let places: Vec<usize> = (24..HEADER_BYTES)
                    .chain(table..good.len())
                    .chain(records)
                    .step_by(4)
                    .collect();
                for (index, word) in words {
                    let place = places[index.index(places.len())];
                    blob[place..place + 4].copy_from_slice(&word.to_le_bytes());
                }
            }
            Damage::Cut(index) => {
                blob.truncate(HEADER_BYTES + index.index(good.len() - HEADER_BYTES))
            }
            Damage::Noise(noise) => {
                blob = [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 12], noise].concat();
                blob.resize(blob.len().max(HEADER_BYTES), 0);
            }
        }
        let length = blob.len() as u32;
        blob[12..16].copy_from_slice(&length.to_le_bytes());
        blob::seal(&mut blob);
        blob
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The blob is refused by name, or it hears.
    fn damaged_detectors_never_panic(kind in 0..KINDS.len(), damage in damage()) {
        thread_local! {
            static GOOD: Vec<Vec<u8>> =
                KINDS.map(|kind| detector(kind, 10).blob).to_vec();
        }
        let blob = GOOD.with(|good| damage.apply(&good[kind]));
        let samples = noise(3000, &mut Rng::new(0, 0));
        // A hop may be one sample.
        let heard = |piece: usize| {
            with_stream(&blob, |stream| {
                let mut hops = Vec::new();
                for mut piece in samples.chunks(piece) {
                    while hops.len() < 40 && let Some(hop) = stream.next(&mut piece) {
                        hops.push((hop.score.map(f32::to_bits), hop.anomaly));
                    }
                }
                hops
            })
        };
        match (heard(3000), heard(97)) {
            (Ok(whole), Ok(pieces)) => prop_assert_eq!(whole, pieces),
            (Err(error), Err(again)) => prop_assert_eq!(error.to_string(), again.to_string()),
            (whole, pieces) => prop_assert!(false, "{:?} {:?}", whole.is_ok(), pieces.is_ok()),
        }
    }
}

/// A detector that a build of format version 2 wrote, and what that build heard in 96 samples.
fn version_2_hears_what_it_heard() {
    // In memory of its own, which is aligned.
    let blob = include_bytes!("golden/detector_v2.nas").to_vec();
    let samples: Vec<i16> = (0..96i32)
        .map(|idx| (idx * idx * 7 % 2001 - 1000) as i16 * 9)
        .collect();
    let seen = with_stream(&blob, |stream| {
        let mut heard = &samples[..];
        let scores = std::iter::from_fn(|| stream.next(&mut heard)).map(|hop| hop.window_score);
        let scores: Vec<Option<f32>> = scores.collect();
        (scores, stream.output().to_vec())
    });
    let (scores, output) = seen.unwrap();
    let expected = [
        0.43125,
        0.569_062_53,
        0.553_750_04,
        0.484_687_5,
        0.539_687_5,
    ];
    let expected: Vec<Option<f32>> = [None].into_iter().chain(expected.map(Some)).collect();
    assert_eq!(scores, expected);
    assert_eq!(output, [-36, -7, -47, -1, -29, -10, -46, 2]);
}

/// Without it a blob has no such section; with it features beyond the knee count a quarter, and the rest as before.
fn companding_is_a_section_of_its_own() {
    let plain = detector(KINDS[0], 10);
    let companded = detector(Kind::Companded(Feature::LogMel), 10);
    let has = |model: &Model| {
        let tags = sections(&model.blob).into_iter();
        tags.map(|section| section.tag).any(|tag| tag == COMPANDING)
    };
    assert!(!has(&plain) && has(&companded));
    let spec = plain.card.front_end().spec;
    let clip = features(&spec, &noise(4000, &mut Rng::new(8, 0)));
    let seen = [&plain, &companded].map(|model| Scorer::new(model).unwrap().quantize(&clip));
    let input = nas::quant::Interpreter::new(&plain.blob).unwrap().input();
    let mut compressed = 0;
    for (idx, (plain_step, step)) in seen[0].iter().zip(&seen[1]).enumerate() {
        let band = idx % clip.bands;
        let deviation = (clip.values[idx] - plain.card.mean[band]) / plain.card.std[band];
        let expected = input.quantize(deviation.clamp(-1.0, 1.0) * 0.75 + deviation * 0.25);
        // The host divides where the device multiplies by a reciprocal: a value between two steps may go either way.
        assert!(
            (i32::from(*step) - i32::from(expected)).abs() <= 1,
            "{deviation}"
        );
        // At the knee itself rounding decides on which side a value lies.
        match deviation.abs() < 0.999 {
            true => assert_eq!(plain_step, step, "{deviation}"),
            false => compressed += usize::from(plain_step != step),
        }
    }
    assert!(compressed > 100, "{compressed}");
}

fn unknown_sections_are_skipped_unless_required() {
    let good = detector(KINDS[0], 10).blob;
    let check = |tag: &[u8; 4], required: bool, expected: Result<(), &str>| {
        let mut blob = good.clone();
        let entry = Section {
            tag: *tag,
            required,
            offset: 0,
            length: HEADER_BYTES as u32,
        };
        blob.extend(entry.to_bytes());
        blob[SECTIONS_AT + 4] += 1;
        blob::seal(&mut blob);
        let seen = nas_kernels::Model::parse(&blob).map(|_| ());
        let seen = seen.map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(seen, Ok(())),
            Err(part) => assert!(
                seen.as_ref().is_err_and(|said| said.contains(part)),
                "{seen:?}"
            ),
        }
    };
    check(b"NOTE", false, Ok(()));
    check(
        b"NOTE",
        true,
        Err("section \"NOTE\" of the model is wrong: this build does not know it"),
    );
    check(b"DECI", true, Err("it is there twice"));
}
