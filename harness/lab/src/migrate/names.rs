//! What a legacy name is here, by the `table`: a metric with a unit, context, or not understood. Nothing is guessed.

use super::table::{Kind, METRICS, Metric, STATISTICS, UNITS};
use super::words;

/// Parts of names that say how a model was called, and nothing of the number.
const WAYS: &[&str] = &["pipeline", "from", "pretrained"];
/// Words that make a name context: what was asked for, counted, numbered or dated, and is no measurement.
const CONTEXT: &[&str] = &[
    "timestamp",
    "timeout",
    "threshold",
    "limit",
    "target",
    "expected",
    "count",
    "counts",
    "num",
    "number",
    "code",
    "id",
    "seed",
    "version",
    "port",
    "interval",
    "delay",
    "date",
    "deadline",
    "since",
    "retries",
    "budget",
    "ttl",
    "available",
    "completion",
    "progress",
    "success",
    "pass",
    "coverage",
    "compatibility",
];
/// Words of measurements: a name with one of them that the table lacks is kept as it is. Any other name is context.
const MEASURES: &[&str] = &[
    "time",
    "times",
    "latency",
    "latencies",
    "duration",
    "throughput",
    "memory",
    "speed",
    "bandwidth",
    "power",
    "energy",
    "utilization",
    "usage",
    "accuracy",
    "perplexity",
    "speedup",
    "flops",
    "gflops",
    "tflops",
    "overhead",
    "efficiency",
    "elapsed",
    "runtime",
    "wer",
    "bleu",
    "f1",
];
/// Words that say that a number was computed and not measured.
const COMPUTED: &[&str] = &["estimated", "predicted", "projected", "theoretical", "extrapolated"];

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A metric in this unit.
    Metric(Understood),
    /// No result.
    Context,
    /// A measurement that the table lacks.
    Unknown,
}

/// A name that the table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Understood {
    pub(super) metric: &'static str,
    pub(super) statistic: Option<&'static str>,
    pub(super) unit: &'static str,
    pub(super) ten: i32,
    pub(super) two: u32,
    /// Whether the name itself says that it was computed.
    pub(super) computed: bool,
    /// Whether it spans a run and all that the run did.
    pub(super) spans: bool,
    /// Whether it may be below zero.
    pub(super) signed: bool,
}

/// What a name means, by the table.
pub(super) fn understand(name: &str) -> Name {
    let words = words::tokens(name);
    // `inferenceTime` is a name of a browser, which counts in milliseconds: without a unit it is not understood.
    let is_python = !name.chars().any(char::is_uppercase);
    let computed = words.iter().any(|word| COMPUTED.contains(&word.as_str()));
    let plain: Vec<String> = words
        .iter()
        .filter(|word| {
            !WAYS.contains(&word.as_str())
                && !words::is_unreal(word)
                && word.as_str() != "real"
                && !COMPUTED.contains(&word.as_str())
        })
        .cloned()
        .collect();
    let placeless: Vec<String> =
        plain.iter().filter(|word| !words::names_endpoint(word)).cloned().collect();
    let found = look_up(&plain, is_python).or_else(|| look_up(&placeless, is_python));
    match found {
        Some(found) => Name::Metric(Understood { computed, ..found }),
        None if is_measurement(&words) && !is_context(&words) => Name::Unknown,
        None => Name::Context,
    }
}

/// Whether a name is of what was asked for, of when something was, of the length of an input, or of what a machine has.
fn is_context(words: &[String]) -> bool {
    let has = |word: &str| words.iter().any(|w| w == word);
    words.iter().any(|word| CONTEXT.contains(&word.as_str()))
        || matches!(words, [first, _] if first == "start" || first == "end")
        || (words.len() == 1 && has("time"))
        || ((has("audio") || has("video")) && (has("duration") || has("length")))
        || (has("total") && has("memory") && !has("used"))
}

fn is_measurement(words: &[String]) -> bool {
    let has_unit = UNITS.iter().any(|unit| {
        unit.names.iter().any(|name| name.len() > 1 && ends_with(words, name).is_some())
    });
    has_unit || words.iter().any(|word| MEASURES.contains(&word.as_str()))
}

/// Whether a list of names has this one.
fn has(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|found| found == name)
}

/// How many words stand before these at the end.
fn ends_with(words: &[String], suffix: &str) -> Option<usize> {
    let count = suffix.split('_').count();
    let rest = words.len().checked_sub(count)?;
    words[rest..].iter().map(String::as_str).eq(suffix.split('_')).then_some(rest)
}

fn look_up(words: &[String], is_python: bool) -> Option<Understood> {
    exact(words, None, is_python).or_else(|| {
        let statistic = words.iter().find_map(|word| {
            STATISTICS
                .iter()
                .find(|(names, _)| names.contains(&word.as_str()))
                .map(|(_, ours)| *ours)
        })?;
        let rest: Vec<String> = words
            .iter()
            .filter(|word| !STATISTICS.iter().any(|(names, _)| names.contains(&word.as_str())))
            .cloned()
            .collect();
        exact(&rest, Some(statistic), is_python)
    })
}

fn exact(words: &[String], statistic: Option<&'static str>, is_python: bool) -> Option<Understood> {
    let understood = |metric: &Metric, unit: &'static str, ten, two| Understood {
        metric: metric.name,
        statistic,
        unit,
        ten,
        two,
        computed: false,
        spans: metric.name == "run",
        signed: metric.name == "similarity",
    };
    let with_unit = UNITS.iter().find_map(|unit| {
        let rest = unit.names.iter().find_map(|name| ends_with(words, name))?;
        let stem = if rest == 0 { "-".to_owned() } else { words[..rest].join("_") };
        let metric = METRICS
            .iter()
            .find(|metric| metric.kind == unit.kind && has(metric.with_unit, &stem))?;
        Some(understood(metric, unit.ours, unit.ten, unit.two))
    });
    with_unit.or_else(|| {
        let stem = words.join("_");
        // Of `avg_time`, `min_time` and `max_time`, only the statistic says that it is a time of runs.
        let is_time = stem == "time" && statistic.is_some();
        let metric = METRICS
            .iter()
            .find(|metric| has(metric.bare, &stem) || (is_time && metric.name == "latency"))?;
        match metric.kind {
            Kind::Time if is_python => Some(understood(metric, "ns", 9, 0)),
            Kind::Share => Some(understood(metric, "1", 0, 0)),
            _ => None,
        }
    })
}

/// Whether a name is nothing but a statistic of what stands above it: `mean`, `p95`, `values`.
pub(super) fn is_statistic(name: &str) -> bool {
    let words = words::tokens(name);
    let of = |word: &String| {
        ["value", "values", "samples", "raw"].contains(&word.as_str())
            || STATISTICS.iter().any(|(names, _)| names.contains(&word.as_str()))
            || UNITS.iter().any(|unit| unit.names.contains(&word.as_str()))
    };
    !words.is_empty() && words.iter().all(of)
}

/// The number of this text in our unit: exactly rounded where the factor is a power of ten. None if it is not finite.
pub(super) fn convert(text: &str, ten: i32, two: u32) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let value: f64 =
        format!("{mantissa}e{}", exponent.checked_add(i64::from(ten))?).parse().ok()?;
    let value = value * f64::from(2.0_f32).powi(i32::try_from(two).ok()?);
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, metric: &str, statistic: Option<&str>, value: f64, unit: &str) {
        let Name::Metric(found) = understand(name) else {
            panic!("{name}: {:?}", understand(name))
        };
        let got = convert("2.5", found.ten, found.two).unwrap();
        assert_eq!(
            (found.metric, found.statistic, got, found.unit),
            (metric, statistic, value, unit),
            "{name}"
        );
    }

    #[test]
    fn names_and_units_come_to_ours() {
        check("inference_time_ms", "latency", None, 2.5e6, "ns");
        check("average_latency_ms", "latency", Some("mean"), 2.5e6, "ns");
        check("latency_p95_ms", "latency", Some("p95"), 2.5e6, "ns");
        check("pipeline_avg_time", "latency", Some("mean"), 2.5e9, "ns");
        check("cuda_total_time", "run", None, 2.5e9, "ns");
        check("total_time_seconds", "run", None, 2.5e9, "ns");
        check("model_load_time", "load", None, 2.5e9, "ns");
        check("memory_mb", "memory", None, 2_621_440.0, "bytes");
        check("memory_peak_mb", "peak_memory", None, 2_621_440.0, "bytes");
        check("cuda_memory_used_mb", "memory", None, 2_621_440.0, "bytes");
        check("gpu_memory_allocated_gb", "memory_allocated", None, 2_684_354_560.0, "bytes");
        check("throughput_items_per_second", "throughput", None, 2.5, "items/s");
        check("cuda_tokens_per_second", "throughput", None, 2.5, "tokens/s");
        check("cpu_util_percent", "cpu_utilization", None, 0.025, "1");
        check("realtime_factor", "realtime_factor", None, 2.5, "1");
        check("inferenceTimeMs", "latency", None, 2.5e6, "ns");
        check("simulated_latency_ms", "latency", None, 2.5e6, "ns");
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        for name in [
            "throughput",
            "latency",
            "memory",
            "inferenceTime",
            "frobnication_time",
            "latency_mb",
            "memory_usage",
            "variance_ms",
            "accuracy",
        ] {
            assert_eq!(understand(name), Name::Unknown, "{name}");
        }
    }

    #[test]
    fn context_is_no_result() {
        for name in [
            "timestamp",
            "cuda_timestamp",
            "batch_size",
            "return_code",
            "output_shape",
            "warmup_iterations",
            "timeout_ms",
            "total_tests",
            "temperature",
            "audio_duration_seconds",
            "latency_threshold_ms",
            "cuda_output_length",
            "time",
            "success_rate",
            "arxiv",
            "start_time",
        ] {
            assert_eq!(understand(name), Name::Context, "{name}");
        }
    }

    #[test]
    fn statistics_below_a_name_belong_to_it() {
        for name in ["mean", "p95", "values", "mean_ms", "avg"] {
            assert!(is_statistic(name), "{name}");
        }
        assert!(!is_statistic("latency") && !is_statistic("") && !is_statistic("mean_latency"));
    }

    #[test]
    fn numbers_are_rounded_once() {
        assert_eq!(convert("19.1", 6, 0), Some(19_100_000.0));
        assert_eq!(convert("-3.5e-05", 9, 0), Some(-35_000.0));
        assert_eq!(convert("50", -2, 0), Some(0.5));
        assert_eq!(convert("1e999", 0, 0), None);
        assert_eq!(convert("1e99999999999999999999", 0, 0), None);
        assert_eq!(convert("NaN", 0, 0), None);
        assert_eq!(convert("Infinity", 6, 0), None);
    }
}
