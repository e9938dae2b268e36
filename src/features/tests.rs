use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{cache::ContentHashes, *};
use crate::{
    audio::Feature,
    data::{Clip, Dataset, Domain, Layout, Source, Split, synthetic},
};

const SPEC: FeatureSpec = FeatureSpec {
    sample_rate_hz: 16_000,
    n_fft: 256,
    hop_length: 128,
    n_mels: 16,
    feature: Feature::LogMel,
};

fn dataset(sources: Vec<Source>, fixed_features: Option<FeatureSpec>) -> Dataset {
    let clip = |(idx, source)| Clip {
        name: format!("clip {idx}"),
        source,
        split: Split::Train,
        label: None,
        machine: "fan".to_string(),
        section: "00".to_string(),
        domain: Domain::Source,
        attributes: Vec::new(),
    };
    Dataset {
        layout: Layout::Manifest,
        learns: crate::data::Learns::Sections,
        name: "test".to_string(),
        synthetic: false,
        clips: sources.into_iter().enumerate().map(clip).collect(),
        fixed_features,
        notes: Vec::new(),
        left_out: Vec::new(),
    }
}

fn write_wav(path: &Path, seed: u64) -> PathBuf {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut rng = crate::units::Rng::new(seed, 0);
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for _ in 0..2000 {
        writer.write_sample(rng.range(-9e3, 9e3) as i16).unwrap();
    }
    writer.finalize().unwrap();
    path.to_path_buf()
}

fn wav_dataset(folder: &Path, clips: u64) -> Dataset {
    let write = |idx| Source::Audio(write_wav(&folder.join(format!("{idx}.wav")), idx));
    dataset((0..clips).map(write).collect(), None)
}

/// Features, and how many clips had to be extracted for them.
fn get_counting(
    store: &FeatureStore,
    dataset: &Dataset,
    spec: &FeatureSpec,
) -> (Result<Arc<Features>, FeatureError>, usize) {
    let extracted = AtomicUsize::new(0);
    let features = store.get_with_progress(dataset, spec, &|_, total| {
        assert_eq!(total, dataset.clips.len());
        extracted.fetch_add(1, Ordering::Relaxed);
    });
    (features, extracted.into_inner())
}

#[test]
fn threads_change_nothing_and_nothing_is_extracted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = wav_dataset(folder.path(), 7);
    let [mut serial, mut parallel] = [FeatureStore::new(None), FeatureStore::new(None)];
    serial.threads = 1;
    parallel.threads = 5;
    let expected = serial.get(&data, &SPEC).unwrap();
    assert_eq!((expected.clips.len(), expected.clips[6].frames()), (7, 16));
    assert_ne!(expected.clips[0], expected.clips[1]);

    let extracted = AtomicUsize::new(0);
    let found: Vec<Arc<Features>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (features, count) = get_counting(&parallel, &data, &SPEC);
                    extracted.fetch_add(count, Ordering::Relaxed);
                    features.unwrap()
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    assert_eq!(extracted.into_inner(), 7);
    for features in &found {
        assert_eq!(**features, *expected);
    }
}

#[test]
fn kept_sound_is_the_sound_made_anew() {
    let mut data = synthetic::dataset(synthetic::Machine::Valve);
    data.clips.truncate(3);
    let [mut keeping, mut forgetting] = [FeatureStore::new(None), FeatureStore::new(None)];
    // Room for one of the three clips.
    keeping.sound_bytes = 300_000;
    forgetting.sound_bytes = 0;
    for hop_length in [128, 256] {
        let spec = FeatureSpec { hop_length, ..SPEC };
        let kept = keeping.get(&data, &spec).unwrap();
        assert_eq!(kept, forgetting.get(&data, &spec).unwrap());
        assert!(kept.skipped.is_empty());
    }
}

#[test]
fn memory_keeps_what_was_asked_for_last() {
    let folder = tempfile::tempdir().unwrap();
    let data = wav_dataset(folder.path(), 2);
    let mels = |n_mels| FeatureSpec { n_mels, ..SPEC };
    let mut store = FeatureStore::new(None);
    let one = 2 * (4 * 2 * 16 * 8 + 2 * 64);
    // Exact features and a device's; room for the second and third of three that grow by that much each, give or take a
    // little.
    store.memory_bytes = 5 * one;
    let extracted = |n_mels| get_counting(&store, &data, &mels(n_mels)).1;
    assert_eq!([8, 16, 8, 24, 16, 24].map(extracted), [2, 2, 0, 2, 2, 0]);
}

#[test]
fn the_disk_keeps_what_was_of_use_last() {
    let folder = tempfile::tempdir().unwrap();
    let data = wav_dataset(folder.path(), 2);
    let cache_dir = folder.path().join("cache");
    let files = || {
        let names = std::fs::read_dir(&cache_dir).unwrap();
        let is_features = |name: &PathBuf| name.extension().is_some_and(|e| e == "features");
        names
            .map(|name| name.unwrap().path())
            .filter(is_features)
            .count()
    };
    // Each store starts with empty memory. Ticks of the clock separate the times of change of the files.
    let extracted = |disk_bytes: u64, n_mels: usize| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let mut store = FeatureStore::new(Some(cache_dir.clone()));
        store.disk_bytes = disk_bytes;
        get_counting(&store, &data, &FeatureSpec { n_mels, ..SPEC }).1
    };
    let plenty = 1 << 20;
    assert_eq!(
        [8, 9, 10, 8].map(|n_mels| extracted(plenty, n_mels)),
        [2, 2, 2, 0]
    );
    // Room for two of the four: the one that was used again stays, and so does the new one.
    let size = |path: PathBuf| path.metadata().unwrap().len();
    let each = std::fs::read_dir(&cache_dir)
        .unwrap()
        .map(|file| size(file.unwrap().path()))
        .max();
    assert_eq!(extracted(5 * each.unwrap() / 2, 11), 2);
    assert_eq!(files(), 2);
    assert_eq!([8, 11].map(|n_mels| extracted(plenty, n_mels)), [0, 0]);
    // What was asked for last stays even where it is too large.
    assert_eq!((extracted(0, 12), files()), (2, 1));
}

#[test]
fn the_cache_survives_the_store_and_follows_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut data = wav_dataset(folder.path(), 2);
    data.clips.push(Clip {
        name: "lost".to_string(),
        source: Source::Audio(folder.path().join("lost.wav")),
        ..data.clips[0].clone()
    });
    let fresh = || FeatureStore::new(Some(cache.path().to_path_buf()));
    let check = |extracted: usize| {
        let (features, count) = get_counting(&fresh(), &data, &SPEC);
        assert_eq!(count, extracted);
        features.unwrap()
    };
    let first = check(3);
    assert_eq!(first.clips[2].frames(), 0);
    assert_eq!(first.skipped[0].0, "lost");
    assert_eq!(check(0), first);
    let hash = fresh().dataset_hash(&data);
    assert_eq!(fresh().dataset_hash(&data), hash);

    // The same bytes, written again.
    write_wav(&folder.path().join("0.wav"), 0);
    assert_eq!(check(0), first);
    // Other bytes, of the same size.
    write_wav(&folder.path().join("0.wav"), 99);
    let other = check(3);
    assert_ne!(other.clips[0], first.clips[0]);
    assert_eq!(other.clips[1], first.clips[1]);
    assert_ne!(fresh().dataset_hash(&data), hash);

    // Damaged cache files count as absent.
    for file in std::fs::read_dir(cache.path()).unwrap() {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    assert_eq!(check(3), other);
    assert_eq!(check(0), other);
}

#[test]
fn no_changed_byte_of_a_cache_file_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.features");
    let key = blake3::hash(b"key");
    let layout = packed::Layout::new(16, true);
    let matrix = |values: Vec<f32>| Matrix { bands: 16, values };
    let exact = matrix((0..32).map(|idx| idx as f32 / 7.0 - 2.0).collect());
    let device = matrix(
        exact
            .values
            .iter()
            .map(|value| value * 1.000_000_2)
            .collect(),
    );
    let skipped = vec![("clip".to_string(), "broken".to_string())];
    let write = |writer: &mut cache::Writer<'_>| {
        writer.add(2, &layout.pack(&exact, Some(&device)))?;
        let none = matrix(Vec::new());
        writer.add(0, &layout.pack(&none, Some(&none)))?;
        Ok(skipped.clone())
    };
    cache::write(&path, &key, write).unwrap();
    let good = std::fs::read(&path).unwrap();
    let open = |key: &blake3::Hash, clips| cache::open(&path, key, &SPEC, layout, clips);
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        open(&key, 2)
    };
    let rows = read(&good).unwrap();
    for (of, first) in [(Arithmetic::Exact, &exact), (Arithmetic::Device, &device)] {
        let features = rows.features(of).unwrap();
        assert_eq!(features.clips, [first.clone(), matrix(Vec::new())]);
        assert_eq!(features.skipped, skipped);
    }
    for position in 0..good.len() {
        let mut changed = good.clone();
        changed[position] ^= 0x81;
        assert!(read(&changed).is_none(), "byte {position}");
        assert!(read(&good[..position]).is_none(), "cut at {position}");
    }
    assert!(read(&[&good[..], &[0]].concat()).is_none());
    std::fs::write(&path, &good).unwrap();
    assert!(open(&blake3::hash(b"other"), 2).is_none());
    assert!(open(&key, 3).is_none());
    // A file that is cut while it is open is an error, and no features.
    let cut = std::fs::File::options().write(true).open(&path).unwrap();
    cut.set_len(good.len() as u64 / 4).unwrap();
    assert!(rows.clip(Arithmetic::Exact, 0).is_err());
}

/// Whether features lie in memory or in a file, and whatever they were asked for together with.
#[test]
fn a_file_gives_what_memory_gives() {
    let folder = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let data = wav_dataset(folder.path(), 5);
    let memory = FeatureStore::new(None);
    let [exact, device] = [memory.get(&data, &SPEC), memory.get_device(&data, &SPEC)];
    let [exact, device] = [exact.unwrap(), device.unwrap()];
    assert_ne!(exact, device);
    let on = [0, 3];
    let standardiser = Standardiser::fit(&on.map(|idx| &exact.clips[idx]));
    for device_first in [true, false] {
        let store = FeatureStore::new(Some(cache.path().join(device_first.to_string())));
        if device_first {
            assert_eq!(store.get_device(&data, &SPEC).unwrap(), device);
        }
        assert_eq!(store.get(&data, &SPEC).unwrap(), exact);
        assert_eq!(store.get_device(&data, &SPEC).unwrap(), device);
        let prepared = store.standardised(&data, &SPEC, &on).unwrap();
        assert_eq!(prepared.standardiser, standardiser);
        let windows = Windows::prepared(&prepared, vec![4, 1], Vec::new(), 3, 2);
        let own = [4, 1].map(|idx| standardiser.apply(&exact.clips[idx]));
        let expected = Windows::new(own.iter().collect(), Vec::new(), 3, 2);
        assert_eq!(windows.index, expected.index);
        let all = |windows: &Windows| windows.gather(0..windows.len()).unwrap().concat();
        assert_eq!(all(&windows), all(&expected));
    }
}

#[test]
fn content_hashes_survive_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let clip = write_wav(&folder.path().join("a clip with spaces.wav"), 0);
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_234_567_890);
    assert_eq!(cache::Stamp::of(&clip), None);
    let file = std::fs::File::options().write(true).open(&clip).unwrap();
    file.set_modified(long_ago).unwrap();
    let stamp = cache::Stamp::of(&clip).unwrap();
    let list = folder.path().join("contents.txt");
    let mut hashes = ContentHashes::default();
    hashes.insert(stamp.clone(), blake3::hash(b"content"));
    hashes.write(&list).unwrap();
    let mut text = std::fs::read(&list).unwrap();
    text.extend(b"neither hash nor path\n\n0 0 0 0\n");
    std::fs::write(&list, text).unwrap();
    let found = ContentHashes::read(&list).get(&stamp);
    assert_eq!(found, Some(blake3::hash(b"content")));
}

#[test]
fn ready_features_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let bin = |name: &str, values: &[f32]| {
        let path = folder.path().join(name);
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        std::fs::write(&path, bytes).unwrap();
        Source::LogMelBin(path)
    };
    let values: Vec<f32> = (0..48).map(|idx| idx as f32).collect();
    let mut not_finite = values.clone();
    not_finite[5] = f32::NAN;
    let sources = vec![
        bin("good", &values),
        bin("cut", &values[1..]),
        bin("nan", &not_finite),
        bin("empty", &[]),
    ];
    let data = dataset(sources.clone(), Some(SPEC));
    let store = FeatureStore::new(None);
    let features = store.get(&data, &SPEC).unwrap();
    assert_eq!(features.clips[0].values, values);
    assert_eq!(features.clips[0].frames(), 3);
    let reasons: Vec<&str> = features
        .skipped
        .iter()
        .map(|(_, reason)| reason.rsplit(": ").next().unwrap())
        .collect();
    let expected = [
        "the size is not a whole number of frames of 32-bit bands",
        "value 5 is not a finite number",
        "holds no samples",
    ];
    assert_eq!(reasons, expected);

    let check = |data: &Dataset, spec: &FeatureSpec, expected: &str| {
        let found = store.get(data, spec).unwrap_err().to_string();
        assert!(found.contains(expected), "{found} instead of {expected}");
    };
    let wider = FeatureSpec { n_mels: 32, ..SPEC };
    check(
        &data,
        &wider,
        "holds ready features (16 mels at 16000 Hz, n_fft 256, hop 128)",
    );
    let useless = dataset(sources[1..].to_vec(), Some(SPEC));
    check(&useless, &SPEC, "none of the 3 clips");
    check(
        &dataset(sources, None),
        &SPEC,
        "which front end made the ready features",
    );
    check(&dataset(Vec::new(), None), &SPEC, "has no clips");
    let odd = FeatureSpec { n_fft: 100, ..SPEC };
    check(
        &dataset(vec![Source::Audio("a".into())], None),
        &odd,
        "n_fft is 100",
    );
}

#[test]
fn a_cache_that_cannot_be_written_costs_only_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = wav_dataset(folder.path(), 1);
    let store = FeatureStore::new(Some(folder.path().join("0.wav")));
    assert!(store.get(&data, &SPEC).is_ok());
    let problem = store.cache_problem().unwrap();
    assert!(
        problem.starts_with("cannot write feature cache"),
        "{problem}"
    );
}

#[test]
fn standardised_bands_have_mean_0_and_deviation_1() {
    let mut rng = crate::units::Rng::new(1, 0);
    let clips: Vec<Matrix> = (0..5)
        .map(|_| Matrix {
            bands: 3,
            values: (0..300)
                .map(|idx| match idx % 3 {
                    0 => rng.normal() as f32 * 7.0 - 30.0,
                    1 => rng.normal() as f32 * 0.5 + 1e4,
                    _ => -156.5,
                })
                .collect(),
        })
        .collect();
    let clips: Vec<&Matrix> = clips.iter().collect();
    let standardiser = Standardiser::fit(&clips);
    let standardised: Vec<Matrix> = clips.iter().map(|clip| standardiser.apply(clip)).collect();
    let again = Standardiser::fit(&standardised.iter().collect::<Vec<_>>());
    for band in 0..3 {
        let std = if band == 2 { 0.1 } else { 1.0 };
        // At 1e4 a value has steps of 1e-3, and the mean is stored in them: 2e-3 of the deviation.
        assert!(again.mean[band].abs() < 2e-3, "{again:?}");
        assert!((again.std[band] - std).abs() < 1e-3, "{again:?}");
    }
    assert_eq!(standardiser.std[2], 0.1);
}

/// A disk that comes and goes: what was there when the data set was opened is no clip to leave out.
#[test]
fn a_file_that_is_gone_is_an_error_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let data = wav_dataset(folder.path(), 3);
    let store = FeatureStore::new(Some(cache.path().to_path_buf()));
    let hash = store.dataset_hash(&data);
    let (there, away) = (folder.path().join("1.wav"), folder.path().join("away"));
    std::fs::rename(&there, &away).unwrap();
    for _ in 0..2 {
        let error = store.standardised(&data, &SPEC, &[0, 2]).unwrap_err();
        assert!(matches!(error, FeatureError::Lost { .. }), "{error}");
        assert!(error.to_string().contains("1.wav"), "{error}");
    }
    std::fs::rename(&away, &there).unwrap();
    let prepared = store.standardised(&data, &SPEC, &[0, 2]).unwrap();
    assert!(prepared.rows.skipped.is_empty());
    assert_eq!(store.dataset_hash(&data), hash);
}

#[test]
fn standardised_features_count_as_memory() {
    let folder = tempfile::tempdir().unwrap();
    let data = wav_dataset(folder.path(), 3);
    let mut store = FeatureStore::new(None);
    store.memory_bytes = 0;
    let first = store.standardised(&data, &SPEC, &[0]).unwrap();
    let again = store.standardised(&data, &SPEC, &[0]).unwrap();
    assert!(Arc::ptr_eq(&first, &again), "the latest stays");
    let other = store.standardised(&data, &SPEC, &[1]).unwrap();
    assert_ne!(other.standardiser, first.standardiser);
    let anew = store.standardised(&data, &SPEC, &[0]).unwrap();
    assert!(!Arc::ptr_eq(&first, &anew), "others are dropped");
    assert_eq!(anew.standardiser, first.standardiser);
}

#[test]
fn limits_suit_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not/there");
    let limits = Limits::of_machine(&missing);
    assert!((128 << 20..=1 << 30).contains(&limits.memory_bytes));
    assert!(limits.cache_bytes <= 8 << 30);
    let store = FeatureStore::new(None).within(Limits {
        memory_bytes: 100,
        cache_bytes: 7,
    });
    let shares = [store.memory_bytes, store.sound_bytes, store.disk_bytes];
    assert_eq!(shares, [50, 50, 7]);
}

#[test]
fn a_cache_is_counted_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    assert_eq!(cached_bytes(&cache), 0);
    let data = wav_dataset(folder.path(), 2);
    let store = FeatureStore::new(Some(cache.clone()));
    store.get(&data, &SPEC).unwrap();
    std::fs::write(cache.join("other"), "not ours").unwrap();
    assert!(cached_bytes(&cache) > 1000);
    clear_cache(&cache).unwrap();
    assert_eq!(cached_bytes(&cache), 0);
    let left = std::fs::read_dir(&cache).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other"]);
    // A store that has its files open reads on.
    assert_eq!(get_counting(&store, &data, &SPEC).1, 0);
}
