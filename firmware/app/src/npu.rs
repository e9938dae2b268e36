//! The Ethos-U55 beside a Cortex-M55: its registers, and what the caches need before and after.
//!
//! No chip has run this; an emulator has no NPU, and there it ends with `no-npu`.

use cortex_m::Peripherals;
use nas_kernels::{
    blob,
    npu::{self, Addresses, MemoryPorts, NpuModel, Registers},
};

use crate::{Failure, clock::Clock, input::Tensors, memory::Ram, report::Report};

/// Corstone-300: `ethos-u-core-platform`, `targets/corstone-300/target.cpp`; ports by default of Arm's driver.
#[cfg(feature = "mps3-an547")]
mod chip {
    use super::MemoryPorts;

    pub const BASE: usize = 0x4810_2000;
    pub const PORTS: MemoryPorts = MemoryPorts {
        commands: 2,
        weights: 3,
        arena: 0,
        memory_type: 0,
    };
}

/// Alif Ensemble: `LOCAL_NPU_BASE` in `M55_HE_map.h` and `M55_HP_map.h` of Alif's CMSIS pack; both cores see their own
/// NPU there. Ports of `alif_mlek-cmsis-examples`, for MRAM.
#[cfg(any(feature = "alif-e7-he", feature = "alif-e7-hp"))]
mod chip {
    use super::MemoryPorts;

    pub const BASE: usize = 0x400E_1000;
    pub const PORTS: MemoryPorts = MemoryPorts {
        commands: 1,
        weights: 1,
        arena: 0,
        memory_type: 3,
    };
}

/// What the report says of what ran the network.
const NAME: &str = "ethos-u55, by a driver that no chip had run";

/// Bytes of a line of the data cache.
const CACHE_LINE: usize = 32;

/// Readings of the status before an inference counts as lost: seconds.
const POLLS: u32 = 50_000_000;

/// Whether a model was compiled for the NPU.
pub fn is_for(region: &[u8]) -> bool {
    region.starts_with(&npu::MAGIC)
}

/// Inference on every tensor.
pub fn run_network(
    region: &'static [u8],
    tensors: Tensors,
    ram: &mut Ram,
    clock: &Clock,
) -> Result<Report, Failure> {
    let started = clock.now();
    let model = parse(region)?;
    let load_ticks = clock.since(started);
    let (expected, found) = (model.input.len(), tensors.length);
    if expected != found {
        return Err(Failure::InputLength { expected, found });
    }
    let mut report = Report::new(tensors.iter().len());
    report.load_ticks = load_ticks;
    report.npu = Some(NAME);
    // No line of the cache holds bytes of the arena and others.
    let arena_bytes = model.arena_bytes.saturating_add(2 * CACHE_LINE);
    let (memory, _) = ram.split(arena_bytes, 0).map_err(Failure::Model)?;
    let skipped = memory.as_ptr().align_offset(CACHE_LINE);
    let arena = &mut memory[skipped..][..model.arena_bytes];
    let addresses = Addresses {
        commands: model.commands.as_ptr() as u32,
        weights: model.weights.as_ptr() as u32,
        arena: arena.as_ptr() as u32,
    };
    for bytes in tensors.iter() {
        for (slot, byte) in arena[model.input.clone()].iter_mut().zip(bytes) {
            *slot = *byte as i8;
        }
        let started = clock.now();
        empty_cache();
        npu::run(&mut Apb, &model, &addresses, chip::PORTS, POLLS).map_err(Failure::Npu)?;
        empty_cache();
        report.ticks = clock.since(started).max(report.ticks);
        let outputs = arena[model.output.clone()].iter();
        // SAFETY: a byte of the arena; the NPU wrote it behind the compiler's back.
        let outputs = outputs.map(|value| unsafe { core::ptr::from_ref(value).read_volatile() });
        report.hash = blob::checksum_from(report.hash, outputs.map(|value| value as u8));
    }
    let stack = ram.peak_stack(arena_bytes, 0);
    report.stack_bytes = stack.ok_or(Failure::Stack)?;
    report.arena_bytes = model.arena_bytes;
    Ok(report)
}

/// The blob without what follows it in its region.
fn parse(region: &'static [u8]) -> Result<NpuModel<'static>, Failure> {
    let claimed = crate::claimed_length(region);
    if claimed > region.len() {
        return Err(Failure::ModelTooLarge {
            needed: claimed,
            found: region.len(),
        });
    }
    let length = claimed.clamp(npu::HEADER_BYTES, region.len());
    NpuModel::parse(&region[..length]).map_err(Failure::Npu)
}

/// Memory gets what the data cache holds, and the cache forgets it: for the NPU, which sees memory alone.
fn empty_cache() {
    // SAFETY: the program has one thread, and nothing else holds the system control block now.
    let mut peripherals = unsafe { Peripherals::steal() };
    cortex_m::asm::dsb();
    if cfg!(feature = "hardware") {
        let scb = &mut peripherals.SCB;
        scb.clean_invalidate_dcache(&mut peripherals.CPUID);
    }
    cortex_m::asm::dsb();
}

/// The registers where the chip has them.
struct Apb;

impl Registers for Apb {
    fn read(&mut self, offset: usize) -> u32 {
        // SAFETY: a register of the NPU; reading has no effect on memory.
        unsafe { ((chip::BASE + offset) as *const u32).read_volatile() }
    }

    fn write(&mut self, offset: usize, value: u32) {
        // SAFETY: a register of the NPU; what it makes the NPU write lies in the arena that the driver was given.
        unsafe { ((chip::BASE + offset) as *mut u32).write_volatile(value) }
    }
}
