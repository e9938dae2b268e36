use super::*;

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
        note: no training clips: you can score a model here, but not search for one
        note: too few test clips for scores to mean anything: ToyCar id_04 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25), ToyConveyor id_01 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25), fan id_06 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25) and 3 more
        ");
    check("dcase20-dev-36/dev_data/ToyCar", "
        ToyCar id_04 Test Source Normal 3
        ToyCar id_04 Test Source Anomaly 3
        note: no training clips: you can score a model here, but not search for one
        note: too few test clips for scores to mean anything: ToyCar id_04 (3 normal, 3 anomalous; a guess has AUC 0.50 ± 0.25)
        ");
    check("dcase20-dev-36/dev_data/ToyCar/test", "
        ToyCar id_04 Test Source Normal 3
        ToyCar id_04 Test Source Anomaly 3
        note: no training clips: you can score a model here, but not search for one
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
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: few test clips, so scores say little: ToyCar id_01 (9 normal, 37 anomalous; a guess has AUC 0.50 ± 0.11), ToyCar id_02 (7 normal, 27 anomalous; a guess has AUC 0.50 ± 0.12), ToyCar id_03 (7 normal, 27 anomalous; a guess has AUC 0.50 ± 0.12)
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
        note: folders and names do not say which clips train: the first 80 % (by name) of every section's normal clips train, all others test; a split.csv in that folder can say otherwise
        note: no training clips: you can score a model here, but not search for one
        note: too few test clips for scores to mean anything: valve id_00 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), valve id_02 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50), valve id_04 (1 normal, 1 anomalous; a guess has AUC 0.50 ± 0.50) and 1 more
        ");
}
