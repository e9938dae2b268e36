//! One line of JSON on the host's standard output, and an exit code, both by semihosting.

use core::fmt::{self, Write};

use cortex_m_semihosting::{nr, syscall};

use crate::{Failure, board, clock::Clock, input::InputError};
use nas_kernels::{
    Hop,
    blob::{BlobError, CHECKSUM_START},
};

/// What the host learns without reading the line.
#[derive(Clone, Copy)]
pub enum ExitCode {
    Ok = 0,
    OutputsDiffer = 1,
    /// The model or its inputs cannot be run.
    Refused = 2,
    Panic = 3,
    Fault = 4,
    /// Still running when the emulator's limit was reached.
    #[cfg(not(feature = "hardware"))]
    Limit = 5,
}

/// A finished run.
pub struct Report {
    /// Tensors or hops.
    pub count: usize,
    pub expected: Option<u64>,
    /// FNV-1a of all outputs.
    pub hash: u64,
    /// Of the slowest inference or hop.
    pub ticks: u64,
    /// Checking the blob, once.
    pub load_ticks: u64,
    pub stack_bytes: usize,
    pub arena_bytes: usize,
    /// Samples, scratch and features, where there were samples.
    pub front_end_bytes: Option<usize>,
    /// What the last hop brought.
    pub last: Option<Hop>,
    /// What ran the network, where it was not the core.
    pub npu: Option<&'static str>,
}

impl Report {
    pub fn new(count: usize) -> Report {
        Report {
            count,
            expected: None,
            hash: CHECKSUM_START,
            ticks: 0,
            load_ticks: 0,
            stack_bytes: 0,
            arena_bytes: 0,
            front_end_bytes: None,
            last: None,
            npu: None,
        }
    }

    /// Whether the outputs are those expected, where any were.
    pub fn matches(&self) -> Option<bool> {
        self.expected.map(|expected| expected == self.hash)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"{{"board":"{}","count":{},"outputs_hash":"{:016x}","clock":"{}","ticks":{},"load_ticks":{},"stack_bytes":{},"arena_bytes":{}"#,
            board::NAME,
            self.count,
            self.hash,
            Clock::UNIT,
            self.ticks,
            self.load_ticks,
            self.stack_bytes,
            self.arena_bytes
        )?;
        if let Some(npu) = self.npu {
            write!(f, r#","npu":"{npu}""#)?;
        }
        if let Some(bytes) = self.front_end_bytes {
            write!(f, r#","front_end_bytes":{bytes}"#)?;
        }
        if let Some((hop, score)) = self.last.and_then(|hop| Some((hop, hop.score?))) {
            write!(f, r#","score_bits":{}"#, score.to_bits())?;
            if let Some(anomaly) = hop.anomaly {
                write!(f, r#","anomaly":{anomaly}"#)?;
            }
        }
        if let Some(matches) = self.matches() {
            write!(f, r#","outputs_match":{matches}"#)?;
        }
        f.write_str("}")
    }
}

/// Prints why there is no result, and ends.
pub fn fail(failure: &Failure) -> ! {
    finish(
        ExitCode::Refused,
        format_args!(r#"{{"error":"{}","message":"{failure}"}}"#, failure.name()),
    )
}

impl Failure {
    /// A fixed name for programs.
    fn name(&self) -> &'static str {
        match self {
            Failure::Model(error) => match error {
                BlobError::NotAModel => "not-a-model",
                BlobError::OtherVersion { .. } => "other-version",
                BlobError::UnknownOperator { .. } => "missing-operator",
                BlobError::Section { .. } => "section",
                BlobError::ArenaTooSmall { .. } => "too-large",
                _ => "corrupt",
            },
            Failure::ModelTooLarge { .. } => "too-large",
            Failure::Input(_) | Failure::InputLength { .. } => "input",
            Failure::Stack => "stack",
            #[cfg(feature = "u55")]
            Failure::Npu(error) => error.name(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Model(error) => write!(f, "{error}"),
            Failure::ModelTooLarge { needed, found } => write!(
                f,
                "the model is too large: it has {needed} bytes and there is room for {found}"
            ),
            Failure::Input(InputError::Missing) => {
                f.write_str("there are no inputs: they should start with `NASINPUT`")
            }
            Failure::Input(InputError::OtherVersion(found)) => {
                write!(f, "the inputs have format version {found}, not 1")
            }
            Failure::Input(InputError::UnknownKind(kind)) => {
                write!(f, "the inputs are of kind {kind}, which is neither 1 nor 2")
            }
            Failure::Input(InputError::TooLarge) => {
                f.write_str("the inputs do not end within their region")
            }
            Failure::InputLength { expected, found } => write!(
                f,
                "the inputs have {found} bytes each and the model takes {expected}"
            ),
            Failure::Stack => f.write_str("the stack came down to the arena"),
            #[cfg(feature = "u55")]
            Failure::Npu(error) => write!(f, "{error}"),
        }
    }
}

/// Prints one line and ends the program with a code.
pub fn finish(code: ExitCode, line: fmt::Arguments<'_>) -> ! {
    let mut buffer = Line {
        bytes: [0; 512],
        length: 0,
    };
    // A line that is too long is cut.
    let _ = write!(buffer, "{line}");
    print(buffer.text());
    print(b"\n");
    loop {
        // SAFETY: the parameters are those of the call: a reason and a code.
        unsafe { syscall(SYS_EXIT_EXTENDED, &[APPLICATION_EXIT, code as usize]) };
    }
}

/// Writes to the host's standard output, as far as somebody reads it.
fn print(mut text: &[u8]) {
    const STDOUT: &core::ffi::CStr = c":tt";
    let name_len = STDOUT.count_bytes();
    // SAFETY: the parameters are those of the call: a name, how it is opened, and the bytes of the name.
    let file = unsafe { syscall!(OPEN, STDOUT.as_ptr(), nr::open::W_TRUNC, name_len) };
    while !text.is_empty() {
        // SAFETY: the parameters are those of the call: a file, where bytes begin, and their number.
        let unwritten = unsafe { syscall!(WRITE, file, text.as_ptr(), text.len()) };
        let Some(written) = text
            .len()
            .checked_sub(unwritten)
            .filter(|written| *written > 0)
        else {
            // A host that was killed: to try again would never end.
            return;
        };
        text = &text[written..];
    }
}

const SYS_EXIT_EXTENDED: usize = 0x20;
/// ADP_Stopped_ApplicationExit.
const APPLICATION_EXIT: usize = 0x20026;

struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Line {
    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}
