//! The facts of the memory timeline: tensors as blocks of the arena over operators.

use super::network::operator_name;
use crate::graph::{
    Graph, Shape,
    memory::{ALIGNMENT, lifetimes, plan, timeline},
};

/// The arena of a network while its operators run.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryMap {
    /// Name of the network.
    pub name: String,
    /// Names of the operators in execution order.
    pub operators: Vec<String>,
    /// The tensors in the arena.
    pub blocks: Vec<Block>,
    /// Size of the whole arena in bytes.
    pub arena_bytes: usize,
    /// Most bytes that are live at once.
    pub peak_bytes: usize,
    /// Index of the first operator at which `peak_bytes` are live.
    pub peak_op: usize,
}

/// A tensor in the arena; views of the same memory are one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Index of the operator that writes it, and its shape, as text.
    pub label: String,
    /// Its shape alone, as text.
    pub short: String,
    /// First operator during which it must keep its memory.
    pub first: usize,
    /// Last operator during which it must keep its memory.
    pub last: usize,
    /// Bytes from the arena's start to the block.
    pub offset: usize,
    /// Size in bytes, a multiple of [`ALIGNMENT`].
    pub bytes: usize,
}

impl MemoryMap {
    /// Plans the arena of `graph`; `name` is shown with it.
    pub fn new(name: &str, graph: &Graph) -> MemoryMap {
        let (plan, lifetimes) = (plan(graph), lifetimes(graph));
        let operators: Vec<String> = graph.ops.iter().map(|op| operator_name(&op.kind)).collect();
        let last_op = graph.ops.len().saturating_sub(1);
        let mut writers = vec![None; graph.tensors.len()];
        for (idx, op) in graph.ops.iter().enumerate() {
            writers[op.output] = Some(idx);
        }
        let mut blocks: Vec<Block> = Vec::new();
        for (tensor, shape) in graph.tensors.iter().enumerate() {
            let Shape {
                height,
                width,
                channels,
            } = *shape;
            let short = match (height, width) {
                (1, 1) => channels.to_string(),
                _ => format!("{height}x{width}x{channels}"),
            };
            let maker = match writers[tensor] {
                Some(idx) => idx.to_string(),
                None => "input".to_string(),
            };
            let block = Block {
                label: format!("{maker}: {short}"),
                short,
                first: lifetimes[tensor].first,
                last: lifetimes[tensor].last.min(last_op),
                offset: plan.offsets[tensor],
                bytes: shape.len().next_multiple_of(ALIGNMENT),
            };
            // A view and a sum in place use the memory of their input.
            let before = blocks.iter_mut().find(|other| {
                (other.offset, other.bytes) == (block.offset, block.bytes)
                    && other.last >= block.first
            });
            match before {
                Some(before) => before.last = before.last.max(block.last),
                None => blocks.push(block),
            }
        }
        let live = timeline(graph);
        let peak_bytes = live.iter().copied().max().unwrap_or(0);
        MemoryMap {
            name: name.to_string(),
            operators,
            blocks,
            arena_bytes: plan.arena_bytes,
            peak_bytes,
            peak_op: live
                .iter()
                .position(|bytes| *bytes == peak_bytes)
                .unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{GraphBuilder, Style, Window};

    #[test]
    fn views_and_sums_in_place_are_one_block() {
        let mut builder = GraphBuilder::new(Shape::new(8, 8, 4));
        let hidden = builder.depthwise(0, Window::same(3, 1), Style::LINEAR);
        let sum = builder.add(0, hidden);
        let flat = builder.reshape(sum, Shape::vector(256));
        let output = builder.dense(flat, 10, Style::LINEAR);
        let map = MemoryMap::new("net", &builder.finish(output));
        let lives: Vec<[usize; 3]> = map
            .blocks
            .iter()
            .map(|b| [b.first, b.last, b.bytes])
            .collect();
        assert_eq!(lives, [[0, 3, 256], [0, 1, 256], [3, 3, 16]]);
        assert_eq!((map.peak_bytes, map.peak_op), (512, 0));
    }
}
