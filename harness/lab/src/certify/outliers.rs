//! Samples that are far from all others of their process, by the adjusted boxplot, which knows that times are skewed.

use super::check::{Check, Part};
use crate::figures::percent;
use statrs::statistics::{Data, OrderStatistics};

/// More than this is told. The method takes 0.7 % of a normal sample for outliers (Hubert & Vandervieren, section 3).
const WARN: f64 = 0.05;
/// Fewer samples have no quartiles worth the name.
const FEWEST: usize = 10;

/// `series`: samples of each process without unit, trend removed.
pub(super) fn check(series: &[Vec<f64>]) -> Check {
    let (mut found, mut all) = (0, 0);
    for samples in series.iter().filter(|samples| samples.len() >= FEWEST) {
        let [low, high] = fences(samples);
        found += samples.iter().filter(|x| **x < low || **x > high).count();
        all += samples.len();
    }
    if all == 0 {
        return Check::unknown(Part::Outliers, format!("it takes {FEWEST} samples of a process"));
    }
    let share = found as f64 / all as f64;
    let says = format!("{found} of {all} samples ({}) are beyond the fences", percent(share));
    // Medians do not feel them: they are told, and fail nothing.
    Check::graded(Part::Outliers, share, [WARN, 1.0], says)
}

/// The fences of the adjusted boxplot.
/// Source: Hubert & Vandervieren, "An adjusted boxplot for skewed distributions", Computational Statistics & Data
/// Analysis 52 (2008), equations 5 and 6.
fn fences(samples: &[f64]) -> [f64; 2] {
    let mut data = Data::new(samples.to_vec());
    let (low, high) = (data.lower_quartile(), data.upper_quartile());
    let range = 1.5 * (high - low);
    let skew = medcouple(samples);
    let (left, right) = if skew >= 0.0 { (-4.0, 3.0) } else { (-3.0, 4.0) };
    [low - range * f64::exp(left * skew), high + range * f64::exp(right * skew)]
}

/// The medcouple, a robust measure of skewness between -1 and 1, from all pairs of a point below the median and one
/// above it. Points that equal the median are left out, which matters to nothing but tied data.
/// Source: Brys, Hubert & Struyf, "A robust measure of skewness", Journal of Computational and Graphical Statistics 13
/// (2004), equation 2.
fn medcouple(samples: &[f64]) -> f64 {
    let middle = Data::new(samples.to_vec()).percentile(50);
    let below: Vec<f64> = samples.iter().filter(|x| **x < middle).map(|x| middle - x).collect();
    let above: Vec<f64> = samples.iter().filter(|x| **x > middle).map(|x| x - middle).collect();
    let pairs = below.iter().flat_map(|b| above.iter().map(move |a| (a - b) / (a + b)));
    crate::stats::median(&pairs.collect::<Vec<_>>()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    /// Quantiles of the normal distribution: a sample without the chance.
    fn normal(count: usize) -> Vec<f64> {
        let normal = Normal::standard();
        (0..count).map(|i| normal.inverse_cdf((i as f64 + 0.5) / count as f64)).collect()
    }

    #[test]
    fn a_normal_sample_has_few() {
        let found = check(&[normal(1000)]);
        assert!(found.value.unwrap() < 0.01, "{found:?}");
        assert_eq!(found.status, Status::Pass);
    }

    #[test]
    fn skew_is_no_outlier() {
        let skewed: Vec<f64> = normal(1000).iter().map(|x| (0.8 * x).exp()).collect();
        let share = check(std::slice::from_ref(&skewed)).value.unwrap();
        let plain = {
            let mut data = Data::new(skewed.clone());
            let high =
                data.upper_quartile() + 1.5 * (data.upper_quartile() - data.lower_quartile());
            skewed.iter().filter(|x| **x > high).count() as f64 / 1000.0
        };
        assert!(share < 0.02 && plain > 0.05, "{share} {plain}");
    }

    #[test]
    fn wild_samples_are_found() {
        let mut samples = normal(90);
        samples.extend([50.0; 10]);
        let found = check(&[samples]);
        assert!((found.value.unwrap() - 0.1).abs() < 0.02, "{found:?}");
        assert_eq!(found.status, Status::Warn);
        assert_eq!(check(&[vec![1.0; 9]]).status, Status::Unknown);
    }

    #[test]
    fn the_medcouple_has_its_sign_and_bounds() {
        assert!(medcouple(&normal(101)).abs() < 1e-12);
        let right: Vec<f64> = normal(101).iter().map(|x| x.exp()).collect();
        let left: Vec<f64> = right.iter().map(|x| -x).collect();
        assert!((medcouple(&right) + medcouple(&left)).abs() < 1e-12);
        assert!(medcouple(&right) > 0.3 && medcouple(&right) < 1.0);
    }
}
