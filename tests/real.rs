//! Real recordings, which are no part of the project: searches on them, and what is known of them from elsewhere.

use std::{fs, path::Path};

use nas::{
    audio::Encoding as Coding,
    audio::{
        Channel, Decibels, DeviceExtractor, Extractor, Feature, FeatureSpec, Padding, read,
        read_log_mel,
    },
    data::{self, Encoding},
};

use crate::{cli::Tool, runner::shared};

tests! {
    toycar_gives_a_small_good_autoencoder: [Shared("data/audio/toycar-ad01")],
    one_car_is_watched_and_the_others_are_outliers: [Shared("data/audio/toycar-ad01")],
    the_published_perceptron_is_judged_by_folds_and_at_random: [Shared("data/audio/us8k-subset")],
    features_of_recordings_are_close_to_librosa_s: [Shared("data/audio/dcase20-dev-36")],
    toycar_features_are_those_of_mlperf_tiny: [Shared("data/audio/dcase20-dev-36"), Shared("data/audio/toycar-ad01")],
    flac_is_its_wav: [Shared("data/audio/flac-samples"), Shared("data/audio/dcase23-dev-28")],
    headers_are_read: [Shared("data/audio")],
    layouts_are_recognised: [Shared("data/audio")],
}

fn toycar_gives_a_small_good_autoencoder() {
    let path = shared("data/audio/toycar-ad01/split.csv");
    let tool = Tool::new();
    let search = format!(
        "search --data {} --space dense-ae --budget-ram 64k --target m7 --trials 4 --epochs 3 --name real -q --json",
        path.display()
    );
    let document = tool.json(&search);
    assert_eq!(document["synthetic"], false);
    let best = &document["front"][0];
    let number = |key: &str| best[key].as_f64().unwrap();
    // Twenty full trainings gave 0.90 to 0.97; three epochs of four small networks come close.
    assert!(number("auc_int8") > 0.85, "{best}");
    assert!(
        (number("auc_int8") - number("auc_float")).abs() < 0.02,
        "{best}"
    );
    assert!(number("test_auc_int8") > 0.85, "{best}");

    // The stored model gives the clips the scores that it was judged by.
    let trial = &best["trial"];
    let scores = tool.json(&format!(
        "score real/{trial} --data {} --test --json",
        path.display()
    ));
    assert_eq!(scores["clips"].as_array().unwrap().len(), 186);
    let (steer, test, all) = (
        number("auc_int8"),
        number("test_auc_int8"),
        scores["auc_int8"].as_f64().unwrap(),
    );
    assert!(
        (all - (steer + test) / 2.0).abs() < 0.03,
        "{steer} and {test} make {all}"
    );
}

/// The other cars' sound, as known anomalies, tells this car's faults better than its own sound alone.
fn one_car_is_watched_and_the_others_are_outliers() {
    let path = shared("data/audio/toycar-ad01/split_all_ids.csv");
    let tool = Tool::new();
    let document = tool.json(&format!(
        "search --data {}:id_04 --space dense-ae --budget-ram 64k --target m7 --trials 2 --epochs 5 --name one -q --json",
        path.display()
    ));
    let best = &document["front"][0];
    let auc = best["auc_int8"].as_f64().unwrap();
    // Without outliers the same trainings of a small network give 0.95, with them 0.99.
    assert!(auc > 0.96, "{best}");
    let scores = tool.json(&format!(
        "score one/{} --data {}:ToyCar/id_04 --test --json",
        best["trial"],
        path.display()
    ));
    assert_eq!(scores["clips"].as_array().unwrap().len(), 186);
}

/// The task of a published detector: every official fold tests in turn, and beside it the random split that it was published
/// with, which puts slices of one recording on both sides.
fn the_published_perceptron_is_judged_by_folds_and_at_random() {
    let path = shared("data/audio/us8k-subset");
    let tool = Tool::new();
    let baseline = format!(
        "baseline p2-mlp --data {} --target m7 --report -q --json",
        path.display()
    );
    let document = tool.json(&baseline);
    let [folds, random] = &document["examined"].as_array().unwrap()[..] else {
        panic!("{document}");
    };
    assert_eq!(folds["split"], "official folds");
    assert_eq!(
        (&folds["trainings"], &random["trainings"]),
        (&5.into(), &1.into())
    );
    let accuracy = |split: &serde_json::Value, network: &str| {
        split[network]["accuracy"]["mean"].as_f64().unwrap()
    };
    for network in ["float", "int8"] {
        // scikit-learn's perceptron on librosa's features of the same 658 slices: 0.756 by folds (0.54 to 0.86, three
        // seeds), 0.904 ± 0.015 at random (six splits). One split of 135 test clips has a standard error of 0.03.
        let (by_folds, at_random) = (accuracy(folds, network), accuracy(random, network));
        assert!((by_folds - 0.756).abs() < 0.05, "{network}: {by_folds}");
        assert!((at_random - 0.904).abs() < 0.06, "{network}: {at_random}");
    }
    let run = std::fs::read_dir(tool.folder.path())
        .unwrap()
        .find_map(|entry| {
            let path = entry.unwrap().path();
            path.join("evaluation-official-folds.svg")
                .exists()
                .then_some(path)
        });
    assert!(run.unwrap().join("evaluation-random-split.png").exists());
}

const DCASE: FeatureSpec = FeatureSpec {
    sample_rate_hz: 16_000,
    n_fft: 1024,
    hop_length: 512,
    n_mels: 128,
    feature: Feature::LogMel,
};

/// The device's features against ours in 64 bits, which librosa's equal.
fn features_of_recordings_are_close_to_librosa_s() {
    let mfcc = FeatureSpec {
        feature: Feature::Mfcc { coefficients: 13 },
        ..DCASE
    };
    let folder = shared("data/audio/dcase20-dev-36/dev_data");
    for spec in [DCASE, mfcc] {
        let (exact, device) = (
            Extractor::new(&spec).unwrap(),
            DeviceExtractor::new(&spec).unwrap(),
        );
        for machine in fs::read_dir(&folder).unwrap() {
            for clip in fs::read_dir(machine.unwrap().path().join("test")).unwrap() {
                let audio = read(&clip.unwrap().path(), Channel::default()).unwrap();
                let (exact, device) = (
                    exact.extract(&audio).unwrap(),
                    device.extract(&audio).unwrap(),
                );
                let difference = largest_difference(&exact.values, &device.values);
                // A transform in 32 bits adds noise some 140 dB below the loudest bin, and the quietest bands of these
                // clips lie 80 dB below it. A step of an int8 input is about 0.05 dB.
                assert!(difference < 5e-3, "{spec}: {difference} dB");
            }
        }
    }
}

fn toycar_features_are_those_of_mlperf_tiny() {
    let bins = shared("data/audio/toycar-ad01/bins");
    let mut compared = 0;
    for entry in fs::read_dir(shared("data/audio/dcase20-dev-36/dev_data/ToyCar/test")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let stored = read_log_mel(&bins.join(format!("{name}_hist_librosa.bin")), 128).unwrap();
        let audio = read(&path, Channel::default()).unwrap();
        for padding in [Padding::Zero, Padding::Reflect] {
            let extractor = Extractor::with(&DCASE, padding, Decibels::Offset).unwrap();
            let matrix = extractor.extract(&audio).unwrap();
            let central = &matrix.values[50 * 128..250 * 128];
            let difference = largest_difference(central, &stored.values);
            assert!(difference < 1e-5, "{name}: {difference}");
        }
        compared += 1;
    }
    assert_eq!(compared, 6);
}

fn largest_difference(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    let differences = left
        .iter()
        .zip(right)
        .map(|(left, right)| f64::from(left - right).abs());
    differences.fold(0.0, f64::max)
}

fn flac_is_its_wav() {
    let wavs = shared("data/audio/dcase23-dev-28/dev_data/valve/train");
    let mut compared = 0;
    for entry in fs::read_dir(shared("data/audio/flac-samples")).unwrap() {
        let flac = entry.unwrap().path();
        let wav = wavs.join(flac.file_name().unwrap()).with_extension("wav");
        let left = read(&flac, Channel::default()).unwrap();
        assert_eq!(left, read(&wav, Channel::default()).unwrap());
        compared += 1;
    }
    assert_eq!(compared, 2);
}

fn headers_are_read() {
    let check = |relative: &str, expected: (Encoding, u32, usize, f64)| {
        let info = data::describe(&data::open(&audio(relative)).unwrap());
        let [format] = &info.formats[..] else {
            panic!("{:?}", info.formats);
        };
        let found = (
            format.encoding,
            format.channels,
            format.clips,
            format.longest_s,
        );
        assert_eq!(found, expected, "{relative}");
    };
    check(
        "dcase20-dev-36/dev_data",
        (Encoding::Sound(Coding::Pcm), 1, 36, 11.0),
    );
    check("flac-samples", (Encoding::Sound(Coding::Flac), 1, 2, 10.0));
    check(
        "mimii-0dB-8ch-originals",
        (Encoding::Sound(Coding::Pcm), 8, 2, 10.0),
    );
    check("toycar-ad01", (Encoding::LogMelBin, 1, 436, 6.4));
}

fn audio(relative: &str) -> std::path::PathBuf {
    shared("data/audio").join(Path::new(relative))
}

/// One line per kind of clips, then the notes.
fn layouts_are_recognised() {
    fn check(relative: &str, expected: &str) {
        let dataset = data::open(&audio(relative)).unwrap();
        let mut lines = Vec::new();
        for count in data::describe(&dataset).counts {
            let label = count
                .label
                .map_or("Unlabelled".to_string(), |label| format!("{label:?}"));
            lines.push(format!(
                "{} {} {:?} {:?} {label} {}",
                count.machine, count.section, count.split, count.domain, count.clips
            ));
        }
        lines.extend(dataset.notes.iter().map(|note| format!("note: {note}")));
        let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
        assert_eq!(lines, expected, "{relative}");
    }
    check("dcase20-dev-36/dev_data", "
        ToyCar id_04 Test Source Normal 3
        ToyCar id_04 Test Source Anomaly 3
        ToyConveyor id_01 Test Source Normal 3
        ToyConveyor id_01 Test Source Anomaly 3
        fan id_06 Test Source Normal 3
        fan id_06 Test Source Anomaly 3
        pump id_04 Test Source Normal 3
        pump id_04 Test Source Anomaly 3
        slider id_00 Test Source Normal 3
        slider id_00 Test Source Anomaly 3
        valve id_02 Test Source Normal 3
        valve id_02 Test Source Anomaly 3
        note: no training clips: you can score a model here, but not search for one
        note: too few test clips for scores to mean anything: ToyCar id_04 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25), ToyConveyor id_01 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25), fan id_06 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25) and 3 more
        ");
    check("dcase20-dev-36/dev_data/ToyCar", "
        ToyCar id_04 Test Source Normal 3
        ToyCar id_04 Test Source Anomaly 3
        note: no training clips: you can score a model here, but not search for one
        note: too few test clips for scores to mean anything: ToyCar id_04 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25)
        ");
    check("dcase20-dev-36/dev_data/ToyCar/test", "
        ToyCar id_04 Test Source Normal 3
        ToyCar id_04 Test Source Anomaly 3
        note: no training clips: you can score a model here, but not search for one
        note: too few test clips for scores to mean anything: ToyCar id_04 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25)
        ");
    check("dcase23-dev-28/dev_data", "
        ToyCar 00 Train Source Normal 2
        ToyCar 00 Test Source Normal 2
        ToyTrain 00 Train Source Normal 2
        ToyTrain 00 Test Target Normal 1
        ToyTrain 00 Test Target Anomaly 1
        bearing 00 Train Source Normal 2
        bearing 00 Test Source Normal 1
        bearing 00 Test Target Anomaly 1
        fan 00 Train Source Normal 2
        fan 00 Test Source Anomaly 1
        fan 00 Test Target Normal 1
        gearbox 00 Train Source Normal 2
        gearbox 00 Test Source Normal 1
        gearbox 00 Test Target Anomaly 1
        slider 00 Train Source Normal 2
        slider 00 Test Source Normal 1
        slider 00 Test Target Normal 1
        valve 00 Train Source Normal 2
        valve 00 Test Target Normal 1
        valve 00 Test Target Anomaly 1
        note: too few training clips to learn what is normal: ToyCar section 00, ToyTrain section 00, bearing section 00 and 4 more
        note: no anomalous test clips, so no AUC: ToyCar section 00, slider section 00
        note: too few test clips for scores to mean anything: ToyTrain section 00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), bearing section 00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), fan section 00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50) and 2 more
        ");
    check("dcase23-dev-28/dev_data/valve", "
        valve 00 Train Source Normal 2
        valve 00 Test Target Normal 1
        valve 00 Test Target Anomaly 1
        note: too few training clips to learn what is normal: valve section 00
        note: too few test clips for scores to mean anything: valve section 00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ");
    check(
        "flac-samples",
        "
        flac-samples 00 Train Source Normal 2
        note: too few training clips to learn what is normal: flac-samples section 00
        note: no test clips: nothing can be scored
        ",
    );
    check(
        "toycar-ad01",
        "
        ToyCar id_04 Train Source Normal 250
        ToyCar id_04 Test Source Normal 50
        ToyCar id_04 Test Source Anomaly 136
        ",
    );
    check(
        "toycar-ad01/split_all_ids.csv",
        "
        ToyCar id_01 Train Source Normal 26
        ToyCar id_01 Test Source Normal 18
        ToyCar id_01 Test Source Anomaly 37
        ToyCar id_02 Train Source Normal 21
        ToyCar id_02 Test Source Normal 14
        ToyCar id_02 Test Source Anomaly 27
        ToyCar id_03 Train Source Normal 21
        ToyCar id_03 Test Source Normal 14
        ToyCar id_03 Test Source Anomaly 27
        ToyCar id_04 Train Source Normal 250
        ToyCar id_04 Test Source Normal 50
        ToyCar id_04 Test Source Anomaly 136
        ",
    );
    check("toycar-ad01/bins", "
        ToyCar id_01 Train Source Normal 35
        ToyCar id_01 Test Source Normal 9
        ToyCar id_01 Test Source Anomaly 37
        ToyCar id_02 Train Source Normal 28
        ToyCar id_02 Test Source Normal 7
        ToyCar id_02 Test Source Anomaly 27
        ToyCar id_03 Train Source Normal 28
        ToyCar id_03 Test Source Normal 7
        ToyCar id_03 Test Source Anomaly 27
        ToyCar id_04 Train Source Normal 240
        ToyCar id_04 Test Source Normal 60
        ToyCar id_04 Test Source Anomaly 136
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: few test clips, so scores say little: ToyCar id_01 (9 normal, 37 anomalous; a guess has AUC 0.50 ± 0.11), ToyCar id_02 (7 normal, 27 anomalous; a guess has AUC 0.50 ± 0.12), ToyCar id_03 (7 normal, 27 anomalous; a guess has AUC 0.50 ± 0.12)
        ");
    check("mimii-0dB-ch0/0_dB_valve", "
        valve id_00 Test Source Normal 1
        valve id_00 Test Source Anomaly 1
        valve id_02 Test Source Normal 1
        valve id_02 Test Source Anomaly 1
        valve id_04 Test Source Normal 1
        valve id_04 Test Source Anomaly 1
        valve id_06 Test Source Normal 1
        valve id_06 Test Source Anomaly 1
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: no training clips: you can score a model here, but not search for one
        note: too few test clips for scores to mean anything: valve id_00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), valve id_02 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), valve id_04 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50) and 1 more
        ");
}
