//! Documents for programs: their schemas are those that are published, and docs/json.md names what is in them.

use std::{collections::BTreeSet, env, fs, path::Path};

use serde_json::Value;

tests! {
    schemas_are_the_published_ones,
    every_document_has_a_version_and_every_key_is_documented,
}

/// `NAS_BLESS=1 cargo test documents` writes the files anew.
fn schemas_are_the_published_ones() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let mut expected = BTreeSet::new();
    for (name, schema) in nas::bundle::schemas() {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let file = folder.join(format!("{name}.json"));
        if env::var_os("NAS_BLESS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let published = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            published == text,
            "{} is not the schema of today",
            file.display()
        );
        expected.insert(format!("{name}.json"));
    }
    let files = fs::read_dir(&folder).unwrap();
    let found: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected);
}

fn every_document_has_a_version_and_every_key_is_documented() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md"));
    let docs = docs.unwrap();
    let words: BTreeSet<&str> = docs
        .split(|c: char| c != '_' && !c.is_ascii_alphanumeric())
        .collect();
    let mut missing = Vec::new();
    for (name, schema) in nas::bundle::schemas() {
        let schema = serde_json::to_value(schema).unwrap();
        let versioned = schema["required"].as_array().unwrap();
        assert!(versioned.contains(&"schema_version".into()), "{name}");
        let mut keys = BTreeSet::new();
        collect_keys(&schema, &mut keys);
        let unknown = keys.into_iter().filter(|key| !words.contains(key.as_str()));
        missing.extend(unknown.map(|key| format!("{name}: {key}")));
    }
    // Schemas leave open which figures of merit there are.
    let figures = nas::score::Figure::documented().map(|figure| figure.key());
    missing.extend(figures.filter(|key| !words.contains(key.as_str())));
    assert!(
        missing.is_empty(),
        "docs/json.md has no word of\n{}",
        missing.join("\n")
    );
}

/// The names of all properties, at any depth.
fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| collect_keys(value, keys));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        _ => (),
    }
}
