//! hyperfine's `--export-json`: seconds per run of a command, with a sample per run.

use super::figure::Figure;
use super::{Found, ImportError, Measured, Taken, Tool};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct File {
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    command: String,
    mean: Figure,
    #[serde(default)]
    stddev: Figure,
    #[serde(default)]
    median: Figure,
    #[serde(default)]
    user: Figure,
    #[serde(default)]
    system: Figure,
    #[serde(default)]
    min: Figure,
    #[serde(default)]
    max: Figure,
    #[serde(default)]
    times: Vec<f64>,
    /// Peak memory per run, in bytes; hyperfine 1.20 writes it.
    #[serde(default)]
    memory_usage_byte: Vec<u64>,
    #[serde(default)]
    exit_codes: Vec<Option<i32>>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| ImportError::json(Tool::Hyperfine, &error))?;
    let mut found = Found::default();
    for (index, row) in file.results.iter().enumerate() {
        push(&mut found, index, row);
    }
    Ok(found)
}

fn push(found: &mut Found, index: usize, row: &Row) {
    let base = Measured {
        benchmark: row.command.clone(),
        runs: (!row.times.is_empty()).then_some(row.times.len() as u64),
        details: details(row),
        ..Measured::default()
    };
    let values = [
        ("time", "mean", "mean", row.mean),
        ("time", "stddev", "stddev", row.stddev),
        ("time", "median", "median", row.median),
        ("time", "min", "min", row.min),
        ("time", "max", "max", row.max),
        ("user_time", "mean", "user", row.user),
        ("system_time", "mean", "system", row.system),
    ];
    for (metric, statistic, key, value) in values {
        let Some(raw) = value.0 else { continue };
        let place = format!("results[{index}].{key}");
        let taken = Taken { metric, statistic, raw, raw_unit: Some("s"), place };
        if let Some(result) = found.take(&base, taken)
            && (metric, statistic) == ("time", "mean")
        {
            result.samples = row.times.iter().map(|seconds| seconds * 1e9).collect();
            result.iterations = vec![1; row.times.len()];
        }
    }
    let Some(&peak) = row.memory_usage_byte.iter().max() else { return };
    #[expect(clippy::cast_precision_loss, reason = "a memory of less than 2^53 bytes")]
    let raw = |bytes: u64| bytes as f64;
    let place = format!("results[{index}].memory_usage_byte");
    let taken = Taken {
        metric: "peak_memory",
        statistic: "max",
        raw: raw(peak),
        raw_unit: Some("B"),
        place,
    };
    if let Some(result) = found.take(&base, taken) {
        result.samples = row.memory_usage_byte.iter().map(|bytes| raw(*bytes)).collect();
        result.iterations = vec![1; row.memory_usage_byte.len()];
    }
}

fn details(row: &Row) -> BTreeMap<String, String> {
    let named = row.parameters.iter();
    let mut details: BTreeMap<_, _> =
        named.map(|(name, value)| (format!("parameter.{name}"), value.clone())).collect();
    let failed = row.exit_codes.iter().filter(|code| **code != Some(0)).count();
    if failed > 0 {
        details.insert("runs_that_failed".to_owned(), failed.to_string());
    }
    details
}
