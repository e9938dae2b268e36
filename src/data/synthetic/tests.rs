use super::*;
use crate::{
    audio::{Audio, Extractor, Feature, FeatureSpec},
    data,
};

fn rendered(clip: &Clip) -> Audio {
    match &clip.source {
        Source::Synthetic(spec) => render(spec),
        other => panic!("{other:?} in a synthetic set"),
    }
}

fn rms(audio: &Audio) -> f64 {
    dsp::rms(&audio.samples)
}

/// Mean level of every mel band in dB.
fn mean_spectrum(audio: &Audio) -> Vec<f64> {
    let spec = FeatureSpec {
        sample_rate_hz: SAMPLE_RATE_HZ,
        n_fft: 1024,
        hop_length: 512,
        n_mels: 64,
        feature: Feature::LogMel,
    };
    let matrix = Extractor::new(&spec).unwrap().extract(audio).unwrap();
    let mut mean = vec![0.0; matrix.bands];
    for frame in matrix.values.chunks(matrix.bands) {
        for (sum, value) in mean.iter_mut().zip(frame) {
            *sum += f64::from(*value) / matrix.frames() as f64;
        }
    }
    mean
}

#[test]
fn names_lead_back_to_machines() {
    for machine in Machine::ALL {
        assert_eq!(Machine::from_name(machine.name()), Some(machine));
    }
    assert_eq!(Machine::from_name("toaster"), None);
}

#[test]
fn equal_specifications_sound_equal_on_every_thread() {
    for machine in Machine::ALL {
        let fault = machine.faults().first().map(|kind| Fault {
            kind: *kind,
            severity: 1.0,
        });
        let spec = ClipSpec::new(machine, 1, Domain::Target, fault, 7);
        let here = render(&spec);
        let there = std::thread::scope(|scope| scope.spawn(|| render(&spec)).join().unwrap());
        assert_eq!(here, there, "{}", machine.name());
        for other in [
            ClipSpec {
                seed: 8,
                ..spec.clone()
            },
            ClipSpec {
                section: 2,
                ..spec.clone()
            },
            ClipSpec {
                fault: None,
                ..spec.clone()
            },
            ClipSpec {
                speed: 1.0,
                ..spec.clone()
            },
            ClipSpec {
                noise: Noise::Press,
                ..spec.clone()
            },
            ClipSpec {
                microphone: 2,
                ..spec.clone()
            },
            ClipSpec {
                snr_db: -6.0,
                ..spec.clone()
            },
        ] {
            assert_ne!(here, render(&other), "{spec:?} sounds as {other:?}");
        }
    }
}

#[test]
fn clips_are_sane_sound() {
    for machine in Machine::ALL {
        // Every seventh clip covers all sections, domains and faults.
        for clip in dataset(machine).clips.iter().step_by(7) {
            let audio = rendered(clip);
            assert_eq!(audio.samples.len(), 64_000);
            let peak = audio
                .samples
                .iter()
                .fold(0.0f32, |peak, s| peak.max(s.abs()));
            assert!(audio.samples.iter().all(|s| s.is_finite()), "{}", clip.name);
            // The level stays below the limiter, and 26 dB below full scale give or take what noise and machine add.
            assert!(peak < 0.95, "{}: peak {peak}", clip.name);
            assert!(
                (0.015..0.1).contains(&rms(&audio)),
                "{}: RMS {}",
                clip.name,
                rms(&audio)
            );
        }
    }
    let spec = ClipSpec::new(Machine::Valve, 0, Domain::Source, None, 0);
    for duration_ms in [0, 1, 20] {
        let audio = render(&ClipSpec {
            duration_ms,
            ..spec.clone()
        });
        assert_eq!(audio.samples.len(), duration_ms as usize * 16);
    }
}

/// A clip and its twin with a fault are the same otherwise, so their distance is the fault's.
#[test]
fn faults_grow_with_severity() {
    for machine in Machine::ALL {
        for kind in machine.faults() {
            let distance = |severity: f64| -> f64 {
                let squares = (0..8).map(|seed| {
                    let spectrum = |severity| {
                        let kind = *kind;
                        let mut spec =
                            ClipSpec::new(machine, (seed % 3) as u8, Domain::Source, None, seed);
                        spec.fault = Some(Fault { kind, severity });
                        mean_spectrum(&render(&spec))
                    };
                    let pairs = spectrum(0.0).into_iter().zip(spectrum(severity));
                    pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
                });
                squares.sum::<f64>().sqrt()
            };
            let graded = [0.0, 0.5, 1.0, 2.0].map(distance);
            assert_eq!(graded[0], 0.0, "{kind:?}");
            assert!(graded.is_sorted_by(|a, b| a < b), "{kind:?}: {graded:?}");
        }
    }
}

#[test]
fn default_sets_are_balanced() {
    for machine in Machine::ALL {
        let dataset = dataset(machine);
        assert!(dataset.synthetic);
        assert!(
            dataset
                .clips
                .is_sorted_by(|a, b| (a.split, &a.name) < (b.split, &b.name))
        );
        let mut specs: Vec<String> = Vec::new();
        for section in ["00", "01", "02"] {
            for (domain, train) in [
                (Domain::Source, TRAIN_SOURCE),
                (Domain::Target, TRAIN_TARGET),
            ] {
                let clips: Vec<&Clip> = dataset
                    .clips
                    .iter()
                    .filter(|clip| clip.section == section && clip.domain == domain)
                    .collect();
                let count = |split, label| {
                    let wanted = |clip: &&&Clip| clip.split == split && clip.label == Some(label);
                    clips.iter().filter(wanted).count()
                };
                assert_eq!(count(Split::Train, Label::Normal), train as usize);
                assert_eq!(count(Split::Train, Label::Anomaly), 0);
                assert_eq!(count(Split::Test, Label::Normal), 45);
                assert_eq!(count(Split::Test, Label::Anomaly), 45);
                for kind in machine.faults() {
                    for severity in SEVERITIES {
                        let fault = Some(Fault {
                            kind: *kind,
                            severity,
                        });
                        let has = |clip: &&&Clip| matches!(&clip.source, Source::Synthetic(spec) if spec.fault == fault);
                        assert_eq!(clips.iter().filter(has).count(), 5, "{fault:?}");
                    }
                }
                specs.extend(clips.iter().map(|clip| format!("{:?}", clip.source)));
            }
        }
        let total = specs.len();
        specs.sort();
        specs.dedup();
        assert_eq!(
            specs.len(),
            total,
            "two clips of {} are the same",
            machine.name()
        );
    }
}

#[test]
fn written_sets_read_back_alike() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let mut expected = dataset(Machine::Gearbox);
    // A tenth of the set has every split, label and domain.
    expected.clips = expected.clips.into_iter().step_by(10).collect();
    write(&expected, &root).unwrap();

    let read = data::open(&root).unwrap();
    let row = |clip: &Clip| {
        let mut attributes = clip.attributes.clone();
        attributes.sort();
        let file = clip.name.rsplit('/').next().unwrap().to_string();
        (
            file,
            clip.split,
            clip.label,
            clip.machine.clone(),
            clip.section.clone(),
            clip.domain,
            attributes,
        )
    };
    let rows = |clips: &[Clip]| clips.iter().map(row).collect::<Vec<_>>();
    assert_eq!(rows(&read.clips), rows(&expected.clips));

    let first = expected.clips.first().unwrap();
    let wav = hound::WavReader::open(root.join(&first.name)).unwrap();
    let samples: Vec<i16> = wav.into_samples().collect::<Result<_, _>>().unwrap();
    for (stored, made) in samples.iter().zip(rendered(first).samples) {
        // Half a step of 16 bits is allowed.
        assert!((f32::from(*stored) / 32768.0 - made).abs() <= 0.5 / 32768.0);
    }

    let again = write(&expected, &root).unwrap_err().to_string();
    assert!(again.contains("is not empty"), "{again}");
}

#[test]
fn only_synthetic_clips_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut foreign = dataset(Machine::Fan);
    foreign.clips.truncate(1);
    foreign.clips[0].source = Source::Audio("elsewhere.wav".into());
    let message = write(&foreign, folder.path()).unwrap_err().to_string();
    assert!(message.contains("is not synthetic"), "{message}");
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(write(&foreign, &file).is_err());
}

/// Caches and stored scores belong to these sounds. Whoever changes a sound raises `GENERATOR`.
#[test]
fn sounds_are_what_they_were() {
    let found = Machine::ALL.map(|machine| {
        let fault = Fault {
            kind: machine.faults()[0],
            severity: 1.0,
        };
        let mut hasher = blake3::Hasher::new();
        for (section, domain, fault) in [
            (0, Domain::Source, None),
            (1, Domain::Target, Some(fault)),
            (2, Domain::Target, None),
        ] {
            let sound = render(&ClipSpec::new(machine, section, domain, fault, 5));
            // Rounded as in a 16-bit file, where the last bit of the system's sine is not heard.
            for sample in &sound.samples[..16_000] {
                let sample = (f64::from(*sample) * 32768.0).round() as i16;
                hasher.update(&sample.to_le_bytes());
            }
        }
        (machine.name(), hasher.finalize().to_hex()[..16].to_string())
    });
    let found = found.each_ref().map(|(name, hash)| (*name, hash.as_str()));
    let expected = [
        ("fan", "528110a01eb48fae"),
        ("bearing", "5a36dfff599b288b"),
        ("valve", "cf90cde523f877c0"),
        ("gearbox", "eca6f5729bf1e337"),
        ("slider", "76061549bcd4d39d"),
        ("pump", "34153cef2d958394"),
    ];
    assert_eq!(found, expected);
}
