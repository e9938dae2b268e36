//! `nas search`: begins or resumes a run.

use std::{path::Path, time::Instant};

use super::{
    Exit, Failure, Global,
    exit::{Interruption, interruption, patient_interruption},
    introduce::{dry_run, introduce},
    open, out,
    progress::Display,
};
use nas::{
    data::{self, SplitBy, SteerBy},
    disturb,
    evaluate::Model,
    hardware,
    report::{
        self, files,
        json::{self, FrontDocument},
        text,
    },
    run::{
        self, EarlierResults, Finish, Objective, Pace, ScoreWith, Settings, Setup, WindowsOf,
        all_cores, earlier_of_run, earlier_of_table,
    },
    score::{ClipRule, ThresholdRule},
    search::SamplerKind,
    space,
    store::{Run, RunLock, Store, TrialOutcome},
    units::Span,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder or manifest of sounds, or `synthetic[:MACHINE]` for built-in machine sounds
    #[arg(
        long,
        value_name = "PATH|synthetic[:MACHINE]",
        default_value = "synthetic"
    )]
    data: String,
    /// Split of a set of folds into training and test clips: folds[:N], each-fold, recordings or random
    #[arg(
        long,
        value_name = "HOW",
        default_value = "official",
        hide_default_value = true
    )]
    split: SplitBy,
    /// Drop clips shorter than this, for example 1s
    #[arg(long, value_name = "SPAN")]
    min_clip: Option<Span>,
    /// Begin even where a tenth of the labelled clips, or more, cannot be used
    #[arg(long)]
    allow_skipped: bool,
    /// Clips that steer the search: labels, or proxy, which disturbs normal sounds and counts how well that stands out
    /// [default: labels where there are any]
    #[arg(long, value_name = "labels|proxy")]
    steer_by: Option<SteerBy>,
    /// What to listen for where no label steers: kinds of disturbances, such as knocks,hiss, or faults, such as bearing
    /// (docs/unlabelled.md) [default: all kinds alike]
    #[arg(long, value_name = "KIND|FAULT", value_delimiter = ',')]
    listen_for: Vec<String>,
    /// A search space by name or TOML file; repeatable [default: all that suit the data]
    #[arg(long = "space", value_name = "NAME|FILE")]
    spaces: Vec<String>,
    /// A hardware target by name or TOML file; repeatable, the first one steers the search [default: m7]
    #[arg(long = "target", value_name = "NAME|FILE")]
    targets: Vec<String>,
    #[command(flatten)]
    budget: super::budget::Args,
    /// Number of trainings; networks over budget do not count, nor do detectors that are fitted in closed form. Of 24 or
    /// more, up to a third goes to --repeats. Resuming continues up to it [default: 72]
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Further trainings of each network on the front or near it, so that none owes its place to luck; 0 for none
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_REPEATS, value_parser = clap::value_parser!(u64).range(..=1000))]
    repeats: u64,
    /// Begin no training after this time, for example 10m
    #[arg(long, value_name = "SPAN")]
    time: Option<Span>,
    /// Networks that train at the same time; the results do not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Seed of every proposal and every training
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How to propose new candidates: bayes, evolution, nsga2 or random
    #[arg(long, default_value = "bayes")]
    sampler: SamplerKind,
    /// Start from what other searches of the same spaces have found, on other data or for another target: a run of the store,
    /// or a table as `nas trials RUN --csv` prints it; repeatable, for the sampler bayes
    #[arg(long, value_name = "RUN|FILE.csv")]
    warm_start: Vec<String>,
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "auc,latency,ram",
        help = format!("What to minimise: {}", Objective::names(Objective::all()).join(", "))
    )]
    objectives: Vec<Objective>,
    /// Epochs of every training [default: each space has its own number]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Device to train on: cpu; cpu-bf16, which is faster and rounds matrix products to bfloat16; or wgpu or cuda in
    /// builds with that feature [default: cpu-bf16 where the processor has AVX512-BF16, else cpu]
    #[arg(long)]
    device: Option<String>,
    /// Rule for the threshold above which a clip is anomalous: gamma or quantile, from scores of normal clips;
    /// even-odds, for classifiers of learnt labels; or usual, which is even-odds where labels are learnt and gamma
    /// otherwise
    #[arg(long, default_value = "usual")]
    threshold: ThresholdRule,
    /// How windows become the score of a clip: mean, max, q95 (a quantile), top10 (the mean of the highest 10 %) or
    /// rank90 (weights that fall to 90 % from rank to rank) [default: the best of those that the space names]
    #[arg(long, alias = "pool", value_name = "HOW")]
    clip_score: Option<ClipRule>,
    /// Name of the run [default: from data, target and time]
    #[arg(long)]
    name: Option<String>,
    /// Continue a run with the settings it was begun with; only --trials, --time and --jobs can change
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "latest")]
    resume: Option<String>,
    /// Estimate the search without beginning it
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    #[command(flatten)]
    limits: super::limits::Args,
    /// Score by a formula instead of training, to test the tool itself
    #[arg(long, hide = true)]
    debug_formula: bool,
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
        let Interruption { stop, last, .. } = patient_interruption();
        let scores = score_with(self.debug_formula);
        let pace = Pace {
            jobs: self.jobs.unwrap_or_else(all_cores),
            deadline: self.time.map(deadline).transpose()?,
            stop,
            last,
        };
        let Some(selector) = &self.resume else {
            let mut settings = self.settings(global)?;
            let features = self.limits.features(global);
            let mut setup = Setup::begin(&mut settings, scores, WindowsOf::Searched, features)?;
            if !self.spaces.is_empty() {
                let classes = settings.facts.classes;
                for note in setup.spaces_without_use(&settings) {
                    let note = format!("{note} (the data has {classes} to tell apart)");
                    settings.notes.push(note.clone());
                    setup.notes.push(note);
                }
            }
            introduce(global, &setup);
            if self.dry_run {
                let found = run::dry_run(&setup, &settings, pace, &mut |doing| global.note(doing))?;
                dry_run(&found)?;
                return Ok(None);
            }
            let name = self.name.as_deref();
            let is_chosen = name.is_some();
            return begin(global, &settings, &setup, (name, is_chosen), pace).map(Some);
        };
        let mut store = Store::open(&global.store)?;
        // What was begun last is continued, whether it has found anything or not.
        let newest = match selector.as_str() {
            "latest" => store.runs()?.pop(),
            _ => None,
        };
        let run = newest.map_or_else(|| store.find_run(selector), Ok)?;
        let mut settings = Settings::from_json(&run.settings_json)?;
        settings.trials = self.trials.unwrap_or(settings.trials);
        let _lock = RunLock::acquire(&global.run_folder(&run.name))?;
        let setup = Setup::resume(&run, &settings, scores, self.limits.features(global))?;
        introduce(global, &setup);
        let finish = carry_out(global, &mut store, &run, &settings, &setup, pace)?;
        Ok(Some((store, run, finish)))
    }

    fn settings(&self, global: &Global) -> Result<Settings, Failure> {
        let spaces = match self.spaces.is_empty() {
            true => space::builtin(),
            false => self
                .spaces
                .iter()
                .map(|name| space::load(name))
                .collect::<Result<_, _>>()?,
        };
        let spaces = space::with_references(spaces);
        let mut names = self.targets.clone();
        if names.is_empty() {
            names.push("m7".to_string());
        }
        let targets = open::targets(&names)?;
        for (idx, target) in targets.iter().enumerate() {
            if targets[..idx].iter().any(|other| other.name == target.name) {
                return Err(Failure::usage(format!(
                    "target {} is given twice",
                    target.name
                )));
            }
        }
        disturb::listened_for(self.listen_for.iter().map(String::as_str))
            .map_err(Failure::usage)?;
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
        let defaults = Settings::new(&data::lasting_name(&self.data), &spaces, &targets);
        Ok(Settings {
            split: self.split.to_string(),
            min_clip_s: self.min_clip.map(|span| span.0.as_secs_f64()),
            steer_by: self.steer_by.map(|by| by.name().to_string()),
            listen_for: self.listen_for.clone(),
            allow_skipped: self.allow_skipped,
            budget,
            objectives: Objective::names(self.objectives.iter().copied()),
            sampler: self.sampler.name().to_string(),
            warm_start: self.earlier(global)?,
            seed: self.seed,
            epochs: self.epochs,
            device: self.device.clone().unwrap_or(defaults.device),
            threshold: self.threshold.name().to_string(),
            clip_score: self.clip_score.map(|rule| rule.to_string()),
            trials: self.trials.unwrap_or(defaults.trials),
            repeats: self.repeats,
            ..defaults
        })
    }

    /// What other searches found, by run or table.
    fn earlier(&self, global: &Global) -> Result<Vec<EarlierResults>, Failure> {
        if !self.warm_start.is_empty() && self.sampler != SamplerKind::Bayes {
            return Err(Failure::usage(format!(
                "--warm-start is for the sampler bayes; {} starts from nothing",
                self.sampler
            )));
        }
        let read = |from: &String| {
            if from.ends_with(".csv") {
                return Ok(earlier_of_table(Path::new(from))?);
            }
            let store = open::store(global)?;
            Ok(earlier_of_run(&store, &store.find_run(from)?)?)
        };
        self.warm_start.iter().map(read).collect()
    }
}

/// The time after which no training may begin.
fn deadline(time: Span) -> Result<Instant, Failure> {
    let end = Instant::now().checked_add(time.0);
    end.ok_or_else(|| Failure::usage(format!("--time {time} is longer than any clock runs")))
}

/// Whether candidates are trained, or scored by a formula.
pub(super) fn score_with(by_formula: bool) -> ScoreWith {
    match by_formula {
        true => ScoreWith::Formula,
        false => ScoreWith::Training,
    }
}

/// Creates a new run in the store and carries it out. Its name comes with whether the user chose it.
fn begin(
    global: &Global,
    settings: &Settings,
    setup: &Setup,
    (name, name_is_chosen): (Option<&str>, bool),
    pace: Pace<'_>,
) -> Result<(Store, Run, Finish), Failure> {
    let mut store = Store::open(&global.store)?;
    let new = setup.new_run(settings, name);
    let (run, _lock) = store.begin_run(&new, name_is_chosen)?;
    let finish = carry_out(global, &mut store, &run, settings, setup, pace)?;
    Ok((store, run, finish))
}

/// Searches with progress on stderr.
fn carry_out(
    global: &Global,
    store: &mut Store,
    run: &Run,
    settings: &Settings,
    setup: &Setup,
    pace: Pace<'_>,
) -> Result<Finish, Failure> {
    let doing = match setup.spaces.trained().is_empty() {
        true => "fitting detectors".to_string(),
        false => match settings.further_trainings().most {
            0 => format!("training {} networks", settings.trials),
            further => format!(
                "training {} networks, then the best again, up to {further} times",
                settings.trials - further
            ),
        },
    };
    global.note(&format!(
        "run {}: {doing}, {} at a time",
        run.name, pace.jobs
    ));
    let objectives = settings.objectives()?;
    let mut display = Display::new(global, &objectives);
    let finish = run::carry_out(store, run, settings, setup, pace, &mut |progress| {
        display.show(progress)
    });
    display.finish();
    Ok(finish?)
}

/// Trains published networks in a run of their own: one per space, costed for every target of the settings.
///
/// # Errors
/// Also where the run is interrupted, or a network fits no target.
pub(super) fn train_published(
    global: &Global,
    mut settings: Settings,
    jobs: Option<usize>,
    limits: super::limits::Args,
    (name, is_chosen): (&str, bool),
) -> Result<(Store, Run), Failure> {
    let pace = Pace::new(jobs, interruption());
    let features = limits.features(global);
    let windows = WindowsOf::Published;
    let setup = Setup::begin(&mut settings, ScoreWith::Training, windows, features)?;
    introduce(global, &setup);
    let (store, run, finish) = begin(global, &settings, &setup, (Some(name), is_chosen), pace)?;
    match finish {
        Finish::Done | Finish::Exhausted => Ok((store, run)),
        Finish::Interrupted | Finish::TimeUp => Err(interrupted(&run)),
        Finish::NothingFits(nearest) => Err(Failure::new(
            Exit::NothingFits,
            anyhow::anyhow!("the network fits no target; nearest miss: {nearest}"),
        )),
    }
}

fn interrupted(run: &Run) -> Failure {
    Failure::new(
        Exit::Interrupted,
        anyhow::anyhow!("interrupted; `nas search --resume {}` continues", run.name),
    )
}

/// Shows and draws the front, and turns the end of the search into an exit code.
fn conclude(global: &Global, store: &Store, run: &Run, finish: Finish) -> Result<(), Failure> {
    if let Finish::NothingFits(nearest) = &finish {
        return Err(Failure::new(
            Exit::NothingFits,
            anyhow::anyhow!("nothing fits the budget; nearest miss: {nearest}"),
        ));
    }
    let info = report::load(store, run)?;
    if info.counts.scored == 0 && info.counts.failed > 0 {
        let failed = store.trials(run.id)?.into_iter();
        let why = failed.rev().find_map(|trial| match trial.outcome {
            TrialOutcome::Failed { message } => Some(message),
            _ => None,
        });
        return Err(Failure::plain(format!(
            "all {} trainings failed, the last because: {}",
            info.counts.failed,
            why.unwrap_or_default()
        )));
    }
    let pictures = files::write_figures(&info, &global.run_folder(&run.name))?;
    if global.json {
        out::print(json::render(&FrontDocument::new(&info)))?;
    } else {
        out::print(text::front::front_tables(&info, super::width()))?;
    }
    for picture in &pictures {
        global.note(&format!("wrote {}", picture.display()));
    }
    let end = match finish {
        Finish::Interrupted => Err(interrupted(run)),
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
    };
    if end.is_ok() {
        last_word(global, store, run, &info)?;
        next_steps(global, run, &info);
    }
    end
}

/// Which trial to take where no network is the answer, and what to expect of it.
fn last_word(
    global: &Global,
    store: &Store,
    run: &Run,
    info: &report::RunInfo,
) -> Result<(), Failure> {
    let Some(advice) = report::baselines::advice(info) else {
        return Ok(());
    };
    global.note(&advice.sentence);
    // A run by formula has no models.
    let Ok(folder) = open::model_folder(global, store, run, advice.trial) else {
        return Ok(());
    };
    let card = Model::read(&folder)?.card;
    if let Some(threshold) = card.threshold {
        let expected = card.false_alarms.map(|alarms| format!("; {alarms}"));
        global.note(&format!(
            "a score above {threshold:.3} is an anomaly{}",
            expected.unwrap_or_default()
        ));
    }
    Ok(())
}

/// What can be done with this run, as commands to copy.
fn next_steps(global: &Global, run: &Run, info: &report::RunInfo) {
    let advised = report::baselines::advice(info).map(|advice| advice.trial);
    let leader = info.front(0).first().map(|member| member.trial);
    let Some(trial) = advised.or(leader) else {
        return;
    };
    let name = &run.name;
    let store = match global.store.as_path() == Path::new(super::STORE) {
        true => String::new(),
        false => format!(" --store {}", global.store.display()),
    };
    global.note("What next:");
    for (command, what) in [
        (
            format!("nas report {name} --open"),
            "figures and one page with everything",
        ),
        (
            format!("nas rescore {name} --seeds 3"),
            "trains the front again: were they lucky?",
        ),
        (
            format!("nas measure {name} --front --on qemu-m55"),
            "runs the front as firmware in QEMU",
        ),
        (
            format!("nas export {name}/{trial} --to {name}-{trial}"),
            "its model, firmware and C interface",
        ),
    ] {
        global.note(&format!("  {command}{store}   # {what}"));
    }
}
