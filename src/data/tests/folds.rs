use super::*;

#[test]
fn folds_are_split_in_three_ways() {
    fn check(slices: &[(&str, usize)], by: SplitBy, expected: &str) {
        let shown = match open_split(urban(slices).path(), by) {
            Ok(dataset) => {
                let count = |split, label| dataset.select(split, Some(label)).count();
                let counts = [Split::Train, Split::Test]
                    .map(|split| [count(split, Label::Normal), count(split, Label::Anomaly)]);
                let is_split = |note: &&String| note.contains("fold") || note.contains("split");
                let notes: Vec<&str> = dataset
                    .notes
                    .iter()
                    .filter(is_split)
                    .map(String::as_str)
                    .collect();
                format!("{counts:?} {}", notes.join("; "))
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }
    // Recording 7 lent slices to two folds, as five of UrbanSound8K did.
    let slices = &[
        ("1/7-9", 4),
        ("2/7-9", 2),
        ("2/8-3", 4),
        ("3/9-3", 4),
        ("3/10-9", 5),
    ];
    check(
        slices,
        SplitBy::Official,
        "[[6, 4], [5, 4]] official folds: fold 3 tests, 1, 2 train",
    );
    // Opening gives one turn of all.
    check(
        slices,
        SplitBy::EachFold,
        "[[6, 4], [5, 4]] official folds: fold 3 tests, 1, 2 train",
    );
    check(
        slices,
        SplitBy::Folds { test: Some(1) },
        "[[7, 8], [4, 0]] official folds: fold 1 tests, 2, 3 train; \
         slices of 1 recording are in both training and test folds; --split recordings keeps them apart",
    );
    check(
        slices,
        SplitBy::Folds { test: Some(4) },
        "there is no fold 4 to test on; there are folds 1, 2, 3",
    );
    check(
        &[
            ("1/7-9", 5),
            ("2/8-9", 5),
            ("3/9-9", 5),
            ("4/11-9", 5),
            ("5/12-9", 5),
        ],
        SplitBy::Recordings,
        "[[20, 0], [5, 0]] ",
    );
    check(
        &[("1/7-9", 10), ("1/8-9", 10)],
        SplitBy::Random,
        "[[16, 0], [4, 0]] random split: slices of 2 recordings are in both training and test, so scores are too good",
    );
    let root = tree(&["fan/train/normal_id_00_00000000.wav"]);
    for by in [SplitBy::Random, SplitBy::EachFold] {
        assert!(matches!(
            open_split(root.path(), by),
            Err(DataError::NoFolds { .. })
        ));
    }
}

/// A classifier of labels trains on events too.
#[test]
fn labels_are_classes_where_they_are_what_is_learnt() {
    let root = urban(&[("1/7-9", 2), ("1/8-3", 3), ("2/9-3", 1)]);
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.learns, Learns::Labels);
    assert_eq!(dataset.train_clips().len(), 5);
    let classes = dataset.classes();
    let names: Vec<&str> = classes
        .names
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    assert_eq!(names, ["anomaly", "normal"]);
    for clip in &dataset.clips {
        let expected = u32::from(clip.label == Some(Label::Normal));
        assert_eq!(classes.class_of(clip), Some(expected));
    }
}

/// Slices of one recording are never divided between what steers and what is only shown.
#[test]
fn divisions_keep_recordings_together() {
    let mut csv = "file,split,label,recording\n".to_string();
    for recording in 0..12 {
        let label = ["normal", "anomaly"][recording % 2];
        for slice in 0..(1 + recording % 5) {
            csv += &format!("t{recording}_{slice}.wav,test,{label},r{recording}\n");
            csv += &format!("l{recording}_{slice}.wav,train,normal,l{recording}\n");
        }
    }
    let rows = manifest::parse(csv.as_bytes()).unwrap().into_iter();
    let clips = rows.map(|row| row.clip(Source::Audio(PathBuf::new())));
    let dataset = table(
        "slices".to_string(),
        Layout::Manifest,
        clips.collect(),
        Vec::new(),
        Vec::new(),
    )
    .unwrap();
    let of = |part: &[usize]| -> BTreeSet<&str> {
        part.iter()
            .map(|&idx| dataset.clips[idx].recording())
            .collect()
    };
    let test = divide_test(&dataset);
    let train = divide_train(&dataset, 0.2);
    for (one, other) in [(&test.steer, &test.shown), (&train.fit, &train.validation)] {
        assert!(!one.is_empty() && !other.is_empty());
        assert_eq!(of(one).intersection(&of(other)).count(), 0);
    }
}
