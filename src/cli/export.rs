//! `nas export`: writes a found model with its firmware into a folder that does not need this program.

use std::path::{Path, PathBuf};

use super::{Failure, Global, open, out, taped};
use nas::{
    bundle::{
        self, Clip, Manifest, Parts, Prefix,
        vela::{self, PROGRAM},
    },
    data::{self, Label, Source, Split},
    evaluate::{Model, audio_of},
    hardware,
    measure::{find_program, hops},
    report::{
        self, html,
        json::{CostsView, measurements_of},
    },
    run::Settings,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trial of a run, for example latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// The folder to write; it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The target whose core the firmware is built for [default: the run's first]
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Ship this decision of `nas decide`, a number or `latest` [default: the rule of the search]
    #[arg(long, value_name = "VERSION", value_parser = taped::wanted)]
    decision: Option<taped::Wanted>,
    /// What the names of the C interface begin with, so that several models can be linked into one image
    #[arg(long, value_name = "WORD", default_value_t)]
    prefix: Prefix,
    /// Arm's Vela, which compiles for the NPU of a target that has one [default: `vela` of PATH]
    #[arg(long, value_name = "PROGRAM")]
    vela: Option<PathBuf>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (target, vela) = (self.target.as_deref(), self.vela.as_deref());
        let manifest = write(
            global,
            &self.trial,
            &self.to,
            target,
            vela,
            self.decision,
            &self.prefix,
        )?;
        match global.json {
            true => out::print(report::json::render(&manifest))?,
            false => out::print(format!("{}\n", self.to.display()))?,
        }
        Ok(())
    }
}

/// Writes a trial's folder for a target, by default the run's first, and with Vela, by default that of PATH.
pub(super) fn write(
    global: &Global,
    trial: &str,
    to: &Path,
    target: Option<&str>,
    vela: Option<&Path>,
    decision: Option<taped::Wanted>,
    prefix: &Prefix,
) -> Result<Manifest, Failure> {
    let (selector, number) = open::trial(trial)?;
    let (store, run, info) = open::run(global, selector)?;
    let folder = open::model_folder(global, &store, &run, number)?;
    let model = Model::read(&folder)?;
    model
        .deploys_its_rule()
        .map_err(|fault| Failure::plain(format!("trial {}/{number}: {fault}", run.name)))?;
    let (model, decision) = match decision {
        Some(wanted) => {
            let (model, decision) = taped::decided(&model, &folder, trial, wanted)?;
            (model, Some(decision))
        }
        None => (model, None),
    };
    let first = info.targets.first().map(|target| target.name.as_str());
    let target = hardware::find(target.or(first).unwrap_or("m7"))?;
    let costs = info
        .targets
        .iter()
        .position(|known| known.name == target.name)
        .and_then(|idx| {
            let trial = info.scored.iter().find(|trial| trial.trial == number)?;
            trial.costs.get(idx).map(CostsView::from)
        });
    let settings = Settings::from_json(&run.settings_json).map_err(Failure::plain)?;
    let clips = match data::named(&settings.data) {
        Ok(dataset) => example_clips(&dataset.clips, &model),
        Err(failure) => {
            let why = failure;
            global.note(&format!("exported without example sounds: {why}"));
            Vec::new()
        }
    };
    let program = vela
        .map(Path::to_path_buf)
        .or_else(|| find_program(PROGRAM));
    let mut vela = match (&target.npu, program) {
        (Some(npu), Some(program)) => {
            global.detail(&format!("starting {}", program.display()));
            let macs_per_cycle = npu.macs_per_cycle.value as u32;
            Some(vela::compile(&program, &model.tflite, macs_per_cycle)?)
        }
        (Some(_), None) => {
            global.note(
                    "no part for the NPU, since no `vela` is on PATH: `pip install ethos-u-vela`, or name it by --vela",
                );
            None
        }
        (None, _) => None,
    };
    if let Some(compiled) = &mut vela {
        if let Err(problem) = &compiled.blob {
            global.note(&format!("no firmware for the NPU: {problem}"));
        }
        let images = global.images();
        if let Err(error) = compiled.link(&images, &|text| global.note(text)) {
            global.note(&format!("the firmware for the NPU was not linked: {error}"));
        }
    }
    let parts = Parts {
        name: format!("{}/{number}", run.name),
        data: run.data_name.clone(),
        model: &model,
        target: target.name.clone(),
        core: target.cpu.core,
        costs,
        measurements: measurements_of(&info.measurements, number, &info.budgets()),
        steered_by: info.steered.clone(),
        report: html::report(&info)?,
        vela,
        clips,
        prefix: prefix.clone(),
        decision,
    };
    Ok(bundle::write(to, &parts)?)
}

/// Test clips to try, per label.
const TRIED: usize = 16;

/// A normal and an anomalous test clip: of those tried, the two that the detector tells apart best.
fn example_clips(clips: &[data::Clip], model: &Model) -> Vec<Clip> {
    [Label::Normal, Label::Anomaly]
        .into_iter()
        .filter_map(|label| {
            let tried = clips
                .iter()
                .filter(|clip| clip.split == Split::Test && clip.label == Some(label))
                // The example expects the first class.
                .filter(|clip| model.card.class_of(clip) == 0)
                .take(TRIED);
            let scored = tried.filter_map(|clip| {
                let mut samples = samples(&clip.source, model.card.sample_rate_hz)?;
                // Frames are centred on the host, so that silence completes the last one.
                samples.extend(vec![0; model.card.n_fft / 2]);
                let last = hops(&model.blob, 0, &samples).ok()?.pop()?;
                Some((last.score?, samples))
            });
            let by_score = |a: &(f32, Vec<i16>), b: &(f32, Vec<i16>)| a.0.total_cmp(&b.0);
            let (_, samples) = match label {
                Label::Normal => scored.min_by(by_score),
                Label::Anomaly => scored.max_by(by_score),
            }?;
            Some(Clip {
                label: label.name(),
                samples,
            })
        })
        .collect()
}

/// The clip's samples; `None` for ready features, and for files that cannot be read.
fn samples(source: &Source, sample_rate_hz: u32) -> Option<Vec<i16>> {
    Some(audio_of(source, sample_rate_hz).ok()??.to_i16())
}
