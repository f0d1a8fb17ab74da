//! Is the work done? Outputs are right, time grows with work, no hardware is that fast, and the processor is busy.

use super::check::{Check, Part, Status};
use super::evidence::{Benchmark, Outputs, Process};
use super::processes::levels;
use crate::figures::{percent, three_digits};
use crate::stats::median;

/// Amounts of work that differ by less say nothing about growth.
const LEAST_RATIO: f64 = 2.0;
/// Exponents of time over work: below the first it fails, below the second it is told. Work that were a tenth of the time,
/// beside something that does not grow, would have an exponent of about 0.1.
const EXPONENTS: [f64; 2] = [0.1, 0.4];
/// A process that computes uses a processor; one that used less than this part even at best slept.
const BUSY: f64 = 0.5;
const ASLEEP: f64 = 0.1;

/// Whether the outputs are right.
pub(super) fn outputs(benchmark: &Benchmark) -> Check {
    let (status, says) = match &benchmark.outputs {
        Outputs::Unknown => (Status::Unknown, "nobody says that outputs were verified".to_owned()),
        Outputs::Verified => {
            (Status::Pass, "outputs were compared with references before timing".to_owned())
        }
        Outputs::Wrong(why) => (Status::Fail, format!("a run of this code failed: {why}")),
    };
    Check::plain(Part::Outputs, status, says)
}

/// Whether time grows with work, and whether it is possible.
pub(super) fn work(benchmark: &Benchmark) -> Check {
    if let Some(check) = impossible(benchmark) {
        return check;
    }
    match exponent(benchmark) {
        Some((exponent, ratio)) => growth(benchmark, exponent, ratio),
        None if benchmark.scaling.is_empty() => {
            Check::unknown(Part::Work, "the same code was not timed with another amount of work")
        }
        None => Check::unknown(
            Part::Work,
            format!("it takes amounts of work that differ by a factor of {LEAST_RATIO} at least"),
        ),
    }
}

/// A fail if the rate is beyond the bound.
fn impossible(benchmark: &Benchmark) -> Option<Check> {
    let level_s = median(&levels(&benchmark.processes))?.exp();
    let (work, bound) = (benchmark.work?, benchmark.peak_work_per_s?);
    let rate = work / level_s;
    let says = format!(
        "{} operations per second are {} times what the hardware can do at most: the work is not done",
        scientific(rate),
        three_digits(rate / bound)
    );
    (rate > bound).then(|| Check::plain(Part::Work, Status::Fail, says))
}

fn scientific(value: f64) -> String {
    format!("{value:.1e}")
}

/// The exponent of time over work between the least and the most work, and the ratio of these.
fn exponent(benchmark: &Benchmark) -> Option<(f64, f64)> {
    let own = (benchmark.work?, median(&levels(&benchmark.processes))?);
    let of = |scaled: &super::evidence::Scaled| {
        let processes: Vec<_> = scaled.processes_s.iter().cloned().map(Process::of).collect();
        Some((scaled.work, median(&levels(&processes))?))
    };
    let points = benchmark.scaling.iter().filter_map(of).chain([own]);
    let by_work = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0);
    let (least, most) = (points.clone().min_by(by_work)?, points.max_by(by_work)?);
    let ratio = most.0 / least.0;
    (ratio >= LEAST_RATIO).then(|| ((most.1 - least.1) / ratio.ln(), ratio))
}

fn growth(benchmark: &Benchmark, exponent: f64, ratio: f64) -> Check {
    let [fail, warn] = EXPONENTS;
    let more = three_digits(ratio);
    let time = three_digits(ratio.powf(exponent));
    let says = format!("{more} times the work takes {time} times as long");
    let (status, says) = match exponent {
        e if e >= warn => (Status::Pass, says),
        e if e >= fail => (Status::Warn, format!("{says}: something else is timed with it")),
        // A device with room does more at once.
        _ if benchmark.waits_for_device => (Status::Warn, format!("{says}: the device has room")),
        _ => (
            Status::Fail,
            format!("{says}: the work is optimised away, or something else is timed"),
        ),
    };
    Check::new(Part::Work, status, exponent, fail, says)
}

/// Whether the processor was busy.
pub(super) fn busy(benchmark: &Benchmark) -> Check {
    let part = Part::Busy;
    if benchmark.waits_for_device {
        let says = "the work is done elsewhere, and the process waits for it";
        return Check::plain(part, Status::Inapplicable, says);
    }
    let used: Vec<f64> = benchmark.processes.iter().filter_map(|p| p.processors_used).collect();
    let Some(most) = used.iter().copied().reduce(f64::max) else {
        return Check::unknown(part, "its processor time is not told");
    };
    let says = format!("at best it kept {} of a processor busy", percent(most));
    let (status, says) = match most {
        most if most >= BUSY => (Status::Pass, says),
        most if most > ASLEEP && benchmark.crowd().is_some() => {
            (Status::Warn, format!("{says}, on a machine that others kept busy"))
        }
        _ => (Status::Fail, format!("{says}: it sleeps or waits inside of what is timed")),
    };
    Check::new(part, status, most, BUSY, says)
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Scaled;
    use super::*;

    fn benchmark(level_s: f64) -> Benchmark {
        let processes = vec![Process::of(vec![level_s; 10]); 5];
        Benchmark { processes, work: Some(1e6), ..Benchmark::default() }
    }

    #[track_caller]
    fn check_growth(factor: f64, times: f64, waits_for_device: bool, expected: Status) {
        let scaled = Scaled { work: factor * 1e6, processes_s: vec![vec![times; 10]] };
        let benchmark = Benchmark { scaling: vec![scaled], waits_for_device, ..benchmark(1.0) };
        let found = work(&benchmark);
        assert_eq!(found.status, expected, "{found:?}");
    }

    #[test]
    fn time_grows_with_work() {
        check_growth(8.0, 8.0, false, Status::Pass);
        check_growth(0.125, 0.2, false, Status::Pass);
        check_growth(8.0, 1.8, false, Status::Warn);
        check_growth(8.0, 1.05, false, Status::Fail);
        check_growth(8.0, 0.5, false, Status::Fail);
        check_growth(8.0, 1.05, true, Status::Warn);
        check_growth(1.5, 1.0, false, Status::Unknown);
        assert_eq!(work(&benchmark(1.0)).status, Status::Unknown);
    }

    #[test]
    fn no_hardware_is_that_fast() {
        let bounded = |level_s: f64| {
            work(&Benchmark { peak_work_per_s: Some(1e12), ..benchmark(level_s) }).status
        };
        assert_eq!(bounded(30e-9), Status::Fail);
        assert_eq!(bounded(30e-6), Status::Unknown);
    }

    #[test]
    fn a_sleeper_is_told_from_one_that_waits_its_turn() {
        let used = |processors: f64, load: f64| {
            let process = Process {
                processors_used: Some(processors),
                load: Some(load),
                ..Process::of(vec![1.0; 10])
            };
            busy(&Benchmark { processes: vec![process; 5], ..Benchmark::default() }).status
        };
        assert_eq!(used(0.98, 0.1), Status::Pass);
        assert_eq!(used(1.9, 0.1), Status::Pass);
        assert_eq!(used(0.3, 0.1), Status::Fail);
        assert_eq!(used(0.3, 3.0), Status::Warn);
        assert_eq!(used(0.02, 3.0), Status::Fail);
        assert_eq!(busy(&benchmark(1.0)).status, Status::Unknown);
        let elsewhere = Benchmark { waits_for_device: true, ..benchmark(1.0) };
        assert_eq!(busy(&elsewhere).status, Status::Inapplicable);
    }

    #[test]
    fn outputs_are_never_right_by_default() {
        assert_eq!(outputs(&Benchmark::default()).status, Status::Unknown);
        let wrong = Outputs::Wrong("outputs differ".into());
        assert_eq!(outputs(&Benchmark { outputs: wrong, ..benchmark(1.0) }).status, Status::Fail);
    }
}
