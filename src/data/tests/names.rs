use super::*;

#[test]
fn file_names_tell_what_they_hold() {
    fn check(stem: &str, expected: &str) {
        let shown =
            dcase_names::parse_name(mlperf::recording(stem)).map_or("nothing".to_string(), |r| {
                let word = |word: Option<String>| word.unwrap_or("-".to_string());
                let mut words = vec![
                    r.section,
                    word(r.domain.map(|d| format!("{d:?}"))),
                    word(r.split.map(|s| format!("{s:?}"))),
                    word(r.label.map(|l| format!("{l:?}"))),
                ];
                let attributes = r.attributes.into_iter();
                words.extend(attributes.map(|(name, value)| format!("{name}={value}")));
                words.join(" ")
            });
        assert_eq!(shown, expected, "{stem}");
    }
    check("normal_id_04_00000012", "id_04 - - Normal");
    check("anomaly_id_00_00000000", "id_00 - - Anomaly");
    check("id_05_00000123", "id_05 - - -");
    check(
        "SECTION_00_SOURCE_TEST_NORMAL_0001_noAttribute",
        "00 Source Test Normal",
    );
    check("anomaly_id_03_00000181_hist_librosa", "id_03 - - Anomaly");
    check(
        "section_00_source_train_normal_0046_vel_21_loc_A",
        "00 Source Train Normal vel=21 loc=A",
    );
    check(
        "section_02_target_test_anomaly_0021_f-n_B",
        "02 Target Test Anomaly f-n=B",
    );
    check(
        "section_00_source_test_normal_0028_car_C2_spd_34V_mic_1",
        "00 Source Test Normal car=C2 spd=34V mic=1",
    );
    check(
        "section_00_source_train_normal_0001_noAttribute",
        "00 Source Train Normal",
    );
    check(
        "section_01_target_train_normal_0000_strength_2_ambient",
        "01 Target Train Normal attribute=strength_2_ambient",
    );
    check("section_03_0000", "03 - - -");
    check("section_03_source_test_0007", "03 Source Test -");
    check("section_00_source_train_normal", "nothing");
    check("section_xx_0001", "nothing");
    check("normal_section_00_0001", "nothing");
    check("normal_id_04", "nothing");
    check("normal_id_04_12_extra", "nothing");
    check("normal_id_\u{664}_00000001", "nothing");
    check("", "nothing");
    check("_____", "nothing");
}

proptest::proptest! {
    #[test]
    fn every_name_of_the_layouts_is_read(
        section in 0u8..100,
        number in 0u16..10_000,
        domain in 0usize..2,
        split in 0usize..2,
        label in 0usize..2,
        attributes in proptest::collection::vec(("[a-z][a-z0-9-]{0,5}", "[A-Za-z0-9.-]{1,5}"), 0..4),
    ) {
        let tail: String = attributes.iter().map(|(name, value)| format!("_{name}_{value}")).collect();
        let stem = format!(
            "section_{section:02}_{}_{}_{}_{number:04}{tail}",
            ["source", "target"][domain], ["train", "test"][split], ["normal", "anomaly"][label],
        );
        let expected = dcase_names::Recording {
            section: format!("{section:02}"),
            domain: Some([Domain::Source, Domain::Target][domain]),
            split: Some([Split::Train, Split::Test][split]),
            label: Some([Label::Normal, Label::Anomaly][label]),
            attributes,
        };
        proptest::prop_assert_eq!(dcase_names::parse_name(&stem), Some(expected));
    }

    /// Nearly right manifests test more of the reader than arbitrary bytes do.
    #[test]
    fn a_manifest_is_read_or_refused_with_a_line(
        rows in proptest::collection::vec(
            ("([a-z]|\\.\\./|\\./|/|\"){0,4}(\\.wav|\\.bin|)", "train|test|\\PC{0,2}", "normal|anomaly|", "source|\\PC?"),
            0..6,
        ),
    ) {
        let rows = rows.iter().map(|(a, b, c, d)| format!("{a},{b},{c},{d}\n"));
        let text = format!("file,split,label,domain\n{}", rows.collect::<String>());
        match manifest::parse(text.as_bytes()) {
            Ok(rows) => assert!(!rows.is_empty()),
            Err(error) => {
                let message = error.to_string();
                assert!(message.starts_with("line ") || error == ManifestError::NoRows, "{message}");
            }
        }
    }
}

#[test]
fn attributes_come_from_names_and_tables() {
    let root = tree(&[
        "train/section_00_source_train_normal_0000_vel_8_loc_B.wav",
        "test/section_00_0000.wav",
        "test/section_01_0000.wav",
        "attributes_00.csv=file_name,d1p,d1v,d2p,d2v\n\
         fan/train/section_00_source_train_normal_0000_vel_8_loc_B.wav,vel,8.5,noise,low\n\
         fan/test/section_00_0000.wav,vel,9,,\n",
        "attributes_01.csv=name,d1p,d1v\n",
    ]);
    let dataset = open(root.path()).unwrap();
    let shown = |idx: usize| {
        let attributes = dataset.clips[idx].attributes.iter();
        let shown: Vec<String> = attributes.map(|(n, v)| format!("{n}={v}")).collect();
        shown.join(" ")
    };
    assert_eq!(shown(0), "vel=8.5 loc=B noise=low");
    assert_eq!(shown(1), "vel=9");
    assert_eq!(shown(2), "");
    assert_eq!(
        dataset.notes[0],
        "attributes of `attributes_01.csv` left out: line 1 has no column `file_name`"
    );
}
