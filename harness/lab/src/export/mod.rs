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
    let is_bidi = |c: char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() || is_bidi(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
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
}
