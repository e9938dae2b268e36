//! A checked model, and a session that runs it.

use core::ops::Range;

use crate::{
    blob::{
        BlobError, Constants, Decision, FrontEndRecord, HEADER_BYTES, Header, Kind, MAX_UPSAMPLE,
        OP_BYTES, Op, Sections, TENSOR_BYTES, Task, Tensor, Window,
    },
    bytes::{Words, as_i8},
    front_end::{Companding, Statistics, ends_are_sound},
    ops::{self, Requantize, Sliding},
    score::Centres,
};

/// A blob in which everything was checked once; after that, running it cannot fail.
///
/// The blob may lie at any address.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    blob: &'a [u8],
    tensors: &'a [[u8; TENSOR_BYTES]],
    ops: &'a [[u8; OP_BYTES]],
    arena_bytes: usize,
    input: Tensor,
    output: Tensor,
    front_end: Option<FrontEndRecord>,
    statistics: Option<Statistics>,
    companding: Option<Companding>,
    decision: Option<Decision>,
    centres: Option<Centres<'a>>,
}

/// A model in an arena.
#[derive(Debug)]
pub struct Session<'m, 'a> {
    model: &'m Model<'a>,
    arena: &'m mut [i8],
}

impl<'a> Model<'a> {
    /// Reads and checks a blob; the error says what is wrong with it.
    pub fn parse(blob: &'a [u8]) -> Result<Model<'a>, BlobError> {
        let header = Header::read(blob)?;
        let tensors = records(blob, header.tensors_offset, header.tensor_count)
            .ok_or(BlobError::Header("its tensors lie outside the blob"))?;
        let ops = records(blob, header.ops_offset, header.op_count)
            .ok_or(BlobError::Header("its operators lie outside the blob"))?;
        if header.arena_bytes > i32::MAX as u32 {
            return Err(BlobError::Header("its arena is larger than 2 GiB"));
        }
        let tensor = |index: u32, problem| {
            let bytes = tensors
                .get(index as usize)
                .ok_or(BlobError::Header(problem))?;
            Ok(Tensor::from_bytes(bytes))
        };
        let sections = Sections::find(blob, &header)?;
        let output = tensor(header.output, "its output is not one of its tensors")?;
        let mut model = Model {
            blob,
            tensors,
            ops,
            arena_bytes: header.arena_bytes as usize,
            input: tensor(header.input, "its input is not one of its tensors")?,
            output,
            front_end: sections
                .front_end
                .map(FrontEndRecord::from_bytes)
                .transpose()?,
            statistics: sections
                .statistics
                .map(Statistics::from_bytes)
                .transpose()?,
            companding: sections
                .companding
                .map(Companding::from_bytes)
                .transpose()?,
            decision: sections.decision.map(Decision::from_bytes).transpose()?,
            centres: None,
        };
        for (index, bytes) in tensors.iter().enumerate() {
            check_tensor(&Tensor::from_bytes(bytes), model.arena_bytes).map_err(|problem| {
                BlobError::Tensor {
                    index: index as u32,
                    problem,
                }
            })?;
        }
        // Only now is it known that the output is not immense.
        let centres = sections
            .distance
            .map(|section| Centres::read(section, output.len()));
        model.centres = centres.transpose()?;
        for (index, bytes) in ops.iter().enumerate() {
            let index = index as u32;
            let op = Op::from_bytes(bytes, index)?;
            model
                .check_op(&op)
                .map_err(|problem| BlobError::Op { index, problem })?;
        }
        if let Some(front_end) = &model.front_end {
            model
                .check_front_end(front_end)
                .map_err(BlobError::FrontEnd)?;
        }
        if let Some(decision) = &model.decision {
            model
                .check_decision(decision)
                .map_err(BlobError::Decision)?;
        }
        Ok(model)
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// The network's input tensor.
    pub fn input(&self) -> Tensor {
        self.input
    }

    /// The network's output tensor.
    pub fn output(&self) -> Tensor {
        self.output
    }

    /// The audio front end; `None` for a network alone.
    pub fn front_end(&self) -> Option<FrontEndRecord> {
        self.front_end
    }

    /// The statistics of frames that the network sees; `None` where it sees the frames.
    pub fn statistics(&self) -> Option<Statistics> {
        self.statistics
    }

    /// What compresses the network's input; `None` where all values count alike.
    pub fn companding(&self) -> Option<Companding> {
        self.companding
    }

    /// How outputs become a decision; `None` for a network alone.
    pub fn decision(&self) -> Option<Decision> {
        self.decision
    }

    /// The points from which distances are measured; `None` where the score is no distance.
    pub fn centres(&self) -> Option<&Centres<'a>> {
        self.centres.as_ref()
    }

    /// The operators in execution order.
    pub fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        // `parse` read every operator once: none is left out here.
        self.ops
            .iter()
            .filter_map(|bytes| Op::from_bytes(bytes, 0).ok())
    }

    /// A tensor by the index that operators use; `None` beyond the last.
    pub fn tensor(&self, index: u32) -> Option<Tensor> {
        self.tensors.get(index as usize).map(Tensor::from_bytes)
    }

    /// Puts the model into an arena of at least [`Model::arena_bytes`]; fails where it is shorter.
    pub fn session<'m>(&'m self, arena: &'m mut [i8]) -> Result<Session<'m, 'a>, BlobError> {
        let (needed, found) = (self.arena_bytes, arena.len());
        match arena.get_mut(..needed) {
            Some(arena) => Ok(Session { model: self, arena }),
            None => Err(BlobError::ArenaTooSmall { needed, found }),
        }
    }

    /// The tables of the front end: 32-bit numbers, with those of the quantisation last, and the ends of bins.
    pub(crate) fn front_end_tables(&self) -> (&'a [u8], &'a [[u8; 2]]) {
        let tables = self.front_end.and_then(|record| self.find_tables(&record));
        tables.unwrap_or_default()
    }

    /// The tables of this front end; `None` where they do not lie within the blob.
    fn find_tables(&self, record: &FrontEndRecord) -> Option<(&'a [u8], &'a [[u8; 2]])> {
        let spec = record.spec();
        let lengths = spec.table_lengths();
        let features = self
            .statistics
            .map_or(spec.bands(), |which| which.features());
        let floats = 4 * (lengths.floats() + 2 * features);
        let tables = self.blob.get(record.tables_offset as usize..)?;
        let (floats, rest) = tables.split_at_checked(floats)?;
        Some((floats, rest.get(..2 * lengths.ends)?.as_chunks().0))
    }

    fn check_front_end(&self, record: &FrontEndRecord) -> Result<(), &'static str> {
        let spec = record.spec();
        if let Some(fault) = spec.fault() {
            return Err(fault);
        }
        if record.frames == 0 || record.frame_stride == 0 {
            return Err("its windows are empty or do not move");
        }
        let frames = record.frames as usize;
        if let Some(fault) = self
            .statistics
            .and_then(|which| which.fault(spec.bands(), frames))
        {
            return Err(fault);
        }
        let window = match self.statistics {
            Some(which) => which.features() as u64,
            None => u64::from(record.frames) * spec.bands() as u64,
        };
        if window != self.input.len() as u64 {
            return Err("its windows are not as long as the network's input");
        }
        if !record.tables_offset.is_multiple_of(16)
            || (record.tables_offset as usize) < HEADER_BYTES
        {
            return Err("its tables are not aligned");
        }
        match self.find_tables(record) {
            Some((_, ends)) if ends_are_sound(&spec, ends) => Ok(()),
            Some(_) => Err("the ends of its bins do not rise to their number"),
            None => Err("its tables lie outside the blob"),
        }
    }

    fn check_decision(&self, decision: &Decision) -> Result<(), &'static str> {
        match decision.task {
            Task::Reconstruct if self.output.len() != self.input.len() => {
                Err("a reconstruction is not as long as what it reconstructs")
            }
            Task::Classify if self.output.len() < 2 => Err("there are fewer than two classes"),
            Task::Distance if self.centres.is_none() => Err("there is nothing to be distant from"),
            _ => Ok(()),
        }
    }

    fn check_op(&self, op: &Op) -> Result<(), &'static str> {
        let tensor = |index| {
            self.tensor(index)
                .ok_or("it names a tensor that is not there")
        };
        let (input, output) = (tensor(op.input)?, tensor(op.output)?);
        let (from, to) = (input.range(), output.range());
        let [input_height, input_width, input_channels] = input.shape;
        let [output_height, output_width, output_channels] = output.shape;
        let same_scale = (input.scale, input.zero_point) == (output.scale, output.zero_point);
        let apart = from.end <= to.start || to.end <= from.start;
        if op.clamp.min > op.clamp.max {
            return Err("its clamp is empty");
        }
        if !apart && !matches!(op.kind, Kind::Add { .. } | Kind::Reshape) {
            return Err("its output lies on its input");
        }
        match &op.kind {
            Kind::Conv2d(window, constants) => {
                check_window(window, &input, &output)?;
                let taps = u64::from(window.kernel[0])
                    * u64::from(window.kernel[1])
                    * u64::from(input_channels);
                self.check_constants(
                    constants,
                    taps,
                    output_channels,
                    taps * u64::from(output_channels),
                )
            }
            Kind::DepthwiseConv2d(window, constants) => {
                check_window(window, &input, &output)?;
                if input_channels != output_channels {
                    return Err("its output does not have as many channels as its input");
                }
                let taps = u64::from(window.kernel[0]) * u64::from(window.kernel[1]);
                self.check_constants(
                    constants,
                    taps,
                    output_channels,
                    taps * u64::from(output_channels),
                )
            }
            Kind::FullyConnected(constants) => {
                let (inputs, outputs) = (from.len() as u64, to.len() as u32);
                self.check_constants(constants, inputs, outputs, inputs * u64::from(outputs))
            }
            Kind::AveragePool2d(window) => {
                check_window(window, &input, &output)?;
                if input_channels != output_channels {
                    return Err("its output does not have as many channels as its input");
                }
                if from.len() > (i32::MAX / 256) as usize {
                    return Err("its input is too large for a 32-bit sum");
                }
                same_scale
                    .then_some(())
                    .ok_or("its output is not scaled as its input")
            }
            Kind::MaxPool2d(window) => {
                check_window(window, &input, &output)?;
                if input_channels != output_channels {
                    return Err("its output does not have as many channels as its input");
                }
                same_scale
                    .then_some(())
                    .ok_or("its output is not scaled as its input")
            }
            Kind::Mean { multiplier, shift } => {
                if to.len() as u32 != input_channels || output_channels != input_channels {
                    return Err("its output is not one pixel with the channels of its input");
                }
                let largest = 255 * u64::from(input_height) * u64::from(input_width);
                let fits = |shift: i32| largest <= i32::MAX as u64 >> shift.max(0);
                if *multiplier < 0 || !(-31..=30).contains(shift) || !fits(*shift) {
                    return Err("its multiplier is out of range");
                }
                Ok(())
            }
            Kind::Pad(before) => {
                let fits =
                    before
                        .iter()
                        .zip(input.shape)
                        .zip(output.shape)
                        .all(|((before, from), to)| {
                            u64::from(*before) + u64::from(from) <= u64::from(to)
                        });
                if !fits {
                    return Err("its input does not lie within its output");
                }
                same_scale
                    .then_some(())
                    .ok_or("its output is not scaled as its input")
            }
            Kind::Lookup { table_offset } => {
                if from.len() != to.len() {
                    return Err("its output is not as long as its input");
                }
                self.table(*table_offset)
                    .map(|_| ())
                    .ok_or("its table lies outside the blob")
            }
            Kind::Softmax(scale) => {
                if from.len() != to.len() || input_channels != output_channels {
                    return Err("its output is not as long as its input");
                }
                if input_channels > ops::MAX_CHANNELS {
                    return Err("its sum could overflow");
                }
                let fits = (0..=31).contains(&scale.left_shift)
                    && scale.multiplier >= 0
                    && (-255..=0).contains(&scale.diff_min)
                    && -i64::from(scale.diff_min) << scale.left_shift <= i64::from(i32::MAX);
                fits.then_some(()).ok_or("its multiplier is out of range")
            }
            Kind::Add {
                input: second,
                scales,
            } => {
                let second = tensor(*second)?.range();
                if from.len() != second.len() || from.len() != to.len() {
                    return Err("its tensors are not equally long");
                }
                let aligned = |other: &Range<usize>| {
                    other == &to || other.end <= to.start || to.end <= other.start
                };
                if !aligned(&from) || !aligned(&second) {
                    return Err("its output lies on a part of an input");
                }
                let [left, right] = scales.shifts;
                let shifts_fit = [left, right, scales.output_shift]
                    .iter()
                    .all(|shift| (-31..=0).contains(shift));
                let [left, right] = scales.multipliers;
                if !shifts_fit
                    || [left, right, scales.output_multiplier]
                        .iter()
                        .any(|m| *m < 0)
                {
                    return Err("its multipliers are out of range");
                }
                Ok(())
            }
            Kind::Multiply {
                input: second,
                multiplier,
                shift,
            } => {
                let second = tensor(*second)?.range();
                let is_pixel = second.len() == input_channels as usize;
                if from.len() != to.len() || (second.len() != from.len() && !is_pixel) {
                    return Err("its tensors are not equally long, nor is the second a pixel");
                }
                if second.start < to.end && to.start < second.end {
                    return Err("its output lies on its input");
                }
                if *multiplier < 0 || !(-31..=ops::MAX_PRODUCT_SHIFT).contains(shift) {
                    return Err("its multiplier is out of range");
                }
                Ok(())
            }
            Kind::Upsample(factor) => {
                let [up, across] = factor.map(u32::from);
                let fits = (1..=u32::from(MAX_UPSAMPLE)).contains(&up)
                    && (1..=u32::from(MAX_UPSAMPLE)).contains(&across)
                    && input_height.checked_mul(up) == Some(output_height)
                    && input_width.checked_mul(across) == Some(output_width)
                    && input_channels == output_channels;
                if !fits {
                    return Err("its output is not its input enlarged by whole factors up to 16");
                }
                same_scale
                    .then_some(())
                    .ok_or("its output is not scaled as its input")
            }
            Kind::Reshape => {
                if from.len() != to.len() {
                    return Err("its output is not as long as its input");
                }
                same_scale
                    .then_some(())
                    .ok_or("its output is not scaled as its input")
            }
        }
    }

    fn check_constants(
        &self,
        constants: &Constants,
        taps: u64,
        channels: u32,
        weights: u64,
    ) -> Result<(), &'static str> {
        let fits = |offset: u32, bytes: u64, alignment: u32| {
            offset.is_multiple_of(alignment) && u64::from(offset) + bytes <= self.blob.len() as u64
        };
        let (channels, scale_count) = (u64::from(channels), u64::from(constants.scale_count));
        if scale_count != 1 && scale_count != channels {
            return Err("it has neither one scale nor one per output channel");
        }
        let inside = fits(constants.weights_offset, weights, 16)
            && fits(constants.biases_offset, channels * 4, 4)
            && fits(constants.multipliers_offset, scale_count * 4, 4)
            && fits(constants.shifts_offset, scale_count, 1);
        if !inside {
            return Err("its constants lie outside the blob or are not aligned");
        }
        let biases = self.words(constants.biases_offset, channels as usize);
        let multipliers = self.words(constants.multipliers_offset, scale_count as usize);
        let shifts = self.shifts(constants);
        // |int8 * int8| <= 2^14.
        let Some(products) = taps
            .checked_mul(1 << 14)
            .filter(|bound| *bound <= i32::MAX as u64)
        else {
            return Err("its accumulator could overflow");
        };
        for (idx, bias) in biases.iter().enumerate() {
            let scale = if scale_count == 1 { 0 } else { idx };
            let shift = shifts[scale];
            if !(-31..=30).contains(&shift) || multipliers.get(scale) < 0 {
                return Err("its multipliers are out of range");
            }
            let largest = (products + u64::from(bias.unsigned_abs())) << shift.max(0);
            if largest > i32::MAX as u64 {
                return Err("its accumulator could overflow");
            }
        }
        Ok(())
    }

    /// The 256 bytes from an offset on; `None` where the blob ends before.
    fn table(&self, offset: u32) -> Option<&'a [i8; 256]> {
        as_i8(self.blob.get(offset as usize..)?).first_chunk()
    }

    fn words(&self, offset: u32, count: usize) -> Words<'a> {
        Words::new(&self.blob[offset as usize..][..count * 4])
    }

    fn weights(&self, constants: &Constants, count: usize) -> &'a [i8] {
        as_i8(&self.blob[constants.weights_offset as usize..][..count])
    }

    fn shifts(&self, constants: &Constants) -> &'a [i8] {
        as_i8(&self.blob[constants.shifts_offset as usize..][..constants.scale_count as usize])
    }

    #[inline(always)]
    fn requantize(
        &self,
        constants: &Constants,
        op: &Op,
        output: &Tensor,
        channels: usize,
    ) -> Requantize<'a> {
        Requantize {
            biases: self.words(constants.biases_offset, channels),
            multipliers: self.words(constants.multipliers_offset, constants.scale_count as usize),
            shifts: self.shifts(constants),
            output_zero_point: output.zero_point,
            clamp: op.clamp,
        }
    }

    #[inline(always)]
    fn execute(&self, op: &Op, arena: &mut [i8]) {
        let (Some(input), Some(output)) = (self.tensor(op.input), self.tensor(op.output)) else {
            return;
        };
        let (from, to) = (input.range(), output.range());
        let zero_point = input.zero_point as i8;
        match &op.kind {
            Kind::Conv2d(window, constants) => {
                let shape = sliding(window, &input, &output);
                let channels = shape.output[2];
                let weights = channels * shape.kernel[0] * shape.kernel[1] * shape.input[2];
                let weights = self.weights(constants, weights);
                let requantize = self.requantize(constants, op, &output, channels);
                let (input, output) = split(arena, from, to);
                ops::conv2d(input, weights, &shape, zero_point, &requantize, output);
            }
            Kind::DepthwiseConv2d(window, constants) => {
                let shape = sliding(window, &input, &output);
                let channels = shape.output[2];
                let weights = self.weights(constants, channels * shape.kernel[0] * shape.kernel[1]);
                let requantize = self.requantize(constants, op, &output, channels);
                let (input, output) = split(arena, from, to);
                ops::depthwise_conv2d(input, weights, &shape, zero_point, &requantize, output);
            }
            Kind::FullyConnected(constants) => {
                let weights = self.weights(constants, from.len() * to.len());
                let requantize = self.requantize(constants, op, &output, to.len());
                let (input, output) = split(arena, from, to);
                ops::fully_connected(input, weights, &requantize, output);
            }
            Kind::AveragePool2d(window) => {
                let shape = sliding(window, &input, &output);
                let (input, output) = split(arena, from, to);
                ops::average_pool2d(input, &shape, op.clamp, output);
            }
            Kind::MaxPool2d(window) => {
                let shape = sliding(window, &input, &output);
                let (input, output) = split(arena, from, to);
                ops::max_pool2d(input, &shape, op.clamp, output);
            }
            Kind::Mean { multiplier, shift } => {
                let scale = ops::MeanScale {
                    zero_point: input.zero_point,
                    multiplier: *multiplier,
                    shift: *shift,
                    output_zero_point: output.zero_point,
                    clamp: op.clamp,
                };
                let (input, output) = split(arena, from, to);
                ops::mean(input, &scale, output);
            }
            Kind::Pad(before) => {
                let shape = input.shape.map(|length| length as usize);
                let padded = output.shape.map(|length| length as usize);
                let before = before.map(usize::from);
                let (input, output) = split(arena, from, to);
                ops::pad(input, shape, before, padded, zero_point, output);
            }
            Kind::Lookup { table_offset } => {
                if let Some(table) = self.table(*table_offset) {
                    let (input, output) = split(arena, from, to);
                    ops::lookup(input, table, output);
                }
            }
            Kind::Softmax(scale) => {
                let channels = input.shape[2] as usize;
                let (input, output) = split(arena, from, to);
                ops::softmax(input, channels, scale, output);
            }
            Kind::Add {
                input: second,
                scales,
            } => {
                let Some(second) = self.tensor(*second) else {
                    return;
                };
                let scales = scales.with(
                    [input.zero_point, second.zero_point],
                    output.zero_point,
                    op.clamp,
                );
                ops::add_in_arena(arena, from, second.range().start, to.start, &scales);
            }
            Kind::Multiply {
                input: second,
                multiplier,
                shift,
            } => {
                let Some(second) = self.tensor(*second) else {
                    return;
                };
                let scale = ops::ProductScale {
                    zero_points: [input.zero_point, second.zero_point],
                    multiplier: *multiplier,
                    shift: *shift,
                    output_zero_point: output.zero_point,
                    clamp: op.clamp,
                };
                ops::multiply_in_arena(arena, from, second.range(), to.start, &scale);
            }
            Kind::Upsample(factor) => {
                let shape = input.shape.map(|length| length as usize);
                let (input, output) = split(arena, from, to);
                ops::upsample(input, shape, factor.map(usize::from), output);
            }
            Kind::Reshape if from != to => arena.copy_within(from, to.start),
            Kind::Reshape => {}
        }
    }

    #[inline(always)]
    fn execute_all(&self, arena: &mut [i8]) {
        for op in self.ops() {
            self.execute(&op, arena);
        }
    }
}

impl Session<'_, '_> {
    /// The place of the input. [`Session::run`] may overwrite it.
    pub fn input_mut(&mut self) -> &mut [i8] {
        &mut self.arena[self.model.input.range()]
    }

    /// Runs one inference.
    pub fn run(&mut self) {
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        {
            x86::execute_all(self.model, self.arena);
        }
        #[cfg(not(all(feature = "std", target_arch = "x86_64")))]
        self.model.execute_all(self.arena);
    }

    /// The result of the last [`Session::run`].
    pub fn output(&self) -> &[i8] {
        &self.arena[self.model.output.range()]
    }
}

impl Tensor {
    /// Number of elements; tensors of a parsed model lie within its arena.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|length| *length as usize).product()
    }

    /// Whether it has no elements, which is never so in a parsed model.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes in the arena.
    pub fn range(&self) -> Range<usize> {
        self.offset as usize..self.offset as usize + self.len()
    }
}

fn records<const BYTES: usize>(blob: &[u8], offset: u32, count: u32) -> Option<&[[u8; BYTES]]> {
    let bytes = (count as usize).checked_mul(BYTES)?;
    let offset = offset as usize;
    if offset < HEADER_BYTES {
        return None;
    }
    Some(blob.get(offset..offset.checked_add(bytes)?)?.as_chunks().0)
}

fn check_tensor(tensor: &Tensor, arena_bytes: usize) -> Result<(), &'static str> {
    let [height, width, channels] = tensor.shape.map(u64::from);
    let length = height
        .checked_mul(width)
        .and_then(|area| area.checked_mul(channels));
    match length {
        Some(1..) => {}
        _ => return Err("it is empty or immense"),
    }
    let end = length.and_then(|length| length.checked_add(u64::from(tensor.offset)));
    if end.is_none_or(|end| end > arena_bytes as u64) {
        return Err("it lies outside the arena");
    }
    if !(tensor.scale.is_finite() && tensor.scale > 0.0) {
        return Err("its scale is not a positive number");
    }
    if !(-128..=127).contains(&tensor.zero_point) {
        return Err("its zero point is not within -128..=127");
    }
    Ok(())
}

/// Every window must lie at least partly on the image.
fn check_window(window: &Window, input: &Tensor, output: &Tensor) -> Result<(), &'static str> {
    for axis in 0..2 {
        let (kernel, stride, pad) = (window.kernel[axis], window.stride[axis], window.pad[axis]);
        if kernel == 0 || stride == 0 || pad >= kernel {
            return Err("its window is empty or lies outside the image");
        }
        let last = u64::from(output.shape[axis] - 1) * u64::from(stride);
        if last >= u64::from(input.shape[axis]) + u64::from(pad) {
            return Err("its window leaves the image");
        }
    }
    Ok(())
}

fn sliding(window: &Window, input: &Tensor, output: &Tensor) -> Sliding {
    Sliding {
        input: input.shape.map(|length| length as usize),
        output: output.shape.map(|length| length as usize),
        kernel: window.kernel.map(usize::from),
        stride: window.stride.map(usize::from),
        pad: window.pad.map(usize::from),
    }
}

/// Two parts of the arena; `check_op` made sure that they do not overlap.
#[inline(always)]
fn split(arena: &mut [i8], from: Range<usize>, to: Range<usize>) -> (&[i8], &mut [i8]) {
    if from.end <= to.start {
        let (low, high) = arena.split_at_mut(to.start);
        (&low[from], &mut high[..to.len()])
    } else {
        let (low, high) = arena.split_at_mut(from.start);
        (&high[..from.len()], &mut low[to])
    }
}

/// The same code compiled for the vector instructions of x86-64 hosts.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[expect(
    unsafe_code,
    reason = "a function that needs CPU features may be called once they were found"
)]
mod x86 {
    use super::Model;

    pub fn execute_all(model: &Model<'_>, arena: &mut [i8]) {
        if std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the features were found on this CPU.
            unsafe { with_avx512(model, arena) }
        } else if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was found on this CPU.
            unsafe { with_avx2(model, arena) }
        } else {
            model.execute_all(arena);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn with_avx512(model: &Model<'_>, arena: &mut [i8]) {
        model.execute_all(arena);
    }

    #[target_feature(enable = "avx2")]
    fn with_avx2(model: &Model<'_>, arena: &mut [i8]) {
        model.execute_all(arena);
    }
}
