//! `nas estimate`: the costs of a network on every target, before anything runs.

use std::path::{Path, PathBuf};

use super::{Exit, Failure, Global, budget, open, out};
use nas::{
    hardware::{self, Budget, Target},
    quant::{Outline, QuantizedModel},
    report::{
        files,
        json::{self, network::EstimateDocument},
        memory::MemoryMap,
        network::{self, Network, TargetCosts},
        text,
    },
    run,
    store::{Run, TrialOutcome},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An int8 .tflite file, or a trial of a run, for example latest/17
    #[arg(value_name = "MODEL.tflite|RUN/TRIAL")]
    what: String,
    /// A hardware target by name or TOML file; repeatable [default: all built-in ones, or those of the run]
    #[arg(long = "target", value_name = "NAME|FILE")]
    targets: Vec<String>,
    /// Show every operator with its bottleneck
    #[arg(long)]
    per_layer: bool,
    /// Refuse a file with operators that nothing here runs, instead of costing them by their kind
    #[arg(long)]
    strict: bool,
    /// Write the memory timeline, memory.svg and memory.png, into this folder
    #[arg(long, value_name = "DIR")]
    memory: Option<PathBuf>,
    #[command(flatten)]
    budget: budget::Args,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (network, run_targets, run_budget) = self.network(global)?;
        let targets = match (self.targets.is_empty(), run_targets) {
            (true, Some(targets)) => targets,
            (true, None) => hardware::builtin().to_vec(),
            (false, _) => open::targets(&self.targets)?,
        };
        let budget = self.budget.or(&run_budget).map_err(Failure::usage)?;
        let costs: Vec<TargetCosts> = targets
            .iter()
            .map(|target| network::target_costs(&network, target, &budget))
            .collect();
        if let Some(folder) = &self.memory {
            let map = MemoryMap::new(network.name(), network.graph());
            for path in files::write_memory(&map, folder)? {
                global.note(&format!("wrote {}", path.display()));
            }
        }
        if global.json {
            let document = EstimateDocument::new(&network, &costs);
            out::print(json::render(&document))?;
            return self.verdict(&costs);
        }
        out::print(text::network::table(&network, &costs))?;
        if self.per_layer {
            for costs in &costs {
                out::print(format!("\n{}", text::network::layer_table(costs)))?;
            }
        }
        self.verdict(&costs)
    }

    /// A failure where a budget was given and a target does not keep to it.
    fn verdict(&self, costs: &[TargetCosts]) -> Result<(), Failure> {
        if !self.budget.has_limit() {
            return Ok(());
        }
        let over: Vec<String> = costs
            .iter()
            .filter_map(|costs| Some(format!("{}: {}", costs.target, costs.excess.as_ref()?)))
            .collect();
        match over.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(
                Exit::NothingFits,
                anyhow::anyhow!("{} does not fit {}", self.what, over.join("; ")),
            )),
        }
    }

    /// The network, with the targets and the budget of its run.
    fn network(&self, global: &Global) -> Result<(Network, Option<Vec<Target>>, Budget), Failure> {
        if self.what.ends_with(".tflite") || Path::new(&self.what).is_file() {
            let file = std::fs::read(&self.what)
                .map_err(|error| Failure::plain(format!("cannot read `{}`: {error}", self.what)))?;
            let named = |error| Failure::plain(format!("{}: {error}", self.what));
            let outline = Outline::read(&file).map_err(named)?;
            if let Some(error) = outline.first_unrun().filter(|_| self.strict) {
                return Err(named(error));
            }
            let name = Path::new(&self.what).file_name().unwrap_or_default();
            let network = Network::File {
                name: name.to_string_lossy().into_owned(),
                outline,
            };
            return Ok((network, None, Budget::default()));
        }
        let (run, number, proposal) = open::proposal(global, &self.what)?;
        let network = Network::Trial {
            name: format!("{}/{number}", proposal.run),
            model: trained(global, &run, number)?,
            candidate: proposal.candidate,
        };
        Ok((network, Some(proposal.targets), proposal.budget))
    }
}

/// What training made of a trial; `None` where nothing was trained or kept.
fn trained(global: &Global, run: &Run, number: u64) -> Result<Option<QuantizedModel>, Failure> {
    let store = open::store(global)?;
    let trials = store.trials(run.id)?;
    let trial = trials
        .into_iter()
        .find(|trial| trial.number == number as i64);
    let Some(TrialOutcome::Scored { evaluation_key }) = trial.map(|trial| trial.outcome) else {
        return Ok(None);
    };
    let evaluation = store.evaluation(&evaluation_key)?;
    let model = evaluation.and_then(|evaluation| run::stored_model(&global.folder(), &evaluation));
    let Some(model) = model.transpose()? else {
        return Ok(None);
    };
    let model = QuantizedModel::from_tflite(&model.tflite);
    Ok(Some(model.map_err(Failure::plain)?))
}
