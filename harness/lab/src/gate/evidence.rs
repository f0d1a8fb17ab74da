//! The evidence of a case: how much more likely its processes are if the head is slower, or faster, than if nothing
//! relevant changed, over all scales of the noise and both estimators of the level.
//!
//! What a process is comes from `level`, the hypotheses and the prior of the noise from `prior`, the integrals from
//! `posterior`. The constants are in [`FITTED`]; `examples/calibrate_gate.rs` fits them and says how well they do.

use super::density::Density;
use super::level::{ESTIMATORS, Process, typical_spread};
use super::posterior::{self, Component};
use super::prior::{Hypotheses, NoisePrior};

/// Scales of the noise less likely than this are left out.
const LEAST_WEIGHT: f64 = 1e-7;

/// The share of comparisons of equal code that reach [`Model::threshold`] in one direction.
pub const THRESHOLD_P: f64 = 0.005;

/// The constants of the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// Degrees of freedom of the levels of processes about the level of their group.
    pub freedom: f64,
    /// What is known beforehand of the noise, for each estimator of the level.
    pub noise: [NoisePrior; ESTIMATORS],
    /// The evidence that [`THRESHOLD_P`] of comparisons of equal code reach.
    pub threshold: f64,
    /// How the logarithm of p falls with the evidence below the threshold.
    pub steepness: f64,
}

/// Fitted by `cargo run -p proofmark-lab --example calibrate_gate` to 39 Java benchmarks of ten processes each.
pub const FITTED: Model = Model {
    freedom: 1.5,
    noise: [
        NoisePrior { at_one_percent: -4.42, slope: 0.60, deviation: 1.18 },
        NoisePrior { at_one_percent: -4.48, slope: 0.63, deviation: 1.25 },
    ],
    threshold: 2.20,
    steepness: 1.27,
};

impl Model {
    /// The two-sided p of evidence: how often equal code shows as much, in either direction.
    ///
    /// Calibrated at the threshold. Beyond it p falls as the reciprocal of the Bayes factor, which no Bayes factor
    /// exceeds more often (Markov's inequality; Vovk & Wang, "E-values", Annals of Statistics 49 (2021)).
    pub fn p_value(&self, evidence: f64) -> f64 {
        let beyond = evidence - self.threshold;
        let fall = if beyond > 0.0 { beyond } else { self.steepness * beyond };
        (2.0 * THRESHOLD_P * (-fall).exp()).min(1.0)
    }
}

/// The integrals of a case for one estimator of the level and one scale of the noise.
#[derive(Clone, Copy, Debug)]
pub struct Integrals {
    /// Nothing relevant changed, the head is slower, the head is faster: [`Hypotheses::likelihoods`].
    pub likelihoods: [f64; 3],
    /// Posterior probabilities that the difference is above the minimal effect, below its reverse, and above zero.
    pub masses: [f64; 3],
}

impl Integrals {
    /// Of a posterior of the difference, in logarithms of a ratio.
    pub fn new(difference: &Density, hypotheses: &Hypotheses) -> Self {
        let null = hypotheses.null();
        let masses = [
            difference.mass_between(null, f64::INFINITY),
            difference.mass_below(-null),
            difference.mass_between(0.0, f64::INFINITY),
        ];
        Self { likelihoods: hypotheses.likelihoods(difference), masses }
    }
}

/// What a decision is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weighed {
    /// The logarithm of the Bayes factor of a slower head; the mean over the estimators of the level.
    pub slower: f64,
    /// The same of a faster head.
    pub faster: f64,
    /// The posterior probabilities of [`Integrals::masses`], averaged over the estimators of the level.
    pub masses: [f64; 3],
}

/// Sums over scales and averages over estimators of the level. Each estimator has its scales: a weight and integrals.
pub fn weigh<'a, S>(estimators: impl IntoIterator<Item = S>) -> Weighed
where
    S: IntoIterator<Item = (f64, &'a Integrals)>,
{
    let mut sum = Weighed::default();
    let share = 1.0 / ESTIMATORS as f64;
    for scales in estimators {
        let (mut likelihoods, mut masses) = ([0.0; 3], [0.0; 3]);
        for (weight, integrals) in scales {
            for index in 0..3 {
                likelihoods[index] += weight * integrals.likelihoods[index];
                masses[index] += weight * integrals.masses[index];
            }
        }
        let [same, slower, faster] = likelihoods.map(|l: f64| l.max(f64::MIN_POSITIVE).ln());
        sum.slower += share * (slower - same);
        sum.faster += share * (faster - same);
        for (total, mass) in sum.masses.iter_mut().zip(masses) {
            *total += share * mass;
        }
    }
    sum
}

/// Everything that is known of a case.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// For and against a change.
    pub weighed: Weighed,
    /// The posterior of the difference, in logarithms of head / base, pooled over scales and estimators.
    pub difference: Density,
    /// The scale of the noise between processes, relative: the geometric mean over its posterior.
    pub noise: f64,
}

/// Weighs a case. Both sides need a process at least.
pub fn evidence(
    base: &[Process],
    head: &[Process],
    hypotheses: &Hypotheses,
    model: &Model,
) -> Evidence {
    let spread = typical_spread(base.iter().chain(head));
    let estimators: Vec<Vec<Component>> = (0..ESTIMATORS)
        .map(|estimator| {
            let levels = |side: &[Process]| -> Vec<f64> {
                side.iter().map(|process| process.levels[estimator]).collect()
            };
            let prior = |log_scale: f64| model.noise[estimator].log_density(log_scale, spread);
            let (base, head) = (levels(base), levels(head));
            posterior::components(&base, &head, model.freedom, prior, LEAST_WEIGHT)
        })
        .collect();
    let integrals: Vec<Vec<(f64, Integrals)>> = estimators
        .iter()
        .map(|scales| {
            let of = |c: &Component| (c.weight, Integrals::new(&c.difference, hypotheses));
            scales.iter().map(of).collect()
        })
        .collect();
    let weighed = weigh(integrals.iter().map(|scales| scales.iter().map(|(w, i)| (*w, i))));
    let all = estimators.iter().flatten();
    let share = 1.0 / ESTIMATORS as f64;
    let difference = Density::mix(all.clone().map(|c| (share * c.weight, &c.difference)));
    let logs: Vec<f64> = posterior::log_scales().collect();
    let noise = all.map(|c| share * c.weight * logs[c.index]).sum::<f64>().exp();
    Evidence { weighed, difference, noise }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(levels: &[f64]) -> Vec<Process> {
        let process =
            |level: &f64| Process { levels: [level.ln(), level.ln()], spread: Some(0.005) };
        levels.iter().map(process).collect()
    }

    #[track_caller]
    fn weighed(base: &[f64], head: &[f64]) -> Evidence {
        evidence(&side(base), &side(head), &Hypotheses::new(0.01), &FITTED)
    }

    #[test]
    fn the_same_is_no_evidence() {
        let quiet = [1.0, 1.001, 0.999, 1.0005, 1.0];
        let found = weighed(&quiet, &quiet);
        assert!(found.weighed.slower < -2.0 && found.weighed.faster < -2.0, "{found:?}");
        assert!((found.weighed.masses[2] - 0.5).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn exchanging_base_and_head_exchanges_the_evidence() {
        let (a, b) = ([1.0, 1.02, 0.99, 1.01], [1.05, 1.08, 1.04, 1.05, 1.2]);
        let (there, back) = (weighed(&a, &b).weighed, weighed(&b, &a).weighed);
        assert!((there.slower - back.faster).abs() < 1e-2, "{there:?} {back:?}");
        assert!((there.faster - back.slower).abs() < 1e-2, "{there:?} {back:?}");
    }

    #[test]
    fn an_outlier_does_not_hide_a_change() {
        let base = [1.0, 1.001, 0.999, 1.0005, 1.4];
        let head = base.map(|level| level * 1.05);
        assert!(weighed(&base, &head).weighed.slower > 3.0);
        assert!(weighed(&base, &base).weighed.slower < 0.0);
    }

    #[test]
    fn larger_changes_are_more_evident_and_none_is_too_large() {
        let base = [1.0, 1.001, 0.999, 1.0005, 1.0];
        let mut last = 2.5_f64;
        for factor in [1.05, 1.3, 3.0, 100.0] {
            let found = weighed(&base, &base.map(|level| level * factor)).weighed.slower;
            assert!(found > last.min(8.0), "{factor}: {found} after {last}");
            last = found;
        }
    }

    #[test]
    fn p_falls_with_the_evidence() {
        let at = |evidence| FITTED.p_value(evidence);
        assert!((at(FITTED.threshold) - 2.0 * THRESHOLD_P).abs() < 1e-12);
        assert_eq!(at(-50.0), 1.0);
        assert!(at(3.0) > at(4.0) && at(4.0) > at(40.0) && at(40.0) > 0.0);
    }
}
