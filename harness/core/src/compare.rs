//! Comparison of an output with its reference: the error that decides, and the rounded summary that is snapshotted.
//!
//! The error is the largest absolute difference divided by the largest magnitude of the reference, so that one
//! tolerance serves outputs of every scale.

use crate::fingerprint::digest;
use crate::record::OutputCheck;
use std::fmt::Write as _;

/// Steps per largest magnitude in which the digest of a summary counts.
const STEPS: f64 = 1000.0;

impl OutputCheck {
    /// Compares `found` with `reference`; both hold the elements of `shape`, row-major.
    ///
    /// A value that is not finite, or a different number of elements, is an error without a size.
    /// The summary describes the reference where `found` is within the tolerance, so that all devices that are
    /// right have the same summary; otherwise it describes what was found.
    pub fn compare(
        name: &str,
        shape: &[usize],
        found: &[f64],
        reference: &[f64],
        tolerance: f64,
    ) -> Self {
        let error = relative_error(found, reference);
        let right = error.is_some_and(|error| error <= tolerance / 2.0);
        let summary = summarise(if right { reference } else { found });
        Self { name: name.to_owned(), shape: shape.to_vec(), error, tolerance, summary }
    }
}

/// The largest error relative to the largest magnitude of the reference; nothing if it has no size.
fn relative_error(found: &[f64], reference: &[f64]) -> Option<f64> {
    if found.len() != reference.len() || reference.is_empty() {
        return None;
    }
    // Checked on its own: in a maximum, what is not a number is lost.
    if !found.iter().chain(reference).all(|v| v.is_finite()) {
        return None;
    }
    let largest = found.iter().zip(reference).map(|(f, r)| (f - r).abs()).fold(0.0, f64::max);
    let scale = max_abs(reference);
    let error = if scale == 0.0 { largest } else { largest / scale };
    error.is_finite().then_some(error)
}

fn max_abs(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |max, v| v.abs().max(max))
}

/// Mean, spread, range and first elements in three digits, and a digest of all elements in thousandths of the scale.
fn summarise(values: &[f64]) -> String {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = max_abs(values);
    // Digits below a thousandth of the scale are noise of the summation, also in a mean near zero.
    let round = |v: f64| format!("{:.2e}", (v / scale * STEPS).round() / STEPS * scale);
    let mut text = String::new();
    for (label, value) in [("mean", mean), ("std", deviation), ("min", min), ("max", max)] {
        let _ = write!(text, "{label} {} ", round(value));
    }
    let first: Vec<_> = values.iter().take(4).map(|&v| round(v)).collect();
    let mut steps = Vec::with_capacity(4 * values.len());
    #[expect(clippy::cast_possible_truncation, reason = "at most a thousand steps")]
    for value in values {
        steps.extend_from_slice(&((value / scale * STEPS).round() as i32).to_le_bytes());
    }
    let _ = write!(text, "first {}\ndigest {}", first.join(" "), &digest(steps)[..16]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[f64], reference: &[f64], passes: bool) {
        let check = OutputCheck::compare("y", &[reference.len()], found, reference, 1e-3);
        assert_eq!(check.passes(), passes, "{check:?}");
    }

    #[test]
    fn one_wrong_element_fails() {
        check(&[1.0, 2.0, 4.0], &[1.0, 2.0, 4.0], true);
        check(&[1.0, 2.0, 4.0039], &[1.0, 2.0, 4.0], true);
        check(&[1.0, 2.04, 4.0], &[1.0, 2.0, 4.0], false);
        check(&[1.0, f64::NAN, 4.0], &[1.0, 2.0, 4.0], false);
        check(&[f64::NAN, 2.0, 4.0], &[1.0, 2.0, 4.0], false);
        check(&[1.0, 2.0], &[1.0, 2.0, 4.0], false);
        check(&[], &[], false);
        check(&[0.0], &[0.0], true);
        check(&[0.1], &[0.0], false);
    }

    #[test]
    fn right_devices_share_a_summary_and_wrong_ones_do_not() {
        let summary =
            |found: &[f64]| OutputCheck::compare("y", &[3], found, &[1.0, 2.0, 4.0], 1e-3).summary;
        assert_eq!(summary(&[1.0, 2.0, 4.0]), summary(&[1.001, 2.0, 4.001]));
        assert_ne!(summary(&[1.0, 2.0, 4.0]), summary(&[1.0, 2.1, 4.0]));
    }
}
