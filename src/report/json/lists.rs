//! Search spaces, targets and data sets.

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::{
    data::{Info, KnownDataset, Label},
    hardware::Target,
    space::SearchSpace,
};

/// The search spaces as JSON: sizes, and the files as they were read.
pub fn spaces_document(spaces: &[SearchSpace]) -> Value {
    let view = |space: &SearchSpace| {
        let file: Value = toml::from_str(&space.text).expect("the text was read as TOML before");
        json!({ "name": space.name, "genomes": space.size() as f64, "file": file })
    };
    json!({ "schema_version": SCHEMA_VERSION, "spaces": spaces.iter().map(view).collect::<Vec<_>>() })
}

/// The targets as JSON: the profiles as they were read.
pub fn targets_document(targets: &[Target]) -> Value {
    let view = |target: &Target| -> Value {
        toml::from_str(&target.text).expect("the text was read as TOML before")
    };
    json!({ "schema_version": SCHEMA_VERSION, "targets": targets.iter().map(view).collect::<Vec<_>>() })
}

pub fn known_datasets_document(known: &[KnownDataset]) -> Value {
    let view = |known: &KnownDataset| {
        json!({
            "name": known.name,
            "holds": known.holds,
            "address": known.address,
            "licence": known.licence,
            "size": known.size,
        })
    };
    json!({ "schema_version": SCHEMA_VERSION, "datasets": known.iter().map(view).collect::<Vec<_>>() })
}

pub fn dataset_document(info: &Info) -> Value {
    let counts: Vec<Value> = info
        .counts
        .iter()
        .map(|count| {
            json!({
                "machine": count.machine,
                "section": count.section,
                "split": count.split.name(),
                "domain": count.domain.name(),
                "label": count.label.map(Label::name),
                "clips": count.clips,
            })
        })
        .collect();
    let formats: Vec<Value> = info
        .formats
        .iter()
        .map(|format| {
            json!({
                "encoding": format.encoding.name(),
                "sample_rate_hz": format.sample_rate_hz,
                "channels": format.channels,
                "bits": format.bits,
                "clips": format.clips,
                "shortest_s": format.shortest_s,
                "longest_s": format.longest_s,
            })
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "name": info.name,
        "layout": info.layout.name(),
        "synthetic": info.synthetic,
        "counts": counts,
        "formats": formats,
        "total_s": info.total_s,
        "short": info.short,
        "unreadable": info.unreadable,
        "duplicates": info.duplicates,
        "notes": info.notes,
    })
}
