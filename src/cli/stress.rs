//! `nas stress`: what is left of a found model behind another microphone.

use std::path::PathBuf;

use super::{Failure, Global, out, taped};
use nas::{
    audio::Strain,
    data,
    evaluate::{Model, StressClip, audio_of, strained},
    report::{files, json, text},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trial of a run, for example latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// Sound to hear: a folder, a manifest, or `synthetic[:MACHINE]`. Clips that trained the model are left out
    #[arg(long, value_name = "PATH")]
    data: String,
    #[command(flatten)]
    split: super::split::Args,
    /// Most clips of each label that are heard; 0 for all
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    clips: usize,
    /// Draw it, too: stress.svg and stress.png, into this folder
    #[arg(long, value_name = "DIR")]
    figure: Option<PathBuf>,
    /// Raise alarms by this decision beside the model, a number or `latest` [default: the model's own rule]
    #[arg(long, value_name = "VERSION", value_parser = taped::wanted)]
    decision: Option<taped::Wanted>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let found = taped::model(global, &self.trial)?;
        let model = match self.decision {
            Some(wanted) => taped::decided(&found.model, &found.folder, &self.trial, wanted)?.0,
            None => found.model,
        };
        let (dataset, left, mut notes) =
            taped::untrained(&found.run, &self.data, self.split.split)?;
        let (clips, more) = self.read(&model, &dataset, &left)?;
        notes.extend(more);
        if model.card.threshold.is_none() {
            notes.push("the model has no threshold, so that nothing raises an alarm".to_string());
        }
        let mut rows = Vec::new();
        for strain in Strain::ALL {
            global.detail(&strain.to_string());
            let row = strained(&model, &clips, strain);
            rows.push(row.map_err(|error| Failure::plain(error.to_string()))?);
        }
        for note in &notes {
            global.note(&format!("note: {note}"));
        }
        if let Some(folder) = &self.figure {
            let name = (self.trial.as_str(), dataset.synthetic);
            for path in files::write_stress(name, &model.card, &rows, folder)? {
                global.note(&format!("wrote {}", path.display()));
            }
        }
        match global.json {
            true => out::print(json::render(&json::StressDocument {
                schema_version: json::SCHEMA_VERSION,
                model: self.trial.clone(),
                synthetic: dataset.synthetic,
                normal_clips: clips.iter().filter(|clip| !clip.is_fault).count(),
                fault_clips: clips.iter().filter(|clip| clip.is_fault).count(),
                microphones: rows
                    .iter()
                    .map(|row| json::StrainView::new(row, &model.card))
                    .collect(),
                notes,
            })),
            false => out::print(text::alarms::microphones(&rows, &model.card)),
        }
    }

    /// Clips that are spread over the data, of each label as many as wanted.
    fn read(
        &self,
        model: &Model,
        dataset: &data::Dataset,
        left: &[usize],
    ) -> Result<(Vec<StressClip>, Vec<String>), Failure> {
        let rate_hz = model.card.sample_rate_hz;
        let (mut clips, mut notes) = (Vec::new(), Vec::new());
        for wanted in [false, true] {
            let own = left.iter().map(|idx| &dataset.clips[*idx]);
            let own: Vec<_> = own.filter(|clip| taped::is_fault(clip) == wanted).collect();
            let most = if self.clips == 0 {
                own.len()
            } else {
                self.clips
            };
            let step = own.len().div_ceil(most.max(1)).max(1);
            if step > 1 {
                let what = if wanted { "faults" } else { "normal clips" };
                notes.push(format!(
                    "every {step}th of {} {what} was heard; --clips 0 hears all",
                    own.len()
                ));
            }
            for clip in own.into_iter().step_by(step) {
                match audio_of(&clip.source, rate_hz) {
                    Ok(Some(audio)) => clips.push(StressClip {
                        class: model.card.class_of(clip),
                        is_fault: wanted,
                        samples: audio.samples,
                    }),
                    Ok(None) => notes.push(format!(
                        "skipped {}: it holds features, not sound",
                        clip.name
                    )),
                    Err(error) => notes.push(format!("skipped {}: {error}", clip.name)),
                }
            }
        }
        match clips.is_empty() {
            true => Err(Failure::plain("none of these clips can be heard")),
            false => Ok((clips, notes)),
        }
    }
}
