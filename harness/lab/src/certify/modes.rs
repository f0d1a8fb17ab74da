//! Has it one level, or two? By the excess mass, which is twice Hartigan's dip: how much more of the samples two
//! intervals hold than one, at the density where that is most. Heavy tails and skew are no modes to it.

use super::check::{Check, Part, Status};
use super::clock::Grid;
use super::course::RELEVANT;
use crate::figures::percent;
use crate::stats::median;

/// Fewer samples have no modes.
const FEWEST: usize = 40;
/// A mode holds at least this part of the samples.
const SMALLEST: f64 = 0.04;
/// Modes nearer than this are told; farther ones fail.
const FAIL: f64 = 2.0 * RELEVANT;
/// Two modes are so many of their spreads apart.
const APART: f64 = 3.0;
/// Densities at which intervals are compared.
const DENSITIES: usize = 60;
/// √n times an excess mass that at most four in a thousand uniform samples exceed, for n from 40 on. Of all distributions
/// with one mode the uniform one has the largest (Hartigan & Hartigan, "The dip test of unimodality", Annals of Statistics
/// 13 (1985), theorem 3). A test simulates it.
const CRITICAL: f64 = 1.36;
/// Processes in the smaller of two groups, and the distance of the groups in their spreads.
const GROUP: usize = 2;
const GROUPS_APART: f64 = 8.0;
/// Fewer processes have no groups.
const FEWEST_PROCESSES: usize = 6;

/// Two modes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Two {
    /// From the middle of one to that of the other.
    distance: f64,
    /// The part in the upper one.
    upper: f64,
}

/// `series`: logarithms of the samples of each process around its median, trend removed; `levels`: the logarithm of the
/// median of each process around that of its session.
pub(super) fn check(series: &[Vec<f64>], levels: &[f64], grid: Option<Grid>) -> Check {
    let part = Part::Modes;
    let pooled = pool(series, grid.map_or(0.0, |grid| grid.step_s / grid.level_s));
    let groups = groups(levels);
    if pooled.len() < FEWEST && groups.is_none() {
        return Check::unknown(part, format!("it takes {FEWEST} samples"));
    }
    let within = if pooled.len() < FEWEST { None } else { modes(&pooled) };
    let (found, of) = match (within, groups) {
        (Some(within), Some(groups)) if groups.distance > within.distance => (groups, "processes"),
        (Some(within), _) => (within, "samples"),
        (None, Some(groups)) => (groups, "processes"),
        (None, None) => {
            let says = "samples and processes gather around one level".to_owned();
            return Check::new(part, Status::Pass, 0.0, FAIL, says);
        }
    };
    let distance = found.distance.exp_m1();
    let says = format!(
        "{} of the {of} are around a level that is {} above that of the others",
        percent(found.upper),
        percent(distance)
    );
    Check::graded(part, distance, [RELEVANT / 2.0, FAIL], says)
}

/// All samples, sorted, each process shifted so that its densest part is at zero, and values on a grid spread over it.
fn pool(series: &[Vec<f64>], step: f64) -> Vec<f64> {
    let mut pooled = Vec::new();
    for samples in series.iter().filter(|samples| samples.len() >= 10) {
        let mut sorted = samples.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let densest = densest(&sorted);
        spread_ties(&mut sorted, step);
        pooled.extend(sorted.into_iter().map(|x| x - densest));
    }
    pooled.sort_unstable_by(f64::total_cmp);
    pooled
}

/// The half-sample mode of sorted values: the half with the least range, again and again.
/// Source: Bickel & Frühwirth, "On a fast, robust estimator of the mode", Computational Statistics & Data Analysis 50
/// (2006), section 2.
fn densest(sorted: &[f64]) -> f64 {
    let mut part = sorted;
    while part.len() > 3 {
        let half = part.len().div_ceil(2);
        let range = |start: &usize| part[start + half - 1] - part[*start];
        let starts = 0..=part.len() - half;
        let best = starts.min_by(|a, b| range(a).total_cmp(&range(b))).unwrap_or(0);
        part = &part[best..best + half];
    }
    part.iter().sum::<f64>() / part.len() as f64
}

/// Values that are equal because something rounded them are spread evenly over the step.
fn spread_ties(sorted: &mut [f64], step: f64) {
    if step <= 0.0 {
        return;
    }
    for group in sorted.chunk_by_mut(|a, b| b - a < step / 2.0) {
        let count = group.len() as f64;
        for (place, value) in group.iter_mut().enumerate() {
            *value += step * ((place as f64 + 0.5) / count - 0.5);
        }
    }
}

/// Two modes of sorted values, if one does not do.
fn modes(sorted: &[f64]) -> Option<Two> {
    let n = sorted.len();
    let excess = densities(sorted).map(|density| excess(sorted, density));
    let most = excess.max_by(|a, b| a.mass.total_cmp(&b.mass))?;
    if most.mass * (n as f64).sqrt() < CRITICAL {
        return None;
    }
    // They part at the widest gap between the two intervals.
    let (from, to) = (most.first_end, most.second_start);
    let gap = |i: &usize| sorted[i + 1] - sorted[*i];
    let cut = (from..to).max_by(|a, b| gap(a).total_cmp(&gap(b)))? + 1;
    two(&sorted[..cut], &sorted[cut..])
}

/// Two parts as modes, if both are large enough and they are apart.
fn two(low: &[f64], high: &[f64]) -> Option<Two> {
    let (below, above) = (median(low)?, median(high)?);
    let upper = high.len() as f64 / (low.len() + high.len()) as f64;
    let spread = |part: &[f64]| crate::stats::median_absolute_deviation(part).unwrap_or(0.0);
    let apart = above - below >= APART * spread(low).max(spread(high));
    (apart && upper.min(1.0 - upper) >= SMALLEST).then_some(Two { distance: above - below, upper })
}

/// Densities around that of the middle nine tenths.
fn densities(sorted: &[f64]) -> impl Iterator<Item = f64> {
    let n = sorted.len();
    let range = (sorted[n - 1 - n / 20] - sorted[n / 20]).max(f64::MIN_POSITIVE);
    let at = move |i: usize| {
        let part = i as f64 / (DENSITIES - 1) as f64;
        0.9 / range * 0.02_f64 * 5000_f64.powf(part)
    };
    (0..DENSITIES).map(at)
}

/// How much more two intervals hold than one, beyond what a density would put into them.
struct Excess {
    mass: f64,
    first_end: usize,
    second_start: usize,
}

/// Source: Müller & Sawitzki, "Excess mass estimates and tests for multimodality", Journal of the American Statistical
/// Association 86 (1991), section 2: Δ = max over λ of E₂(λ) − E₁(λ). The best one and two intervals are found as the
/// best sums of one and two runs of neighbours, from left to right.
fn excess(sorted: &[f64], density: f64) -> Excess {
    let weight = 1.0 / sorted.len() as f64;
    // The best single interval that ends here, and where it starts; the best so far, and where it ends.
    let (mut ending, mut single, mut single_end) = (weight, weight, 0);
    // The best two of which the second ends here: mass, end of the first, start of the second.
    let mut second = (f64::NEG_INFINITY, 0, 0);
    let mut double = second;
    for i in 1..sorted.len() {
        let step = density * (sorted[i] - sorted[i - 1]);
        let on = second.0 - step;
        second = if on >= single { (on, second.1, second.2) } else { (single, single_end, i) };
        second.0 += weight;
        ending = (ending - step).max(0.0) + weight;
        if ending > single {
            (single, single_end) = (ending, i);
        }
        if second.0 > double.0 {
            double = second;
        }
    }
    Excess { mass: double.0 - single, first_end: double.1, second_start: double.2 }
}

/// Two groups of processes: the widest gap between levels, against the spread on both sides of it.
fn groups(levels: &[f64]) -> Option<Two> {
    if levels.len() < FEWEST_PROCESSES {
        return None;
    }
    let mut sorted = levels.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let gap = |cut: &usize| sorted[*cut] - sorted[cut - 1];
    let cut = (GROUP..=sorted.len() - GROUP).max_by(|a, b| gap(a).total_cmp(&gap(b)))?;
    let (low, high) = sorted.split_at(cut);
    let square = |part: &[f64]| {
        let mean = part.iter().sum::<f64>() / part.len() as f64;
        part.iter().map(|x| (x - mean).powi(2)).sum::<f64>()
    };
    let spread = ((square(low) + square(high)) / (sorted.len() - 2) as f64).sqrt();
    let (below, above) = (median(low)?, median(high)?);
    let upper = high.len() as f64 / sorted.len() as f64;
    (above - below >= GROUPS_APART * spread).then_some(Two { distance: above - below, upper })
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    fn sample(random: &mut Random, count: usize, at: impl Fn(&mut Random) -> f64) -> Vec<Vec<f64>> {
        (0..8).map(|_| (0..count).map(|_| at(random)).collect()).collect()
    }

    #[track_caller]
    fn alarms(at: impl Fn(&mut Random) -> f64) -> usize {
        let mut random = Random::new(11);
        let found = |_: &i32| {
            let series = sample(&mut random, 50, &at);
            check(&series, &[0.0; 8], None).status != Status::Pass
        };
        (0..200).filter(found).count()
    }

    #[test]
    fn tails_and_skew_are_no_modes() {
        for (name, count) in [
            ("normal", alarms(|r| 0.02 * r.normal())),
            ("heavy", alarms(|r| 0.02 * r.heavy())),
            ("skewed", alarms(|r| 0.02 * r.skewed())),
            ("uniform", alarms(|r| r.between(0.0, 0.1))),
        ] {
            assert!(count <= 1, "{name}: {count} of 200");
        }
    }

    #[test]
    fn two_levels_are_found() {
        for (share, distance) in [(0.5, 0.05), (0.15, 0.08), (0.85, 0.08)] {
            let at = |r: &mut Random| {
                let upper = r.between(0.0, 1.0) < share;
                let level = if upper { distance } else { 0.0 };
                level + 0.006 * r.normal()
            };
            let count = alarms(at);
            assert!(count >= 196, "{share}: {count} of 200");
        }
    }

    #[test]
    fn few_far_samples_are_no_mode() {
        let rare = |r: &mut Random| {
            let far = r.between(0.0, 1.0) < 0.02;
            if far { 0.5 } else { 0.01 * r.normal() }
        };
        assert!(alarms(rare) <= 1);
    }

    #[test]
    fn processes_in_two_groups_are_found() {
        let mut random = Random::new(2);
        let series = sample(&mut random, 50, |r| 0.003 * r.normal());
        let levels = [0.0, 0.101, 0.002, 0.1, 0.001, 0.099, 0.0, 0.1];
        let found = check(&series, &levels, None);
        assert_eq!(found.status, Status::Fail, "{found:?}");
        assert!(found.says.contains("50.0 % of the processes"), "{found:?}");
        let spread = [0.0, 0.01, 0.02, 0.034, 0.05, 0.061, 0.07, 0.085];
        assert_eq!(check(&series, &spread, None).status, Status::Pass);
    }

    #[test]
    fn a_rounded_sample_has_one_mode() {
        let mut random = Random::new(2);
        let mut series = sample(&mut random, 50, |r| 0.01 * r.normal());
        series.iter_mut().flatten().for_each(|x| *x = (*x / 0.008).round() * 0.008);
        let grid = Some(Grid { step_s: 0.008, level_s: 1.0 });
        assert_eq!(check(&series, &[0.0; 8], grid).status, Status::Pass);
        assert_ne!(check(&series, &[0.0; 8], None).status, Status::Pass);
    }

    /// The constant is the bound that it is said to be.
    #[test]
    fn at_most_four_in_a_thousand_uniform_samples_are_above_the_limit() {
        let mut random = Random::new(1);
        for n in [40, 400] {
            let above = |_: &i32| {
                let mut sample: Vec<f64> = (0..n).map(|_| random.between(0.0, 1.0)).collect();
                sample.sort_unstable_by(f64::total_cmp);
                let most = densities(&sample).map(|d| excess(&sample, d).mass).fold(0.0, f64::max);
                most * f64::from(n).sqrt() >= CRITICAL
            };
            let count = (0..3000).filter(above).count();
            assert!(count <= 12, "n = {n}: {count} of 3000");
        }
    }

    #[test]
    fn the_excess_mass_of_two_far_points_is_half() {
        // Two atoms of equal weight: one interval holds half, two hold all.
        let mut sample = vec![0.0; 20];
        sample.extend([1.0; 20]);
        let found = excess(&sample, 10.0);
        assert!((found.mass - 0.5).abs() < 1e-12, "{}", found.mass);
        assert_eq!((found.first_end, found.second_start), (19, 20));
    }
}
