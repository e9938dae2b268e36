//! What a search is made of besides its store: data, spaces, targets and objectives, from a run's settings.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use super::{Exit, Failure, Global, open, out, search::usage};
use crate::{
    audio::FeatureSpec,
    data::{Dataset, SplitBy},
    evaluate::{Evaluator, Folds, Formula, Options, Pipeline},
    hardware::{self, Target},
    run::{self, DataFacts, LogMelFacts, Objective, Settings, references},
    space::{self, Spaces},
    store::{NewRun, Run},
    units::{Count, Rng, Span, three_digits},
};

/// Candidates that `--dry-run` draws to find the share that fits.
const DRY_RUN_SAMPLE: usize = 2000;
/// Candidates that `--dry-run` trains to see how long it takes.
const DRY_RUN_TRAINED: usize = 2;

/// All that a search needs besides the store, made from its settings.
pub(super) struct Setup {
    folds: Option<Folds>,
    pub spaces: Spaces,
    pub targets: Vec<Target>,
    pub objectives: Vec<Objective>,
    pub references: Vec<Vec<f64>>,
    /// What of the spaces does not suit the data, in words.
    left_out: Option<String>,
}

const FORMULA: Formula = Formula {
    pause: Duration::from_millis(10),
};

impl Setup {
    fn new(folds: Option<Folds>, settings: &Settings) -> Result<Setup, Failure> {
        let targets = settings.targets().map_err(usage)?;
        let objectives = settings.objectives().map_err(usage)?;
        let spaces = settings.spaces().map_err(usage)?;
        if settings.budget.duty.is_some() {
            for target in &targets {
                target.idle_power().map_err(usage)?;
            }
        }
        let references = references(&spaces, &targets, &settings.budget, &objectives);
        Ok(Setup {
            folds,
            spaces,
            targets,
            objectives,
            references,
            left_out: settings.left_out().map_err(usage)?,
        })
    }

    /// That of a run that was begun with these settings.
    pub fn of(global: &Global, settings: &Settings, by_formula: bool) -> Result<Setup, Failure> {
        let folds = match by_formula {
            true => None,
            false => Some(folds(global, settings)?),
        };
        Setup::new(folds, settings)
    }

    /// That of a run that begins, whose settings get the facts of its data. The windows of `published` networks stand.
    pub fn begin(
        global: &Global,
        settings: &mut Settings,
        by_formula: bool,
        published: bool,
    ) -> Result<Setup, Failure> {
        if by_formula {
            return Setup::new(None, settings);
        }
        let folds = folds(global, settings)?;
        settings.facts = facts(folds.last(), published)?;
        Setup::new(Some(folds), settings)
    }

    /// Refuses where the run was begun on other data.
    pub fn check_data(&self, run: &Run) -> Result<(), Failure> {
        match run.data_hash == self.data_hash() {
            true => Ok(()),
            false => Err(Failure::plain(format!(
                "the data of run {} has changed since it was begun; begin a new run",
                run.name
            ))),
        }
    }

    /// What trains and scores; `None` where a formula does.
    pub fn folds(&self) -> Option<&Folds> {
        self.folds.as_ref()
    }

    pub fn evaluator(&self) -> &dyn Evaluator {
        match &self.folds {
            Some(folds) => folds,
            None => &FORMULA,
        }
    }

    fn data_hash(&self) -> String {
        let of_folds = self.folds.as_ref().map(Folds::data_hash);
        of_folds.unwrap_or_else(|| "formula".to_string())
    }

    /// The clips; `None` where a formula scores.
    fn dataset(&self) -> Option<&Dataset> {
        self.folds.as_ref().map(|folds| folds.last().dataset())
    }

    fn data_name(&self) -> &str {
        self.dataset().map_or("formula", |dataset| &dataset.name)
    }

    pub fn new_run(&self, settings: &Settings, name: Option<&str>) -> NewRun {
        let created_utc = run::utc_now();
        let name = name.map(str::to_string).unwrap_or_else(|| {
            let plain = |text: &str| -> String {
                text.chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                    .collect()
            };
            let stamp: String = created_utc.chars().filter(char::is_ascii_digit).collect();
            let data = plain(self.data_name().trim_start_matches("synthetic:"));
            format!(
                "{data}-{}-{}-{}",
                plain(&self.targets[0].name),
                &stamp[..8],
                &stamp[8..]
            )
        });
        NewRun {
            name,
            created_utc,
            seed: settings.seed,
            version: env!("CARGO_PKG_VERSION").to_string(),
            data_name: self.data_name().to_string(),
            data_hash: self.data_hash(),
            synthetic: self.dataset().is_none_or(|dataset| dataset.synthetic),
            settings_json: settings.to_json(),
            reference_json: serde_json::to_string(&self.references).expect("numbers"),
        }
    }

    /// Says what is searched, on stderr.
    pub fn introduce(&self, global: &Global) {
        if let Some(folds) = &self.folds {
            let dataset = folds.last().dataset();
            let synthetic = if dataset.synthetic {
                " (synthetic)"
            } else {
                ""
            };
            global.note(&format!(
                "data: {}{synthetic}, {} clips",
                dataset.name,
                dataset.clips.len()
            ));
            for note in dataset.notes.iter().chain(&folds.last().notes()) {
                global.note(&format!("note: {note}"));
            }
            if folds.all().count() > 1 {
                global.note(
                    "note: every fold tests in turn; figures are means over the folds, the model is that of the last",
                );
            }
        }
        let names: Vec<String> = self
            .spaces
            .spaces()
            .iter()
            .map(|space| format!("{} ({})", space.name, Count::from(space.size())))
            .collect();
        global.note(&format!("spaces: {}", names.join(", ")));
        if let Some(left_out) = &self.left_out {
            global.note(&format!("note: {left_out}"));
        }
        for (target, references) in self.targets.iter().zip(&self.references) {
            let parts: Vec<String> = self
                .objectives
                .iter()
                .zip(references)
                .map(|(objective, value)| objective.show(*value))
                .collect();
            global.note(&format!(
                "target: {}; hypervolume reference: {}",
                target.name,
                parts.join(", ")
            ));
        }
    }

    pub fn dry_run(
        &self,
        settings: &Settings,
        jobs: usize,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let budget = settings.budget;
        let mut rng = Rng::new(settings.seed, 0x0064_7279_5f72_756e);
        let genomes: Vec<_> = (0..DRY_RUN_SAMPLE)
            .map(|_| self.spaces.random(&mut rng))
            .collect();
        let fits = |genome: &&space::Genome| {
            let candidate = self.spaces.decode(genome);
            let macs = candidate.graph.macs();
            let excess =
                |target| budget.excess(target, &hardware::estimate(&candidate, target), macs);
            self.targets.iter().any(|target| excess(target).is_none())
        };
        let fitting: Vec<_> = genomes.iter().filter(fits).collect();
        let share = fitting.len() as f64 / genomes.len() as f64;
        let size = Count::from(self.spaces.size());
        out::print(format!("size of the spaces: {size} genomes\n"))?;
        out::print(format!(
            "share that fits the budget: {:.1} % of {DRY_RUN_SAMPLE} drawn at random\n",
            100.0 * share
        ))?;
        if fitting.is_empty() {
            return Err(Failure::new(
                Exit::NothingFits,
                anyhow::anyhow!("no candidate drawn fits the budget"),
            ));
        }
        let begin = Instant::now();
        let timed = &fitting[..fitting.len().min(DRY_RUN_TRAINED)];
        for genome in timed {
            let training = self.spaces.space_of(genome).training;
            let candidate = self.spaces.decode(genome);
            if let Err(error) =
                self.evaluator()
                    .evaluate(&candidate, &training, settings.seed, stop)
            {
                return Err(Failure::plain(format!(
                    "a candidate could not be trained: {error}"
                )));
            }
        }
        let seconds = begin.elapsed().as_secs_f64() / timed.len() as f64;
        let total = seconds * settings.trials as f64 / jobs as f64;
        out::print(format!(
            "seconds per candidate: {} (mean of {} trained now)\n",
            three_digits(seconds),
            timed.len()
        ))?;
        out::print(format!(
            "estimated end: {} after the start, for {} candidates, {jobs} at a time\n",
            Span(Duration::from_secs_f64(total)),
            settings.trials
        ))?;
        Ok(())
    }
}

/// The evaluation of candidates on the run's data: one pipeline, or one for each of its folds.
pub(super) fn folds(global: &Global, settings: &Settings) -> Result<Folds, Failure> {
    let split: SplitBy = settings.split.parse().map_err(usage)?;
    let last = clips(settings, split)?;
    let mut turns = Vec::new();
    if split == SplitBy::EachFold {
        // The highest fold is the one that tests in `last`.
        let folds = last.folds();
        for fold in folds.iter().rev().skip(1).rev() {
            turns.push(clips(settings, SplitBy::Folds { test: Some(*fold) })?);
        }
    }
    let options = Options {
        epochs: settings.epochs,
        backend: settings.device.parse().map_err(usage)?,
        threshold: settings.threshold.parse().map_err(usage)?,
    };
    let pooling = settings.pool.parse().map_err(usage)?;
    let (store, count) = (Arc::new(open::features(global)), turns.len() + 1);
    let pipeline = |dataset| -> Result<Pipeline, Failure> {
        let pipeline = Pipeline::new(dataset, store.clone(), options)?;
        Ok(pipeline.pooled(pooling).one_of(count))
    };
    let others = turns.into_iter().map(pipeline).collect::<Result<_, _>>()?;
    Ok(Folds::new(others, pipeline(last)?))
}

/// The clips of the run's data, split this way.
fn clips(settings: &Settings, split: SplitBy) -> Result<Dataset, Failure> {
    let steering = settings.steer_by.as_deref().map(str::parse);
    let steering = steering.transpose().map_err(usage)?;
    let dataset = open::clips(&settings.data, split, settings.min_clip_s)?;
    Ok(dataset.steered_by(steering))
}

/// What of the data decides which spaces suit it.
fn facts(pipeline: &Pipeline, published: bool) -> Result<DataFacts, Failure> {
    let fixed = pipeline.dataset().fixed_features;
    let probe = fixed.unwrap_or(FeatureSpec::DCASE);
    // A published network has the window that it has, also where that leaves out many short clips.
    let frames = match published {
        true => pipeline.longest_clip_frames(&probe)?,
        false => pipeline.shortest_clip_frames(&probe)?,
    };
    let samples = frames.saturating_sub(1) * probe.hop_length;
    Ok(DataFacts {
        classes: pipeline.classes(),
        shortest_clip_s: samples as f64 / f64::from(probe.sample_rate_hz),
        log_mel: fixed.map(|spec| LogMelFacts {
            sample_rate_hz: spec.sample_rate_hz,
            n_fft: spec.n_fft,
            hop_length: spec.hop_length,
            n_mels: spec.n_mels,
        }),
    })
}

/// What the formula pretends of its data.
pub(super) const FORMULA_FACTS: DataFacts = DataFacts {
    classes: 3,
    shortest_clip_s: 10.0,
    log_mel: None,
};
