//! Reads operators with weights or constants, and checks them.

use nas_kernels::{blob::MAX_UPSAMPLE, ops::MAX_PRODUCT_SHIFT};

use super::{
    FLOAT32, INT8, INT16, INT32, UINT8,
    error::Problem,
    file::{MAX_ELEMENTS, MAX_WEIGHTS, Options, type_name},
    read::{ReadOp, Reader},
};
use crate::{
    graph::{Function, OpKind, Shape, Window},
    quant::{QuantizedOp, fixed_output, multiplier},
};

impl Reader<'_, '_> {
    /// CONV_2D.
    pub(super) fn convolution(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let dims = self.weight_dims(inputs)?;
        if dims[3] != from.channels {
            return Err(format!(
                "is grouped: its kernels have {} channels, but its input has {}",
                dims[3], from.channels
            )
            .into());
        }
        let window = Window {
            dilation: options.dilation([4, 5])?,
            ..options.window([dims[1] as i32, dims[2] as i32])?
        };
        check_extent(&window, dims[0] * dims[3])?;
        let weights = self.weights(inputs, dims[0], 0)?;
        let op = self.plain(OpKind::Conv2d(window), &inputs[..1], output)?;
        self.check_window(&window, &op)?;
        self.check_channels(&op, dims[0])?;
        Ok(ReadOp {
            activation: options.activation(3)?,
            weights: Some(weights),
            ..op
        })
    }

    /// Kernels for one input channel are a convolution's kernels in another order.
    pub(super) fn depthwise(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let dims = self.weight_dims(inputs)?;
        let (channels, multiplier) = (dims[3], options.i32(3, 0)?);
        let fits = usize::try_from(multiplier).ok().map(|m| m * from.channels) == Some(channels);
        if dims[0] != 1 || !fits {
            return Err(format!("has kernels of the shape {dims:?}").into());
        }
        let window = Window {
            dilation: options.dilation([5, 6])?,
            ..options.window([dims[1] as i32, dims[2] as i32])?
        };
        check_extent(&window, channels)?;
        let mut weights = self.weights(inputs, channels, 3)?;
        let kind = match (from.channels, multiplier) {
            (_, 1) => OpKind::DepthwiseConv2d(window),
            (1, _) => {
                let taps = window.taps();
                let at = |idx: usize| weights.weight[idx % taps * channels + idx / taps];
                weights.weight = (0..taps * channels).map(at).collect();
                OpKind::Conv2d(window)
            }
            _ => {
                return Err(format!(
                    "has a depth multiplier of {multiplier} over {} channels, and only 1 is supported",
                    from.channels
                )
                .into());
            }
        };
        let op = self.plain(kind, &inputs[..1], output)?;
        self.check_window(&window, &op)?;
        self.check_channels(&op, channels)?;
        Ok(ReadOp {
            activation: options.activation(4)?,
            weights: Some(weights),
            ..op
        })
    }

    /// FULLY_CONNECTED.
    pub(super) fn fully_connected(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let dims = self.weight_dims(inputs)?;
        let [1, 1, features, length] = dims else {
            return Err(format!("has weights of the shape {dims:?}").into());
        };
        let is_whole = length == from.len();
        if !is_whole && length != from.channels {
            return Err(format!(
                "has weights for {length} inputs, but its input has {} elements, {} in each row",
                from.len(),
                from.channels
            )
            .into());
        }
        if options.i8(1, 0)? != 0 {
            return Err("has shuffled weights".into());
        }
        let weights = self.weights(inputs, features, 0)?;
        let op = self.plain(OpKind::FullyConnected, &inputs[..1], output)?;
        let (height, width) = match is_whole {
            true => (1, 1),
            false => (from.height, from.width),
        };
        if self.shape(op.output) != Shape::new(height, width, features) {
            return Err("has an output and weights of different lengths".into());
        }
        Ok(ReadOp {
            activation: options.activation(0)?,
            weights: Some(weights),
            ..op
        })
    }

    /// PAD.
    pub(super) fn pad(&mut self, inputs: &[i32], output: i32) -> Result<ReadOp, Problem> {
        let input = self.input(inputs[0])?;
        let paddings = self.second(inputs)?.integers()?;
        let from = self.shape(input);
        let mut pairs = [[0; 2]; 4];
        let given = paddings.as_chunks::<2>().0;
        if given.len() > 4 || given.len() != self.tensor(inputs[0])?.dims.len() {
            return Err(format!("has paddings for {} dimensions", given.len()).into());
        }
        for (slot, pair) in pairs.iter_mut().rev().zip(given.iter().rev()) {
            let length = |n: i32| {
                usize::try_from(n)
                    .ok()
                    .filter(|n| *n <= usize::from(u16::MAX))
            };
            let [Some(before), Some(after)] = pair.map(length) else {
                return Err(format!("has the padding {pair:?}").into());
            };
            *slot = [before, after];
        }
        let [batch, height, width, channels] = pairs;
        let sum = |length: usize, [before, after]: [usize; 2]| before + length + after;
        let kind = OpKind::Pad {
            before: [height[0], width[0], channels[0]],
            after: [height[1], width[1], channels[1]],
        };
        let op = self.plain(kind, &inputs[..1], output)?;
        let expected = Shape::new(
            sum(from.height, height),
            sum(from.width, width),
            sum(from.channels, channels),
        );
        if batch != [0, 0] || self.shape(op.output) != expected {
            return Err("has an output that does not fit its paddings".into());
        }
        self.same_scale(&op)?;
        Ok(op)
    }

    /// RESIZE_NEAREST_NEIGHBOR by whole factors.
    pub(super) fn resize(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let (to, _) = self.declared(output)?;
        // Centred pixels change nothing where factors are whole.
        if options.i8(0, 0)? != 0 {
            return Err("aligns corners, which is not supported".into());
        }
        let size = self.second(inputs)?.integers()?;
        let factor = [to.height / from.height, to.width / from.width];
        let whole = Shape::new(
            from.height * factor[0],
            from.width * factor[1],
            from.channels,
        );
        let largest = usize::from(MAX_UPSAMPLE);
        if to != whole
            || size != [to.height as i32, to.width as i32]
            || factor.iter().any(|factor| !(1..=largest).contains(factor))
        {
            return Err(format!(
                "goes from {}x{} to {}x{}, and only whole factors up to {largest} are supported",
                from.height, from.width, to.height, to.width
            )
            .into());
        }
        let op = self.plain(OpKind::Upsample(factor), &inputs[..1], output)?;
        self.same_scale(&op)?;
        Ok(op)
    }

    /// A QUANTIZE of an input that is not int8; its output becomes the model's input.
    pub(super) fn border_quantize(&mut self, input: i32, output: i32) -> Result<(), Problem> {
        let is_input = input == self.file.inputs[0];
        match self.tensor(input)?.kind {
            FLOAT32 if is_input => {}
            UINT8 if is_input => self.reinterpret(input, output)?,
            _ => return Err(self.unknown(input)),
        }
        if self.graph.tensors.is_empty() {
            self.write(output)?;
            return Ok(());
        }
        let (shape, params) = self.declared(output)?;
        if (shape, params) != (self.shape(0), self.params[0]) {
            return Err("quantises the input differently from the QUANTIZE before it".into());
        }
        self.rename(output, Some(0))
    }

    /// Checks that a uint8 tensor is an int8 tensor plus 128.
    pub(super) fn reinterpret(&self, uint8: i32, int8: i32) -> Result<(), Problem> {
        let outer = self.tensor(uint8)?;
        let inner = self.tensor(int8)?.params(INT8)?;
        let zero_points: Vec<i64> = outer.zero_points.i64s().take(2).collect();
        let scales: Vec<f32> = outer.scales.f32s().take(2).collect();
        if scales != [inner.scale] || zero_points != [i64::from(inner.zero_point) + 128] {
            return Err("changes the scale between uint8 and int8, which is not supported".into());
        }
        Ok(())
    }

    /// Checks that the output has the window's size.
    pub(super) fn check_window(&self, window: &Window, op: &ReadOp) -> Result<(), Problem> {
        let (from, to) = (self.shape(op.inputs[0]), self.shape(op.output));
        if window.output(from) != Some([to.height, to.width]) {
            return Err("has an output of another size than its window gives".into());
        }
        Ok(())
    }

    /// Checks that there are as many output channels as kernels.
    pub(super) fn check_channels(&self, op: &ReadOp, channels: usize) -> Result<(), Problem> {
        let found = self.shape(op.output).channels;
        if found != channels {
            return Err(format!("has {channels} kernels and {found} output channels").into());
        }
        Ok(())
    }

    /// Checks that input and output have one scale, and as many channels except for PAD.
    pub(super) fn same_scale(&self, op: &ReadOp) -> Result<(), Problem> {
        let (from, to) = (self.params[op.inputs[0]], self.params[op.output]);
        if from != to {
            return Err("has different scales at its input and its output".into());
        }
        if self.shape(op.output).channels != self.shape(op.inputs[0]).channels
            && !matches!(op.kind, OpKind::Pad { .. })
        {
            return Err("does not have as many output channels as input channels".into());
        }
        Ok(())
    }

    /// Checks scales and shapes of a function of one element.
    pub(super) fn check_lookup(&self, function: Function, op: &ReadOp) -> Result<(), Problem> {
        let (from, to) = (self.params[op.inputs[0]], self.params[op.output]);
        if function == Function::Relu6 && from != to {
            return Err(
                "has different scales at its input and its output, which TFLM ignores".into(),
            );
        }
        if let Function::LeakyRelu(slope) = function
            && !(0.0..=LARGEST_SLOPE).contains(&slope.value())
        {
            return Err(format!(
                "has the slope {}, and only those from 0 to {LARGEST_SLOPE} are run",
                slope.value()
            )
            .into());
        }
        let fixed = fixed_output(OpKind::Lookup(function));
        if let Some(fixed) = fixed.filter(|fixed| *fixed != to) {
            return Err(format!(
                "does not have the output scale {} with zero point {}",
                fixed.scale, fixed.zero_point
            )
            .into());
        }
        if self.shape(op.inputs[0]) != self.shape(op.output) {
            return Err("has an output and an input of different shapes".into());
        }
        let ratio = f64::from(from.scale) / f64::from(to.scale);
        if ratio >= f64::from(1 << multiplier::MAX_LEFT_SHIFT) {
            return Err(format!("enlarges its input {ratio} times").into());
        }
        Ok(())
    }

    /// Checks that MUL multiplies by as many values, or by one pixel, and that a product does not overflow.
    pub(super) fn check_product(&self, op: &ReadOp) -> Result<(), Problem> {
        let [left, right] = op.inputs[..] else {
            return Err("does not have two inputs".into());
        };
        let (from, by) = (self.shape(left), self.shape(right));
        if self.shape(op.output) != from || (by != from && by != Shape::vector(from.channels)) {
            return Err(
                "multiplies shapes of which neither the one is the other nor its pixel".into(),
            );
        }
        let [left, right, to] = [left, right, op.output].map(|id| self.params[id]);
        if multiplier::product(left, right, to).shift > MAX_PRODUCT_SHIFT {
            return Err("enlarges its product too much for 32 bits".into());
        }
        Ok(())
    }

    /// Checks that MEAN goes over all pixels.
    pub(super) fn check_axes(&self, inputs: &[i32], op: &ReadOp) -> Result<(), Problem> {
        let axes = self.second(inputs)?.integers()?;
        let rank = self.tensor(inputs[0])?.dims.len() as i64;
        let from = self.shape(op.inputs[0]);
        let mut over = [false, from.height == 1, from.width == 1, false];
        for axis in &axes {
            let axis = i64::from(*axis);
            let axis = if axis < 0 { axis + rank } else { axis } + 4 - rank;
            match usize::try_from(axis)
                .ok()
                .and_then(|axis| over.get_mut(axis))
            {
                Some(over) => *over = true,
                None => return Err(format!("has the axes {axes:?}").into()),
            }
        }
        if over != [false, true, true, false]
            || self.shape(op.output) != Shape::vector(from.channels)
        {
            return Err(format!("goes over the axes {axes:?}, not over all pixels").into());
        }
        Ok(())
    }

    /// The shape of the weights, padded with leading ones to four dimensions.
    pub(super) fn weight_dims(&self, inputs: &[i32]) -> Result<[usize; 4], Problem> {
        let weights = self.second(inputs)?;
        let mut dims = [1; 4];
        if weights.dims.len() > 4 {
            return Err(format!("has weights of the shape {:?}", weights.dims).into());
        }
        for (slot, dim) in dims.iter_mut().rev().zip(weights.dims.iter().rev()) {
            *slot = usize::try_from(*dim)
                .ok()
                .filter(|dim| (1..=MAX_ELEMENTS).contains(dim))
                .ok_or_else(|| format!("has weights of the shape {:?}", weights.dims))?;
        }
        let count = dims.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim));
        if count != Some(weights.data.len()) {
            return Err("has weights that are not constant, or not as long as their shape".into());
        }
        Ok(dims)
    }

    /// Weights and biases of an operator; `axis` is the dimension of the output channels.
    pub(super) fn weights(
        &mut self,
        inputs: &[i32],
        channels: usize,
        axis: i32,
    ) -> Result<QuantizedOp, Problem> {
        let weights = self.second(inputs)?;
        if weights.kind != INT8 || weights.is_sparse {
            let kind = type_name(weights.kind);
            return Err(format!("has weights of {kind}; only dense int8 is supported").into());
        }
        self.weights += weights.data.len();
        if self.weights > MAX_WEIGHTS {
            return Err(format!("makes the weights larger than {MAX_WEIGHTS} bytes").into());
        }
        if weights.zero_points.i64s().any(|zero_point| zero_point != 0) {
            return Err(
                "has weights with a zero point, and only symmetric ones are supported".into(),
            );
        }
        let count = weights.scales.len;
        if count != 1 && (count != channels || weights.axis != axis) {
            return Err(format!("has {count} weight scales for {channels} channels").into());
        }
        let weight_scales: Vec<f32> = weights.scales.f32s().collect();
        if !weight_scales
            .iter()
            .all(|scale| scale.is_finite() && *scale >= 0.0)
        {
            return Err("has a weight scale that is not a number".into());
        }
        let bias = match inputs.get(2) {
            None | Some(-1) => vec![0; channels],
            Some(bias) => {
                let bias = self.tensor(*bias)?;
                // Biases of 64 bits go with activations of 16; nothing runs them.
                if self.activations == INT16 {
                    return Ok(QuantizedOp {
                        weight: weights.data.iter().map(|byte| *byte as i8).collect(),
                        weight_scales,
                        bias: vec![0; channels],
                    });
                }
                if bias.kind != INT32 || bias.data.len() != 4 * channels {
                    return Err(format!("does not have {channels} constant int32 biases").into());
                }
                let words = bias.data.as_chunks().0.iter();
                words.map(|word| i32::from_le_bytes(*word)).collect()
            }
        };
        Ok(QuantizedOp {
            weight: weights.data.iter().map(|byte| *byte as i8).collect(),
            weight_scales,
            bias,
        })
    }
}

/// The largest slope of LEAKY_RELU; TFLM multiplies by it and the scales.
const LARGEST_SLOPE: f32 = 16.0;

/// Checks that a window with zeros between its taps, as the kernels run it, is not too large; `depth` is the number of its
/// weights for each tap.
fn check_extent(window: &Window, depth: usize) -> Result<(), Problem> {
    let [height, width] = window.extent();
    let is_short = height.max(width) <= usize::from(u16::MAX);
    let weights = depth.checked_mul(height * width);
    match is_short && weights.is_some_and(|count| count <= MAX_WEIGHTS) {
        true => Ok(()),
        false => Err(format!("has a window of {height}x{width} with its dilation").into()),
    }
}
