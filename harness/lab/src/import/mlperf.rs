//! What MLPerf's load generator leaves: `mlperf_log_summary.txt` and `mlperf_log_detail.txt`.
//!
//! Both say the same of a run; only the second has the version. Whether the run was valid stands beside each number.

use super::{Found, ImportError, Measured, Taken, Tool};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PREFIX: &str = ":::MLLOG ";

/// A line of the detailed log, without its prefix.
#[derive(Deserialize)]
struct Entry {
    key: String,
    value: Value,
}

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let text = String::from_utf8_lossy(bytes);
    match text.trim_start().starts_with(PREFIX) {
        true => detail(&text),
        false => summary(&text),
    }
}

fn damaged(line: usize, detail: impl Into<String>) -> ImportError {
    ImportError::line(Tool::Mlperf, line, detail)
}

/// What a run is called: the system under test, and the scenario.
fn base(details: &BTreeMap<String, String>) -> Measured {
    let part = |name: &str| details.get(name).map_or("?", String::as_str);
    let benchmark = format!("{}/{}", part("sut_name"), part("scenario"));
    let kept = ["scenario", "mode", "validity"];
    let kept =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), details.get(*name)?.clone())));
    Measured { benchmark, details: kept.collect(), ..Measured::default() }
}

/// Tells of a run that does not count by the rules of MLPerf.
fn judge(found: &mut Found) {
    if let Some(validity) = found.details.get("validity").filter(|validity| *validity != "VALID") {
        let remark = format!("MLPerf says of this run that it is {validity}");
        found.remarks.push(remark);
    }
}

fn detail(text: &str) -> Result<Found, ImportError> {
    let mut found = Found::default();
    let (mut values, mut unread) = (Vec::new(), Vec::new());
    let mut last = 0;
    let mut is_whole = false;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        last = index + 1;
        let json =
            line.strip_prefix(PREFIX).ok_or_else(|| damaged(last, "it is no entry of the log"))?;
        let Entry { key, value } =
            serde_json::from_str(json).map_err(|error| damaged(last, error.to_string()))?;
        is_whole |= key == "num_errors" || key == "num_warnings";
        let text = value.as_str().map(str::to_owned);
        let name = match key.as_str() {
            "loadgen_version" => {
                found.version =
                    text.map(|text| text.split(" @ ").next().unwrap_or_default().to_owned());
                continue;
            }
            "test_datetime" => {
                found.measured_at = text.and_then(|text| text.parse().ok());
                continue;
            }
            "sut_name" | "qsl_name" => key.as_str(),
            "effective_scenario" => "scenario",
            "effective_test_mode" => "mode",
            "result_validity" => "validity",
            "result_invalid_reason" => "invalid_reason",
            _ => {
                match (known(&key), value.as_f64()) {
                    (Some(known), Some(raw)) => values.push((last, key, known, raw)),
                    (None, Some(_)) if key.starts_with("result_") => unread.push(key),
                    _ => {}
                }
                continue;
            }
        };
        found
            .details
            .extend(text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)));
    }
    if !unread.is_empty() {
        found.remarks.push(format!("numbers that are not read: {}", unread.join(", ")));
    }
    if !is_whole {
        return Err(damaged(last, "the log ends before it counts its errors: it was cut short"));
    }
    let queries = queries(&values);
    // Where a query has several samples, only what is of queries has as many runs.
    let is_single = found
        .details
        .get("scenario")
        .is_some_and(|name| name == "SingleStream" || name == "Server");
    let of_samples = base(&found.details);
    let of_queries = Measured { runs: queries, ..of_samples.clone() };
    for (line, key, (metric, statistic, unit), raw) in values {
        if metric != "queries" {
            let place = format!("line {line}, {key}");
            let base = if is_single || metric == "query_time" { &of_queries } else { &of_samples };
            found.take(
                base,
                Taken { metric, statistic: &statistic, raw, raw_unit: Some(unit), place },
            );
        }
    }
    judge(&mut found);
    Ok(found)
}

type Known = (&'static str, String, &'static str);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of queries is small and positive"
)]
fn queries(values: &[(usize, String, Known, f64)]) -> Option<u64> {
    let found = values.iter().find(|(_, _, (metric, _, _), _)| *metric == "queries");
    found.map(|(_, _, _, raw)| *raw as u64)
}

/// Metric, statistic and unit of a key of the detailed log.
fn known(key: &str) -> Option<Known> {
    let known = match key.strip_prefix("result_")? {
        "query_count" => ("queries", "", "1"),
        "min_latency_ns" => ("time", "min", "ns"),
        "max_latency_ns" => ("time", "max", "ns"),
        "mean_latency_ns" => ("time", "mean", "ns"),
        "min_query_latency_ns" => ("query_time", "min", "ns"),
        "max_query_latency_ns" => ("query_time", "max", "ns"),
        "mean_query_latency_ns" => ("query_time", "mean", "ns"),
        "first_token_min_latency_ns" => ("first_token_time", "min", "ns"),
        "first_token_max_latency_ns" => ("first_token_time", "max", "ns"),
        "first_token_mean_latency_ns" => ("first_token_time", "mean", "ns"),
        // Without a unit here; the summary of the same run says nanoseconds.
        "time_to_output_token_min" => ("time_per_output_token", "min", "ns"),
        "time_to_output_token_max" => ("time_per_output_token", "max", "ns"),
        "time_to_output_token_mean" => ("time_per_output_token", "mean", "ns"),
        "samples_per_second" => ("throughput", "mean", "1/s"),
        "completed_samples_per_sec" => ("completed_throughput", "mean", "1/s"),
        "scheduled_samples_per_sec" => ("scheduled_throughput", "mean", "1/s"),
        "completed_tokens_per_second" => ("token_throughput", "mean", "1/s"),
        "qps_with_loadgen_overhead" => ("throughput_with_overhead", "mean", "1/s"),
        "qps_without_loadgen_overhead" => ("throughput_without_overhead", "mean", "1/s"),
        rest => {
            let (metric, percentile) = [
                ("query_time", "", "_percentile_per_query_latency_ns"),
                ("first_token_time", "first_token_", "_percentile_latency_ns"),
                ("time_per_output_token", "time_per_output_token_", "_percentile_ns"),
                ("time", "", "_percentile_latency_ns"),
            ]
            .into_iter()
            .find_map(|(metric, before, after)| {
                Some((metric, rest.strip_prefix(before)?.strip_suffix(after)?))
            })?;
            return Some((metric, percentile_name(percentile)?, "ns"));
        }
    };
    Some((known.0, known.1.to_owned(), known.2))
}

/// `p99.9` of `99.90`.
fn percentile_name(text: &str) -> Option<String> {
    text.parse::<f64>().ok().map(|percentile| format!("p{percentile}"))
}

fn summary(text: &str) -> Result<Found, ImportError> {
    let mut found = Found::default();
    let mut values = Vec::new();
    let mut lines = 0;
    let (mut is_over, mut is_whole, mut is_of_queries) = (false, false, false);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        lines = index + 1;
        // A line without its end may have lost the end of a number.
        let Some(line) = line.strip_suffix('\n') else {
            return Err(damaged(lines, "it is cut short"));
        };
        is_over |= line == "Test Parameters Used";
        is_whole |=
            is_over && line.to_ascii_lowercase().contains(" error") && line.contains("ncountered");
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        let name = match key {
            _ if is_over => continue,
            "SUT name" => "sut_name",
            "Scenario" => "scenario",
            "Mode" => "mode",
            "Result is" => "validity",
            "Per-query latency" => {
                is_of_queries = true;
                continue;
            }
            _ => {
                if let (Some(mut known), Ok(raw)) = (known_line(key), value.parse::<f64>()) {
                    if is_of_queries && known.0 == "time" {
                        known.0 = "query_time";
                    }
                    values.push((lines, key, known, raw));
                }
                continue;
            }
        };
        found.details.insert(name.to_owned(), value.to_owned());
    }
    if !is_whole {
        return Err(damaged(
            lines,
            "the summary ends before it counts its errors: it was cut short",
        ));
    }
    let base = base(&found.details);
    // The headline, such as `Completed tokens per second`, may stand again below.
    let mut taken = BTreeSet::new();
    for (line, key, (metric, statistic, unit), raw) in values {
        if !taken.insert((metric, statistic.clone())) {
            continue;
        }
        let place = format!("line {line}, {key}");
        found
            .take(&base, Taken { metric, statistic: &statistic, raw, raw_unit: Some(unit), place });
    }
    judge(&mut found);
    Ok(found)
}

/// Metric, statistic and unit of a line of the summary.
fn known_line(key: &str) -> Option<Known> {
    let known = match key {
        "Samples per second" => ("throughput", "mean", "1/s"),
        "Completed samples per second" => ("completed_throughput", "mean", "1/s"),
        "Scheduled samples per second" => ("scheduled_throughput", "mean", "1/s"),
        "Completed tokens per second" => ("token_throughput", "mean", "1/s"),
        "QPS w/ loadgen overhead" => ("throughput_with_overhead", "mean", "1/s"),
        "QPS w/o loadgen overhead" => ("throughput_without_overhead", "mean", "1/s"),
        _ => {
            // The headline of a stream, `90.0th percentile`, stands again among the others.
            let (statistic, what) = key.strip_suffix(" (ns)")?.split_once(' ')?;
            let metric = match what.strip_prefix("percentile ").unwrap_or(what) {
                "latency" => "time",
                "First Token latency" | "first token latency" => "first_token_time",
                "Time per Output Token" | "time to output token" => "time_per_output_token",
                _ => return None,
            };
            let statistic = match statistic {
                "Min" => "min".to_owned(),
                "Max" => "max".to_owned(),
                "Mean" => "mean".to_owned(),
                percentile => percentile_name(percentile)?,
            };
            return Some((metric, statistic, "ns"));
        }
    };
    Some((known.0, known.1.to_owned(), known.2))
}
