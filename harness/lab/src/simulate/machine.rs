//! A machine that is here: a few rates that its own results teach, and how wrong they are for model families that they
//! never saw.
//!
//! The time of a run is taken for a sum: a start, a time per kernel, and the work of each class over a rate of its own.
//! The rates are those with the least mean absolute logarithm of predicted / real.

use super::grade::{Grade, Judged, grade};
use super::interval::Spread;
use super::operator::Class;
use super::whole::Outline;
use rayon::prelude::*;
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics};
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

/// How much of each of [`PARTS`] a run has.
pub type Work = [f64; PARTS.len()];

/// A result of this machine with the work that it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Of its record.
    pub record: String,
    /// The case.
    pub case: String,
    /// The family of its model.
    pub family: String,
    /// Its kernels, summed up.
    pub work: Work,
    /// Measured, ns.
    pub latency_ns: f64,
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
    /// Each result, in ns.
    pub results: Vec<Judged>,
}

/// What the results of an endpoint teach.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Of [`PARTS`], from all results.
    pub rates: Work,
    /// How wrong they may be for a family that is none of these.
    pub spread: Spread,
    /// What is learned without each family.
    pub without: BTreeMap<String, Without>,
}

/// What is learned without a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Without {
    /// Of [`PARTS`].
    pub rates: Work,
    /// How wrong they may be, from `others`.
    pub spread: Spread,
    /// The results of the family, by their places, with the logarithms of real / predicted.
    pub residuals: Vec<(usize, f64)>,
    /// Those of each other family, by rates that saw neither it nor this one: what the family's own results teach must
    /// not make its interval either.
    pub others: Vec<(usize, f64)>,
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

/// Learns from all results, without each family, and without each two. Nothing from fewer than three families: two
/// levels of errors make no interval.
pub fn learn(known: &[Known]) -> Option<Lesson> {
    let mut by_family: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, result) in known.iter().enumerate() {
        by_family.entry(&result.family).or_default().push(place);
    }
    let names: Vec<&str> = by_family.keys().copied().collect();
    if names.len() < 3 {
        return None;
    }
    let fit_without = |out: [&str; 2]| {
        let kept = known.iter().filter(|result| !out.contains(&result.family.as_str()));
        fit(&kept.collect::<Vec<_>>())
    };
    let residuals = |rates: &Work, family: &str| -> Vec<(usize, f64)> {
        let of = |result: &Known| (result.latency_ns / predict(rates, &result.work)).ln();
        by_family[family].iter().map(|place| (*place, of(&known[*place]))).collect()
    };
    // A family paired with itself is left out alone.
    let pairs: Vec<[&str; 2]> = (0..names.len())
        .flat_map(|a| (a..names.len()).map(move |b| (a, b)))
        .map(|(a, b)| [names[a], names[b]])
        .collect();
    let rates: BTreeMap<[&str; 2], Work> =
        pairs.par_iter().map(|pair| (*pair, fit_without(*pair))).collect();
    let without = |family: &str| {
        let others: Vec<Vec<(usize, f64)>> = names
            .iter()
            .filter(|other| **other != family)
            .map(|other| residuals(&rates[&[family.min(other), family.max(other)]], other))
            .collect();
        let own = rates[&[family, family]];
        Some(Without {
            rates: own,
            spread: spread(&others)?,
            residuals: residuals(&own, family),
            others: others.concat(),
        })
    };
    let without: BTreeMap<String, Without> = names
        .iter()
        .map(|family| Some(((*family).to_owned(), without(family)?)))
        .collect::<Option<_>>()?;
    let left_out: Vec<_> = without.values().map(|family| family.residuals.clone()).collect();
    Some(Lesson {
        rates: fit(&known.iter().collect::<Vec<_>>()),
        spread: spread(&left_out)?,
        without,
    })
}

/// The spread for a new family, from the residuals of families.
fn spread(families: &[Vec<(usize, f64)>]) -> Option<Spread> {
    let values = |family: &Vec<(usize, f64)>| family.iter().map(|(_, of)| *of).collect();
    Spread::of_groups(&families.iter().map(values).collect::<Vec<Vec<f64>>>())
}

/// Leaves each family out once. Nothing with fewer than three.
pub fn validate(known: &[Known]) -> Option<Validated> {
    let lesson = learn(known)?;
    let mut results = Vec::new();
    for (family, without) in &lesson.without {
        for (place, residual) in &without.residuals {
            let predicted = known[*place].latency_ns * (-residual).exp();
            results.push(Judged {
                case: known[*place].case.clone(),
                family: family.clone(),
                real: known[*place].latency_ns,
                predicted,
                interval: Some(without.spread.about(predicted)),
            });
        }
    }
    let graded = |family: &String| {
        let own: Vec<&Judged> = results.iter().filter(|one| one.family == *family).collect();
        Some((family.clone(), grade(&own)?))
    };
    Some(Validated {
        rates: lesson.rates,
        families: lesson.without.keys().filter_map(graded).collect(),
        all: grade(&results.iter().collect::<Vec<_>>())?,
        results,
    })
}

/// The predicted time, ns.
pub fn predict(rates: &Work, work: &Work) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

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
                    record: format!("r{family}-{size}"),
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
        assert!(found.all.mape.value < 0.15, "{:?}", found.all);
        assert!(found.all.rank_correlation.unwrap().value > 0.97, "{:?}", found.all);
        assert!(found.all.coverage.unwrap().value > 0.8, "{:?}", found.all);
        assert!((found.rates[2] / RATES[2] - 1.0).abs() < 0.3, "{:?}", found.rates);
        assert_eq!((found.families.len(), found.results.len()), (6, 30));
    }

    #[test]
    fn a_family_that_is_unlike_all_others_is_told() {
        let mut known = machine(RATES, 0.02);
        known.iter_mut().filter(|r| r.family == "5").for_each(|r| r.latency_ns *= 4.0);
        let found = validate(&known).unwrap();
        let odd = &found.families["5"];
        assert!(
            odd.bias.value < -0.6 && odd.mape.value > 0.6 && odd.coverage.unwrap().value < 0.5,
            "{odd:?}"
        );
    }

    #[test]
    fn a_family_does_not_teach_what_predicts_it() {
        let known = machine(RATES, 0.05);
        let mut slow = known.clone();
        slow.iter_mut().filter(|r| r.family == "5").for_each(|r| r.latency_ns *= 20.0);
        let predicted = |known: &[Known]| -> Vec<f64> {
            let results = validate(known).unwrap().results;
            results.iter().filter(|r| r.family == "5").map(|r| r.predicted).collect()
        };
        for (plain, slow) in predicted(&known).into_iter().zip(predicted(&slow)) {
            assert!((plain / slow - 1.0).abs() < 1e-9, "{plain} {slow}");
        }
        assert_eq!(validate(&slow).unwrap().families["5"].coverage.unwrap().value, 0.0);
    }

    #[test]
    fn a_family_does_not_make_its_own_interval() {
        let known = machine(RATES, 0.05);
        let mut slow = known.clone();
        slow.iter_mut().filter(|r| r.family == "5").for_each(|r| r.latency_ns *= 20.0);
        let spread = |known: &[Known], family: &str| learn(known).unwrap().without[family].spread;
        assert_eq!(spread(&known, "5"), spread(&slow, "5"));
        assert_ne!(spread(&known, "4"), spread(&slow, "4"));
    }

    #[test]
    fn two_families_are_too_few() {
        let known: Vec<Known> =
            machine(RATES, 0.1).into_iter().filter(|r| ["0", "1"].contains(&&*r.family)).collect();
        assert_eq!(validate(&known), None);
    }
}
