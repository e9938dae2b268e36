//! `nas score`: scores any clips with a found model, by its int8 interpreter.

use std::io::Write;

use super::{Failure, Global, open};
use crate::{
    data::{Label, Split},
    evaluate::{Model, Scorer},
    report::json,
    score::{ClipScore, summarise},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a trial of a run, such as latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// Clips to score: a folder, a manifest, or `synthetic[:MACHINE]`
    #[arg(long, value_name = "PATH")]
    data: String,
    /// Only the test clips [default: all]
    #[arg(long)]
    test: bool,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (selector, number) = open::run_and_trial(&self.trial)?;
        let number =
            number.ok_or_else(|| Failure::usage(format!("name a trial, such as {selector}/17")))?;
        let store = open::store(global)?;
        let run = store.find_run(selector)?;
        let model = Model::read(&open::model_folder(global, &store, &run, number)?)?;
        let dataset = open::dataset(&self.data)?;
        let features = open::features(global).get(&dataset, &model.card.front_end().spec)?;
        let standardiser = model.card.standardiser();
        let mut scorer = Scorer::new(&model).map_err(Failure::plain)?;

        let mut rows = Vec::new();
        let mut short = 0;
        for (clip, matrix) in dataset.clips.iter().zip(&features.clips) {
            if self.test && clip.split != Split::Test {
                continue;
            }
            match scorer.clip_score(&standardiser.apply(matrix), model.card.class_of(clip)) {
                Some(score) => rows.push((clip, score)),
                None => short += 1,
            }
        }
        for (name, reason) in &features.skipped {
            global.note(&format!("skipped {name}: {reason}"));
        }
        if short > features.skipped.len() {
            let frames = model.card.frames;
            let count = short - features.skipped.len();
            global.note(&format!(
                "skipped {count} clips that are shorter than one window of {frames} frames"
            ));
        }
        let labelled: Vec<ClipScore> = rows
            .iter()
            .filter(|(clip, _)| clip.split == Split::Test)
            .filter_map(|(clip, score)| {
                Some(ClipScore {
                    machine: clip.machine.clone(),
                    section: clip.section.clone(),
                    domain: clip.domain,
                    anomaly: clip.label? == Label::Anomaly,
                    score: *score,
                })
            })
            .collect();
        let summary = summarise(&labelled);

        if global.json {
            let clips: Vec<json::ClipView> = rows
                .iter()
                .map(|(clip, score)| json::ClipView {
                    file: clip.name.clone(),
                    score: *score,
                    anomalous: model.card.threshold.map(|threshold| *score > threshold),
                    label: clip.label.map(|label| label.name().to_string()),
                })
                .collect();
            let document = json::ScoresDocument {
                schema_version: json::SCHEMA_VERSION,
                model: self.trial.clone(),
                synthetic: dataset.synthetic,
                threshold: model.card.threshold,
                auc_int8: summary.auc,
                pauc_int8: summary.pauc,
                clips,
            };
            print!("{}", json::render(&document));
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "file,score,anomalous,label,machine,section,domain")?;
        for (clip, score) in &rows {
            let anomalous = model
                .card
                .threshold
                .map_or("", |threshold| if *score > threshold { "1" } else { "0" });
            let (machine, section, domain) = (&clip.machine, &clip.section, clip.domain.name());
            let label = clip.label.map_or("", Label::name);
            writeln!(
                out,
                "{},{score:.6},{anomalous},{label},{machine},{section},{domain}",
                quoted(&clip.name)
            )?;
        }
        let synthetic = if dataset.synthetic {
            " (synthetic)"
        } else {
            ""
        };
        match (summary.auc, summary.pauc) {
            (Some(auc), Some(pauc)) => global.note(&format!(
                "int8{synthetic}: AUC {auc:.4}, pAUC {pauc:.4} over labelled test clips"
            )),
            _ => global.note("no AUC: the test clips have not both labels"),
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
        Ok(())
    }
}

/// A csv field, quoted where it must be.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}
