//! What MLPerf's load generator leaves: `mlperf_log_summary.txt` and `mlperf_log_detail.txt`.
//!
//! Both say the same of a run; only the second has the version. Whether the run was valid stands beside each number.

use super::{Found, ImportError, Measured, Taken, Tool};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

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
    let mut values = Vec::new();
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
                if let (Some(known), Some(raw)) = (known(&key), value.as_f64()) {
                    values.push((last, key, known, raw));
                }
                continue;
            }
        };
        found
            .details
            .extend(text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)));
    }
    if !is_whole {
        return Err(damaged(last, "the log ends before it counts its errors: it was cut short"));
    }
    let base = Measured { runs: queries(&values), ..base(&found.details) };
    for (line, key, (metric, statistic, unit), raw) in values {
        if metric != "queries" {
            let place = format!("line {line}, {key}");
            found.take(
                &base,
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
    let known = match key {
        "result_query_count" => ("queries", "", "1"),
        "result_min_latency_ns" => ("time", "min", "ns"),
        "result_max_latency_ns" => ("time", "max", "ns"),
        "result_mean_latency_ns" => ("time", "mean", "ns"),
        "result_samples_per_second" => ("throughput", "mean", "1/s"),
        "result_completed_samples_per_sec" => ("completed_throughput", "mean", "1/s"),
        "result_scheduled_samples_per_sec" => ("scheduled_throughput", "mean", "1/s"),
        "result_qps_with_loadgen_overhead" => ("throughput_with_overhead", "mean", "1/s"),
        "result_qps_without_loadgen_overhead" => ("throughput_without_overhead", "mean", "1/s"),
        _ => {
            let percentile = key.strip_prefix("result_")?.strip_suffix("_percentile_latency_ns")?;
            return Some(("time", percentile_name(percentile)?, "ns"));
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
    let (mut is_over, mut is_whole) = (false, false);
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
            _ => {
                if let (Some(known), Ok(raw)) = (known_line(key), value.parse::<f64>()) {
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
    for (line, key, (metric, statistic, unit), raw) in values {
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
        "Min latency (ns)" => ("time", "min", "ns"),
        "Max latency (ns)" => ("time", "max", "ns"),
        "Mean latency (ns)" => ("time", "mean", "ns"),
        "Samples per second" => ("throughput", "mean", "1/s"),
        "Completed samples per second" => ("completed_throughput", "mean", "1/s"),
        "Scheduled samples per second" => ("scheduled_throughput", "mean", "1/s"),
        "QPS w/ loadgen overhead" => ("throughput_with_overhead", "mean", "1/s"),
        "QPS w/o loadgen overhead" => ("throughput_without_overhead", "mean", "1/s"),
        _ => {
            // The headline of a stream, `90.0th percentile`, stands again among the others.
            let percentile = key.strip_suffix(" percentile latency (ns)")?;
            return Some(("time", percentile_name(percentile)?, "ns"));
        }
    };
    Some((known.0, known.1.to_owned(), known.2))
}
