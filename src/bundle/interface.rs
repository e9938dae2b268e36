//! The header of the C interface, with a model's numbers and the names that its user wants.

use std::{collections::BTreeMap, collections::BTreeSet, fmt, str::FromStr};

use super::{BundleError, Parts};
use crate::measure;

/// What the names of a C interface begin with: `nas`, unless several models are linked into one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// A word that cannot begin names in C.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot begin names in C: take 1 to 24 small letters, digits and single _ after a letter, such as `fan`"
)]
pub struct UnknownPrefix(String);

impl Default for Prefix {
    fn default() -> Prefix {
        Prefix("nas".to_string())
    }
}

impl FromStr for Prefix {
    type Err = UnknownPrefix;

    fn from_str(text: &str) -> Result<Prefix, UnknownPrefix> {
        let is_plain = (1..=24).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('_')
            && !text.contains("__")
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        match is_plain {
            true => Ok(Prefix(text.to_string())),
            false => Err(UnknownPrefix(text.to_string())),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Files of the interface by their paths in a bundle: the header and, with a prefix, the prefix for the build and a header that
/// gives the usual names.
pub(super) fn files(
    blob: &[u8],
    parts: &Parts<'_>,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let text = header(blob, parts)?;
    let prefix = &parts.prefix;
    let file = |name: String, text: String| (format!("firmware/{name}"), text.into_bytes());
    if *prefix == Prefix::default() {
        return Ok([file("c/nas_model.h".to_string(), text)].into());
    }
    let renamed = |name: &str| match name.strip_prefix("nas_") {
        Some(rest) => format!("{prefix}_{rest}"),
        None => name.replacen(
            "NAS_",
            &format!("{}_", prefix.to_string().to_uppercase()),
            1,
        ),
    };
    let mut aliases = format!(
        "/* The usual names for those of {prefix}_model.h, for sources of one model. */\n#include \"{prefix}_model.h\"\n"
    );
    for name in names(&text) {
        aliases += &format!("#define {name} {}\n", renamed(name));
    }
    let own = words(&text).map(
        |word| match word.starts_with("nas_") || word.starts_with("NAS_") {
            true => renamed(word),
            false => word.to_string(),
        },
    );
    Ok([
        file(format!("c/{prefix}_model.h"), own.collect()),
        file("c/nas_model.h".to_string(), aliases),
        file("model/prefix".to_string(), format!("{prefix}\n")),
    ]
    .into())
}

/// Words of a text and what lies between them, in turn.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let kind = is_word(first);
        let end = rest.find(|c| is_word(c) != kind).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Names of functions, types and constants of the header.
fn names(header: &str) -> BTreeSet<&str> {
    let id = "nas_init_";
    words(header)
        .filter(|word| word.starts_with("nas_") || word.starts_with("NAS_"))
        .filter(|word| !word.starts_with(id) && !matches!(*word, "NAS_MODEL_H" | "nas_model"))
        .collect()
}

/// The checksum that names a blob.
fn id_of(blob: &[u8]) -> String {
    let checksum = blob.get(16..24).unwrap_or(&[]).iter().rev();
    checksum.map(|byte| format!("{byte:02x}")).collect()
}

/// `nas_model.h` with this model's numbers.
fn header(blob: &[u8], parts: &Parts<'_>) -> Result<String, BundleError> {
    let model =
        nas_kernels::Model::parse(blob).map_err(|error| BundleError::Model(error.to_string()))?;
    let card = &parts.model.card;
    let numbers = [
        (
            "NAS_MEMORY_BYTES",
            model.arena_bytes() + model.stream_bytes(),
        ),
        ("NAS_SAMPLE_RATE_HZ", card.sample_rate_hz as usize),
        ("NAS_HOP_SAMPLES", card.hop_length),
        ("NAS_FRAME_VALUES", card.front_end().spec.bands()),
        ("NAS_CLASSES", card.classes.len()),
        ("NAS_VERDICT_SAMPLES", card.verdict_samples()),
    ];
    // The package carries the firmware's files under another name.
    let header = measure::files()
        .iter()
        .find(|(name, _)| *name == "c/nas_model.h");
    let (_, header) = header.expect("the C interface is part of the firmware");
    let mut text = String::from_utf8_lossy(header).into_owned();
    let init = format!("#define nas_init nas_init_{}\n", id_of(blob));
    text = text.replace("#define nas_init nas_init_0\n", &init);
    for (name, value) in numbers {
        text = text.replace(
            &format!("#define {name} 0\n"),
            &format!("#define {name} {value}\n"),
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_begin_names_in_c() {
        for good in ["nas", "fan", "fan_2", "a"] {
            assert_eq!(good.parse::<Prefix>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "2fan",
            "Fan",
            "fan-2",
            "fan_",
            "a__b",
            "_a",
            &"a".repeat(25),
        ] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn words_join_to_the_text() {
        let text = "#define NAS_A 1\nint nas_b(nas_c *c); /* nas_model.h, nas_init_12 */";
        assert_eq!(words(text).collect::<String>(), text);
        assert_eq!(names(text), BTreeSet::from(["NAS_A", "nas_b", "nas_c"]));
    }
}
