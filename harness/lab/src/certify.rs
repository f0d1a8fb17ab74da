//! Whether the numbers of a benchmark deserve trust: checks over its processes, a score with its parts, a level.
//!
//! Pure. `evidence` is what is known of a benchmark, read from a file by `input` and from records by `records`; a file
//! for each kind of check answers; `score` adds up; `certificate` is what is kept of it, and until when it holds.

pub mod certificate;
mod check;
mod clock;
mod course;
mod dependence;
mod evidence;
pub mod input;
mod modes;
mod outliers;
mod period;
mod processes;
pub mod records;
mod score;
mod work;

pub use check::{Check, Part, Status};
pub use evidence::{Benchmark, Outputs, Process, Scaled};
pub use processes::Estimate;
pub use score::{
    CAP_OTHER, CAP_VITAL, Level, PROCESSES_CERTIFIED, PROCESSES_REPRODUCIBLE, SCORE_CERTIFIED,
};

use crate::figures::three_digits;
use serde::Serialize;

/// Changes of times below this can be the work of others on a crowded machine.
const DISTURBED: f64 = 0.1;

/// What the checks say of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assessment {
    /// Its name.
    pub id: String,
    /// How far its numbers can be trusted.
    pub level: Level,
    /// From 0 to 100.
    pub score: f64,
    /// What is wrong, the most fundamental first: the reasons of the checks that fail.
    pub reasons: Vec<&'static str>,
    /// What the next level takes; nothing for the highest.
    pub missing: Vec<String>,
    /// Independent processes.
    pub processes: usize,
    /// The level of its times; nothing without samples.
    pub estimate: Option<Estimate>,
    /// The parts of the score.
    pub checks: Vec<Check>,
}

impl Assessment {
    fn new(id: String, processes: usize, estimate: Option<Estimate>, checks: Vec<Check>) -> Self {
        let mut checks = checks;
        checks.sort_by_key(|check| check.part);
        let failed = checks.iter().filter(|check| check.status == Status::Fail);
        let reasons = failed.map(|check| check.part.reason()).collect();
        let score = score::score(&checks);
        let (level, missing) = (Level::Unverified, Vec::new());
        let mut found = Self { id, level, score, reasons, missing, processes, estimate, checks };
        (found.level, found.missing) = score::level(&found);
        found
    }

    /// The answer to a question.
    pub fn check(&self, part: Part) -> Option<&Check> {
        self.checks.iter().find(|check| check.part == part)
    }
}

/// Answers all questions about a benchmark.
///
/// Multiplying all times by a factor changes nothing but the estimate.
pub fn judge(benchmark: &Benchmark) -> Assessment {
    let processes = &benchmark.processes;
    let grid = clock::grid(benchmark);
    let clock = clock::check(benchmark, grid);
    let course = course::check(processes);
    let blind = clock.status == Status::Fail;
    let levels = processes::levels_within_sessions(processes);
    // What a clock makes of times that it cannot resolve looks like a period, modes and outliers.
    let unless_blind = |part: Part, check: &dyn Fn() -> Check| {
        if blind { Check::unknown(part, "the clock is too coarse to tell") } else { check() }
    };
    let dependence = unless_blind(Part::Autocorrelation, &|| dependence::check(&course.flat));
    let effective = dependence.value.unwrap_or(1.0);
    let estimate = processes::level(processes, effective);
    let mut checks = vec![
        work::outputs(benchmark),
        work::work(benchmark),
        work::busy(benchmark),
        unless_blind(Part::Period, &|| period::check(&course.flat)),
        unless_blind(Part::Modes, &|| modes::check(&course.flat, &levels, grid)),
        unless_blind(Part::Outliers, &|| outliers::check(&course.flat)),
        dependence,
        clock,
        processes::agreement(processes, estimate),
        processes::boots(processes),
        processes::days(processes),
        processes::order(processes),
        processes::load(benchmark),
    ];
    checks.extend(course.checks);
    if let Some(load) = benchmark.crowd() {
        checks.iter_mut().for_each(|check| excuse(check, load));
    }
    Assessment::new(benchmark.id.clone(), processes.len(), estimate, checks)
}

/// On a crowded machine a small change proves nothing: others may have made it, or the benchmark.
fn excuse(check: &mut Check, load: f64) {
    let is_of_times = matches!(check.part, Part::Growth | Part::Drift | Part::Period | Part::Modes);
    if is_of_times
        && check.status == Status::Fail
        && check.value.is_some_and(|change| change.abs() < DISTURBED)
    {
        let says = format!(
            "{}; {} processes per processor wanted to run besides, which can do as much",
            check.says,
            three_digits(load)
        );
        *check =
            Check { value: check.value, limit: check.limit, ..Check::unknown(check.part, says) };
    }
}

#[cfg(test)]
#[path = "../examples/certify_rates/kinds.rs"]
mod kinds;
#[cfg(test)]
#[path = "../examples/certify_rates/random.rs"]
mod random;
#[cfg(test)]
#[path = "certify/tests.rs"]
mod tests;
