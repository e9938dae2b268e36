//! Files of a data set that are no clips: each has a name and a reason, and notes count them.

use std::collections::BTreeMap;

use super::{counted, first_few};

/// A file or folder that was found and is no clip.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Path from the opened folder.
    pub name: String,
    /// Why it is left out, as it follows "because" in a sentence.
    pub reason: String,
    /// Whether it was probably meant as a clip.
    pub is_clip: bool,
}

impl LeftOut {
    /// A file that was probably meant as a clip.
    pub(super) fn clip(name: &str, reason: impl Into<String>) -> LeftOut {
        LeftOut {
            name: name.to_string(),
            reason: reason.into(),
            is_clip: true,
        }
    }

    /// A sentence for each, for messages.
    pub(super) fn sentences(files: &[LeftOut]) -> Vec<String> {
        let sentence = |file: &LeftOut| {
            let reason = file.reason.strip_prefix("it ").unwrap_or(&file.reason);
            format!("{} {reason}", file.name)
        };
        files.iter().map(sentence).collect()
    }

    /// A recording that the layout leaves out on purpose.
    pub(super) fn meant(name: &str, reason: impl Into<String>) -> LeftOut {
        LeftOut {
            is_clip: false,
            ..LeftOut::clip(name, reason)
        }
    }

    /// A file of a kind that is not read. Its extension tells whether it may be sound.
    pub(super) fn other_kind(name: &str) -> LeftOut {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let is_clip = UNREAD_SOUNDS.contains(&extension.to_ascii_lowercase().as_str());
        let reason = match is_clip {
            true => "it is not WAV, FLAC, Ogg Vorbis or MP3",
            false => "it is no sound",
        };
        LeftOut {
            name: name.to_string(),
            reason: reason.to_string(),
            is_clip,
        }
    }
}

/// Extensions of sound that cannot be read.
const UNREAD_SOUNDS: [&str; 16] = [
    "aac", "aif", "aiff", "amr", "au", "caf", "m4a", "mat", "mp2", "mp4", "npy", "opus", "pcm",
    "raw", "webm", "wma",
];

/// A sentence for every reason.
pub(super) fn notes(left_out: &[LeftOut]) -> Vec<String> {
    let mut reasons: BTreeMap<(bool, &str), Vec<&str>> = BTreeMap::new();
    for file in left_out {
        let names = reasons.entry((!file.is_clip, &file.reason)).or_default();
        names.push(&file.name);
    }
    let sentence = |((_, reason), names): ((bool, &str), Vec<&str>)| {
        let (count, few) = (counted(names.len(), "file"), first_few(&names));
        format!("{count} left out, because {reason}: {few}")
    };
    reasons.into_iter().map(sentence).collect()
}
