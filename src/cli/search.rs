//! `nas search`: begins or resumes a run.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use super::{
    Exit, Failure, Global, open, out,
    progress::Display,
    setup::{FORMULA_FACTS, Setup},
};
use crate::{
    data::{SplitBy, SteerBy},
    hardware::{self, Target},
    report::{
        self, files,
        json::{self, FrontDocument},
        text,
    },
    run::{self, Finish, Objective, Search, Settings, search},
    score::{Pooling, ThresholdRule},
    search::SamplerKind,
    space,
    store::{Run, RunLock, Store},
    train::Backend,
    units::Span,
};

/// Networks that are trained unless the user says otherwise: some minutes on two cores.
const DEFAULT_TRIALS: usize = 72;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder or manifest of sounds, or `synthetic[:MACHINE]` for built-in machine sounds
    #[arg(
        long,
        value_name = "PATH|synthetic[:MACHINE]",
        default_value = "synthetic"
    )]
    data: String,
    /// What trains and what tests in a set of folds: folds[:N], each-fold, recordings or random
    #[arg(
        long,
        value_name = "HOW",
        default_value = "official",
        hide_default_value = true
    )]
    split: SplitBy,
    /// Leave out clips that are shorter than this, such as 1s
    #[arg(long, value_name = "SPAN")]
    min_clip: Option<Span>,
    /// What steers: labels, or proxy, which makes stand-ins for anomalies of normal sound [default: labels where
    /// there are any]
    #[arg(long, value_name = "labels|proxy")]
    steer_by: Option<SteerBy>,
    /// A search space by name or TOML file; repeatable [default: all that suit the data]
    #[arg(long = "space", value_name = "NAME|FILE")]
    spaces: Vec<String>,
    /// A hardware target by name or TOML file; repeatable, the first one steers [default: m7]
    #[arg(long = "target", value_name = "NAME|FILE")]
    targets: Vec<String>,
    #[command(flatten)]
    budget: super::budget::Args,
    /// Networks to train in all; resuming continues towards it. Those over budget do not count [default: 72]
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Begin no training after this long, such as 10m
    #[arg(long, value_name = "SPAN")]
    time: Option<Span>,
    /// Networks that train at the same time; the results do not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Determines every proposal and every training
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How new candidates are proposed: bayes, evolution, nsga2 or random
    #[arg(long, default_value = "bayes")]
    sampler: SamplerKind,
    /// What is minimised: auc, pauc, accuracy, latency, ram, flash, energy, macs
    #[arg(long, value_delimiter = ',', default_value = "auc,latency,ram")]
    objectives: Vec<Objective>,
    /// Epochs of every training, instead of what the space says
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Where networks are trained: cpu; cpu-bf16, faster, with matrix products of bfloat16; or wgpu or cuda where
    /// built with that feature [default: cpu-bf16 where the processor has AVX512-BF16, else cpu]
    #[arg(long)]
    device: Option<String>,
    /// Where a clip counts as anomalous: gamma or quantile, from scores of normal clips; even-odds, for classifiers
    /// of learnt labels; or usual, which is even-odds where labels are learnt and gamma otherwise
    #[arg(long, default_value = "usual")]
    threshold: ThresholdRule,
    /// How windows become the score of a clip: mean, max, q95 (a quantile) or top10 (the mean of the highest 10 %);
    /// devices compute the mean only
    #[arg(long, value_name = "HOW", default_value = "mean")]
    pool: Pooling,
    /// Name of the run [default: from data, target and time]
    #[arg(long)]
    name: Option<String>,
    /// Continue a run with the settings it was begun with; only --trials, --time and --jobs can differ
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "latest")]
    resume: Option<String>,
    /// Say what a search would do, and begin none
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// Score by a formula instead of training, for tests of the tool itself
    #[arg(long, hide = true)]
    debug_formula: bool,
    /// The spaces are published networks, whose windows stand.
    #[arg(skip)]
    published: bool,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        match self.execute(global)? {
            Some((store, run, finish)) => conclude(global, &store, &run, finish),
            None => Ok(()),
        }
    }

    /// Begins or resumes the run; `None` after a dry run.
    fn execute(&self, global: &Global) -> Result<Option<(Store, Run, Finish)>, Failure> {
        let stop = interruption();
        let mut store = None;
        let (mut settings, resumed) = match &self.resume {
            None => (self.settings()?, None),
            Some(selector) => {
                let opened = Store::open(&global.store)?;
                let run = opened.find_run(selector)?;
                store = Some(opened);
                let mut settings = Settings::from_json(&run.settings_json).map_err(usage)?;
                settings.trials = self.trials.unwrap_or(settings.trials);
                (settings, Some(run))
            }
        };
        let setup = match &resumed {
            Some(run) => {
                let setup = Setup::of(global, &settings, self.debug_formula)?;
                setup.check_data(run)?;
                setup
            }
            None => Setup::begin(global, &mut settings, self.debug_formula, self.published)?,
        };
        setup.introduce(global);
        if self.dry_run {
            setup.dry_run(&settings, self.jobs(), stop)?;
            return Ok(None);
        }

        let mut store = match store {
            Some(store) => store,
            None => Store::open(&global.store)?,
        };
        let run = match resumed {
            Some(run) => run,
            None => store.create_run(&setup.new_run(&settings, self.name.as_deref()))?,
        };
        let _lock = RunLock::acquire(&global.folder().join(&run.name))?;
        let finish = self.search(global, &mut store, &run, &settings, &setup, stop)?;
        Ok(Some((store, run, finish)))
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let spaces = match self.spaces.is_empty() {
            true => space::builtin(),
            false => self
                .spaces
                .iter()
                .map(|name| space::load(name))
                .collect::<Result<_, _>>()?,
        };
        let named = |name: &String, text: &String| run::NamedText {
            name: name.clone(),
            text: text.clone(),
        };
        let mut names = self.targets.clone();
        if names.is_empty() {
            names.push("m7".to_string());
        }
        let targets: Vec<Target> = names
            .iter()
            .map(|name| hardware::find(name))
            .collect::<Result<_, _>>()?;
        for (idx, target) in targets.iter().enumerate() {
            if targets[..idx].iter().any(|other| other.name == target.name) {
                return Err(Failure::usage(format!(
                    "target {} is given twice",
                    target.name
                )));
            }
        }
        if self
            .objectives
            .iter()
            .enumerate()
            .any(|(idx, objective)| self.objectives[..idx].contains(objective))
        {
            return Err(Failure::usage("an objective is given twice"));
        }
        if self.trials == Some(0) || self.epochs == Some(0) || self.jobs == Some(0) {
            return Err(Failure::usage(
                "--trials, --epochs and --jobs must be at least 1",
            ));
        }
        let budget = self
            .budget
            .or(&hardware::Budget::default())
            .map_err(Failure::usage)?;
        Ok(Settings {
            settings_version: Settings::VERSION,
            data: open::lasting_name(&self.data),
            split: self.split.to_string(),
            min_clip_s: self.min_clip.map(|span| span.0.as_secs_f64()),
            steer_by: self.steer_by.map(|by| by.name().to_string()),
            facts: FORMULA_FACTS,
            spaces: spaces
                .iter()
                .map(|space| named(&space.name, &space.text))
                .collect(),
            targets: targets
                .iter()
                .map(|target| named(&target.name, &target.text))
                .collect(),
            budget,
            objectives: self
                .objectives
                .iter()
                .map(|objective| objective.name().to_string())
                .collect(),
            sampler: self.sampler.name().to_string(),
            seed: self.seed,
            epochs: self.epochs,
            device: self
                .device
                .clone()
                .unwrap_or_else(|| usual_device().to_string()),
            threshold: self.threshold.name().to_string(),
            pool: self.pool.to_string(),
            trials: self.trials.unwrap_or(DEFAULT_TRIALS),
        })
    }

    fn jobs(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        self.jobs.unwrap_or(cores)
    }

    fn search(
        &self,
        global: &Global,
        store: &mut Store,
        run: &Run,
        settings: &Settings,
        setup: &Setup,
        stop: &AtomicBool,
    ) -> Result<Finish, Failure> {
        let jobs = self.jobs();
        global.note(&format!(
            "run {}: training {} networks, {jobs} at a time",
            run.name, settings.trials
        ));
        let deadline = self.time.map(|span| Instant::now() + span.0);
        let sampler = settings.sampler().map_err(usage)?.sampler();
        let search_setup = Search {
            spaces: &setup.spaces,
            targets: &setup.targets,
            budget: &settings.budget,
            objectives: &setup.objectives,
            references: &setup.references,
            sampler: sampler.as_ref(),
            evaluator: setup.evaluator(),
            seed: settings.seed,
            trials: settings.trials,
            deadline,
            jobs,
            stop,
        };
        let mut display = Display::new(global, jobs);
        let finish = search(store, run, &search_setup, &mut |progress| {
            display.show(progress)
        });
        display.finish();
        Ok(finish?)
    }
}

/// Trains networks that stand fixed: one per space, costed for `targets`, in a run of their own.
///
/// An interruption is an error, as is a network that cannot be trained.
pub(super) fn train_fixed(global: &Global, options: FixedOptions) -> Result<(Store, Run), Failure> {
    let FixedOptions {
        data,
        split,
        min_clip,
        spaces,
        targets,
        seed,
        epochs,
        jobs,
        name,
    } = options;
    let args = Args {
        data,
        split,
        min_clip,
        steer_by: None,
        trials: Some(spaces.len()),
        spaces,
        targets,
        budget: super::budget::Args::default(),
        time: None,
        jobs,
        seed,
        sampler: SamplerKind::Random,
        objectives: Objective::DEFAULT.to_vec(),
        epochs,
        // As published.
        device: Some("cpu".to_string()),
        threshold: ThresholdRule::default(),
        pool: Pooling::Mean,
        name: Some(name),
        resume: None,
        dry_run: false,
        debug_formula: false,
        published: true,
    };
    let executed = args.execute(global)?;
    let (store, run, finish) = executed.expect("it is no dry run");
    match finish {
        Finish::Done | Finish::Exhausted => Ok((store, run)),
        Finish::Interrupted | Finish::TimeUp => Err(Failure::new(
            Exit::Interrupted,
            anyhow::anyhow!("interrupted; `nas search --resume {}` continues", run.name),
        )),
        Finish::NothingFits(nearest) => Err(Failure::new(
            Exit::NothingFits,
            anyhow::anyhow!("it fits none of the targets; nearest miss: {nearest}"),
        )),
    }
}

/// What [`train_fixed`] trains.
pub(super) struct FixedOptions {
    pub data: String,
    pub split: SplitBy,
    pub min_clip: Option<Span>,
    pub spaces: Vec<String>,
    pub targets: Vec<String>,
    pub seed: u64,
    pub epochs: Option<usize>,
    pub jobs: Option<usize>,
    pub name: String,
}

/// Rounding the operands of products changes no score by more than another seed does (docs/training.md).
fn usual_device() -> &'static str {
    match Backend::has_bf16() {
        true => "cpu-bf16",
        false => "cpu",
    }
}

/// Shows the front and draws it, and turns the end of the search into an exit code.
fn conclude(global: &Global, store: &Store, run: &Run, finish: Finish) -> Result<(), Failure> {
    if let Finish::NothingFits(nearest) = &finish {
        return Err(Failure::new(
            Exit::NothingFits,
            anyhow::anyhow!("nothing fits the budget; nearest miss: {nearest}"),
        ));
    }
    let info = report::load(store, run)?;
    let pictures = files::write_figures(&info, &global.folder().join(&run.name))?;
    if global.json {
        out::print(json::render(&FrontDocument::new(&info)))?;
    } else {
        out::print(text::front::front_tables(&info, super::width()))?;
    }
    for picture in &pictures {
        global.note(&format!("wrote {}", picture.display()));
    }
    match finish {
        Finish::Interrupted => Err(Failure::new(
            Exit::Interrupted,
            anyhow::anyhow!("interrupted; `nas search --resume {}` continues", run.name),
        )),
        Finish::TimeUp => {
            global.note(&format!(
                "time is up; `nas search --resume {}` continues",
                run.name
            ));
            Ok(())
        }
        Finish::Exhausted => {
            global.note("the spaces have no further network that fits the budget");
            Ok(())
        }
        Finish::Done | Finish::NothingFits(_) => Ok(()),
    }
}

/// The one flag that Ctrl-C and SIGTERM set; the second Ctrl-C ends the process at once.
pub(super) fn interruption() -> &'static AtomicBool {
    static STOP: AtomicBool = AtomicBool::new(false);
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
    };
    // Where no handler can be set, Ctrl-C ends the process, which loses nothing either.
    let _ = ctrlc::set_handler(handler);
    &STOP
}

pub(super) fn usage(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Exit::Usage, error)
}
