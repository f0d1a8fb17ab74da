//! The cases of a replay: read from JSON, one fault never hiding another case.
//!
//! How a case is judged is in `judge`.

use super::level::Process;
use serde_json::Value;
use std::collections::HashMap;

/// A case to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it is called; where it has no name, its place in the list.
    pub id: String,
    /// Its processes, or why they cannot be judged and what to do.
    pub sides: Result<Sides, String>,
}

/// The processes of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Sides {
    /// Independent processes of the base.
    pub base: Vec<Process>,
    /// Independent processes of the head.
    pub head: Vec<Process>,
}

/// Why a whole file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is no JSON.
    #[error("it is not JSON ({0}); expected {FORMAT}")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another kind.
    #[error("it has no list `cases`; expected {FORMAT}")]
    Format,
    /// There is nothing in it.
    #[error("its list `cases` is empty: there is nothing to judge")]
    Empty,
}

const FORMAT: &str =
    r#"{"cases": [{"id": "…", "base": [[seconds, …], …], "head": [[seconds, …], …]}]}"#;

/// Reads the cases of a replay. A case with a fault is there, with what is wrong with it.
pub fn read(text: &str) -> Result<Vec<Case>, ReplayError> {
    let file: Value = serde_json::from_str(&without_nonfinite(text))?;
    let list = file.get("cases").and_then(Value::as_array).ok_or(ReplayError::Format)?;
    if list.is_empty() {
        return Err(ReplayError::Empty);
    }
    let mut cases: Vec<Case> = list.iter().enumerate().map(|(i, v)| case(i, v)).collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for case in &cases {
        *counts.entry(case.id.clone()).or_default() += 1;
    }
    for case in &mut cases {
        if let Some(count @ 2..) = counts.get(&case.id) {
            case.sides = Err(format!(
                "{count} cases have this id, and which is meant is unknown; give each its own"
            ));
        }
    }
    Ok(cases)
}

fn case(index: usize, value: &Value) -> Case {
    match value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => Case { id: id.to_owned(), sides: sides(value) },
        None => {
            let fault = "it has no id that is a text; give it one".to_owned();
            Case { id: format!("#{}", index + 1), sides: Err(fault) }
        }
    }
}

fn sides(value: &Value) -> Result<Sides, String> {
    Ok(Sides { base: side("base", value)?, head: side("head", value)? })
}

fn side(name: &str, value: &Value) -> Result<Vec<Process>, String> {
    let processes = value.get(name).and_then(Value::as_array);
    let processes = processes.ok_or_else(|| {
        format!("`{name}` is not a list of processes; expected [[seconds, …], …]")
    })?;
    let each = processes.iter().enumerate();
    each.map(|(index, samples)| process(name, index, samples)).collect()
}

fn process(name: &str, index: usize, samples: &Value) -> Result<Process, String> {
    let what = format!("process {} of `{name}`", index + 1);
    let list = samples
        .as_array()
        .ok_or_else(|| format!("{what} is not a list of seconds; expected one list per process"))?;
    if list.is_empty() {
        return Err(format!("{what} has no samples; leave the process out or measure it again"));
    }
    let mut samples_s = Vec::with_capacity(list.len());
    for (position, value) in list.iter().enumerate() {
        let seconds = value.as_f64().filter(|s| s.is_finite() && *s > 0.0);
        samples_s.push(seconds.ok_or_else(|| {
            let shown =
                if value.is_null() { "not a finite number".into() } else { value.to_string() };
            let place = position + 1;
            format!("sample {place} of {what} is {shown}; a duration is positive and finite")
        })?);
    }
    Process::new(&samples_s).ok_or_else(|| format!("{what} cannot be summarised"))
}

/// JSON has no NaN and no infinities, but some writers write them. They become null, which is then a fault of the
/// case and not of the file.
pub(crate) fn without_nonfinite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(first) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|w| rest.starts_with(w));
        let taken = match (quoted, first, word) {
            (false, _, Some(word)) => {
                out.push_str("null");
                word.len()
            }
            (true, '\\', _) => {
                let escape = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
                out.push_str(&rest[..escape]);
                escape
            }
            _ => {
                quoted ^= first == '"';
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one case and gives its fault.
    #[track_caller]
    fn check(case: &str, expected: &str) {
        let cases = read(&format!(r#"{{"cases": [{case}, {GOOD}]}}"#)).unwrap();
        let fault = cases[0].sides.as_ref().unwrap_err();
        assert!(fault.contains(expected), "{fault}");
        assert!(cases.last().unwrap().sides.is_ok(), "one fault hides another case");
    }

    const GOOD: &str = r#"{"id": "good", "base": [[1.0], [2.0, 3.0]], "head": [[1.0]]}"#;

    #[test]
    fn each_fault_names_its_place() {
        let with = |base: &str| format!(r#"{{"id": "x", "base": {base}, "head": [[1.0]]}}"#);
        check(&with("[[1.0, NaN]]"), "sample 2 of process 1 of `base` is not a finite number");
        check(&with("[[1.0], [-Infinity]]"), "sample 1 of process 2 of `base`");
        check(&with("[[0.0]]"), "is 0.0; a duration is positive");
        check(&with("[[-1]]"), "is -1; a duration is positive");
        check(&with("[[1e999]]").replace("1e999", "\"1\""), "is \"1\"");
        check(&with("[[]]"), "process 1 of `base` has no samples");
        check(&with("[1.0]"), "is not a list of seconds");
        check(&with("3"), "`base` is not a list of processes");
        check(r#"{"id": "x", "base": [[1.0]]}"#, "`head` is not a list");
        check(r#"{"base": [[1.0]], "head": [[1.0]]}"#, "no id");
        check("7", "no id");
        check(&format!("{0}, {0}", with("[[1.0]]")), "2 cases have this id");
    }

    #[test]
    fn a_file_that_says_nothing_is_an_error() {
        for (text, expected) in [
            ("", "not JSON"),
            ("{\"cases\": [", "not JSON"),
            ("[]", "no list `cases`"),
            ("{\"cases\": 3}", "no list `cases`"),
            ("{\"cases\": []}", "nothing to judge"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn names_are_not_numbers() {
        let text = r#"{"cases": [{"id": "a \"NaN\\", "base": [[NaN]], "head": []}]}"#;
        assert_eq!(read(text).unwrap()[0].id, "a \"NaN\\");
    }
}
