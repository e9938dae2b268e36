//! `nas score --events`: what a device decides about recordings of any length, and when.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{Failure, Global, out};
use nas::{
    audio,
    data::{self, Label, Source, Split, SplitBy},
    evaluate::{ListenError, Listened, Model, Moment, listen, sound_of},
    report::{csv_text, json},
    units::DAY_S,
};

/// What is heard, and what is written beside the events.
pub(super) struct Request<'a> {
    /// `RUN/TRIAL`.
    pub model: &'a str,
    /// A data set, or one sound file.
    pub data: &'a str,
    pub split: SplitBy,
    pub test_only: bool,
    pub labels: Option<&'a Path>,
    pub windows: Option<&'a Path>,
}

/// A sound that is heard from its first sample to its last.
struct Recording {
    name: String,
    source: Source,
    class: usize,
    label: Option<Label>,
}

/// Hears every recording, and prints the alarms.
pub(super) fn run(global: &Global, model: &Model, request: &Request<'_>) -> Result<(), Failure> {
    let (recordings, synthetic, mut notes) = recordings(model, request)?;
    let mut windows = request.windows.map(Windows::create).transpose()?;
    let labels = request.labels.map(Labels::create).transpose()?;
    let (mut heard, mut skipped) = (Vec::new(), Vec::new());
    for recording in &recordings {
        match hear(model, recording, windows.as_mut())? {
            Ok(listened) => {
                if let Some(labels) = &labels {
                    labels.write(&recording.name, &listened)?;
                }
                heard.push((recording, listened));
            }
            Err(reason) => skipped.push((recording.name.clone(), reason)),
        }
    }
    if let Some(windows) = windows {
        windows.end()?;
    }
    notes.extend(
        skipped
            .iter()
            .map(|(name, reason)| format!("skipped {name}: {reason}")),
    );
    notes.extend(summary(model, &heard));
    for note in &notes {
        global.note(&format!("note: {note}"));
    }
    match global.json {
        true => out::print(json::render(&document(
            model, request, synthetic, &heard, skipped, notes,
        ))),
        false => out::print(table(&heard)),
    }
}

fn recordings(
    model: &Model,
    request: &Request<'_>,
) -> Result<(Vec<Recording>, bool, Vec<String>), Failure> {
    let path = Path::new(request.data);
    if path.is_file() && audio::is_sound(path) {
        let recording = Recording {
            name: request.data.to_string(),
            source: Source::Audio(path.to_path_buf()),
            class: model.card.classes.len().saturating_sub(1),
            label: None,
        };
        return Ok((vec![recording], false, Vec::new()));
    }
    let dataset = data::named_split(request.data, request.split)?;
    let clips = dataset.clips.iter();
    let chosen = clips.filter(|clip| !request.test_only || clip.split == Split::Test);
    let recordings = chosen.map(|clip| Recording {
        name: clip.name.clone(),
        source: clip.source.clone(),
        class: model.card.class_of(clip),
        label: clip.label,
    });
    Ok((
        recordings.collect(),
        dataset.synthetic,
        dataset.left_out_notes(),
    ))
}

/// What was heard, or why nothing was. Fails where the windows cannot be written, or the model not be run.
fn hear(
    model: &Model,
    recording: &Recording,
    mut windows: Option<&mut Windows>,
) -> Result<Result<Listened, String>, Failure> {
    let mut sound = match sound_of(&recording.source, model.card.sample_rate_hz) {
        Ok(Some(sound)) => sound,
        Ok(None) => return Ok(Err("holds features, and a device hears sound".to_string())),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let each = |moment: Moment| match &mut windows {
        Some(windows) => windows.write(&recording.name, moment),
        None => Ok(()),
    };
    match listen(model, recording.class, &mut sound, None, each) {
        Ok(listened) => Ok(Ok(listened)),
        Err(ListenError::Audio(error)) => Ok(Err(error.to_string())),
        Err(error) => Err(Failure::plain(error.to_string())),
    }
}

/// How long was listened, and what came of it.
fn summary(model: &Model, heard: &[(&Recording, Listened)]) -> Vec<String> {
    let mut notes = Vec::new();
    if model.card.threshold.is_none() {
        notes.push("the model has no threshold, so that nothing raises an alarm".to_string());
    }
    let count = |chosen: &dyn Fn(&Recording) -> bool| {
        let chosen = heard.iter().filter(|(recording, _)| chosen(recording));
        chosen.fold((0, 0.0), |(alarms, seconds), (_, heard)| {
            (alarms + heard.events.len(), seconds + heard.seconds)
        })
    };
    let (alarms, seconds) = count(&|_| true);
    let plural = if alarms == 1 { "" } else { "s" };
    notes.push(format!("{alarms} alarm{plural} in {seconds:.1} s"));
    let (alarms, seconds) = count(&|recording| recording.label == Some(Label::Normal));
    if seconds > 0.0 {
        let per_day = alarms as f64 * DAY_S / seconds;
        notes.push(format!(
            "on sound that is labelled normal: {alarms} in {seconds:.1} s, {per_day:.1} a day"
        ));
    }
    let short = heard
        .iter()
        .filter(|(_, heard)| heard.first_verdict_s.is_none());
    let needed = model.card.verdict_samples() as f64 / f64::from(model.card.sample_rate_hz);
    match short.count() {
        0 => {}
        1 => notes.push(format!(
            "1 recording is shorter than the {needed:.1} s of the first verdict"
        )),
        count => notes.push(format!(
            "{count} recordings are shorter than the {needed:.1} s of the first verdict"
        )),
    }
    notes
}

fn table(heard: &[(&Recording, Listened)]) -> String {
    let header = ["file", "begin_s", "end_s", "peak", "peak_s"].map(String::from);
    let rows = heard.iter().flat_map(|(recording, heard)| {
        heard.events.iter().map(|event| {
            [
                recording.name.clone(),
                format!("{:.3}", event.begin_s),
                format!("{:.3}", event.end_s),
                format!("{:.6}", event.peak),
                format!("{:.3}", event.peak_s),
            ]
        })
    });
    csv_text([header].into_iter().chain(rows))
}

fn document(
    model: &Model,
    request: &Request<'_>,
    synthetic: bool,
    heard: &[(&Recording, Listened)],
    skipped: Vec<(String, String)>,
    notes: Vec<String>,
) -> json::EventsDocument {
    json::EventsDocument {
        schema_version: json::SCHEMA_VERSION,
        model: request.model.to_string(),
        synthetic,
        rule: json::AlarmView {
            threshold: model.card.threshold,
            windows: model.card.score_windows,
            alarm: model.card.alarm_rule().into(),
        },
        recordings: heard
            .iter()
            .map(|(recording, heard)| {
                let label = recording.label.map(Label::name);
                json::RecordingView::new(&recording.name, label, heard)
            })
            .collect(),
        skipped,
        notes,
    }
}

/// The score after every window, written as it is heard.
struct Windows {
    file: BufWriter<fs::File>,
    path: PathBuf,
}

impl Windows {
    fn create(path: &Path) -> Result<Windows, Failure> {
        let file = fs::File::create_new(path).map_err(|error| cannot_write(path, &error))?;
        let mut windows = Windows {
            file: BufWriter::new(file),
            path: path.to_path_buf(),
        };
        let header = "file,seconds,window_score,score,alarm\n";
        let written = windows.file.write_all(header.as_bytes());
        written.map_err(|error| cannot_write(path, &error))?;
        Ok(windows)
    }

    fn write(&mut self, name: &str, moment: Moment) -> io::Result<()> {
        let row = [
            name.to_string(),
            format!("{:.3}", moment.seconds),
            format!("{:.6}", moment.window_score),
            moment
                .score
                .map_or(String::new(), |score| format!("{score:.6}")),
            moment
                .alarm
                .map_or(String::new(), |alarm| u8::from(alarm).to_string()),
        ];
        let row = csv_text([row].into_iter());
        self.file.write_all(row.as_bytes())
    }

    fn end(mut self) -> Result<(), Failure> {
        let written = self.file.flush();
        written.map_err(|error| cannot_write(&self.path, &error))
    }
}

/// A folder of label tracks, as Audacity imports them: begin, end and text, with tabs between.
struct Labels {
    folder: PathBuf,
}

impl Labels {
    fn create(folder: &Path) -> Result<Labels, Failure> {
        let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if is_used {
            return Err(Failure::usage(format!(
                "`{}` is not empty; name a new folder",
                folder.display()
            )));
        }
        fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        Ok(Labels {
            folder: folder.to_path_buf(),
        })
    }

    fn write(&self, recording: &str, heard: &Listened) -> Result<(), Failure> {
        let mut text = String::new();
        for event in &heard.events {
            text += &format!(
                "{:.6}\t{:.6}\talarm, peak {:.4}\n",
                event.begin_s, event.end_s, event.peak
            );
        }
        let path = self.folder.join(track_name(recording));
        fs::write(&path, text).map_err(|error| cannot_write(&path, &error))
    }
}

/// One file per recording: what would lead out of the folder becomes a dash.
fn track_name(recording: &str) -> String {
    let parts = recording.split(['/', '\\', ':']);
    let parts: Vec<&str> = parts
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    format!("{}.txt", parts.join("-"))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("`{}` exists; name a new file", path.display()))
        }
        _ => Failure::plain(format!("cannot write {}: {error}", path.display())),
    }
}
