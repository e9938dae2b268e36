//! Lists: spaces, targets, data sets, runs.

use super::{first_few, front, grid, grid_within};
use crate::{
    data::{Info, KnownDataset, Label},
    hardware::{ALIASES, Contents, Target},
    report::{RunInfo, json::RunView},
    space::SearchSpace,
    units::{Bytes, Count, Span},
};

/// The search spaces with their sizes, in at most `width` columns.
pub fn spaces(spaces: &[SearchSpace], width: usize) -> String {
    let row = |space: &SearchSpace| {
        vec![
            space.name.clone(),
            space.family.name().to_string(),
            Count::from(space.size()).to_string(),
            space.description.clone(),
        ]
    };
    let total: u128 = spaces.iter().map(SearchSpace::size).sum();
    let rows = spaces.iter().map(row).collect();
    let table = grid_within(width, &["space", "family", "genomes", "description"], rows);
    format!(
        "{table}\n{} genomes in all; `nas spaces NAME` prints the axes\n",
        Count::from(total)
    )
}

/// The targets with their clocks and memories, in at most `width` columns; a short name is beside its full name.
pub fn targets(targets: &[Target], width: usize) -> String {
    let memory = |target: &Target, contents| {
        let memory = target.largest_memory(contents);
        memory.map_or("–".to_string(), |memory| {
            Bytes(memory.bytes.value as u64).to_string()
        })
    };
    let row = |target: &Target| {
        let npu = target.npu.as_ref().map_or("–".to_string(), |npu| {
            format!("{} MAC", npu.macs_per_cycle.value)
        });
        let short: Vec<&str> = ALIASES
            .iter()
            .filter(|(_, name)| *name == target.name)
            .map(|(alias, _)| *alias)
            .collect();
        vec![
            target.name.clone(),
            short.join(", "),
            format!("{} MHz", target.cpu.clock.value),
            npu,
            memory(target, Contents::Ram),
            memory(target, Contents::Flash),
            target.description.clone(),
        ]
    };
    let rows = targets.iter().map(row).collect();
    let table = grid_within(
        width,
        &[
            "target",
            "short",
            "clock",
            "NPU",
            "RAM",
            "flash",
            "description",
        ],
        rows,
    );
    format!(
        "{table}\nall costs are estimated; `nas targets show NAME` prints every number with its source and error\n"
    )
}

/// One target: every number with its unit, error and source, in at most `width` columns.
pub fn target(target: &Target, width: usize) -> String {
    let document: toml::Table =
        toml::from_str(&target.text).expect("the text was read as TOML before");
    let mut rows = Vec::new();
    numbers("", &document, &mut rows);
    let table = grid_within(width, &["number", "value", "error", "source"], rows);
    let mut text = format!("{}: {}\n", target.name, target.description);
    for note in &target.notes {
        text += &format!("- {note}\n");
    }
    if let Some(calibration) = &target.calibration {
        let percent = |value: f64| format!("{:.1} %", 100.0 * value);
        text += &format!(
            "\nfitted to {} rows of {} families ({}): mean absolute error in sample {}, \
             leave-one-out {}, leave-family-out {}; Kendall's tau {:.3}\n",
            calibration.rows,
            calibration.families,
            calibration.table,
            percent(calibration.in_sample),
            percent(calibration.leave_one_out),
            percent(calibration.leave_family_out),
            calibration.kendall_tau,
        );
    }
    format!("{text}\n{table}\n")
}

/// Rows of all numbers of a profile below a key: tables with a value and a unit.
fn numbers(prefix: &str, table: &toml::Table, rows: &mut Vec<Vec<String>>) {
    use toml::Value;
    for (key, value) in table {
        let path = match prefix {
            "" => key.clone(),
            prefix => format!("{prefix}.{key}"),
        };
        match value {
            Value::Table(inner) if inner.contains_key("unit") => {
                let text = |key: &str| inner.get(key).and_then(Value::as_str).unwrap_or("");
                let number = |key: &str| match inner.get(key) {
                    Some(Value::Integer(value)) => Some(*value as f64),
                    Some(Value::Float(value)) => Some(*value),
                    _ => None,
                };
                let error = match number("error") {
                    Some(error) => format!("{:.0} %", 100.0 * error),
                    None => "exact".to_string(),
                };
                let value = number("value").map_or(String::new(), |value| value.to_string());
                let value = format!("{value} {}", text("unit"));
                rows.push(vec![path, value, error, text("source").to_string()]);
            }
            Value::Table(inner) => numbers(&path, inner, rows),
            Value::Array(entries) => {
                for inner in entries.iter().filter_map(Value::as_table) {
                    let name = inner.get("name").and_then(Value::as_str).unwrap_or(&path);
                    numbers(name, inner, rows);
                }
            }
            _ => (),
        }
    }
}

/// Known data sets in at most `width` columns, then their addresses.
pub fn known_datasets(known: &[KnownDataset], width: usize) -> String {
    let row = |known: &KnownDataset| {
        [known.name, known.size, known.licence, known.holds]
            .map(str::to_string)
            .to_vec()
    };
    let header = ["data set", "size", "licence", "holds"];
    let mut text = grid_within(width, &header, known.iter().map(row).collect());
    text += "\n\n";
    for known in known {
        text += &format!("{}: {}\n", known.name, known.address);
    }
    text
}

/// The data set that was recognised at a path.
pub fn dataset(info: &Info) -> String {
    let synthetic = if info.synthetic { " (synthetic)" } else { "" };
    let total: usize = info.counts.iter().map(|count| count.clips).sum();
    let layout = info.layout.name();
    let mut text = format!("{}{synthetic}: {layout}, {total} clips", info.name);
    if info.total_s > 0.0 {
        let span = Span(std::time::Duration::from_secs_f64(info.total_s));
        text += &format!(", {span} of sound");
    }
    text += "\n\n";
    let row = |count: &crate::data::ClipCount| {
        vec![
            count.machine.clone(),
            count.section.clone(),
            count.split.name().to_string(),
            count.domain.name().to_string(),
            count.label.map_or("–", Label::name).to_string(),
            count.clips.to_string(),
        ]
    };
    let rows = info.counts.iter().map(row).collect();
    text += &grid(
        &["machine", "section", "split", "domain", "label", "clips"],
        rows,
    );
    text += "\n";
    let several = |count: usize| if count == 1 { "" } else { "s" };
    for format in &info.formats {
        text += &format!(
            "{}: {} Hz, {} channel{}, {} bits, {:.2} to {:.2} s, {} clips\n",
            format.encoding.name(),
            format.sample_rate_hz,
            format.channels,
            several(format.channels as usize),
            format.bits,
            format.shortest_s,
            format.longest_s,
            format.clips
        );
    }
    for (name, values) in &info.attributes {
        text += &format!("attribute {name}: {values} value{}\n", several(*values));
    }
    let listed = |what: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!("{what} ({}): {}\n", names.len(), first_few(names)),
    };
    text += &listed("shorter than 1 s", &info.short);
    for (name, reason) in &info.unreadable {
        text += &format!("unreadable: {name}: {reason}\n");
    }
    for group in &info.duplicates {
        text += &format!("same content: {}\n", group.join(", "));
    }
    for note in &info.notes {
        text += &format!("note: {note}\n");
    }
    text
}

/// The runs of a store.
pub fn runs(runs: &[RunView]) -> String {
    if runs.is_empty() {
        return "no runs yet; `nas search` begins one\n".to_string();
    }
    let row = |run: &RunView| {
        let synthetic = if run.synthetic { " (synthetic)" } else { "" };
        vec![
            run.run.clone(),
            run.state.clone(),
            format!("{}{synthetic}", run.data),
            run.targets.join(", "),
            run.trials.scored.to_string(),
            run.trials.rejected.to_string(),
            run.trials.failed.to_string(),
            run.best_auc_int8
                .map_or("–".to_string(), |auc| format!("{auc:.3}")),
        ]
    };
    let header = [
        "run",
        "state",
        "data",
        "targets",
        "trained",
        "over budget",
        "failed",
        "best AUC",
    ];
    grid(&header, runs.iter().map(row).collect()) + "\n"
}

/// One run: its line of the list, then its fronts.
pub fn run(view: &RunView, info: &RunInfo, width: usize) -> String {
    let mut text = runs(std::slice::from_ref(view));
    text += &format!(
        "begun {}, sampler {}, seed {}\n\n",
        view.started, view.sampler, view.seed
    );
    text + &front::front_tables(info, width)
}
