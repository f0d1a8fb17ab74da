//! Change points, drifts and spikes of a series of results over time. Pure: where the series comes from is the
//! caller's business, how it is read from a file is `input`, how it is shown is `report::history`.
//!
//! The steps, each a file below: `clean` tells spikes from levels and estimates the scale of the noise along the
//! series; `noise` estimates how far neighbours depend on each other; `segment` finds the best division into levels and
//! slopes; `validate` keeps of it what is significant and relevant; `severity` weighs what is left.

mod clean;
mod fit;
pub mod input;
mod noise;
mod segment;
mod severity;
mod validate;

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use validate::Kept;

/// Series shorter than this have no change points: nothing could be told from noise.
pub const SHORTEST: usize = 6;

/// What is taken for a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// A change is significant if its p is at most this: the probability that noise alone would show as strong a
    /// change anywhere in a series of this length.
    pub alpha: f64,
    /// A change is relevant if it is at least so many standard deviations of the noise.
    pub min_effect: f64,
    /// Price of a boundary, in units of log n: more gives fewer candidates.
    pub penalty: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { alpha: 0.01, min_effect: 0.5, penalty: 4.0 }
    }
}

/// Why a series cannot be analysed.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum HistoryError {
    /// A value is not a number or infinite.
    #[error("point {index} of the series is {value}: leave out runs without a result")]
    NotFinite {
        /// Its place, from zero.
        index: usize,
        /// The value.
        value: f64,
    },
    /// An option is out of its range.
    #[error("{name} is {value}: it must be {range}")]
    Option {
        /// The name of the option.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
}

/// What was found in a series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// How many points it has.
    pub points: usize,
    /// Steps from one lasting level to another, in order.
    pub change_points: Vec<ChangePoint>,
    /// Slow slopes, in order.
    pub drifts: Vec<Drift>,
    /// Single outliers and short bursts, in order.
    pub spikes: Vec<Spike>,
    /// The noise around the levels.
    pub noise: Noise,
}

/// A step from one lasting level to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangePoint {
    /// The first point of the new regime, from zero.
    pub index: usize,
    /// When that point was measured, as it was given; nothing for a series without times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Value>,
    /// The level just before, in the unit of the series.
    pub before: f64,
    /// The level just after, in the unit of the series.
    pub after: f64,
    /// (after − before) ÷ |before|; nothing if `before` is zero.
    pub relative: Option<f64>,
    /// The probability that noise alone would show as strong a change anywhere in a series of this length.
    pub p: f64,
    /// From 0 to 1; see [`severity`](fn@severity::severity).
    pub severity: f64,
}

/// A slow slope that is no step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Its first point, from zero.
    pub start: usize,
    /// The point after its last one.
    pub end: usize,
    /// The fitted value at its first point, in the unit of the series.
    pub before: f64,
    /// The fitted value at its last point, in the unit of the series.
    pub after: f64,
    /// Units of the series per point.
    pub slope: f64,
    /// Of the test that the slope is zero, two-sided, by Student's t.
    pub p: f64,
}

/// A single outlier or a short burst, after which the level was what it had been.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spike {
    /// Its first point, from zero.
    pub index: usize,
    /// How many points it has.
    pub length: usize,
    /// Its most distant value, in the unit of the series.
    pub value: f64,
    /// The level around it, in the unit of the series.
    pub level: f64,
}

/// The noise around the levels of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Noise {
    /// Standard deviation without spikes, in the unit of the series: the median along the series.
    pub deviation: f64,
    /// Autocorrelation of neighbours.
    pub correlation: f64,
    /// By how much autocorrelation inflates the variance of the mean of many points; 1 without any.
    pub inflation: f64,
}

/// Finds the change points, drifts and spikes of a series.
///
/// Steps, drifts and spikes do not depend on the unit: scaling or shifting the values scales or shifts the levels and
/// changes nothing else but severity, which knows relative size.
///
/// # Errors
/// [`HistoryError`] if a value is not finite or an option is out of its range.
pub fn analyse(values: &[f64], options: &Options) -> Result<History, HistoryError> {
    check(values, options)?;
    let Some(cleaned) = clean::clean(values) else { return Ok(nothing(values)) };
    let assumed = ASSUMED.map(|phi| noise::assumed(&cleaned, phi));
    let starts = assumed.into_iter().chain([noise::robust(&cleaned), noise::first(&cleaned)]);
    let explanations = starts.map(|noise| explain(&cleaned, noise, options));
    let best = explanations.min_by(|a, b| a.1.total_cmp(&b.1));
    Ok(best.map_or_else(|| nothing(values), |(kept, _)| kept.describe(values, &cleaned)))
}

/// Levels and noise that explain each other, from a first guess of the noise, and what the explanation costs.
///
/// Correlated noise without steps and independent noise with many steps look alike; which it is decides the
/// information criterion of [`noise::criterion`] between the explanations that different guesses lead to.
fn explain(cleaned: &clean::Cleaned, mut noise: noise::Noise, options: &Options) -> (Kept, f64) {
    let mut segments = segment::segment(cleaned, &noise, options);
    for _ in 0..ROUNDS {
        noise = noise::within(cleaned, &segments);
        let again = segment::segment(cleaned, &noise, options);
        let settled = again == segments;
        segments = again;
        if settled {
            break;
        }
    }
    let kept = validate::validate(cleaned, &noise, segments, options);
    let criterion = noise::criterion(cleaned, kept.segments());
    (kept, criterion)
}

/// Autocorrelations that are tried as first guesses.
const ASSUMED: [f64; 2] = [0.0, 0.6];
/// How often noise and levels are estimated from each other at most.
const ROUNDS: usize = 4;

fn check(values: &[f64], options: &Options) -> Result<(), HistoryError> {
    let wrong = |name, value, range| Err(HistoryError::Option { name, value, range });
    if !(options.alpha > 0.0 && options.alpha < 1.0) {
        return wrong("alpha", options.alpha, "between 0 and 1");
    }
    if !(options.min_effect >= 0.0 && options.min_effect.is_finite()) {
        return wrong("min_effect", options.min_effect, "finite and not negative");
    }
    if !(options.penalty > 0.0 && options.penalty.is_finite()) {
        return wrong("penalty", options.penalty, "finite and positive");
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(HistoryError::NotFinite { index, value: values[index] }),
        None => Ok(()),
    }
}

/// What there is to say of a series that is too short or does not move at all.
fn nothing(values: &[f64]) -> History {
    let noise = Noise { deviation: 0.0, correlation: 0.0, inflation: 1.0 };
    let (change_points, drifts, spikes) = (Vec::new(), Vec::new(), Vec::new());
    History { points: values.len(), change_points, drifts, spikes, noise }
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
