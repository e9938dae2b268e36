//! Builds what a search needs besides its store (data, spaces, targets, objectives) from a run's settings.

use std::{sync::Arc, time::Duration};

use super::{
    DataFacts, LogMelFacts, NamedText, Objective, Settings, SettingsError,
    account::{Account, Losses, probe},
    references, utc_now,
};
use crate::{
    data::{self, DataError, Dataset, Learns, SplitBy},
    evaluate::{Evaluator, Folds, Formula, Options, Pipeline, PrepareError},
    features::{FeatureError, FeatureStore},
    hardware::{Target, energy::EnergyError},
    score::Measure,
    search::Earlier,
    space::{self, Spaces},
    store::{NewRun, Run},
};

/// Everything that a search needs besides the store, built from its settings.
pub struct Setup {
    folds: Option<Folds>,
    /// The spaces to search.
    pub spaces: Spaces,
    /// The targets that candidates are costed for; the sampler sees only the first.
    pub targets: Vec<Target>,
    /// The quantities to minimise.
    pub objectives: Vec<Objective>,
    /// The reference value of each objective, per target.
    pub references: Vec<Vec<f64>>,
    /// What other searches found of these spaces.
    pub earlier: Vec<Earlier>,
    /// A sentence about each of those searches.
    pub starts_from: Vec<String>,
    /// A sentence about the parts of spaces that do not suit the data.
    pub left_out: Option<String>,
    /// What a user should know about the data, a sentence each.
    pub notes: Vec<String>,
}

/// A search that cannot begin or go on with these settings and this data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The settings ask for something that this program cannot do.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The budget limits the battery's life, but a target's idle power is unknown.
    #[error(transparent)]
    IdlePower(#[from] EnergyError),
    /// The data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data set cannot steer a search.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Features cannot be extracted.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// So many labelled clips cannot be used that figures would be of another data set.
    #[error(transparent)]
    Losses(#[from] Losses),
    /// Another search has nothing that this one could start from.
    #[error(
        "none of the {results} results of {from} is of a network that this search may train: they need its spaces, every axis \
         of them, and the score that steers it"
    )]
    NothingEarlier {
        /// The run, or the file.
        from: String,
        /// How many results it has.
        results: usize,
    },
    /// The run was begun on other clips.
    #[error("the data of run {run} has changed since it was begun; begin a new run")]
    OtherData {
        /// Name of the run.
        run: String,
    },
}

/// Scores candidates without training, for tests of the tool itself.
const FORMULA: Formula = Formula {
    pause: Duration::from_millis(10),
};

impl Setup {
    fn new(folds: Option<Folds>, settings: &Settings) -> Result<Setup, SetupError> {
        let targets = settings.targets()?;
        let objectives = settings.objectives()?;
        let spaces = settings.spaces()?;
        if settings.budget.duty.is_some() {
            for target in &targets {
                target.idle_power()?;
            }
        }
        let references = references(
            &spaces,
            &targets,
            &settings.budget,
            &objectives,
            &settings.constant,
        );
        let (mut earlier, mut starts_from) = (Vec::new(), Vec::new());
        for results in &settings.warm_start {
            let usable = results.in_terms_of(&spaces, &objectives, &references[0]);
            if usable.is_empty() {
                return Err(SetupError::NothingEarlier {
                    from: results.from.clone(),
                    results: results.results.len(),
                });
            }
            let (used, of, from) = (usable.len(), results.results.len(), &results.from);
            starts_from.push(format!("starts from {used} of {of} results of {from}"));
            earlier.extend(usable);
        }
        Ok(Setup {
            folds,
            spaces,
            targets,
            objectives,
            references,
            earlier,
            starts_from,
            left_out: settings.left_out()?,
            notes: settings.notes.clone(),
        })
    }

    /// Sets up a run that goes on, with the settings that it was begun with.
    ///
    /// # Errors
    /// Where the data cannot be read, or differs from the data that the run was begun on.
    pub fn resume(
        run: &Run,
        settings: &Settings,
        scores: ScoreWith,
        store: Arc<FeatureStore>,
    ) -> Result<Setup, SetupError> {
        let folds = match scores {
            ScoreWith::Formula => None,
            ScoreWith::Training => Some(folds(settings, store)?),
        };
        let setup = Setup::new(folds, settings)?;
        match run.data_hash == setup.data_hash() {
            true => Ok(setup),
            false => Err(SetupError::OtherData {
                run: run.name.clone(),
            }),
        }
    }

    /// Sets up a new run, and stores the facts about its data in `settings`.
    ///
    /// # Errors
    /// [`SetupError`] where the data cannot be read, or no space suits it.
    pub fn begin(
        settings: &mut Settings,
        scores: ScoreWith,
        windows: WindowsOf,
        store: Arc<FeatureStore>,
    ) -> Result<Setup, SetupError> {
        match scores {
            ScoreWith::Formula => Setup::new(None, settings),
            ScoreWith::Training => Setup::begin_on(folds(settings, store)?, settings, windows),
        }
    }

    /// Like [`Setup::begin`], with clips that are already loaded.
    ///
    /// # Errors
    /// [`SetupError`] where no space suits the clips.
    pub fn begin_on(
        folds: Folds,
        settings: &mut Settings,
        windows: WindowsOf,
    ) -> Result<Setup, SetupError> {
        settings.facts = facts(folds.last(), windows)?;
        settings.constant = folds.last().constant_answer();
        let objectives = settings.objectives()?;
        let is_heard = folds.last().dataset().has_disturbed();
        settings.objectives = Objective::names(Objective::steered(&objectives, is_heard));
        let mut setup = Setup::new(Some(folds), settings)?;
        if let Some(folds) = &setup.folds {
            let account = Account::of(folds.last(), &setup.spaces)?;
            if !settings.allow_skipped {
                account.refuse_losses()?;
            }
            settings.steered = Some(match folds.last().dataset().has_disturbed() {
                true => "disturbed".to_string(),
                false => "labels".to_string(),
            });
            settings.notes = account.notes;
            settings
                .notes
                .extend(constant_note(settings, &setup.objectives));
            setup.notes.clone_from(&settings.notes);
        }
        Ok(setup)
    }

    /// The pipelines that train and score; `None` where a formula scores.
    pub fn folds(&self) -> Option<&Folds> {
        self.folds.as_ref()
    }

    /// Gives candidates their scores.
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

    /// A sentence for every space of the settings that the data cannot use.
    pub fn spaces_without_use(&self, settings: &Settings) -> Vec<String> {
        let used = |name: &str| self.spaces.spaces().iter().any(|space| space.name == name);
        let references = space::references();
        // Those are in every search, unasked.
        let is_own = |name: &str| !references.iter().any(|space| space.name == name);
        let unused = settings.spaces.iter();
        let unused = unused.filter(|space| !used(&space.name) && is_own(&space.name));
        let sentence = |space: &NamedText| {
            format!(
                "space {} was named and is left out: its networks need classes, features or clips that this data lacks",
                space.name
            )
        };
        unused.map(sentence).collect()
    }

    /// The clips; `None` where a formula scores.
    pub fn dataset(&self) -> Option<&Dataset> {
        self.folds.as_ref().map(|folds| folds.last().dataset())
    }

    fn data_name(&self) -> &str {
        self.dataset().map_or("formula", |dataset| &dataset.name)
    }

    /// The row of a new run; the default name consists of data, target and time.
    pub fn new_run(&self, settings: &Settings, name: Option<&str>) -> NewRun {
        let created_utc = utc_now();
        let name = name.map(str::to_string).unwrap_or_else(|| {
            let plain = |text: &str| -> String {
                text.chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                    .collect()
            };
            let stamp: String = created_utc.chars().filter(char::is_ascii_digit).collect();
            let data = plain(self.data_name().trim_start_matches("synthetic:"));
            // A name begins with a letter or digit, whatever the folder of the data is called.
            let data = match data.trim_matches('-') {
                "" => "run",
                data => &data[..data.len().min(60)],
            };
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
}

/// The source of candidates' scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreWith {
    /// Training on the data set.
    Training,
    /// A formula that needs no data, for tests of the tool itself.
    Formula,
}

/// The networks whose windows the clips must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowsOf {
    /// Searched networks: nine of ten clips hold their windows.
    Searched,
    /// Published networks: their windows are never shortened, even if many short clips are left out.
    Published,
}

/// The evaluation of candidates on the run's data: one pipeline, or one per fold.
///
/// # Errors
/// [`SetupError`] where the data cannot be read or cannot steer a search.
pub fn folds(settings: &Settings, store: Arc<FeatureStore>) -> Result<Folds, SetupError> {
    let split = settings.split_by()?;
    let last = clips(settings, split)?;
    let mut turns = Vec::new();
    if split == SplitBy::EachFold {
        // `last` tests on the highest fold.
        let folds = last.folds();
        for fold in folds.iter().rev().skip(1).rev() {
            turns.push(clips(settings, SplitBy::Folds { test: Some(*fold) })?);
        }
    }
    folds_of(turns, last, settings, store)
}

/// The evaluation on loaded data sets; models are kept of the last one.
///
/// # Errors
/// [`SetupError`] where the settings do not fit this program, or a data set cannot steer a search.
pub fn folds_of(
    others: Vec<Dataset>,
    last: Dataset,
    settings: &Settings,
    store: Arc<FeatureStore>,
) -> Result<Folds, SetupError> {
    let options = Options {
        epochs: settings.epochs,
        backend: settings.backend()?,
        threshold: settings.threshold_rule()?,
    };
    let clip_rule = settings.clip_rule()?;
    let pipeline = |dataset| -> Result<Pipeline, SetupError> {
        let pipeline = Pipeline::new(dataset, store.clone(), options)?;
        Ok(match clip_rule {
            Some(rule) => pipeline.scored_by(rule),
            None => pipeline,
        })
    };
    let others = others.into_iter().map(pipeline).collect::<Result<_, _>>()?;
    Ok(Folds::new(others, pipeline(last)?))
}

/// The clips of the run's data with this split.
fn clips(settings: &Settings, split: SplitBy) -> Result<Dataset, SetupError> {
    let steering = settings.steering()?;
    let dataset = data::named_clips(&settings.data, split, settings.min_clip_s)?;
    Ok(dataset.steered_by(steering, &settings.kinds()?))
}

/// What a constant answer gets, where decisions steer.
fn constant_note(settings: &Settings, objectives: &[Objective]) -> Option<String> {
    let decide = Objective::measures(objectives).any(|m| Measure::DECISIONS.contains(&m));
    let told: Vec<String> = Measure::DECISIONS
        .iter()
        .filter_map(|m| {
            Some(format!(
                "{} {:.3}",
                m.title(),
                settings.constant.get(m.name())?
            ))
        })
        .collect();
    (decide || settings.facts.tells_classes).then(|| {
        format!(
            "the best constant answer has {} on the clips that steer; a network that is no better is on no front",
            told.join(", ")
        )
    })
}

/// The facts about the data that decide which spaces suit it.
fn facts(pipeline: &Pipeline, windows: WindowsOf) -> Result<DataFacts, SetupError> {
    let fixed = pipeline.dataset().fixed_features;
    let probe = probe(pipeline);
    let frames = match windows {
        WindowsOf::Published => pipeline.longest_clip_frames(&probe)?,
        WindowsOf::Searched => pipeline.shortest_clip_frames(&probe)?,
    };
    let samples = frames.saturating_sub(1) * probe.hop_length;
    Ok(DataFacts {
        classes: pipeline.classes(),
        shortest_clip_s: samples as f64 / f64::from(probe.sample_rate_hz),
        tells_classes: pipeline.dataset().learns == Learns::Classes,
        log_mel: fixed.map(|spec| LogMelFacts {
            sample_rate_hz: spec.sample_rate_hz,
            n_fft: spec.n_fft,
            hop_length: spec.hop_length,
            n_mels: spec.n_mels,
        }),
    })
}
