//! QEMU plugin that counts, for every address, how often its instruction ran between two addresses.
//!
//! ```sh
//! qemu-system-arm … -plugin libnas_counter.so,start=0x1c0,stop=0x2f4,out=counts.txt
//! ```
//!
//! Counting begins before the instruction at `start` runs, ends before the one at `stop` runs, and goes on whenever
//! `start` is met again. The file has one line `address count` (hexadecimal, decimal) per address that ran.
//! Counts are exact: every executed instruction adds one, the end of a low-overhead loop included.
//!
//! The interface is version 1 of QEMU's plugin interface (QEMU 4.2 to 8), declared here because no package ships
//! its header; the symbols are found in the emulator that loads the plugin.
#![allow(
    unsafe_code,
    reason = "QEMU calls this library and is called by it in C"
)]

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    fmt::Write,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// What QEMU looks for before it loads the plugin.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

#[repr(C)]
struct Block(c_void);

#[repr(C)]
struct Instruction(c_void);

type ExecCallback = extern "C" fn(vcpu: c_uint, data: *mut c_void);

/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const INLINE_ADD: c_int = 0;
/// `QEMU_PLUGIN_CB_NO_REGS`.
const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut Block));
    fn qemu_plugin_register_atexit_cb(
        id: u64,
        callback: extern "C" fn(u64, *mut c_void),
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, idx: usize) -> *mut Instruction;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut Instruction,
        op: c_int,
        counter: *mut c_void,
        immediate: u64,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: ExecCallback,
        flags: c_int,
        data: *mut c_void,
    );
}

/// One address; QEMU's translated code adds to `executed` without calling us.
struct Counter {
    executed: Box<AtomicU64>,
    /// `executed` when counting began last.
    base: u64,
    counted: u64,
}

struct State {
    start: u64,
    stop: u64,
    out: String,
    counting: bool,
    counters: BTreeMap<u64, Counter>,
}

static STATE: Mutex<State> = Mutex::new(State {
    start: 0,
    stop: 0,
    out: String::new(),
    counting: false,
    counters: BTreeMap::new(),
});

/// Called by QEMU once; anything but 0 ends the emulator.
///
/// # Safety
/// `arguments` are `count` C strings, as QEMU passes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let arguments = (0..count as usize)
        // SAFETY: the caller's promise.
        .map(|idx| unsafe { CStr::from_ptr(*arguments.add(idx)) }.to_string_lossy());
    let mut state = STATE.lock().unwrap();
    for argument in arguments {
        let parsed = match argument.split_once('=') {
            Some(("start", value)) => address(value).map(|value| state.start = value),
            Some(("stop", value)) => address(value).map(|value| state.stop = value),
            Some(("out", path)) => {
                state.out = path.to_owned();
                Some(())
            }
            _ => None,
        };
        if parsed.is_none() {
            eprintln!("nas-counter: `{argument}` is none of start=ADDRESS, stop=ADDRESS, out=FILE");
            return 1;
        }
    }
    if state.out.is_empty() {
        eprintln!("nas-counter: out=FILE is missing");
        return 1;
    }
    // SAFETY: both callbacks live as long as the emulator.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
        qemu_plugin_register_atexit_cb(id, on_exit, std::ptr::null_mut());
    }
    0
}

fn address(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    // Bit 0 of a function's symbol says Thumb; instructions lie at even addresses.
    Some(u64::from_str_radix(digits, 16).ok()? & !1)
}

extern "C" fn on_translation(_id: u64, block: *mut Block) {
    let mut state = STATE.lock().unwrap();
    let (start, stop) = (state.start, state.stop);
    // SAFETY: `block` and its instructions are valid during this call; counters are boxed and never dropped.
    unsafe {
        for idx in 0..qemu_plugin_tb_n_insns(block) {
            let instruction = qemu_plugin_tb_get_insn(block, idx);
            let address = qemu_plugin_insn_vaddr(instruction);
            let counter = state.counters.entry(address).or_insert_with(|| Counter {
                executed: Box::new(AtomicU64::new(0)),
                base: 0,
                counted: 0,
            });
            let executed: *mut u64 = counter.executed.as_ptr();
            // QEMU runs callbacks before inline operations, so the instruction at `start` is counted.
            if address == start {
                on_execution(instruction, begin);
            } else if address == stop {
                on_execution(instruction, end);
            }
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD, executed.cast(), 1);
        }
    }
}

/// # Safety
/// `instruction` belongs to the block that is being translated.
unsafe fn on_execution(instruction: *mut Instruction, callback: ExecCallback) {
    // SAFETY: the caller's promise; `callback` lives as long as the emulator.
    unsafe {
        qemu_plugin_register_vcpu_insn_exec_cb(
            instruction,
            callback,
            NO_REGISTERS,
            std::ptr::null_mut(),
        );
    }
}

extern "C" fn begin(_vcpu: c_uint, _data: *mut c_void) {
    let mut state = STATE.lock().unwrap();
    if !std::mem::replace(&mut state.counting, true) {
        for counter in state.counters.values_mut() {
            counter.base = counter.executed.load(Ordering::Relaxed);
        }
    }
}

extern "C" fn end(_vcpu: c_uint, _data: *mut c_void) {
    let mut state = STATE.lock().unwrap();
    if std::mem::replace(&mut state.counting, false) {
        for counter in state.counters.values_mut() {
            let executed = counter.executed.load(Ordering::Relaxed);
            counter.counted += executed - counter.base;
            // Addresses that are translated only later start from here.
            counter.base = executed;
        }
    }
}

extern "C" fn on_exit(_id: u64, _data: *mut c_void) {
    let state = STATE.lock().unwrap();
    let mut text = String::new();
    for (address, counter) in &state.counters {
        if counter.counted > 0 {
            let _ = writeln!(text, "{address:08x} {}", counter.counted);
        }
    }
    if let Err(err) = std::fs::write(&state.out, text) {
        eprintln!("nas-counter: cannot write {}: {err}", state.out);
    }
}
