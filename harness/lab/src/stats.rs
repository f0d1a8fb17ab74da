//! Estimators over the samples of one case. Each names what it estimates and where that is defined.
//!
//! All are robust: a few samples that the machine disturbed do not move them.

use statrs::distribution::{Binomial, ContinuousCDF as _, DiscreteCDF as _, StudentsT};
use statrs::statistics::{Data, Median};

/// Makes the median absolute deviation estimate the standard deviation where samples are normal:
/// 1 / Φ⁻¹(3/4). Source: Rousseeuw & Croux, "Alternatives to the Median Absolute Deviation",
/// Journal of the American Statistical Association 88 (1993), section 1.
const CONSISTENCY: f64 = 1.482_602_218_505_602;

/// The sample median: the middle order statistic, or the mean of the two in the middle.
/// Source: statrs, `statistics::Median`. Nothing for no samples.
pub fn median(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| Data::new(samples.to_vec()).median())
}

/// The median absolute deviation from the median, times 1.4826: a robust estimate of the standard deviation,
/// in the unit of the samples. Nothing for no samples.
/// Source: Rousseeuw & Croux (1993), equation 1.2.
pub fn median_absolute_deviation(samples: &[f64]) -> Option<f64> {
    let middle = median(samples)?;
    let deviations: Vec<f64> = samples.iter().map(|sample| (sample - middle).abs()).collect();
    Some(CONSISTENCY * median(&deviations)?)
}

/// The median absolute deviation relative to the median, without a unit: 0.05 is a spread of five percent.
/// A robust coefficient of variation. Nothing where the median is zero, or so near to it that the quotient is no number,
/// or there are no samples.
/// Source: Arachchige, Prendergast & Staudte, "Robust analogs to the coefficient of variation",
/// Journal of Applied Statistics 49 (2022), `RCV_M`.
pub fn relative_noise(samples: &[f64]) -> Option<f64> {
    let middle = median(samples).filter(|&median| median > 0.0)?;
    Some(median_absolute_deviation(samples)? / middle).filter(|noise| noise.is_finite())
}

/// The quantile at `part` of one, between the two order statistics beside it; nothing for no samples.
/// Source: Hyndman & Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996), type 7.
pub fn quantile(samples: &[f64], part: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = part.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below]))
}

/// An interval that holds the median of what the samples are of, whatever its distribution, with a probability of at
/// least `level`: from the k-th smallest sample to the k-th largest, where k is the largest number for which
/// P(Binomial(n, 1/2) < k) is at most (1 − level) / 2. Nothing where the samples are too few for any.
/// Source: David & Nagaraja, "Order Statistics", third edition (2003), section 7.1.
pub fn median_interval(samples: &[f64], level: f64) -> Option<[f64; 2]> {
    let count = samples.len();
    let tosses = Binomial::new(0.5, count as u64).ok()?;
    let tail = (1.0 - level) / 2.0;
    let k = (1..=count / 2).take_while(|k| tosses.cdf(*k as u64 - 1) <= tail).last()?;
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some([sorted[k - 1], sorted[count - k]])
}

/// A straight line through points by least squares: its slope, and the interval of the slope at `level` by Student's t
/// with n − 2 degrees of freedom. Nothing for fewer than three points, or if all x are one.
/// Source: Draper & Smith, "Applied Regression Analysis", third edition (1998), sections 1.3 and 1.4.
pub fn slope(points: &[[f64; 2]], level: f64) -> Option<(f64, [f64; 2])> {
    let count = points.len() as f64;
    let mean = |axis: usize| points.iter().map(|point| point[axis]).sum::<f64>() / count;
    let (x, y) = (mean(0), mean(1));
    let spread: f64 = points.iter().map(|point| (point[0] - x).powi(2)).sum();
    if points.len() < 3 || spread <= 0.0 {
        return None;
    }
    let slope = points.iter().map(|[a, b]| (a - x) * (b - y)).sum::<f64>() / spread;
    let left: f64 = points.iter().map(|[a, b]| (b - y - slope * (a - x)).powi(2)).sum();
    let freedom = count - 2.0;
    let error = (left / freedom / spread).sqrt();
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(1.0 - (1.0 - level) / 2.0);
    Some((slope, [slope - t * error, slope + t * error]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_samples_beside_them() {
        check(quantile(&[4.0, 1.0, 2.0, 3.0], 0.5), 2.5);
        check(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95), 4.8);
        check(quantile(&[7.0], 0.95), 7.0);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_interval_of_a_median_is_that_of_the_tables() {
        let samples = |count: u32| (1..=count).map(f64::from).collect::<Vec<_>>();
        // Tables of the sign test at 95 %: none below six; from the first to the last of six; k is 2 of ten, 6 of 20.
        assert_eq!(median_interval(&samples(5), 0.95), None);
        assert_eq!(median_interval(&samples(6), 0.95), Some([1.0, 6.0]));
        assert_eq!(median_interval(&samples(10), 0.95), Some([2.0, 9.0]));
        assert_eq!(median_interval(&samples(20), 0.95), Some([6.0, 15.0]));
        assert_eq!(median_interval(&[], 0.95), None);
    }

    #[test]
    fn the_interval_of_a_median_holds_it_as_often_as_it_says() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut held = 0;
        for _ in 0..2000 {
            let samples: Vec<f64> = (0..15).map(|_| random.f64().powi(4)).collect();
            let [low, high] = median_interval(&samples, 0.95).unwrap();
            held += u32::from(low <= 0.0625 && 0.0625 <= high);
        }
        // 96.5 % of 2000, which is 1930, with a standard deviation of 8.
        assert!((1898..=1962).contains(&held), "{held}");
    }

    #[test]
    fn a_slope_has_the_interval_of_the_books() {
        // By hand: x mean 3, y mean 4; Sxx 10, Sxy 6; residual sum of squares 2.4; s² 0.8; error sqrt(0.08); t(3) 3.182.
        let points = [[1.0, 2.0], [2.0, 4.0], [3.0, 5.0], [4.0, 4.0], [5.0, 5.0]];
        let (found, [low, high]) = slope(&points, 0.95).unwrap();
        let half = 3.182_446_305 * 0.08_f64.sqrt();
        assert!((found - 0.6).abs() < 1e-12);
        assert!((low - (0.6 - half)).abs() < 1e-6 && (high - (0.6 + half)).abs() < 1e-6);
        assert_eq!(slope(&points[..2], 0.95), None);
        assert_eq!(slope(&[[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]], 0.95), None);
    }

    /// Compares within 1e-12, relative: the formulas are evaluated by hand in another order.
    #[track_caller]
    fn check(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} is not {expected}");
    }

    #[test]
    fn the_median_is_the_middle() {
        check(median(&[3.0, 1.0, 2.0]), 2.0);
        check(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_wild_sample_moves_nothing() {
        check(median_absolute_deviation(&[1.0, 2.0, 3.0, 4.0, 5.0]), 1.482_602_218_505_602);
        check(median_absolute_deviation(&[1.0, 2.0, 3.0, 4.0, 5e9]), 1.482_602_218_505_602);
        check(relative_noise(&[10.0, 11.0, 9.0, 10.0, 1e9]), 0.148_260_221_850_560_2);
    }

    #[test]
    fn noise_needs_a_size() {
        assert_eq!(relative_noise(&[]), None);
        assert_eq!(relative_noise(&[0.0, 0.0]), None);
        assert_eq!(relative_noise(&[7.0, 7.0]), Some(0.0));
    }

    #[test]
    fn the_constant_is_that_of_the_normal_distribution() {
        use statrs::distribution::{ContinuousCDF, Normal};
        let quartile = Normal::new(0.0, 1.0).unwrap().inverse_cdf(0.75);
        assert!((CONSISTENCY * quartile - 1.0).abs() < 1e-9);
    }
}
