//! Quantities as people write them (`256k`, `20ms`, `300uJ`), and the project's fixed random generator.
//!
//! This module knows no other module.

use std::{fmt, str::FromStr, time::Duration};

use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A text that is not the quantity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}; write for example {example}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    example: &'static str,
}

/// A size of memory in bytes; `k`, `M` and `G` count in powers of 1024, as datasheets do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A number of operations or parameters; `k`, `M` and `G` count in powers of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// A duration in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Micros(pub f64);

/// An energy in microjoules.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Microjoules(pub f64);

/// The energy that a battery holds, in milliwatt hours.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct MilliwattHours(pub f64);

/// A span of wall-clock time, written as `10m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Bytes {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        const UNITS: &[(&str, f64)] = &[
            ("kib", 1024.0),
            ("mib", 1048576.0),
            ("gib", 1073741824.0),
            ("kb", 1024.0),
            ("mb", 1048576.0),
            ("gb", 1073741824.0),
            ("k", 1024.0),
            ("m", 1048576.0),
            ("g", 1073741824.0),
            ("b", 1.0),
            ("", 1.0),
        ];
        whole(text, UNITS, "a size in bytes", "`256k` or `1M`").map(Bytes)
    }
}

impl FromStr for Count {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        const UNITS: &[(&str, f64)] = &[("k", 1e3), ("m", 1e6), ("g", 1e9), ("", 1.0)];
        whole(text, UNITS, "a count", "`500k` or `3M`").map(Count)
    }
}

impl FromStr for Micros {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        const UNITS: &[(&str, f64)] = &[("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
        scaled(text, UNITS, "a latency", "`500us` or `20ms`").map(Micros)
    }
}

impl FromStr for Microjoules {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        const UNITS: &[(&str, f64)] = &[
            ("nj", 1e-3),
            ("uj", 1.0),
            ("µj", 1.0),
            ("mj", 1e3),
            ("j", 1e6),
        ];
        scaled(text, UNITS, "an energy", "`300uJ` or `2mJ`").map(Microjoules)
    }
}

impl FromStr for MilliwattHours {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        const UNITS: &[(&str, f64)] = &[("mwh", 1.0), ("wh", 1e3)];
        scaled(
            text,
            UNITS,
            "the energy of a battery",
            "`1000mWh` or `2.5Wh`",
        )
        .map(MilliwattHours)
    }
}

/// Seconds of a day.
pub const DAY_S: f64 = 86_400.0;

impl FromStr for Span {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        const UNITS: &[(&str, f64)] = &[
            ("s", 1.0),
            ("m", 60.0),
            ("min", 60.0),
            ("h", 3600.0),
            ("d", DAY_S),
        ];
        let (what, example) = ("a span of time", "`90s` or `10m`");
        let seconds = scaled(text, UNITS, what, example)?;
        Duration::try_from_secs_f64(seconds)
            .map(Span)
            .map_err(|_| error(text, what, example))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 as f64 {
            bytes if bytes >= 1048576.0 => write!(f, "{} MiB", three_digits(bytes / 1048576.0)),
            bytes if bytes >= 1024.0 => write!(f, "{} KiB", three_digits(bytes / 1024.0)),
            bytes => write!(f, "{bytes} B"),
        }
    }
}

/// For sizes of spaces: a count above 64 bits becomes the highest that 64 bits hold.
impl From<u128> for Count {
    fn from(count: u128) -> Count {
        Count(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 as f64 {
            count if count >= 1e9 => write!(f, "{} G", three_digits(count / 1e9)),
            count if count >= 1e6 => write!(f, "{} M", three_digits(count / 1e6)),
            count if count >= 1e3 => write!(f, "{} k", three_digits(count / 1e3)),
            count => write!(f, "{count}"),
        }
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us >= 1e6 => write!(f, "{} s", three_digits(us / 1e6)),
            us if us >= 1e3 => write!(f, "{} ms", three_digits(us / 1e3)),
            us => write!(f, "{} µs", three_digits(us)),
        }
    }
}

impl fmt::Display for Microjoules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            uj if uj >= 1e6 => write!(f, "{} J", three_digits(uj / 1e6)),
            uj if uj >= 1e3 => write!(f, "{} mJ", three_digits(uj / 1e3)),
            uj => write!(f, "{} µJ", three_digits(uj)),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            s if s >= 3600 => write!(f, "{}h{:02}m", s / 3600, s / 60 % 60),
            s if s >= 60 => write!(f, "{}m{:02}s", s / 60, s % 60),
            s => write!(f, "{s}s"),
        }
    }
}

/// Prints a positive number with three significant digits and no exponent.
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn error(text: &str, what: &'static str, example: &'static str) -> UnitError {
    let text = text.to_string();
    UnitError {
        text,
        what,
        example,
    }
}

fn scaled(
    text: &str,
    units: &[(&str, f64)],
    what: &'static str,
    example: &'static str,
) -> Result<f64, UnitError> {
    let fail = || error(text, what, example);
    let trimmed = text.trim();
    let unit_start = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(unit_start);
    let unit = unit.trim().to_lowercase();
    let number: f64 = number.parse().map_err(|_| fail())?;
    let factor = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(fail)?
        .1;
    let value = number * factor;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(fail())
    }
}

fn whole(
    text: &str,
    units: &[(&str, f64)],
    what: &'static str,
    example: &'static str,
) -> Result<u64, UnitError> {
    let value = scaled(text, units, what, example)?;
    if value <= 2f64.powi(53) {
        Ok(value.round() as u64)
    } else {
        Err(error(text, what, example))
    }
}

/// The project's random generator: ChaCha8, so a seed gives the same numbers on every machine.
///
/// `stream` separates the uses of one seed: weights of one candidate, shuffles, proposals.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// A generator at the beginning of a stream of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut chacha = ChaCha8Rng::seed_from_u64(seed);
        chacha.set_stream(stream);
        Rng(chacha)
    }

    /// A whole number in `0..bound`.
    ///
    /// # Panics
    ///
    /// Where `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "below(0) has no answer");
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A number in `[low, high)`.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A standard normal number (Box-Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts the items in random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for idx in (1..items.len()).rev() {
            items.swap(idx, self.below(idx + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_and_print() {
        fn check<T: FromStr + fmt::Display>(input: &str, expected: &str) {
            let shown = input
                .parse::<T>()
                .map_or("error".to_string(), |v| v.to_string());
            assert_eq!(shown, expected, "{input}");
        }
        check::<Bytes>("256k", "256 KiB");
        check::<Bytes>("1M", "1.00 MiB");
        check::<Bytes>("1.5 MiB", "1.50 MiB");
        check::<Bytes>("300", "300 B");
        check::<Bytes>("k", "error");
        check::<Bytes>("-1k", "error");
        check::<Bytes>("256kk", "error");
        check::<Bytes>("1e400", "error");
        check::<Count>("3M", "3.00 M");
        check::<Micros>("20ms", "20.0 ms");
        check::<Micros>("20", "error");
        check::<Microjoules>("300uJ", "300 µJ");
        check::<Microjoules>("2mJ", "2.00 mJ");
        check::<Span>("10m", "10m00s");
        check::<Span>("99999999999999999999d", "error");
    }

    /// Stored runs and synthetic sounds depend on these numbers, so they never change.
    #[test]
    fn generator_is_fixed() {
        let mut rng = Rng::new(1, 2);
        let drawn: Vec<usize> = (0..6).map(|_| rng.below(1000)).collect();
        assert_eq!(drawn, [876, 682, 336, 511, 961, 444]);
        assert_eq!(rng.uniform(), 0.159722573096845);
        // Logarithm and cosine come from the system's library, whose last bit may differ.
        assert!((rng.normal() - 0.956_942_255_012_754_8).abs() < 1e-12);
        let mut items: Vec<usize> = (0..8).collect();
        rng.shuffle(&mut items);
        assert_eq!(items, [6, 1, 5, 2, 7, 4, 0, 3]);
        let mut other = Rng::new(1, 3);
        let drawn: Vec<usize> = (0..6).map(|_| other.below(1000)).collect();
        assert_eq!(drawn, [568, 674, 197, 391, 248, 26]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_quantity_or_a_clear_error(text in ".{0,12}") {
            for message in [
                text.parse::<Bytes>().err(),
                text.parse::<Micros>().err(),
                text.parse::<Microjoules>().err(),
                text.parse::<Span>().err(),
                text.parse::<Count>().err(),
            ].into_iter().flatten() {
                assert!(message.to_string().contains("write for example"));
            }
        }

        #[test]
        fn a_number_and_a_unit_are_their_product(number in 1u32..1000, space in " {0,1}") {
            for (unit, factor) in [("", 1), ("k", 1024), ("M", 1024 * 1024), ("MiB", 1024 * 1024)] {
                let bytes: Bytes = format!("{number}{space}{unit}").parse().unwrap();
                assert_eq!(bytes.0, u64::from(number) * factor);
            }
            for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
                let time: Micros = format!("{number}{space}{unit}").parse().unwrap();
                assert_eq!(time.0, f64::from(number) * factor);
            }
        }

        #[test]
        fn bytes_survive_printing(kib in 1u64..1000) {
            let bytes = Bytes(kib * 1024);
            assert_eq!(bytes.to_string().parse::<Bytes>().unwrap(), bytes);
        }
    }
}
