//! Runs a stream.

mod cache;
mod convolution;
mod elementwise;
mod output;
mod pool;
mod products;
mod shared;

use crate::{
    accelerator::Accelerator,
    error::{Error, Problem},
    feature_map::FeatureMap,
    memory::Memory,
    operation::{Action, Kernel, Kind, Step, Upscale, Window},
    stream::Stream,
};
use cache::Cache;
use output::Finish;
use shared::Shared;

/// What a run has found besides its outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Kernels and copies that were run.
    pub operations: usize,
    /// Kernels whose sums do not fit into the accumulators, with a sum.
    pub overflows: Vec<Overflow>,
}

/// A sum that the hardware's accumulators cannot hold; what they do with it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow {
    /// Number of the operation.
    pub operation: usize,
    /// The first such sum.
    pub sum: i64,
    /// Bits of an accumulator.
    pub bits: u8,
}

/// Elements and multiplications that a run may take; real networks take far fewer.
pub const ALLOWED_WORK: u64 = 1 << 36;

/// An NPU: its size, its shared memory, and the weights that it has decoded before.
#[derive(Debug, Clone)]
pub struct Npu {
    accelerator: Accelerator,
    shared: Shared,
    cache: Cache,
}

impl Npu {
    /// An NPU whose shared memory is zero.
    pub fn new(accelerator: Accelerator) -> Npu {
        Npu {
            accelerator,
            shared: Shared::new(&accelerator),
            cache: Cache::default(),
        }
    }

    /// Which NPU it is.
    pub fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }

    /// Runs a stream on memory.
    ///
    /// It ends at STOP or behind the last command. With an error, what the operations before have written stays.
    pub fn run(&mut self, stream: &Stream, memory: &mut Memory) -> Result<Run, Error> {
        self.run_with(stream, memory, ALLOWED_WORK, |_, _| ())
    }

    /// Runs a stream within a limit of work, and calls with every kernel and its output, rows first.
    pub fn run_with(
        &mut self,
        stream: &Stream,
        memory: &mut Memory,
        allowed_work: u64,
        mut each: impl FnMut(&Step, &[i32]),
    ) -> Result<Run, Error> {
        let mut run = Run::default();
        let mut allowed = allowed_work;
        for step in &stream.steps {
            let done = match &step.action {
                Action::Stop => break,
                Action::Interrupt | Action::WaitForCopies(_) | Action::WaitForKernels(_) => {
                    continue;
                }
                Action::Transfer(transfer) => spend(&mut allowed, transfer.bytes as u64)
                    .and_then(|()| self.shared.transfer(transfer, memory)),
                Action::Kernel(kernel) => {
                    let computed = spend(&mut allowed, work(kernel))
                        .and_then(|()| self.compute(step, kernel, memory));
                    computed.map(|(values, overflow)| {
                        let bits = kernel.shared.accumulator_bits;
                        run.overflows.extend(overflow.map(|sum| Overflow {
                            operation: step.number,
                            sum,
                            bits,
                        }));
                        each(step, &values);
                    })
                }
            };
            done.map_err(|problem| Error::new(step.number, step.offset, problem))?;
            run.operations += 1;
        }
        Ok(run)
    }

    /// The outputs, which are in memory as well, and a sum that the accumulators cannot hold.
    fn compute(
        &mut self,
        step: &Step,
        kernel: &Kernel,
        memory: &mut Memory,
    ) -> Result<(Vec<i32>, Option<i64>), Problem> {
        kernel.ofm.check_size(memory)?;
        let finish = Finish::new(kernel, &self.accelerator, &self.shared)?;
        let (values, sum) = match &kernel.kind {
            Kind::Convolution(window, constants, _) | Kind::Depthwise(window, constants) => {
                let span = constants.weights;
                let encoded =
                    memory.read("the stream of weights", span.region, span.start, span.bytes)?;
                let order = kernel.order(&self.accelerator);
                let weights = self.cache.weights(step.offset, order, encoded, kernel)?;
                let input = input(kernel, window, memory)?;
                let channels = convolution::channels(kernel, constants, memory)?;
                convolution::run(kernel, window, weights, &channels, &input, &finish)
            }
            Kind::Pool(window, mode, scale) => {
                let input = input(kernel, window, memory)?;
                let values = pool::pool(kernel, window, *mode, *scale, &input, &finish)?;
                (values, 0)
            }
            Kind::Elementwise(elementwise) => {
                let values = elementwise::run(kernel, elementwise, memory, &finish)?;
                (values, 0)
            }
        };
        kernel.ofm.write(memory, &values)?;
        let half = 1_i64 << (kernel.shared.accumulator_bits - 1);
        let overflow = (sum < -half || sum >= half).then_some(sum);
        Ok((values, overflow))
    }
}

fn spend(allowed: &mut u64, work: u64) -> Result<(), Problem> {
    let left = allowed.checked_sub(work);
    *allowed = left.ok_or(Problem::TooMuch {
        work,
        allowed: *allowed,
    })?;
    Ok(())
}

/// Elements that are read and written, and multiplications.
fn work(kernel: &Kernel) -> u64 {
    let elements = |map: &FeatureMap| map.shape.elements() as u64;
    let taps = kernel.window().map_or(1, |window| {
        let [height, width] = window.size;
        let [rows, columns] = window.enlarged;
        (height * width).max(rows * columns / kernel.ifm.shape.area().max(1)) as u64
    });
    let outputs = elements(&kernel.ofm).saturating_mul(taps);
    elements(&kernel.ifm)
        .saturating_mul(4)
        .saturating_add(outputs)
        .saturating_add(kernel.macs())
}

/// The enlarged input without padding, its zero point taken off.
fn input(kernel: &Kernel, window: &Window, memory: &Memory) -> Result<Vec<i32>, Problem> {
    let ifm = &kernel.ifm;
    let mut values = ifm.read(memory)?;
    if ifm.zero_point != 0 {
        let zero_point = ifm.zero_point;
        values
            .iter_mut()
            .for_each(|value| *value = value.wrapping_sub(zero_point));
    }
    if window.upscale == Upscale::None {
        return Ok(values);
    }
    let [height, width] = window.enlarged;
    let depth = ifm.shape.depth;
    let mut enlarged = Vec::with_capacity(height * width * depth);
    for y in 0..height {
        for x in 0..width {
            let is_between = y % 2 == 1 || x % 2 == 1;
            if window.upscale == Upscale::Zeros && is_between {
                enlarged.resize(enlarged.len() + depth, 0);
            } else {
                let pixel = (y / 2 * ifm.shape.width + x / 2) * depth;
                enlarged.extend_from_slice(&values[pixel..pixel + depth]);
            }
        }
    }
    Ok(enlarged)
}

/// The taps of an output that lie inside of the input: kernel row and column, pixel of the enlarged input.
fn taps(
    window: &Window,
    [y, x]: [usize; 2],
) -> impl Iterator<Item = ([usize; 2], usize)> + use<'_> {
    let inside = |axis: usize, output: usize, tap: usize| {
        let place = output * window.stride[axis] + tap * window.dilation[axis];
        let place = place.checked_sub(window.before[axis])?;
        (place < window.enlarged[axis]).then_some(place)
    };
    (0..window.size[0])
        .filter_map(move |row| Some((row, inside(0, y, row)?)))
        .flat_map(move |(row, top)| {
            (0..window.size[1]).filter_map(move |column| {
                let left = inside(1, x, column)?;
                Some(([row, column], top * window.enlarged[1] + left))
            })
        })
}
