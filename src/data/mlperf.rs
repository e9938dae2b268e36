//! The ready features of MLPerf Tiny's anomaly detection benchmark.

use crate::audio::{Feature, FeatureSpec};

/// How the benchmark's features were computed: its `02_convert.py` keeps frames 50 to 249 of each clip.
pub(super) const FEATURES: FeatureSpec = FeatureSpec {
    sample_rate_hz: 16_000,
    n_fft: 1024,
    hop_length: 512,
    n_mels: 128,
    feature: Feature::LogMel,
};

/// Bytes of one frame: 128 mel bands of f32.
pub(super) const FRAME_BYTES: u64 = 128 * 4;

/// The only machine of the benchmark.
pub(super) const MACHINE: &str = "ToyCar";

/// The list of clips in the benchmark's official test.
pub(super) const TEST_LIST: &str = "y_labels.csv";

/// The recording's own name: `normal_id_01_00000003` for `normal_id_01_00000003_hist_librosa`.
pub(super) fn recording(stem: &str) -> &str {
    stem.strip_suffix("_hist_librosa").unwrap_or(stem)
}
