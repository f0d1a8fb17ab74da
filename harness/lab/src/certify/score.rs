//! The score with its parts, and the levels with their rules. `docs/certify.md` says the same in words.

use super::Assessment;
use super::check::{Check, Part, Status};
use serde::{Deserialize, Serialize};

/// What a score cannot exceed where a vital check fails, and where another one does.
pub const CAP_VITAL: f64 = 30.0;
/// See [`CAP_VITAL`].
pub const CAP_OTHER: f64 = 60.0;
/// Processes that `reproducible` takes.
pub const PROCESSES_REPRODUCIBLE: usize = super::processes::FEWEST;
/// Processes that `certified` takes.
pub const PROCESSES_CERTIFIED: usize = 10;
/// The score that `certified` takes.
pub const SCORE_CERTIFIED: f64 = 85.0;

/// How far the numbers of a benchmark can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something is wrong, or too little is known.
    Unverified,
    /// Right outputs, a steady level, and processes of one session that agree.
    Reproducible,
    /// The same over days and boots, with no question open.
    Certified,
}

impl Level {
    /// The level as it stands in certificates.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Reproducible => "reproducible",
            Self::Certified => "certified",
        }
    }
}

/// Must be answered for `reproducible`; everything must be for `certified`.
const ANSWERED: [Part; 8] = [
    Part::Clock,
    Part::Period,
    Part::Growth,
    Part::Drift,
    Part::WarmUp,
    Part::Modes,
    Part::Steady,
    Part::Processes,
];

/// 100 · Σ weight · credit ÷ Σ weight over the checks that apply, capped where one fails.
pub(super) fn score(checks: &[Check]) -> f64 {
    let counted = checks.iter().filter_map(|c| Some((c.weight, c.status.credit()?)));
    let (earned, all) = counted.fold((0.0, 0.0), |(earned, all), (weight, credit)| {
        (earned + weight * credit, all + weight)
    });
    let fails = |vital: bool| checks.iter().any(|c| c.status == Status::Fail && c.vital == vital);
    let cap = match (fails(true), fails(false)) {
        (true, _) => CAP_VITAL,
        (_, true) => CAP_OTHER,
        _ => 100.0,
    };
    (100.0 * earned / all).min(cap)
}

/// The level, and what the next one takes.
pub(super) fn level(assessment: &Assessment) -> (Level, Vec<String>) {
    let reproducible = lacks_reproducible(assessment);
    if !reproducible.is_empty() {
        return (Level::Unverified, reproducible);
    }
    let certified = lacks_certified(assessment);
    if !certified.is_empty() {
        return (Level::Reproducible, certified);
    }
    (Level::Certified, Vec::new())
}

fn lacks_reproducible(assessment: &Assessment) -> Vec<String> {
    let mut lacks = Vec::new();
    for check in &assessment.checks {
        let name = check.part.name();
        match check.status {
            Status::Fail => lacks.push(format!("{name} must not fail: {}", check.says)),
            Status::Unknown if check.part == Part::Outputs || ANSWERED.contains(&check.part) => {
                lacks.push(format!("{name} must be known: {}", check.says));
            }
            _ => {}
        }
    }
    let (have, take) = (assessment.processes, PROCESSES_REPRODUCIBLE);
    if have < take {
        lacks.push(format!("it takes {take} processes, and there are {have}"));
    }
    lacks
}

fn lacks_certified(assessment: &Assessment) -> Vec<String> {
    let mut lacks = Vec::new();
    for check in &assessment.checks {
        let name = check.part.name();
        match (check.part, check.status) {
            (_, Status::Unknown) => lacks.push(format!("{name} must be known: {}", check.says)),
            (Part::Boots | Part::Days, Status::Warn) => {
                lacks.push(format!("{name} must agree: {}", check.says));
            }
            _ => {}
        }
    }
    let (have, take) = (assessment.processes, PROCESSES_CERTIFIED);
    if have < take {
        lacks.push(format!("it takes {take} processes, and there are {have}"));
    }
    if assessment.score < SCORE_CERTIFIED {
        lacks.push(format!(
            "it takes a score of {SCORE_CERTIFIED}, and it is {:.0}",
            assessment.score
        ));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An assessment in which these parts have another answer than a pass.
    fn assessment(others: &[(Part, Status)]) -> Assessment {
        let status = |part: Part| {
            let other = others.iter().find(|(other, _)| *other == part);
            other.map_or(Status::Pass, |(_, status)| *status)
        };
        let checks = Part::ALL.map(|part| Check::plain(part, status(part), "so")).into();
        Assessment::new("b".into(), 10, None, checks)
    }

    #[track_caller]
    fn check(others: &[(Part, Status)], level: Level, score: std::ops::RangeInclusive<f64>) {
        let found = assessment(others);
        assert_eq!(found.level, level, "{found:?}");
        assert!(score.contains(&found.score), "{}", found.score);
    }

    #[test]
    fn levels_follow_their_rules() {
        check(&[], Level::Certified, 100.0..=100.0);
        check(&[(Part::Load, Status::Warn)], Level::Certified, 98.0..=99.0);
        check(&[(Part::Load, Status::Unknown)], Level::Reproducible, 95.0..=99.0);
        check(&[(Part::Busy, Status::Inapplicable)], Level::Certified, 100.0..=100.0);
        check(&[(Part::Boots, Status::Warn)], Level::Reproducible, 90.0..=99.0);
        check(&[(Part::Boots, Status::Unknown)], Level::Reproducible, 90.0..=95.0);
        check(&[(Part::Outputs, Status::Unknown)], Level::Unverified, 80.0..=95.0);
        check(&[(Part::Clock, Status::Unknown)], Level::Unverified, 90.0..=95.0);
        check(&[(Part::Order, Status::Fail)], Level::Unverified, 60.0..=60.0);
        check(&[(Part::Period, Status::Fail)], Level::Unverified, 30.0..=30.0);
    }

    #[test]
    fn nothing_is_passed_by_absence() {
        let unknown: Vec<_> = Part::ALL.map(|part| (part, Status::Unknown)).into();
        check(&unknown, Level::Unverified, 0.0..=0.0);
    }

    #[test]
    fn the_reason_is_what_makes_all_else_meaningless() {
        let found = assessment(&[
            (Part::Modes, Status::Fail),
            (Part::Work, Status::Fail),
            (Part::Outliers, Status::Warn),
        ]);
        assert_eq!(found.reasons, ["optimised-away", "bimodal"]);
        assert!(found.missing.iter().any(|m| m == "work must not fail: so"), "{found:?}");
    }
}
