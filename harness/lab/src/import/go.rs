//! The output of `go test -bench`, as text or as the events of `-json`: a line per benchmark and repetition.

use super::{Found, ImportError, Measured, Taken, Tool};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Units of a metric of one's own that mean what they mean elsewhere.
const KNOWN: [&str; 9] = ["ns", "us", "µs", "ms", "s", "B", "B/s", "MB/s", "1"];

/// An event of `go test -json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    action: &'a str,
    output: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        ImportError::line(Tool::Go, line, "it is not UTF-8")
    })?;
    let text = match text.trim_start().starts_with('{') {
        true => Cow::Owned(printed(text)?),
        false => Cow::Borrowed(text),
    };
    let mut found = Found::default();
    let mut context = BTreeMap::new();
    let (mut has_results, mut is_over) = (false, false);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        // A line without its end may have lost the end of a number.
        let Some(line) = line.strip_suffix('\n') else {
            return Err(ImportError::line(Tool::Go, index + 1, "it is cut short"));
        };
        let line = line.trim_end_matches('\r');
        let word = line.split_whitespace().next().unwrap_or_default();
        match word {
            "goos:" | "goarch:" | "pkg:" | "cpu:" => {
                let name = word.trim_end_matches(':');
                let value = line[word.len()..].trim().to_owned();
                if name != "pkg" {
                    found.details.insert(name.to_owned(), value.clone());
                }
                context.insert(name.to_owned(), value);
                is_over = false;
            }
            "PASS" | "ok" => is_over = true,
            "FAIL" | "panic:" => {
                is_over = true;
                found.remarks.push(format!("line {}: {line}", index + 1));
            }
            _ if word.starts_with("Benchmark") => {
                has_results |= push(&mut found, index + 1, line, context.get("pkg"))?;
            }
            "---" if line.contains(" FAIL: ") => {
                found.remarks.push(format!("line {}: {line}", index + 1))
            }
            _ => {}
        }
    }
    if has_results && !is_over {
        found
            .remarks
            .push("no PASS or FAIL follows the last benchmark: others may be missing".to_owned());
    }
    Ok(found)
}

/// What the events of `go test -json` say was printed.
fn printed(events: &str) -> Result<String, ImportError> {
    let mut text = String::new();
    for (index, line) in events.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let event: Event<'_> = serde_json::from_str(line)
            .map_err(|error| ImportError::line(Tool::Go, index + 1, error.to_string()))?;
        if event.action == "output" {
            text += event.output.as_deref().unwrap_or_default();
        }
    }
    Ok(text)
}

/// A line such as `BenchmarkJoin/n=8-2  200  178.6 ns/op  44.79 MB/s`; whether it is one. A name alone announces one.
fn push(
    found: &mut Found,
    number: usize,
    line: &str,
    package: Option<&String>,
) -> Result<bool, ImportError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, runs, values @ ..] = &words[..] else { return Ok(false) };
    let Ok(runs) = runs.parse() else { return Ok(false) };
    let base = Measured {
        benchmark: (*name).to_owned(),
        runs: Some(runs),
        details: package.map(|package| ("pkg".to_owned(), package.clone())).into_iter().collect(),
        ..Measured::default()
    };
    for pair in values.chunks(2) {
        let &[value, unit] = pair else {
            return Err(ImportError::line(Tool::Go, number, format!("{} has no unit", pair[0])));
        };
        let raw: f64 = value
            .parse()
            .map_err(|_| ImportError::line(Tool::Go, number, format!("{value} is no number")))?;
        let (metric, raw_unit) = match unit {
            "ns/op" => ("time", unit),
            "MB/s" => ("throughput", unit),
            "B/op" => ("allocated", unit),
            "allocs/op" => ("allocations", unit),
            // Of a metric that the benchmark reports itself, Go writes the unit alone.
            own if own.ends_with("/s") && !own.ends_with("B/s") => (own, "1/s"),
            own => (own, own),
        };
        // What is counted in a `C` of its own is no temperature: of such units times and sizes alone are known.
        let is_known = [metric, raw_unit] != [unit; 2] || KNOWN.contains(&unit);
        let place = format!("line {number}, {unit}");
        let taken =
            Taken { metric, statistic: "mean", raw, raw_unit: is_known.then_some(raw_unit), place };
        if let Some(result) = found.take(&base, taken) {
            result.raw_unit = Some(unit.to_owned());
            result.unit.get_or_insert_with(|| unit.to_owned());
        }
    }
    Ok(true)
}
