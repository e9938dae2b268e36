//! The C interface of `nas_model.h`: one detector, samples in, a score and a decision out.
//!
//! The names of all functions begin with the export's prefix, and that of the first ends with the model's checksum: two exports
//! with the same prefix do not link.
#![no_std]

use core::{cell::UnsafeCell, ffi::c_void, panic::PanicInfo, slice};

use nas_kernels::{Gate, Hop, Model, Stream, alarm::AlarmRule};

/// The codes of `nas_model.h`.
const NORMAL: i32 = 0;
const ANOMALY: i32 = 1;
const NO_SCORE: i32 = 2;
const NO_THRESHOLD: i32 = 3;
const ERROR_MODEL: i32 = -1;
const ERROR_MEMORY: i32 = -2;
const ERROR_NOT_READY: i32 = -3;
const ERROR_BUSY: i32 = -4;
const ERROR_RULE: i32 = -5;

/// `nas_rule` of `nas_model.h`.
#[repr(C)]
pub struct Rule {
    threshold: f32,
    release: f32,
    ready: u32,
    needed: u32,
    of: u32,
    hold: u32,
}

const ALIGNMENT: usize = 16;

#[repr(C, align(16))]
struct Aligned<T>(T);

const LENGTH: usize = include_bytes!(env!("NAS_MODEL")).len();
#[unsafe(link_section = ".nas_model")]
static MODEL: Aligned<[u8; LENGTH]> = Aligned(*include_bytes!(env!("NAS_MODEL")));

struct Detector {
    stream: Stream<'static, 'static>,
    /// What the last complete frame brought.
    last: Option<Hop>,
}

struct Single<T>(UnsafeCell<Option<T>>);

// SAFETY: only who holds the pass of `GATE` looks inside.
unsafe impl<T> Sync for Single<T> {}

/// The detector's model, which it borrows.
static PARSED: Single<Model<'static>> = Single(UnsafeCell::new(None));
static DETECTOR: Single<Detector> = Single(UnsafeCell::new(None));
/// Lets one interface function in at a time, also where an interrupt calls one.
static GATE: Gate = Gate::new();

/// # Safety
/// The caller holds the pass of `GATE`, and looks inside once.
unsafe fn detector() -> &'static mut Option<Detector> {
    // SAFETY: by contract.
    unsafe { &mut *DETECTOR.0.get() }
}

/// # Safety
/// `memory` is as the header says.
#[unsafe(export_name = concat!(env!("NAS_PREFIX"), "_init_", env!("NAS_ID")))]
pub unsafe extern "C" fn nas_init(memory: *mut c_void, bytes: usize, class: u32) -> i32 {
    let Some(_pass) = GATE.enter() else {
        return ERROR_BUSY;
    };
    // SAFETY: the pass is held until the end.
    let detector = unsafe { detector() };
    *detector = None;
    let Ok(model) = Model::parse(&MODEL.0) else {
        return ERROR_MODEL;
    };
    // SAFETY: the pass is held, and the detector that borrowed the model before is gone.
    let model: &'static Model<'static> = unsafe { (*PARSED.0.get()).insert(model) };
    let (arena_bytes, stream_bytes) = (model.arena_bytes(), model.stream_bytes());
    let is_aligned = (memory as usize).is_multiple_of(ALIGNMENT) && arena_bytes.is_multiple_of(4);
    if memory.is_null() || !is_aligned || bytes < arena_bytes + stream_bytes {
        return ERROR_MEMORY;
    }
    // SAFETY: the caller gives so much memory, for good.
    let (arena, rest) = unsafe {
        let rest = memory.byte_add(arena_bytes).cast::<u32>();
        (
            slice::from_raw_parts_mut(memory.cast::<i8>(), arena_bytes),
            slice::from_raw_parts_mut(rest, stream_bytes / 4),
        )
    };
    match Stream::new(model, class as usize, arena, rest) {
        Ok(stream) => {
            *detector = Some(Detector { stream, last: None });
            0
        }
        Err(_) => ERROR_MODEL,
    }
}

/// # Safety
/// `samples` points to `count` samples.
#[unsafe(export_name = concat!(env!("NAS_PREFIX"), "_push_samples"))]
pub unsafe extern "C" fn nas_push_samples(samples: *const i16, count: usize) -> i32 {
    let Some(_pass) = GATE.enter() else {
        return ERROR_BUSY;
    };
    // SAFETY: the pass is held until the end.
    let Some(Detector { stream, last }) = (unsafe { detector() }) else {
        return ERROR_NOT_READY;
    };
    if samples.is_null() || count == 0 {
        return 0;
    }
    // SAFETY: by contract.
    let mut samples = unsafe { slice::from_raw_parts(samples, count) };
    let mut scored = 0;
    while let Some(hop) = stream.next(&mut samples) {
        scored += i32::from(hop.window_score.is_some());
        *last = Some(hop);
    }
    scored
}

/// # Safety
/// `score` is null or points to a float.
#[unsafe(export_name = concat!(env!("NAS_PREFIX"), "_score"))]
pub unsafe extern "C" fn nas_score(score: *mut f32) -> i32 {
    let Some(_pass) = GATE.enter() else {
        return ERROR_BUSY;
    };
    // SAFETY: the pass is held until the end.
    let Some(detector) = (unsafe { detector() }) else {
        return ERROR_NOT_READY;
    };
    let Some((value, hop)) = detector.last.and_then(|hop| Some((hop.score?, hop))) else {
        return NO_SCORE;
    };
    if !score.is_null() {
        // SAFETY: by contract.
        unsafe { score.write(value) };
    }
    match hop.anomaly {
        Some(true) => ANOMALY,
        Some(false) => NORMAL,
        None => NO_THRESHOLD,
    }
}

/// # Safety
/// `rule` is null or points to a rule.
#[unsafe(export_name = concat!(env!("NAS_PREFIX"), "_get_rule"))]
pub unsafe extern "C" fn nas_get_rule(rule: *mut Rule) -> i32 {
    let Some(_pass) = GATE.enter() else {
        return ERROR_BUSY;
    };
    // SAFETY: the pass is held until the end.
    let Some(Detector { stream, .. }) = (unsafe { detector() }) else {
        return ERROR_NOT_READY;
    };
    let (threshold, alarm) = stream.rule();
    if !rule.is_null() {
        let found = Rule {
            threshold: threshold.unwrap_or(0.0),
            release: alarm.release,
            ready: alarm.ready,
            needed: alarm.needed,
            of: alarm.of,
            hold: alarm.hold,
        };
        // SAFETY: by contract.
        unsafe { rule.write(found) };
    }
    match threshold {
        Some(_) => 0,
        None => NO_THRESHOLD,
    }
}

/// # Safety
/// `rule` is null or points to a rule.
#[unsafe(export_name = concat!(env!("NAS_PREFIX"), "_set_rule"))]
pub unsafe extern "C" fn nas_set_rule(rule: *const Rule) -> i32 {
    let Some(_pass) = GATE.enter() else {
        return ERROR_BUSY;
    };
    // SAFETY: the pass is held until the end.
    let Some(Detector { stream, last }) = (unsafe { detector() }) else {
        return ERROR_NOT_READY;
    };
    // SAFETY: by contract.
    let Some(rule) = (unsafe { rule.as_ref() }) else {
        return ERROR_RULE;
    };
    let alarm = AlarmRule {
        settle: stream.rule().1.settle,
        ready: rule.ready,
        release: rule.release,
        needed: rule.needed,
        of: rule.of,
        hold: rule.hold,
    };
    if stream.follow(Some(rule.threshold), alarm).is_err() {
        return ERROR_RULE;
    }
    if let Some(last) = last {
        (last.score, last.anomaly) = stream.now();
    }
    0
}

#[unsafe(export_name = concat!(env!("NAS_PREFIX"), "_clipped"))]
pub extern "C" fn nas_clipped() -> u32 {
    let Some(_pass) = GATE.enter() else {
        return 0;
    };
    // SAFETY: the pass is held until the end.
    let detector = unsafe { detector() };
    detector
        .as_ref()
        .map_or(0, |detector| detector.stream.clipped())
}

#[unsafe(export_name = concat!(env!("NAS_PREFIX"), "_reset"))]
pub extern "C" fn nas_reset() -> i32 {
    let Some(_pass) = GATE.enter() else {
        return ERROR_BUSY;
    };
    // SAFETY: the pass is held until the end.
    let Some(Detector { stream, last }) = (unsafe { detector() }) else {
        return ERROR_NOT_READY;
    };
    stream.reset();
    *last = None;
    0
}

/// Nothing above panics; if it did, a watchdog would find out.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
