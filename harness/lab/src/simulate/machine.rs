//! A machine that is here: a few rates that its own results teach, and how wrong they are for model families that they
//! never saw.
//!
//! The time of a run is taken for a sum: a start, a time per kernel, and the work of each class over a rate of its own.
//! The rates are those with the least mean absolute logarithm of predicted / real.

use super::interval::{Spread, ape};
use super::operator::Class;
use super::whole::Outline;
use fastrand::Rng;
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics, RankTieBreaker, Statistics};
use std::collections::BTreeMap;

/// What a run is made of, each part with a cost of its own.
pub const PARTS: [&str; 6] = [
    "ns per run",
    "ns per kernel",
    "ns per operation of products",
    "ns per byte of products",
    "ns per byte of pointwise kernels",
    "ns per byte of row kernels",
];
/// Times that all rates are improved in turn.
const SWEEPS: usize = 60;
/// Steps of a golden section over a factor of a hundred.
const STEPS: usize = 24;
/// Resamples of families.
const RESAMPLES: usize = 1000;

/// How much of each of [`PARTS`] a run has.
pub type Work = [f64; PARTS.len()];

/// A result of this machine with the work that it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The case.
    pub case: String,
    /// The family of its model.
    pub family: String,
    /// Its kernels, summed up.
    pub work: Work,
    /// Measured, ns.
    pub latency_ns: f64,
}

/// A result beside what rates predict that never saw its family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graded {
    /// The case.
    pub case: String,
    /// The family of its model.
    pub family: String,
    /// Measured, ns.
    pub real_ns: f64,
    /// Predicted, ns.
    pub predicted_ns: f64,
    /// The interval of 90 % from the errors of other families, ns.
    pub low_ns: f64,
    /// Its other end.
    pub high_ns: f64,
}

/// Errors over some results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grade {
    /// The results.
    pub results: usize,
    /// Mean of |predicted - real| / real.
    pub mape: f64,
    /// Median of predicted / real, less 1.
    pub bias: f64,
    /// The largest |predicted - real| / real.
    pub worst: f64,
    /// The part of results inside their intervals.
    pub coverage: f64,
}

/// How well an endpoint of this machine is predicted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Validated {
    /// Of [`PARTS`], from all results.
    pub rates: Work,
    /// Of each family, by rates that never saw it.
    pub families: BTreeMap<String, Grade>,
    /// Of all.
    pub all: Grade,
    /// 95 % interval of the mean error, families being resampled.
    pub mape_interval: [f64; 2],
    /// Spearman's rank correlation of predicted and real.
    pub rank_correlation: f64,
    /// Each result.
    pub results: Vec<Graded>,
}

/// What the kernels of a model add up to.
pub fn work(outline: &Outline) -> Work {
    let mut work = [1.0, outline.kernels.len() as f64, 0.0, 0.0, 0.0, 0.0];
    for kernel in &outline.kernels {
        let operator = &kernel.operator;
        match operator.class() {
            Ok(Class::Product) => {
                work[2] += operator.flop();
                work[3] += operator.bytes();
            }
            Ok(Class::Pointwise) => work[4] += operator.bytes(),
            Ok(Class::Row) => work[5] += operator.bytes(),
            Err(_) => {}
        }
    }
    work
}

/// Leaves each family out once. Nothing with fewer than three families: two levels of errors make no interval.
pub fn validate(known: &[Known]) -> Option<Validated> {
    let mut by_family: BTreeMap<&str, Vec<&Known>> = BTreeMap::new();
    for result in known {
        by_family.entry(&result.family).or_default().push(result);
    }
    if by_family.len() < 3 {
        return None;
    }
    let mut residuals: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for family in by_family.keys() {
        let kept: Vec<&Known> = known.iter().filter(|result| result.family != *family).collect();
        let rates = fit(&kept);
        let of = |result: &&Known| (result.latency_ns / predict(&rates, &result.work)).ln();
        residuals.insert(family, by_family[family].iter().map(of).collect());
    }
    let mut results = Vec::new();
    for (family, own) in &by_family {
        let others = residuals.iter().filter(|(other, _)| *other != family);
        let others: Vec<Vec<f64>> = others.map(|(_, of)| of.clone()).collect();
        let spread = Spread::of_groups(&others)?;
        for (result, residual) in own.iter().zip(&residuals[family]) {
            let predicted_ns = result.latency_ns * (-residual).exp();
            results.push(Graded {
                case: result.case.clone(),
                family: (*family).to_owned(),
                real_ns: result.latency_ns,
                predicted_ns,
                low_ns: predicted_ns * spread.low.min(0.0).exp(),
                high_ns: predicted_ns * spread.high.max(0.0).exp(),
            });
        }
    }
    let of_family = |family: &&str| {
        let own: Vec<&Graded> = results.iter().filter(|graded| graded.family == *family).collect();
        ((*family).to_owned(), grade(&own))
    };
    Some(Validated {
        rates: fit(&known.iter().collect::<Vec<_>>()),
        families: by_family.keys().map(of_family).collect(),
        all: grade(&results.iter().collect::<Vec<_>>()),
        mape_interval: mape_interval(&residuals),
        rank_correlation: spearman(&results),
        results,
    })
}

/// The predicted time, ns.
fn predict(rates: &Work, work: &Work) -> f64 {
    rates.iter().zip(work).map(|(rate, work)| rate * work).sum()
}

/// The rates with the least mean absolute logarithm of predicted / real: one rate at a time, by golden section.
fn fit(known: &[&Known]) -> Work {
    let share = 1.0 / PARTS.len() as f64;
    let mut rates: Work = std::array::from_fn(|part| {
        let ratios: Vec<f64> = known
            .iter()
            .filter(|result| result.work[part] > 0.0)
            .map(|result| result.latency_ns / result.work[part])
            .collect();
        if ratios.is_empty() { 0.0 } else { share * Data::new(ratios).quantile(0.1) }
    });
    let loss = |rates: &Work| -> f64 {
        known.iter().map(|r| (predict(rates, &r.work) / r.latency_ns).ln().abs()).sum()
    };
    for _ in 0..SWEEPS {
        for part in 0..PARTS.len() {
            let at = |factor: f64| {
                let mut tried = rates;
                tried[part] *= factor.exp();
                loss(&tried)
            };
            let factor = golden_section(at, -0.5 * 100.0_f64.ln(), 0.5 * 100.0_f64.ln());
            if at(factor) < loss(&rates) {
                rates[part] *= factor.exp();
            }
        }
    }
    rates
}

/// Where a function of one valley is least (Kiefer, "Sequential minimax search for a maximum", Proceedings of the AMS 4
/// (1953)).
fn golden_section(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = 0.5 * (5.0_f64.sqrt() - 1.0);
    for _ in 0..STEPS {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if f(left) < f(right) {
            high = right;
        } else {
            low = left;
        }
    }
    0.5 * (low + high)
}

fn grade(results: &[&Graded]) -> Grade {
    let residual = |graded: &&Graded| (graded.real_ns / graded.predicted_ns).ln();
    let errors: Vec<f64> = results.iter().map(|graded| ape(residual(graded))).collect();
    let signed: Vec<f64> = results.iter().map(|graded| -residual(graded)).collect();
    let count = results.len() as f64;
    let inside =
        |graded: &&&Graded| graded.low_ns <= graded.real_ns && graded.real_ns <= graded.high_ns;
    Grade {
        results: results.len(),
        mape: errors.iter().mean(),
        bias: Data::new(signed).median().exp() - 1.0,
        worst: errors.into_iter().fold(0.0, f64::max),
        coverage: results.iter().filter(inside).count() as f64 / count,
    }
}

/// The bootstrap's percentiles of the mean error (Efron and Tibshirani, "An introduction to the bootstrap", 1993);
/// families and not results are the unit.
fn mape_interval(residuals: &BTreeMap<&str, Vec<f64>>) -> [f64; 2] {
    let families: Vec<&Vec<f64>> = residuals.values().collect();
    let mut random = Rng::with_seed(8);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..families.len()).map(|_| families[random.usize(..families.len())]);
            let errors: Vec<f64> = drawn.flatten().map(|residual| ape(*residual)).collect();
            errors.mean()
        })
        .collect();
    means.sort_by(f64::total_cmp);
    [means[RESAMPLES / 40], means[RESAMPLES - 1 - RESAMPLES / 40]]
}

/// Spearman's rank correlation: Pearson's, of the ranks.
fn spearman(results: &[Graded]) -> f64 {
    let ranks = |of: fn(&Graded) -> f64| {
        Data::new(results.iter().map(of).collect::<Vec<f64>>()).ranks(RankTieBreaker::Average)
    };
    let (real, predicted) = (ranks(|g| g.real_ns), ranks(|g| g.predicted_ns));
    let mean = 0.5 * (results.len() as f64 + 1.0);
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    product(&real, &predicted) / (product(&real, &real) * product(&predicted, &predicted)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of six families of a machine with these rates, with noise of `noise` either way.
    fn machine(rates: Work, noise: f64) -> Vec<Known> {
        let mut random = Rng::with_seed(3);
        let mut known = Vec::new();
        for family in 0..6 {
            for size in 0..5 {
                let mut draw = |low: f64, high: f64| low * (high / low).powf(random.f64());
                let work = [
                    1.0,
                    draw(10.0, 300.0),
                    draw(1e6, 1e10),
                    draw(1e5, 1e9),
                    draw(1e4, 1e8),
                    draw(1e4, 1e7),
                ];
                let latency_ns =
                    predict(&rates, &work) * (noise * (2.0 * random.f64() - 1.0)).exp();
                known.push(Known {
                    case: format!("m{family}-{size}"),
                    family: family.to_string(),
                    work,
                    latency_ns,
                });
            }
        }
        known
    }

    const RATES: Work = [5e3, 800.0, 0.02, 0.1, 0.2, 0.4];

    #[test]
    fn a_machine_that_is_a_sum_is_predicted_well() {
        let found = validate(&machine(RATES, 0.05)).unwrap();
        assert!(found.all.mape < 0.15, "{:?}", found.all);
        assert!(found.rank_correlation > 0.97, "{}", found.rank_correlation);
        assert!(found.all.coverage > 0.8, "{:?}", found.all);
        assert!((found.rates[2] / RATES[2] - 1.0).abs() < 0.3, "{:?}", found.rates);
        assert!(
            found.mape_interval[0] <= found.all.mape && found.all.mape <= found.mape_interval[1]
        );
        assert_eq!((found.families.len(), found.results.len()), (6, 30));
    }

    #[test]
    fn a_family_that_is_unlike_all_others_is_told() {
        let mut known = machine(RATES, 0.02);
        known.iter_mut().filter(|r| r.family == "5").for_each(|r| r.latency_ns *= 4.0);
        let found = validate(&known).unwrap();
        let odd = &found.families["5"];
        assert!(odd.bias < -0.6 && odd.mape > 0.6 && odd.coverage < 0.5, "{odd:?}");
    }

    #[test]
    fn a_family_does_not_teach_what_predicts_it() {
        let known = machine(RATES, 0.05);
        let mut slow = known.clone();
        slow.iter_mut().filter(|r| r.family == "5").for_each(|r| r.latency_ns *= 20.0);
        let predicted = |known: &[Known]| -> Vec<f64> {
            let results = validate(known).unwrap().results;
            results.iter().filter(|r| r.family == "5").map(|r| r.predicted_ns).collect()
        };
        for (plain, slow) in predicted(&known).into_iter().zip(predicted(&slow)) {
            assert!((plain / slow - 1.0).abs() < 1e-9, "{plain} {slow}");
        }
        assert_eq!(validate(&slow).unwrap().families["5"].coverage, 0.0);
    }

    #[test]
    fn two_families_are_too_few() {
        let known: Vec<Known> =
            machine(RATES, 0.1).into_iter().filter(|r| ["0", "1"].contains(&&*r.family)).collect();
        assert_eq!(validate(&known), None);
    }

    #[test]
    fn ranks_agree_whatever_the_scale() {
        let graded = |real: f64, predicted: f64| Graded {
            case: String::new(),
            family: String::new(),
            real_ns: real,
            predicted_ns: predicted,
            low_ns: predicted,
            high_ns: predicted,
        };
        let up = [graded(1.0, 10.0), graded(2.0, 500.0), graded(3.0, 501.0)];
        assert!((spearman(&up) - 1.0).abs() < 1e-12);
        let down = [graded(1.0, 3.0), graded(2.0, 2.0), graded(3.0, 1.0)];
        assert!((spearman(&down) + 1.0).abs() < 1e-12);
    }
}
