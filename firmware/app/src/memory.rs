//! The regions of the linker script, and the RAM that is left: the arena from below, the stack from above.

use core::slice;

use cortex_m_rt::STACK_PAINT_VALUE;
use nas_kernels::blob::BlobError;

/// What lies at fixed addresses.
pub struct Memory {
    pub model: &'static [u8],
    pub input: &'static [u8],
}

/// From the end of the static data to the top of the stack; cortex-m-rt painted all of it before anything ran.
pub struct Ram {
    start: *mut u32,
    /// First byte after the stack.
    top: *mut u32,
}

/// Left for the stack when a model asks for an arena.
const STACK_RESERVE: usize = 8 * 1024;
/// Of the arena and of all tensors in it.
pub const ARENA_ALIGNMENT: usize = 16;

unsafe extern "C" {
    static __model_start: u8;
    static __model_end: u8;
    static __input_start: u8;
    static __input_end: u8;
    static mut _stack_end: u32;
    static mut _stack_start: u32;
}

/// Hands out all memory; to be called once.
pub fn take() -> (Memory, Ram) {
    let region = |start: *const u8, end: *const u8| {
        // SAFETY: the linker script gives both ends of a region that is memory and that nobody writes.
        unsafe { slice::from_raw_parts(start, end as usize - start as usize) }
    };
    let memory = Memory {
        model: region(&raw const __model_start, &raw const __model_end),
        input: region(&raw const __input_start, &raw const __input_end),
    };
    let start = (&raw mut _stack_end).map_addr(|address| address.next_multiple_of(ARENA_ALIGNMENT));
    let top = &raw mut _stack_start;
    (memory, Ram { start, top })
}

impl Ram {
    /// The places of the arena and of further memory, a multiple of 4 bytes; an error where too little is left for
    /// the stack.
    pub fn split(
        &mut self,
        arena_bytes: usize,
        more_bytes: usize,
    ) -> Result<(&mut [i8], &mut [u32]), BlobError> {
        let found = (self.top as usize - self.start as usize).saturating_sub(STACK_RESERVE);
        let first = arena_bytes.next_multiple_of(ARENA_ALIGNMENT);
        let needed = first.saturating_add(more_bytes);
        if needed > found {
            return Err(BlobError::ArenaTooSmall { needed, found });
        }
        // SAFETY: the RAM between static data and stack belongs to nobody else, and is borrowed once at a time.
        unsafe {
            let more = self.start.byte_add(first);
            Ok((
                slice::from_raw_parts_mut(self.start.cast(), arena_bytes),
                slice::from_raw_parts_mut(more, more_bytes / 4),
            ))
        }
    }

    /// Most bytes of stack in use since the reset; `None` where it may have come down to what [`Ram::split`] gave.
    pub fn peak_stack(&self, arena_bytes: usize, more_bytes: usize) -> Option<usize> {
        let used = arena_bytes.next_multiple_of(ARENA_ALIGNMENT) + more_bytes.next_multiple_of(4);
        let mut word = self.start.wrapping_byte_add(used);
        let end_of_arena = word;
        // SAFETY: all words up to the top of the stack are RAM.
        while word < self.top && unsafe { word.read_volatile() } == STACK_PAINT_VALUE {
            word = word.wrapping_add(1);
        }
        (word > end_of_arena).then_some(self.top as usize - word as usize)
    }
}

/// Parts of the image, at the fixed addresses.
#[cfg(feature = "embed")]
mod embedded {
    const MODEL_LENGTH: usize = include_bytes!(env!("NAS_MODEL")).len();
    const INPUT_LENGTH: usize = include_bytes!(env!("NAS_INPUT")).len();

    #[used]
    #[unsafe(link_section = ".model")]
    static MODEL: [u8; MODEL_LENGTH] = *include_bytes!(env!("NAS_MODEL"));
    #[used]
    #[unsafe(link_section = ".input")]
    static INPUT: [u8; INPUT_LENGTH] = *include_bytes!(env!("NAS_INPUT"));
}
