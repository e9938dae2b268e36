//! A line of products: the fewest trials of a run that serve devices of several sizes, and what sharing costs.

use std::collections::{BTreeMap, BTreeSet};

use super::{ReportError, RunInfo, ScoredTrial, load};
use crate::{
    audio::FrontEnd,
    hardware::{self, Budget, Estimate, Target},
    run::{Objective, Settings, stored_estimate},
    score::{Figure, Measure},
    search::{Applicant, smallest_family},
    store::{Run, Store, TrialRow},
};

/// A device of the line.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its processor and memories.
    pub target: Target,
    /// The most RAM for the network and its front end, in bytes.
    pub ram_bytes: f64,
}

/// What serves one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// Name of the target.
    pub target: String,
    /// The most RAM, in bytes.
    pub ram_bytes: f64,
    /// The member of the family with the highest score on this device; `None` where nothing fits it.
    pub member: Option<OnDevice>,
    /// The trial with the highest score on this device alone.
    pub best: Option<OnDevice>,
}

/// A trial on a device.
#[derive(Debug, Clone, PartialEq)]
pub struct OnDevice {
    /// Number of the trial.
    pub trial: u64,
    /// The score that leads the search, on the clips that steered; a mean where the trial was trained again.
    pub score: f64,
    /// The same score on the test clips that steered nothing; `None` where there are none.
    pub test: Option<f64>,
    /// Its costs on the device.
    pub estimate: Estimate,
}

/// The family, and what it costs against the best network of every device.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineup {
    /// Name of the run.
    pub run: String,
    /// The score that counts.
    pub measure: Measure,
    /// Whether the built-in generator made the data.
    pub synthetic: bool,
    /// What steered the search.
    pub steered: Option<String>,
    /// The loss of score that a device may bear.
    pub within: f64,
    /// Numbers of the members.
    pub members: Vec<u64>,
    /// How many members were trained once, so that luck is in their scores.
    pub trained_once: usize,
    /// How many different front ends they have.
    pub front_ends: usize,
    /// The devices, in their order.
    pub devices: Vec<Served>,
}

impl Lineup {
    /// The scores that devices lose against their best networks, for each that something fits.
    pub fn losses(&self) -> Vec<f64> {
        let losses = self.devices.iter().filter_map(|device| {
            let (member, best) = (device.member.as_ref()?, device.best.as_ref()?);
            Some(best.score - member.score)
        });
        losses.collect()
    }
}

/// Finds the fewest trials of a run of which every device bears one with a loss of at most `within`.
///
/// The run's budget holds on every device, but for its RAM. Of families of one size one with the fewest front ends is
/// taken, and of those one with the highest scores.
///
/// # Errors
/// Where the store cannot be read.
pub fn lineup(
    store: &Store,
    run: &Run,
    devices: &[Device],
    within: f64,
) -> Result<Lineup, ReportError> {
    let info = load::load_alone(store, run)?;
    let settings = Settings::from_json(&run.settings_json)?;
    let spaces = settings.spaces()?;
    let measure = Objective::leading(&settings.objectives()?);
    let rows = store.trials(run.id)?.into_iter();
    let rows: BTreeMap<u64, TrialRow> = rows.map(|row| (row.number as u64, row)).collect();
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for trial in &info.scored {
        let row = rows.get(&trial.trial);
        let Some((row, score)) = row.zip(trial.figures.get(Figure::steering(measure))) else {
            continue;
        };
        let genome = spaces
            .decode_bytes(&row.genome)
            .ok_or(ReportError::Genome { trial: row.number })?;
        let candidate = spaces.decode(&genome);
        let on_device = |device: &Device| {
            let Device { target, ram_bytes } = device;
            let estimate = stored_estimate(row, &target.name)
                .unwrap_or_else(|| hardware::estimate(&candidate, target));
            let budget = Budget {
                ram_bytes: Some(*ram_bytes),
                ..settings.budget
            };
            let fits = budget.excess(target, &estimate, trial.macs).is_none();
            fits.then_some(estimate)
        };
        candidates.push(Candidate {
            trial,
            score,
            front_end: candidate.front_end,
            on_devices: devices.iter().map(on_device).collect(),
        });
    }
    Ok(family(&info, &candidates, devices, measure, within))
}

/// A trial that may be a member.
struct Candidate<'a> {
    trial: &'a ScoredTrial,
    score: f64,
    front_end: FrontEnd,
    /// Its costs on every device that it fits.
    on_devices: Vec<Option<Estimate>>,
}

impl Candidate<'_> {
    fn on(&self, device: usize, measure: Measure) -> Option<OnDevice> {
        Some(OnDevice {
            trial: self.trial.trial,
            score: self.score,
            test: self.trial.figures.get(Figure::test(measure)),
            estimate: self.on_devices[device]?,
        })
    }
}

fn family(
    info: &RunInfo,
    candidates: &[Candidate<'_>],
    devices: &[Device],
    measure: Measure,
    within: f64,
) -> Lineup {
    // The highest score; of equals the quickest, then the first.
    let best_on = |device: usize, among: &[&Candidate<'_>]| {
        let on_device = among.iter().filter_map(|one| one.on(device, measure));
        on_device.min_by(|a, b| {
            let latency = |one: &OnDevice| one.estimate.latency_us.value;
            let order = b.score.total_cmp(&a.score);
            order
                .then(latency(a).total_cmp(&latency(b)))
                .then(a.trial.cmp(&b.trial))
        })
    };
    let all: Vec<&Candidate<'_>> = candidates.iter().collect();
    let best: Vec<Option<OnDevice>> = (0..devices.len()).map(|idx| best_on(idx, &all)).collect();
    let mut front_ends: Vec<FrontEnd> = Vec::new();
    let applicants: Vec<Applicant> = candidates
        .iter()
        .map(|candidate| {
            let serves = |(idx, best): (usize, &Option<OnDevice>)| {
                let bears = best
                    .as_ref()
                    .is_some_and(|best| candidate.score >= best.score - within);
                u32::from(bears && candidate.on_devices[idx].is_some()) << idx
            };
            let known = front_ends
                .iter()
                .position(|one| *one == candidate.front_end);
            let shares = known.unwrap_or_else(|| {
                front_ends.push(candidate.front_end);
                front_ends.len() - 1
            });
            Applicant {
                serves: best.iter().enumerate().map(serves).sum(),
                shares,
                merit: candidate.score,
            }
        })
        .collect();
    let chosen = smallest_family(&applicants);
    let members: Vec<&Candidate<'_>> = chosen.iter().map(|idx| &candidates[*idx]).collect();
    let shares: BTreeSet<usize> = chosen.iter().map(|idx| applicants[*idx].shares).collect();
    let once = |member: &&&Candidate<'_>| member.trial.seeds.is_none() && !member.trial.is_fitted;
    let served = |(idx, device): (usize, &Device)| Served {
        target: device.target.name.clone(),
        ram_bytes: device.ram_bytes,
        member: best_on(idx, &members),
        best: best[idx].clone(),
    };
    Lineup {
        run: info.run.clone(),
        measure,
        synthetic: info.synthetic,
        steered: info.steered.clone(),
        within,
        members: members.iter().map(|member| member.trial.trial).collect(),
        trained_once: members.iter().filter(once).count(),
        front_ends: shares.len(),
        devices: devices.iter().enumerate().map(served).collect(),
    }
}
