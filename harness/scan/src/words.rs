//! The vocabulary: which names are of measured quantities, of limits and settings, of things that say that they are
//! not measured.
//!
//! Names are split into words, so that `latencyMs`, `latency_ms` and `LATENCY-MS` are alike.

mod lists;

use aho_corasick::AhoCorasick;
use lists::{
    ANSWERS, DECLARED, DOUBLES, FIXED, MATTER, POWERS, QUALITIES, RATES, RESOURCES, SETTINGS,
    SLEEPS, TIME_UNITS, TIMED, TIMES,
};
use std::ops::Range;
use std::sync::OnceLock;

/// Words up to this length stand in too many others to be looked for inside of them.
const SHORT: usize = 3;

/// Whether a source text has any word that a rule is about; if not, it need not be parsed.
pub(crate) fn may_matter(text: &str) -> bool {
    static WORDS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let built = WORDS.get_or_init(|| {
        let words = MATTER.iter().copied().flatten();
        AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
    });
    let Some(words) = built else { return true };
    words
        .find_overlapping_iter(text)
        .any(|found| found.len() > SHORT || is_apart(text.as_bytes(), found.range()))
}

/// Whether a piece of a text stands as a word of its own, as `split` tells them apart.
fn is_apart(text: &[u8], piece: Range<usize>) -> bool {
    let is =
        |at: Option<usize>, kind: fn(&u8) -> bool| at.and_then(|at| text.get(at)).is_some_and(kind);
    let before = piece.start.checked_sub(1);
    let (last, after) = (piece.end.checked_sub(1), Some(piece.end));
    let starts = is(Some(piece.start), u8::is_ascii_uppercase)
        && (!is(before, u8::is_ascii_uppercase)
            || is(Some(piece.start + 1), u8::is_ascii_lowercase));
    let ends = is(after, u8::is_ascii_uppercase)
        && (!is(last, u8::is_ascii_uppercase) || is(Some(piece.end + 1), u8::is_ascii_lowercase));
    (starts || !is(before, u8::is_ascii_alphabetic))
        && (ends || !is(after, u8::is_ascii_alphabetic))
}

/// The words of a name, in lower case.
pub(crate) fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let chars: Vec<char> = name.chars().take(200).collect();
    let mut word = String::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let starts = c.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit())
                || before.is_some_and(|b| b.is_uppercase())
                    && after.is_some_and(|a| a.is_lowercase()));
        if (!c.is_alphanumeric() || starts) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The words of a sentence, in small letters; no sentence is longer than 2000 characters.
pub(crate) fn of_text(text: &str) -> Vec<String> {
    let lower: String = text.chars().take(2000).flat_map(char::to_lowercase).collect();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What a quantity is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// A duration.
    Time,
    /// Work per time, or a ratio of two of them.
    Rate,
    /// Memory, power, temperature, load of a device.
    Resource,
    /// How good an output is.
    Quality,
}

fn among(word: &str, list: &[&str]) -> bool {
    list.contains(&word)
}

/// Whether the word says that something was not measured.
pub(crate) fn is_declared(word: &str) -> bool {
    among(word, &DECLARED)
}

/// Whether the word is a unit of time.
pub(crate) fn is_time_unit(word: &str) -> bool {
    among(word, &TIME_UNITS)
}

/// Whether a function of this name waits for a time.
pub(crate) fn is_sleep(name: &str) -> bool {
    among(name, &SLEEPS)
}

/// Whether a word of the name is of what a model answers.
pub(crate) fn names_answer(name: &str) -> bool {
    split(name).iter().any(|word| among(word, &ANSWERS))
}

/// Whether the word names a stand-in.
pub(crate) fn is_double(word: &str) -> bool {
    among(word, &DOUBLES)
}

/// Whether a word of the name says that what it names was not measured.
pub(crate) fn declares(name: &str) -> bool {
    split(name).iter().any(|word| is_declared(word))
}

/// Whether a word of the name names a stand-in or something simulated.
pub(crate) fn names_double(name: &str) -> bool {
    let simulated = ["simulated", "simulate", "simulation", "sim", "synthetic", "emulated"];
    split(name).iter().any(|word| is_double(word) || among(word, &simulated))
}

/// Whether it is the name of a limit or a setting.
pub(crate) fn is_setting(name: &str) -> bool {
    split(name).iter().any(|word| among(word, &SETTINGS))
}

/// Whether a constant of this name is no result, though its name is that of a quantity.
pub(crate) fn is_fixed(name: &str) -> bool {
    is_setting(name) || split(name).iter().any(|word| among(word, &FIXED))
}

/// The quantity that a name is of; none for limits, settings, points in time and everything else.
pub(crate) fn quantity(name: &str) -> Option<Quantity> {
    let words = split(name);
    if words.iter().any(|word| among(word, &SETTINGS)) {
        return None;
    }
    let has = |list: &[&str]| words.iter().any(|word| among(word, list));
    let last = words.last().map(String::as_str).unwrap_or_default();
    let per = words.windows(2).any(|pair| {
        pair[0] == "per"
            && matches!(pair[1].as_str(), "sec" | "second" | "s" | "min" | "minute" | "hour")
    });
    if has(&[
        "count", "counts", "size", "id", "ids", "index", "name", "names", "enabled", "type",
        "kind", "bytes",
    ]) && !has(&["peak", "used", "usage", "allocated"])
    {
        return None;
    }
    if per || has(&RATES) || matches!(last, "flops") && words.len() > 1 {
        return Some(Quantity::Rate);
    }
    let time =
        has(&["time", "times"]) && (has(&TIMED) || words.len() > 1 && among(last, &TIME_UNITS));
    let bare = words.len() == 1
        && matches!(last, "time" | "times" | "ms" | "millis" | "nanos" | "seconds");
    let unit =
        words.len() > 1 && among(last, &TIME_UNITS) && !has(&["sleep", "every", "max", "step"]);
    if has(&TIMES) || time || bare || unit {
        return Some(Quantity::Time);
    }
    let memory = has(&["memory", "mem"])
        && (has(&[
            "peak",
            "used",
            "usage",
            "mb",
            "gb",
            "kb",
            "mib",
            "gib",
            "consumption",
            "allocated",
            "footprint",
        ]));
    let powered = has(&POWERS)
        && has(&[
            "watts",
            "w",
            "mw",
            "joules",
            "j",
            "usage",
            "draw",
            "consumption",
            "gpu",
            "cpu",
            "avg",
            "mean",
            "average",
            "celsius",
        ]);
    let other = has(&RESOURCES) || powered;
    if memory || other && !has(&["mode", "cap", "of"]) {
        return Some(Quantity::Resource);
    }
    has(&QUALITIES).then_some(Quantity::Quality)
}

/// Whether a name is that of something that measures or of what it gives.
pub(crate) fn is_measuring(name: &str) -> bool {
    const WORDS: [&str; 44] = [
        "measure",
        "measures",
        "measured",
        "measurement",
        "measurements",
        "bench",
        "benchmark",
        "benchmarks",
        "benchmarking",
        "benchmarked",
        "profile",
        "profiled",
        "profiler",
        "perf",
        "performance",
        "result",
        "results",
        "metric",
        "metrics",
        "stats",
        "statistics",
        "sample",
        "samples",
        "timing",
        "timings",
        "latency",
        "latencies",
        "throughput",
        "elapsed",
        "report",
        "summary",
        "infer",
        "inference",
        "run",
        "runs",
        "execute",
        "evaluate",
        "evaluation",
        "eval",
        "collect",
        "record",
        "records",
        "telemetry",
        "outcome",
    ];
    split(name).iter().any(|word| among(word, &WORDS))
}

/// Whether a name is about timers and sleeping themselves: what measures them may sleep.
pub(crate) fn is_about_timers(name: &str) -> bool {
    const WORDS: [&str; 16] = [
        "sleep",
        "sleeps",
        "timer",
        "timers",
        "clock",
        "clocks",
        "scheduler",
        "resolution",
        "granularity",
        "jitter",
        "drift",
        "stopwatch",
        "calibrate",
        "calibration",
        "overshoot",
        "oversleep",
    ];
    split(name).iter().any(|word| among(word, &WORDS))
}

/// Whether a text says in words that what it is about was not measured.
pub(crate) fn text_declares(text: &str) -> bool {
    let words = split(text);
    let negated = |at: usize| {
        words[..at]
            .iter()
            .rev()
            .take(2)
            .any(|word| among(word, &["not", "no", "non", "never", "without"]))
    };
    words.iter().enumerate().any(|(at, word)| {
        let said = among(
            word,
            &[
                "simulated",
                "simulation",
                "simulate",
                "simulating",
                "synthetic",
                "estimated",
                "estimate",
                "predicted",
                "theoretical",
                "emulated",
                "placeholder",
                "modelled",
                "modeled",
                "projected",
                "hypothetical",
                "approximate",
                "assumed",
            ],
        );
        (said || is_double(word)) && !negated(at)
    }) || text.contains("not measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expect: Option<Quantity>) {
        assert_eq!(quantity(name), expect, "{name}");
    }

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(split("latencyMs"), ["latency", "ms"]);
        assert_eq!(split("GPUTime_total-ms"), ["gpu", "time", "total", "ms"]);
        assert_eq!(split("p95Latency"), ["p95", "latency"]);
        assert_eq!(split("__"), Vec::<String>::new());
    }

    #[test]
    fn every_word_of_a_rule_makes_a_text_matter() {
        for word in MATTER.iter().copied().flatten() {
            let upper = word.to_uppercase();
            for text in [(*word).to_owned(), format!("x = a_{word}(1)"), format!("A_{upper}=1")] {
                assert!(may_matter(&text), "{text}");
            }
        }
        for text in ["totalMs = 1", "gpuUsTotal", "MSTotal", "v: vi.fn()", "a per second"] {
            assert!(may_matter(text), "{text}");
        }
        for text in ["", "items = programs + minus", "TERMS = USER + ITEMS", "let person = vita;"] {
            assert!(!may_matter(text), "{text}");
        }
    }

    #[test]
    fn quantities_are_told_from_limits() {
        check("latency_ms", Some(Quantity::Time));
        check("inferenceTimeMs", Some(Quantity::Time));
        check("avg_time", Some(Quantity::Time));
        check("tokens_per_second", Some(Quantity::Rate));
        check("peakMemoryMB", Some(Quantity::Resource));
        check("accuracy", Some(Quantity::Quality));
        check("TIMEOUT_MS", None);
        check("latency_budget_ms", None);
        check("poll_interval_ms", None);
        check("start_time", None);
        check("timestamp", None);
        check("time_limit", None);
        check("memory_size", None);
        check("batch_size", None);
        check("random_state", None);
    }

    #[test]
    fn what_was_not_measured_says_so() {
        assert!(declares("estimated_latency_ms") && declares("RooflineModel"));
        assert!(!declares("benchmark_model") && !declares("model"));
        assert!(names_double("MockSession") && !names_double("Session"));
        assert!(
            text_declares("values are simulated") && !text_declares("values are not simulated")
        );
    }
}
