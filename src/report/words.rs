//! Wraps, shortens and capitalises sentences.

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
    use super::{shortened, wrapped};

    #[test]
    fn text_is_cut_and_wrapped() {
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
        assert_eq!(wrapped("aa bb cccccc", 5), ["aa bb", "cccc…"]);
    }
}
