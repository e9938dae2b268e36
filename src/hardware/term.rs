//! Units of CPU work: what cycles are linear in.

use serde::Deserialize;

use super::Bottleneck;

/// The enum of units with key, unit and bottleneck of each.
macro_rules! terms {
    ($($(#[doc = $doc:literal])* $name:ident $key:literal $unit:literal $bottleneck:ident,)*) => {
        /// One unit of work of the CPU; cycles are linear in the amounts of these.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Term {
            $($(#[doc = $doc])* $name,)*
        }

        impl Term {
            pub const ALL: &[Term] = &[$(Term::$name,)*];

            /// The key in profiles and the column in tables of measurements: `conv_mac`.
            pub const fn key(self) -> &'static str {
                match self { $(Term::$name => $key,)* }
            }

            /// The unit of its coefficient.
            pub const fn unit(self) -> &'static str {
                match self { $(Term::$name => concat!("cycles/", $unit),)* }
            }

            /// What a layer that spends its time on it waits for.
            pub const fn bottleneck(self) -> Bottleneck {
                match self { $(Term::$name => Bottleneck::$bottleneck,)* }
            }
        }
    };
}

terms! {
    /// Convolution with a kernel larger than 1 x 1, per multiply-accumulate.
    ConvMac "conv_mac" "MAC" Compute,
    ConvOutput "conv_output" "output" Compute,
    /// Per kernel position and output pixel: copying one column for the matrix product (im2col).
    ConvTap "conv_tap" "tap" Memory,
    /// Convolution 1 x 1.
    PointwiseMac "pointwise_mac" "MAC" Compute,
    PointwiseOutput "pointwise_output" "output" Compute,
    DepthwiseMac "depthwise_mac" "MAC" Compute,
    DepthwiseOutput "depthwise_output" "output" Compute,
    FullyConnectedMac "fully_connected_mac" "MAC" Compute,
    FullyConnectedOutput "fully_connected_output" "output" Compute,
    PoolInput "pool_input" "input" Compute,
    AddOutput "add_output" "output" Memory,
    UpsampleOutput "upsample_output" "output" Memory,
    /// Per output of a network whose activations do not fit the fast memory: traffic with a slower one.
    SpilledOutput "spilled_output" "output" Memory,
    /// Fetching one weight from where it is stored, once per inference.
    WeightByte "weight_byte" "B" Weights,
    /// Calling one operator.
    Op "op" "op" Overhead,
    // What follows counts the loops of this project's kernels, see `work`.
    /// Calling a convolution, beside `op`.
    ConvLayer "conv_layer" "layer" Overhead,
    DepthwiseLayer "depthwise_layer" "layer" Overhead,
    FullyConnectedLayer "fully_connected_layer" "layer" Overhead,
    /// One channel of a convolution, once per inference: checking and setting up its constants.
    Channel "channel" "channel" Overhead,
    /// One pass of the innermost loop of a convolution: four taps by four pixels (SMLAD), or sixteen taps by three
    /// pixels and two channels (Helium).
    ConvStep "conv_step" "step" Compute,
    /// A group of neighbouring pixels by a block of channels.
    ConvGroup "conv_group" "group" Compute,
    /// Rows of weights with a group of pixels, and scaling their sums: one row by four pixels (SMLAD), or four by
    /// three (Helium).
    ConvScale "conv_scale" "step" Compute,
    /// A window that is unpacked or gathered.
    ConvWindow "conv_window" "window" Memory,
    /// A row of such a window that is handled on its own.
    ConvWindowRow "conv_window_row" "row" Memory,
    /// Four taps that are unpacked together (SMLAD), or sixteen bytes that are copied (Helium).
    ConvWindowStep "conv_window_step" "step" Memory,
    /// A tap that is unpacked on its own.
    ConvWindowByte "conv_window_byte" "B" Memory,
    /// Eight inputs by two rows (SMLAD), or sixteen by four (Helium).
    FullyConnectedStep "fully_connected_step" "step" Compute,
    /// A step of rows that are not aligned to words.
    FullyConnectedUnaligned "fully_connected_unaligned" "step" Compute,
    /// Two rows of weights (SMLAD), or four (Helium).
    FullyConnectedRow "fully_connected_row" "row" Compute,
    /// A product that is left over from steps.
    FullyConnectedRest "fully_connected_rest" "MAC" Compute,
    /// Four inputs that are unpacked.
    FullyConnectedInput "fully_connected_input" "step" Memory,
    /// Outputs whose sums are on the stack at once.
    FullyConnectedBlock "fully_connected_block" "block" Compute,
    /// Taps of a pixel in a block of channels: three (SMLAD) or one (Helium).
    DepthwiseStep "depthwise_step" "step" Compute,
    /// A pixel in a block of channels: four (SMLAD) or sixteen (Helium).
    DepthwisePixel "depthwise_pixel" "pixel" Compute,
    /// A run of pixels.
    DepthwiseRow "depthwise_row" "row" Compute,
    /// Pixels in a block of channels whose windows have the same part on the image.
    DepthwiseBorder "depthwise_border" "border" Overhead,
    /// A tap that is selected for such pixels.
    DepthwiseTap "depthwise_tap" "tap" Overhead,
    /// A tap that is padding for such pixels, and added to their biases.
    DepthwisePadding "depthwise_padding" "tap" Overhead,
    /// Loads and stores of a block with fewer channels than lanes.
    DepthwisePartial "depthwise_partial" "access" Compute,
    /// Scaled sums that are rounded away from zero, as layers without ReLU are: four, or a pixel of a depthwise block.
    RoundedAway "rounded_away" "step" Compute,
    DepthwiseRoundedAway "depthwise_rounded_away" "pixel" Compute,
    /// Layers that no build of a core takes.
    PortableMac "portable_mac" "MAC" Compute,
    PortableOutput "portable_output" "output" Compute,
    /// Sixteen channels of a pixel that are added up.
    PoolStep "pool_step" "step" Compute,
    /// Fewer channels of a pixel, each of which is an input.
    PoolTap "pool_tap" "tap" Compute,
    /// A row of such pixels.
    PoolRow "pool_row" "row" Compute,
    PoolOutput "pool_output" "output" Compute,
    /// A window.
    PoolPixel "pool_pixel" "pixel" Compute,
    /// Up to sixteen channels of a pixel that a maximum is taken over.
    MaxPoolTap "max_pool_tap" "tap" Compute,
    SoftmaxOutput "softmax_output" "output" Compute,
    LookupOutput "lookup_output" "output" Memory,
    UpsamplePixel "upsample_pixel" "pixel" Memory,
    /// One copy of a pixel or of a row of them.
    UpsampleCopy "upsample_copy" "copy" Memory,
    /// Sixteen bytes of it.
    UpsampleStep "upsample_step" "step" Memory,
    /// Real FFT, per `n log2 n`.
    FftPoint "fft_point" "(n log2 n)" Compute,
    /// Everything else that grows with the spectrum, per bin of it: window, power, filter bank.
    MelBin "mel_bin" "bin" Compute,
    /// Logarithm, scaling and rounding of one mel band.
    LogBand "log_band" "band" Compute,
    /// One multiply-accumulate of the DCT of an MFCC, of which symmetry leaves half.
    DctMac "dct_mac" "MAC" Compute,
}

impl Term {
    pub const COUNT: usize = Term::ALL.len();

    /// Whether the term belongs to the front end, which has no measurements yet.
    pub const fn is_front_end(self) -> bool {
        matches!(
            self,
            Term::FftPoint | Term::MelBin | Term::LogBand | Term::DctMac
        )
    }
}
