//! Post-training int8 quantisation: calibration, the quantised model, TFLite and blob writers.

use crate::graph::{Graph, Weights};

/// Scale and zero point of an int8 tensor: `real = scale * (q - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    pub scale: f32,
    pub zero_point: i32,
}

/// int8 weights of one operator; layouts as in [`crate::graph::OpWeights`].
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedOp {
    pub weight: Vec<i8>,
    /// One per output channel; a single one for FULLY_CONNECTED.
    pub weight_scales: Vec<f32>,
    pub bias: Vec<i32>,
}

/// A full-integer int8 network.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedModel {
    pub graph: Graph,
    /// One per tensor of the graph.
    pub tensors: Vec<QuantParams>,
    /// One per operator; `None` for operators without weights.
    pub ops: Vec<Option<QuantizedOp>>,
}

/// Quantises a trained network; `calibration` holds representative standardised windows.
pub fn quantize(_graph: &Graph, _weights: &Weights, _calibration: &[&[f32]]) -> QuantizedModel {
    todo!()
}
