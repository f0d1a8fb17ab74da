//! What a design can find: the power at an effect, and the smallest effect that is found in four of five cases.
//!
//! Both are approximations from the width of the posterior of the difference, for planning; no verdict rests on them.

use super::density::Density;
use statrs::distribution::{ContinuousCDF, Normal};

/// The power at which an effect counts as detectable.
pub const DETECTED: f64 = 0.8;

/// The standard error of a difference that its posterior shows: half the width of the middle 68 %, in logarithms.
pub fn standard_error(difference: &Density) -> f64 {
    0.5 * (difference.quantile(0.841_345) - difference.quantile(0.158_655))
}

/// The probability of finding a relative effect with a two-sided test at a level, if the difference has this standard
/// error. Source: Cohen, "Statistical Power Analysis" (1988), section 2.2, for a normal statistic.
pub fn power(effect: f64, standard_error: f64, level: f64) -> f64 {
    let normal = Normal::standard();
    normal.cdf(effect.ln_1p().abs() / standard_error - normal.inverse_cdf(1.0 - level / 2.0))
}

/// The smallest relative effect, at least the minimal one, that is found with a probability of [`DETECTED`].
pub fn detectable_effect(standard_error: f64, level: f64, min_effect: f64) -> f64 {
    let normal = Normal::standard();
    let errors = normal.inverse_cdf(1.0 - level / 2.0) + normal.inverse_cdf(DETECTED);
    (errors * standard_error).exp_m1().max(min_effect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn textbook_values() {
        // A shift of 2.8 standard errors is found with a probability of 80 % at the level of 5 %.
        let power_at = power((0.028_f64).exp_m1(), 0.01, 0.05);
        assert!((power_at - 0.8).abs() < 0.005, "{power_at}");
        assert!((power(0.0, 0.01, 0.05) - 0.025).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn the_detectable_effect_has_the_stated_power(
            error in 1e-4..0.2_f64, level in 1e-4..0.1_f64,
        ) {
            let effect = detectable_effect(error, level, 0.0);
            prop_assert!((power(effect, error, level) - DETECTED).abs() < 1e-6);
        }
    }
}
