//! 10,000 damaged files of every kind except sound: each is read, or refused with a reason.

use super::*;
use crate::{audio::read_log_mel, units::Rng};

/// How often a file is read all the same; damage to names leaves most tables readable, damage to columns does not.
fn survivors(base: &[u8], read: impl Fn(&[u8]) -> Result<(), String>) -> usize {
    // Bytes that separate, quote and end lines of tables, and bytes that are not text.
    const SPECIAL: &[u8] = b",,\n\n\r\"\"/.._01-\0\xff\xef";
    let mut rng = Rng::new(10_000, base.len() as u64);
    let mut survivors = 0;
    for _ in 0..10_000 {
        let mut bytes = base.to_vec();
        for _ in 0..1 + rng.below(6) {
            let place = rng.below(bytes.len() + 1);
            match rng.below(6) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, SPECIAL[rng.below(SPECIAL.len())]),
                2 => bytes.extend_from_within(place..),
                3 => drop(bytes.drain(place..(place + rng.below(8)).min(bytes.len()).max(place))),
                _ if place == bytes.len() => bytes.push(rng.below(256) as u8),
                4 => bytes[place] = SPECIAL[rng.below(SPECIAL.len())],
                _ => bytes[place] = rng.below(256) as u8,
            }
            bytes.truncate(4 * base.len());
        }
        match read(&bytes) {
            Ok(()) => survivors += 1,
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    survivors
}

#[test]
fn damaged_tables_are_tables_or_errors() {
    fn check(base: &[u8], read: impl Fn(&[u8]) -> Result<(), String>) {
        assert_eq!(read(base), Ok(()));
        let survivors = survivors(base, read);
        assert!((100..9_900).contains(&survivors), "{survivors}");
    }
    let manifest = "file,split,label,machine,section,domain,recording,load\n\
                    a/n1.wav,train,normal,fan,00,source,r1,3\n\"b,2.wav\",test,anomaly,fan,00,target,r2,\n";
    check(manifest.as_bytes(), |bytes| {
        let rows = manifest::parse(bytes).map_err(|error| error.to_string())?;
        let source = || Source::Audio(PathBuf::new());
        let clips = rows.into_iter().map(|row| row.clip(source())).collect();
        let dataset = table(
            "any".to_string(),
            Layout::Manifest,
            clips,
            Vec::new(),
            Vec::new(),
        );
        let dataset = dataset.map_err(|error| error.to_string())?;
        divide_test(&dataset);
        divide_train(&dataset, 0.15);
        Ok(())
    });
    let attributes = "file_name,d1p,d1v,d2p,d2v\n\
                      fan/train/section_00_source_train_normal_0000_m-n_W.wav,m-n,W,vel,8\nb.wav,m-n,X,,\n";
    check(attributes.as_bytes(), |bytes| {
        dcase_names::parse_attributes(bytes).map(|_| ())
    });
    let list = "fan\nsection_00_0000.wav,section_00_source_test_normal_0000_m-n_W.wav\n\
                section_00_0001.wav,section_00_target_test_anomaly_0001_m-n_X.wav\n";
    check(list.as_bytes(), |bytes| {
        label_lists::Truth::default().add_list(bytes)
    });
    for is_domain in [false, true] {
        check(b"section_00_0000.wav,0\nsection_00_0001.wav,1\n", |bytes| {
            let stem = "ground_truth_fan_section_00_test";
            label_lists::Truth::default().add_ground_truth(stem, is_domain, bytes)
        });
    }
    let y_labels = "anomaly_id_01_00000000_hist_librosa.bin,2,1,2560,512\n\
                    normal_id_01_00000003_hist_librosa.bin,2,0,2560,512\n";
    check(y_labels.as_bytes(), |bytes| {
        label_lists::parse_y_labels(bytes).map(|_| ())
    });
    let metadata = "slice_file_name,fsID,start,end,salience,fold,classID,class\n\
                    100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n";
    check(metadata.as_bytes(), |bytes| {
        slices::parse_metadata(bytes, "slice_file_name").map(|_| ())
    });
}

#[test]
fn damaged_features_are_features_or_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip_hist_librosa.bin");
    let frame = (0..128).flat_map(|band| (-0.5 * band as f32).to_le_bytes());
    let base: Vec<u8> = frame.collect();
    let survivors = survivors(&base, |bytes| {
        fs::write(&path, bytes).unwrap();
        let matrix = read_log_mel(&path, 128).map_err(|error| error.to_string())?;
        assert!(matrix.frames() > 0 && matrix.values.iter().all(|value| value.is_finite()));
        Ok(())
    });
    // A changed size is noticed; a changed value mostly is not.
    assert!((1_000..9_000).contains(&survivors), "{survivors}");
}
