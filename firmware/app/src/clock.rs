//! Time: processor cycles on a chip, SysTick in an emulator, which has no cycles but counts instructions with it.

use cortex_m::Peripherals;

/// A running counter; one tick is what [`Clock::UNIT`] says.
pub struct Clock {
    /// Ticks between two readings with nothing between them.
    overhead: u64,
}

impl Clock {
    pub fn start() -> Clock {
        // Taken once, at the start of `main`.
        let mut peripherals = Peripherals::take().expect("the peripherals are free");
        counter::start(&mut peripherals);
        let mut clock = Clock { overhead: 0 };
        clock.overhead = clock.since(clock.now());
        clock
    }

    pub const UNIT: &str = counter::UNIT;

    #[inline(never)]
    pub fn now(&self) -> u64 {
        counter::read()
    }

    /// Ticks since `start`, less what reading takes.
    pub fn since(&self, start: u64) -> u64 {
        counter::between(start, self.now()).saturating_sub(self.overhead)
    }
}

/// SysTick counts down 24 bits; its interrupt counts how often it wrapped.
#[cfg(not(feature = "hardware"))]
mod counter {
    use core::sync::atomic::{AtomicU32, Ordering};

    use cortex_m::peripheral::{Peripherals, SYST, syst::SystClkSource};
    use cortex_m_rt::exception;

    use crate::report::{self, ExitCode};

    pub const UNIT: &str = "systick";
    const RELOAD: u32 = 0xFF_FFFF;
    static WRAPS: AtomicU32 = AtomicU32::new(0);

    unsafe extern "C" {
        /// Of the linker script: a word beside the inputs.
        static __limit: u32;
    }

    pub fn start(peripherals: &mut Peripherals) {
        let timer = &mut peripherals.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
    }

    pub fn read() -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            if WRAPS.load(Ordering::Relaxed) == wraps {
                return u64::from(wraps) * u64::from(RELOAD + 1) + u64::from(RELOAD - current);
            }
        }
    }

    pub fn between(start: u64, end: u64) -> u64 {
        end - start
    }

    #[exception]
    fn SysTick() {
        let wraps = WRAPS.load(Ordering::Relaxed) + 1;
        WRAPS.store(wraps, Ordering::Relaxed);
        // SAFETY: the linker script gives a word of the emulator's memory, which is zero where nothing was loaded.
        let limit = unsafe { (&raw const __limit).read_volatile() };
        if limit != 0 && wraps >= limit {
            report::finish(
                ExitCode::Limit,
                format_args!(
                    r#"{{"error":"limit","message":"the limit of instructions is reached"}}"#
                ),
            );
        }
    }
}

/// The cycle counter of the DWT, 32 bits: an interval may last 2^32 cycles.
#[cfg(feature = "hardware")]
mod counter {
    use cortex_m::peripheral::{DWT, Peripherals};

    pub const UNIT: &str = "cycles";

    pub fn start(peripherals: &mut Peripherals) {
        crate::board::start(peripherals);
        peripherals.DCB.enable_trace();
        DWT::unlock();
        peripherals.DWT.set_cycle_count(0);
        peripherals.DWT.enable_cycle_counter();
    }

    pub fn read() -> u64 {
        u64::from(DWT::cycle_count())
    }

    /// The counter may have wrapped once.
    pub fn between(start: u64, end: u64) -> u64 {
        u64::from((end as u32).wrapping_sub(start as u32))
    }
}
