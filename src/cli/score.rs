//! `nas score`: scores any clips with the int8 interpreter of a found model.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use super::{Failure, Global, events, out, taped};
use nas::{
    data::{self, Clip, Dataset, Label, Learns, Source, Split},
    evaluate::{Model, ScoreBy, Scored, Scorer, Scoring, score_clips},
    features::{Features, Matrix},
    report::{csv_text, dcase_csv, json},
    score::ClipRule,
    store::Run,
    units::Span,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a trial of a run, for example latest/17, or a .tflite file with --front-end
    #[arg(value_name = "RUN/TRIAL|MODEL.tflite")]
    model: String,
    /// How sound becomes the input of a .tflite file: a model.json, as exports have it (docs/data.md)
    #[arg(long, value_name = "model.json")]
    front_end: Option<PathBuf>,
    /// Clips to score: a folder, a manifest, or `synthetic[:MACHINE]`
    #[arg(long, value_name = "PATH")]
    data: String,
    #[command(flatten)]
    split: super::split::Args,
    /// Score only the test clips [default: all]
    #[arg(long)]
    test: bool,
    /// How windows become the score of a clip: mean, max, q95 (a quantile), top10 (the mean of the highest 10 %) or
    /// rank90 (weights that fall to 90 % from rank to rank) [default: as the model does]
    #[arg(long, alias = "pool", value_name = "HOW")]
    clip_score: Option<ClipRule>,
    /// What is scored: windows; mahalanobis, of an autoencoder's mean residual, and embedding, of a classifier's
    /// output, are fitted to the training clips of the data
    #[arg(long, value_name = "RULE", default_value = "windows")]
    by: ScoreBy,
    /// Write the csv files of the DCASE challenge into a new or empty folder
    #[arg(long, value_name = "DIR")]
    dcase: Option<PathBuf>,
    /// Choose the threshold with the fewest false alarms that finds this share of the labelled anomalies
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_recall: Option<f64>,
    /// With --min-recall: time between a device's decisions, for example 10s, to count false alarms per day
    #[arg(long, value_name = "SPAN", requires = "min_recall")]
    every: Option<Span>,
    /// Hear every clip as a device does, from its first sample to its last, and list the alarms; for recordings of any
    /// length, and --data may be one sound file
    #[arg(long, conflicts_with_all = ["dcase", "min_recall", "clip_score", "by"])]
    events: bool,
    /// With --events: raise alarms by this decision beside the model, a number or `latest` [default: the model's own rule]
    #[arg(long, value_name = "VERSION", value_parser = taped::wanted, requires = "events")]
    decision: Option<taped::Wanted>,
    /// With --events: write a label track for Audacity per recording into a new or empty folder
    #[arg(long, value_name = "DIR", requires = "events")]
    labels: Option<PathBuf>,
    /// With --events: write the score after every window to a new csv file
    #[arg(long, value_name = "FILE", requires = "events")]
    windows: Option<PathBuf>,
    #[command(flatten)]
    limits: super::limits::Args,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (model, run) = self.model(global)?;
        if self.events {
            let model = match self.decision {
                Some(wanted) => {
                    let found = taped::model(global, &self.model)?;
                    taped::decided(&found.model, &found.folder, &self.model, wanted)?.0
                }
                None => model,
            };
            let request = events::Request {
                model: &self.model,
                data: &self.data,
                split: self.split.split,
                test_only: self.test,
                labels: self.labels.as_deref(),
                windows: self.windows.as_deref(),
            };
            return events::run(global, &model, &request);
        }
        let dataset = data::named_split(&self.data, self.split.split)?;
        let features = self.limits.features(global);
        let features = features.get_device(&dataset, &model.card.front_end().spec)?;
        let scoring = Scoring {
            rule: self.rule(&model),
            test_only: self.test,
            min_recall: self.min_recall,
        };
        let scored = score_clips(&model, &dataset, &features, scoring)?;
        let heard = Heard::of(run.as_ref(), &model, &dataset, &features, &scored);
        for note in &heard.notes {
            global.note(&format!("note: {note}"));
        }
        if let Some(folder) = &self.dcase {
            self.write_dcase(global, folder, &dataset, &scored)?;
        }
        match global.json {
            true => out::print(json::render(&self.document(&dataset, &scored, heard)))?,
            false => self.print(global, &dataset, &scored, &heard)?,
        }
        Ok(())
    }

    /// The model, and the run that it is of.
    fn model(&self, global: &Global) -> Result<(Model, Option<Run>), Failure> {
        let is_file = self.model.ends_with(".tflite");
        if let Some(card) = &self.front_end {
            if !is_file {
                return Err(Failure::usage(
                    "--front-end belongs to a .tflite file; a trial has its own",
                ));
            }
            return Ok((Model::of_files(Path::new(&self.model), card)?, None));
        }
        if is_file {
            return Err(Failure::usage(format!(
                "{} says nothing about how sound becomes its input: name a model.json by --front-end",
                self.model
            )));
        }
        let found = taped::model(global, &self.model)?;
        Ok((found.model, Some(found.run)))
    }

    fn rule(&self, model: &Model) -> ScoreBy {
        match self.by {
            ScoreBy::Windows(_) => {
                ScoreBy::Windows(self.clip_score.unwrap_or(model.card.clip_rule()))
            }
            by => by,
        }
    }

    fn write_dcase(
        &self,
        global: &Global,
        folder: &PathBuf,
        dataset: &Dataset,
        scored: &Scored,
    ) -> Result<(), Failure> {
        let Some(threshold) = scored.threshold else {
            return Err(Failure::plain(
                "there is no threshold: the model has none, and the data has no training clips; give --min-recall",
            ));
        };
        let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if is_used {
            return Err(Failure::usage(format!(
                "`{}` is not empty; name a new folder",
                folder.display()
            )));
        }
        let judged: Vec<dcase_csv::Judged> = scored
            .clips
            .iter()
            .map(|(clip, score)| dcase_csv::Judged {
                clip,
                score: *score,
                anomalous: *score > threshold,
            })
            .collect();
        let files =
            dcase_csv::dcase_files(dataset.layout, &judged, &scored.labelled, &|_| threshold);
        // A machine or section from a manifest may hold anything.
        if let Some(file) = files.iter().find(|file| file.name.contains(['/', '\\'])) {
            return Err(Failure::usage(format!(
                "{:?} is no name of a file; rename the machine or section in the data",
                file.name
            )));
        }
        fs::create_dir_all(folder)?;
        for file in &files {
            fs::write(folder.join(&file.name), &file.text)?;
        }
        global.note(&format!(
            "wrote {} files to {}",
            files.len(),
            folder.display()
        ));
        Ok(())
    }

    fn document(&self, dataset: &Dataset, scored: &Scored, heard: Heard) -> json::ScoresDocument {
        let clips = scored
            .clips
            .iter()
            .zip(&heard.answers)
            .map(|((clip, score), answer)| json::ClipView {
                class: answer.as_ref().map(|(class, _)| class.clone()),
                margin: answer.as_ref().map(|(_, margin)| *margin),
                file: clip.name.clone(),
                score: *score,
                anomalous: scored.threshold.map(|threshold| *score > threshold),
                label: clip.label.map(|label| label.name().to_string()),
            })
            .collect();
        json::ScoresDocument {
            schema_version: json::SCHEMA_VERSION,
            model: self.model.clone(),
            synthetic: dataset.synthetic,
            threshold: scored.threshold,
            auc_int8: scored.summary.auc,
            pauc_int8: scored.summary.pauc,
            official_score: scored.official.map(|official| official.score),
            official_half_width: scored.official.and_then(|official| official.half_width),
            operating_point: scored.point.map(|point| json::OperatingPointView {
                threshold: point.threshold,
                recall: point.recall,
                precision: point.precision,
                false_alarm_rate: point.false_alarm_rate,
                false_alarms_per_day: self
                    .every
                    .map(|every| point.false_alarms_per_day(every.0.as_secs_f64())),
            }),
            clips,
            skipped: heard.skipped,
            trained_on: heard.trained_on,
            notes: heard.notes,
        }
    }

    fn print(
        &self,
        global: &Global,
        dataset: &Dataset,
        scored: &Scored,
        heard: &Heard,
    ) -> Result<(), Failure> {
        let mut header = [
            "file",
            "score",
            "anomalous",
            "label",
            "machine",
            "section",
            "domain",
        ]
        .map(String::from)
        .to_vec();
        let tells_classes = heard.answers.iter().any(Option::is_some);
        if tells_classes {
            header.extend(["class", "margin"].map(String::from));
        }
        let row = |((clip, score), answer): (&(&Clip, f64), &Option<(String, f64)>)| {
            let anomalous = |threshold| if *score > threshold { "1" } else { "0" };
            let mut row = vec![
                clip.name.clone(),
                format!("{score:.6}"),
                scored.threshold.map_or("", anomalous).to_string(),
                clip.label.map_or("", Label::name).to_string(),
                clip.machine.clone(),
                clip.section.clone(),
                clip.domain.name().to_string(),
            ];
            if let Some((class, margin)) = answer {
                row.extend([class.clone(), format!("{margin:.6}")]);
            }
            row
        };
        let rows = scored.clips.iter().zip(&heard.answers).map(row);
        let table = csv_text([header].into_iter().chain(rows));
        out::print(table)?;
        let synthetic = if dataset.synthetic {
            " (synthetic)"
        } else {
            ""
        };
        let summary = &scored.summary;
        match (summary.auc, summary.pauc) {
            (Some(auc), Some(pauc)) => global.note(&format!(
                "int8{synthetic}: AUC {auc:.4}, pAUC {pauc:.4} over labelled test clips"
            )),
            _ => global.note("no AUC: the test clips do not have both labels"),
        }
        for group in &summary.groups {
            if let (Some(auc), true) = (group.auc, summary.groups.len() > 1) {
                let domain = group.domain.map_or("", |domain| domain.name());
                global.note(&format!(
                    "  {} {} {domain}: AUC {auc:.4}",
                    group.machine, group.section
                ));
            }
        }
        if let Some(official) = scored.official {
            let width = official
                .half_width
                .map_or(String::new(), |width| format!(" ± {width:.4}"));
            global.note(&format!(
                "official score of DCASE: {:.4}{width} (95 %, jackknife)",
                official.score
            ));
        }
        match (self.min_recall, scored.point) {
            (Some(_), Some(point)) => {
                let per_day = self.every.map_or(String::new(), |every| {
                    let count = point.false_alarms_per_day(every.0.as_secs_f64());
                    format!(", {count:.1} false alarms a day at one decision per {every}")
                });
                global.note(&format!(
                    "threshold {:.6}: recall {:.3}, precision {:.3}, {:.2} % of normal clips raise an alarm{per_day}; \
                     chosen on these very clips, so expect somewhat worse",
                    point.threshold,
                    point.recall,
                    point.precision,
                    100.0 * point.false_alarm_rate
                ));
            }
            (Some(recall), None) => global.note(&format!(
                "no threshold finds {recall} of the anomalies: labels of both kinds are needed"
            )),
            (None, _) => {}
        }
        Ok(())
    }
}

/// What of the clips was scored, and what not.
struct Heard {
    /// Names and reasons of the clips without a score.
    skipped: Vec<(String, String)>,
    /// Number of scored clips that trained the model.
    trained_on: Option<usize>,
    notes: Vec<String>,
    /// Class and margin of every scored clip, by a model that tells classes apart.
    answers: Vec<Option<(String, f64)>>,
}

impl Heard {
    fn of(
        run: Option<&Run>,
        model: &Model,
        dataset: &Dataset,
        features: &Features,
        scored: &Scored<'_>,
    ) -> Heard {
        let mut skipped = features.skipped.clone();
        let frames = model.card.frames;
        let reason = format!("is shorter than one window of {frames} frames");
        let too_short = scored.too_short.iter();
        skipped.extend(too_short.map(|clip| (clip.name.clone(), reason.clone())));
        let mut notes = dataset.left_out_notes();
        let left = skipped.iter();
        notes.extend(left.map(|(name, reason)| format!("skipped {name}: {reason}")));
        let look = data::look(dataset);
        notes.extend(look.notes(dataset));
        let rate_hz = model.card.sample_rate_hz;
        for (from_hz, clips) in look.rates_hz() {
            if from_hz != rate_hz {
                notes.push(format!(
                    "{clips} clips of {from_hz} Hz are resampled to {rate_hz} Hz"
                ));
            }
        }
        notes.extend(hidden(model, dataset, features));
        let trained_on = run.and_then(|run| trained_on(run, dataset, scored));
        notes.extend(match trained_on {
            Some(0) => None,
            Some(count) => Some(format!(
                "{count} of the {} scored clips trained the model: their scores are too low; --test leaves them out \
                 where the data says which clips test",
                scored.clips.len()
            )),
            None if run.is_none() => {
                Some("nothing says which of these clips trained the model".to_string())
            }
            None => Some(taped::TRAINING_IS_GONE.to_string()),
        });
        let answers = answers(model, dataset, features, scored);
        let told = scored.clips.iter().zip(&answers);
        let right: Vec<bool> = told
            .filter(|((clip, _), _)| clip.split == Split::Test)
            .filter_map(|((clip, _), answer)| Some(answer.as_ref()?.0 == clip.section))
            .collect();
        if !right.is_empty() && dataset.learns == Learns::Classes {
            let hits = right.iter().filter(|right| **right).count();
            let share = hits as f64 / right.len() as f64;
            notes.push(format!(
                "accuracy {share:.4} over {} test clips",
                right.len()
            ));
        }
        Heard {
            skipped,
            trained_on,
            notes,
            answers,
        }
    }
}

/// What one score of a long clip hides; `None` where all clips are about as long as the score of a device.
fn hidden(model: &Model, dataset: &Dataset, features: &Features) -> Option<String> {
    /// Such a multiple of a usual clip is a recording.
    const LONG: usize = 4;
    let card = &model.card;
    let horizon = card.frames + card.score_windows as usize * card.frame_stride;
    let frames = features.clips.iter().map(Matrix::frames);
    let long = frames.filter(|frames| *frames > LONG * horizon).count();
    let has_sound = !matches!(dataset.clips.first()?.source, Source::LogMelBin(_));
    let covered_s = horizon as f64 * card.front_end().spec.hop_us() / 1e6;
    (long > 0 && has_sound).then(|| {
        format!(
            "clips longer than {LONG} times the {covered_s:.1} s that the score of a device covers: {long}; one score hides \
             what is short in them, and --events decides as the device does, and says when"
        )
    })
}

/// Class and margin of every scored clip; none of models that tell no classes apart.
fn answers(
    model: &Model,
    dataset: &Dataset,
    features: &Features,
    scored: &Scored<'_>,
) -> Vec<Option<(String, f64)>> {
    let mut scorer = Scorer::new(model).ok().filter(|_| model.card.tells_classes);
    let features: HashMap<&str, &Matrix> = dataset
        .clips
        .iter()
        .map(|clip| clip.name.as_str())
        .zip(&features.clips)
        .collect();
    let mut answer = |name: &str| {
        let answer = scorer.as_mut()?.answer(features.get(name)?)?;
        let class = model.card.classes.get(answer.class)?.section.clone();
        Some((class, answer.margin))
    };
    scored
        .clips
        .iter()
        .map(|(clip, _)| answer(&clip.name))
        .collect()
}

/// Number of scored clips whose content trained the model of a run; `None` where the run's data cannot be opened.
fn trained_on(run: &Run, dataset: &Dataset, scored: &Scored<'_>) -> Option<usize> {
    let names: BTreeSet<&str> = scored
        .clips
        .iter()
        .map(|(clip, _)| clip.name.as_str())
        .collect();
    let trained = taped::training_clips(run, dataset)?.into_iter();
    Some(
        trained
            .filter(|idx| names.contains(dataset.clips[*idx].name.as_str()))
            .count(),
    )
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a share from 0 to 1, for example 0.95".to_string()),
    }
}
