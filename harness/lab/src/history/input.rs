//! Reads a series from JSON: a list of numbers, or a list of objects with `value` and `time`.

use super::{History, HistoryError, Options, analyse};
use serde::Deserialize;
use serde_json::{Number, Value};
use thiserror::Error;

/// A series as it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The values, in the order of time.
    pub values: Vec<f64>,
    /// The times as they were written; empty for a list of numbers.
    pub times: Vec<Value>,
    /// The points came in another order and were sorted by time.
    pub sorted: bool,
}

/// Why a text is no series.
#[derive(Debug, Error)]
pub enum InputError {
    /// Not JSON.
    #[error("not JSON (NaN and Infinity are not JSON either: leave out runs without a result)")]
    Json(#[from] serde_json::Error),
    /// JSON, but not a list.
    #[error("{found}, where a list of numbers or of objects with `value` and `time` is needed")]
    NotAList {
        /// What it is instead.
        found: &'static str,
    },
    /// A point is not what the first one is.
    #[error("point {index} is {text}: {wanted}")]
    Point {
        /// Its place, from zero.
        index: usize,
        /// What it is, shortened.
        text: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// Times that cannot be put in an order.
    #[error(
        "point {index} has the time {text}: times must be all numbers, or all texts of one form such as 2026-01-31T12:00:00Z"
    )]
    Time {
        /// Its place, from zero.
        index: usize,
        /// The time, shortened.
        text: String,
    },
}

impl Series {
    /// Finds its change points, and says when each was.
    ///
    /// # Errors
    /// See [`analyse`].
    pub fn analyse(&self, options: &Options) -> Result<History, HistoryError> {
        let mut history = analyse(&self.values, options)?;
        for change in &mut history.change_points {
            change.time = self.times.get(change.index).cloned();
        }
        Ok(history)
    }
}

#[derive(Deserialize)]
struct Timed {
    value: f64,
    #[serde(default)]
    time: Option<Value>,
}

/// Reads a series.
///
/// # Errors
/// [`InputError`] for anything that is not a list of finite numbers or of objects with such a `value` and a `time`.
pub fn parse(text: &str) -> Result<Series, InputError> {
    let items = match serde_json::from_str(text)? {
        Value::Array(items) => items,
        other => return Err(InputError::NotAList { found: kind(&other) }),
    };
    let timed = items.first().is_some_and(Value::is_object);
    let mut series = Series::default();
    for (index, item) in items.into_iter().enumerate() {
        let text = shorten(&item);
        let wrong = |wanted| InputError::Point { index, text, wanted };
        if timed {
            let wanted = "it must be an object with a finite number `value` and a `time`";
            let point = Timed::deserialize(item).map_err(|_| wrong(wanted))?;
            series.values.push(point.value);
            series.times.extend(point.time);
            if series.times.len() != index + 1 {
                let text = "no time".to_owned();
                return Err(InputError::Point { index, text, wanted });
            }
        } else {
            let wanted =
                "it must be a finite number, as the first one is; leave out runs without a result";
            series.values.push(item.as_f64().ok_or_else(|| wrong(wanted))?);
        }
    }
    sort(series)
}

/// Puts the points in the order of time. Points of one time stay in the order in which they came.
fn sort(mut series: Series) -> Result<Series, InputError> {
    let numeric = series.times.first().is_some_and(Value::is_number);
    for (index, time) in series.times.iter().enumerate() {
        if time.is_number() != numeric || !(time.is_number() || time.is_string()) {
            return Err(InputError::Time { index, text: shorten(time) });
        }
    }
    let key = |time: &Value| {
        (time.as_f64().unwrap_or_default(), time.as_str().unwrap_or_default().to_owned())
    };
    let points: Vec<_> = series.times.iter().map(key).zip(series.values.iter().copied()).collect();
    let ordered = points.is_sorted_by(|(a, _), (b, _)| compare(a, b).is_le());
    if !ordered {
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|&a, &b| compare(&points[a].0, &points[b].0));
        series.times = order.iter().map(|&i| series.times[i].clone()).collect();
        series.values = order.iter().map(|&i| points[i].1).collect();
        series.sorted = true;
    }
    Ok(series)
}

fn compare(a: &(f64, String), b: &(f64, String)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "it is null",
        Value::Bool(_) => "it is a truth value",
        Value::Number(_) => "it is one number",
        Value::String(_) => "it is a text",
        Value::Array(_) => "it is a list",
        Value::Object(_) => "it is an object",
    }
}

/// A value as it was written, at most forty characters of it.
fn shorten(value: &Value) -> String {
    match value {
        Value::Number(number) => Number::to_string(number),
        other => {
            let text = other.to_string();
            match text.char_indices().nth(40) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}
