//! Every choice that a second implementation of the front end needs, by the words of librosa and torchaudio.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Feature, FeatureSpec};

/// How samples become features, beside the numbers of a [`FeatureSpec`]. All front ends share these choices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The channel of a recording: `first`.
    pub channel: String,
    /// What a sample of 16 bits is divided by before all else.
    pub full_scale: f64,
    /// The window of a frame: `hann`, of `n_fft` samples.
    pub window: String,
    /// Whether the window is periodic (`n_fft` samples of a cosine with that period) and not symmetric.
    pub window_is_periodic: bool,
    /// Whether frame `k` is centred on sample `k * hop_length`.
    pub centred: bool,
    /// What centred frames see before and after the clip: `zeros`.
    pub padding: String,
    /// Exponent of the spectrum's magnitude: 2, power.
    pub power: f64,
    /// The mel scale: `slaney`, linear up to 1 kHz and logarithmic above.
    pub mel_scale: String,
    /// The height of a mel filter: `slaney`, 2 over its width in hertz.
    pub mel_norm: String,
    /// Lower edge of the lowest band in hertz.
    pub lowest_hz: f64,
    /// Upper edge of the highest band in hertz: half of the sample rate.
    pub highest_hz: f64,
    /// The logarithm of a band's power: `10 log10(max(power, floor) / reference)`.
    pub logarithm: String,
    /// The floor of the power.
    pub floor: f64,
    /// The power of 0 dB.
    pub reference: f64,
    /// Decibels below a clip's loudest value at which values are cut off; null, since nothing is.
    pub top_db: Option<f64>,
    /// Type of the discrete cosine transform over the bands of a frame, of MFCC; null for log-mel.
    pub dct_type: Option<u8>,
    /// Its norm: `ortho`; null for log-mel.
    pub dct_norm: Option<String>,
    /// What the network sees of a feature: `(feature - mean) / std`, companded where `companding` says so, then quantised.
    pub standardisation: String,
}

impl Recipe {
    /// The choices of a front end.
    pub fn of(spec: &FeatureSpec) -> Recipe {
        let is_mfcc = matches!(spec.feature, Feature::Mfcc { .. });
        Recipe {
            channel: "first".to_string(),
            full_scale: 32768.0,
            window: "hann".to_string(),
            window_is_periodic: true,
            centred: true,
            padding: "zeros".to_string(),
            power: 2.0,
            mel_scale: "slaney".to_string(),
            mel_norm: "slaney".to_string(),
            lowest_hz: 0.0,
            highest_hz: f64::from(spec.sample_rate_hz) / 2.0,
            logarithm: "10 log10(max(power, floor) / reference)".to_string(),
            floor: f64::EPSILON,
            reference: 1.0,
            top_db: None,
            dct_type: is_mfcc.then_some(2),
            dct_norm: is_mfcc.then(|| "ortho".to_string()),
            standardisation: "(feature - mean) / std".to_string(),
        }
    }
}
