//! The memory plan: the place of every activation tensor in one arena.
//!
//! RESHAPE never moves data, and ADD may write over an input that is not needed afterwards. Tensors that share memory
//! in this way form one buffer. Buffers that live at the same time must not overlap.

use super::{Graph, OpKind, TensorId};

/// Every offset and every tensor's size in the arena is a multiple of this many bytes.
pub const ALIGNMENT: usize = 16;

/// Offsets of all int8 activation tensors in one arena, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Offset of each tensor of the graph, in the order of [`Graph::tensors`].
    pub offsets: Vec<usize>,
    /// Size of the arena in bytes.
    pub arena_bytes: usize,
}

/// The operators during which a tensor must keep its memory, by index, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// The operator that writes the tensor; 0 for the input.
    pub first: usize,
    /// The last operator that reads it; for the output, the number of operators.
    pub last: usize,
}

impl Lifetime {
    /// Whether the tensor keeps its memory while operator `op_idx` runs.
    pub fn covers(&self, op_idx: usize) -> bool {
        self.first <= op_idx && op_idx <= self.last
    }

    fn meets(&self, other: &Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Places the tensors of a graph in the smallest arena that several greedy orders find.
///
/// The first order is that of TFLite Micro (largest first). The search stops at the lower bound. Where an order misses
/// the bound, it is repaired a few times; for graphs of few buffers, all placements are then searched.
pub fn plan(graph: &Graph) -> MemoryPlan {
    let lifetimes = lifetimes(graph);
    let views = Buffers::of_views(graph, &lifetimes);
    let lower_bytes = views.lower_bound(graph);
    let has_add = graph.ops.iter().any(|op| op.kind == OpKind::Add);
    let sharings: &[Sharing] = if has_add {
        &[Sharing::PreferFirst, Sharing::PreferSecond, Sharing::Never]
    } else {
        &[Sharing::Never]
    };

    let mut best: Option<(usize, Vec<usize>, Buffers)> = None;
    for &sharing in sharings {
        let buffers = views.clone().share_adds(graph, sharing);
        let (bytes, offsets) = buffers.place(lower_bytes);
        if best.as_ref().is_none_or(|(least, ..)| bytes < *least) {
            best = Some((bytes, offsets, buffers));
        }
        if bytes == lower_bytes {
            break;
        }
    }
    let (arena_bytes, offsets, buffers) = best.expect("at least one way of sharing is tried");
    MemoryPlan {
        offsets: buffers.of_tensor.iter().map(|&idx| offsets[idx]).collect(),
        arena_bytes,
    }
}

/// The most bytes that are live at once; no arena can be smaller.
pub fn lower_bound(graph: &Graph) -> usize {
    Buffers::of_views(graph, &lifetimes(graph)).lower_bound(graph)
}

/// Live bytes while each operator runs. Tensors that share memory count once.
pub fn timeline(graph: &Graph) -> Vec<usize> {
    let views = Buffers::of_views(graph, &lifetimes(graph));
    (0..views.n_steps(graph))
        .map(|op_idx| views.live_bytes(graph, op_idx))
        .collect()
}

/// The tensors that are live while operator `op_idx` runs; a memory timeline draws them.
pub fn live_at(graph: &Graph, op_idx: usize) -> Vec<TensorId> {
    let lifetimes = lifetimes(graph);
    (0..graph.tensors.len())
        .filter(|&tensor| lifetimes[tensor].covers(op_idx))
        .collect()
}

/// The lifetime of every tensor.
///
/// The input lives from the first operator on. The output outlives the last operator.
pub fn lifetimes(graph: &Graph) -> Vec<Lifetime> {
    let mut lifetimes = vec![Lifetime { first: 0, last: 0 }; graph.tensors.len()];
    for (op_idx, op) in graph.ops.iter().enumerate() {
        for &input in &op.inputs {
            lifetimes[input].last = op_idx;
        }
        let output = &mut lifetimes[op.output];
        *output = Lifetime {
            first: op_idx,
            last: op_idx,
        };
    }
    for &output in graph.more_outputs.iter().chain([&graph.output]) {
        lifetimes[output].last = graph.ops.len();
    }
    lifetimes
}

/// Which input the output of an ADD replaces where it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    PreferFirst,
    PreferSecond,
    Never,
}

/// The key by which an order sorts, smallest first.
type OrderKey = fn(&Buffer) -> (usize, usize);

#[derive(Debug, Clone, Copy)]
struct Buffer {
    bytes: usize,
    life: Lifetime,
}

/// Tensors grouped by the memory that they share.
#[derive(Debug, Clone)]
struct Buffers {
    of_tensor: Vec<usize>,
    buffers: Vec<Buffer>,
}

/// Greedy orders. Each places a buffer in the lowest gap that fits.
const ORDERS: [OrderKey; 3] = [
    |buffer| (usize::MAX - buffer.bytes, buffer.life.first),
    |buffer| {
        let steps = buffer.life.last - buffer.life.first + 1;
        (usize::MAX - buffer.bytes.saturating_mul(steps), 0)
    },
    |buffer| (buffer.life.first, usize::MAX - buffer.bytes),
];

/// How often a greedy order is repaired.
const REPAIRS: usize = 12;

/// Where the greedy orders miss the lower bound, all placements are searched for graphs of at most this many buffers.
const SEARCHED_BUFFERS: usize = 7;

impl Buffers {
    /// One buffer per tensor, except that a RESHAPE's output lies in the buffer of its input.
    fn of_views(graph: &Graph, lifetimes: &[Lifetime]) -> Buffers {
        let mut of_tensor: Vec<usize> = (0..graph.tensors.len()).collect();
        let mut buffers: Vec<Buffer> = graph
            .tensors
            .iter()
            .zip(lifetimes)
            .map(|(shape, &life)| Buffer {
                bytes: shape.len().next_multiple_of(ALIGNMENT),
                life,
            })
            .collect();
        for op in graph.ops.iter().filter(|op| op.kind == OpKind::Reshape) {
            let (kept, merged) = (of_tensor[op.inputs[0]], of_tensor[op.output]);
            of_tensor[op.output] = kept;
            buffers[kept].life.last = buffers[kept].life.last.max(buffers[merged].life.last);
            buffers[merged].bytes = 0;
        }
        Buffers { of_tensor, buffers }
    }

    /// Lets the output of every ADD replace an input that is not needed afterwards.
    fn share_adds(mut self, graph: &Graph, sharing: Sharing) -> Buffers {
        for (op_idx, op) in graph.ops.iter().enumerate() {
            if op.kind != OpKind::Add {
                continue;
            }
            let candidates = match sharing {
                Sharing::PreferFirst => [op.inputs[0], op.inputs[1]],
                Sharing::PreferSecond => [op.inputs[1], op.inputs[0]],
                Sharing::Never => break,
            };
            let merged = self.of_tensor[op.output];
            let kept = candidates
                .map(|input| self.of_tensor[input])
                .into_iter()
                .find(|&idx| self.buffers[idx].life.last == op_idx);
            if let Some(kept) = kept {
                self.buffers[kept].life.last = self.buffers[merged].life.last;
                self.buffers[merged].bytes = 0;
                for idx in &mut self.of_tensor {
                    if *idx == merged {
                        *idx = kept;
                    }
                }
            }
        }
        self
    }

    fn n_steps(&self, graph: &Graph) -> usize {
        graph.ops.len().max(1)
    }

    fn lower_bound(&self, graph: &Graph) -> usize {
        (0..self.n_steps(graph))
            .map(|op_idx| self.live_bytes(graph, op_idx))
            .max()
            .unwrap_or(0)
    }

    /// Bytes that are live at one operator, for buffers that hold views only. An ADD works in place where it can.
    fn live_bytes(&self, graph: &Graph, op_idx: usize) -> usize {
        let live: usize = self
            .buffers
            .iter()
            .filter(|buffer| buffer.life.covers(op_idx))
            .map(|buffer| buffer.bytes)
            .sum();
        let shared = match graph.ops.get(op_idx) {
            Some(op) if op.kind == OpKind::Add => {
                let dies =
                    |&input: &TensorId| self.buffers[self.of_tensor[input]].life.last == op_idx;
                if op.inputs.iter().any(dies) {
                    self.buffers[self.of_tensor[op.output]].bytes
                } else {
                    0
                }
            }
            _ => 0,
        };
        live - shared
    }

    /// Arena bytes, and the offset of each buffer. The search ends early at `lower_bytes`.
    fn place(&self, lower_bytes: usize) -> (usize, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.buffers.len())
            .filter(|&idx| self.buffers[idx].bytes > 0)
            .collect();
        let mut offsets = vec![0; self.buffers.len()];
        let mut placed = Vec::with_capacity(order.len());
        let mut best_bytes = usize::MAX;
        let mut best_offsets = offsets.clone();
        for key in ORDERS {
            order.sort_unstable_by_key(|&idx| (key(&self.buffers[idx]), idx));
            for _ in 0..=REPAIRS {
                let bytes = self.first_fit(&order, &mut offsets, &mut placed);
                if bytes < best_bytes {
                    best_bytes = bytes;
                    best_offsets.copy_from_slice(&offsets);
                }
                if best_bytes == lower_bytes {
                    return (best_bytes, best_offsets);
                }
                // The highest buffer found its place taken, so it goes first in the next round.
                let end = |&idx: &usize| offsets[idx] + self.buffers[idx].bytes;
                if let Some(position) = order.iter().position(|idx| end(idx) == bytes) {
                    order[..=position].rotate_right(1);
                }
            }
        }
        if order.len() > SEARCHED_BUFFERS {
            return (best_bytes, best_offsets);
        }
        order.sort_unstable_by_key(|&idx| (ORDERS[0](&self.buffers[idx]), idx));
        let mut search = Search {
            buffers: &self.buffers,
            order: &order,
            is_placed: vec![false; self.buffers.len()],
            offsets,
            best_bytes,
            best_offsets,
            lower_bytes,
        };
        search.descend(0, (0, 0), 0);
        (search.best_bytes, search.best_offsets)
    }

    /// Puts each buffer at the lowest offset that is free during its life. Returns the arena bytes.
    fn first_fit(&self, order: &[usize], offsets: &mut [usize], placed: &mut Vec<usize>) -> usize {
        let mut arena_bytes = 0;
        placed.clear();
        for &idx in order {
            let buffer = &self.buffers[idx];
            let mut offset = 0;
            // `placed` is sorted by offset, so the first gap that is wide enough is the lowest.
            for &other_idx in placed.iter() {
                let other = &self.buffers[other_idx];
                if !other.life.meets(&buffer.life) {
                    continue;
                }
                if offset + buffer.bytes <= offsets[other_idx] {
                    break;
                }
                offset = offset.max(offsets[other_idx] + other.bytes);
            }
            offsets[idx] = offset;
            arena_bytes = arena_bytes.max(offset + buffer.bytes);
            let position = placed.partition_point(|&other| offsets[other] <= offset);
            placed.insert(position, idx);
        }
        arena_bytes
    }
}

/// Depth-first search over placements, from the bottom of the arena up.
///
/// Any packing can be pushed down until each buffer rests on a lower one that lives at the same time. So an optimum is
/// reached by placing buffers in the order of their offsets, each on top of those it meets.
struct Search<'a> {
    buffers: &'a [Buffer],
    order: &'a [usize],
    is_placed: Vec<bool>,
    offsets: Vec<usize>,
    best_bytes: usize,
    best_offsets: Vec<usize>,
    lower_bytes: usize,
}

impl Search<'_> {
    /// `lowest` is the offset and index of the buffer placed last; equal offsets go by index.
    fn descend(&mut self, n_placed: usize, lowest: (usize, usize), arena_bytes: usize) {
        if n_placed == self.order.len() {
            self.best_bytes = arena_bytes;
            self.best_offsets.copy_from_slice(&self.offsets);
            return;
        }
        if !self.can_improve() {
            return;
        }
        for &idx in self.order {
            if self.is_placed[idx] {
                continue;
            }
            if self.best_bytes == self.lower_bytes {
                return;
            }
            let offset = self.resting_offset(idx);
            let arena_bytes = arena_bytes.max(offset + self.buffers[idx].bytes);
            if (offset, idx) < lowest || arena_bytes >= self.best_bytes {
                continue;
            }
            self.is_placed[idx] = true;
            self.offsets[idx] = offset;
            self.descend(n_placed + 1, (offset, idx), arena_bytes);
            self.is_placed[idx] = false;
        }
    }

    /// False where some buffer that is not yet placed cannot end below the best arena so far.
    fn can_improve(&self) -> bool {
        let waiting = self.order.iter().filter(|&&idx| !self.is_placed[idx]);
        waiting
            .clone()
            .all(|&idx| self.resting_offset(idx) + self.buffers[idx].bytes < self.best_bytes)
    }

    fn resting_offset(&self, idx: usize) -> usize {
        let life = &self.buffers[idx].life;
        self.order
            .iter()
            .filter(|&&other| self.is_placed[other] && self.buffers[other].life.meets(life))
            .map(|&other| self.offsets[other] + self.buffers[other].bytes)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::graph::{GraphBuilder, Shape, Style, Window};

    /// Runs a plan on an arena of labels: every operator must still find its inputs whole.
    fn check_by_execution(graph: &Graph, plan: &MemoryPlan) {
        // A label is (value, element); views of one value carry the same label.
        let mut arena: Vec<Option<(usize, usize)>> = vec![None; plan.arena_bytes];
        let mut value_of: Vec<usize> = (0..graph.tensors.len()).collect();
        let range = |tensor: TensorId| {
            plan.offsets[tensor]..plan.offsets[tensor] + graph.tensors[tensor].len()
        };
        for element in 0..graph.input_shape().len() {
            arena[range(graph.input).start + element] = Some((graph.input, element));
        }
        let assert_whole = |arena: &[Option<(usize, usize)>], tensor, value| {
            for (element, label) in arena[range(tensor)].iter().enumerate() {
                assert_eq!(*label, Some((value, element)), "tensor {tensor} is damaged");
            }
        };
        for op in &graph.ops {
            for &input in &op.inputs {
                assert_whole(&arena, input, value_of[input]);
                let apart = range(input).end <= range(op.output).start
                    || range(op.output).end <= range(input).start;
                let same = plan.offsets[input] == plan.offsets[op.output];
                match op.kind {
                    OpKind::Reshape => assert!(same, "RESHAPE must not move data"),
                    // Element by element; each element is read before it is written.
                    OpKind::Add => assert!(apart || same, "ADD overlaps its input askew"),
                    _ => assert!(apart, "{:?} overwrites its input", op.kind),
                }
            }
            if op.kind == OpKind::Reshape {
                value_of[op.output] = value_of[op.inputs[0]];
                continue;
            }
            for element in 0..graph.op_output(op).len() {
                arena[range(op.output).start + element] = Some((op.output, element));
            }
        }
        assert_whole(&arena, graph.output, value_of[graph.output]);
    }

    /// Sum of all tensors, each rounded up.
    fn sum_bytes(graph: &Graph) -> usize {
        let bytes = |shape: &Shape| shape.len().next_multiple_of(ALIGNMENT);
        graph.tensors.iter().map(bytes).sum()
    }

    /// A random network. Each step picks an operator and earlier tensors by number.
    fn random_graph() -> impl Strategy<Value = Graph> {
        let step = (0usize..7, any::<prop::sample::Index>(), 1usize..5);
        let input = (1usize..9, 1usize..9, 1usize..5);
        (
            input,
            prop::collection::vec(step, 0..14),
            any::<prop::sample::Index>(),
        )
            .prop_map(|((height, width, channels), steps, output)| {
                let mut b = GraphBuilder::new(Shape::new(height, width, channels));
                let mut known = vec![0];
                for (kind, pick, size) in steps {
                    // Mostly the newest tensor, so graphs are deep; sometimes an older one.
                    let x = known[known.len() - 1 - pick.index(known.len().min(3))];
                    let shape = b.shape(x);
                    let made = match kind {
                        0 => b.conv(x, 8 * size, Window::same(3, 1), Style::LINEAR),
                        1 => b.depthwise(x, Window::same(3, 1 + size % 2), Style::LINEAR),
                        2 => b.dense(x, 10 * size, Style::LINEAR),
                        3 => b.reshape(x, Shape::vector(shape.len())),
                        4 if shape.len() < 4000 => b.upsample(x, [2, 2]),
                        _ => {
                            let twin = known.iter().rev().find(|&&y| b.shape(y) == shape && y != x);
                            b.add(x, *twin.unwrap_or(&x))
                        }
                    };
                    known.push(made);
                }
                let output = known[known.len() - 1 - output.index(known.len().min(2))];
                b.finish(output)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn plans_keep_live_tensors_apart(graph in random_graph()) {
            let plan = plan(&graph);
            check_by_execution(&graph, &plan);
            prop_assert!(plan.offsets.iter().all(|offset| offset % ALIGNMENT == 0));
            prop_assert!(plan.arena_bytes >= lower_bound(&graph));
            prop_assert!(plan.arena_bytes <= sum_bytes(&graph));
            prop_assert_eq!(timeline(&graph).into_iter().max(), Some(lower_bound(&graph)));
        }
    }

    #[test]
    fn arenas_of_known_networks() {
        fn check(build: impl Fn(&mut GraphBuilder) -> TensorId, input: Shape, arena_bytes: usize) {
            let mut b = GraphBuilder::new(input);
            let output = build(&mut b);
            let graph = b.finish(output);
            let plan = plan(&graph);
            check_by_execution(&graph, &plan);
            assert_eq!(plan.arena_bytes, arena_bytes);
        }
        let image = Shape::new(8, 8, 4);
        let window = Window::same(3, 1);
        // The head of TFLite Micro's arena for the DCASE autoencoder is 768 bytes: 640 in, 128 out.
        check(|b| b.dense(0, 128, Style::LINEAR), Shape::vector(640), 768);
        check(|_| 0, Shape::vector(5), 16);
        check(|b| b.reshape(0, Shape::vector(256)), image, 256);
        // x, two hidden tensors, and the sum in place of x: two at a time, with x beside them.
        check(
            |b| {
                let h = b.depthwise(0, window, Style::LINEAR);
                let h = b.depthwise(h, window, Style::LINEAR);
                b.add(0, h)
            },
            image,
            3 * 256,
        );
        // x is needed again, and so is h, so the sum cannot replace either.
        check(
            |b| {
                let h = b.depthwise(0, window, Style::LINEAR);
                let sum = b.add(0, h);
                let again = b.add(0, h);
                b.add(sum, again)
            },
            image,
            3 * 256,
        );
    }

    #[test]
    fn repairs_reach_the_lower_bound_where_greedy_orders_do_not() {
        // The head of a network of inverted residuals, in units of the alignment.
        let sizes = [
            (128, 0, 0),
            (512, 0, 1),
            (2560, 1, 2),
            (640, 2, 3),
            (384, 3, 4),
            (2304, 4, 5),
            (576, 5, 6),
            (48, 6, 19),
        ];
        let buffers = sizes.map(|(units, first, last)| Buffer {
            bytes: units * ALIGNMENT,
            life: Lifetime { first, last },
        });
        let set = Buffers {
            of_tensor: Vec::new(),
            buffers: buffers.to_vec(),
        };
        let lower_bytes = 3200 * ALIGNMENT;
        assert_eq!(set.place(lower_bytes).0, lower_bytes);
    }

    /// The smallest arena over all orders of placement, which include an optimum.
    fn least_by_brute_force(set: &Buffers, order: &mut Vec<usize>, fixed: usize) -> usize {
        if fixed == order.len() {
            let mut offsets = vec![0; set.buffers.len()];
            return set.first_fit(order, &mut offsets, &mut Vec::new());
        }
        let mut least = usize::MAX;
        for idx in fixed..order.len() {
            order.swap(fixed, idx);
            least = least.min(least_by_brute_force(set, order, fixed + 1));
            order.swap(fixed, idx);
        }
        least
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn small_plans_are_optimal(sizes in prop::collection::vec((1usize..9, 0usize..5, 0usize..4), 1..7)) {
            let buffers: Vec<Buffer> = sizes
                .into_iter()
                .map(|(bytes, first, steps)| Buffer {
                    bytes: bytes * ALIGNMENT,
                    life: Lifetime { first, last: first + steps },
                })
                .collect();
            let mut order = (0..buffers.len()).collect();
            let set = Buffers { of_tensor: Vec::new(), buffers };
            prop_assert_eq!(set.place(0).0, least_by_brute_force(&set, &mut order, 0));
        }
    }
}
