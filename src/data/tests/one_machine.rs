use super::*;

#[test]
fn one_section_is_watched_and_the_others_are_known_anomalies() {
    fn check(wanted: &str, expected: &str) {
        let dataset = made_up(&[
            "fan 0 train source normal 8",
            "fan 0 test source anomaly 4",
            "fan 1 train source normal 3",
            "fan 1 test source normal 5",
            "pump 0 train source normal 2",
            "pump 2 train source normal 1",
        ]);
        let found = match dataset.watching(wanted) {
            Ok(dataset) => {
                let tests = dataset.indices(|clip| clip.split == Split::Test).count();
                let known = dataset.known_anomalies().count();
                let trains = dataset.train_clips().len();
                format!("{trains} train, {known} known, {tests} test")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{wanted}");
    }
    check("fan", "11 train, 3 known, 9 test");
    check("fan/0", "8 train, 6 known, 4 test");
    check("0", "10 train, 4 known, 4 test");
    check("2", "1 train, 13 known, 0 test");
    check(
        "valve",
        "there is no machine or section `valve` to watch; there are fan/0, fan/1, pump/0, pump/2",
    );
}
