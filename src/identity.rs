//! Canonical texts: the texts from which keys and hashes are made.
//!
//! Keys of networks, evaluations and features, and hashes of data sets, are hashes of canonical texts. Stored runs hold
//! such keys, so a text never changes, even where types and fields are renamed. Each type writes its text beside itself
//! and lists its fields by name. So a new field does not compile until somebody decides how the text stays the same
//! where the field has its default.
//!
//! This module knows none of those types.

use std::fmt::Write as _;

/// A value with a canonical text: equal for equal values, and fixed for good.
pub trait Canonical {
    /// Appends the canonical text.
    fn write_canonical(&self, text: &mut String);

    /// The canonical text.
    fn canonical(&self) -> String {
        let mut text = String::new();
        self.write_canonical(&mut text);
        text
    }
}

/// Appends `Name { field: value, field: value }`.
pub fn record(text: &mut String, name: &str, fields: &[(&str, &dyn Canonical)]) {
    text.push_str(name);
    for (idx, (field, value)) in fields.iter().enumerate() {
        text.push_str(if idx == 0 { " { " } else { ", " });
        text.push_str(field);
        text.push_str(": ");
        value.write_canonical(text);
    }
    text.push_str(" }");
}

/// Appends `Name(value, value)`; without a name it is a tuple.
pub fn tuple(text: &mut String, name: &str, values: &[&dyn Canonical]) {
    text.push_str(name);
    enclosed(text, ["(", ")"], values.iter().copied());
}

fn enclosed<'a>(
    text: &mut String,
    [open, close]: [&str; 2],
    values: impl Iterator<Item = &'a dyn Canonical>,
) {
    text.push_str(open);
    for (idx, value) in values.enumerate() {
        text.push_str(if idx == 0 { "" } else { ", " });
        value.write_canonical(text);
    }
    text.push_str(close);
}

/// Numbers, truth values and strings are written as Rust's `Debug` writes them: floats with the fewest digits that read
/// back as the same number, strings in quotes with escapes.
macro_rules! as_std_writes {
    ($($type:ty),*) => {$(
        impl Canonical for $type {
            fn write_canonical(&self, text: &mut String) {
                write!(text, "{self:?}").expect("a text takes everything");
            }
        }
    )*};
}

as_std_writes!(
    u8,
    u32,
    u64,
    usize,
    f32,
    f64,
    bool,
    str,
    String,
    std::path::PathBuf
);

impl<T: Canonical + ?Sized> Canonical for &T {
    fn write_canonical(&self, text: &mut String) {
        (**self).write_canonical(text);
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn write_canonical(&self, text: &mut String) {
        match self {
            Some(value) => tuple(text, "Some", &[value]),
            None => text.push_str("None"),
        }
    }
}

impl<T: Canonical> Canonical for [T] {
    fn write_canonical(&self, text: &mut String) {
        enclosed(
            text,
            ["[", "]"],
            self.iter().map(|value| value as &dyn Canonical),
        );
    }
}

impl<T: Canonical, const N: usize> Canonical for [T; N] {
    fn write_canonical(&self, text: &mut String) {
        self.as_slice().write_canonical(text);
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn write_canonical(&self, text: &mut String) {
        self.as_slice().write_canonical(text);
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn write_canonical(&self, text: &mut String) {
        tuple(text, "", &[&self.0, &self.1]);
    }
}

impl<A: Canonical, B: Canonical, C: Canonical> Canonical for (A, B, C) {
    fn write_canonical(&self, text: &mut String) {
        tuple(text, "", &[&self.0, &self.1, &self.2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If a new release of Rust wrote one of these differently, every key would change.
    #[test]
    fn standard_values_are_written_as_ever() {
        let check = |value: &dyn Canonical, expected: &str| {
            assert_eq!(value.canonical(), expected);
        };
        check(&0.001_f32, "0.001");
        check(&0.1_f32, "0.1");
        check(&1.0_f64, "1.0");
        check(&-0.0_f64, "-0.0");
        check(&1e-5_f64, "1e-5");
        check(&123_456_789.25_f64, "123456789.25");
        check(&1e16_f64, "1e16");
        check(&f64::INFINITY, "inf");
        check(&f64::NAN, "NaN");
        check(&u64::MAX, "18446744073709551615");
        check(&true, "true");
        check(
            &"a \"b\"\\\n\tä\u{301}\u{7f}'",
            r#""a \"b\"\\\n\tä\u{301}\u{7f}'""#,
        );
        check(&std::path::PathBuf::from("a/b"), r#""a/b""#);
        check(&Some((1_u8, [2_usize, 3])), "Some((1, [2, 3]))");
        check(&(None::<u8>, Vec::<u8>::new(), "x"), r#"(None, [], "x")"#);
    }
}
