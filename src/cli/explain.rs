//! `nas explain`: why a candidate is over budget, and the smallest changes with which it fits.

use super::{Failure, Global, budget, open, out};
use nas::{
    hardware::{self, Target},
    report::{
        json::{self, network::ExplanationDocument},
        network::Explanation,
        text,
    },
    search::smallest_changes,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trial of a run, for example latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// A hardware target by name or TOML file; repeatable [default: those of the run]
    #[arg(long = "target", value_name = "NAME|FILE")]
    targets: Vec<String>,
    #[command(flatten)]
    budget: budget::Args,
}

/// Most changes to show.
const CHANGES: usize = 3;

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (_, number, proposal) = open::proposal(global, &self.trial)?;
        let targets = match self.targets.is_empty() {
            true => proposal.targets.clone(),
            false => open::targets(&self.targets)?,
        };
        let budget = self.budget.or(&proposal.budget).map_err(Failure::usage)?;
        let explain = |target: Target| {
            let before = hardware::estimate(&proposal.candidate, &target);
            let macs = proposal.candidate.graph.macs();
            let excess = budget.excess(&target, &before, macs);
            let fits = |candidate: &nas::space::Candidate| {
                let estimate = hardware::estimate(candidate, &target);
                budget
                    .excess(&target, &estimate, candidate.graph.macs())
                    .is_none()
            };
            let changes = match excess.is_some() {
                true => smallest_changes(&proposal.spaces, &proposal.genome, CHANGES, fits),
                false => Vec::new(),
            };
            let changes = changes.into_iter().map(|change| {
                let after = hardware::estimate(&change.candidate, &target);
                (change, after)
            });
            Explanation {
                before,
                macs,
                excess,
                fit: budget.fit(&target, &before),
                changes: changes.collect(),
                target,
            }
        };
        let all: Vec<Explanation> = targets.into_iter().map(explain).collect();
        if global.json {
            let document = ExplanationDocument::new(&proposal.run, number, &budget, &all);
            out::print(json::render(&document))?;
            return Ok(());
        }
        let trial = format!("{}/{number}", proposal.run);
        let texts: Vec<String> = all
            .iter()
            .map(|explained| text::network::explanation(&trial, &budget, explained))
            .collect();
        out::print(texts.join("\n"))?;
        Ok(())
    }
}
