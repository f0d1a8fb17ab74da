//! Traces in the format of Chrome: events with a duration in microseconds, added up while they are read.
//!
//! A trace may be large, so no event is kept: what grows is one tally per name.

use super::{Found, ImportError, Measured, Taken, Tool};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Names that are told apart; a trace with more names its events by what changes from one to the next.
const MAX_NAMES: usize = 100_000;

/// An event, as far as it is read.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    /// `X`: it has a duration.
    #[serde(borrow, default)]
    pub(super) ph: Cow<'a, str>,
    /// Its category.
    #[serde(borrow, default)]
    pub(super) cat: Cow<'a, str>,
    /// Its name.
    #[serde(borrow, default)]
    pub(super) name: Cow<'a, str>,
    /// Microseconds.
    pub(super) dur: Option<f64>,
    /// What ONNX Runtime says of a node.
    #[serde(borrow, default)]
    pub(super) args: Args<'a>,
}

/// What ONNX Runtime says of a node.
#[derive(Default, Deserialize)]
pub(super) struct Args<'a> {
    /// Its operator.
    #[serde(borrow, default)]
    pub(super) op_name: Cow<'a, str>,
    /// Where it ran.
    #[serde(borrow, default)]
    pub(super) provider: Cow<'a, str>,
}

/// Durations of events of one name.
#[derive(Clone, Debug, Default)]
struct Tally {
    details: BTreeMap<String, String>,
    count: u64,
    total_us: f64,
    least_us: f64,
    most_us: f64,
}

/// The tallies of a trace.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    by_name: BTreeMap<String, Tally>,
    /// Events without a duration that means something.
    pub(super) odd: u64,
    /// Events of no kind that is read.
    pub(super) other: u64,
}

impl Tallies {
    /// Adds an event under a name; `details` are of the first one.
    pub(super) fn add<'a>(
        &mut self,
        name: String,
        details: impl IntoIterator<Item = (&'a str, &'a str)>,
        duration_us: f64,
    ) -> Result<(), String> {
        if self.by_name.len() >= MAX_NAMES && !self.by_name.contains_key(&name) {
            return Err(format!(
                "it has events of more than {MAX_NAMES} names, which cannot be added up"
            ));
        }
        let tally = self.by_name.entry(name).or_insert_with(|| Tally {
            details: details
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            least_us: f64::INFINITY,
            ..Tally::default()
        });
        tally.count += 1;
        tally.total_us += duration_us;
        tally.least_us = tally.least_us.min(duration_us);
        tally.most_us = tally.most_us.max(duration_us);
        Ok(())
    }

    /// Four results per name: of one run the mean, the least and the most, and the total of all runs.
    pub(super) fn results(self, found: &mut Found) {
        for (name, tally) in self.by_name {
            let place = format!("events {name}");
            let base = Measured {
                benchmark: name,
                runs: Some(tally.count),
                details: tally.details,
                ..Measured::default()
            };
            #[expect(clippy::cast_precision_loss, reason = "a file has less than 2^53 events")]
            let mean = tally.total_us / tally.count as f64;
            let values = [
                ("mean", mean),
                ("min", tally.least_us),
                ("max", tally.most_us),
                ("total", tally.total_us),
            ];
            for (statistic, raw) in values {
                let place = place.clone();
                found.take(
                    &base,
                    Taken { metric: "time", statistic, raw, raw_unit: Some("us"), place },
                );
            }
        }
        for (count, what) in [
            (self.odd, "have no duration that means something"),
            (self.other, "are of kinds that are not read"),
        ] {
            if count > 0 {
                found.remarks.push(format!("{count} events {what} and were left out"));
            }
        }
    }
}

/// The duration of an event, if it is one that can be added.
pub(super) fn duration(event: &Event<'_>) -> Option<f64> {
    event.dur.filter(|duration| duration.is_finite() && *duration >= 0.0)
}

/// Gives each element of a list of events to a function, one after the other.
pub(super) struct Each<F>(pub(super) F);

impl<'de, F: FnMut(Event<'de>) -> Result<(), String>> DeserializeSeed<'de> for Each<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Event<'de>) -> Result<(), String>> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(event) = seq.next_element()? {
            (self.0)(event).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Reads all bytes as one value.
pub(super) fn whole<'de, S: DeserializeSeed<'de>>(
    tool: Tool,
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value, ImportError> {
    let failed = |error: serde_json::Error| ImportError::json(tool, &error);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer).map_err(failed)?;
    deserializer.end().map_err(failed)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_limited_and_events_of_known_names_are_not() {
        let mut tallies = Tallies::default();
        for number in 0..MAX_NAMES {
            tallies.add(number.to_string(), [], 1.0).unwrap();
        }
        tallies.add("0".to_owned(), [], 2.0).unwrap();
        let refused = tallies.add("another".to_owned(), [], 1.0).unwrap_err();
        assert!(refused.contains("more than 100000 names"), "{refused}");
        let first = &tallies.by_name["0"];
        assert_eq!(
            (first.count, first.least_us, first.most_us, first.total_us),
            (2, 1.0, 2.0, 3.0)
        );
    }
}
