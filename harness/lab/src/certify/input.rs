//! Benchmarks from elsewhere, read from JSON. A fault of one never hides another.

use super::evidence::{Benchmark, Outputs, Process, Scaled};
use crate::gate::case::without_nonfinite;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// A benchmark of a file, or what is wrong with it and what to do.
pub type Read = Result<Benchmark, Fault>;

/// A benchmark that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("benchmark {id} cannot be judged: {what}")]
pub struct Fault {
    /// What it is called; where it has no name, its place in the list.
    pub id: String,
    /// What is wrong, and what to do.
    pub what: String,
}

/// Why a whole file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It is no JSON.
    #[error("it is not JSON ({0}); expected {FORMAT}")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another kind.
    #[error("it has no list `benchmarks`; expected {FORMAT}")]
    Format,
    /// There is nothing in it.
    #[error("its list `benchmarks` is empty: there is nothing to judge")]
    Empty,
}

const FORMAT: &str = r#"{"benchmarks": [{"id": "…", "processes_s": [[seconds, …], …]}]}"#;

/// What a benchmark may have besides its samples; see `docs/formats.md`.
const KNOWN: [&str; 12] = [
    "id",
    "processes_s",
    "loaded_processes_s",
    "runs_per_sample",
    "cpu_s",
    "boots",
    "days",
    "loads",
    "clock_step_s",
    "work",
    "scaling",
    "outputs_verified",
];

/// Reads the benchmarks of a file. One with a fault is there as that.
///
/// # Errors
/// [`InputError`] if there is no benchmark in it at all.
pub fn read(text: &str) -> Result<Vec<Read>, InputError> {
    let file: Value = serde_json::from_str(&without_nonfinite(text))?;
    let list = file.get("benchmarks").and_then(Value::as_array).ok_or(InputError::Format)?;
    if list.is_empty() {
        return Err(InputError::Empty);
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for id in list.iter().filter_map(name) {
        *counts.entry(id).or_default() += 1;
    }
    let read = |(index, value): (usize, &Value)| {
        let id = name(value).map_or_else(|| format!("#{}", index + 1), str::to_owned);
        let what = match counts.get(id.as_str()) {
            Some(count @ 2..) => Err(format!("{count} have this id; give each its own")),
            _ => benchmark(value),
        };
        what.map_err(|what| Fault { id, what })
    };
    Ok(list.iter().enumerate().map(read).collect())
}

fn name(value: &Value) -> Option<&str> {
    value.get("id")?.as_str().filter(|id| !id.is_empty())
}

fn benchmark(value: &Value) -> Result<Benchmark, String> {
    let object = value.as_object().ok_or("it is no object with an id; give it one")?;
    let id = name(value).ok_or("it has no id that is a text; give it one")?.to_owned();
    if let Some(other) = object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("it has `{other}`, which means nothing here; known are {KNOWN:?}"));
    }
    let samples = lists("processes_s", object)?.ok_or_else(|| {
        "`processes_s` is missing; expected one list of seconds per process".to_owned()
    })?;
    if samples.len() < 2 {
        return Err(format!(
            "`processes_s` has {} process: how far processes differ cannot be known from less than two; measure more",
            samples.len()
        ));
    }
    same_lengths(&samples)?;
    let benchmark = Benchmark {
        id,
        processes: processes(object, samples)?,
        loaded: processes_under_load(object)?,
        work: positive("work", object)?,
        scaling: scaling(object)?,
        peak_work_per_s: None,
        clock_step_s: positive("clock_step_s", object)?,
        outputs: outputs(object)?,
        waits_for_device: false,
    };
    if !benchmark.scaling.is_empty() && benchmark.work.is_none() {
        return Err("`scaling` says nothing without the `work` of the benchmark itself".into());
    }
    Ok(benchmark)
}

/// Within processes, the course is compared sample by sample.
fn same_lengths(samples: &[Vec<f64>]) -> Result<(), String> {
    let first = samples[0].len();
    match samples.iter().position(|samples| samples.len() != first) {
        None => Ok(()),
        Some(other) => Err(format!(
            "process {} of `processes_s` has {} samples and process 1 has {first}: their course is compared sample by \
             sample; cut all to one length",
            other + 1,
            samples[other].len()
        )),
    }
}

fn processes(object: &Map<String, Value>, samples: Vec<Vec<f64>>) -> Result<Vec<Process>, String> {
    let count = samples.len();
    let cpu_s = numbers("cpu_s", object, count)?;
    let loads = numbers("loads", object, count)?;
    let runs = match object.get("runs_per_sample") {
        Some(Value::Number(_)) => {
            positive("runs_per_sample", object)?.map(|runs| vec![runs; count])
        }
        _ => numbers("runs_per_sample", object, count)?,
    };
    let (boots, days) = (texts("boots", object, count)?, texts("days", object, count)?);
    if cpu_s.is_some() && runs.is_none() {
        return Err(
            "`cpu_s` is the processor time of all samples of a process, which takes `runs_per_sample` to compare".into(),
        );
    }
    let process = |(index, samples_s): (usize, Vec<f64>)| {
        let at = |list: &Option<Vec<f64>>| list.as_ref().map(|list| list[index]);
        let named = |list: &Option<Vec<String>>| list.as_ref().map(|list| list[index].clone());
        let runs = at(&runs);
        let wall_s = runs.map(|runs| samples_s.iter().sum::<f64>() * runs);
        Process {
            interval_s: runs.and_then(|runs| Some(crate::stats::median(&samples_s)? * runs)),
            processors_used: at(&cpu_s).zip(wall_s).map(|(cpu, wall)| cpu / wall),
            boot: named(&boots),
            day: named(&days),
            load: at(&loads),
            samples_s,
        }
    };
    Ok(samples.into_iter().enumerate().map(process).collect())
}

fn processes_under_load(object: &Map<String, Value>) -> Result<Vec<Process>, String> {
    let samples = lists("loaded_processes_s", object)?.unwrap_or_default();
    Ok(samples.into_iter().map(Process::of).collect())
}

fn outputs(object: &Map<String, Value>) -> Result<Outputs, String> {
    match object.get("outputs_verified") {
        None | Some(Value::Null) => Ok(Outputs::Unknown),
        Some(Value::Bool(true)) => Ok(Outputs::Verified),
        Some(Value::Bool(false)) => Ok(Outputs::Wrong("the file says so".into())),
        Some(other) => Err(format!("`outputs_verified` is {other}; expected true or false")),
    }
}

fn scaling(object: &Map<String, Value>) -> Result<Vec<Scaled>, String> {
    let Some(value) = object.get("scaling") else { return Ok(Vec::new()) };
    let expected = r#"expected [{"work": number, "processes_s": [[seconds, …], …]}, …]"#;
    let list = value.as_array().ok_or_else(|| format!("`scaling` is no list; {expected}"))?;
    let scaled = |value: &Value| {
        let object = value.as_object().ok_or_else(|| format!("`scaling`: {expected}"))?;
        let work = positive("work", object)?.ok_or_else(|| format!("`scaling`: {expected}"))?;
        let samples = lists("processes_s", object)?.unwrap_or_default();
        if samples.is_empty() {
            return Err(format!("`scaling` has no processes for the work {work}; {expected}"));
        }
        Ok(Scaled { work, processes_s: samples })
    };
    list.iter().map(scaled).collect()
}

/// Lists of durations, one per process.
fn lists(key: &str, object: &Map<String, Value>) -> Result<Option<Vec<Vec<f64>>>, String> {
    let Some(value) = object.get(key) else { return Ok(None) };
    let expected = "expected one list of seconds per process";
    let list = value.as_array().ok_or_else(|| format!("`{key}` is no list; {expected}"))?;
    let process = |(index, value): (usize, &Value)| {
        let what = format!("process {} of `{key}`", index + 1);
        let samples = value.as_array().ok_or_else(|| format!("{what} is no list; {expected}"))?;
        if samples.is_empty() {
            return Err(format!(
                "{what} has no samples; leave the process out or measure it again"
            ));
        }
        let sample = |(place, value): (usize, &Value)| {
            duration(value).map_err(|shown| {
                format!(
                    "sample {} of {what} is {shown}; a duration is positive and finite",
                    place + 1
                )
            })
        };
        samples.iter().enumerate().map(sample).collect()
    };
    list.iter().enumerate().map(process).collect::<Result<_, _>>().map(Some)
}

fn duration(value: &Value) -> Result<f64, String> {
    let found = value.as_f64().filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    found.ok_or_else(|| match value {
        Value::Null => "not a finite number".to_owned(),
        other => other.to_string(),
    })
}

/// A positive number.
fn positive(key: &str, object: &Map<String, Value>) -> Result<Option<f64>, String> {
    let Some(value) = object.get(key) else { return Ok(None) };
    let wrong = |shown| format!("`{key}` is {shown}; expected a positive number");
    duration(value).map(Some).map_err(wrong)
}

/// A number that is not negative, per process.
fn numbers(
    key: &str,
    object: &Map<String, Value>,
    count: usize,
) -> Result<Option<Vec<f64>>, String> {
    per_process(key, object, count, |value| {
        value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)
    })
}

/// A text per process.
fn texts(
    key: &str,
    object: &Map<String, Value>,
    count: usize,
) -> Result<Option<Vec<String>>, String> {
    per_process(key, object, count, |value| value.as_str().map(str::to_owned))
}

fn per_process<T>(
    key: &str,
    object: &Map<String, Value>,
    count: usize,
    of: impl Fn(&Value) -> Option<T>,
) -> Result<Option<Vec<T>>, String> {
    let Some(value) = object.get(key) else { return Ok(None) };
    let list =
        value.as_array().ok_or_else(|| format!("`{key}` is no list with one per process"))?;
    if list.len() != count {
        return Err(format!("`{key}` has {} entries for {count} processes", list.len()));
    }
    let entry = |(index, value): (usize, &Value)| {
        of(value).ok_or_else(|| format!("`{key}` is {value} for process {}", index + 1))
    };
    list.iter().enumerate().map(entry).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one benchmark beside a good one and gives its fault.
    #[track_caller]
    fn check(benchmark: &str, expected: &str) {
        let good = r#"{"id": "good", "processes_s": [[1.0], [2.0]]}"#;
        let read = read(&format!(r#"{{"benchmarks": [{benchmark}, {good}]}}"#)).unwrap();
        let fault = read[0].as_ref().unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
        assert!(read.last().unwrap().is_ok(), "one fault hides another benchmark");
    }

    #[test]
    fn each_fault_names_its_place() {
        let with = |rest: &str| format!(r#"{{"id": "x", {rest}}}"#);
        let more =
            |rest: &str| with(&format!(r#""processes_s": [[1.0, 2.0], [1.0, 2.0]], {rest}"#));
        check(
            &with(r#""processes_s": [[1.0, NaN], [1, 2]]"#),
            "sample 2 of process 1 of `processes_s` is not a",
        );
        check(
            &with(r#""processes_s": [[1.0], [-1]]"#),
            "sample 1 of process 2 of `processes_s` is -1",
        );
        check(&with(r#""processes_s": [[1.0], []]"#), "process 2 of `processes_s` has no samples");
        check(&with(r#""processes_s": [[1.0]]"#), "has 1 process: how far processes differ");
        check(&with(r#""processes_s": []"#), "has 0 process");
        check(&with(r#""processes_s": [1.0, 2.0]"#), "process 1 of `processes_s` is no list");
        check(&with(r#""processes_s": 3"#), "`processes_s` is no list");
        check(r#"{"id": "x"}"#, "`processes_s` is missing");
        check(
            &with(r#""processes_s": [[1.0], [1.0, 2.0]]"#),
            "process 2 of `processes_s` has 2 samples",
        );
        check(r#"{"processes_s": [[1.0], [1.0]]}"#, "#1 cannot be judged: it has no id");
        check("7", "no object");
        check(&more(r#""cpus": 3"#), "it has `cpus`, which means nothing here");
        check(&more(r#""boots": ["a"]"#), "`boots` has 1 entries for 2 processes");
        check(&more(r#""days": ["a", 3]"#), "`days` is 3 for process 2");
        check(&more(r#""loads": [0, -0.5]"#), "`loads` is -0.5 for process 2");
        check(&more(r#""cpu_s": [1, 1]"#), "takes `runs_per_sample`");
        check(&more(r#""clock_step_s": 0"#), "`clock_step_s` is 0; expected a positive number");
        check(&more(r#""work": "much""#), "`work` is \"much\"");
        check(&more(r#""scaling": [{"work": 2}], "work": 1"#), "no processes for the work 2");
        check(&more(r#""scaling": [{"work": 2, "processes_s": [[1]]}]"#), "without the `work`");
        check(&more(r#""outputs_verified": "yes""#), "expected true or false");
        let twice = with(r#""processes_s": [[1.0], [1.0]]"#);
        check(&format!("{twice}, {twice}"), "2 have this id");
    }

    #[test]
    fn a_file_that_says_nothing_is_an_error() {
        for (text, expected) in [
            ("", "not JSON"),
            ("[]", "no list `benchmarks`"),
            ("{\"benchmarks\": 3}", "no list `benchmarks`"),
            ("{\"benchmarks\": []}", "nothing to judge"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn everything_arrives() {
        let text = r#"{"benchmarks": [{"id": "x", "processes_s": [[1, 3], [2, 4]], "runs_per_sample": 10,
            "cpu_s": [20, 120], "boots": ["a", "b"], "days": ["2026-01-01", "2026-01-02"], "loads": [0, 0.5],
            "loaded_processes_s": [[9]], "clock_step_s": 1e-9, "work": 5,
            "scaling": [{"work": 10, "processes_s": [[6]]}], "outputs_verified": true}]}"#;
        let read = read(text).unwrap().remove(0).unwrap();
        let second = &read.processes[1];
        assert_eq!((second.interval_s, second.processors_used), (Some(30.0), Some(2.0)));
        assert_eq!((second.boot.as_deref(), second.load), (Some("b"), Some(0.5)));
        assert_eq!(read.loaded[0].samples_s, [9.0]);
        assert_eq!(read.scaling[0], Scaled { work: 10.0, processes_s: vec![vec![6.0]] });
        assert_eq!((read.outputs, read.clock_step_s), (Outputs::Verified, Some(1e-9)));
    }
}
