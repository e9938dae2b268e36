//! Full-integer `.tflite` files.
//!
//! Field numbers and enum values come from TensorFlow's `schema.fbs`, version 3.

mod error;
mod file;
mod float;
mod names;
mod operators;
mod outline;
mod read;
mod slots;
mod vela;
mod write;

pub use error::ReadError;
pub use float::read_float;
pub use outline::{Operator, Outline, Unrun, operators};
pub use read::read;
pub use vela::npu_blob;
pub use write::write;

/// A builtin operator: code, version of its int8 form, tag of its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Builtin {
    code: i32,
    version: i32,
    options: u8,
}

const ADD: Builtin = builtin(0, 2, 11);
const AVERAGE_POOL_2D: Builtin = builtin(1, 2, 5);
const CONV_2D: Builtin = builtin(3, 3, 1);
const DEPTHWISE_CONV_2D: Builtin = builtin(4, 3, 2);
const DEQUANTIZE: Builtin = builtin(6, 2, 38);
const FULLY_CONNECTED: Builtin = builtin(9, 4, 8);
const LOGISTIC: Builtin = builtin(14, 2, 0);
const MAX_POOL_2D: Builtin = builtin(17, 2, 5);
const MUL: Builtin = builtin(18, 2, 21);
const RELU: Builtin = builtin(19, 2, 0);
const RELU6: Builtin = builtin(21, 2, 0);
const RESHAPE: Builtin = builtin(22, 1, 17);
const SOFTMAX: Builtin = builtin(25, 2, 9);
const TANH: Builtin = builtin(28, 2, 0);
const PAD: Builtin = builtin(34, 2, 22);
const MEAN: Builtin = builtin(40, 2, 27);
const SQUEEZE: Builtin = builtin(43, 1, 30);
const EXPAND_DIMS: Builtin = builtin(70, 1, 52);
const RESIZE_NEAREST_NEIGHBOR: Builtin = builtin(97, 2, 74);
const LEAKY_RELU: Builtin = builtin(98, 2, 75);
const QUANTIZE: Builtin = builtin(114, 2, 89);
const HARD_SWISH: Builtin = builtin(117, 1, 0);

const fn builtin(code: i32, version: i32, options: u8) -> Builtin {
    Builtin {
        code,
        version,
        options,
    }
}

const FLOAT16: i8 = 1;
const INT4: i8 = 17;
const INT16: i8 = 7;
const UINT8: i8 = 3;
const INT32: i8 = 2;
const INT8: i8 = 9;
const FLOAT32: i8 = 0;
const SCHEMA_VERSION: u32 = 3;
const IDENTIFIER: &str = "TFL3";
