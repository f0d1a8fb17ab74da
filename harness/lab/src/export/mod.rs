//! Answers of the store as other programs read them: CSV, JSON and OpenMetrics as text.
//!
//! Pure: from an answer to text. What is written by DuckDB and Arrow themselves, and the rule that numbers have a mark,
//! is `store::export`.

mod csv;
mod openmetrics;

pub use csv::csv;
pub use openmetrics::{MetricsError, openmetrics};

use serde_json::Value;
use std::fmt::Write as _;

/// A value as people read it: text without quotes, null as nothing.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Text that a terminal shows and does not obey: control characters, and those that turn the direction of text, are
/// written as their escapes.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_obeyed(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// JSON of the same values that a terminal shows and does not obey. Ends of lines between values stay.
pub fn printable_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut shown, c| {
        if is_obeyed(c) && c != '\n' {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Whether a terminal, or who lays out text, does something else with a character than show it.
pub(crate) fn is_obeyed(c: char) -> bool {
    let is_bidi = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_bidi
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_no_text_of_results() {
        assert_eq!(
            printable("a\u{1b}[31mb\r\n\u{7}é\u{202e}"),
            "a\\u{1b}[31mb\\r\\n\\u{7}é\\u{202e}"
        );
        assert_eq!(printable("größer, 大"), "größer, 大");
    }

    #[test]
    fn json_for_a_terminal_says_the_same() {
        let value = serde_json::json!({"a\u{202e}": ["\u{1b}[2J\n\u{7f}\u{9b}é大", 1.5]});
        let shown = printable_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.contains(|c: char| c != '\n' && is_obeyed(c)), "{shown:?}");
        assert!(shown.contains('\n') && shown.contains("é大"), "{shown:?}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }
}
