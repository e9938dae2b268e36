//! `nas judge`: judges every labelled test clip with a found network, float and int8.

use std::fs;

use super::{Failure, Global, exit::interruption, open, out};
use nas::{
    data::SplitBy,
    report::{
        self, draw,
        evaluation::{Examined, Part},
        files,
        json::{self, JudgedDocument},
        text,
    },
    run::{self, ScoreWith, Settings, Setup, tested_part},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trained trial, for example latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// Train it with this many seeds; the first is its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    #[command(flatten)]
    limits: super::limits::Args,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (run, number, proposal) = open::proposal(global, &self.trial)?;
        let settings = Settings::from_json(&run.settings_json)?;
        let features = self.limits.features(global);
        let setup = Setup::resume(&run, &settings, ScoreWith::Training, features)?;
        for note in &setup.notes {
            global.note(&format!("note: {note}"));
        }
        let store = open::store(global)?;
        let model = open::model_folder(global, &store, &run, number)?;
        let split = match settings.split_by()? {
            SplitBy::EachFold => "official folds".to_string(),
            split => split_name(split),
        };
        let (stop, mut parts) = (interruption(), Vec::new());
        for offset in 0..self.seeds {
            for pipeline in setup.folds().into_iter().flat_map(|folds| folds.all()) {
                let name = tested_part(pipeline);
                global.note(&format!("{split}, {name}, seed +{offset}"));
                let training = run::Training {
                    run: &run,
                    seed_offset: offset,
                };
                let examination = run::judge(pipeline, &proposal, training, stop)?;
                parts.push(Part::new(name, examination));
            }
        }
        let all = Examined { split, parts };
        let judged = [all.untouched(), all];
        let model_bytes = fs::metadata(model.join("model.tflite")).map(|file| file.len());
        let name = format!("{}/{number}", run.name);
        match global.json {
            true => {
                let document =
                    JudgedDocument::new(&name, settings.steered, model_bytes.ok(), &judged);
                out::print(json::render(&document))?;
            }
            false => {
                if let Ok(bytes) = model_bytes {
                    out::print(format!("{name}: {bytes} bytes as model.tflite\n"))?;
                }
                let steered = settings.steered.as_deref();
                if let Some(warning) = text::front::steered_without_labels(steered) {
                    out::print(format!("{warning}\n"))?;
                }
                out::print(text::evaluation::tables(&judged))?;
                let info = report::load(&store, &run)?;
                out::print(report::baselines::reference_lines(&info))?;
            }
        }
        let heading = draw::Heading {
            name: &name,
            data: &run.data_name,
            synthetic: run.synthetic,
        };
        for file in files::write_examined(heading, &judged, &model)? {
            global.note(&format!("wrote {}", file.display()));
        }
        Ok(())
    }
}

/// What people read: the split that a data set comes with, or else the automatic one, is the default.
pub fn split_name(split: SplitBy) -> String {
    match split {
        SplitBy::Official => "the data's own split".to_string(),
        split => format!("{split} split"),
    }
}
