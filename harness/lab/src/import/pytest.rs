//! pytest-benchmark's `--benchmark-json`: seconds per call, with a sample per round where the data was saved.

use super::figure::Figure;
use super::{Found, ImportError, Measured, Taken, Tool};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    machine_info: Map<String, Value>,
    benchmarks: Vec<Row>,
    datetime: Option<String>,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    fullname: String,
    group: Option<String>,
    #[serde(default)]
    params: Option<Map<String, Value>>,
    #[serde(default)]
    extra_info: Map<String, Value>,
    stats: Stats,
}

#[derive(Deserialize)]
struct Stats {
    mean: Figure,
    #[serde(default)]
    stddev: Figure,
    #[serde(default)]
    median: Figure,
    #[serde(default)]
    min: Figure,
    #[serde(default)]
    max: Figure,
    #[serde(default)]
    q1: Figure,
    #[serde(default)]
    q3: Figure,
    /// Calls per second, of the mean.
    #[serde(default)]
    ops: Figure,
    rounds: u64,
    iterations: u64,
    #[serde(default)]
    data: Vec<f64>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| ImportError::json(Tool::PytestBenchmark, &error))?;
    let mut found = Found {
        version: file.version,
        // Without an offset it is the local time of a machine that the file does not name.
        measured_at: file.datetime.and_then(|time| time.parse().ok()),
        details: texts("", &file.machine_info),
        ..Found::default()
    };
    for (index, row) in file.benchmarks.iter().enumerate() {
        push(&mut found, index, row);
    }
    Ok(found)
}

fn push(found: &mut Found, index: usize, row: &Row) {
    let mut details =
        row.params.as_ref().map(|params| texts("parameter.", params)).unwrap_or_default();
    details.extend(texts("extra.", &row.extra_info));
    details.extend(row.group.iter().map(|group| ("group".to_owned(), group.clone())));
    let stats = &row.stats;
    let base = Measured {
        benchmark: row.fullname.clone(),
        runs: stats.rounds.checked_mul(stats.iterations),
        details,
        ..Measured::default()
    };
    let values = [
        ("time", "mean", "mean", "s", stats.mean),
        ("time", "stddev", "stddev", "s", stats.stddev),
        ("time", "median", "median", "s", stats.median),
        ("time", "min", "min", "s", stats.min),
        ("time", "max", "max", "s", stats.max),
        ("time", "p25", "q1", "s", stats.q1),
        ("time", "p75", "q3", "s", stats.q3),
        ("throughput", "mean", "ops", "1/s", stats.ops),
    ];
    for (metric, statistic, key, unit, value) in values {
        let Some(raw) = value.0 else { continue };
        let place = format!("benchmarks[{index}].stats.{key}");
        let taken = Taken { metric, statistic, raw, raw_unit: Some(unit), place };
        if let Some(result) = found.take(&base, taken)
            && (metric, statistic) == ("time", "mean")
        {
            result.samples = stats.data.iter().map(|seconds| seconds * 1e9).collect();
            result.iterations = vec![stats.iterations; stats.data.len()];
        }
    }
}

/// What is text or a number or a truth, by its name.
fn texts(prefix: &str, map: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.clone(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
            other => other.to_string(),
        };
        Some((format!("{prefix}{name}"), value))
    };
    map.iter().filter_map(text).collect()
}
