//! Networks as text, for tables: `32x40x1; conv 16 3x3/2x2 relu; depthwise 3x3 relu; global_pool; dense 4`.
//!
//! The text begins with the shape of the input. Each operator after it reads the output of the one before.

use super::{Activation, Function, Graph, GraphBuilder, Padding, Shape, Style, TensorId, Window};

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text does not begin with the input's shape, or the shape is too large; holds the first part.
    #[error(
        "`{0}` is not a shape; write the height, width and channels of the input, for example 32x40x1"
    )]
    Shape(String),
    /// No operator has this name; holds the operator's part of the text.
    #[error("`{0}` is not an operator; the operators are {OPERATORS}")]
    Operator(String),
    /// A word of an operator is wrong or missing.
    #[error("in `{operator}`, `{word}` is not understood; write `{expected}`")]
    Word {
        /// The operator's part of the text.
        operator: String,
        /// The wrong word; empty where one is missing.
        word: String,
        /// How the operator is written.
        expected: &'static str,
    },
    /// The operator cannot work on its input, or its output would be too large.
    #[error(
        "`{operator}` does not fit its input, {} x {} x {}", .input.height, .input.width, .input.channels
    )]
    DoesNotFit {
        /// The operator's part of the text.
        operator: String,
        /// The shape of its input.
        input: Shape,
    },
    /// The text has too many operators.
    #[error("there are more than {MAX_OPERATORS} operators")]
    TooLong,
}

const OPERATORS: &str = "conv, depthwise, dense, average_pool, max_pool, global_pool, mean, add, upsample, relu, softmax";

/// The largest number of elements in a tensor and of operators. Networks as text are small, and nothing here overflows.
const MAX_ELEMENTS: usize = 1 << 24;
const MAX_OPERATORS: usize = 1000;

/// Reads a network.
///
/// Fails at the first part of the text that is not understood or does not fit.
pub fn parse(text: &str) -> Result<Graph, TextError> {
    let mut parts = text.split(';').map(str::trim);
    let shape = parts.next().unwrap_or_default();
    let input = lengths(shape).map(|[height, width, channels]| Shape::new(height, width, channels));
    let input = input.filter(|&input| is_small(input));
    let mut builder = GraphBuilder::new(input.ok_or_else(|| TextError::Shape(shape.to_string()))?);
    let mut x = 0;
    for (idx, operator) in parts.enumerate() {
        if idx == MAX_OPERATORS {
            return Err(TextError::TooLong);
        }
        x = push(&mut builder, x, operator)?;
    }
    Ok(builder.finish(x))
}

/// Adds one operator and returns its output.
fn push(net: &mut GraphBuilder, x: TensorId, operator: &str) -> Result<TensorId, TextError> {
    let input = net.shape(x);
    let mut words = Words {
        operator,
        rest: operator.split_whitespace(),
    };
    let name = words.rest.next().unwrap_or_default();
    let does_not_fit = || TextError::DoesNotFit {
        operator: operator.to_string(),
        input,
    };
    let fits = |window: &Window, channels: usize| {
        let [height, width] = window.output(input)?;
        (window.taps() <= MAX_ELEMENTS && is_small(Shape::new(height, width, channels)))
            .then_some(())
    };
    match name {
        "conv" => {
            let channels = words.number("conv CHANNELS KHxKW")?;
            let window = words.window("conv CHANNELS KHxKW[/SHxSW] [valid] [relu|relu6]")?;
            let style = words.style("conv CHANNELS KHxKW[/SHxSW] [valid] [relu|relu6]")?;
            fits(&window, channels).ok_or_else(does_not_fit)?;
            Ok(net.conv(x, channels, window, style))
        }
        "depthwise" => {
            let window = words.window("depthwise KHxKW[/SHxSW] [valid] [relu|relu6]")?;
            let style = words.style("depthwise KHxKW[/SHxSW] [valid] [relu|relu6]")?;
            fits(&window, input.channels).ok_or_else(does_not_fit)?;
            Ok(net.depthwise(x, window, style))
        }
        "average_pool" | "max_pool" => {
            let window = words.window("average_pool KHxKW[/SHxSW] [valid] [relu|relu6]")?;
            let style = words.style("average_pool KHxKW[/SHxSW] [valid] [relu|relu6]")?;
            fits(&window, input.channels).ok_or_else(does_not_fit)?;
            Ok(match name {
                "max_pool" => net.max_pool(x, window, style.activation),
                _ => net.average_pool(x, window, style.activation),
            })
        }
        "dense" => {
            let features = words.number("dense FEATURES [relu|relu6]")?;
            let style = words.style("dense FEATURES [relu|relu6]")?;
            is_small(Shape::vector(features))
                .then_some(())
                .ok_or_else(does_not_fit)?;
            Ok(net.dense(x, features, style))
        }
        "add" => {
            let back = words.back("add OPERATORS_BACK [relu|relu6]")?;
            let style = words.style("add OPERATORS_BACK [relu|relu6]")?;
            // Tensors are numbered in the order in which operators write them.
            let other = x.checked_sub(back).ok_or_else(does_not_fit)?;
            if net.shape(other) != input {
                return Err(does_not_fit());
            }
            let output = net.add(x, other);
            net.activate(style.activation);
            Ok(output)
        }
        "upsample" => {
            let [up, across] = words.pair("upsample FHxFW")?;
            words.end("upsample FHxFW")?;
            let side = |length: usize, factor: usize| length.checked_mul(factor);
            let output = side(input.height, up).zip(side(input.width, across));
            output
                .filter(|&(height, width)| is_small(Shape::new(height, width, input.channels)))
                .ok_or_else(does_not_fit)?;
            Ok(net.upsample(x, [up, across]))
        }
        "global_pool" => words
            .end("global_pool")
            .map(|()| net.global_average_pool(x)),
        "mean" => words.end("mean").map(|()| net.mean(x)),
        "relu" => words.end("relu").map(|()| net.lookup(x, Function::Relu)),
        "softmax" => words.end("softmax").map(|()| net.softmax(x)),
        _ => Err(TextError::Operator(operator.to_string())),
    }
}

/// The words of one operator, read from left to right.
struct Words<'a> {
    operator: &'a str,
    rest: std::str::SplitWhitespace<'a>,
}

impl Words<'_> {
    /// A number above zero.
    fn number(&mut self, expected: &'static str) -> Result<usize, TextError> {
        let word = self.rest.next().unwrap_or_default();
        lengths(word)
            .map(|[number]| number)
            .ok_or_else(|| self.error(word, expected))
    }

    /// How many operators to go back; 0 is the operator's own input.
    fn back(&mut self, expected: &'static str) -> Result<usize, TextError> {
        let word = self.rest.next().unwrap_or_default();
        word.parse().map_err(|_| self.error(word, expected))
    }

    fn pair(&mut self, expected: &'static str) -> Result<[usize; 2], TextError> {
        let word = self.rest.next().unwrap_or_default();
        lengths(word).ok_or_else(|| self.error(word, expected))
    }

    /// Reads `3x3` or `3x3/2x1`. The padding is SAME unless the word `valid` follows.
    fn window(&mut self, expected: &'static str) -> Result<Window, TextError> {
        let word = self.rest.next().unwrap_or_default();
        let (kernel, stride) = word.split_once('/').unwrap_or((word, "1x1"));
        let sizes = lengths(kernel).zip(lengths(stride));
        let (kernel, stride) = sizes.ok_or_else(|| self.error(word, expected))?;
        let mut after = self.rest.clone();
        let padding = match after.next() {
            Some("valid") => {
                self.rest = after;
                Padding::Valid
            }
            _ => Padding::Same,
        };
        Ok(Window {
            kernel,
            stride,
            padding,
            dilation: [1, 1],
        })
    }

    /// Reads the rest: an activation or nothing.
    fn style(&mut self, expected: &'static str) -> Result<Style, TextError> {
        let activation = match self.rest.next() {
            None => Activation::None,
            Some("relu") => Activation::Relu,
            Some("relu6") => Activation::Relu6,
            Some(word) => return Err(self.error(word, expected)),
        };
        self.end(expected)?;
        Ok(Style {
            activation,
            ..Style::LINEAR
        })
    }

    fn end(&mut self, expected: &'static str) -> Result<(), TextError> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => Err(self.error(word, expected)),
        }
    }

    fn error(&self, word: &str, expected: &'static str) -> TextError {
        TextError::Word {
            operator: self.operator.to_string(),
            word: word.to_string(),
            expected,
        }
    }
}

/// Reads numbers above zero that are separated by `x`.
fn lengths<const N: usize>(text: &str) -> Option<[usize; N]> {
    let number = |word: &str| word.parse().ok().filter(|&number| number > 0);
    let numbers: Option<Vec<usize>> = text.split('x').map(number).collect();
    numbers?.try_into().ok()
}

fn is_small(shape: Shape) -> bool {
    let elements = shape.height.checked_mul(shape.width);
    let elements = elements.and_then(|area| area.checked_mul(shape.channels));
    elements.is_some_and(|elements| elements <= MAX_ELEMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::memory;

    #[test]
    fn networks_are_read_as_they_are_written() {
        let mut net = GraphBuilder::new(Shape::new(8, 10, 3));
        let relu = Style {
            activation: Activation::Relu,
            ..Style::LINEAR
        };
        let window = |kernel, stride, padding| Window {
            kernel,
            stride,
            padding,
            dilation: [1, 1],
        };
        let a = net.conv(0, 5, window([3, 1], [2, 1], Padding::Valid), relu);
        let b = net.depthwise(a, Window::same(3, 1), Style::LINEAR);
        let c = net.add(b, a);
        let d = net.upsample(c, [1, 2]);
        let e = net.global_average_pool(d);
        let f = net.dense(e, 4, Style::LINEAR);
        let g = net.softmax(f);
        let text = "8x10x3; conv 5 3x1/2x1 valid relu; depthwise 3x3; add 1; upsample 1x2; global_pool; dense 4; softmax";
        assert_eq!(parse(text).unwrap(), net.finish(g));
    }

    #[test]
    fn what_is_no_network_is_named() {
        let check = |text: &str, expected: &str| {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(
            "",
            "`` is not a shape; write the height, width and channels",
        );
        check("8x8", "`8x8` is not a shape");
        check("8x0x1", "is not a shape");
        check("99999999x99999999x99999999", "is not a shape");
        check(
            "8x8x1; cnov 4 3x3",
            "`cnov 4 3x3` is not an operator; the operators are conv,",
        );
        check("8x8x1;", "`` is not an operator");
        check(
            "8x8x1; conv 4 3",
            "in `conv 4 3`, `3` is not understood; write `conv CHANNELS",
        );
        check("8x8x1; conv 4 3x3 relu7", "`relu7` is not understood");
        check(
            "8x8x1; conv 4 9x9 valid",
            "does not fit its input, 8 x 8 x 1",
        );
        check("8x8x1; add 1", "`add 1` does not fit");
        assert!(parse("8x8x1; add 0").is_ok());
        check("8x8x1; conv 2 1x1; add 1", "`add 1` does not fit");
        check("8x8x1; upsample 9999999x9999999", "does not fit");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([1-9]{1,2}x){2}[1-9](; (conv|dense|add|depthwise|upsample|max_pool|mean) ?[0-9x/]{0,7} ?[0-9x/]{0,5} ?(valid|relu|softmax)?){0,4}") {
            if let Ok(graph) = parse(&text) {
                memory::plan(&graph);
            }
        }
    }
}
