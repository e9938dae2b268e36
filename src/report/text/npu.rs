//! A network that Vela compiled, operation by operation.

use super::grid;
use crate::{
    report::npu::{Operation, Trace},
    units::{Bytes, Count},
};

/// The operations with their cycles, and what looks unsafe.
pub fn trace(trace: &Trace) -> String {
    let row = |operation: &Operation| {
        let number = match trace.operations.last() {
            Some(last) if last.job > 0 => format!("{}/{}", operation.job, operation.number),
            _ => operation.number.to_string(),
        };
        let constants = match operation.constant_bytes {
            0 => "–".to_string(),
            bytes => Bytes(bytes as u64).to_string(),
        };
        let utilisation = match operation.macs {
            0 => "–".to_string(),
            _ => format!("{:.0} %", 100.0 * operation.utilisation),
        };
        vec![
            number,
            operation.kind.to_string(),
            operation.what.clone(),
            constants,
            Count::from(operation.start as u128).to_string(),
            Count::from(operation.cycles as u128).to_string(),
            utilisation,
            operation.bottleneck.to_string(),
        ]
    };
    let rows = trace.operations.iter().map(row).collect();
    let table = grid(
        &[
            "op",
            "kind",
            "what",
            "constants",
            "start",
            "cycles",
            "used",
            "bottleneck",
        ],
        rows,
    );
    let mut text = format!(
        "{} on {}, {} MACs per cycle\n{table}\n{} cycles, estimated\n",
        trace.network,
        trace.target,
        trace.macs_per_cycle,
        Count::from(trace.cycles as u128)
    );
    for finding in &trace.findings {
        text += &format!("unsafe: {finding}\n");
    }
    text
}

/// Every command on a line.
pub fn commands(trace: &Trace) -> String {
    trace.commands.join("\n") + "\n"
}
