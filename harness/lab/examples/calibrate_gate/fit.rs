//! How the constants are fitted: the noise by maximum likelihood, the threshold by the rate of false alarms.

use super::table::{Benchmark, Table};
use proofmark_lab::gate::evidence::{Model, THRESHOLD_P};
use proofmark_lab::gate::level::{ESTIMATORS, typical_spread};
use proofmark_lab::gate::posterior::{log_marginals, log_scales, softmax};
use proofmark_lab::gate::prior::NoisePrior;

/// Degrees of freedom among which the likelihood chooses.
const FREEDOMS: [f64; 6] = [1.0, 1.5, 2.0, 3.0, 5.0, 30.0];

/// What the prior of the noise is fitted to: the spread of a benchmark, and its likelihood at each scale.
type Row = (Option<f64>, Vec<f64>);

fn rows(benchmarks: &[Benchmark], of: &[usize], estimator: usize, freedom: f64) -> Vec<Row> {
    let row = |&index: &usize| {
        let processes = &benchmarks[index].processes;
        let levels: Vec<f64> = processes.iter().map(|p| p.levels[estimator]).collect();
        (typical_spread(processes), log_marginals(&levels, freedom))
    };
    of.iter().map(row).collect()
}

/// The logarithm of the likelihood of a prior: each benchmark's likelihood averaged over the scales.
fn log_likelihood(prior: &NoisePrior, rows: &[Row]) -> f64 {
    let one = |(spread, marginals): &Row| {
        let logs: Vec<f64> = log_scales().map(|scale| prior.log_density(scale, *spread)).collect();
        let weights = softmax(&logs);
        let peak = marginals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = weights.iter().zip(marginals).map(|(w, m)| w * (m - peak).exp()).sum();
        peak + sum.ln()
    };
    rows.iter().map(one).sum()
}

/// The most likely prior: pattern search (Hooke & Jeeves, "Direct Search", Journal of the ACM 8 (1961)).
fn noise_prior(rows: &[Row]) -> (NoisePrior, f64) {
    let prior =
        |x: [f64; 3]| NoisePrior { at_one_percent: x[0], slope: x[1], deviation: x[2].exp() };
    let mut best = [-4.5, 0.5, 0.2];
    let mut height = log_likelihood(&prior(best), rows);
    let mut step = 0.5;
    while step > 1e-3 {
        let mut moved = false;
        for (axis, sign) in [(0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0), (2, 1.0), (2, -1.0)] {
            let mut tried = best;
            tried[axis] += sign * step;
            let found = log_likelihood(&prior(tried), rows);
            if found > height {
                (best, height, moved) = (tried, found, true);
            }
        }
        if !moved {
            step *= 0.5;
        }
    }
    (prior(best), height)
}

/// The degrees of freedom under which the levels of processes are most likely, both estimators together.
pub(crate) fn freedom(benchmarks: &[Benchmark], of: &[usize]) -> f64 {
    let height = |freedom: f64| -> f64 {
        let estimators = 0..ESTIMATORS;
        let sum = estimators.map(|e| noise_prior(&rows(benchmarks, of, e, freedom)).1).sum();
        println!("degrees of freedom {freedom}: log-likelihood {sum:.1}");
        sum
    };
    let heights = FREEDOMS.map(|freedom| (freedom, height(freedom)));
    heights.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(FREEDOMS[0], |best| best.0)
}

/// All constants, from these benchmarks alone.
pub(crate) fn model(benchmarks: &[Benchmark], table: &Table, of: &[usize], freedom: f64) -> Model {
    let noise = std::array::from_fn(|e| noise_prior(&rows(benchmarks, of, e, freedom)).0);
    let mut model = Model { freedom, noise, threshold: 0.0, steepness: 1.0 };
    let mut weights: Vec<(f64, f64)> = Vec::new();
    for &index in of {
        let splits = table.weighed(index, 0, &model);
        let share = 1.0 / (of.len() * splits.len()) as f64;
        let relevant = splits.iter().filter(|weighed| weighed.masses[0] > 0.5);
        weights.extend(relevant.map(|weighed| (weighed.slower, share)));
    }
    weights.sort_by(|a, b| b.0.total_cmp(&a.0));
    model.threshold = exceeded(&weights, THRESHOLD_P);
    let wider = 4.0 * THRESHOLD_P;
    model.steepness = 4.0_f64.ln() / (model.threshold - exceeded(&weights, wider)).max(0.1);
    model
}

/// The evidence that a share of all comparisons exceeds.
fn exceeded(weights: &[(f64, f64)], share: f64) -> f64 {
    let mut sum = 0.0;
    for (evidence, weight) in weights {
        sum += weight;
        if sum > share {
            return *evidence;
        }
    }
    weights.last().map_or(0.0, |last| last.0)
}

/// Indices of benchmarks that are left out together: those of one project.
pub(crate) fn folds(benchmarks: &[Benchmark]) -> Vec<Vec<usize>> {
    let mut folds: Vec<(&str, Vec<usize>)> = Vec::new();
    for (index, benchmark) in benchmarks.iter().enumerate() {
        let project = benchmark.id.split('#').next().unwrap_or_default();
        match folds.iter_mut().find(|(name, _)| *name == project) {
            Some((_, members)) => members.push(index),
            None => folds.push((project, vec![index])),
        }
    }
    folds.into_iter().map(|(_, members)| members).collect()
}
