//! What devices that cannot be reached say of themselves, from files of the tools that asked them.
//!
//! A reading is a result like any other tool's: its `benchmark` is the part that was read, its `metric` begins with a
//! kind (`battery`, `thermal`, `power`, `clock`, `load`, `memory`, `application`, `counter`), its statistic is
//! `reading`. What has no number is a detail of the source, whose name begins with a kind too, or with `capability` or
//! `setting`. The views `device_readings` and `device_facts` show both.

pub(super) mod dumpsys;
pub(super) mod getprop;
pub(super) mod nvidia;
mod nvidia_xml;
pub(super) mod perfetto;
pub(super) mod powermetrics;
mod powermetrics_plist;

use super::{Found, ImportError, Measured, Taken, Tool};
use std::collections::BTreeMap;

/// The name of the detail that says which device it was.
pub(super) const DEVICE: &str = "device";
/// Nodes that an XML document may have.
const MAX_NODES: u32 = 5_000_000;

/// A number that a device told.
struct Reading<'a> {
    /// What was read: a sensor, a rail, a process.
    part: &'a str,
    /// Its kind and what it is: `battery.level`.
    metric: &'a str,
    raw: f64,
    raw_unit: Option<&'a str>,
    place: String,
    /// When, as the source writes it.
    at: Option<&'a str>,
    details: &'a [(&'a str, &'a str)],
}

impl Found {
    /// Takes a reading; one that means nothing is told.
    fn read(&mut self, reading: Reading<'_>) {
        let details = reading.details.iter().copied().chain(reading.at.map(|at| ("at", at)));
        let base = Measured {
            benchmark: reading.part.to_owned(),
            details: details.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..Measured::default()
        };
        let Reading { metric, raw, raw_unit, place, .. } = reading;
        self.take(&base, Taken { metric, statistic: "reading", raw, raw_unit, place });
    }

    /// Takes what has no number.
    fn fact(&mut self, name: impl Into<String>, value: &str) {
        if !value.is_empty() {
            self.details.insert(name.into(), value.to_owned());
        }
    }

    /// Tells of lines that were not read.
    fn tell_of_unread(&mut self, count: usize) {
        if count > 0 {
            self.remarks.push(format!("{count} lines say what is not read here and were left out"));
        }
    }
}

/// The lines of a text with their numbers, from 1. A line without its end may have lost the end of a number, so the
/// text is damaged.
fn lines(tool: Tool, bytes: &[u8]) -> Result<Vec<(usize, &str)>, ImportError> {
    let text = utf8(tool, bytes)?;
    let lines: Vec<_> = text
        .split_inclusive('\n')
        .enumerate()
        .map(|(index, line)| match line.strip_suffix('\n') {
            Some(line) => Ok((index + 1, line.trim_end_matches('\r'))),
            None => Err(ImportError::line(tool, index + 1, "it is cut short")),
        })
        .collect::<Result<_, _>>()?;
    Ok(lines)
}

fn utf8(tool: Tool, bytes: &[u8]) -> Result<&str, ImportError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        ImportError::line(tool, line, "it is not UTF-8")
    })
}

/// A document of XML. What its type declares beyond its name is not followed.
fn xml(tool: Tool, text: &str) -> Result<roxmltree::Document<'_>, ImportError> {
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        nodes_limit: MAX_NODES,
        ..roxmltree::ParsingOptions::default()
    };
    roxmltree::Document::parse_with_options(text, options).map_err(|error| ImportError::Damaged {
        tool,
        place: format!("line {}", error.pos().row),
        detail: format!("as XML it is damaged: {error}"),
    })
}

/// A number with a unit behind it, with or without a space: `45.12 W`, `570mW`, `0%`. Nothing if it is no number.
fn quantity(text: &str) -> Option<(f64, Option<&str>)> {
    let text = text.trim();
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
    let end = text.find(|c: char| !is_of_number(c)).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim();
    Some((number, (!unit.is_empty()).then_some(unit)))
}

/// How often a word stood somewhere, for what is told once of many samples.
#[derive(Default)]
struct Words(BTreeMap<String, BTreeMap<String, u64>>);

impl Words {
    fn add(&mut self, name: impl Into<String>, word: &str) {
        *self.0.entry(name.into()).or_default().entry(word.to_owned()).or_default() += 1;
    }

    /// As facts: the word alone if it is the only one, else each with its count.
    fn tell(self, found: &mut Found) {
        for (name, words) in self.0 {
            let value = match words.iter().next() {
                Some((word, _)) if words.len() == 1 => word.clone(),
                _ => {
                    let each: Vec<_> = words
                        .iter()
                        .map(|(word, count)| format!("{word} ({count} times)"))
                        .collect();
                    each.join(", ")
                }
            };
            found.fact(name, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_a_number_with_or_without_a_unit() {
        assert_eq!(quantity("45.12 W"), Some((45.12, Some("W"))));
        assert_eq!(quantity(" 570mW "), Some((570.0, Some("mW"))));
        assert_eq!(quantity("-3"), Some((-3.0, None)));
        for none in ["", "N/A", "W 3", "1.2.3", "[N/A]", "-"] {
            assert_eq!(quantity(none), None, "{none}");
        }
    }
}
