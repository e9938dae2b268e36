//! The family of networks for a line of products, as a table.

use super::{UNKNOWN, front::steered_without_labels, grid};
use crate::{
    hardware::Metric,
    report::lineup::{Lineup, OnDevice, Served},
    units::Bytes,
};

/// A row per device, and what sharing costs.
pub fn table(lineup: &Lineup) -> String {
    let row = |served: &Served| {
        let shown = |show: &dyn Fn(&OnDevice) -> String| {
            served.member.as_ref().map_or(UNKNOWN.to_string(), show)
        };
        let cost = |metric: Metric| shown(&|member| metric.show(metric.value(&member.estimate, 0)));
        let share =
            |value: Option<f64>| value.map_or(UNKNOWN.to_string(), |one| format!("{one:.3}"));
        let (member, best) = (served.member.as_ref(), served.best.as_ref());
        vec![
            served.target.clone(),
            Bytes(served.ram_bytes as u64).to_string(),
            shown(&|member| member.trial.to_string()),
            share(member.map(|member| member.score)),
            share(member.and_then(|member| member.test)),
            cost(Metric::Ram),
            cost(Metric::Flash),
            cost(Metric::Latency),
            best.map_or(UNKNOWN.to_string(), |best| best.trial.to_string()),
            share(
                best.zip(member)
                    .map(|(best, member)| best.score - member.score),
            ),
        ]
    };
    let title = lineup.measure.title();
    let test = format!("{title} test");
    let header = [
        "target",
        "room",
        "trial",
        title,
        &test,
        "RAM",
        "flash",
        "latency",
        "best alone",
        "loss",
    ];
    let mut text = grid(&header, lineup.devices.iter().map(row).collect());
    text += &format!("\n{}\n", sentence(lineup));
    let missing = lineup
        .devices
        .iter()
        .filter(|device| device.member.is_none());
    for device in missing {
        text += &format!(
            "Nothing of the run fits {} with {}.\n",
            device.target,
            Bytes(device.ram_bytes as u64)
        );
    }
    if lineup.trained_once > 0 {
        text += &format!(
            "{} of the members were trained once: luck is in their scores (`nas rescore`).\n",
            lineup.trained_once
        );
    }
    if lineup.synthetic {
        text += "Synthetic data: the scores say nothing about real machines.\n";
    }
    let stand_ins = steered_without_labels(lineup.steered.as_deref());
    text += &stand_ins.map_or(String::new(), |line| format!("{line}\n"));
    text + "Costs: estimated.\n"
}

fn sentence(lineup: &Lineup) -> String {
    let losses = lineup.losses();
    if losses.is_empty() {
        return "No trained network of the run fits any of the devices.".to_string();
    }
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let worst = losses.iter().copied().fold(0.0, f64::max);
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    format!(
        "{} with {} serve {}: trials {}. Sharing costs {mean:.3} of {} on average, {worst:.3} at most ({} is borne).",
        counted(lineup.members.len(), "network"),
        counted(lineup.front_ends, "front end"),
        counted(losses.len(), "device"),
        lineup
            .members
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        lineup.measure.title(),
        lineup.within,
    )
}
