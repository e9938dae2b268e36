use super::*;
use crate::disturb::Kind;

#[test]
fn disturbed_clips_steer_where_no_anomaly_is_labelled() {
    fn check(kinds: &[&str], expected: &str) {
        let dataset = made_up(kinds).steered_by(None, &[Kind::Tone, Kind::Speed]);
        let of = |indices: &[usize]| {
            let clips = || indices.iter().map(|&idx| &dataset.clips[idx]);
            let normals = clips()
                .filter(|clip| clip.label == Some(Label::Normal))
                .count();
            let disturbed = clips().filter(|clip| clip.disturbed().is_some()).count();
            [normals, disturbed, indices.len() - normals - disturbed]
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
    // Two kinds steer, all seven say what is heard; a clip gets three or two of the five strengths of a kind.
    check(
        &["fan 0 train source normal 8", "fan 0 test source normal 6"],
        "8 train, [3, 15, 0] steer, [3, 53, 0] shown",
    );
    // No clip is for test, so a quarter of the training clips is held out.
    check(
        &[
            "fan 0 train source normal 40",
            "fan 1 train source normal 16",
        ],
        "42 train, [7, 35, 0] steer, [7, 123, 0] shown",
    );
    // A clip that is alone is in both parts.
    check(
        &["fan 0 train source normal 8", "fan 0 test source normal 1"],
        "8 train, [1, 5, 0] steer, [1, 18, 0] shown",
    );
}

/// Real anomalies judge what disturbed clips chose; every disturbed clip is one of its own, made of a clip of its part.
#[test]
fn disturbed_clips_leave_real_anomalies_to_judge() {
    let mut dataset = made_up(&[
        "fan 0 train source normal 8",
        "fan 0 test source normal 10",
        "fan 0 test source anomaly 4",
        "fan 1 test source normal 90",
    ]);
    for (idx, clip) in dataset.clips.iter_mut().enumerate() {
        clip.source = Source::Audio(idx.to_string().into());
    }
    let disturbed = |dataset: Dataset| dataset.steered_by(Some(SteerBy::Proxy), &Kind::ALL);
    let with = disturbed(dataset.clone());
    assert_eq!(with, disturbed(dataset));
    let test = divide_test(&with);
    let real = |indices: &[usize]| {
        let clips = indices.iter().map(|&idx| &with.clips[idx]);
        clips
            .filter(|clip| clip.label == Some(Label::Anomaly) && clip.disturbed().is_none())
            .count()
    };
    assert_eq!([real(&test.steer), real(&test.shown)], [0, 4]);
    let names: BTreeSet<&str> = with.clips.iter().map(|clip| clip.name.as_str()).collect();
    assert_eq!(names.len(), with.clips.len());
    let mut of_fan_1 = BTreeSet::new();
    for (idx, clip) in with.clips.iter().enumerate() {
        let (Some(made), Source::Disturbed(source)) = (clip.disturbed(), &clip.source) else {
            assert!(clip.disturbed().is_none(), "{clip:?}");
            continue;
        };
        let own = |clip: &&Clip| clip.name == made.of && clip.source == source.of;
        assert!(with.clips.iter().any(|clip| own(&clip)));
        let part = if made.steers {
            &test.steer
        } else {
            &test.shown
        };
        let is_of_part = |idx: &usize| with.clips[*idx].name == made.of;
        assert!(part.contains(&idx) && part.iter().any(is_of_part));
        if clip.section == "1" {
            of_fan_1.insert((made.steers, made.of));
        }
    }
    // Of 45 clips of a part every eighth steers, at most six of each of two sections, and every sixth is shown, at most eight.
    assert_eq!(of_fan_1.len(), 6 + 8);
}
