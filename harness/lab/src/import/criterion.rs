//! What criterion.rs keeps of a benchmark in `new/`: `benchmark.json`, `sample.json` and `estimates.json`.
//!
//! Criterion writes no unit; its own measurement, the time that passes, is in nanoseconds. A measurement of another kind
//! cannot be told from it, which each result says.

use super::{Found, ImportError, Measured, Taken, Tool};
use proofmark::fingerprint::digest;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The files of one benchmark, as they are.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// `benchmark.json`.
    pub benchmark: Vec<u8>,
    /// `sample.json`.
    pub sample: Vec<u8>,
    /// `estimates.json`.
    pub estimates: Vec<u8>,
}

impl Files {
    /// SHA-256 over the three checksums.
    pub(super) fn id(&self) -> String {
        let parts = [&self.benchmark, &self.sample, &self.estimates].map(digest);
        digest(parts.join("\n"))
    }
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    #[serde(default)]
    throughput: Option<Value>,
    #[serde(default)]
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Sample {
    sampling_mode: String,
    iters: Vec<f64>,
    times: Vec<f64>,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: Interval,
    point_estimate: f64,
    standard_error: f64,
}

#[derive(Deserialize)]
struct Interval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

pub(super) fn read(files: &Files) -> Result<Found, ImportError> {
    let benchmark: Benchmark = parse("benchmark.json", &files.benchmark)?;
    let sample: Sample = parse("sample.json", &files.sample)?;
    let estimates: BTreeMap<String, Option<Estimate>> = parse("estimates.json", &files.estimates)?;
    if sample.iters.len() != sample.times.len() || sample.iters.iter().any(|iters| *iters < 1.0) {
        return Err(ImportError::Damaged {
            tool: Tool::Criterion,
            place: "sample.json".to_owned(),
            detail: "its times and iterations do not fit each other".to_owned(),
        });
    }
    let mut details = BTreeMap::from([
        ("sampling_mode".to_owned(), sample.sampling_mode),
        ("unit_from".to_owned(), "criterion's default measurement".to_owned()),
    ]);
    details.extend(benchmark.value_str.map(|value| ("parameter".to_owned(), value)));
    if let Some(Value::Object(throughput)) = benchmark.throughput {
        let per_iteration = throughput.iter();
        details.extend(per_iteration.map(|(unit, count)| {
            (format!("{}_per_run", unit.to_ascii_lowercase()), count.to_string())
        }));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts that criterion writes as floats"
    )]
    let iterations: Vec<u64> = sample.iters.iter().map(|iters| *iters as u64).collect();
    let base = Measured {
        benchmark: benchmark.full_id,
        runs: iterations.iter().try_fold(0, |sum: u64, one| sum.checked_add(*one)),
        details,
        ..Measured::default()
    };
    let mut found = Found::default();
    for (name, estimate) in estimates {
        let Some(estimate) = estimate else { continue };
        let statistic = if name == "std_dev" { "stddev" } else { &name };
        let place = format!("estimates.json, {name}.point_estimate");
        let raw = estimate.point_estimate;
        let taken = Taken { metric: "time", statistic, raw, raw_unit: Some("ns"), place };
        let Some(result) = found.take(&base, taken) else { continue };
        let interval = estimate.confidence_interval;
        result.details.extend([
            ("confidence_level".to_owned(), interval.confidence_level.to_string()),
            ("lower_bound_ns".to_owned(), interval.lower_bound.to_string()),
            ("upper_bound_ns".to_owned(), interval.upper_bound.to_string()),
            ("standard_error_ns".to_owned(), estimate.standard_error.to_string()),
        ]);
        if statistic == "mean" {
            let each = sample.times.iter().zip(&sample.iters);
            result.samples = each.map(|(time, iters)| time / iters).collect();
            result.iterations.clone_from(&iterations);
        }
    }
    Ok(found)
}

fn parse<'a, T: Deserialize<'a>>(file: &str, bytes: &'a [u8]) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|error| {
        match ImportError::json(Tool::Criterion, &error) {
            ImportError::Damaged { tool, place, detail } => {
                ImportError::Damaged { tool, place: format!("{file}, {place}"), detail }
            }
            other => other,
        }
    })
}
