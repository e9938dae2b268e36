use super::*;

#[test]
fn stand_ins_steer_where_no_anomaly_is_labelled() {
    fn check(kinds: &[&str], expected: &str) {
        let dataset = made_up(kinds).steered_by(None);
        let of = |indices: &[usize]| {
            let clips = || indices.iter().map(|&idx| &dataset.clips[idx]);
            let normals = clips()
                .filter(|clip| clip.label == Some(Label::Normal))
                .count();
            let stand_ins = clips().filter(|clip| clip.is_stand_in()).count();
            [normals, stand_ins, indices.len() - normals - stand_ins]
        };
        let test = divide_test(&dataset);
        let trains = dataset.train_clips().len();
        let shown = format!(
            "{trains} train, {:?} steer, {:?} shown",
            of(&test.steer),
            of(&test.shown)
        );
        assert_eq!(shown, expected, "{kinds:?}");
    }
    // Labels are enough.
    check(
        &[
            "fan 0 train source normal 8",
            "fan 0 test source normal 6",
            "fan 0 test source anomaly 4",
        ],
        "8 train, [3, 0, 2] steer, [3, 0, 2] shown",
    );
    check(
        &["fan 0 train source normal 8", "fan 0 test source normal 6"],
        "8 train, [3, 3, 0] steer, [3, 3, 0] shown",
    );
    // No clip is for test, so a quarter of the training clips is held out.
    check(
        &[
            "fan 0 train source normal 40",
            "fan 1 train source normal 16",
        ],
        "42 train, [7, 7, 0] steer, [7, 7, 0] shown",
    );
}

/// Real anomalies judge what stand-ins chose; every stand-in is a clip of its own with a changed or foreign source.
#[test]
fn stand_ins_leave_real_anomalies_to_judge() {
    let mut dataset = made_up(&[
        "fan 0 train source normal 8",
        "fan 0 test source normal 10",
        "fan 0 test source anomaly 4",
        "fan 1 test source normal 10",
    ]);
    for (idx, clip) in dataset.clips.iter_mut().enumerate() {
        clip.source = Source::Audio(idx.to_string().into());
    }
    let with = dataset.clone().steered_by(Some(SteerBy::Proxy));
    assert_eq!(with, dataset.steered_by(Some(SteerBy::Proxy)));
    let test = divide_test(&with);
    let is_real = |&idx: &usize| {
        with.clips[idx].label == Some(Label::Anomaly) && !with.clips[idx].is_stand_in()
    };
    assert_eq!(test.steer.iter().filter(|idx| is_real(idx)).count(), 0);
    assert_eq!(test.shown.iter().filter(|idx| is_real(idx)).count(), 4);
    let names: BTreeSet<&str> = with.clips.iter().map(|clip| clip.name.as_str()).collect();
    assert_eq!(names.len(), with.clips.len());
    let stand_ins = with.clips.iter().filter(|clip| clip.is_stand_in());
    let kinds: BTreeSet<&str> = stand_ins
        .filter_map(|clip| clip.attribute("stand_in"))
        .collect();
    let expected = ["clicks", "mixed", "other section", "speed", "tone"];
    assert_eq!(kinds, BTreeSet::from(expected));
    for clip in with.clips.iter().filter(|clip| clip.is_stand_in()) {
        let of_section = |section: &str| -> Vec<&Source> {
            let clips = with
                .clips
                .iter()
                .filter(|c| c.section == section && !c.is_stand_in());
            clips.map(|c| &c.source).collect()
        };
        let other = if clip.section == "0" { "1" } else { "0" };
        match (&clip.source, clip.attribute("stand_in")) {
            (source, Some("other section")) => assert!(of_section(other).contains(&source)),
            (Source::StandIn(made), _) => assert!(of_section(&clip.section).contains(&&made.of)),
            other => panic!("{other:?}"),
        }
    }
}
