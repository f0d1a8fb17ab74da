//! Do processes agree: with each other, over boots and days, in any order, and on a loaded machine?

use super::check::{Check, Part, Status};
use super::course::RELEVANT;
use super::evidence::{Benchmark, Process};
use crate::figures::{percent, three_digits};
use crate::stats::median;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer processes say nothing of the next one.
pub(super) const FEWEST: usize = 5;
/// The half width of the interval of the level that is told, and that fails: the effect that a gate is to find.
const WIDTH: [f64; 2] = [0.02, 0.05];
/// Groups of processes differ at this level.
const ALPHA: f64 = 0.01;
/// Relative differences of groups that are told, and that fail.
const GROUPS: [f64; 2] = [2.0 * RELEVANT, 0.05];
/// Processes of a boot or a day that speak for it.
const OF_GROUP: usize = 3;
/// A change over the order of processes that is told, and that fails.
const ORDER: [f64; 2] = [2.0 * RELEVANT, 0.1];
/// A change under load that is told.
const LOADED: f64 = 0.05;

/// The level of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median over processes of the medians of their samples, in seconds.
    pub median_s: f64,
    /// Half the width of the interval of 95 % of the mean level of processes, relative; nothing for one process.
    pub half_width: Option<f64>,
    /// Standard deviation between processes, relative, without what the spread within them makes of it.
    pub between: Option<f64>,
    /// Standard deviation within processes, relative: the median over them, each 1.4826 times the median absolute
    /// deviation.
    pub within: f64,
}

/// The logarithm of the median of each process.
pub(super) fn levels(processes: &[Process]) -> Vec<f64> {
    processes.iter().filter_map(|process| median(&process.logs())).collect()
}

/// The levels around that of their session, one boot on one day: what sessions differ by is none of theirs.
pub(super) fn levels_within_sessions(processes: &[Process]) -> Vec<f64> {
    let known: Vec<(_, f64)> =
        processes.iter().filter_map(|p| Some((p.session(), median(&p.logs())?))).collect();
    let of = |session| -> Vec<f64> {
        known.iter().filter(|(other, _)| *other == session).map(|(_, level)| *level).collect()
    };
    let around = |(session, level): &(_, f64)| Some(level - median(&of(*session))?);
    known.iter().filter_map(around).collect()
}

/// The level of these processes; nothing without samples. `effective` is the part of the samples that counts.
pub(super) fn level(processes: &[Process], effective: f64) -> Option<Estimate> {
    let levels = levels(processes);
    let median_s = median(&levels)?.exp();
    let spreads =
        processes.iter().filter_map(|p| crate::stats::median_absolute_deviation(&p.logs()));
    let within = median(&spreads.collect::<Vec<_>>())?;
    let count = levels.len() as f64;
    let variance = variance(&levels);
    let half_width = variance.and_then(|variance| {
        let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?.inverse_cdf(0.975);
        Some(t * (variance / count).sqrt())
    });
    // The variance of the median of n normal samples is π ÷ 2n times theirs (Cramér, "Mathematical methods of
    // statistics" (1946), section 28.5); the rest is that of processes, by the method of moments.
    let samples = median(&processes.iter().map(|p| p.samples_s.len() as f64).collect::<Vec<_>>())?;
    let own = within * within * std::f64::consts::FRAC_PI_2 / (samples * effective).max(1.0);
    let between = variance.map(|variance| (variance - own).max(0.0).sqrt());
    Some(Estimate { median_s, half_width, between, within })
}

/// The sample variance; nothing for one value.
fn variance(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (values.len() > 1).then(|| square / (count - 1.0))
}

/// Whether processes agree well enough to know the level.
pub(super) fn agreement(processes: &[Process], level: Option<Estimate>) -> Check {
    let part = Part::Processes;
    let count = processes.len();
    let Some(Estimate { half_width: Some(width), between: Some(between), within, .. }) = level
    else {
        return Check::unknown(part, format!("it takes {FEWEST} processes, and there is {count}"));
    };
    if count < FEWEST {
        return Check::unknown(part, format!("it takes {FEWEST} processes, and there are {count}"));
    }
    let says = format!(
        "{count} processes know the level to {} either way; they differ by {}, samples of one by {}",
        percent(width),
        percent(between),
        percent(within)
    );
    Check::graded(part, width, WIDTH, says)
}

/// Whether boots agree.
pub(super) fn boots(processes: &[Process]) -> Check {
    groups(Part::Boots, "boot", processes, |process| process.boot.as_ref())
}

/// Whether days agree.
pub(super) fn days(processes: &[Process]) -> Check {
    groups(Part::Days, "day", processes, |process| process.day.as_ref())
}

/// Levels by what their processes have in common.
fn groups(
    part: Part,
    name: &str,
    processes: &[Process],
    of: impl Fn(&Process) -> Option<&String>,
) -> Check {
    let mut groups: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for process in processes {
        if let (Some(group), Some(level)) = (of(process), median(&process.logs())) {
            groups.entry(group).or_default().push(level);
        }
    }
    groups.retain(|_, levels| levels.len() >= OF_GROUP);
    let groups: Vec<Vec<f64>> = groups.into_values().collect();
    if groups.len() < 2 {
        let seen = if groups.len() == 1 { "one" } else { "none" };
        let says =
            format!("it takes {OF_GROUP} processes of each of two {name}s, and {seen} has them");
        return Check::unknown(part, says);
    }
    let medians: Vec<f64> = groups.iter().filter_map(|levels| median(levels)).collect();
    let extreme = |pick: fn(f64, f64) -> f64| medians.iter().copied().fold(medians[0], pick);
    let range = (extreme(f64::max) - extreme(f64::min)).exp_m1();
    let p = kruskal_wallis(&groups);
    let says = format!("the medians of {} {name}s differ by {}", groups.len(), percent(range));
    if p > ALPHA {
        let says = format!("{says}, which is within their noise");
        return Check::new(part, Status::Pass, range, GROUPS[1], says);
    }
    Check::graded(part, range, GROUPS, says)
}

/// The probability that groups of one distribution differ in their ranks as much as these; ranks of ties are averaged.
/// Source: Kruskal & Wallis, "Use of ranks in one-criterion variance analysis", Journal of the American Statistical
/// Association 47 (1952), equation 1.1, with the approximation by chi-squared.
fn kruskal_wallis(groups: &[Vec<f64>]) -> f64 {
    let all: Vec<f64> = groups.concat();
    let n = all.len() as f64;
    let rank = |x: &f64| {
        let below = all.iter().filter(|y| *y < x).count() as f64;
        let equal = all.iter().filter(|y| *y == x).count() as f64;
        below + (equal + 1.0) / 2.0
    };
    let squares = groups.iter().map(|group| {
        let sum: f64 = group.iter().map(rank).sum();
        sum * sum / group.len() as f64
    });
    let statistic = 12.0 / (n * (n + 1.0)) * squares.sum::<f64>() - 3.0 * (n + 1.0);
    let freedom = groups.len() as f64 - 1.0;
    ChiSquared::new(freedom).map_or(1.0, |chi| chi.sf(statistic.max(0.0)))
}

/// Whether the level depends on how many processes ran before, within sessions of one boot and one day.
pub(super) fn order(processes: &[Process]) -> Check {
    let part = Part::Order;
    let sessions: BTreeSet<_> = processes.iter().map(Process::session).collect();
    let (mut score, mut spread, mut slopes, mut longest) = (0.0, 0.0, Vec::new(), 0);
    for session in sessions {
        let of: Vec<Process> =
            processes.iter().filter(|process| process.session() == session).cloned().collect();
        let levels = levels(&of);
        let n = levels.len() as f64;
        longest = longest.max(levels.len());
        spread += n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
        for (i, a) in levels.iter().enumerate() {
            for (k, b) in levels.iter().enumerate().skip(i + 1) {
                score += if b > a { 1.0 } else { -f64::from(u8::from(b < a)) };
                slopes.push((b - a) / (k - i) as f64);
            }
        }
    }
    if longest < FEWEST {
        return Check::unknown(part, format!("it takes {FEWEST} processes of one day and boot"));
    }
    // Kendall, "A new measure of rank correlation", Biometrika 30 (1938), section 11: S is about normal; the correction
    // for continuity is one.
    let z = (f64::abs(score) - 1.0).max(0.0) / spread.sqrt();
    let p = 2.0 * Normal::standard().sf(z);
    // Theil and Sen: Sen, "Estimates of the regression coefficient based on Kendall's tau", Journal of the American
    // Statistical Association 63 (1968).
    let change = (median(&slopes).unwrap_or_default() * (longest - 1) as f64).exp_m1();
    if p > ALPHA {
        let says = "levels do not follow the order of processes".to_owned();
        return Check::new(part, Status::Pass, change, ORDER[1], says);
    }
    let says =
        format!("from the first process to the last the level changes by {}", percent(change));
    let mut check = Check::graded(part, change.abs(), ORDER, says);
    check.value = Some(change);
    check
}

/// What load does to it: told, never failed, for it is the machine's.
pub(super) fn load(benchmark: &Benchmark) -> Check {
    let part = Part::Load;
    let (calm, loaded) = (levels(&benchmark.processes), levels(&benchmark.loaded));
    let busy = benchmark.crowd();
    let (Some(calm), Some(loaded)) = (median(&calm), median(&loaded)) else {
        return Check::unknown(part, "no process ran under a load that was put on the machine");
    };
    let change = (loaded - calm).exp_m1();
    let mut says = format!("under load it takes {} of its time", percent(1.0 + change));
    if let Some(load) = busy {
        says += &format!(
            "; without, {} processes per processor wanted to run already",
            three_digits(load)
        );
    }
    let status = if change.abs() > LOADED || busy.is_some() { Status::Warn } else { Status::Pass };
    Check::new(part, status, change, LOADED, says)
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    fn of(level: f64) -> Process {
        Process::of(vec![level; 10])
    }

    #[test]
    fn the_interval_is_students() {
        // Standard deviation 0.1 of four logarithms around zero; t of three degrees of freedom is 3.182.
        let spread = 0.1 * 1.5_f64.sqrt() / std::f64::consts::SQRT_2;
        let processes = [-1.0, -1.0, 1.0, 1.0].map(|sign: f64| of((sign * spread).exp()));
        let level = level(&processes, 1.0).unwrap();
        assert!((level.half_width.unwrap() - 3.182_446 * 0.1 / 2.0).abs() < 1e-6, "{level:?}");
        assert!((level.between.unwrap() - 0.1).abs() < 1e-12 && level.within == 0.0);
        assert_eq!(agreement(&processes, Some(level)).status, Status::Unknown);
    }

    #[test]
    fn the_spread_within_does_not_count_as_one_between() {
        let mut random = Random::new(4);
        let process = |_| Process::of((0..50).map(|_| (0.05 * random.normal()).exp()).collect());
        let processes: Vec<_> = (0..200).map(process).collect();
        let level = level(&processes, 1.0).unwrap();
        assert!(level.between.unwrap() < 0.003 && (level.within - 0.05).abs() < 0.005, "{level:?}");
        assert_eq!(agreement(&processes, Some(level)).status, Status::Pass);
    }

    #[test]
    fn ranks_of_equal_groups_differ_as_often_as_the_level_says() {
        let mut random = Random::new(9);
        let small = |_: &i32| {
            let groups: Vec<Vec<f64>> =
                (0..3).map(|_| (0..6).map(|_| random.heavy()).collect()).collect();
            kruskal_wallis(&groups) <= 0.05
        };
        let share = (0..3000).filter(small).count() as f64 / 3000.0;
        assert!((0.03..0.06).contains(&share), "{share}");
        // Eight points whose ranks are parted: H = 12 / (8·9) · (10² + 26²) / 4 − 27 = 5.333….
        let parted = kruskal_wallis(&[vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0, 8.0]]);
        assert!((parted - 0.020_921).abs() < 1e-5, "{parted}");
    }

    fn with(level: f64, boot: &str) -> Process {
        Process { boot: Some(boot.into()), day: Some("2026-01-01".into()), ..of(level) }
    }

    #[test]
    fn boots_are_compared_where_there_are_two() {
        let level = |i: usize| 1.0 + 0.001 * i as f64;
        let boot =
            |factor: f64, name: &'static str| (0..5).map(move |i| with(factor * level(i), name));
        let one: Vec<_> = boot(1.0, "a").collect();
        assert_eq!(boots(&one).status, Status::Unknown);
        assert_eq!(boots(&[of(1.0), of(1.0)]).status, Status::Unknown);
        let same: Vec<_> = boot(1.0, "a").chain(boot(1.0005, "b")).collect();
        assert_eq!(boots(&same).status, Status::Pass);
        assert_eq!(days(&same).status, Status::Unknown);
        for (factor, expected) in [(1.03, Status::Warn), (1.2, Status::Fail)] {
            let other: Vec<_> = boot(1.0, "a").chain(boot(factor, "b")).collect();
            assert_eq!(boots(&other).status, expected, "{:?}", boots(&other));
        }
    }

    #[test]
    fn an_order_that_matters_is_seen() {
        let rising: Vec<_> = (0..8).map(|i| of(1.0 + 0.02 * f64::from(i))).collect();
        let found = order(&rising);
        assert_eq!(found.status, Status::Fail, "{found:?}");
        assert!((found.value.unwrap() - 0.14).abs() < 0.01, "{found:?}");
        let mixed: Vec<_> = [3, 1, 4, 1, 5, 9, 2, 6].map(|i| of(1.0 + 0.02 * f64::from(i))).into();
        assert_eq!(order(&mixed).status, Status::Pass);
        assert_eq!(order(&rising[..4]).status, Status::Unknown);
        // Two sessions that are each in no order are not in order together, although the second is slower.
        let sessions = ["a", "b"].into_iter().enumerate();
        let both: Vec<_> = sessions
            .flat_map(|(s, boot)| {
                [2, 1, 3, 1, 2].map(|i| with(1.0 + f64::from(i) * 0.01 + s as f64, boot))
            })
            .collect();
        assert_eq!(order(&both).status, Status::Pass, "{:?}", order(&both));
    }

    #[test]
    fn load_is_told_and_never_fails() {
        let benchmark = |loaded: f64, before: f64| {
            let process = Process { load: Some(before), ..of(1.0) };
            Benchmark {
                processes: vec![process; 5],
                loaded: vec![of(loaded)],
                ..Benchmark::default()
            }
        };
        assert_eq!(load(&benchmark(1.01, 0.1)).status, Status::Pass);
        assert_eq!(load(&benchmark(3.0, 0.1)).status, Status::Warn);
        assert_eq!(load(&benchmark(1.01, 2.0)).status, Status::Warn);
        let without = Benchmark { loaded: Vec::new(), ..benchmark(1.0, 0.1) };
        assert_eq!(load(&without).status, Status::Unknown);
    }
}
