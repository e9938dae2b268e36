use super::*;

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
        note: 1 file left out, because it is empty: test/normal_id_00_00000001.wav
        note: 1 file left out, because it is no sound: test/readme.txt
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
    // One machine of 2025, with recordings of the clean machine.
    check_tree(
        &[
            "ToyPet/train/section_00_source_train_normal_0000_noAttribute.wav",
            "ToyPet/test/section_00_target_test_anomaly_0000_noAttribute.wav",
            "ToyPet/supplemental/section_00_machine_0001_.wav",
        ],
        "
        ToyPet 00 Train Source Normal 1
        ToyPet 00 Test Target Anomaly 1
        note: 1 file left out, because supplemental recordings, of the clean machine or of noise alone, neither train nor test: ToyPet/supplemental/section_00_machine_0001_.wav
        note: too few training clips to learn what is normal: ToyPet section 00
        note: no normal test clips, so no AUC: ToyPet section 00
        ",
    );
    // An evaluation set of 2023 beside its renamed copy.
    check_tree(
        &[
            "raw/fan/test/section_00_0000.wav",
            "raw/fan/test_rename/section_00_source_test_normal_0000.wav",
        ],
        "fan 00 Test Source Normal 1
        note: 1 test clip without a label left out: test_rename holds labelled copies
        note: no training clips: you can score a model here, but not search for one
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
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: 1 file left out, because it has 5 bytes, which is not a multiple of 512 (128 bands of f32): anomaly_id_01_00000001_hist_librosa.bin
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
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: too few training clips to learn what is normal: fan id_00
        note: too few test clips for scores to mean anything: fan id_00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50)
        ",
    );
    check_tree(
        &["a.wav", "b.flac", "sub/c.wav", "notes.txt"],
        "
        ROOT default Test Source Unlabelled 2
        note: no name says split, label or section: 2 files taken as test clips without a label
        note: 1 file left out, because it lies in a folder, and most recordings in none: sub/c.wav
        note: 1 file left out, because it is no sound: notes.txt
        note: no training clips: you can score a model here, but not search for one
        note: no test clip has a label: clips get scores, but there is no AUC
        ",
    );
    // A loose file hides no folders, an empty one or one of another kind is named, and so is a folder of validation clips.
    check_tree(
        &["dog/1.wav", "dog/2.wav", "dog/3.aiff", "cat/1.wav", "cat/0.ogg=", "cat/val/4.wav", "loose.wav"],
        "
        ROOT cat Test Source Normal 1
        ROOT dog Train Source Normal 1
        ROOT dog Test Source Normal 1
        note: no known layout: every folder is taken as a class of normal sound (`:classes` behind the path tells them apart): cat, dog
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: 1 file left out, because it is empty: cat/0.ogg
        note: 1 file left out, because it is not WAV, FLAC, Ogg Vorbis or MP3: dog/3.aiff
        note: 1 file left out, because it lies beside the folders of classes, in none of them: loose.wav
        note: 1 file left out, because a folder `val` is neither `train` nor `test`: validation clips are drawn from those that train; a split.csv can use these: cat/val/4.wav
        note: no training clips, so no class for a classifier: ROOT cat
        note: too few training clips to learn what is normal: ROOT dog
        note: no anomalous test clips, so no AUC: ROOT cat, ROOT dog
        ",
    );
}

/// Layouts in which folders, tables or lists beside the data describe the clips.
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
        note: no training clips: you can score a model here, but not search for one
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
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: 1 recording of microphones 2 to 4 left out: they heard the same as the first
        note: 1 file left out, because no known layout has such names: ToyCar/case1/NormalSound_CNT/1100110001_ToyCar_case1_normal_CNT_ch1_0001.wav
        note: no training clips: you can score a model here, but not search for one
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
        note: y_labels.csv: 2 of its 3 clips are here and test, other normal clips train, 1 unlisted anomalous clip left out
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
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: 1 file left out, because it is no sound: notes.txt
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
        note: no known layout: every folder is taken as a class of normal sound (`:classes` behind the path tells them apart): dog, cat
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
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

#[test]
fn a_part_of_esc_50_is_esc_10() {
    let table = "meta/esc50.csv=filename,fold,target,category,esc10,src_file,take\n\
                 1-100-A-0.wav,1,0,dog,True,100,A\n5-101-A-0.wav,5,0,dog,True,101,A\n\
                 5-102-A-49.wav,5,49,hand_saw,False,102,A\n";
    let slices =
        ["1-100-A-0.wav", "5-101-A-0.wav", "5-102-A-49.wav"].map(|name| format!("audio/{name}"));
    let files = [&slices[0], &slices[1], &slices[2], table];
    let folder = tree(&files);
    let part = |folder: &TempDir| PathBuf::from(format!("{}:esc10", folder.path().display()));
    let dataset = open(&part(&folder)).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.clips.len()), ("ESC-10", 2));
    assert_eq!(dataset.notes[0], "official folds: fold 5 tests, 1 train");
    // Without the table, nothing says which clips those are.
    let error = open(&part(&tree(&files[..3]))).unwrap_err();
    assert!(error.to_string().contains("column `esc10`"), "{error}");
}

#[test]
fn what_cannot_be_used_is_refused() {
    check_tree(
        &[],
        "error: `ROOT` holds no files; the recordings should lie in <machine>/train and <machine>/test",
    );
    check_tree(
        &["1.m4a", "x/2.m4a", "y/3.m4a", "z.csv"],
        "error: `ROOT` holds 4 files, but no name fits a known layout (1.m4a, x/2.m4a, y/3.m4a and 1 more); list them in a split.csv in that folder, with the columns file,split,label,machine,section,domain",
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
    let root = tree(&["a.m4a"]);
    check_path(
        &root.path().join("a.m4a"),
        "error: `ROOT` is neither a folder, a csv manifest, nor a .wav, .flac, .ogg, .mp3 or .bin file",
    );
    let root = tree(&["a.wav"]);
    check_path(
        &root.path().join("a.wav"),
        "
        default default Test Source Unlabelled 1
        note: no training clips: you can score a model here, but not search for one
        note: no test clip has a label: clips get scores, but there is no AUC
        ",
    );
}

/// Links may lead anywhere within the folder, which may be a link itself, and nowhere else.
#[cfg(unix)]
#[test]
fn links_stay_inside() {
    use std::os::unix::fs::symlink;
    let secret = tree(&["s.wav", "t/u.wav"]);
    let root = tree(&["fan/train/normal/a.wav", "fan/test/normal/b.wav", "c.wav"]);
    let place = |name: &str| root.path().join(name);
    symlink(place("c.wav"), place("fan/test/normal/c.wav")).unwrap();
    symlink(secret.path().join("s.wav"), place("fan/test/normal/s.wav")).unwrap();
    symlink(secret.path().join("t"), place("fan/test/anomaly")).unwrap();
    let names = |path: &Path| {
        let (files, odd) = files::files_below(path).unwrap();
        let files: Vec<String> = files.into_iter().map(|file| file.name).collect();
        let odd: Vec<String> = LeftOut::sentences(&odd);
        let odd = odd.join("\n");
        let odd = odd.replace(
            &*secret.path().canonicalize().unwrap().to_string_lossy(),
            "SECRET",
        );
        (files.join(" "), odd)
    };
    let inside = "c.wav fan/test/normal/b.wav fan/test/normal/c.wav fan/train/normal/a.wav";
    let advice = "name that folder as data instead, or copy it";
    let refused = format!(
        "fan/test/anomaly is a link out of the data set's folder, to SECRET/t; {advice}\n\
         fan/test/normal/s.wav is a link out of the data set's folder, to SECRET/s.wav; {advice}"
    );
    let expected = (inside.to_string(), refused);
    assert_eq!(names(root.path()), expected);
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(root.path(), elsewhere.path().join("data")).unwrap();
    assert_eq!(names(&elsewhere.path().join("data")), expected);

    let table = "file,split,label\nc.wav,train,normal\nfan/test/normal/s.wav,test,anomaly\n";
    fs::write(place("list.csv"), table).unwrap();
    let dataset = open(&place("list.csv")).unwrap();
    assert_eq!(dataset.clips.len(), 1);
    assert!(
        dataset.left_out[0].reason.contains("link out"),
        "{:?}",
        dataset.left_out
    );
}
