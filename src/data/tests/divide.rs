use super::*;

#[test]
fn test_clips_are_divided() {
    fn check(kinds: &[&str], expected: (usize, usize, usize, Option<&str>)) {
        let dataset = made_up(kinds);
        let TestDivision { steer, shown, note } = divide_test(&dataset);
        let both = steer.iter().filter(|idx| shown.contains(idx)).count();
        let found = (steer.len(), shown.len(), both, note.as_deref());
        assert_eq!(found, expected, "{kinds:?}");
    }
    check(
        &[
            "fan 0 test source normal 50",
            "fan 0 test source anomaly 31",
        ],
        (41, 40, 0, None),
    );
    check(
        &[
            "fan 0 train source normal 9",
            "fan 0 test source normal 2",
            "fan 0 test target normal 3",
            "fan 0 test target anomaly 2",
            "fan 1 test source normal 1",
            "fan 1 test source anomaly 4",
            "fan 2 test source anomaly 4",
        ],
        (
            13,
            12,
            9,
            Some(
                "too few labelled test clips to keep some untouched by the search: fan section 1, fan section 2; \
                 their test score comes from the clips that steer",
            ),
        ),
    );
    check(&["fan 0 train source normal 9"], (0, 0, 0, None));
}

#[test]
fn training_clips_are_divided() {
    fn check(kinds: &[&str], share: f64, expected: (usize, usize, usize)) {
        let dataset = made_up(kinds);
        let TrainDivision { fit, validation } = divide_train(&dataset, share);
        let both = fit.iter().filter(|idx| validation.contains(idx)).count();
        let found = (fit.len(), validation.len(), both);
        assert_eq!(found, expected, "{kinds:?} {share}");
    }
    let dcase = &[
        "fan 0 train source normal 990",
        "fan 0 train target normal 10",
    ];
    check(dcase, 0.1, (900, 100, 0));
    check(dcase, 1.0, (2, 998, 0));
    check(dcase, 0.0, (999, 1, 0));
    check(dcase, f64::NAN, (999, 1, 0));
    check(dcase, -1.0, (999, 1, 0));
    check(&["fan 0 train source normal 2"], 0.1, (1, 1, 0));
    check(&["fan 0 train source normal 1"], 0.5, (1, 1, 1));
    check(
        &["fan 0 train source anomaly 5", "fan 0 test source normal 1"],
        0.5,
        (0, 0, 0),
    );
    let dataset = made_up(dcase);
    let targets = divide_train(&dataset, 0.1).validation.into_iter();
    let is_target = |&idx: &usize| dataset.clips[idx].domain == Domain::Target;
    assert_eq!(targets.filter(is_target).count(), 1);
}

/// The clips that steer are the same ones whether a machine or its parent folder is opened.
#[test]
fn a_division_does_not_depend_on_the_opened_folder() {
    let files: Vec<String> = (0..40)
        .map(|n| (n, if n % 2 == 0 { "normal" } else { "anomaly" }))
        .map(|(n, label)| format!("fan/test/{label}_id_00_{n:08}.wav"))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let root = tree(&files);
    let steering = |path: &Path| -> Vec<String> {
        let dataset = open(path).unwrap();
        let steer = divide_test(&dataset).steer.into_iter();
        steer
            .map(|idx| dataset.clips[idx].file_name().to_string())
            .collect()
    };
    let steer = steering(root.path());
    assert_eq!(steer.len(), 20);
    assert_eq!(steer, steering(&root.path().join("fan")));
}

#[test]
fn classes_are_the_sections_that_train() {
    let dataset = made_up(&[
        "fan 1 train source normal 2",
        "fan 0 train target normal 2",
        "bearing 0 train source normal 1",
        "fan 2 train source anomaly 1",
        "fan 2 test source normal 1",
    ]);
    let classes = dataset.classes();
    let shown: Vec<String> = classes
        .names
        .iter()
        .map(|(m, s)| format!("{m} {s}"))
        .collect();
    assert_eq!(shown, ["bearing 0", "fan 0", "fan 1"]);
    for clip in &dataset.clips {
        let name = format!("{} {}", clip.machine, clip.section);
        let expected = shown.iter().position(|class| *class == name);
        assert_eq!(classes.class_of(clip), expected.map(|class| class as u32));
    }
}
