//! Estimators over the samples of one case. Each names what it estimates and where that is defined.
//!
//! All are robust: a few samples that the machine disturbed do not move them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
