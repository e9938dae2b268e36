//! The payload that Vela hands to a driver: a list of actions around one command stream.
//!
//! Words: `COP1`, then actions whose number is the lowest byte of a word. Source: `driver_actions.py` of Vela and
//! `ethosu_driver.c` of Arm's core driver, both Apache-2.0.

use core::{fmt, ops::Range};

/// What a driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// What CONFIG of the NPU should read: multipliers, command stream version, KiB of shared memory.
    pub config: u32,
    /// What ID of the NPU should read in its architecture.
    pub id: u32,
    /// Bytes of the command stream in the payload.
    pub commands: Range<usize>,
}

/// Why a payload is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadError {
    /// The first word is another one, or bytes are no whole words.
    NoStart,
    /// An action of an unknown number.
    Action {
        /// The number.
        number: u8,
        /// Byte at which it stands.
        offset: usize,
    },
    /// It ends within an action.
    CutOff {
        /// Byte at which the action stands.
        offset: usize,
    },
    /// No configuration, or no commands.
    Missing(&'static str),
    /// Two command streams.
    Twice,
}

const START: u32 = u32::from_le_bytes(*b"COP1");
const CONFIGURATION: u8 = 1;
const COMMANDS: u8 = 2;
const NOTHING: u8 = 5;

impl Payload {
    /// Reads one configuration and one command stream.
    pub fn read(bytes: &[u8]) -> Result<Payload, PayloadError> {
        let word = |offset: usize| {
            let word = bytes.get(offset..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*word))
        };
        if word(0) != Some(START) || !bytes.len().is_multiple_of(4) {
            return Err(PayloadError::NoStart);
        }
        let (mut configuration, mut commands) = (None, None);
        let mut offset = 4;
        while let Some(action) = word(offset) {
            let number = action as u8;
            let cut_off = PayloadError::CutOff { offset };
            offset = match number {
                NOTHING => offset + 4,
                CONFIGURATION => {
                    let values = (word(offset + 4), word(offset + 8));
                    let (Some(config), Some(id)) = values else {
                        return Err(cut_off);
                    };
                    configuration = Some((config, id));
                    offset + 12
                }
                COMMANDS if commands.is_some() => return Err(PayloadError::Twice),
                COMMANDS => {
                    // The length in words: the reserved byte above the 16 bits of the parameter.
                    let words = (action >> 8 & 0xFF) << 16 | action >> 16;
                    let start = offset + 4;
                    let end = start + 4 * words as usize;
                    if end > bytes.len() {
                        return Err(cut_off);
                    }
                    commands = Some(start..end);
                    end
                }
                number => return Err(PayloadError::Action { number, offset }),
            };
        }
        let (config, id) = configuration.ok_or(PayloadError::Missing("configuration"))?;
        let commands = commands.ok_or(PayloadError::Missing("command stream"))?;
        Ok(Payload {
            config,
            id,
            commands,
        })
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::NoStart => f.write_str("it does not start with `COP1` in whole words"),
            PayloadError::Action { number, offset } => {
                write!(f, "byte {offset}: action {number} is not known")
            }
            PayloadError::CutOff { offset } => {
                write!(f, "byte {offset}: it ends within an action")
            }
            PayloadError::Missing(what) => write!(f, "it has no {what}"),
            PayloadError::Twice => f.write_str("it has two command streams"),
        }
    }
}

impl core::error::Error for PayloadError {}
