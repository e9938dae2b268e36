//! Chooses which clips train and which test, in sets of slices that were cut from longer recordings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use super::{Clip, DataError, Split, counted};

/// How a set of folds is split into training and test clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitBy {
    /// One official fold tests, the others train.
    Folds {
        /// The fold that tests; `None` means the highest one.
        test: Option<u32>,
    },
    /// Every official fold tests in turn. Opening gives the turn in which the highest fold tests; to train on all
    /// turns, open them one by one.
    EachFold,
    /// A fifth of every class tests. All slices of one recording are on the same side.
    Recordings,
    /// A fifth of every class tests, whichever recording a slice was cut from. Slices of one recording sound alike, so
    /// scores are too good; some publications split in this way.
    Random,
    /// The official folds where there are folds; otherwise the split that folders and names say.
    #[default]
    Official,
}

/// An unknown `--split` value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a way to split; use folds, folds:N with the number of the test fold, each-fold, recordings or random"
)]
pub struct UnknownSplit(String);

impl FromStr for SplitBy {
    type Err = UnknownSplit;

    fn from_str(text: &str) -> Result<SplitBy, UnknownSplit> {
        let unknown = || UnknownSplit(text.to_string());
        match text {
            "official" => Ok(SplitBy::Official),
            "folds" => Ok(SplitBy::Folds { test: None }),
            "each-fold" => Ok(SplitBy::EachFold),
            "recordings" => Ok(SplitBy::Recordings),
            "random" => Ok(SplitBy::Random),
            _ => {
                let fold = text.strip_prefix("folds:").ok_or_else(unknown)?;
                let test = Some(fold.parse().map_err(|_| unknown())?);
                Ok(SplitBy::Folds { test })
            }
        }
    }
}

impl fmt::Display for SplitBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitBy::Official => f.write_str("official"),
            SplitBy::Folds { test: None } => f.write_str("folds"),
            SplitBy::Folds { test: Some(fold) } => write!(f, "folds:{fold}"),
            SplitBy::EachFold => f.write_str("each-fold"),
            SplitBy::Recordings => f.write_str("recordings"),
            SplitBy::Random => f.write_str("random"),
        }
    }
}

/// Where the split is drawn, one clip in this many tests.
const DRAWN_SHARE: usize = 5;

/// The attribute with a clip's fold, as its table or folder says.
pub(super) const FOLD: &str = "fold";
/// The attribute with a slice's class; drawn splits keep the classes in proportion.
pub(super) const CLASS: &str = "class";

/// Sets the split of every clip; all clips must have the attribute `fold`.
pub(super) fn split(
    clips: &mut [Clip],
    by: SplitBy,
    notes: &mut Vec<String>,
) -> Result<(), DataError> {
    let fold_of = |clip: &Clip| {
        clip.attribute(FOLD)
            .and_then(|fold| fold.parse::<u32>().ok())
    };
    match by {
        SplitBy::Official | SplitBy::EachFold | SplitBy::Folds { .. } => {
            let folds: BTreeSet<u32> = clips.iter().filter_map(fold_of).collect();
            let test = match by {
                SplitBy::Folds { test: Some(test) } => test,
                _ => folds.last().copied().unwrap_or_default(),
            };
            if !folds.contains(&test) {
                return Err(DataError::NoSuchFold {
                    wanted: test,
                    folds: listed(&folds),
                });
            }
            for clip in clips.iter_mut() {
                clip.split = match fold_of(clip) == Some(test) {
                    true => Split::Test,
                    false => Split::Train,
                };
            }
            let training: BTreeSet<u32> = folds.iter().copied().filter(|f| *f != test).collect();
            notes.push(format!(
                "official folds: fold {test} tests, {} train",
                listed(&training)
            ));
        }
        SplitBy::Recordings => draw(clips, |clip| clip.recording().to_string()),
        SplitBy::Random => draw(clips, |clip| clip.name.clone()),
    }
    let shared = recordings_in_both(clips);
    if shared > 0 {
        let count = counted(shared, "recording");
        notes.push(match by {
            SplitBy::Random => format!(
                "random split: slices of {count} are in both training and test, so scores are too good"
            ),
            _ => format!(
                "slices of {count} are in both training and test folds; --split recordings keeps them apart"
            ),
        });
    }
    Ok(())
}

/// How many recordings have clips in both training and test.
fn recordings_in_both(clips: &[Clip]) -> usize {
    let of = |split| -> BTreeSet<&str> {
        let chosen = clips.iter().filter(|clip| clip.split == split);
        chosen.map(Clip::recording).collect()
    };
    of(Split::Train).intersection(&of(Split::Test)).count()
}

/// Draws a fifth of every class by the hash of `unit`. Clips of one unit stay together.
fn draw(clips: &mut [Clip], unit: impl Fn(&Clip) -> String) {
    let mut units: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (idx, clip) in clips.iter().enumerate() {
        units.entry(unit(clip)).or_default().push(idx);
    }
    // Hash and clips of a unit. The unit counts for the class of its first clip.
    type Unit = ([u8; 32], Vec<usize>);
    let mut classes: BTreeMap<String, Vec<Unit>> = BTreeMap::new();
    for (name, members) in units {
        let class = clips[members[0]].attribute(CLASS).unwrap_or_default();
        let hash = *blake3::hash(name.as_bytes()).as_bytes();
        classes
            .entry(class.to_string())
            .or_default()
            .push((hash, members));
    }
    for (_, mut units) in classes {
        units.sort();
        let total: usize = units.iter().map(|(_, members)| members.len()).sum();
        let mut tested = 0;
        for (_, members) in units {
            let tests = tested < total.div_ceil(DRAWN_SHARE);
            tested += if tests { members.len() } else { 0 };
            for idx in members {
                clips[idx].split = if tests { Split::Test } else { Split::Train };
            }
        }
    }
}

fn listed(folds: &BTreeSet<u32>) -> String {
    let names: Vec<String> = folds.iter().map(u32::to_string).collect();
    match names.len() {
        0 => "none".to_string(),
        _ => names.join(", "),
    }
}
