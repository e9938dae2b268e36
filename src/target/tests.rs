use super::*;

#[test]
fn every_shipped_profile_is_valid() {
    for (file, text) in PROFILES {
        let target = Target::parse(text, file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{}.toml", target.name), file);
    }
    let shipped = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hardware_profiles"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .count();
    assert_eq!(shipped, builtin().len(), "a profile is not compiled in");
}
