//! The level of a process: what its samples say about how fast the code is, in two ways, on the logarithmic scale.
//!
//! Two estimators are used side by side, because either can be misled: the median by a process that spends half its
//! time in a slow state, the low quantile by a few lucky samples. The spread within a process is kept too: it tells
//! how far processes are likely to lie apart (`prior`).

use statrs::statistics::{Data, OrderStatistics};

use crate::stats::{median, median_absolute_deviation};

/// How many estimators of the level there are.
pub const ESTIMATORS: usize = 2;
/// Which quantile estimates the fast state of a process. Not the minimum, which falls as samples are added.
const FAST: f64 = 0.05;
/// Below so many samples the spread within a process is not known well enough to be of use.
pub const MIN_SAMPLES_FOR_SPREAD: usize = 8;

/// What is kept of one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// Logarithms of the level in seconds: the median, and the 5 % quantile (statrs, type 8 of Hyndman & Fan,
    /// "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996)).
    pub levels: [f64; ESTIMATORS],
    /// Scaled median absolute deviation of the logarithms of the samples, without a unit; nothing for fewer than
    /// [`MIN_SAMPLES_FOR_SPREAD`] samples.
    pub spread: Option<f64>,
}

impl Process {
    /// Summarises the samples of one process, in seconds. Nothing if there are none, or one is not positive and finite.
    pub fn new(samples_s: &[f64]) -> Option<Self> {
        if !samples_s.iter().all(|s| s.is_finite() && *s > 0.0) {
            return None;
        }
        let logs: Vec<f64> = samples_s.iter().map(|s| s.ln()).collect();
        let middle = median(&logs)?;
        let fast = Data::new(logs.clone()).quantile(FAST);
        let known = logs.len() >= MIN_SAMPLES_FOR_SPREAD;
        let spread = median_absolute_deviation(&logs).filter(|_| known);
        Some(Self { levels: [middle, fast], spread })
    }
}

/// The spread within a process that is typical of these: the median over all that know it.
pub fn typical_spread<'a>(processes: impl IntoIterator<Item = &'a Process>) -> Option<f64> {
    let spreads: Vec<f64> = processes.into_iter().filter_map(|process| process.spread).collect();
    median(&spreads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wild_sample_moves_no_level() {
        let mut samples = vec![0.010; 99];
        let calm = Process::new(&samples).unwrap();
        samples.push(7.0);
        let disturbed = Process::new(&samples).unwrap();
        for (a, b) in calm.levels.iter().zip(disturbed.levels) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in [vec![], vec![0.0], vec![1.0, -1.0], vec![f64::NAN], vec![f64::INFINITY]] {
            assert_eq!(Process::new(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn few_samples_do_not_tell_their_spread() {
        assert_eq!(Process::new(&[1.0; 7]).unwrap().spread, None);
        assert_eq!(Process::new(&[1.0; 8]).unwrap().spread, Some(0.0));
    }

    proptest! {
        /// A change of the unit or of the speed shifts the levels and leaves the spread.
        #[test]
        fn levels_are_equivariant(
            samples in prop::collection::vec(1e-6..1e-3_f64, 8..40),
            factor in 0.01..100.0_f64,
        ) {
            let plain = Process::new(&samples).unwrap();
            let scaled: Vec<f64> = samples.iter().map(|s| s * factor).collect();
            let scaled = Process::new(&scaled).unwrap();
            for (a, b) in plain.levels.iter().zip(scaled.levels) {
                prop_assert!((a + factor.ln() - b).abs() < 1e-9);
            }
            prop_assert!((plain.spread.unwrap() - scaled.spread.unwrap()).abs() < 1e-9);
        }
    }
}
