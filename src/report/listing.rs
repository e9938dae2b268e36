//! Everything that is listed besides runs and fronts: spaces, targets, data sets, runs, one trial.

use comfy_table::Table;
use serde_json::{Value, json};

use super::{
    RunInfo,
    json::{
        CostView, IntervalView, MeasurementView, RescoredView, RunView, SCHEMA_VERSION,
        TrialDocument,
    },
    table,
};
use crate::{
    data::{Encoding, Info, KnownDataset, Label},
    score::{Figure, Measure, Part},
    space::SearchSpace,
    target::{ALIASES, Contents, Target},
    units::{Bytes, Count, Microjoules, Micros, Span},
};

/// The search spaces with their sizes.
pub fn spaces(spaces: &[SearchSpace]) -> String {
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
    let table = grid(&["space", "family", "genomes", "description"], rows);
    format!(
        "{table}\n{} genomes in all; `nas spaces NAME` prints the axes\n",
        Count::from(total)
    )
}

/// The search spaces as JSON: sizes, and the files as they were read.
pub fn spaces_document(spaces: &[SearchSpace]) -> Value {
    let view = |space: &SearchSpace| {
        let file: Value = toml::from_str(&space.text).expect("the text was read as TOML before");
        json!({ "name": space.name, "genomes": space.size() as f64, "file": file })
    };
    json!({ "schema_version": SCHEMA_VERSION, "spaces": spaces.iter().map(view).collect::<Vec<_>>() })
}

/// The targets with their clocks and memories; short names stand beside what they stand for.
pub fn targets(targets: &[Target]) -> String {
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
    let table = grid(
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

/// One target for people: every number with its unit, error and source.
pub fn target(target: &Target) -> String {
    let document: toml::Table =
        toml::from_str(&target.text).expect("the text was read as TOML before");
    let mut rows = Vec::new();
    numbers("", &document, &mut rows);
    let table = grid(&["number", "value", "error", "source"], rows);
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

/// The targets as JSON: the profiles as they were read.
pub fn targets_document(targets: &[Target]) -> Value {
    let view = |target: &Target| -> Value {
        toml::from_str(&target.text).expect("the text was read as TOML before")
    };
    json!({ "schema_version": SCHEMA_VERSION, "targets": targets.iter().map(view).collect::<Vec<_>>() })
}

/// Known data sets.
pub fn known_datasets(known: &[KnownDataset]) -> String {
    let row = |known: &KnownDataset| {
        [
            known.name,
            known.size,
            known.licence,
            known.address,
            known.holds,
        ]
        .map(str::to_string)
        .to_vec()
    };
    grid(
        &["data set", "size", "licence", "address", "holds"],
        known.iter().map(row).collect(),
    ) + "\n"
}

pub fn known_datasets_document(known: &[KnownDataset]) -> Value {
    let view = |known: &KnownDataset| {
        json!({
            "name": known.name,
            "holds": known.holds,
            "address": known.address,
            "licence": known.licence,
            "size": known.size,
        })
    };
    json!({ "schema_version": SCHEMA_VERSION, "datasets": known.iter().map(view).collect::<Vec<_>>() })
}

/// What was recognised at a path.
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
            encoding_name(format.encoding),
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

pub fn dataset_document(info: &Info) -> Value {
    let counts: Vec<Value> = info
        .counts
        .iter()
        .map(|count| {
            json!({
                "machine": count.machine,
                "section": count.section,
                "split": count.split.name(),
                "domain": count.domain.name(),
                "label": count.label.map(Label::name),
                "clips": count.clips,
            })
        })
        .collect();
    let formats: Vec<Value> = info
        .formats
        .iter()
        .map(|format| {
            json!({
                "encoding": encoding_name(format.encoding),
                "sample_rate_hz": format.sample_rate_hz,
                "channels": format.channels,
                "bits": format.bits,
                "clips": format.clips,
                "shortest_s": format.shortest_s,
                "longest_s": format.longest_s,
            })
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "name": info.name,
        "layout": info.layout.name(),
        "synthetic": info.synthetic,
        "counts": counts,
        "formats": formats,
        "total_s": info.total_s,
        "short": info.short,
        "unreadable": info.unreadable,
        "duplicates": info.duplicates,
        "notes": info.notes,
    })
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
    text + &table::front_tables(info, width)
}

fn further_seeds(rescored: &RescoredView) -> String {
    let show = |interval: Option<IntervalView>| {
        interval.map_or("–".to_string(), |interval| match interval.half_width {
            Some(half_width) => format!("{:.4} ± {half_width:.4}", interval.mean),
            None => format!("{:.4}", interval.mean),
        })
    };
    let each = rescored.trainings.iter().map(|training| {
        let auc = training
            .figures
            .and_then(|figures| figures.0.get(Figure::AUC));
        auc.map_or("failed".to_string(), |auc| format!("{auc:.4}"))
    });
    let means = told(|figure| {
        // The sentence is long enough without it.
        let is_told = figure.measure != Measure::Pauc;
        is_told.then(|| show(rescored.means.get(figure)))
    });
    format!(
        "{} further seeds: {means} (means ± half of their 95 % interval)\n  AUC int8 of each: {}\n",
        rescored.trainings.len(),
        each.collect::<Vec<String>>().join(", ")
    )
}

/// The figures of a trial in words, each with its value as `show` has it: first those of the clips that steer.
fn told(show: impl Fn(Figure) -> Option<String>) -> String {
    let [steering, untouched] = Part::ALL.map(|part| {
        let own = Figure::TOLD
            .into_iter()
            .filter(|figure| figure.part == part);
        let told = own.filter_map(|figure| Some(format!("{} {}", figure.title(), show(figure)?)));
        told.collect::<Vec<String>>().join(", ")
    });
    format!("{steering}; untouched clips: {untouched}")
}

/// All that is known of one trial.
pub fn trial(trial: &TrialDocument) -> String {
    let synthetic = if trial.synthetic { " (synthetic)" } else { "" };
    let mut text = format!(
        "{}/{}: {} of space {}, {}, on {}{synthetic}\n",
        trial.run, trial.trial, trial.task, trial.space, trial.state, trial.data
    );
    let axes: Vec<String> = trial
        .axes
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    text += &format!("axes: {}\n", axes.join(", "));
    text += &format!(
        "{} MACs, {} parameters\n",
        Count(trial.macs),
        Count(trial.params)
    );
    if let Some(figures) = &trial.figures {
        let show = |auc: Option<f64>| auc.map_or("–".to_string(), |auc| format!("{auc:.4}"));
        let figures = told(|figure| Some(show(figures.0.get(figure))));
        text += &format!("{figures}{synthetic}\n");
    }
    if let Some(rescored) = &trial.rescored {
        text += &further_seeds(rescored);
    }
    for group in &trial.groups {
        let domain = group.domain.as_deref().unwrap_or("");
        let auc = group
            .auc_int8
            .map_or("–".to_string(), |auc| format!("{auc:.4}"));
        text += &format!(
            "  {} {} {domain}: AUC {auc}\n",
            group.machine, group.section
        );
    }
    for (budget, share) in &trial.excess {
        text += &format!("over budget: {budget} by {:.0} %\n", 100.0 * share);
    }
    if let Some(error) = &trial.error {
        text += &format!("failed: {error}\n");
    }
    text += "\n";
    let rows = trial.costs.iter().map(|(target, costs)| {
        let bytes = |view: Option<CostView<u64>>| band(view, |value| Bytes(value).to_string());
        vec![
            target.clone(),
            bytes(costs.ram_bytes),
            bytes(costs.flash_bytes),
            band(costs.latency_us, |value| Micros(value).to_string()),
            band(costs.energy_uj, |value| Microjoules(value).to_string()),
        ]
    });
    text += &grid(
        &["target", "RAM", "flash", "latency", "energy"],
        rows.collect(),
    );
    text += "\n\n";
    for seen in &trial.measurements {
        text += &measurement(seen);
    }
    let rows = trial.operators.iter().map(|operator| {
        let [height, width, channels] = operator.output;
        vec![
            operator.operator.clone(),
            format!("{height}x{width}x{channels}"),
            operator.macs.to_string(),
            operator.params.to_string(),
        ]
    });
    text += &grid(&["operator", "output", "MACs", "params"], rows.collect());
    text += "\n";
    for file in &trial.files {
        text += &format!("file: {file}\n");
    }
    text
}

/// What was seen at one place.
fn measurement(seen: &MeasurementView) -> String {
    let outputs = match seen.outputs_match {
        true => "outputs as on the host",
        false => "outputs DIFFERENT from the host's",
    };
    let count = |what: &str, count: Option<u64>| {
        count.map_or(String::new(), |count| format!(", {} {what}", Count(count)))
    };
    let cycles = seen.cycles.as_ref().map_or(String::new(), |cycles| {
        format!(", {} cycles {}", Count(cycles.value), cycles.source)
    });
    let fits = seen.fits.iter().map(|(target, fits)| match fits {
        true => format!(", fits {target}"),
        false => format!(", does NOT fit {target}"),
    });
    let fits: String = fits.collect();
    format!(
        "{} on {}: {outputs}{}{cycles}{}; RAM {} (arena {}, stack {}), flash {}{fits}\n",
        seen.source,
        seen.on,
        count("instructions", seen.instructions),
        count("instructions per hop", seen.hop_instructions),
        Bytes(seen.ram_bytes),
        Bytes(seen.arena_bytes),
        Bytes(seen.stack_bytes),
        Bytes(seen.flash_bytes)
    )
}

/// A value, its band and its source.
fn band<T: Copy + PartialEq>(view: Option<CostView<T>>, show: impl Fn(T) -> String) -> String {
    match view {
        None => "–".to_string(),
        Some(view) if view.low == view.high => format!("{} {}", show(view.value), view.source),
        Some(view) => {
            format!(
                "{} ({} to {}) {}",
                show(view.value),
                show(view.low),
                show(view.high),
                view.source
            )
        }
    }
}

/// A plain table.
pub(super) fn grid(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut grid = Table::new();
    grid.load_style(table::STYLE)
        .set_header(header.iter().copied());
    for row in rows {
        grid.add_row(row);
    }
    let lines: Vec<String> = grid
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_string())
        .collect();
    lines.join("\n")
}

fn first_few(names: &[String]) -> String {
    let shown = names[..names.len().min(5)].join(", ");
    if names.len() > 5 {
        format!("{shown}, …")
    } else {
        shown
    }
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::WavInteger => "WAV, integer",
        Encoding::WavFloat => "WAV, float",
        Encoding::Flac => "FLAC",
        Encoding::LogMelBin => "log-mel features",
        Encoding::Synthetic => "synthetic",
    }
}
