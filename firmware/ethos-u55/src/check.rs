//! Checks of what equal outputs cannot show: the hardware overlaps operations, this model does not.
//!
//! A kernel or a copy starts as soon as the one before it was started. Up to two kernels and one copy wait or run at
//! a time; NPU_OP_KERNEL_WAIT and NPU_OP_DMA_WAIT hold the stream back. Kernels run in their order, and the blocks at
//! the start of one overlap with those at the end of the one before as far as BLOCKDEP lets them. The rules are those
//! that Vela keeps (`ethos_u55_register_cs_generator.cpp`, `register_command_stream_util.py`, Apache-2.0).

use core::fmt;
use std::collections::VecDeque;

use crate::{
    accelerator::{Accelerator, TABLE_SLOT_BYTES},
    block::{self, Blocks},
    error::{Access, Problem},
    feature_map::FeatureMap,
    memory::Memory,
    operation::{Action, Kernel, Place, Span, Step, Transfer, Upscale},
    stream::Stream,
};

/// Something that the hardware may stumble over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Number of the operation.
    pub operation: usize,
    /// Byte of its command in the stream.
    pub offset: usize,
    /// What it is.
    pub hazard: Hazard,
}

/// What the hardware may stumble over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hazard {
    /// An operation starts while another one may still run that writes what it accesses, or reads what it writes.
    Race {
        /// The operation that may still run.
        with: usize,
        /// What the later one does to the bytes.
        access: &'static str,
        /// The region of the later one, `None` for the shared memory.
        region: Option<u8>,
        /// First byte and the one behind the last, from the start of the region.
        bytes: [i64; 2],
    },
    /// Blocks at the start of a kernel read what blocks at the end of the one before write, at the same time.
    BlockDependency {
        /// BLOCKDEP as it is.
        found: u8,
        /// The largest that is safe.
        safe: u8,
    },
    /// An access outside of its region.
    Access(Problem),
    /// An address, length or stride that should be a multiple of something.
    Alignment {
        /// What it is.
        what: &'static str,
        /// Its value.
        value: i64,
        /// What it should be a multiple of.
        of: i64,
    },
    /// A part of the shared memory is too small for the block.
    SharedMemory {
        /// The part.
        what: &'static str,
        /// The bank that the registers say.
        found: usize,
        /// The bank at which it would have to end or start.
        needed: usize,
    },
    /// Maps of so many pieces that races and dependencies of the kernel were not looked for.
    Unchecked {
        /// Pieces of its maps that do not follow each other in memory, at most.
        pieces: usize,
    },
    /// A table that was never loaded, or was overwritten since.
    Table {
        /// First slot of the table.
        slot: usize,
        /// The kernel that has overwritten it.
        overwritten_by: Option<usize>,
    },
}

/// Checks a stream against the memory that it is to run on; nothing is run.
pub fn check(stream: &Stream, accelerator: &Accelerator, memory: &Memory) -> Vec<Finding> {
    let mut checker = Checker {
        accelerator,
        memory,
        findings: Vec::new(),
        kernels: VecDeque::new(),
        copies: VecDeque::new(),
        before: None,
        slots: vec![Slot::Empty; accelerator.shared_bytes() / TABLE_SLOT_BYTES],
        pieces: ALLOWED_PIECES,
    };
    for step in &stream.steps {
        match &step.action {
            Action::Stop => break,
            Action::Interrupt => {}
            Action::WaitForCopies(most) => wait(&mut checker.copies, *most),
            Action::WaitForKernels(most) => wait(&mut checker.kernels, *most),
            Action::Transfer(transfer) => checker.transfer(step, transfer),
            Action::Kernel(kernel) => checker.kernel(step, kernel),
        }
    }
    checker.findings
}

/// Kernels that wait or run at a time.
const KERNELS: usize = 2;
/// The same of copies.
const COPIES: usize = 1;
/// Pieces of maps that a check looks at; those of real networks are some thousands per kernel.
const ALLOWED_PIECES: usize = 1 << 24;
/// Most blocks that overlap.
const OVERLAP: usize = 3;

fn wait(running: &mut VecDeque<Footprint>, most: u16) {
    while running.len() > usize::from(most) {
        running.pop_front();
    }
}

/// Bytes in one memory; regions in the same memory have the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Touched {
    memory: Option<usize>,
    /// The region, and where it starts in its memory.
    region: Option<u8>,
    origin: i64,
    /// Sorted, first bytes and those behind the last.
    spans: Vec<[i64; 2]>,
}

/// What an operation reads and writes.
#[derive(Debug, Clone, Default)]
struct Footprint {
    operation: usize,
    reads: Vec<Touched>,
    writes: Vec<Touched>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Empty,
    Loaded,
    OverwrittenBy(usize),
}

struct Checker<'c, 'a> {
    accelerator: &'c Accelerator,
    memory: &'c Memory<'a>,
    findings: Vec<Finding>,
    kernels: VecDeque<Footprint>,
    copies: VecDeque<Footprint>,
    /// The kernel before.
    before: Option<&'c Kernel>,
    /// 256 bytes of the shared memory each.
    slots: Vec<Slot>,
    /// Pieces of maps that may still be looked at.
    pieces: usize,
}

impl<'c> Checker<'c, '_> {
    fn find(&mut self, step: &Step, hazard: Hazard) {
        self.findings.push(Finding {
            operation: step.number,
            offset: step.offset,
            hazard,
        });
    }

    fn transfer(&mut self, step: &Step, transfer: &Transfer) {
        let Transfer { from, to, bytes } = *transfer;
        self.aligned(step, "the source of a copy", from.start, 16);
        self.aligned(step, "the destination of a copy", to.start, 16);
        self.aligned(step, "the length of a copy", bytes as i64, 16);
        let reads = self.place(step, "the source of a copy", from, bytes);
        let writes = self.place(step, "the destination of a copy", to, bytes);
        let footprint = Footprint {
            operation: step.number,
            reads: reads.into_iter().collect(),
            writes: writes.into_iter().collect(),
        };
        self.races(step, &footprint, true);
        if to.region.is_none() {
            let first = usize::try_from(to.start).unwrap_or(usize::MAX) / TABLE_SLOT_BYTES;
            let slots = self.slots.iter_mut().skip(first);
            let count = bytes.div_ceil(TABLE_SLOT_BYTES);
            slots.take(count).for_each(|slot| *slot = Slot::Loaded);
        }
        self.copies.push_back(footprint);
        wait(&mut self.copies, COPIES as u16);
    }

    fn kernel(&mut self, step: &Step, kernel: &'c Kernel) {
        self.kernel_alignment(step, kernel);
        self.shared_memory(step, kernel);
        self.table(step, kernel);
        // Maps that are larger than their region are refused without a look.
        let looked_at = kernel
            .maps()
            .filter(|map| map.check_size(self.memory).is_ok());
        let pieces = looked_at.map(FeatureMap::pieces);
        let pieces = pieces.fold(0, usize::saturating_add);
        let Some(left) = self.pieces.checked_sub(pieces) else {
            self.find(step, Hazard::Unchecked { pieces });
            self.before = None;
            return;
        };
        self.pieces = left;
        let footprint = self.footprint(step, kernel);
        self.races(step, &footprint, false);
        if let Some(before) = self.before {
            self.block_dependency(step, before, kernel);
        }
        self.before = Some(kernel);
        self.kernels.push_back(footprint);
        wait(&mut self.kernels, KERNELS as u16);
    }

    fn footprint(&mut self, step: &Step, kernel: &Kernel) -> Footprint {
        let mut reads = Vec::new();
        let maps = [Some(&kernel.ifm), kernel.second()];
        for map in maps.into_iter().flatten() {
            reads.extend(self.map(step, map));
        }
        if let Some(constants) = kernel.constants() {
            for (what, span) in [
                ("the stream of weights", constants.weights),
                ("the scales", constants.scales),
            ] {
                let Span {
                    region,
                    start,
                    bytes,
                } = span;
                let place = Place {
                    region: Some(region),
                    start,
                };
                reads.extend(self.place(step, what, place, bytes));
            }
        }
        if let Some(table) = kernel.output.table {
            let start = self.accelerator.table_base() + TABLE_SLOT_BYTES * table.slot;
            reads.push(shared([start, start + table.bytes()]));
        }
        let mut writes: Vec<Touched> = self.map(step, &kernel.ofm).into_iter().collect();
        writes.push(shared([0, self.working_bytes(kernel)]));
        Footprint {
            operation: step.number,
            reads,
            writes,
        }
    }

    /// Bytes of the shared memory that inputs and accumulators of a kernel may take.
    fn working_bytes(&self, kernel: &Kernel) -> usize {
        let keeps_tables = kernel.output.table.is_some() || self.accelerator.reserved_banks > 0;
        match keeps_tables {
            true => self.accelerator.table_base(),
            false => self.accelerator.shared_bytes(),
        }
    }

    /// Bytes of a feature map, `None` where they are not in its region.
    fn map(&mut self, step: &Step, map: &FeatureMap) -> Option<Touched> {
        if let Err(problem) = map.check_size(self.memory) {
            self.find(step, Hazard::Access(problem));
            return None;
        }
        let shape = map.shape;
        let spans = map.spans([0; 3], [shape.height, shape.width, shape.depth]);
        self.touched(step, map.what, Some(map.region), spans)
    }

    fn place(
        &mut self,
        step: &Step,
        what: &'static str,
        place: Place,
        bytes: usize,
    ) -> Option<Touched> {
        let end = place.start.saturating_add_unsigned(bytes as u64);
        self.touched(step, what, place.region, vec![[place.start, end]])
    }

    fn touched(
        &mut self,
        step: &Step,
        what: &'static str,
        region: Option<u8>,
        spans: Vec<[i64; 2]>,
    ) -> Option<Touched> {
        let size = match region {
            None => Some(self.accelerator.shared_bytes()),
            Some(region) => self.memory.bytes_of(region),
        };
        let Some(size) = size else {
            let region = region.unwrap_or(0);
            self.find(step, Hazard::Access(Problem::NoMemory { what, region }));
            return None;
        };
        let outside = spans
            .iter()
            .find(|[start, end]| *start < 0 || *end > size as i64);
        if let Some(&[start, end]) = outside {
            let access = Access {
                what,
                region,
                start,
                bytes: (end - start) as usize,
                size,
            };
            self.find(step, Hazard::Access(Problem::OutOfBounds(access)));
            return None;
        }
        let (memory, origin) = match region.and_then(|region| self.memory.identity(region)) {
            Some((memory, origin)) => (Some(memory), origin as i64),
            None => (None, 0),
        };
        let spans = spans.into_iter();
        Some(Touched {
            memory,
            region,
            origin,
            spans: spans.map(|span| span.map(|byte| byte + origin)).collect(),
        })
    }

    fn aligned(&mut self, step: &Step, what: &'static str, value: i64, of: i64) {
        if value.rem_euclid(of) != 0 {
            self.find(step, Hazard::Alignment { what, value, of });
        }
    }

    fn kernel_alignment(&mut self, step: &Step, kernel: &Kernel) {
        for map in kernel.maps() {
            let of = if map.is_brick { 16 } else { map.bytes as i64 };
            for base in map.base {
                self.aligned(step, map.what, base, of);
            }
            let [rows, columns, bricks] = map.stride;
            let other = if map.is_brick { bricks } else { columns };
            for stride in [rows, other] {
                self.aligned(step, "a stride of a feature map", stride, of);
            }
        }
        if let Some(constants) = kernel.constants() {
            for (what, span) in [
                ("the stream of weights", constants.weights),
                ("the scales", constants.scales),
            ] {
                self.aligned(step, what, span.start, 16);
                self.aligned(step, what, span.bytes as i64, 16);
            }
        }
    }

    fn shared_memory(&mut self, step: &Step, kernel: &Kernel) {
        let needed = block::needed(kernel, self.accelerator);
        let shared = kernel.shared;
        let input_end = match shared.second_start {
            // The second input follows the first.
            Some(start) => usize::from(start),
            None => usize::from(shared.input_end),
        };
        let start = usize::from(shared.accumulator_start);
        let mut short = |what: &'static str, found: usize, needed: usize| {
            self.findings.push(Finding {
                operation: step.number,
                offset: step.offset,
                hazard: Hazard::SharedMemory {
                    what,
                    found,
                    needed,
                },
            });
        };
        if input_end < needed.input_end {
            short("the input ends", input_end, needed.input_end);
        }
        if let Some(banks) = needed.second_banks {
            let (found, needed) = (usize::from(shared.input_end), input_end + banks);
            if found < needed {
                short("the second input ends", found, needed);
            }
        }
        if start > needed.accumulator_start {
            short("the accumulators start", start, needed.accumulator_start);
        }
        if usize::from(shared.input_end) > start {
            let found = usize::from(shared.input_end);
            short("the inputs end behind the accumulators,", found, start);
        }
    }

    /// Whether the table of a kernel is there; what the kernel overwrites.
    fn table(&mut self, step: &Step, kernel: &Kernel) {
        if let Some(table) = kernel.output.table {
            let first = self.accelerator.table_base() / TABLE_SLOT_BYTES + table.slot;
            let count = table.bytes() / TABLE_SLOT_BYTES;
            let slots = self.slots.iter().skip(first).take(count);
            let missing = slots.copied().find(|slot| *slot != Slot::Loaded);
            if let Some(missing) = missing {
                let overwritten_by = match missing {
                    Slot::OverwrittenBy(operation) => Some(operation),
                    _ => None,
                };
                let slot = table.slot;
                self.find(
                    step,
                    Hazard::Table {
                        slot,
                        overwritten_by,
                    },
                );
            }
        }
        let working = self.working_bytes(kernel) / TABLE_SLOT_BYTES;
        for slot in self.slots.iter_mut().take(working) {
            if *slot == Slot::Loaded {
                *slot = Slot::OverwrittenBy(step.number);
            }
        }
    }

    fn races(&mut self, step: &Step, footprint: &Footprint, is_copy: bool) {
        let mut found = Vec::new();
        let copies = self.copies.iter();
        // Kernels wait for kernels by BLOCKDEP.
        let kernels = self.kernels.iter().filter(|_| is_copy);
        for other in copies.chain(kernels) {
            let pairs = [
                ("reads", &footprint.reads, &other.writes),
                ("writes", &footprint.writes, &other.writes),
                ("writes", &footprint.writes, &other.reads),
            ];
            let race = pairs.into_iter().find_map(|(access, ours, theirs)| {
                let (touched, bytes) = meeting(ours, theirs)?;
                Some(Hazard::Race {
                    with: other.operation,
                    access,
                    region: touched.region,
                    bytes: bytes.map(|byte| byte - touched.origin),
                })
            });
            found.extend(race);
        }
        found.into_iter().for_each(|race| self.find(step, race));
    }

    fn block_dependency(&mut self, step: &Step, before: &Kernel, kernel: &Kernel) {
        let found = kernel.block_dependency;
        let safe = self.safe_block_dependency(before, kernel);
        if found > safe {
            self.find(step, Hazard::BlockDependency { found, safe });
        }
    }

    fn safe_block_dependency(&self, before: &Kernel, kernel: &Kernel) -> u8 {
        let loses_table = self.accelerator.reserved_banks == 0
            && before.output.table.is_some()
            && kernel.output.table.is_none();
        if loses_table {
            return 0;
        }
        let written = Blocks::of(before.ofm.shape, before.block);
        let last: Vec<Touched> = (0..written.count().min(OVERLAP))
            .filter_map(|back| {
                let [from, to] = written.bounds(written.count() - 1 - back);
                self.part(&before.ofm, from, to)
            })
            .collect();
        let first: Vec<Vec<Touched>> = (0..OVERLAP)
            .filter_map(|idx| self.job(kernel, idx))
            .collect();
        for dependency in 0..OVERLAP {
            let mut pairs = (0..=dependency)
                .filter_map(|idx| Some((first.get(idx)?, last.get(dependency - idx)?)));
            let meets = pairs
                .any(|(ours, theirs)| ours.iter().any(|ours| meeting_of(ours, theirs).is_some()));
            if meets {
                return dependency as u8;
            }
        }
        OVERLAP as u8
    }

    /// What the job with this number reads: one block of outputs, some channels of its input.
    fn job(&self, kernel: &Kernel, idx: usize) -> Option<Vec<Touched>> {
        let outputs = Blocks::of(kernel.ofm.shape, kernel.block);
        let Some(window) = kernel.window() else {
            if idx >= outputs.count() {
                return None;
            }
            let [from, to] = outputs.bounds(idx);
            let maps = [Some(&kernel.ifm), kernel.second()];
            let parts = maps.into_iter().flatten().filter_map(|map| {
                // Repeated dimensions are read from their start.
                let sides = [map.shape.height, map.shape.width, map.shape.depth];
                let first = [0, 1, 2].map(|axis| if sides[axis] == 1 { 0 } else { from[axis] });
                let end = [0, 1, 2].map(|axis| to[axis].min(sides[axis]));
                self.part(map, first, end)
            });
            return Some(parts.collect());
        };
        let depth = block::input_depth(kernel);
        let channels = kernel.ifm.shape.depth;
        let is_per_channel = depth == kernel.block.depth
            && !matches!(kernel.kind, crate::operation::Kind::Convolution(..));
        let steps = if is_per_channel {
            1
        } else {
            channels.div_ceil(depth)
        };
        if idx / steps >= outputs.count() {
            return None;
        }
        let [from, to] = outputs.bounds(idx / steps);
        let mut first = [0; 3];
        let mut end = [0; 3];
        let sides = [kernel.ifm.shape.height, kernel.ifm.shape.width];
        for axis in 0..2 {
            let start = (from[axis] * window.stride[axis]).saturating_sub(window.before[axis]);
            let reach = (to[axis] - 1) * window.stride[axis] + window.dilated()[axis];
            let reach = reach.saturating_sub(window.before[axis]);
            let scale = if window.upscale == Upscale::None {
                1
            } else {
                2
            };
            end[axis] = reach.div_ceil(scale).min(sides[axis]);
            first[axis] = (start / scale).min(end[axis]);
        }
        if is_per_channel {
            (first[2], end[2]) = (from[2], to[2]);
        } else {
            first[2] = idx % steps * depth;
            end[2] = (first[2] + depth).min(channels);
        }
        Some(self.part(&kernel.ifm, first, end).into_iter().collect())
    }

    fn part(&self, map: &FeatureMap, from: [usize; 3], to: [usize; 3]) -> Option<Touched> {
        let (memory, origin) = self.memory.identity(map.region)?;
        let origin = origin as i64;
        let spans = map.spans(from, to).into_iter();
        Some(Touched {
            memory: Some(memory),
            region: Some(map.region),
            origin,
            spans: spans.map(|span| span.map(|byte| byte + origin)).collect(),
        })
    }
}

/// Bytes of the shared memory.
fn shared([start, end]: [usize; 2]) -> Touched {
    Touched {
        memory: None,
        region: None,
        origin: 0,
        spans: vec![[start as i64, end as i64]],
    }
}

/// The first bytes that are in both lists, and the entry of the first list that has them.
fn meeting<'t>(ours: &'t [Touched], theirs: &[Touched]) -> Option<(&'t Touched, [i64; 2])> {
    ours.iter().find_map(|ours| {
        let bytes = theirs.iter().find_map(|theirs| meeting_of(ours, theirs))?;
        Some((ours, bytes))
    })
}

fn meeting_of(ours: &Touched, theirs: &Touched) -> Option<[i64; 2]> {
    if ours.memory != theirs.memory {
        return None;
    }
    let (mut a, mut b) = (ours.spans.iter().peekable(), theirs.spans.iter().peekable());
    while let (Some(one), Some(other)) = (a.peek(), b.peek()) {
        let (start, end) = (one[0].max(other[0]), one[1].min(other[1]));
        if start < end {
            return Some([start, end]);
        }
        if one[1] <= other[1] {
            a.next();
        } else {
            b.next();
        }
    }
    None
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            operation,
            offset,
            hazard,
        } = self;
        write!(f, "operation {operation}, byte {offset}: {hazard}")
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hazard::Race {
                with,
                access,
                region,
                bytes: [start, end],
            } => {
                write!(f, "it {access} bytes {start}..{end} of ")?;
                match region {
                    Some(region) => write!(f, "region {region}")?,
                    None => f.write_str("the shared memory")?,
                }
                write!(
                    f,
                    " while operation {with} may still run; a wait is missing"
                )
            }
            Hazard::BlockDependency { found, safe } => write!(
                f,
                "BLOCKDEP is {found}, but its blocks read what the last ones of the kernel before write; \
                 {safe} is safe"
            ),
            Hazard::Access(problem) => problem.fmt(f),
            Hazard::Alignment { what, value, of } => {
                write!(
                    f,
                    "{what} is at or of {value}, which is no multiple of {of}"
                )
            }
            Hazard::SharedMemory {
                what,
                found,
                needed,
            } => write!(f, "{what} at bank {found}, its block needs {needed}"),
            Hazard::Unchecked { pieces } => write!(
                f,
                "its feature maps lie in up to {pieces} pieces, too many to look for races"
            ),
            Hazard::Table {
                slot,
                overwritten_by: Some(operation),
            } => write!(
                f,
                "the table in slot {slot} was overwritten by operation {operation}"
            ),
            Hazard::Table { slot, .. } => write!(f, "the table in slot {slot} was never loaded"),
        }
    }
}
