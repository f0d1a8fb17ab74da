//! The trace of PyTorch's profiler: what each operator, annotation and kernel took, with what ran inside it.

use super::trace::{Each, Event, Tallies, duration, whole};
use super::{Found, ImportError, Tool};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let mut reading = Reading::default();
    whole(Tool::Pytorch, bytes, Trace(&mut reading))?;
    let Reading { tallies, mut found } = reading;
    tallies.results(&mut found);
    Ok(found)
}

#[derive(Default)]
struct Reading {
    tallies: Tallies,
    found: Found,
}

/// The object around the events.
struct Trace<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for Trace<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Trace<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with traceEvents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Reading { tallies, found } = self.0;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "traceEvents" => map.next_value_seed(Each(|event| add(tallies, &event)))?,
                "host_name" | "trace_id" | "schemaVersion" => {
                    let value: Value = map.next_value()?;
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    found.details.insert(key, text);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

fn add(tallies: &mut Tallies, event: &Event<'_>) -> Result<(), String> {
    // Metadata, instants and arrows have no duration; spans of the profiler itself measure nothing of the model.
    if event.ph != "X" || event.cat == "Trace" || event.cat.is_empty() {
        tallies.other += 1;
        return Ok(());
    }
    let Some(duration_us) = duration(event) else {
        tallies.odd += 1;
        return Ok(());
    };
    tallies.add(format!("{}/{}", event.cat, event.name), [("category", &*event.cat)], duration_us)
}
