use std::{env, fs, path::Path, path::PathBuf};

use tempfile::TempDir;

use super::*;

/// Test data that is too large or too little ours to lie in the project; `None` where it is missing.
fn shared_data(relative: &str) -> Option<PathBuf> {
    let root = env::var_os("NAS_SHARED").map_or(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = root.join("data/audio").join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(
        env::var("NAS_REQUIRE_TOOLS").as_deref() != Ok("1"),
        "{} is missing",
        path.display()
    );
    println!("skipped: {} is missing", path.display());
    None
}

/// A folder with these files, each of 512 bytes; one named `path=text` holds that text.
fn tree(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let (name, content) = match file.split_once('=') {
            Some((name, text)) => (name, text.as_bytes().to_vec()),
            None => (*file, vec![1; 512]),
        };
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// One line per kind of clips, then the notes.
fn summary(dataset: &Dataset) -> String {
    let mut lines = Vec::new();
    for count in describe(dataset).counts {
        let ClipCount {
            machine, section, ..
        } = &count;
        let label = count
            .label
            .map_or("Unlabelled".to_string(), |label| format!("{label:?}"));
        lines.push(format!(
            "{machine} {section} {:?} {:?} {label} {}",
            count.split, count.domain, count.clips
        ));
    }
    lines.extend(dataset.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// Compares the summary or the error, with `ROOT` for the path of what was opened.
fn check_path(path: &Path, expected: &str) {
    let shown = match open(path) {
        Ok(dataset) => summary(&dataset),
        Err(error) => format!("error: {error}"),
    };
    let shown = shown.replace(&*path.to_string_lossy(), "ROOT");
    // Where the opened folder is a machine's, a temporary folder's name is the machine's.
    let name = path.file_name().unwrap().to_string_lossy();
    let shown = match name.starts_with(".tmp") {
        true => shown.replace(&*name, "ROOT"),
        false => shown,
    };
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(shown, expected.join("\n"), "\n{shown}\n");
}

fn check_tree(files: &[&str], expected: &str) {
    check_path(tree(files).path(), expected);
}

#[test]
fn layouts_are_recognised() {
    check_tree(
        &["fan/train/normal_id_00_00000000.wav"],
        "
        fan id_00 Train Source Normal 1
        note: too few training clips to learn what is normal: fan id_00
        note: no test clips: nothing can be scored
        ",
    );
    // One machine of 2020 with its evaluation files.
    check_tree(
        &[
            "train/normal_id_00_00000000.wav",
            "train/normal_id_02_00000000.WAV",
            "test/normal_id_00_00000000.wav",
            "test/anomaly_id_00_00000000.wav",
            "test/id_01_00000000.wav",
            "test/readme.txt",
            "test/.DS_Store",
            "test/normal_id_00_00000001.wav=",
        ],
        "
        ROOT id_00 Train Source Normal 1
        ROOT id_00 Test Source Normal 1
        ROOT id_00 Test Source Anomaly 1
        ROOT id_01 Test Source Unlabelled 1
        ROOT id_02 Train Source Normal 1
        note: 1 file left out, named as in no known layout: test/readme.txt
        note: 1 file left out, without usable content: test/normal_id_00_00000001.wav is empty
        note: no training clips, so no class for a classifier: ROOT id_01
        note: too few training clips to learn what is normal: ROOT id_00, ROOT id_02
        note: no test clips: ROOT id_02
        note: test clips without labels, so no AUC: ROOT id_01
        note: too few test clips for scores to mean anything: ROOT id_00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    // Two machines of 2021.
    check_tree(
        &[
            "fan/train/section_00_source_train_normal_0000_strength_1_ambient.wav",
            "fan/train/section_00_target_train_normal_0000_strength_2_ambient.wav",
            "fan/source_test/section_00_source_test_normal_0000.wav",
            "fan/target_test/section_00_target_test_anomaly_0000.wav",
            "fan/target_test/section_00_0001.wav",
            "pump/train/section_00_source_train_normal_0000.flac",
        ],
        "
        fan 00 Train Source Normal 1
        fan 00 Train Target Normal 1
        fan 00 Test Source Normal 1
        fan 00 Test Target Unlabelled 1
        fan 00 Test Target Anomaly 1
        pump 00 Train Source Normal 1
        note: too few training clips to learn what is normal: fan section 00, pump section 00
        note: no test clips: pump section 00
        note: too few test clips for scores to mean anything: fan section 00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    // An evaluation set of 2023 beside its renamed copy.
    check_tree(
        &[
            "raw/fan/test/section_00_0000.wav",
            "raw/fan/test_rename/section_00_source_test_normal_0000.wav",
        ],
        "fan 00 Test Source Normal 1
        note: 1 test clip without a label left out, as test_rename holds labelled copies
        note: no training clips: a found model can be scored here, but none searched
        note: no anomalous test clips, so no AUC: fan section 00",
    );
    // No folder says the split: names do, or four of five normal clips train.
    check_tree(
        &[
            "section_00_source_train_normal_0095_pat_01.flac",
            "section_00_source_test_anomaly_0095_pat_01.flac",
        ],
        "
        ROOT 00 Train Source Normal 1
        ROOT 00 Test Source Anomaly 1
        note: too few training clips to learn what is normal: ROOT section 00
        note: no normal test clips, so no AUC: ROOT section 00
        ",
    );
    check_tree(
        &[
            "normal_id_01_00000000_hist_librosa.bin",
            "normal_id_01_00000001_hist_librosa.bin",
            "normal_id_01_00000002_hist_librosa.bin",
            "normal_id_01_00000003_hist_librosa.bin",
            "normal_id_01_00000004_hist_librosa.bin",
            "normal_id_02_00000004_hist_librosa.bin",
            "anomaly_id_01_00000000_hist_librosa.bin",
            "anomaly_id_01_00000001_hist_librosa.bin=12345",
        ],
        "
        ToyCar id_01 Train Source Normal 4
        ToyCar id_01 Test Source Normal 1
        ToyCar id_01 Test Source Anomaly 1
        ToyCar id_02 Test Source Normal 1
        note: neither folders nor names say what is for training: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv there would say otherwise
        note: 1 file left out, without usable content: anomaly_id_01_00000001_hist_librosa.bin has 5 bytes, which is no multiple of 512 (128 bands of f32)
        note: no training clips, so no class for a classifier: ToyCar id_02
        note: too few training clips to learn what is normal: ToyCar id_01
        note: no anomalous test clips, so no AUC: ToyCar id_02
        note: too few test clips for scores to mean anything: ToyCar id_01 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    check_tree(
        &[
            "0_dB_fan/fan/id_00/normal/00000000.wav",
            "0_dB_fan/fan/id_00/normal/00000001.wav",
            "0_dB_fan/fan/id_00/abnormal/00000000.wav",
        ],
        "
        fan id_00 Train Source Normal 1
        fan id_00 Test Source Normal 1
        fan id_00 Test Source Anomaly 1
        note: neither folders nor names say what is for training: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv there would say otherwise
        note: too few training clips to learn what is normal: fan id_00
        note: too few test clips for scores to mean anything: fan id_00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    check_tree(
        &["a.wav", "b.flac", "sub/c.wav", "notes.txt"],
        "
        ROOT default Test Source Unlabelled 2
        note: no name says split, label or section: 2 files taken as test clips without a label
        note: no training clips: a found model can be scored here, but none searched
        note: no test clip has a label: clips get scores, but there is no AUC
        ",
    );
}

/// Layouts of which the clips are told by folders, by tables, or by lists beside the data.
#[test]
fn further_layouts_are_recognised() {
    // Development set, additional training set and evaluation set of 2020, as unpacked side by side.
    check_tree(
        &[
            "dev_data/fan/train/normal_id_00_00000000.wav",
            "eval_data_train/fan/train/normal_id_01_00000000.wav",
            "eval_data_test/fan/test/id_01_00000000.wav",
            "eval_data_test/fan/test/id_01_00000001.wav",
            "eval_data_test/fan/test/id_01_00000002.wav",
            "eval_data_list.csv=fan\nid_01_00000000.wav,normal_id_01_00000005.wav\nid_01_00000001.wav,anomaly_id_01_00000007.wav\n",
        ],
        "
        fan id_00 Train Source Normal 1
        fan id_01 Train Source Normal 1
        fan id_01 Test Source Unlabelled 1
        fan id_01 Test Source Normal 1
        fan id_01 Test Source Anomaly 1
        note: labels of 2 test clips come from lists beside the data
        note: too few training clips to learn what is normal: fan id_00, fan id_01
        note: no test clips: fan id_00
        note: too few test clips for scores to mean anything: fan id_01 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    check_tree(
        &[
            "Vacuum/test/section_00_0000.wav",
            "Vacuum/test/section_00_0001.wav",
            "eval_data_list_2023.csv=shaker\nsection_00_0000.wav,section_00_source_test_anomaly_0001_x_1.wav\nVacuum\nsection_00_0000.wav,section_00_target_test_normal_0032_car_C2.wav\n",
            "ground_truth_data/ground_truth_Vacuum_section_00_test.csv=section_00_0001.wav,1\n",
            "ground_truth_domain/ground_truth_Vacuum_section_00_test.csv=section_00_0001.wav,1\n",
            "eval_data_list_2024.csv=Vacuum\na,b,c\n",
        ],
        "
        Vacuum 00 Test Target Normal 1
        Vacuum 00 Test Target Anomaly 1
        note: list `eval_data_list_2024.csv` left out: line 2 has 3 columns where two are expected
        note: labels of 2 test clips come from lists beside the data
        note: no training clips: a found model can be scored here, but none searched
        note: too few test clips for scores to mean anything: Vacuum section 00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    check_tree(
        &[
            "ToyCar/case1/NormalSound_IND/1100010001_ToyCar_case1_normal_IND_ch1_0001.wav",
            "ToyCar/case1/NormalSound_IND/1100010001_ToyCar_case1_normal_IND_ch2_0001.wav",
            "ToyCar/case1/AnomalousSound_IND/1101010001_ToyCar_case1_ab01_IND_ch1_0001.wav",
            "ToyCar/case1/NormalSound_CNT/1100110001_ToyCar_case1_normal_CNT_ch1_0001.wav",
        ],
        "
        ToyCar case1 Test Source Normal 1
        ToyCar case1 Test Source Anomaly 1
        note: neither folders nor names say what is for training: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv there would say otherwise
        note: 1 recording of microphones 2 to 4 left out: they heard the same as the first
        note: 1 file left out, named as in no known layout: ToyCar/case1/NormalSound_CNT/1100110001_ToyCar_case1_normal_CNT_ch1_0001.wav
        note: no training clips: a found model can be scored here, but none searched
        note: too few test clips for scores to mean anything: ToyCar case1 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    // The official test of MLPerf Tiny: listed clips test, other normal ones train.
    check_tree(
        &[
            "normal_id_01_00000000_hist_librosa.bin",
            "normal_id_01_00000001_hist_librosa.bin",
            "anomaly_id_01_00000000_hist_librosa.bin",
            "anomaly_id_01_00000001_hist_librosa.bin",
            "y_labels.csv=normal_id_01_00000001_hist_librosa.bin,2,0,2560,512\nanomaly_id_01_00000000_hist_librosa.bin,2,1,2560,512\nanomaly_id_09_00000000_hist_librosa.bin,2,1,2560,512\n",
        ],
        "
        ToyCar id_01 Train Source Normal 1
        ToyCar id_01 Test Source Normal 1
        ToyCar id_01 Test Source Anomaly 1
        note: y_labels.csv: 2 of its 3 clips are here and test, other normal clips train, 1 unlisted anomaly left out
        note: too few training clips to learn what is normal: ToyCar id_01
        note: too few test clips for scores to mean anything: ToyCar id_01 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    check_tree(
        &[
            "pump/train/normal/a.wav",
            "pump/normal/test/b.wav",
            "pump/test/Abnormal/c.flac",
            "press/normal/d.wav",
            "notes.txt",
        ],
        "
        press default Test Source Normal 1
        pump default Train Source Normal 1
        pump default Test Source Normal 1
        pump default Test Source Anomaly 1
        note: no known layout: folders say which of 4 files are normal and which are not
        note: neither folders nor names say what is for training: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv there would say otherwise
        note: no training clips, so no class for a classifier: press default
        note: too few training clips to learn what is normal: pump default
        note: no anomalous test clips, so no AUC: press default
        note: too few test clips for scores to mean anything: pump default (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    check_tree(
        &["dog/1.wav", "dog/2.wav", "test/cat/3.wav"],
        "
        ROOT cat Test Source Normal 1
        ROOT dog Train Source Normal 1
        ROOT dog Test Source Normal 1
        note: no known layout: every folder is taken as a class of normal sound: dog, cat
        note: neither folders nor names say what is for training: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv there would say otherwise
        note: no training clips, so no class for a classifier: ROOT cat
        note: too few training clips to learn what is normal: ROOT dog
        note: no anomalous test clips, so no AUC: ROOT cat, ROOT dog
        ",
    );
    check_tree(
        &[
            "audio/1-100-A-0.wav",
            "audio/1-100-B-0.wav",
            "audio/5-101-A-49.wav",
            "meta/esc50.csv=filename,fold,target,category,esc10,src_file,take\n1-100-A-0.wav,1,0,dog,True,100,A\n",
        ],
        "
        ESC-50 class_00 Train Source Normal 1
        ESC-50 class_49 Test Source Normal 1
        ESC-50 dog Train Source Normal 1
        note: official folds: fold 5 tests, 1 train
        note: no training clips, so no class for a classifier: ESC-50 class_49
        note: too few training clips to learn what is normal: ESC-50 class_00, ESC-50 dog
        note: no test clips: ESC-50 class_00, ESC-50 dog
        note: no anomalous test clips, so no AUC: ESC-50 class_49
        ",
    );
}

/// Slices of UrbanSound8K as `<fold>/<recording>-<class>` and how many of each; every recording has its own slices.
fn urban(slices: &[(&str, usize)]) -> TempDir {
    let mut files = vec![
        "metadata/UrbanSound8K.csv=slice_file_name,fsID,salience\n7-9-0-0.wav,7,2\n".to_string(),
    ];
    for (place, count) in slices {
        files.extend((0..*count).map(|idx| format!("audio/fold{place}-0-{idx}.wav")));
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    tree(&files)
}

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
    check(
        slices,
        SplitBy::Folds { test: Some(1) },
        "[[7, 8], [4, 0]] official folds: fold 1 tests, 2, 3 train; \
         1 recording lent slices to both training and test folds; --split recordings keeps them apart",
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
    assert!(matches!(
        open_split(root.path(), SplitBy::Random),
        Err(DataError::NoFolds { .. })
    ));
}

/// A classifier of labels trains on events too; what it is asked of a clip is whether it is normal.
#[test]
fn labels_are_classes_where_they_are_what_is_learnt() {
    let root = urban(&[("1/7-9", 2), ("1/8-3", 3), ("2/9-3", 1)]);
    let dataset = open(root.path()).unwrap();
    assert!(dataset.supervised);
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
        assert_eq!(classes.claimed_class(clip), Some(1));
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

#[test]
fn what_cannot_be_used_is_refused() {
    check_tree(
        &[],
        "error: `ROOT` holds no files; the recordings should lie in <machine>/train and <machine>/test",
    );
    check_tree(
        &["1.mp3", "x/2.mp3", "y/3.mp3", "z.csv"],
        "error: `ROOT` holds 4 files, but none that a known layout names (1.mp3, x/2.mp3, y/3.mp3 and 1 more); list them in a split.csv there, with the columns file,split,label,machine,section,domain",
    );
    check_tree(
        &["train/normal_id_00_00000000.wav="],
        "error: nothing in `ROOT` can be used: train/normal_id_00_00000000.wav is empty",
    );
    check_tree(
        &[
            "test/normal_id_00_00000000.wav",
            "test/normal_id_01_00000000_hist_librosa.bin",
        ],
        "error: `test/normal_id_00_00000000.wav` is a recording and `test/normal_id_01_00000000_hist_librosa.bin` holds ready features; a data set must be all of one kind",
    );
    check_tree(
        &[
            "2020/fan/train/normal_id_00_00000000.wav",
            "2023/fan/train/section_00_source_train_normal_0000.wav",
        ],
        "error: two folders hold machine `fan`: `ROOT/2020/fan` and `ROOT/2023/fan`; open one of them",
    );
    check_path(
        Path::new("/nowhere/at/all"),
        "error: `ROOT` does not exist; give a folder in a DCASE layout, a folder of MLPerf Tiny features, or a csv manifest",
    );
    let root = tree(&["a.mp3"]);
    check_path(
        &root.path().join("a.mp3"),
        "error: `ROOT` is neither a folder, a csv manifest, nor a .wav, .flac or .bin file",
    );
    let root = tree(&["a.wav"]);
    check_path(
        &root.path().join("a.wav"),
        "
        default default Test Source Unlabelled 1
        note: no training clips: a found model can be scored here, but none searched
        note: no test clip has a label: clips get scores, but there is no AUC
        ",
    );
}

#[test]
fn manifests_are_read() {
    fn check(csv: &str, expected: &str) {
        let split_csv = format!("split.csv={csv}");
        check_tree(
            &[
                &split_csv,
                "a.wav",
                "b.FLAC",
                "sub/c.wav",
                "f.bin",
                "short.bin=1",
            ],
            expected,
        );
    }
    // Any order of columns, spaces, a byte order mark, further columns; empty means the default.
    check(
        "\u{feff}domain, split ,speed,file,label\r\ntarget,train,3,a.wav,\r\n,test,,./b.FLAC,anomaly\r\n",
        "
        default default Train Target Unlabelled 1
        default default Test Source Anomaly 1
        note: too few training clips to learn what is normal: default default
        note: no normal test clips, so no AUC: default default
        ",
    );
    check(
        "file,split\na.wav,train\nsub/c.wav,test\ngone.wav,test\n",
        "
        default default Train Source Unlabelled 1
        default default Test Source Unlabelled 1
        note: 1 file of 3 left out: gone.wav is missing (line 4)
        note: too few training clips to learn what is normal: default default
        note: no test clip has a label: clips get scores, but there is no AUC
        ",
    );
    check("file,split,section\nf.bin,train,1\nshort.bin,test,1\n", "
        default 1 Train Source Unlabelled 1
        note: 1 file of 2 left out: short.bin has 1 byte, which is no multiple of 512 (128 bands of f32) (line 3)
        note: too few training clips to learn what is normal: default section 1
        note: no test clips: nothing can be scored
        ");
    check(
        "file,split\ngone.wav,train\n",
        "error: nothing in `ROOT/split.csv` can be used: gone.wav is missing (line 2)",
    );
    check(
        "file,split\na.wav,train\nf.bin,train\n",
        "error: `a.wav` is a recording and `f.bin` holds ready features; a data set must be all of one kind",
    );
    check(
        "file,split\nsub,train\n",
        "error: manifest `ROOT/split.csv`: line 2, column file: `sub` should be the path of a .wav, .flac or .bin file",
    );
    check(
        "file,split\na.mp3,train\n",
        "error: manifest `ROOT/split.csv`: line 2, column file: `a.mp3` should be the path of a .wav, .flac or .bin file",
    );
    check(
        "file,split\n,train\n",
        "error: manifest `ROOT/split.csv`: line 2, column file: `` should be the path of a .wav, .flac or .bin file",
    );
    check(
        "file,split\na.wav,validation\n",
        "error: manifest `ROOT/split.csv`: line 2, column split: `validation` should be `train` or `test`",
    );
    check(
        "file,split,label\na.wav,train,normal\nb.FLAC,test,abnormal\n",
        "error: manifest `ROOT/split.csv`: line 3, column label: `abnormal` should be `normal`, `anomaly` or empty",
    );
    check(
        "file,split,domain\na.wav,train,north\n",
        "error: manifest `ROOT/split.csv`: line 2, column domain: `north` should be `source`, `target` or empty",
    );
    check(
        "file,split\na.wav,train\nsub/../a.wav,test\n",
        "error: manifest `ROOT/split.csv`: line 3, column file: `a.wav` stands in line 2 already",
    );
    check(
        "file,split\na.wav,train,normal\n",
        "error: manifest `ROOT/split.csv`: line 2 has 3 columns where line 1 names 2",
    );
    check(
        "file,split,file\na.wav,train,a.wav\n",
        "error: manifest `ROOT/split.csv`: line 1 names the column `file` twice",
    );
    check(
        "file,label\na.wav,normal\n",
        "error: manifest `ROOT/split.csv`: line 1 names no column `split`; it should name the columns, separated by commas: file,split,label,machine,section,domain (all but file and split may be left out)",
    );
    check(
        "file;split\na.wav;train\n",
        "error: manifest `ROOT/split.csv`: line 1 names no column `file`; it should name the columns, separated by commas: file,split,label,machine,section,domain (all but file and split may be left out)",
    );
    check(
        "file,split\n",
        "error: manifest `ROOT/split.csv`: it lists no files: line 1 only names the columns",
    );
    check(
        "",
        "error: manifest `ROOT/split.csv`: line 1 names no column `file`; it should name the columns, separated by commas: file,split,label,machine,section,domain (all but file and split may be left out)",
    );
}

#[test]
fn real_data_is_read() {
    fn check(relative: &str, expected: &str) {
        if let Some(path) = shared_data(relative) {
            check_path(&path, expected);
        }
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
        note: no training clips: a found model can be scored here, but none searched
        note: too few test clips for scores to mean anything: ToyCar id_04 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25), ToyConveyor id_01 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25), fan id_06 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25) and 3 more
        ");
    check("dcase20-dev-36/dev_data/ToyCar", "
        ToyCar id_04 Test Source Normal 3
        ToyCar id_04 Test Source Anomaly 3
        note: no training clips: a found model can be scored here, but none searched
        note: too few test clips for scores to mean anything: ToyCar id_04 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25)
        ");
    check("dcase20-dev-36/dev_data/ToyCar/test", "
        ToyCar id_04 Test Source Normal 3
        ToyCar id_04 Test Source Anomaly 3
        note: no training clips: a found model can be scored here, but none searched
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
        note: neither folders nor names say what is for training: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv there would say otherwise
        note: so few test clips that scores say little: ToyCar id_01 (9 normal, 37 anomalous; a guess has AUC 0.50 ± 0.11), ToyCar id_02 (7 normal, 27 anomalous; a guess has AUC 0.50 ± 0.12), ToyCar id_03 (7 normal, 27 anomalous; a guess has AUC 0.50 ± 0.12)
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
        note: neither folders nor names say what is for training: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv there would say otherwise
        note: no training clips: a found model can be scored here, but none searched
        note: too few test clips for scores to mean anything: valve id_00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), valve id_02 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), valve id_04 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50) and 1 more
        ");
}

#[test]
fn file_names_tell_what_they_hold() {
    fn check(stem: &str, expected: &str) {
        let shown = dcase::parse_name(mlperf::recording(stem)).map_or("nothing".to_string(), |r| {
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
        let expected = dcase::Recording {
            section: format!("{section:02}"),
            domain: Some([Domain::Source, Domain::Target][domain]),
            split: Some([Split::Train, Split::Test][split]),
            label: Some([Label::Normal, Label::Anomaly][label]),
            attributes,
        };
        proptest::prop_assert_eq!(dcase::parse_name(&stem), Some(expected));
    }

    /// Nearly right manifests reach deeper than arbitrary bytes do.
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
fn any_bytes_are_a_table_or_an_error() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = manifest::parse(bytes);
        let _ = dcase::parse_attributes(bytes);
        let _ = dcase::parse_name(&String::from_utf8_lossy(bytes));
    });
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
        "attributes of `attributes_01.csv` left out: line 1 names no column `file_name`"
    );
}

/// Clips given as `<machine> <section> <split> <domain> <label> <count>`.
fn made_up(kinds: &[&str]) -> Dataset {
    let mut csv = "file,split,label,machine,section,domain\n".to_string();
    for (kind_idx, kind) in kinds.iter().enumerate() {
        let words: Vec<&str> = kind.split(' ').collect();
        let [machine, section, split, domain, label, count] = words[..] else {
            panic!("{kind}");
        };
        for clip_idx in 0..count.parse().unwrap() {
            csv += &format!(
                "{kind_idx}_{clip_idx}.wav,{split},{label},{machine},{section},{domain}\n"
            );
        }
    }
    let rows = manifest::parse(csv.as_bytes()).unwrap();
    let clips = rows
        .into_iter()
        .map(|row| row.clip(Source::Audio(PathBuf::new())));
    table(
        "made up".to_string(),
        Layout::Manifest,
        clips.collect(),
        Vec::new(),
    )
    .unwrap()
}

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
                 there the test score is that of the clips that steer",
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

#[test]
fn a_description_names_formats_and_faults() {
    let root = tree(&["test/normal_id_00_00000009.wav=RIFF but no more"]);
    let write = |name: &str, sample_rate: u32, samples: u32, value: i16| {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for _ in 0..samples {
            writer.write_sample(value).unwrap();
        }
        writer.finalize().unwrap();
    };
    write("train/normal_id_00_00000000.wav", 16_000, 32_000, 1);
    write("train/normal_id_00_00000001.wav", 16_000, 32_000, 2);
    write("test/normal_id_00_00000000.wav", 16_000, 32_000, 1);
    write("test/normal_id_00_00000001.wav", 48_000, 24_000, 1);

    let info = describe(&open(root.path()).unwrap());
    let formats: Vec<_> = info
        .formats
        .iter()
        .map(|f| (f.sample_rate_hz, f.clips, f.shortest_s, f.longest_s))
        .collect();
    assert_eq!(formats, [(16_000, 3, 2.0, 2.0), (48_000, 1, 0.5, 0.5)]);
    assert_eq!(info.total_s, 6.5);
    assert_eq!(info.short, ["test/normal_id_00_00000001.wav"]);
    assert_eq!(info.unreadable[0].0, "test/normal_id_00_00000009.wav");
    assert_eq!(
        info.duplicates,
        [[
            "train/normal_id_00_00000000.wav",
            "test/normal_id_00_00000000.wav"
        ]]
    );
    assert_eq!(
        info.notes.last().unwrap(),
        "1 recording in both training and test: scores will be too good"
    );
}

#[test]
fn real_headers_are_read() {
    fn check(relative: &str, expected: (Encoding, u32, usize, f64)) {
        if let Some(path) = shared_data(relative) {
            let info = describe(&open(&path).unwrap());
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
        }
    }
    check(
        "dcase20-dev-36/dev_data",
        (Encoding::WavInteger, 1, 36, 11.0),
    );
    check("flac-samples", (Encoding::Flac, 1, 2, 10.0));
    check(
        "mimii-0dB-8ch-originals",
        (Encoding::WavInteger, 8, 2, 10.0),
    );
    check("toycar-ad01", (Encoding::LogMelBin, 1, 436, 6.4));
}

#[test]
fn a_written_synthetic_set_reads_as_it_was() {
    let mut dataset = synthetic::dataset(synthetic::Machine::Fan);
    // Every hundredth clip covers both splits and domains, and a fault.
    let mut clip_idx = 0;
    dataset.clips.retain(|_| {
        clip_idx += 1;
        clip_idx % 100 == 0
    });
    let has = |label| dataset.clips.iter().any(|clip| clip.label == Some(label));
    assert!(has(Label::Normal) && has(Label::Anomaly));
    let root = tempfile::tempdir().unwrap();
    synthetic::write(&dataset, root.path()).unwrap();
    let read = open(root.path()).unwrap();
    let without_source = |clip: &Clip| Clip {
        source: Source::Audio(PathBuf::new()),
        ..clip.clone()
    };
    let clips =
        |dataset: &Dataset| -> Vec<Clip> { dataset.clips.iter().map(without_source).collect() };
    assert_eq!(clips(&read), clips(&dataset));
    assert_eq!(describe(&read).total_s, describe(&dataset).total_s);
}

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
    // Nothing is for test: a quarter of the training clips is held out.
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
