//! Google Benchmark's JSON: a row per repetition with the mean of its iterations, and rows of aggregates.

use super::{Found, ImportError, Measured, Taken, Tool};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct File {
    context: Map<String, Value>,
    benchmarks: Vec<Map<String, Value>>,
}

/// Keys of a row that are no counters.
const KNOWN: [&str; 18] = [
    "aggregate_name",
    "aggregate_unit",
    "cpu_time",
    "error_message",
    "error_occurred",
    "family_index",
    "iterations",
    "label",
    "name",
    "per_family_instance_index",
    "real_time",
    "repetition_index",
    "repetitions",
    "run_name",
    "run_type",
    "skip_message",
    "threads",
    "time_unit",
];

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| ImportError::json(Tool::GoogleBenchmark, &error))?;
    let context = |key: &str| file.context.get(key).and_then(Value::as_str);
    let mut found = Found {
        version: context("library_version").map(str::to_owned),
        measured_at: context("date").and_then(|date| date.parse().ok()),
        details: file
            .context
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), plain(value)?)))
            .collect(),
        ..Found::default()
    };
    if context("library_build_type") == Some("debug") {
        found.remarks.push(
            "the library was built for debugging: its own time is a part of short ones".to_owned(),
        );
    }
    for (index, row) in file.benchmarks.iter().enumerate() {
        push(&mut found, index, row);
    }
    Ok(found)
}

/// A value that is no list and no object, as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn push(found: &mut Found, index: usize, row: &Map<String, Value>) {
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let name = text("name").unwrap_or_default();
    let flagged = |key: &str| row.get(key).and_then(Value::as_bool) == Some(true);
    if flagged("error_occurred") || flagged("skipped") {
        let message = text("error_message").or(text("skip_message")).unwrap_or("it says no more");
        found.remarks.push(format!("benchmarks[{index}]: {name} did not run: {message}"));
        return;
    }
    if row.contains_key("big_o") || row.contains_key("rms") {
        let remark = format!(
            "benchmarks[{index}]: {name} is a fit of complexity, no measurement, and was left out"
        );
        found.remarks.push(remark);
        return;
    }
    let aggregate = text("aggregate_name");
    let is_ratio = text("aggregate_unit") == Some("percentage");
    let time_unit = if is_ratio { "1" } else { text("time_unit").unwrap_or("ns") };
    let base = Measured {
        benchmark: text("run_name").unwrap_or(name).to_owned(),
        // Of an aggregate, `iterations` counts repetitions.
        runs: row.get("iterations").and_then(Value::as_u64).filter(|_| aggregate.is_none()),
        details: details(row),
        ..Measured::default()
    };
    let counters = row.keys().map(String::as_str).filter(|key| !KNOWN.contains(key));
    for key in ["real_time", "cpu_time"].into_iter().chain(counters) {
        let Some(raw) = row.get(key).and_then(Value::as_f64) else { continue };
        let (metric, raw_unit) = match key {
            "real_time" => ("time", Some(time_unit)),
            "cpu_time" => ("cpu_time", Some(time_unit)),
            "items_per_second" => ("throughput", Some(if is_ratio { "1" } else { "1/s" })),
            "bytes_per_second" => ("throughput", Some(if is_ratio { "1" } else { "B/s" })),
            counter => (counter, is_ratio.then_some("1")),
        };
        let place = format!("benchmarks[{index}].{key}");
        let statistic = aggregate.unwrap_or("mean");
        found.take(&base, Taken { metric, statistic, raw, raw_unit, place });
    }
}

fn details(row: &Map<String, Value>) -> BTreeMap<String, String> {
    let kept = ["label", "repetition_index", "repetitions", "threads"];
    kept.iter().filter_map(|key| Some(((*key).to_owned(), plain(row.get(*key)?)?))).collect()
}
