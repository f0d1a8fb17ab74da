//! How much one sample says about the next: autocorrelation within processes, pooled over them.

use super::check::{Check, Part, Status};
use crate::figures::{percent, three_digits};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Dependence is significant at this level.
const ALPHA: f64 = 0.01;
/// It matters if less than this part of the samples is effective.
const WARN: f64 = 0.5;
/// Lags that are looked at.
const LAGS: usize = 10;
/// Fewer samples say nothing of their dependence.
const FEWEST: usize = 20;

/// `series`: samples of each process without unit, trend removed.
pub(super) fn check(series: &[Vec<f64>]) -> Check {
    let long: Vec<&Vec<f64>> = series.iter().filter(|samples| samples.len() >= FEWEST).collect();
    let part = Part::Autocorrelation;
    if long.is_empty() {
        return Check::unknown(part, format!("it takes {FEWEST} samples of a process"));
    }
    let lags = long.iter().map(|samples| samples.len() / 4).min().unwrap_or(0).min(LAGS);
    let each: Vec<Vec<f64>> = long.iter().filter_map(|s| autocorrelations(s, lags)).collect();
    if each.is_empty() {
        return Check::plain(part, Status::Pass, "the samples of a process are all equal");
    }
    let lengths = long.iter().map(|samples| samples.len() as f64);
    let statistic: f64 = each.iter().zip(lengths).map(|(rho, n)| ljung_box(rho, n)).sum();
    let freedom = (lags * each.len()) as f64;
    let p = ChiSquared::new(freedom).map_or(1.0, |chi| chi.sf(statistic));
    let mean = |lag: usize| each.iter().map(|rho| rho[lag]).sum::<f64>() / each.len() as f64;
    let pooled: Vec<f64> = (0..lags).map(mean).collect();
    let effective = effective_part(&pooled);
    let status = if p <= ALPHA && effective < WARN { Status::Warn } else { Status::Pass };
    let says = format!(
        "neighbours correlate by {}, so {} of the samples count",
        three_digits(pooled[0]),
        percent(effective)
    );
    Check::new(part, status, effective, WARN, says)
}

/// The sample autocorrelations at lags 1 to `lags`. Nothing if the samples are all equal.
fn autocorrelations(samples: &[f64], lags: usize) -> Option<Vec<f64>> {
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let product = |lag: usize| {
        samples.iter().zip(&samples[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>()
    };
    let variance = product(0);
    (variance > 0.0).then(|| (1..=lags).map(|lag| product(lag) / variance).collect())
}

/// Q of Ljung & Box, "On a measure of lack of fit in time series models", Biometrika 65 (1978), equation 1.2: of
/// independent samples its distribution is about chi-squared with as many degrees of freedom as there are lags.
fn ljung_box(rho: &[f64], n: f64) -> f64 {
    let terms = rho.iter().enumerate().map(|(i, r)| r * r / (n - (i + 1) as f64));
    n * (n + 2.0) * terms.sum::<f64>()
}

/// By how many independent samples the mean of all is worth one sample, as a part of them: 1 ÷ (1 + 2·Σρ), the sum
/// taken while sums of neighbouring pairs are positive.
/// Source: Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992), section 3.3.
fn effective_part(rho: &[f64]) -> f64 {
    let mut sum = 0.0;
    // Pairs begin at lag 0, whose autocorrelation is 1.
    let whole: Vec<f64> = std::iter::once(1.0).chain(rho.iter().copied()).collect();
    for pair in whole.chunks_exact(2) {
        let pair = pair[0] + pair[1];
        if pair <= 0.0 {
            break;
        }
        sum += pair;
    }
    (1.0 / (2.0 * sum - 1.0).max(1.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    fn autoregression(random: &mut Random, phi: f64) -> Vec<f64> {
        let mut last = random.normal();
        let step = |_| {
            last = phi * last + (1.0 - phi * phi).sqrt() * random.normal();
            last
        };
        (0..200).map(step).collect()
    }

    #[test]
    fn an_autoregression_has_its_effective_part() {
        // (1 − φ) ÷ (1 + φ), but for the lags that are not looked at.
        for (phi, expected) in [(0.0, 1.0), (0.5, 1.0 / 3.0), (0.7, 0.3 / 1.7)] {
            let mut random = Random::new(3);
            let series: Vec<_> = (0..20).map(|_| autoregression(&mut random, phi)).collect();
            let found = check(&series);
            let value = found.value.unwrap();
            assert!((value - expected).abs() < 0.15 * expected + 0.03, "{phi}: {found:?}");
            assert_eq!(found.status == Status::Warn, phi > 0.0, "{found:?}");
        }
    }

    #[test]
    fn independent_samples_exceed_the_level_as_often_as_it_says() {
        let mut random = Random::new(1);
        let exceeds = |_: &i32| {
            let samples = autoregression(&mut random, 0.0);
            let rho = autocorrelations(&samples, LAGS).unwrap();
            ChiSquared::new(LAGS as f64).unwrap().sf(ljung_box(&rho, 200.0)) <= 0.05
        };
        let share = (0..2000).filter(exceeds).count() as f64 / 2000.0;
        assert!((0.03..0.08).contains(&share), "{share}");
    }

    #[test]
    fn equal_samples_pass_and_few_are_unknown() {
        assert_eq!(check(&[vec![0.0; 30]]).status, Status::Pass);
        assert_eq!(check(&[vec![0.0; 19]]).status, Status::Unknown);
    }
}
