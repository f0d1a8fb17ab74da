//! Numbers as tools write them in JSON: also null, `"NaN"` as text, and the bare NaN and Infinity that are no JSON.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// A number, or nothing where the tool wrote that it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figure(pub(super) Option<f64>);

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FigureVisitor)
    }
}

struct FigureVisitor;

impl Visitor<'_> for FigureVisitor {
    type Value = Figure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Figure, E> {
        Ok(Figure(Some(value)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts beyond 2^53 are not told apart in results"
    )]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Figure, E> {
        self.visit_f64(value as f64)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts beyond 2^53 are not told apart in results"
    )]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Figure, E> {
        self.visit_f64(value as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<Figure, E> {
        Ok(Figure(None))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Figure, E> {
        match text {
            "" | "NaN" | "Infinity" | "-Infinity" | "+INF" | "-INF" => Ok(Figure(None)),
            other => Err(E::invalid_type(serde::de::Unexpected::Str(other), &self)),
        }
    }
}

/// Makes JSON of what Python and C++ write for numbers that are none: each bare NaN and Infinity becomes an empty text
/// of the same length, so that places stay. Nothing else is changed.
pub(super) fn strict(bytes: &mut [u8]) -> &[u8] {
    let mut at = 0;
    let mut inside = false;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if inside => at += 1,
            b'"' => inside = !inside,
            b'N' | b'I' | b'-' if !inside => {
                let word = ["NaN", "Infinity", "-Infinity", "-NaN"]
                    .into_iter()
                    .find(|word| bytes[at..].starts_with(word.as_bytes()));
                if let Some(word) = word {
                    bytes[at..at + word.len()].fill(b' ');
                    bytes[at..at + 2].fill(b'"');
                    at += word.len() - 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_keep_their_place_and_texts_stay() {
        let mut text =
            br#"{"NaN \" NaN": [NaN, -Infinity, Infinity, -1.5, "NaN", null, 3]}"#.to_vec();
        let length = text.len();
        let read: std::collections::HashMap<String, Vec<Figure>> =
            serde_json::from_slice(strict(&mut text)).unwrap();
        let found: Vec<_> = read["NaN \" NaN"].iter().map(|figure| figure.0).collect();
        assert_eq!(found, [None, None, None, Some(-1.5), None, None, Some(3.0)]);
        assert_eq!(text.len(), length);
        assert!(serde_json::from_str::<Figure>("\"12\"").is_err());
    }
}
