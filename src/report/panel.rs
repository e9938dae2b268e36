//! The content of figures, before anything is drawn: axes, ticks, points and staircases.

use std::collections::BTreeSet;

use super::{RunInfo, ScoredTrial, uncertain_fit};
use crate::{
    hardware::{CostSource, Metric},
    score::{Figure, Measure},
    space::Task,
};

/// One panel of the Pareto figure: a score against one cost on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The score on the y axis.
    pub merit: Measure,
    /// The cost on the x axis.
    pub cost: Metric,
    /// Range of the cost, in the unit of the metric.
    pub x: Axis,
    /// Range of the score.
    pub y: Axis,
    /// The trained networks. Prominent ones come last, and are drawn on top.
    pub points: Vec<Point>,
    /// Published networks of other runs.
    pub landmarks: Vec<Landmark>,
    /// The best score of the front within each cost: corners `[cost, score]` of the steps, from left to right.
    pub staircase: Vec<[f64; 2]>,
    /// The budget of the cost, where there is one in range; in the unit of the metric.
    pub limit: Option<f64>,
    /// Costs of the candidates over budget that lie within the axis.
    pub rejected: Vec<f64>,
    /// Number of candidates over budget that lie beyond the axis.
    pub rejected_beyond: usize,
    /// The sources of the shown costs; empty for MACs, which are counted.
    pub sources: BTreeSet<CostSource>,
}

/// One trained candidate in a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Number of the trial.
    pub trial: u64,
    /// The number of the trial, or the name of a published network.
    pub label: String,
    /// Autoencoder or classifier.
    pub task: Task,
    /// The score on the y axis.
    pub score: f64,
    /// The cost, in the unit of the metric.
    pub cost: f64,
    /// Lower end of the error band.
    pub low: f64,
    /// Upper end of the error band.
    pub high: f64,
    /// Probability that the cost keeps to the limit; `None` where its band does not cross it.
    pub fits: Option<f64>,
    /// The 95 % interval of the score; the score itself where there is none.
    pub interval: [f64; 2],
    /// The same score on the clips by which nothing is chosen; `None` where there are none.
    pub untouched: Option<f64>,
    /// Whether it is a member of the front, or one of a few networks that are compared with each other.
    pub prominent: bool,
}

/// A published network of another run in a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmark {
    /// Name of the published network.
    pub name: String,
    /// The score on the y axis.
    pub score: f64,
    /// The cost, in the unit of the metric.
    pub cost: f64,
}

impl Panel {
    /// The panel of one cost on the run's target number `target_idx`.
    pub fn new(info: &RunInfo, target_idx: usize, cost: Metric) -> Panel {
        let merit = info.merit();
        let target = info.targets.get(target_idx);
        let limit = target
            .and_then(|target| target.budget.limit(cost))
            .filter(|limit| shown(*limit));
        let mut points = Vec::new();
        let mut sources = BTreeSet::new();
        for trial in &info.scored {
            let quantity = trial.cost(target_idx, cost);
            let (Some(score), Some(quantity)) = (trial.figures.steering(merit), quantity) else {
                continue;
            };
            if !score.is_finite() || !shown(quantity.value) {
                continue;
            }
            sources.insert(quantity.source);
            let within = |bound: f64, fallback: f64| if shown(bound) { bound } else { fallback };
            points.push(Point {
                trial: trial.trial,
                task: trial.task,
                score,
                cost: quantity.value,
                low: within(quantity.low, quantity.value).min(quantity.value),
                high: within(quantity.high, quantity.value).max(quantity.value),
                fits: limit.and_then(|limit| uncertain_fit(&quantity, limit)),
                interval: trial
                    .interval(Figure::steering(merit))
                    .filter(|interval| interval.iter().all(|end| end.is_finite()))
                    .unwrap_or([score; 2]),
                untouched: trial
                    .figures
                    .get(Figure::test(merit))
                    .filter(|score| score.is_finite()),
                label: match info.published {
                    true => trial.space.clone(),
                    false => trial.trial.to_string(),
                },
                prominent: info.published
                    || target.is_some_and(|target| target.front.contains(&trial.trial)),
            });
        }
        points.sort_by_key(|point| (point.prominent, point.trial));
        let mut over = Vec::new();
        for trial in &info.rejected {
            let quantity = trial.cost(target_idx, cost);
            let Some(quantity) = quantity.filter(|quantity| shown(quantity.value)) else {
                continue;
            };
            sources.insert(quantity.source);
            over.push(quantity.value);
        }
        if cost == Metric::Macs {
            sources.clear();
        }
        let landmark = |baseline: &ScoredTrial| {
            Some(Landmark {
                name: baseline.space.clone(),
                score: baseline
                    .figures
                    .steering(merit)
                    .filter(|score| score.is_finite())?,
                cost: baseline.cost(target_idx, cost)?.value,
            })
        };
        let landmarks: Vec<Landmark> = info.baselines.iter().filter_map(landmark).collect();
        let bands = points
            .iter()
            .filter(|point| point.prominent)
            .flat_map(|point| [point.low, point.high]);
        let costs = points.iter().map(|point| point.cost).chain(bands);
        let costs: Vec<f64> = costs
            .chain(landmarks.iter().map(|landmark| landmark.cost))
            .collect();
        let x = cost_axis(&costs, limit, &over);
        let heights = points.iter().flat_map(|point| {
            let of_front = [
                Some(point.interval[0]),
                Some(point.interval[1]),
                point.untouched,
            ];
            let shown = of_front.into_iter().filter(|_| point.prominent).flatten();
            shown.chain([point.score])
        });
        let y = Axis::fit_share(heights.chain(landmarks.iter().map(|landmark| landmark.score)));
        let (rejected, beyond): (Vec<f64>, Vec<f64>) =
            over.into_iter().partition(|value| x.contains(*value));
        let steps = points.iter().filter(|point| point.prominent);
        Panel {
            merit,
            cost,
            staircase: staircase(steps.map(|point| [point.cost, point.score]).collect()),
            x,
            y,
            points,
            landmarks,
            limit,
            rejected,
            rejected_beyond: beyond.len(),
            sources,
        }
    }

    /// Whether nothing is known about this cost.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.limit.is_none() && self.rejected.is_empty()
    }

    /// The title of the cost axis: `RAM, estimated`.
    pub fn title(&self) -> String {
        let sources: Vec<&str> = self.sources.iter().map(|source| source.name()).collect();
        match (self.cost, sources.is_empty()) {
            (Metric::Macs, _) => "MACs per inference, counted".to_string(),
            (cost, true) => cost.title().to_string(),
            (cost, false) => format!("{}, {}", cost.title(), sources.join(" / ")),
        }
    }
}

/// The range of an axis and its scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// The value at the axis's start.
    pub low: f64,
    /// The value at its end.
    pub high: f64,
    /// Whether it is logarithmic: its range is more than a decade.
    pub log: bool,
}

impl Axis {
    /// An axis for a score: as narrow as the values allow, at least 0.1 high, and hardly outside 0 to 1.
    pub fn fit_share(values: impl Iterator<Item = f64>) -> Axis {
        let Some((low, high)) = range(values) else {
            return Axis::linear(0.5, 1.0);
        };
        let middle = (low + high) / 2.0;
        let half = ((high - low) / 2.0).max(0.05) * 1.12;
        // A little more than 1, or the marker of a perfect network would be cut in half.
        let top = (middle + half).min(1.015);
        Axis::linear((middle - half).max(-0.015), top)
    }

    /// An axis from zero for values that are not negative.
    pub fn from_zero(highest: f64) -> Axis {
        let high = if shown(highest) && highest > 0.0 {
            highest
        } else {
            1.0
        };
        Axis::linear(0.0, high * 1.08)
    }

    /// A linear axis from `low` to `high`.
    pub const fn linear(low: f64, high: f64) -> Axis {
        Axis {
            low,
            high,
            log: false,
        }
    }

    /// The place of a value: 0 at the low end, 1 at the high end, clamped to them.
    pub fn position(&self, value: f64) -> f64 {
        let position = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        position.clamp(0.0, 1.0)
    }

    /// Whether the value lies on the axis, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Ticks for a cost, as dense as `fits` allows: sparser and sparser sets are tried until it agrees.
    ///
    /// Sizes in bytes step by powers of two, everything else by 1, 2 and 5.
    pub fn cost_ticks(&self, cost: Metric, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
        let binary = matches!(cost, Metric::Ram | Metric::Flash);
        let label = |value: f64| Tick {
            value,
            label: tick_label(cost, value),
        };
        self.sparser_and_sparser(binary, label, fits)
    }

    /// Ticks for plain numbers like AUC and hypervolume.
    pub fn number_ticks(&self, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
        let label = |value: f64| Tick {
            value,
            label: trimmed(value, 4),
        };
        let mut ticks = self.sparser_and_sparser(false, label, fits);
        // All ticks have the same number of decimals: 0.9 and 1.0.
        let decimals_of = |label: &str| label.split_once('.').map_or(0, |(_, d)| d.len());
        let decimals = ticks.iter().map(|tick| decimals_of(&tick.label)).max();
        for tick in &mut ticks {
            tick.label = format!("{:.*}", decimals.unwrap_or(0), tick.value);
        }
        ticks
    }

    fn sparser_and_sparser(
        &self,
        binary: bool,
        label: impl Fn(f64) -> Tick,
        fits: impl Fn(&[Tick]) -> bool,
    ) -> Vec<Tick> {
        let sets = match (self.log, binary) {
            (true, true) => self.power_of_two_sets(),
            (true, false) => self.decade_sets(),
            (false, _) => self.linear_sets(binary),
        };
        let mut ticks = Vec::new();
        for values in sets {
            ticks = values.into_iter().map(&label).collect();
            if fits(&ticks) {
                break;
            }
        }
        ticks
    }

    /// Powers of two: all, every second, every third … always through 1 KiB.
    fn power_of_two_sets(&self) -> Vec<Vec<f64>> {
        let (first, last) = (
            self.low.log2().ceil() as i32,
            self.high.log2().floor() as i32,
        );
        let every = |stride: i32| {
            (first..=last)
                .filter(|power| (power - 10).rem_euclid(stride) == 0)
                .map(|power| 2f64.powi(power))
                .collect()
        };
        (1..=10).map(every).collect()
    }

    /// 1, 2 and 5 of every decade; 1 and 3; 1; 1 of every second decade …
    fn decade_sets(&self) -> Vec<Vec<f64>> {
        let (first, last) = (
            self.low.log10().floor() as i32,
            self.high.log10().ceil() as i32,
        );
        let set = |mantissas: &[f64], stride: i32| {
            let decades = (first..=last).filter(|power| power.rem_euclid(stride) == 0);
            decades
                .flat_map(|power| mantissas.iter().map(move |m| m * 10f64.powi(power)))
                .filter(|value| self.contains(*value))
                .collect()
        };
        let mut sets = vec![set(&[1.0, 2.0, 5.0], 1), set(&[1.0, 3.0], 1)];
        sets.extend((1..=6).map(|stride| set(&[1.0], stride)));
        sets
    }

    /// Multiples of round steps, from about ten steps to about one.
    fn linear_sets(&self, binary: bool) -> Vec<Vec<f64>> {
        let span = self.high - self.low;
        let mut steps: Vec<f64> = if binary {
            let finest = (span / 10.0).log2().ceil() as i32;
            (finest.max(0)..finest.max(0) + 5)
                .map(|power| 2f64.powi(power))
                .collect()
        } else {
            let decade = (span / 10.0).log10().floor() as i32;
            let decades = decade..decade + 3;
            decades
                .flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(power)))
                .collect()
        };
        steps.retain(|step| span / step <= 10.5);
        let multiples = |step: &f64| {
            let (first, last) = ((self.low / step).ceil(), (self.high / step).floor());
            let count = (last - first).max(-1.0) as i64 + 1;
            (0..count).map(|idx| (first + idx as f64) * step).collect()
        };
        steps.iter().map(multiples).collect()
    }
}

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Where the mark is, in the unit of the axis.
    pub value: f64,
    /// The text beside it.
    pub label: String,
}

/// A cost in few letters: `64 KiB`, `2.5 ms`, `3 M`.
pub fn tick_label(cost: Metric, value: f64) -> String {
    let units: &[(f64, &str)] = match cost {
        Metric::Ram | Metric::Flash => &[
            (1073741824.0, " GiB"),
            (1048576.0, " MiB"),
            (1024.0, " KiB"),
            (1.0, " B"),
        ],
        Metric::Latency => &[(1e6, " s"), (1e3, " ms"), (1.0, " µs"), (1e-3, " ns")],
        Metric::Energy => &[(1e6, " J"), (1e3, " mJ"), (1.0, " µJ"), (1e-3, " nJ")],
        Metric::Macs => &[(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")],
    };
    if value == 0.0 {
        return "0".to_string();
    }
    // A little tolerance, because ticks are products of rounded numbers.
    let (factor, unit) = units
        .iter()
        .find(|(factor, _)| value.abs() >= factor * (1.0 - 1e-9))
        .unwrap_or(&units[units.len() - 1]);
    format!("{}{unit}", trimmed(value / factor, 4))
}

/// The corners of the steps over points `[cost, AUC]`. Costs and AUCs grow; dominated points are left out.
pub fn staircase(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(b[1].total_cmp(&a[1])));
    let mut steps: Vec<[f64; 2]> = Vec::new();
    for point in points {
        if steps.last().is_none_or(|last| point[1] > last[1]) {
            steps.push(point);
        }
    }
    steps
}

/// Whether a cost can be drawn. A zero or infinite cost means that something is wrong with a profile.
fn shown(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// The range of the cost axis. Trained candidates, their bands and the limit are always inside; candidates over
/// budget are inside up to three times the limit.
fn cost_axis(costs: &[f64], limit: Option<f64>, over: &[f64]) -> Axis {
    let inside = range(costs.iter().copied().chain(limit));
    let reach = inside.map_or(f64::INFINITY, |(_, high)| 3.0 * high);
    let near = over.iter().copied().filter(|value| *value <= reach);
    let near = range(near);
    let (low, high) = match (inside, near) {
        (Some((low, high)), Some((near_low, near_high))) => {
            (low.min(near_low), high.max(near_high))
        }
        (Some(inside), None) => inside,
        (None, Some(near)) => near,
        (None, None) => return Axis::linear(0.0, 1.0),
    };
    if low > 0.0 && high > 10.0 * low {
        let pad = (high / low).powf(0.06);
        return Axis {
            low: low / pad,
            high: high * pad,
            log: true,
        };
    }
    // Nearly equal values need some space, or their ticks could not be told apart.
    let pad = if high > low {
        (0.07 * (high - low)).max(0.03 * high)
    } else {
        (0.5 * high).max(0.5)
    };
    Axis::linear((low - pad).max(0.0), high + pad)
}

/// A number with at most so many significant digits and no trailing zeros.
fn trimmed(value: f64, digits: usize) -> String {
    let magnitude = if value == 0.0 {
        0
    } else {
        value.abs().log10().floor() as i32
    };
    let decimals = (digits as i32 - 1 - magnitude).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::fixture::{Fake, fake_run};

    #[test]
    fn a_panel_holds_every_candidate() {
        let info = fake_run(&Fake::COMMON);
        for cost in Metric::ALL {
            let panel = Panel::new(&info, 0, cost);
            assert_eq!(panel.points.len(), 60);
            assert_eq!(panel.rejected.len() + panel.rejected_beyond, 300);
            let on_front = panel.points.iter().filter(|point| point.prominent);
            assert_eq!(on_front.count(), info.targets[0].front.len());
            assert!(panel.points.iter().all(|p| panel.x.contains(p.cost)));
            assert!(panel.points.iter().all(|p| panel.y.contains(p.score)));
            assert!(panel.limit.is_none_or(|limit| panel.x.contains(limit)));
            // Every point of the front is on or below the stairs.
            let best = |cost: f64| {
                let reached = panel.staircase.iter().filter(|step| step[0] <= cost);
                reached.map(|step| step[1]).fold(0.0, f64::max)
            };
            let mut members = panel.points.iter().filter(|point| point.prominent);
            assert!(members.all(|p| p.score <= best(p.cost)));
        }
        assert_eq!(Panel::new(&info, 0, Metric::Ram).limit, Some(262144.0));
        assert_eq!(Panel::new(&info, 0, Metric::Ram).title(), "RAM, estimated");
        assert!(Panel::new(&info, 5, Metric::Ram).is_empty());
    }

    #[test]
    fn published_networks_have_names() {
        let mut info = fake_run(&Fake::COMMON);
        info.published = true;
        let panel = Panel::new(&info, 0, Metric::Ram);
        let named = |point: &Point| info.scored.iter().any(|trial| trial.space == point.label);
        assert!(
            panel
                .points
                .iter()
                .all(|point| point.prominent && named(point))
        );
        // Stairs still leave out what is dominated.
        assert!(panel.staircase.len() < panel.points.len());
    }

    #[test]
    fn ticks_are_round_and_no_more_than_fit() {
        fn check(cost: Metric, low: f64, high: f64, most: usize, expected: &str) {
            let log = high > 10.0 * low;
            let axis = Axis { low, high, log };
            let ticks = axis.cost_ticks(cost, |ticks| ticks.len() <= most);
            let labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
            assert_eq!(labels.join("|"), expected);
        }
        check(Metric::Ram, 2e3, 3e4, 6, "2 KiB|4 KiB|8 KiB|16 KiB");
        check(Metric::Ram, 2e3, 2e6, 4, "8 KiB|64 KiB|512 KiB");
        check(Metric::Flash, 5e4, 9e4, 6, "56 KiB|64 KiB|72 KiB|80 KiB");
        check(
            Metric::Latency,
            150.0,
            6e3,
            6,
            "200 µs|500 µs|1 ms|2 ms|5 ms",
        );
        check(Metric::Latency, 150.0, 6e3, 3, "300 µs|1 ms|3 ms");
        check(Metric::Energy, 1.5e3, 3.2e3, 5, "1.5 mJ|2 mJ|2.5 mJ|3 mJ");
        check(Metric::Macs, 1e5, 1e9, 5, "100 k|1 M|10 M|100 M|1 G");
        let auc = Axis::fit_share([0.71, 0.97].into_iter());
        let ticks = auc.number_ticks(|ticks| ticks.len() <= 4);
        let labels: Vec<String> = ticks.into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["0.7", "0.8", "0.9"]);
    }

    #[test]
    fn stairs_climb_over_dominated_points() {
        fn check(points: &[[f64; 2]], expected: &[[f64; 2]]) {
            assert_eq!(staircase(points.to_vec()), expected);
        }
        check(&[], &[]);
        check(
            &[[3.0, 0.9], [1.0, 0.5], [2.0, 0.4], [3.0, 0.8]],
            &[[1.0, 0.5], [3.0, 0.9]],
        );
        check(&[[1.0, 0.5], [2.0, 0.5]], &[[1.0, 0.5]]);
    }

    proptest! {
        #[test]
        fn any_costs_have_few_and_distinct_ticks(
            values in prop::collection::vec(0.0..1e12f64, 1..5),
            shrink in 0..12i32,
            near in prop::bool::ANY,
        ) {
            let scale = 10f64.powi(-shrink);
            let value = |v: &f64| if near { 65536.0 + (v / 1e10).round() } else { v * scale };
            let values: Vec<f64> = values.iter().map(value).collect();
            let axis = cost_axis(&[], Some(values[0]), &values[1..]);
            for cost in Metric::ALL {
                let ticks = axis.cost_ticks(cost, |ticks| ticks.len() <= 6);
                prop_assert!(ticks.len() <= 6);
                let labels: BTreeSet<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
                prop_assert_eq!(labels.len(), ticks.len(), "{:?} {:?}", axis, ticks);
            }
        }
    }
}
