//! Units of CPU work; cycles are linear in their amounts.

use serde::Deserialize;

use super::Bottleneck;

/// Makes the enum with the key, unit and bottleneck of each term.
macro_rules! terms {
    ($($(#[doc = $doc:literal])* $name:ident $key:literal $unit:literal $bottleneck:ident,)*) => {
        /// One unit of work of the CPU; cycles are linear in the amounts of these.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Term {
            $($(#[doc = $doc])* $name,)*
        }

        impl Term {
            /// All terms, in the order of [`super::Work`].
            pub const ALL: &[Term] = &[$(Term::$name,)*];

            /// The key in profiles, and the column in tables of measurements: `conv_mac`.
            pub const fn key(self) -> &'static str {
                match self { $(Term::$name => $key,)* }
            }

            /// The unit of its coefficient: `cycles/MAC`.
            pub const fn unit(self) -> &'static str {
                match self { $(Term::$name => concat!("cycles/", $unit),)* }
            }

            /// The bottleneck of a layer that spends most of its time on this term.
            pub const fn bottleneck(self) -> Bottleneck {
                match self { $(Term::$name => Bottleneck::$bottleneck,)* }
            }
        }
    };
}

terms! {
    /// Convolution with a kernel larger than 1 x 1, per multiply-accumulate.
    ConvMac "conv_mac" "MAC" Compute,
    /// One output of such a convolution.
    ConvOutput "conv_output" "output" Compute,
    /// Copying one column for the matrix product (im2col), per kernel position and output pixel.
    ConvTap "conv_tap" "tap" Memory,
    /// A 1 x 1 convolution, per multiply-accumulate.
    PointwiseMac "pointwise_mac" "MAC" Compute,
    /// One output of a 1 x 1 convolution.
    PointwiseOutput "pointwise_output" "output" Compute,
    /// A depthwise convolution, per multiply-accumulate.
    DepthwiseMac "depthwise_mac" "MAC" Compute,
    /// One output of a depthwise convolution.
    DepthwiseOutput "depthwise_output" "output" Compute,
    /// A fully connected layer, per multiply-accumulate.
    FullyConnectedMac "fully_connected_mac" "MAC" Compute,
    /// One output of a fully connected layer.
    FullyConnectedOutput "fully_connected_output" "output" Compute,
    /// One input that a pool adds up or compares; an input in two windows counts twice.
    PoolInput "pool_input" "input" Compute,
    /// One output of ADD.
    AddOutput "add_output" "output" Memory,
    /// One output of an operator that only copies or looks up: UPSAMPLE, PAD, a lookup table.
    UpsampleOutput "upsample_output" "output" Memory,
    /// One output of a network whose activations do not fit the fast memory: traffic with a slower one.
    SpilledOutput "spilled_output" "output" Memory,
    /// Fetching one weight from its memory, once per inference.
    WeightByte "weight_byte" "B" Weights,
    /// Calling one operator.
    Op "op" "op" Overhead,
    // The terms below count the loops of this project's kernels, see `work`.
    /// Calling a convolution, beside `op`.
    ConvLayer "conv_layer" "layer" Overhead,
    /// Calling a depthwise convolution, beside `op`.
    DepthwiseLayer "depthwise_layer" "layer" Overhead,
    /// Calling a fully connected layer, beside `op`.
    FullyConnectedLayer "fully_connected_layer" "layer" Overhead,
    /// One channel of a convolution: checking and setting up its constants, once per inference.
    Channel "channel" "channel" Overhead,
    /// One pass of the innermost loop of a convolution: four taps by four pixels (SMLAD), or sixteen taps by three
    /// pixels and two channels (Helium).
    ConvStep "conv_step" "step" Compute,
    /// A group of neighbouring pixels with a block of channels.
    ConvGroup "conv_group" "group" Compute,
    /// Rows of weights with a group of pixels, and scaling their sums: one row by four pixels (SMLAD), or four by
    /// three (Helium).
    ConvScale "conv_scale" "step" Compute,
    /// A window that is unpacked or gathered.
    ConvWindow "conv_window" "window" Memory,
    /// A row of such a window that is handled alone.
    ConvWindowRow "conv_window_row" "row" Memory,
    /// Four taps unpacked together (SMLAD), or sixteen bytes copied (Helium).
    ConvWindowStep "conv_window_step" "step" Memory,
    /// A tap that is unpacked alone.
    ConvWindowByte "conv_window_byte" "B" Memory,
    /// Eight inputs by two rows (SMLAD), or sixteen by four (Helium).
    FullyConnectedStep "fully_connected_step" "step" Compute,
    /// A step of rows that are not aligned to words.
    FullyConnectedUnaligned "fully_connected_unaligned" "step" Compute,
    /// Two rows of weights (SMLAD), or four (Helium).
    FullyConnectedRow "fully_connected_row" "row" Compute,
    /// A product that is left over from the steps.
    FullyConnectedRest "fully_connected_rest" "MAC" Compute,
    /// Four inputs unpacked.
    FullyConnectedInput "fully_connected_input" "step" Memory,
    /// A block of outputs whose sums are on the stack at once.
    FullyConnectedBlock "fully_connected_block" "block" Compute,
    /// Taps of a pixel in a block of channels: three (SMLAD) or one (Helium).
    DepthwiseStep "depthwise_step" "step" Compute,
    /// A pixel in a block of channels: four (SMLAD) or sixteen (Helium).
    DepthwisePixel "depthwise_pixel" "pixel" Compute,
    /// A run of pixels.
    DepthwiseRow "depthwise_row" "row" Compute,
    /// Pixels in a block of channels whose windows cover the image alike.
    DepthwiseBorder "depthwise_border" "border" Overhead,
    /// A tap that is selected for such pixels.
    DepthwiseTap "depthwise_tap" "tap" Overhead,
    /// A tap that is padding for such pixels, added to their biases.
    DepthwisePadding "depthwise_padding" "tap" Overhead,
    /// Loads and stores of a block with fewer channels than lanes.
    DepthwisePartial "depthwise_partial" "access" Compute,
    /// Scaled sums rounded away from zero, as in layers without ReLU: four sums.
    RoundedAway "rounded_away" "step" Compute,
    /// The same for one pixel of a depthwise block.
    DepthwiseRoundedAway "depthwise_rounded_away" "pixel" Compute,
    /// A multiply-accumulate of a layer that only the portable kernels take.
    PortableMac "portable_mac" "MAC" Compute,
    /// One output of such a layer.
    PortableOutput "portable_output" "output" Compute,
    /// Sixteen channels of a pixel added up.
    PoolStep "pool_step" "step" Compute,
    /// A pixel with fewer than sixteen channels, added up; each channel is also an input.
    PoolTap "pool_tap" "tap" Compute,
    /// A row of such pixels.
    PoolRow "pool_row" "row" Compute,
    /// One output of an average pool.
    PoolOutput "pool_output" "output" Compute,
    /// One window of an average pool.
    PoolPixel "pool_pixel" "pixel" Compute,
    /// Up to sixteen channels of a pixel in a maximum.
    MaxPoolTap "max_pool_tap" "tap" Compute,
    /// One output of SOFTMAX.
    SoftmaxOutput "softmax_output" "output" Compute,
    /// One output of a lookup table.
    LookupOutput "lookup_output" "output" Memory,
    /// One input pixel of UPSAMPLE.
    UpsamplePixel "upsample_pixel" "pixel" Memory,
    /// One copy of a pixel, or of a row of pixels.
    UpsampleCopy "upsample_copy" "copy" Memory,
    /// Sixteen bytes of such a copy.
    UpsampleStep "upsample_step" "step" Memory,
    /// A real FFT, per `n log2 n`.
    FftPoint "fft_point" "(n log2 n)" Compute,
    /// Everything else that grows with the spectrum, per bin: window, power, filter bank.
    MelBin "mel_bin" "bin" Compute,
    /// Logarithm, scaling and rounding of one mel band.
    LogBand "log_band" "band" Compute,
    /// One multiply-accumulate of the DCT of an MFCC; symmetry halves their number.
    DctMac "dct_mac" "MAC" Compute,
}

impl Term {
    /// Number of terms.
    pub const COUNT: usize = Term::ALL.len();

    /// Whether the term belongs to the front end; the front end has no measurements yet.
    pub const fn is_front_end(self) -> bool {
        matches!(
            self,
            Term::FftPoint | Term::MelBin | Term::LogBand | Term::DctMac
        )
    }
}
