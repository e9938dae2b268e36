//! The bit fields of registers, in words, for a disassembly.

use crate::command::{Opcode, Register};

/// The mode of an operation in words.
pub fn describe_mode(opcode: Opcode, parameter: u16) -> Option<&'static str> {
    let mode = usize::from(parameter);
    match opcode {
        Opcode::Pool => ["MAX", "AVERAGE", "REDUCE_SUM"].get(mode).copied(),
        Opcode::Elementwise => {
            const MODES: [&str; 10] = [
                "MUL", "ADD", "SUB", "MIN", "MAX", "LRELU", "ABS", "CLZ", "SHR", "SHL",
            ];
            MODES.get(mode).copied()
        }
        _ => None,
    }
}

/// The parts of a register's value in words; `None` where it is one number.
pub fn describe(register: Register, value: u64) -> Option<String> {
    let bits = |from: u32, count: u32| (value >> from & ((1 << count) - 1)) as usize;
    let one_of = |names: &[&'static str], idx: usize| names.get(idx).copied().unwrap_or("unknown");
    let rounding = |idx| one_of(&["double rounding", "truncating", "natural rounding"], idx);
    let layout = |idx| one_of(&["NHWC", "NHCWB16"], idx);
    let sign = |bit: usize| if bit == 1 { "s" } else { "u" };
    let text = match register {
        Register::IfmPrecision | Register::Ifm2Precision => {
            let scaling = one_of(
                &["both operands by 16 bits", "A by 32 bits", "B by 32 bits"],
                bits(8, 2),
            );
            let (sign, width) = (sign(bits(0, 1)), 8 << bits(2, 2));
            let (layout, rounding) = (layout(bits(6, 2)), rounding(bits(14, 2)));
            format!("{sign}{width} {layout}, scales {scaling}, {rounding}")
        }
        Register::OfmPrecision => {
            let scaling = ["scales per channel", "one scale"][bits(8, 1)];
            let (sign, width) = (sign(bits(0, 1)), 8 << bits(1, 2));
            let (layout, rounding) = (layout(bits(6, 2)), rounding(bits(14, 2)));
            format!("{sign}{width} {layout}, {scaling}, {rounding}")
        }
        Register::KernelStride => format!(
            "stride {}x{}, dilation {}x{}, {}",
            1 + bits(1, 1) + 2 * bits(9, 1),
            1 + bits(0, 1) + 2 * bits(6, 1),
            1 + bits(4, 1),
            1 + bits(3, 1),
            ["depth first", "part of the kernel first"][bits(2, 1)],
        ),
        Register::Activation => {
            let function = match bits(0, 5) {
                0 => "clamp".to_string(),
                3 => "tanh".to_string(),
                4 => "sigmoid".to_string(),
                slot @ 16..=23 => format!("table {}", slot - 16),
                _ => "unknown".to_string(),
            };
            let range = match bits(12, 3) {
                0 => "as the output",
                2 => "u8",
                3 => "s8",
                5 => "s16",
                _ => "unknown",
            };
            format!("{function}, range {range}")
        }
        Register::Ifm2Broadcast => {
            const PARTS: [(u32, &str); 5] = [
                (0, "height"),
                (1, "width"),
                (2, "depth"),
                (6, "operands swapped"),
                (7, "scalar"),
            ];
            let set = PARTS.iter().filter(|(bit, _)| bits(*bit, 1) == 1);
            let set: Vec<&str> = set.map(|(_, name)| *name).collect();
            set.join(", ")
        }
        Register::IfmUpscale => {
            one_of(&["none", "nearest", "zeros between"], bits(0, 2)).to_string()
        }
        Register::AccFormat => one_of(&["i32", "i40", "f16"], bits(0, 2)).to_string(),
        Register::OfmScale | Register::OpaScale | Register::OpbScale => {
            format!("{} >> {}", value as u32, bits(32, 6))
        }
        Register::Dma0SrcRegion | Register::Dma0DstRegion => match bits(8, 1) {
            1 => "shared memory".to_string(),
            _ => format!("region {}", bits(0, 3)),
        },
        Register::ActivationMin
        | Register::ActivationMax
        | Register::IfmZeroPoint
        | Register::Ifm2ZeroPoint
        | Register::OfmZeroPoint
        | Register::Ifm2Scalar => format!("{} if signed", value as u16 as i16),
        Register::IfmStrideX
        | Register::IfmStrideY
        | Register::IfmStrideC
        | Register::OfmStrideX
        | Register::OfmStrideY
        | Register::OfmStrideC
        | Register::Ifm2StrideX
        | Register::Ifm2StrideY
        | Register::Ifm2StrideC => (value as u32 as i32).to_string(),
        _ => return None,
    };
    Some(text)
}
