//! Is what is timed long for the clock? From the step of the clock where it is known, else from the values themselves.

use super::check::{Check, Part, Status};
use super::evidence::Benchmark;
use crate::figures::{duration_ns, percent};
use crate::stats::median;

/// A step of the clock may be so much of what it times: half of the effect that matters by default to a gate.
const WARN: f64 = 0.005;
/// From here on the smallest effect that anybody gates on is less than a step.
const FAIL: f64 = 0.05;
/// Values that come back this often were rounded by something.
const TIED: f64 = 0.3;
/// Differences are multiples of a step if they miss it by less than this part of it.
const MISS: f64 = 0.1;

/// A grid on which the values lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    /// Distance of its points, in seconds.
    pub(super) step_s: f64,
    /// The median of the values, in seconds.
    pub(super) level_s: f64,
}

/// The grid on which most values of most processes lie, if there is one.
pub(super) fn grid(benchmark: &Benchmark) -> Option<Grid> {
    let mut values: Vec<f64> =
        benchmark.processes.iter().flat_map(|process| &process.samples_s).copied().collect();
    let level_s = median(&values)?;
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    // Rounding in the last digits of a double is no step.
    values.dedup_by(|b, a| *b - *a <= 1e-9 * level_s);
    let ties = 1.0 - values.len() as f64 / count as f64;
    if ties < TIED || values.len() < 2 {
        return None;
    }
    let gaps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let step_s = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let fits = |gap: &&f64| {
        let steps = *gap / step_s;
        (steps - steps.round()).abs() <= MISS
    };
    let fitting = gaps.iter().filter(fits).count();
    (fitting as f64 >= 0.9 * gaps.len() as f64).then_some(Grid { step_s, level_s })
}

pub(super) fn check(benchmark: &Benchmark, grid: Option<Grid>) -> Check {
    let lengths: Vec<f64> = benchmark
        .processes
        .iter()
        .filter_map(|p| p.interval_s.or_else(|| median(&p.samples_s)))
        .collect();
    let Some(length_s) = median(&lengths) else {
        return Check::unknown(Part::Clock, "there are no samples");
    };
    let exact = benchmark.processes.iter().any(|process| process.interval_s.is_some());
    let seen = grid.map(|grid| grid.step_s / grid.level_s);
    let told = benchmark.clock_step_s.map(|step| step / length_s);
    // A told step of a sample that is a mean over an unknown number of runs is a bound and no more.
    let told = told.filter(|part| exact || *part <= WARN);
    let Some(part) = told.into_iter().chain(seen).reduce(f64::max) else {
        return unknown(benchmark, length_s);
    };
    let says = match (seen.filter(|seen| *seen >= part), grid) {
        (Some(_), Some(grid)) => format!(
            "times are multiples of {}, {} of their median: time more runs at once",
            duration_ns(1e9 * grid.step_s),
            percent(part)
        ),
        _ => format!(
            "the clock times {} at once, of which its step is {}",
            duration_ns(1e9 * length_s),
            percent(part)
        ),
    };
    Check::graded(Part::Clock, part, [WARN, FAIL], says)
}

/// Without a told step and without a grid in the values.
fn unknown(benchmark: &Benchmark, length_s: f64) -> Check {
    if benchmark.clock_step_s.is_some() {
        let length = duration_ns(1e9 * length_s);
        let says = format!("a run takes {length}, and how many were timed at once is not told");
        return Check::unknown(Part::Clock, says);
    }
    let first = benchmark.processes.iter().flat_map(|p| p.samples_s.first()).next();
    let all = benchmark.processes.iter().flat_map(|process| &process.samples_s);
    let constant = all.clone().count() > 1 && all.clone().all(|sample| Some(sample) == first);
    if constant {
        let says = "all times are equal, and the step of the clock is not told";
        return Check::unknown(Part::Clock, says);
    }
    let says = "the values lie on no grid: a step of the clock would show as one";
    Check::plain(Part::Clock, Status::Pass, says)
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Process;
    use super::*;

    /// The status for samples in nanoseconds, with this step of the clock and so many runs between two readings.
    #[track_caller]
    fn check_of(samples_ns: &[f64], step_ns: Option<f64>, runs: Option<f64>, expected: Status) {
        let samples_s: Vec<f64> = samples_ns.iter().map(|ns| ns * 1e-9).collect();
        let interval_s = runs.map(|runs| runs * median(&samples_s).unwrap());
        let process = Process { samples_s, interval_s, ..Process::default() };
        let benchmark = Benchmark {
            processes: vec![process],
            clock_step_s: step_ns.map(|ns| ns * 1e-9),
            ..Benchmark::default()
        };
        let found = check(&benchmark, grid(&benchmark));
        assert_eq!(found.status, expected, "{found:?}");
    }

    const SMOOTH: [f64; 6] = [100.13, 101.57, 99.21, 100.88, 103.4, 100.02];

    #[test]
    fn a_short_run_needs_many_between_two_readings() {
        check_of(&SMOOTH, Some(25.0), Some(1.0), Status::Fail);
        check_of(&SMOOTH, Some(25.0), Some(30.0), Status::Warn);
        check_of(&SMOOTH, Some(25.0), Some(1000.0), Status::Pass);
        check_of(&SMOOTH, Some(25.0), None, Status::Unknown);
        check_of(&SMOOTH, Some(0.2), None, Status::Pass);
    }

    #[test]
    fn a_grid_tells_the_step_that_nobody_told() {
        check_of(&[100.0, 125.0, 100.0, 125.0, 150.0, 100.0, 125.0], None, None, Status::Fail);
        check_of(&[1000.0, 1002.0, 1000.0, 1004.0, 1002.0, 1000.0], None, None, Status::Pass);
        check_of(&SMOOTH, None, None, Status::Pass);
        check_of(&[100.0; 6], None, None, Status::Unknown);
        check_of(&[100.0; 6], Some(1.0), Some(1e4), Status::Pass);
    }

    #[test]
    fn two_levels_are_no_grid() {
        let samples: Vec<f64> = (0..20)
            .map(|i| 100.0 + 20.0 * f64::from(i % 2) + 0.37 * f64::from(i * i % 17))
            .collect();
        check_of(&samples, None, None, Status::Pass);
    }
}
