//! JMH's `-rf json`: scores by mode, with a sample per iteration of each fork.
//!
//! Written after what JMH documents; no file of the real tool could be made where this was built (docs/import.md).

use super::figure::Figure;
use super::{Found, ImportError, Measured, Taken, Tool, unit};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    jmh_version: Option<String>,
    benchmark: String,
    mode: String,
    threads: Option<u32>,
    forks: Option<u32>,
    jdk_version: Option<String>,
    vm_name: Option<String>,
    vm_version: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    primary_metric: Metric,
    #[serde(default)]
    secondary_metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    score: Figure,
    #[serde(default)]
    score_error: Figure,
    #[serde(default)]
    score_percentiles: BTreeMap<String, Figure>,
    score_unit: String,
    #[serde(default)]
    raw_data: Vec<Vec<Figure>>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let rows: Vec<Row> =
        serde_json::from_slice(bytes).map_err(|error| ImportError::json(Tool::Jmh, &error))?;
    let mut found = Found::default();
    if let Some(first) = rows.first() {
        found.version.clone_from(&first.jmh_version);
        let facts = [
            ("jdk_version", &first.jdk_version),
            ("vm_name", &first.vm_name),
            ("vm_version", &first.vm_version),
        ];
        let known =
            facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact.clone()?)));
        found.details.extend(known);
    }
    for (index, row) in rows.iter().enumerate() {
        let mut details: BTreeMap<_, _> = row
            .params
            .iter()
            .map(|(name, value)| (format!("parameter.{name}"), value.clone()))
            .collect();
        details.insert("mode".to_owned(), row.mode.clone());
        details.extend(row.threads.map(|threads| ("threads".to_owned(), threads.to_string())));
        details.extend(row.forks.map(|forks| ("forks".to_owned(), forks.to_string())));
        let base = Measured { benchmark: row.benchmark.clone(), details, ..Measured::default() };
        let is_rate = row.mode == "thrpt";
        let metric = if is_rate { "throughput" } else { "time" };
        push(&mut found, &base, metric, &format!("[{index}].primaryMetric"), &row.primary_metric);
        for (name, metric) in &row.secondary_metrics {
            push(&mut found, &base, name, &format!("[{index}].secondaryMetrics.{name}"), metric);
        }
    }
    Ok(found)
}

fn push(found: &mut Found, base: &Measured, metric: &str, place: &str, measured: &Metric) {
    let raw_unit = Some(measured.score_unit.as_str());
    if let Some(raw) = measured.score.0 {
        let place = format!("{place}.score");
        let taken = Taken { metric, statistic: "mean", raw, raw_unit, place };
        if let Some(result) = found.take(base, taken) {
            let (_, factor) = unit::ours(raw_unit);
            let samples = measured.raw_data.iter().flatten().filter_map(|sample| sample.0);
            result.samples = samples.map(|sample| sample * factor).collect();
        }
    }
    if let Some(raw) = measured.score_error.0 {
        let place = format!("{place}.scoreError");
        // Half of the interval of 99.9 %.
        found.take(base, Taken { metric, statistic: "error", raw, raw_unit, place });
    }
    for (percentile, value) in &measured.score_percentiles {
        let Some(raw) = value.0 else { continue };
        let place = format!("{place}.scorePercentiles.{percentile}");
        let statistic = format!("p{}", percentile.strip_suffix(".0").unwrap_or(percentile));
        found.take(base, Taken { metric, statistic: &statistic, raw, raw_unit, place });
    }
}
