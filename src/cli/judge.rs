//! `nas judge`: every labelled test clip judged by a found network, float and int8.

use std::{fs, sync::atomic::AtomicBool};

use super::{Exit, Failure, Global, open, out, search, setup};
use crate::{
    data::{Split, SplitBy},
    evaluate::{EvaluateError, Pipeline},
    report::{
        draw,
        evaluation::{Examined, Judged, Part},
        files,
        json::{self, JudgedDocument},
        text,
    },
    run::{Proposal, Settings, training_seed},
    store::Run,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trained trial, such as latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// Train it by this many seeds, the first of them its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (run, number, proposal) = open::proposal(global, &self.trial)?;
        let settings = Settings::from_json(&run.settings_json).map_err(search::usage)?;
        let setup = setup::Setup::of(global, &settings, false)?;
        setup.check_data(&run)?;
        let store = open::store(global)?;
        let model = open::model_folder(global, &store, &run, number)?;
        let split = match settings.split.parse().map_err(search::usage)? {
            SplitBy::EachFold => "official folds".to_string(),
            split => format!("{split} split"),
        };
        let (stop, mut parts) = (search::interruption(), Vec::new());
        for offset in 0..self.seeds {
            for pipeline in setup.folds().into_iter().flat_map(|folds| folds.all()) {
                let name = turn_name(pipeline);
                global.note(&format!("{split}, {name}, seed +{offset}"));
                let seed = Seed { run: &run, offset };
                parts.push(judged(pipeline, &proposal, seed, name, stop)?);
            }
        }
        let all = Examined { split, parts };
        let judged = [all.untouched(), all];
        let model_bytes = fs::metadata(model.join("model.tflite")).map(|file| file.len());
        let name = format!("{}/{number}", run.name);
        match global.json {
            true => {
                let document = JudgedDocument::new(&name, model_bytes.ok(), &judged);
                out::print(json::render(&document))?;
            }
            false => {
                if let Ok(bytes) = model_bytes {
                    out::print(format!("{name}: {bytes} bytes as model.tflite\n"))?;
                }
                out::print(text::evaluation::tables(&judged))?;
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

/// `fold 3`, or `test` where the test clips are no fold.
fn turn_name(pipeline: &Pipeline) -> String {
    let clips = &pipeline.dataset().clips;
    let mut tested = clips.iter().filter(|clip| clip.split == Split::Test);
    let first = tested.next().and_then(|clip| clip.attribute("fold"));
    match first {
        Some(fold) if tested.all(|clip| clip.attribute("fold") == Some(fold)) => {
            format!("fold {fold}")
        }
        _ => "test".to_string(),
    }
}

/// Which training of a network in a run.
#[derive(Clone, Copy)]
pub(super) struct Seed<'a> {
    pub run: &'a Run,
    /// From the run's own seed.
    pub offset: u64,
}

/// Trains the network as its run does, and scores all labelled test clips by it.
pub(super) fn judged(
    pipeline: &Pipeline,
    proposal: &Proposal,
    seed: Seed<'_>,
    name: String,
    stop: &AtomicBool,
) -> Result<Part, Failure> {
    let training = proposal.spaces.space_of(&proposal.genome).training;
    let run_seed = seed.run.seed.wrapping_add(seed.offset);
    let seed = training_seed(run_seed, &proposal.candidate.network_key());
    let examination = pipeline
        .examine(&proposal.candidate, &training, seed, stop)
        .map_err(|error| match error {
            EvaluateError::Interrupted => {
                Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted"))
            }
            error => Failure::plain(error),
        })?;
    let judged = |clip: &crate::evaluate::ExaminedClip| Judged {
        anomaly: clip.anomaly,
        steers: clip.steers,
        float: clip.float,
        int8: clip.int8,
    };
    Ok(Part {
        name,
        threshold: examination.threshold.unwrap_or(f64::INFINITY),
        clips: examination.clips.iter().map(judged).collect(),
        too_short: examination.too_short,
        history: examination.history,
    })
}
