//! Wraps, shortens and capitalises sentences; makes names from elsewhere harmless.

use std::borrow::Cow;

/// A text without control characters but line breaks and tabs; the others are escaped as in JSON. Names of files and machines
/// may hold any, and a terminal obeys them.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| match is_harmful(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// A cell of a csv file that no spreadsheet takes for a formula: an apostrophe precedes a text that begins like one and is
/// no number. Source: OWASP, "CSV Injection".
fn plain_cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// Rows as csv. A field with commas, quotes or line breaks is quoted; an apostrophe precedes a text that a spreadsheet would
/// take for a formula.
pub fn csv_text<R>(rows: impl Iterator<Item = R>) -> String
where
    R: IntoIterator<Item: AsRef<str>>,
{
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    for row in rows {
        let cells = row
            .into_iter()
            .map(|cell| plain_cell(cell.as_ref()).into_owned());
        writer
            .write_record(cells.collect::<Vec<String>>())
            .expect("memory takes every row");
    }
    let bytes = writer.into_inner().expect("memory takes every row");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The sentence with a capital at its beginning, unless its first word has a capital already, like pAUC.
pub fn capitalised(sentence: &str) -> String {
    let first_word = sentence.split(' ').next().unwrap_or_default();
    if first_word.chars().any(char::is_uppercase) {
        return sentence.to_string();
    }
    let mut characters = sentence.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}

/// The text in lines of at most so many characters; a longer word is cut.
pub fn wrapped(text: &str, characters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = shortened(word, characters);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= characters => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// The text, or its start and an ellipsis where it is longer than so many characters.
pub fn shortened(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_string();
    }
    let start: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::{harmless, plain_cell, shortened, wrapped};

    #[test]
    fn terminals_obey_no_names() {
        let check = |text, expected| assert_eq!(harmless(text), expected);
        check("fan\t\u{1b}[2J\u{9b}1m\n", "fan\t\\u001b[2J\\u009b1m\n");
        check("Lüfter – fan\n", "Lüfter – fan\n");
    }

    #[test]
    fn spreadsheets_run_no_names() {
        let check = |text, expected| assert_eq!(plain_cell(text), expected);
        check("=1+1", "'=1+1");
        check("@a", "'@a");
        check("-a", "'-a");
        check("-0.5", "-0.5");
        check("a=b", "a=b");
        check("", "");
    }

    #[test]
    fn text_is_cut_and_wrapped() {
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
        assert_eq!(wrapped("aa bb cccccc", 5), ["aa bb", "cccc…"]);
    }
}
