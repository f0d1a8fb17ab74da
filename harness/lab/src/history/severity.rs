//! How much a change matters, from 0 to 1: its size, its certainty and its reach.

/// The relative size at which the size counts half.
const HALF_SIZE: f64 = 0.1;
/// The p at and below which certainty counts fully.
const SURE: f64 = 1e-6;
/// The number of points for which the new regime has lasted at which the reach counts half.
const HALF_REACH: f64 = 5.0;

/// The geometric mean of three numbers from 0 to 1, so that none makes up for the lack of another:
/// size = r ÷ (r + 0.1) for a change by the part r of the larger level (at most 1); certainty = log p ÷ log 10⁻⁶, at
/// most 1; reach = k ÷ (k + 5) for a new regime of k points so far.
/// Our own definition: no standard exists.
pub(super) fn severity(before: f64, after: f64, p: f64, lasted: usize) -> f64 {
    let larger = before.abs().max(after.abs());
    let relative = if larger > 0.0 { ((after - before).abs() / larger).min(1.0) } else { 0.0 };
    let size = relative / (relative + HALF_SIZE);
    let certainty = (p.max(1e-300).ln() / SURE.ln()).clamp(0.0, 1.0);
    let reach = lasted as f64 / (lasted as f64 + HALF_REACH);
    (size * certainty * reach).cbrt()
}
