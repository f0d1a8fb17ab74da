//! OpenMetrics 1.0 as text: numbers as gauges in base units, which their names say; text as labels, the mark among them.
//!
//! An answer with the columns `metric`, `unit` and `value` has one number per row, which is named by its metric; of any
//! other answer each column of numbers is a metric.

use super::plain;
use crate::store::Answer;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// Why an answer is no set of metrics.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// Two numbers of one name.
    #[error(
        "two rows give {metric} the same labels {{{labels}}}: with --sql, select a column that tells them apart, or fewer rows"
    )]
    Twice {
        /// The name of the metric.
        metric: String,
        /// What both rows say.
        labels: String,
    },
    /// Two columns of one name.
    #[error(
        "two columns would be the label {0}: with --sql, name them so that letters and digits tell them apart"
    )]
    Alike(String),
    /// No number at all.
    #[error("the answer has no number that could be a metric: select one with --sql")]
    Nothing,
}

/// A metric: what is said of it, and its samples.
#[derive(Default)]
struct Family {
    help: String,
    unit: Option<String>,
    samples: Vec<String>,
}

/// What a number is called, its unit, and the factor to it.
struct Name {
    name: String,
    unit: Option<String>,
    factor: f64,
}

/// An answer as OpenMetrics.
///
/// # Errors
/// Two rows would be the same sample, two columns the same label, or there is no number.
pub fn openmetrics(answer: &Answer) -> Result<String, MetricsError> {
    let find = |name: &str| answer.columns.iter().position(|column| column == name);
    let long = find("metric").zip(find("unit")).zip(find("value"));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut words = HashSet::new();
    if let Some(twice) =
        answer.columns.iter().map(|name| word(name)).find(|name| !words.insert(name.clone()))
    {
        return Err(MetricsError::Alike(twice));
    }
    let mut seen = HashSet::new();
    for row in &answer.rows {
        let labels = labels(answer, row);
        for (column, value) in answer.columns.iter().zip(row) {
            let Some(number) = value.as_f64() else { continue };
            let name = match long {
                Some(((metric, unit), _)) if column == "value" => {
                    of_metric(&plain(&row[metric]), row[unit].as_str())
                }
                Some(_) => continue,
                None => of_column(column),
            };
            if !seen.insert((name.name.clone(), labels.clone())) {
                return Err(MetricsError::Twice { metric: name.name, labels });
            }
            let family = families.entry(name.name.clone()).or_insert_with(|| Family {
                help: help(column, &name),
                unit: name.unit.clone(),
                samples: Vec::new(),
            });
            family.samples.push(format!("{}{{{labels}}} {}", name.name, number * name.factor));
        }
    }
    if families.is_empty() {
        return Err(MetricsError::Nothing);
    }
    let mut text = String::new();
    for (name, family) in families {
        let _ = writeln!(text, "# TYPE {name} gauge");
        if let Some(unit) = family.unit {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {}", escaped(&family.help));
        for sample in family.samples {
            let _ = writeln!(text, "{sample}");
        }
    }
    Ok(text + "# EOF\n")
}

fn help(column: &str, name: &Name) -> String {
    match &name.unit {
        Some(unit) => format!("The column {column}, in {unit}"),
        None => format!("The column {column}"),
    }
}

/// Text and truths of a row. What is null or empty is no label; lists are neither labels nor numbers.
fn labels(answer: &Answer, row: &[Value]) -> String {
    let mut text = String::new();
    for (column, value) in answer.columns.iter().zip(row) {
        let value = match value {
            Value::String(text) if !text.is_empty() => escaped(text),
            Value::Bool(value) => value.to_string(),
            _ => continue,
        };
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{}=\"{value}\"", word(column));
    }
    text
}

/// As label values and helps have it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A name of letters, digits and underscores that begins with a letter.
fn word(text: &str) -> String {
    let mut word: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        word.insert(0, 'x');
    }
    word
}

/// A column of ours: times in `_ns` and `_ms` become seconds.
fn of_column(column: &str) -> Name {
    let mut parts: Vec<&str> = column.split('_').collect();
    let time = |part: &&str| matches!(*part, "ns" | "us" | "ms");
    if let Some(at) = parts.iter().position(time) {
        let factor = match parts.remove(at) {
            "ns" => 1e-9,
            "us" => 1e-6,
            _ => 1e-3,
        };
        return named(&parts.join("_"), Some("seconds"), factor);
    }
    if let Some(rest) = column.strip_suffix("_bytes") {
        return named(rest, Some("bytes"), 1.0);
    }
    if let Some(rest) = column.strip_suffix("_per_s") {
        return named(rest, Some("per_second"), 1.0);
    }
    match column {
        "relative_noise" | "extrapolated_share" | "validated_error" => {
            named(column, Some("ratio"), 1.0)
        }
        _ => named(column, None, 1.0),
    }
}

/// A metric of another tool in one of the units of imports.
fn of_metric(metric: &str, unit: Option<&str>) -> Name {
    let metric = format!("imported_{metric}");
    match unit {
        Some("ns") => named(&metric, Some("seconds"), 1e-9),
        Some("B") => named(&metric, Some("bytes"), 1.0),
        Some("B/s") => named(&metric, Some("bytes_per_second"), 1.0),
        Some("1/s") => named(&metric, Some("per_second"), 1.0),
        Some("1") | None => named(&metric, None, 1.0),
        Some(other) => named(&metric, Some(&word(other)), 1.0),
    }
}

fn named(rest: &str, unit: Option<&str>, factor: f64) -> Name {
    let mut name = format!("proofmark_{}", word(rest));
    // Endings that mean something else to a reader of metrics.
    let taken = ["_total", "_created", "_count", "_sum", "_bucket", "_info"];
    if unit.is_none() && taken.iter().any(|ending| name.ends_with(ending)) {
        name += "_value";
    }
    if let Some(unit) = unit {
        let _ = write!(name, "_{unit}");
    }
    Name { name, unit: unit.map(str::to_owned), factor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(columns: &[&str], rows: Vec<Vec<Value>>) -> Answer {
        Answer { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows }
    }

    #[test]
    fn columns_are_metrics_in_base_units() {
        let columns =
            ["case_id", "mark", "latency_ns_median", "peak_memory_bytes", "samples", "threads"];
        let rows = vec![
            vec![
                json!("a\"\\\nb"),
                json!("real"),
                json!(1_500_000.0),
                json!(64),
                json!([1.0]),
                json!(null),
            ],
            vec![json!("c"), json!("software"), json!(2.5e9), json!(null), json!([]), json!(2)],
        ];
        let expected = "# TYPE proofmark_latency_median_seconds gauge\n\
            # UNIT proofmark_latency_median_seconds seconds\n\
            # HELP proofmark_latency_median_seconds The column latency_ns_median, in seconds\n\
            proofmark_latency_median_seconds{case_id=\"a\\\"\\\\\\nb\",mark=\"real\"} 0.0015\n\
            proofmark_latency_median_seconds{case_id=\"c\",mark=\"software\"} 2.5\n\
            # TYPE proofmark_peak_memory_bytes gauge\n\
            # UNIT proofmark_peak_memory_bytes bytes\n\
            # HELP proofmark_peak_memory_bytes The column peak_memory_bytes, in bytes\n\
            proofmark_peak_memory_bytes{case_id=\"a\\\"\\\\\\nb\",mark=\"real\"} 64\n\
            # TYPE proofmark_threads gauge\n\
            # HELP proofmark_threads The column threads\n\
            proofmark_threads{case_id=\"c\",mark=\"software\"} 2\n\
            # EOF\n";
        let text = openmetrics(&answer(&columns, rows)).unwrap();
        assert_eq!(text.replace("0.0015000000000000002", "0.0015"), expected);
    }

    #[test]
    fn imported_numbers_are_named_by_their_metric() {
        let columns = ["metric", "unit", "value", "runs", "mark"];
        let row = |metric: &str, unit: Value| {
            vec![json!(metric), unit, json!(3.0), json!(7), json!("claimed")]
        };
        let rows = vec![
            row("time", json!("ns")),
            row("throughput", json!("1/s")),
            row("tokens/s", json!("1/s")),
            row("gc.alloc.rate", json!("MB/sec")),
            row("things_total", json!(null)),
        ];
        let text = openmetrics(&answer(&columns, rows)).unwrap();
        for line in [
            "proofmark_imported_time_seconds{metric=\"time\",unit=\"ns\",mark=\"claimed\"} 0.000000003",
            "proofmark_imported_throughput_per_second{metric=\"throughput\",unit=\"1/s\",mark=\"claimed\"} 3",
            "proofmark_imported_tokens_s_per_second{metric=\"tokens/s\",unit=\"1/s\",mark=\"claimed\"} 3",
            "# UNIT proofmark_imported_gc_alloc_rate_MB_sec MB_sec",
            "proofmark_imported_things_total_value{metric=\"things_total\",mark=\"claimed\"} 3",
        ] {
            assert!(
                text.lines().any(|found| found
                    .replace("0.0000000030000000000000004", "0.000000003")
                    == line),
                "{line}\n{text}"
            );
        }
        assert!(!text.contains("runs") && text.ends_with("# EOF\n"));
    }

    #[test]
    fn rows_that_nothing_tells_apart_are_refused() {
        let row = vec![json!("real"), json!(1)];
        let twice = answer(&["mark", "n"], vec![row.clone(), row]);
        let error = openmetrics(&twice).unwrap_err();
        assert!(
            error.to_string().contains("proofmark_n the same labels {mark=\"real\"}"),
            "{error}"
        );
        assert_eq!(
            openmetrics(&answer(&["mark"], vec![vec![json!("real")]])),
            Err(MetricsError::Nothing)
        );
        let alike =
            answer(&["mark", "a b", "a.b"], vec![vec![json!("real"), json!("x"), json!("y")]]);
        assert_eq!(openmetrics(&alike), Err(MetricsError::Alike("a_b".into())));
    }
}
