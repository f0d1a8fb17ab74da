//! How far neighbours depend on each other: white noise plus a first-order autoregression, from the variogram.
//!
//! Differences over a few points know nothing of the levels, except where they cross a step. Their variances at
//! lags 1, 2, … rise as γ(0) − γ(k), and a first-order autoregression under white noise has γ(k) = B·φᵏ. Source of the
//! approach: Romano, Rigaill, Runge & Fearnhead, "Detecting abrupt changes in the presence of local fluctuations and
//! autocorrelated noise", Journal of the American Statistical Association 117 (2022), section 5.2.

use super::clean::Cleaned;
use super::fit::{Segment, Sums};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// The largest lag.
const LAGS: usize = 12;
/// Largest autocorrelation that is told from a random walk.
const MOST: f64 = 0.98;
/// The part of differences that is left out at first, because it may cross steps.
const CROSSING: f64 = 0.1;
/// What a change costs in the criterion, in units of log n, for its place, its level and the search. Three is the order
/// of Zhang & Siegmund, "A modified Bayes information criterion", Biometrics 63 (2007); four was best on generated series
/// (`docs/history.md`), since correlated noise without steps is the commoner case.
const CHANGE_COST: f64 = 4.0;
/// The order of the autoregression in the criterion.
const ORDER: usize = 3;

/// The noise of a cleaned series, in its units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    /// γ(0): the variance of a point of scale 1.
    pub(super) variance: f64,
    /// B ÷ γ(0): the part that is autocorrelated.
    pub(super) share: f64,
    /// φ.
    pub(super) phi: f64,
}

impl Noise {
    /// By how much the variance of the mean of `count` points exceeds that of independent ones.
    /// Source: the variance of a mean under γ(k) = B·φᵏ, summed.
    pub(super) fn inflation(&self, count: f64) -> f64 {
        let (phi, share) = (self.phi, self.share);
        if phi <= 0.0 || share <= 0.0 {
            return 1.0;
        }
        let far = (1.0 + phi) / (1.0 - phi);
        let near = 2.0 * phi * (1.0 - phi.powf(count)) / (count * (1.0 - phi).powi(2));
        1.0 - share + share * (far - near).max(1.0)
    }
}

/// A guess before any level is known: a first-order autoregression with this coefficient, whose variance is that of the
/// smaller half of the differences of neighbours.
pub(super) fn assumed(cleaned: &Cleaned, phi: f64) -> Noise {
    let residuals = residuals(cleaned, &[everything(cleaned)]);
    let variance = half_variance(&residuals, 1, 0.5).map_or(1.0, |(v, _)| v.max(1e-12));
    Noise { variance: variance / (1.0 - phi), share: if phi > 0.0 { 1.0 } else { 0.0 }, phi }
}

/// A guess before any level is known: differences of the series itself, without the larger half.
pub(super) fn robust(cleaned: &Cleaned) -> Noise {
    estimate(&residuals(cleaned, &[everything(cleaned)]), 0.5, cleaned.y.len())
}

/// A guess before any level is known: differences of the series itself, without the largest tenth.
pub(super) fn first(cleaned: &Cleaned) -> Noise {
    estimate(&residuals(cleaned, &[everything(cleaned)]), CROSSING, cleaned.y.len())
}

fn everything(cleaned: &Cleaned) -> Segment {
    Segment::level(0..cleaned.y.len())
}

/// Once levels are known: differences of residuals within segments.
pub(super) fn within(cleaned: &Cleaned, segments: &[Segment]) -> Noise {
    let residuals = residuals(cleaned, segments);
    estimate(&residuals, 0.0, cleaned.y.len())
}

/// Residuals in local scales, one list per segment; nothing where a spike is.
fn residuals(cleaned: &Cleaned, segments: &[Segment]) -> Vec<Vec<Option<f64>>> {
    let sums = Sums::new(cleaned);
    let of = |segment: &Segment| {
        let fit = sums.fit(segment);
        let residual = |i: usize| (cleaned.y[i] - fit.at(i as f64)) / cleaned.scale[i];
        let at = |i: usize| (!cleaned.spike[i]).then(|| residual(i));
        segment.range.clone().map(at).collect()
    };
    segments.iter().map(of).collect()
}

fn estimate(residuals: &[Vec<Option<f64>>], trim: f64, n: usize) -> Noise {
    let lags = (n / 8).clamp(2, LAGS);
    let found: Vec<(f64, f64)> =
        (1..=lags).filter_map(|lag| half_variance(residuals, lag, trim)).collect();
    let Some(&(nearest, _)) = found.first() else {
        return Noise { variance: 1.0, share: 0.0, phi: 0.0 };
    };
    let plain = mean(&found);
    let white = Noise { variance: plain.max(1e-12), share: 0.0, phi: 0.0 };
    // The first autocorrelation must exceed what independent noise of this length shows, one in twenty times.
    let first_correlation = 1.0 - nearest / plain.max(1e-12);
    if first_correlation < 1.645 / (n as f64).sqrt() {
        return white;
    }
    best(&found).unwrap_or(white)
}

/// What the mean square of standard normal data is without its largest part.
fn trimmed(part: f64) -> f64 {
    let normal = Normal::standard();
    let edge = normal.inverse_cdf(1.0 - part / 2.0);
    1.0 - 2.0 * edge * normal.pdf(edge) / (1.0 - part)
}

/// n·log(variance of what the past does not predict) + the cost of the changes; less is better.
/// The variance is that of an autoregression, by the recursion of Levinson and Durbin (Brockwell & Davis, "Time
/// series: theory and methods", 1991, section 5.2).
pub(super) fn criterion(cleaned: &Cleaned, segments: &[Segment]) -> f64 {
    let residuals: Vec<Option<f64>> = residuals(cleaned, segments).concat();
    let n = residuals.len() as f64;
    let covariance = |lag: usize| {
        let pairs = residuals.iter().zip(residuals.iter().skip(lag));
        pairs.filter_map(|(a, b)| Some(a.as_ref()? * b.as_ref()?)).sum::<f64>() / n
    };
    let covariances: Vec<f64> = (0..=ORDER).map(covariance).collect();
    let unexplained = innovation(&covariances).max(1e-12);
    let slopes = segments.iter().filter(|s| s.is_ramp()).count();
    let cost = CHANGE_COST * (segments.len() - 1) as f64 + slopes as f64;
    n * unexplained.ln() + cost * n.ln()
}

fn innovation(covariances: &[f64]) -> f64 {
    let mut variance = covariances[0];
    let mut coefficients: Vec<f64> = Vec::new();
    for order in 1..covariances.len() {
        if variance <= 1e-12 {
            break;
        }
        let known: f64 =
            coefficients.iter().enumerate().map(|(i, c)| c * covariances[order - 1 - i]).sum();
        let reflection = (covariances[order] - known) / variance;
        let mirrored: Vec<f64> = coefficients.iter().rev().copied().collect();
        coefficients.iter_mut().zip(mirrored).for_each(|(c, m)| *c -= reflection * m);
        coefficients.push(reflection);
        variance *= 1.0 - reflection * reflection;
    }
    variance
}

fn mean(found: &[(f64, f64)]) -> f64 {
    let weight: f64 = found.iter().map(|(_, w)| w).sum();
    found.iter().map(|(v, w)| v * w).sum::<f64>() / weight
}

/// Half the mean square difference at a lag, and the number of differences.
fn half_variance(residuals: &[Vec<Option<f64>>], lag: usize, trim: f64) -> Option<(f64, f64)> {
    let mut squares: Vec<f64> = Vec::new();
    for part in residuals {
        let pairs = part.iter().zip(part.iter().skip(lag));
        squares.extend(pairs.filter_map(|(a, b)| Some((a.as_ref()? - b.as_ref()?).powi(2))));
    }
    if squares.len() < 5 {
        return None;
    }
    let mut consistency = 1.0;
    if trim > 0.0 {
        squares.sort_unstable_by(f64::total_cmp);
        squares.truncate(((squares.len() as f64) * (1.0 - trim)).ceil() as usize);
        consistency = trimmed(trim);
    }
    let count = squares.len() as f64;
    Some((squares.iter().sum::<f64>() / count / 2.0 / consistency, count))
}

/// Weighted least squares of v(k) = A − B·φᵏ, over a grid of φ, with 0 ≤ B ≤ A.
fn best(found: &[(f64, f64)]) -> Option<Noise> {
    let mut least = f64::INFINITY;
    let mut noise = None;
    let steps = 49;
    for step in 1..=steps {
        let phi = MOST * f64::from(step) / f64::from(steps);
        let terms = || {
            found.iter().enumerate().map(move |(i, &(v, w))| {
                // Longer lags know less of each other and more of the levels.
                (phi.powi(i as i32 + 1), v, w / (i + 1) as f64)
            })
        };
        let sum = |f: &dyn Fn(f64, f64) -> f64| terms().map(|(p, v, w)| w * f(p, v)).sum::<f64>();
        let (w, wp, wv) = (sum(&|_, _| 1.0), sum(&|p, _| p), sum(&|_, v| v));
        let (wpp, wpv) = (sum(&|p, _| p * p), sum(&|p, v| p * v));
        let determinant = w * wpp - wp * wp;
        if determinant <= 1e-12 * w * wpp {
            continue;
        }
        let slope = (w * wpv - wp * wv) / determinant;
        let b = (-slope).max(0.0);
        let a = ((wv + b * wp) / w).max(b);
        let error = sum(&|p, v| (v - a + b * p).powi(2));
        if error < least && a > 0.0 {
            least = error;
            noise = Some(Noise { variance: a, share: b / a, phi });
        }
    }
    noise
}
