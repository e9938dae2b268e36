//! Takes samples; gives an anomaly score and a decision.

use crate::{
    Model,
    alarm::{Alarm, AlarmRule, is_threshold},
    blob::{BlobError, Decision},
    bytes::{as_f32, memory_parts},
    decision::RunningScore,
    front_end::{Framer, FrontEnd, Quantizer, Spec, Statistics, statistics::Pool},
    score::window_score,
};

/// A detector of sound: front end, network, score and decision.
///
/// Every hop of samples makes one frame of features. The first window is complete after `frames` frames, and a new one
/// after every further `frame_stride` frames. The network sees the latest `frames`, or their statistics, and scores them.
/// Statistics begin after the frames that reach beyond the first sample ([`Spec::settling_frames`]).
///
/// A microphone may give zeros at first. Where those last for a hop or longer, frames with any of them are in no window. Nor
/// are the first frames after them, as many as the model's [`AlarmRule`] says.
#[derive(Debug)]
pub struct Stream<'m, 'a> {
    model: &'m Model<'a>,
    framer: Framer<'a, 'm>,
    quantizer: Quantizer<'a>,
    decision: Decision,
    class: usize,
    arena: &'m mut [i8],
    /// The latest frames in int8. The next one goes to `row`, in place of the oldest. With a pool, the latest vector of
    /// statistics in int8.
    history: &'m mut [i8],
    /// The latest frames, where the network sees their statistics.
    pool: Option<Pool<'m>>,
    frames: usize,
    frame_stride: usize,
    /// Frames at the beginning that no window of statistics holds.
    settling: usize,
    row: usize,
    /// Number of frames until the next window is complete.
    missing: usize,
    window_score: Option<f32>,
    latest: RunningScore<'m>,
    alarm: Alarm,
    start: Start,
    clipped: u32,
}

/// The zeros before the first sound.
#[derive(Debug, Default)]
struct Start {
    /// Their number so far.
    zeros: usize,
    has_heard: bool,
    /// Frames until one held no such zero.
    frames: usize,
}

impl Start {
    /// Takes the samples of the next frame that were not in the last one.
    fn hear(&mut self, samples: &[i16]) {
        if !self.has_heard {
            let sound = samples.iter().position(|sample| *sample != 0);
            self.zeros = self.zeros.saturating_add(sound.unwrap_or(samples.len()));
            self.has_heard = sound.is_some();
        }
    }

    /// Whether one more frame holds zeros from before the first sound.
    fn is_before(&mut self, spec: &Spec) -> bool {
        let begins = self.frames.saturating_mul(spec.hop_length);
        // The first frame reaches half a frame back.
        let is_before =
            self.zeros >= spec.hop_length && begins < self.zeros.saturating_add(spec.n_fft / 2);
        self.frames = self.frames.saturating_add(usize::from(is_before));
        is_before
    }
}

/// The result of one more frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hop {
    /// The score of the window that this frame completed; `None` between windows.
    pub window_score: Option<f32>,
    /// The score of the latest windows; `None` before there are enough of them.
    pub score: Option<f32>,
    /// Whether there is an alarm; `None` before there are enough windows, and without a threshold.
    pub anomaly: Option<bool>,
}

impl<'a> Model<'a> {
    /// The front end, which makes features of samples, and the quantizer, which makes the network's input of those.
    ///
    /// The address of the model must be a multiple of 4.
    pub fn front_end_and_quantizer(&self) -> Result<(FrontEnd<'a>, Quantizer<'a>), BlobError> {
        let spec = self.front_end().ok_or(BlobError::NoFrontEnd)?.spec();
        let (floats, ends) = self.front_end_tables();
        let floats = as_f32(floats).ok_or(BlobError::NotAligned)?;
        let (floats, quantizer) = floats.split_at(spec.table_lengths().floats());
        let (gains, offsets) = quantizer.split_at(quantizer.len() / 2);
        // The model was parsed: its front end is sound.
        let front_end = FrontEnd::new(spec, floats, ends).ok_or(BlobError::NoFrontEnd)?;
        Ok((
            front_end,
            Quantizer {
                gains,
                offsets,
                companding: self.companding(),
            },
        ))
    }

    /// Bytes that a [`Stream`] needs beside the arena, a multiple of 4; 0 for a model without a front end.
    pub fn stream_bytes(&self) -> usize {
        let decision = self
            .decision()
            .map_or(0, |decision| decision.memory_words());
        self.front_end().map_or(0, |record| {
            let frames = record.frames as usize;
            memory_bytes(&record.spec(), frames, self.statistics().as_ref()) + 4 * decision
        })
    }
}

/// Bytes that a [`Stream`] needs beside the arena and the decision: samples of one frame, scratch, and the int8 frames of a window, or
/// the 16-bit frames that statistics are of and the int8 vector of those.
pub const fn memory_bytes(spec: &Spec, frames: usize, statistics: Option<&Statistics>) -> usize {
    let (shorts, history) = buffers(spec, frames, statistics);
    4 * spec.scratch_len() + 2 * shorts + history.next_multiple_of(4)
}

/// How many 16-bit numbers, samples first, and int8 numbers a stream needs.
const fn buffers(spec: &Spec, frames: usize, statistics: Option<&Statistics>) -> (usize, usize) {
    match statistics {
        None => (spec.n_fft, frames * spec.bands()),
        Some(which) => (
            spec.n_fft + which.buffer_len(frames).next_multiple_of(2),
            which.features(),
        ),
    }
}

impl<'m, 'a> Stream<'m, 'a> {
    /// A stream without samples so far.
    ///
    /// For classifiers, `class` is what the sound should be: an index of the network's outputs. `memory` holds at least
    /// [`Model::stream_bytes`]. The address of the model must be a multiple of 4.
    pub fn new(
        model: &'m Model<'a>,
        class: usize,
        arena: &'m mut [i8],
        memory: &'m mut [u32],
    ) -> Result<Stream<'m, 'a>, BlobError> {
        let (Some(record), Some(decision)) = (model.front_end(), model.decision()) else {
            return Err(BlobError::NoFrontEnd);
        };
        let (needed, found) = (model.arena_bytes(), arena.len());
        let Some(arena) = arena.get_mut(..needed) else {
            return Err(BlobError::ArenaTooSmall { needed, found });
        };
        let (front_end, quantizer) = model.front_end_and_quantizer()?;
        let spec = *front_end.spec();
        let (needed, found) = (model.stream_bytes(), 4 * memory.len());
        let too_small = BlobError::MemoryTooSmall { needed, found };
        let (for_decision, memory) = memory
            .split_at_mut_checked(decision.memory_words())
            .ok_or(too_small)?;
        let (frames, statistics) = (record.frames as usize, model.statistics());
        let (shorts, history) = buffers(&spec, frames, statistics.as_ref());
        let (scratch, shorts, history) =
            memory_parts(memory, spec.scratch_len(), shorts, history).ok_or(too_small)?;
        let (samples, kept) = shorts.split_at_mut(spec.n_fft);
        let mut stream = Stream {
            model,
            framer: Framer::new(front_end, samples, scratch),
            quantizer,
            decision,
            class,
            arena,
            history,
            pool: statistics.map(|which| {
                let length = which.buffer_len(frames);
                Pool::new(which, frames, &mut kept[..length])
            }),
            frames,
            frame_stride: record.frame_stride as usize,
            settling: match statistics {
                Some(_) => spec.settling_frames(),
                None => 0,
            },
            row: 0,
            missing: 0,
            window_score: None,
            latest: RunningScore::new(decision.rule, decision.windows, for_decision)
                .ok_or(too_small)?,
            alarm: Alarm::new(decision.alarm, decision.limit()),
            start: Start::default(),
            clipped: 0,
        };
        stream.reset();
        Ok(stream)
    }

    /// Forgets all samples and scores.
    pub fn reset(&mut self) {
        self.framer.reset();
        self.latest.reset();
        self.alarm.reset();
        self.start = Start::default();
        self.clipped = 0;
        if let Some(pool) = &mut self.pool {
            pool.reset();
        }
        self.row = 0;
        self.missing = self.settling + self.alarm.rule().settle as usize + self.frames;
        self.window_score = None;
    }

    /// Takes samples off the front of `heard` until a frame is complete, and returns its result. `None` when the
    /// samples end before.
    ///
    /// ```ignore
    /// let mut heard = &samples[..];
    /// while let Some(hop) = stream.next(&mut heard) { /* use it */ }
    /// ```
    pub fn next(&mut self, heard: &mut &[i16]) -> Option<Hop> {
        let (spec, before) = (*self.framer.spec(), *heard);
        let features = self.framer.next(heard);
        self.start.hear(&before[..before.len() - heard.len()]);
        let features = features?;
        match &mut self.pool {
            Some(pool) => pool.push(features),
            None => {
                let bands = features.len();
                let row = &mut self.history[self.row * bands..][..bands];
                let clipped = self.quantizer.quantize(features, row);
                self.clipped = self.clipped.saturating_add(clipped);
                self.row = (self.row + 1) % self.frames;
            }
        }
        self.missing -= usize::from(!self.start.is_before(&spec));
        let window_score = (self.missing == 0).then(|| self.score_window());
        let (score, anomaly) = self.now();
        Some(Hop {
            window_score,
            score,
            anomaly,
        })
    }

    /// Takes all samples, and returns the result of the last complete frame; `None` where no frame was completed.
    pub fn push(&mut self, mut samples: &[i16]) -> Option<Hop> {
        let mut last = None;
        while let Some(hop) = self.next(&mut samples) {
            last = Some(hop);
        }
        last
    }

    /// The latest frames in int8, the older piece first; with a pool, the latest vector of statistics.
    pub fn window(&self) -> [&[i8]; 2] {
        let bands = self.history.len() / self.frames;
        let (newer, older) = self.history.split_at(self.row * bands);
        [older, newer]
    }

    /// The network's output for the last window.
    pub fn output(&self) -> &[i8] {
        &self.arena[self.model.output().range()]
    }

    /// The score of the last window; `None` before the first.
    pub fn window_score(&self) -> Option<f32> {
        self.window_score
    }

    /// The score of the latest windows; `None` before there are enough of them.
    pub fn score(&self) -> Option<f32> {
        self.latest.score().filter(|_| self.alarm.is_ready())
    }

    /// The score and whether there is an alarm, as [`Hop`] has them.
    pub fn now(&self) -> (Option<f32>, Option<bool>) {
        (self.score(), self.alarm.verdict())
    }

    /// The threshold and the rule by which the score becomes an alarm.
    pub fn rule(&self) -> (Option<f32>, AlarmRule) {
        (self.alarm.threshold(), *self.alarm.rule())
    }

    /// Follows another threshold and rule from here on, in place of the model's. A running alarm ends; what was heard
    /// stays. `settle` counts from the next [`Stream::reset`] on. Fails, and changes nothing, where a number is out of
    /// range; holds the problem.
    pub fn follow(&mut self, threshold: Option<f32>, rule: AlarmRule) -> Result<(), &'static str> {
        if threshold.is_some_and(|threshold| !is_threshold(threshold)) {
            return Err("its threshold is not within -1024 to 1024");
        }
        if let Some(fault) = rule.fault() {
            return Err(fault);
        }
        self.alarm.follow(rule, threshold);
        Ok(())
    }

    /// Number of windows that the score covers.
    pub fn windows(&self) -> u32 {
        self.latest.windows()
    }

    /// Number of values of the network's input that the ends of int8 cut off since the start or the last reset. There
    /// are many where a microphone is louder than the sound that the network was made for.
    pub fn clipped(&self) -> u32 {
        self.clipped
    }

    fn score_window(&mut self) -> f32 {
        if let Some(pool) = &mut self.pool {
            let (quantizer, vector) = (self.quantizer, &mut *self.history);
            let mut clipped = 0;
            pool.each(|place, value| {
                let (quantized, is_clipped) = quantizer.quantize_one(place, value);
                vector[place] = quantized;
                clipped += u32::from(is_clipped);
            });
            self.clipped = self.clipped.saturating_add(clipped);
        }
        // A vector of statistics is whole: its row stays 0.
        let bands = self.history.len() / self.frames;
        let (newer, older) = self.history.split_at(self.row * bands);
        let input = &mut self.arena[self.model.input().range()];
        let (first, second) = input.split_at_mut(older.len());
        first.copy_from_slice(older);
        second.copy_from_slice(newer);
        if let Ok(mut session) = self.model.session(self.arena) {
            session.run();
        }
        let score = window_score(
            self.decision.task,
            self.class,
            self.model.centres(),
            [older, newer],
            &self.model.input(),
            &self.arena[self.model.output().range()],
            &self.model.output(),
        );
        self.window_score = Some(score);
        self.latest.push(score);
        if let Some(score) = self.latest.score() {
            self.alarm.push(score);
        }
        self.missing = self.frame_stride;
        score
    }
}
