//! How long an evaluation takes, from shapes alone.

/// How much there is to do for a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Workload {
    /// Windows that pass through training, over all epochs and members.
    pub trained_windows: usize,
    /// Windows of labelled test clips.
    pub scored_windows: usize,
    /// Multiply-accumulates of the network that is trained, for one window.
    pub member_macs: u64,
    /// Multiply-accumulates of the whole network, for one window.
    pub macs: u64,
    /// Values in all tensors of the network that is trained.
    pub member_values: usize,
}

/// Seconds of every evaluation, whatever the network.
const FIXED: f64 = 0.1;
/// Seconds per multiply-accumulate of a forward pass in training; the backward pass has two more of each.
const PER_TRAINED_MAC: f64 = 7.5e-10;
/// Seconds per value of a tensor in training: activations and normalisation.
const PER_TRAINED_VALUE: f64 = 1e-8;
/// Seconds per multiply-accumulate of a scored window: the float network, the int8 network, and the choice of its ranges.
const PER_SCORED_MAC: f64 = 1e-9;

impl Workload {
    /// Seconds of one core. The constants were fitted to networks of all shipped spaces on `synthetic:pump`, on a core with AVX2;
    /// most are within a factor of two. Another core takes all of them longer or shorter, which changes no choice between them.
    pub fn seconds(self) -> f64 {
        let (trained, scored) = (self.trained_windows as f64, self.scored_windows as f64);
        let per_trained = PER_TRAINED_MAC * self.member_macs as f64
            + PER_TRAINED_VALUE * self.member_values as f64;
        FIXED + trained * per_trained + scored * PER_SCORED_MAC * self.macs as f64
    }
}
