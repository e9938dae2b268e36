//! Reads search spaces from TOML.

use std::{collections::BTreeMap, fs, path::Path};

use nas_kernels::decision::ClipRule;
use serde::Deserialize;

use super::{
    Axis, AxisRule, COMPANDING, Family, Genome, SearchSpace, Training, WEIGHTS_IN, WeightMemory,
};

/// The table entry that says how windows' scores become a clip's.
const CLIP_SCORE: &str = "clip_score";

/// A search space that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// No space has this name, and no such file exists.
    #[error(
        "there is no search space `{name}`; known spaces are {known}, or give the path of a .toml file"
    )]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Names of all spaces and baselines, separated by commas.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path of the file.
        path: String,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The file is not TOML with the expected keys.
    #[error("{path}: {source}")]
    Syntax {
        /// Path of the file.
        path: String,
        /// The parser's message.
        source: Box<toml::de::Error>,
    },
    /// The file names a family that does not exist.
    #[error("{path}: family `{family}` is not known; known families are {known}")]
    Family {
        /// Path of the file.
        path: String,
        /// The name in the file.
        family: String,
        /// Names of all families, separated by commas.
        known: String,
    },
    /// The file lacks an axis of its family.
    #[error("{path}: axis `{axis}` is missing; family {family} needs {needed}")]
    MissingAxis {
        /// Path of the file.
        path: String,
        /// The missing axis.
        axis: &'static str,
        /// Name of the family.
        family: &'static str,
        /// All axes of the family, separated by commas.
        needed: String,
    },
    /// The file has an axis that its family does not have.
    #[error("{path}: family {family} has no axis `{axis}`; it has {needed}")]
    UnknownAxis {
        /// Path of the file.
        path: String,
        /// The unknown axis.
        axis: String,
        /// Name of the family.
        family: &'static str,
        /// All axes of the family, separated by commas.
        needed: String,
    },
    /// An axis or the training has values that are not allowed.
    #[error("{path}: axis `{axis}`: {fault}")]
    Values {
        /// Path of the file.
        path: String,
        /// Name of the axis, or `training`.
        axis: String,
        /// What is wrong, and what is allowed.
        fault: String,
    },
}

/// Path and text of shipped TOML files.
macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../", $path)))),*]
    };
}

/// The search spaces that come with the tool.
pub fn builtin() -> Vec<SearchSpace> {
    read_shipped(&shipped![
        "search_spaces/dense-ae.toml",
        "search_spaces/conv-ae.toml",
        "search_spaces/mobilenet-v2.toml",
        "search_spaces/ds-cnn.toml",
        "search_spaces/mfcc-mlp.toml",
        "search_spaces/pooled-mlp.toml",
        "search_spaces/pooled-gaussian.toml",
    ])
}

/// What every front is held against: detectors that need no training, spaces of one each.
pub fn references() -> Vec<SearchSpace> {
    read_shipped(&shipped![
        "search_spaces/references/level-mean.toml",
        "search_spaces/references/level-peak.toml",
        "search_spaces/references/pooled.toml",
    ])
}

/// These spaces, and behind them the [`references`] that are not among them.
pub fn with_references(mut spaces: Vec<SearchSpace>) -> Vec<SearchSpace> {
    let known = |reference: &SearchSpace| spaces.iter().any(|own| own.name == reference.name);
    let (_, missing): (Vec<_>, Vec<_>) = references().into_iter().partition(known);
    spaces.extend(missing);
    spaces
}

/// Published networks with their training: spaces of one network each.
pub fn baselines() -> Vec<SearchSpace> {
    read_shipped(&shipped![
        "search_spaces/baselines/dcase-ae.toml",
        "search_spaces/baselines/dcase-mobilenetv2.toml",
        "search_spaces/baselines/mlperf-ad.toml",
        "search_spaces/baselines/mimii-ae.toml",
        "search_spaces/baselines/p2-mlp.toml",
    ])
}

fn read_shipped(files: &[(&str, &str)]) -> Vec<SearchSpace> {
    let read = |(path, text): &(&str, &str)| parse(path, text).expect("shipped spaces are tested");
    files.iter().map(read).collect()
}

/// A space by its name (built-in or baseline), or from the path of a TOML file.
///
/// # Errors
/// [`SpaceError`] where there is no such space, or the file is not a valid space.
pub fn load(name_or_path: &str) -> Result<SearchSpace, SpaceError> {
    let others = baselines().into_iter().chain(references());
    let known: Vec<SearchSpace> = builtin().into_iter().chain(others).collect();
    if let Some(space) = known.iter().find(|space| space.name == name_or_path) {
        return Ok(space.clone());
    }
    if !name_or_path.ends_with(".toml") && !Path::new(name_or_path).exists() {
        let known: Vec<&str> = known.iter().map(|space| space.name.as_str()).collect();
        let (name, known) = (name_or_path.to_string(), known.join(", "));
        return Err(SpaceError::Unknown { name, known });
    }
    let path = name_or_path.to_string();
    let text =
        fs::read_to_string(name_or_path).map_err(|source| SpaceError::Read { path, source })?;
    parse(name_or_path, &text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    family: String,
    #[serde(default)]
    description: String,
    front_end: FrontEndTable,
    axes: BTreeMap<String, AxisTable>,
    /// Absent where nothing is trained.
    training: Option<Training>,
    deployment: Option<Deployment>,
    decision: Option<DecisionTable>,
}

/// Choices that need no training.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionTable {
    /// How the scores of a clip's windows may become its score.
    clip_score: Vec<String>,
}

/// Choices that only change costs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    /// The memories that an NPU may read weights from.
    weights_in: Vec<WeightMemory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontEndTable {
    sample_rate_hz: u32,
    n_mels: AxisTable,
    n_fft: AxisTable,
    hop_length: AxisTable,
    n_mfcc: Option<AxisTable>,
    frames: AxisTable,
    frame_stride: AxisTable,
    companding: Option<AxisTable>,
}

/// The values of an axis: a list, or a table that says more about them.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a list of numbers, or { kind = \"category\", values = [..] }"
)]
enum AxisTable {
    Values(Vec<f64>),
    Of { kind: AxisKind, values: Vec<f64> },
}

/// How the values of an axis compare.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum AxisKind {
    /// Neighbouring values are alike.
    Ordered,
    /// Values are equal or not.
    Category,
}

/// Reads a space from TOML text; `path` is only for messages.
///
/// # Errors
/// [`SpaceError`], with the axis that is wrong.
pub fn parse(path: &str, text: &str) -> Result<SearchSpace, SpaceError> {
    let file: File = toml::from_str(text).map_err(|source| SpaceError::Syntax {
        path: path.to_string(),
        source: Box::new(source),
    })?;
    let family = Family::from_name(&file.family).ok_or_else(|| SpaceError::Family {
        path: path.to_string(),
        family: file.family.clone(),
        known: Family::ALL.map(Family::name).join(", "),
    })?;
    let fault = |axis: &str, fault: &str| SpaceError::Values {
        path: path.to_string(),
        axis: axis.to_string(),
        fault: fault.to_string(),
    };
    if !(1000..=192_000).contains(&file.front_end.sample_rate_hz) {
        return Err(fault("sample_rate_hz", "must be between 1000 and 192000"));
    }
    let training = match (file.training, family.is_fitted()) {
        (None, true) => Training::NONE,
        (Some(training), false) => training,
        (None, false) => return Err(fault("training", "is missing: networks are trained")),
        (Some(_), true) => return Err(fault("training", "has no place: nothing is trained")),
    };
    if let Some(sentence) = training.fault() {
        return Err(fault("training", &sentence));
    }

    let mut given = file.axes;
    let front_end = file.front_end;
    given.extend([
        ("n_mels".to_string(), front_end.n_mels),
        ("n_fft".to_string(), front_end.n_fft),
        ("hop_length".to_string(), front_end.hop_length),
        ("frames".to_string(), front_end.frames),
        ("frame_stride".to_string(), front_end.frame_stride),
    ]);
    for (name, values) in [
        ("n_mfcc", front_end.n_mfcc),
        (COMPANDING, front_end.companding),
    ] {
        given.extend(values.map(|values| (name.to_string(), values)));
    }

    let needed = || {
        let names: Vec<&str> = family.axes().iter().map(|rule| rule.name).collect();
        names.join(", ")
    };
    let mut rules: Vec<&AxisRule> = family.axes().iter().collect();
    for together in family.optional() {
        if together.iter().any(|rule| given.contains_key(rule.name)) {
            rules.extend(*together);
        }
    }
    let mut axes = Vec::new();
    for rule in rules {
        let table = given
            .remove(rule.name)
            .ok_or_else(|| SpaceError::MissingAxis {
                path: path.to_string(),
                axis: rule.name,
                family: family.name(),
                needed: needed(),
            })?;
        let (mut values, is_category) = match table {
            AxisTable::Values(values) => (values, rule.is_category()),
            AxisTable::Of { kind, values } => (values, kind == AxisKind::Category),
        };
        if let Some(sentence) = rule.fault(&values) {
            return Err(fault(rule.name, &sentence));
        }
        values.sort_by(f64::total_cmp);
        values.dedup();
        axes.push(Axis {
            name: rule.name,
            values,
            is_category,
        });
    }
    if let Some((axis, _)) = given.pop_first() {
        return Err(SpaceError::UnknownAxis {
            path: path.to_string(),
            axis,
            family: family.name(),
            needed: needed(),
        });
    }
    if let Some(mut deployment) = file.deployment {
        deployment.weights_in.sort();
        deployment.weights_in.dedup();
        if deployment.weights_in.is_empty() {
            return Err(fault(WEIGHTS_IN, "needs `flash`, `sram` or both"));
        }
        let place = |memory: &WeightMemory| *memory as usize as f64;
        axes.push(Axis {
            name: WEIGHTS_IN,
            values: deployment.weights_in.iter().map(place).collect(),
            is_category: false,
        });
    }
    let clip_rules = match file.decision {
        None => vec![ClipRule::Mean],
        Some(DecisionTable { clip_score }) => {
            let rules = clip_score.iter().map(|name| {
                let rule = name.parse::<ClipRule>();
                rule.map_err(|error| fault(CLIP_SCORE, &format!("`{name}`: {error}")))
            });
            rules.collect::<Result<Vec<_>, _>>()?
        }
    };
    if clip_rules.is_empty() {
        return Err(fault(CLIP_SCORE, "needs a rule, such as `mean`"));
    }
    Ok(SearchSpace {
        name: file.name,
        description: file.description,
        family,
        sample_rate_hz: front_end.sample_rate_hz,
        axes,
        training,
        clip_rules,
        clip_samples: None,
        text: text.to_string(),
    })
}

/// The space of one genome alone, with the same training: its file has one value per axis.
///
/// # Errors
/// [`SpaceError`] where the space's text is not that of the space.
pub fn only(space: &SearchSpace, genome: &Genome) -> Result<SearchSpace, SpaceError> {
    let path = &space.name;
    let syntax = |source| SpaceError::Syntax {
        path: path.clone(),
        source: Box::new(source),
    };
    let mut file: toml::Table = toml::from_str(&space.text).map_err(syntax)?;
    for (axis, gene) in space.axes.iter().zip(&genome.genes) {
        let value = axis.values[usize::from(*gene)];
        let one = match axis.name {
            WEIGHTS_IN => toml::Value::from(WeightMemory::ALL[value as usize].name()),
            _ => toml::Value::from(value),
        };
        for table in ["front_end", "axes", "deployment"] {
            let table = file.get_mut(table).and_then(toml::Value::as_table_mut);
            if let Some(values) = table.and_then(|table| table.get_mut(axis.name)) {
                *values = toml::Value::from(vec![one.clone()]);
            }
        }
    }
    parse(path, &file.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a genome decodes to, the space of it alone decodes to.
    #[test]
    fn a_space_of_one_genome_has_its_network() {
        for space in builtin().into_iter().chain(references()) {
            let mut rng = crate::units::Rng::new(1, 0);
            let spaces = crate::space::Spaces::new(vec![space.clone()], 3);
            for _ in 0..20 {
                let genome = spaces.random(&mut rng);
                let alone = only(&space, &genome).unwrap();
                assert_eq!(alone.size(), 1, "{}", alone.text);
                assert_eq!(alone.training, space.training);
                let alone = crate::space::Spaces::new(vec![alone], 3);
                let there = alone.decode(&alone.random(&mut rng));
                assert_eq!(there, spaces.decode(&genome));
            }
        }
    }

    #[test]
    fn shipped_spaces_load() {
        let names: Vec<String> = builtin().into_iter().map(|space| space.name).collect();
        assert_eq!(
            names,
            [
                "dense-ae",
                "conv-ae",
                "mobilenet-v2",
                "ds-cnn",
                "mfcc-mlp",
                "pooled-mlp",
                "pooled-gaussian"
            ]
        );
    }

    #[test]
    fn faults_are_named() {
        let good = include_str!("../../search_spaces/dense-ae.toml");
        let check = |from: &str, to: &str, expected: &str| {
            assert!(good.contains(from), "{from} is not in the file");
            let message = match parse("x.toml", &good.replacen(from, to, 1)) {
                Ok(_) => "no error".to_string(),
                Err(error) => error.to_string(),
            };
            assert!(message.contains(expected), "{to}: {message}");
        };
        check("depth = ", "dept = ", "axis `depth` is missing");
        check("depth = ", "dept = [1]\ndepth = ", "no axis `dept`");
        check("n_mels", "n_mel", "unknown field `n_mel`");
        check(
            "dense-autoencoder",
            "dense",
            "family `dense` is not known; known families are dense-autoencoder",
        );
        check("bottleneck = [8,", "bottleneck = [0,", "axis `bottleneck`");
        check("[512, 1024]", "[]", "axis `hop_length`");
        check("n_fft = [1024", "n_fft = [1000", "powers of two");
        check("0.5, 0.75", "nan, 0.75", "axis `shrink`");
        check("frames = [2,", "frames = [2.5,", "whole");
        check(
            "[axes]",
            "companding = [0, 16]\n[axes]",
            "axis `companding`: 16",
        );
        check("[axes]", "[axes]\nmembers = [1, 3]", "no axis `members`");
        check("epochs = 15", "epochs = 0", "training");
        check(
            "[training]",
            "[deployment]\nweights_in = []\n[training]",
            "axis `weights_in`: needs `flash`, `sram` or both",
        );
        check(
            "[training]",
            "[deployment]\nweights_in = [\"rom\"]\n[training]",
            "unknown variant `rom`",
        );
        check(
            "[training]",
            "[training]\nrecipe.mix_up = 2",
            "recipe.mix_up is 2",
        );
        check(
            "frames = [2,",
            "frames = [2",
            "x.toml: TOML parse error at line",
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_space_or_an_error(text in ".{0,200}") {
            let _ = parse("any.toml", &text);
        }
    }
}
