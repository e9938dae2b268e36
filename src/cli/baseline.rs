//! `nas baseline`: trains, quantises, scores and costs a published network like a searched one.

use std::sync::{Arc, atomic::AtomicBool};

use super::{Failure, Global, exit::interruption, open, out, rescore, search};
use nas::{
    data::{self, Dataset, SplitBy},
    evaluate::{Model, test_scores},
    features::FeatureStore,
    report::{
        self, draw,
        evaluation::{Examined, Part},
        files,
        json::{self, BaselineDocument, ExaminedView, ProtocolView},
        text,
    },
    run::{self, Settings, utc_now},
    score::{ClipRule, against, dcase_sections, official},
    search::SamplerKind,
    space::{self, SearchSpace},
    store::{Run, Store},
    train::Backend,
    units::Span,
};

/// The targets of a baseline, unless the user chooses others.
pub(super) const TARGETS: [&str; 3] = ["m7", "m55", "u55"];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// dcase-ae, dcase-mobilenetv2, mlperf-ad, mimii-ae or p2-mlp
    name: String,
    #[command(flatten)]
    common: Common,
    /// Judge every labelled test clip, float and int8: tables, confusion matrix, ROC, precision against recall,
    /// training curves. In data with folds every fold tests in turn, beside a random split
    #[arg(long)]
    report: bool,
}

/// Options of every training of networks that are chosen beforehand.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// A folder or manifest of sounds, or `synthetic[:MACHINE]` for built-in machine sounds
    #[arg(long, value_name = "PATH|synthetic[:MACHINE]")]
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
    /// A hardware target by name or TOML file; repeatable [default: m7, m55 and u55, or those of the run whose network it is]
    #[arg(long = "target", value_name = "NAME|FILE")]
    targets: Vec<String>,
    /// Seed of the training
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Train this many times with successive seeds; figures are then means
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Networks that train at the same time; the results do not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Epochs of the training [default: the published number]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Name of the run [default: from what is trained and the time]
    #[arg(long = "name", value_name = "NAME")]
    run_name: Option<String>,
    #[command(flatten)]
    limits: super::limits::Args,
}

/// Trained networks in a run of their own.
pub(super) struct Trained {
    pub store: Store,
    pub run: Run,
    pub info: report::RunInfo,
}

impl Common {
    /// Trains published networks in a run named after `what` and the time, and loads the results.
    pub(super) fn train_named(
        &self,
        global: &Global,
        names: &[&str],
        what: &str,
    ) -> Result<Trained, Failure> {
        let spaces = names.iter().map(|name| space::load(name));
        self.train(global, &spaces.collect::<Result<Vec<_>, _>>()?, what, None)
    }

    /// Trains the networks of spaces of one network each, as published, or as in a run with settings `like` these.
    pub(super) fn train(
        &self,
        global: &Global,
        spaces: &[SearchSpace],
        what: &str,
        like: Option<&Settings>,
    ) -> Result<Trained, Failure> {
        self.refuse_other_features(spaces)?;
        let stamp: String = utc_now().chars().filter(char::is_ascii_digit).collect();
        let name = match &self.run_name {
            Some(name) => name.clone(),
            None => format!("{what}-{stamp}"),
        };
        let settings = self.settings(spaces, like)?;
        let (mut store, run) = search::train_published(
            global,
            settings,
            self.jobs,
            self.limits,
            (&name, self.run_name.is_some()),
        )?;
        if self.seeds > 1 {
            let options = rescore::Options {
                // The first training chose nothing, so it counts too.
                seeds: 0..self.seeds,
                // Every trial, whether on the front or not.
                near: 1.0,
                jobs: self.jobs,
                by_formula: false,
                limits: self.limits,
            };
            rescore::train_again(global, &mut store, &run, options, interruption())?;
        }
        let info = report::load(&store, &run)?;
        match info.scored.len() == spaces.len() {
            true => Ok(Trained { store, run, info }),
            false => Err(Failure::plain(format!(
                "a network could not be trained; `nas show {}/0` shows why",
                run.name
            ))),
        }
    }

    /// The settings of a run of these networks, without a budget: trained as published, in single precision, or as in
    /// the run that they are `like`.
    fn settings(
        &self,
        spaces: &[SearchSpace],
        like: Option<&Settings>,
    ) -> Result<Settings, Failure> {
        let targets = match (self.targets.is_empty(), like) {
            (false, _) => open::targets(&self.targets)?,
            (true, Some(like)) => like.targets().map_err(Failure::plain)?,
            (true, None) => open::targets(&TARGETS)?,
        };
        let new = Settings::new(&data::lasting_name(&self.data), spaces, &targets);
        let published = Settings {
            device: Backend::Flex.name().to_string(),
            clip_score: Some(ClipRule::Mean.to_string()),
            ..new.clone()
        };
        let like = like.map(|like| Settings {
            objectives: like.objectives.clone(),
            device: like.device.clone(),
            threshold: like.threshold.clone(),
            clip_score: like.clip_score.clone(),
            ..new
        });
        Ok(Settings {
            split: self.split.to_string(),
            min_clip_s: self.min_clip.map(|span| span.0.as_secs_f64()),
            allow_skipped: self.allow_skipped,
            sampler: SamplerKind::Random.name().to_string(),
            seed: self.seed,
            epochs: self.epochs.or(like.as_ref().and_then(|like| like.epochs)),
            trials: spaces.len(),
            repeats: 0,
            ..like.unwrap_or(published)
        })
    }

    fn dataset(&self) -> Result<Dataset, Failure> {
        let least_s = self.min_clip.map(|span| span.0.as_secs_f64());
        Ok(data::named_clips(&self.data, self.split, least_s)?)
    }

    /// Ready features fix the front end; with another front end a network is not the published one.
    fn refuse_other_features(&self, spaces: &[SearchSpace]) -> Result<(), Failure> {
        let Some(given) = self.dataset()?.fixed_features else {
            return Ok(());
        };
        for space in spaces {
            let name = &space.name;
            let value = |axis: &str| {
                let axis = space.axes.iter().find(|known| known.name == axis);
                axis.and_then(|axis| axis.values.first()).copied()
            };
            for (axis, words, given) in [
                ("n_mels", "mel bands", given.n_mels),
                ("n_fft", "samples per FFT", given.n_fft),
                ("hop_length", "samples per hop", given.hop_length),
            ] {
                if let Some(wanted) = value(axis).filter(|wanted| *wanted != given as f64) {
                    return Err(Failure::usage(format!(
                        "{name} has {wanted} {words}, but the ready features at {} have {given}: that would be another \
                         network; give sounds, or search with --space {name}",
                        self.data
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let known = space::baselines();
        if !known.iter().any(|space| space.name == self.name) {
            let names: Vec<&str> = known.iter().map(|space| space.name.as_str()).collect();
            return Err(Failure::usage(format!(
                "there is no baseline `{}`; known baselines are {}",
                self.name,
                names.join(", ")
            )));
        }
        let trained = self.common.train_named(global, &[&self.name], &self.name)?;
        let dataset = self.common.dataset()?;
        let examined = match self.report {
            true => self.examine(global, &trained, &dataset)?,
            false => Vec::new(),
        };
        let Trained { run, info, .. } = &trained;
        match global.json {
            true => {
                let document = BaselineDocument {
                    protocol: Some(protocol(global, self.common.limits, &trained, &dataset)?),
                    examined: examined.iter().map(ExaminedView::from).collect(),
                    ..BaselineDocument::new(info, &info.scored[0])
                };
                out::print(json::render(&document))?;
            }
            false => {
                out::print(text::front::trained_tables(info, super::width()))?;
                if self.report {
                    out::print(format!("\n{}", text::evaluation::tables(&examined)))?;
                }
            }
        }
        if self.report {
            let heading = draw::Heading {
                name: &self.name,
                data: &info.data,
                synthetic: info.synthetic,
            };
            let folder = global.run_folder(&run.name);
            for file in files::write_examined(heading, &examined, &folder)? {
                global.note(&format!("wrote {}", file.display()));
            }
        }
        Ok(())
    }

    /// Trains the network on every split of its evaluation, and judges the test clips.
    fn examine(
        &self,
        global: &Global,
        trained: &Trained,
        dataset: &Dataset,
    ) -> Result<Vec<Examined>, Failure> {
        let of_fold = |fold: &u32| {
            let split = SplitBy::Folds { test: Some(*fold) };
            (format!("fold {fold}"), split)
        };
        let folds: Vec<(String, SplitBy)> = dataset.folds().iter().map(of_fold).collect();
        let in_turn = ("official folds".to_string(), folds);
        let alone = |split: SplitBy| {
            (
                super::judge::split_name(split),
                vec![(split.to_string(), split)],
            )
        };
        let splits = match self.common.split {
            SplitBy::EachFold => vec![in_turn],
            SplitBy::Official if !in_turn.1.is_empty() => vec![in_turn, alone(SplitBy::Random)],
            split => vec![alone(split)],
        };
        let stop = interruption();
        let mut examined = Vec::new();
        for (split, parts) in splits {
            let mut judged = Vec::new();
            for (name, by) in parts {
                global.note(&format!("{split}, {name}"));
                let features = self.common.limits.features(global);
                judged.push(examine_part(features, trained, name, by, stop)?);
            }
            examined.push(Examined {
                split,
                parts: judged,
            });
        }
        Ok(examined)
    }
}

/// Trains the run's one network on one split, and judges that split's test clips.
fn examine_part(
    features: Arc<FeatureStore>,
    trained: &Trained,
    name: String,
    by: SplitBy,
    stop: &AtomicBool,
) -> Result<Part, Failure> {
    let Trained { store, run, .. } = trained;
    let proposal = run::load_proposal(store, run, 0)?
        .ok_or_else(|| Failure::plain("the run has just been removed"))?;
    let settings = Settings {
        split: by.to_string(),
        ..Settings::from_json(&run.settings_json)?
    };
    let folds = run::folds(&settings, features)?;
    let training = run::Training {
        run,
        seed_offset: 0,
    };
    let examination = run::judge(folds.last(), &proposal, training, stop)?;
    Ok(Part::new(name, examination))
}

/// DCASE's figures of the run's int8 model over all labelled test clips.
fn protocol(
    global: &Global,
    limits: super::limits::Args,
    trained: &Trained,
    dataset: &Dataset,
) -> Result<ProtocolView, Failure> {
    let Trained { store, run, .. } = trained;
    let model = Model::read(&open::model_folder(global, store, run, 0)?)?;
    let features = limits
        .features(global)
        .get_device(dataset, &model.card.front_end().spec)?;
    let labelled = test_scores(&model, dataset, &features)?;
    let against = against(dataset.layout);
    let threshold = model.card.threshold.unwrap_or(f64::INFINITY);
    let sections = dcase_sections(&labelled, against, &|_| threshold);
    Ok(ProtocolView::new(&sections, official(&labelled, against)))
}
