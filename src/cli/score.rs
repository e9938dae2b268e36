//! `nas score`: scores any clips with the int8 interpreter of a found model.

use std::{fs, path::PathBuf};

use super::{Failure, Global, open, out};
use nas::{
    data::{self, Clip, Dataset, Label, SplitBy},
    evaluate::{Model, ScoreBy, Scored, Scoring, score_clips},
    features::Features,
    report::{dcase_csv, json},
    score::ClipRule,
    units::Span,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a trial of a run, for example latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// Clips to score: a folder, a manifest, or `synthetic[:MACHINE]`
    #[arg(long, value_name = "PATH")]
    data: String,
    /// Split of a set of folds into training and test clips: folds[:N], recordings or random
    #[arg(
        long,
        value_name = "HOW",
        default_value = "official",
        hide_default_value = true
    )]
    split: SplitBy,
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
    #[command(flatten)]
    limits: super::limits::Args,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (selector, number) = open::run_and_trial(&self.trial)?;
        let number = number
            .ok_or_else(|| Failure::usage(format!("give a trial, for example {selector}/17")))?;
        let store = open::store(global)?;
        let run = store.find_run(selector)?;
        let model = Model::read(&open::model_folder(global, &store, &run, number)?)?;
        let dataset = data::named_split(&self.data, self.split)?;
        let features = self.limits.features(global);
        let features = features.get_device(&dataset, &model.card.front_end().spec)?;
        let scoring = Scoring {
            rule: self.rule(&model),
            test_only: self.test,
            min_recall: self.min_recall,
        };
        let scored = score_clips(&model, &dataset, &features, scoring)?;
        self.note_skipped(global, &model, &features, &scored);
        if let Some(folder) = &self.dcase {
            self.write_dcase(global, folder, &dataset, &scored)?;
        }
        match global.json {
            true => out::print(json::render(&self.document(&dataset, &scored)))?,
            false => self.print(global, &dataset, &scored)?,
        }
        Ok(())
    }

    fn rule(&self, model: &Model) -> ScoreBy {
        match self.by {
            ScoreBy::Windows(_) => {
                ScoreBy::Windows(self.clip_score.unwrap_or(model.card.clip_rule()))
            }
            by => by,
        }
    }

    fn note_skipped(
        &self,
        global: &Global,
        model: &Model,
        features: &Features,
        scored: &Scored<'_>,
    ) {
        for (name, reason) in &features.skipped {
            global.note(&format!("skipped {name}: {reason}"));
        }
        if scored.too_short > 0 {
            let (count, frames) = (scored.too_short, model.card.frames);
            global.note(&format!(
                "skipped {count} clips that are shorter than one window of {frames} frames"
            ));
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

    fn document(&self, dataset: &Dataset, scored: &Scored) -> json::ScoresDocument {
        let clips = scored
            .clips
            .iter()
            .map(|(clip, score)| json::ClipView {
                file: clip.name.clone(),
                score: *score,
                anomalous: scored.threshold.map(|threshold| *score > threshold),
                label: clip.label.map(|label| label.name().to_string()),
            })
            .collect();
        json::ScoresDocument {
            schema_version: json::SCHEMA_VERSION,
            model: self.trial.clone(),
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
        }
    }

    fn print(&self, global: &Global, dataset: &Dataset, scored: &Scored) -> Result<(), Failure> {
        let header = [
            "file",
            "score",
            "anomalous",
            "label",
            "machine",
            "section",
            "domain",
        ];
        let row = |(clip, score): &(&Clip, f64)| {
            let anomalous = |threshold| if *score > threshold { "1" } else { "0" };
            [
                clip.name.clone(),
                format!("{score:.6}"),
                scored.threshold.map_or("", anomalous).to_string(),
                clip.label.map_or("", Label::name).to_string(),
                clip.machine.clone(),
                clip.section.clone(),
                clip.domain.name().to_string(),
            ]
        };
        let rows = scored.clips.iter().map(row);
        let table = dcase_csv::csv_text([header.map(String::from)].into_iter().chain(rows));
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

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a share from 0 to 1, for example 0.95".to_string()),
    }
}
