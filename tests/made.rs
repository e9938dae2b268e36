//! Data sets that the tests make themselves, in the layouts of real ones.

use std::{f64::consts::TAU, fmt::Write as _, fs, path::Path, path::PathBuf};

use nas::units::Rng;

const BANDS: usize = 128;
const FRAMES: usize = 60;
/// What moves the bands of a machine, unseen.
const SIGNALS: usize = 4;

/// Ready log-mel features of `sections` machines of one kind, and the csv that lists them: per section `train` normal
/// clips, and `test` normal and as many anomalous ones.
///
/// Every machine's bands follow a few hidden signals. In an anomalous clip every sixth band flutters, more or less, so that
/// loud faults are found and faint ones are not.
pub fn features(folder: &Path, sections: usize, train: usize, test: usize) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let mut csv = "file,split,label,machine,section,domain\n".to_string();
    for section in 1..=sections {
        let mut rng = Rng::new(40, section as u64);
        let ways: Vec<f64> = (0..BANDS * SIGNALS).map(|_| rng.normal()).collect();
        for (split, label, count) in [
            ("train", "normal", train),
            ("test", "normal", test),
            ("test", "anomaly", test),
        ] {
            for clip in 0..count {
                let severity = if label == "anomaly" {
                    rng.range(0.1, 1.0)
                } else {
                    0.0
                };
                let name = format!("{split}_{label}_{section}_{clip}.bin");
                let bytes: Vec<u8> = clip_values(&ways, severity, &mut rng)
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                fs::write(folder.join(&name), bytes).unwrap();
                writeln!(csv, "{name},{split},{label},car,id_{section:02},source").unwrap();
            }
        }
    }
    let path = folder.join("split.csv");
    fs::write(&path, csv).unwrap();
    path
}

/// Frames in dB; with `severity` 1 every sixth band flutters by 12 dB.
fn clip_values(ways: &[f64], severity: f64, rng: &mut Rng) -> Vec<f32> {
    let mut signals = [0.0; SIGNALS];
    let mut values = Vec::new();
    for _ in 0..FRAMES {
        for signal in &mut signals {
            *signal = 0.8 * *signal + 0.6 * rng.normal();
        }
        for (band, ways) in ways.chunks_exact(SIGNALS).enumerate() {
            let heard: f64 = signals
                .iter()
                .zip(ways)
                .map(|(signal, way)| signal * way)
                .sum();
            let flutter = if band % 6 == 0 {
                12.0 * severity * rng.normal()
            } else {
                0.0
            };
            values.push((-40.0 + 3.0 * heard + 3.0 * rng.normal() + flutter) as f32);
        }
    }
    values
}

/// Slices of city sound in five folds, as UrbanSound8K has them: `per_fold` recordings of each of three classes, two
/// slices of 1 s each, and one slice in six that has only half a second.
///
/// A class is a tone of its own in noise.
pub fn city(folder: &Path, per_fold: usize) -> PathBuf {
    const RATE: u32 = 16_000;
    let mut table = "slice_file_name,fsID,start,end,salience,fold,classID,class\n".to_string();
    fs::create_dir_all(folder.join("metadata")).unwrap();
    let mut recording = 1000;
    let mut rng = Rng::new(41, 0);
    for fold in 1..=5 {
        let audio = folder.join(format!("audio/fold{fold}"));
        fs::create_dir_all(&audio).unwrap();
        for (class, name) in [(1, "car_horn"), (3, "dog_bark"), (5, "engine_idling")] {
            for _ in 0..per_fold {
                recording += 1;
                for slice in 0..2 {
                    let is_short = (recording + slice) % 6 == 0;
                    let samples = if is_short { RATE / 2 } else { RATE };
                    let file = format!("{recording}-{class}-0-{slice}.wav");
                    let spec = hound::WavSpec {
                        channels: 1,
                        sample_rate: RATE,
                        bits_per_sample: 16,
                        sample_format: hound::SampleFormat::Int,
                    };
                    let mut writer = hound::WavWriter::create(audio.join(&file), spec).unwrap();
                    for idx in 0..samples {
                        let tone = (TAU * 400.0 * f64::from(class * idx) / f64::from(RATE)).sin();
                        writer
                            .write_sample((1000.0 * tone + 2000.0 * rng.normal()) as i16)
                            .unwrap();
                    }
                    writer.finalize().unwrap();
                    writeln!(table, "{file},{recording},0.0,1.0,1,{fold},{class},{name}").unwrap();
                }
            }
        }
    }
    fs::write(folder.join("metadata/UrbanSound8K.csv"), table).unwrap();
    folder.to_path_buf()
}
