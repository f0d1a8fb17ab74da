//! The result of a live gate as it is kept and told: `gate.json`.

use super::judge::{Options, Verdict};
use super::metric::{Finding, Metric};
use super::trial::{Conclusion, Side};
use jiff::Timestamp;
use proofmark::record::Environment;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// A side of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// What the user called it; nothing for the tree as it stands.
    pub revision: Option<String>,
    /// The commit.
    pub commit: String,
    /// Whether files differ from the commit.
    pub dirty: bool,
}

/// How the gate was run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setup {
    /// The relative change below which a difference does not matter.
    pub min_effect: f64,
    /// The share of alarms that may be false where one case in six changed.
    pub alpha: f64,
    /// The level of the whole gate, which its cases share.
    pub level: f64,
    /// Seconds for measuring.
    pub budget_s: f64,
    /// Of the order of the processes.
    pub seed: u64,
    /// Whether undecided counts as regressed.
    pub strict: bool,
}

impl Setup {
    /// With these options.
    pub fn new(options: &Options, budget_s: f64, seed: u64, strict: bool) -> Self {
        let Options { min_effect, alpha, level, .. } = *options;
        Self { min_effect, alpha, level, budget_s, seed, strict }
    }
}

/// A process that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ran {
    /// The case.
    pub case: String,
    /// On which side it counts.
    pub side: Side,
    /// Whether it is one of the control, which runs the base's program on both sides.
    pub control: bool,
    /// The record with its raw samples.
    pub record: String,
}

/// How a gate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing regressed.
    Passed,
    /// Something regressed or is broken.
    Failed,
    /// Nothing could be judged.
    Unjudged,
    /// The control alarmed.
    Unfit,
}

/// What is known of this machine from processes of equal code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The machine.
    pub machine: String,
    /// When.
    pub measured_at: Timestamp,
    /// The cases whose processes were split.
    pub cases: Vec<String>,
    /// Processes of each.
    pub processes: usize,
    /// Ways to split them into two sides that were judged.
    pub splits: usize,
    /// The share of splits with a verdict that something changed.
    pub false_alarms: f64,
    /// The smallest slowdown that was found in four of five splits; nothing if none up to 50 % was.
    pub detectable_effect: Option<f64>,
}

/// A gate with all that it found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Unique among gates.
    pub id: String,
    /// When it began to measure.
    pub started_at: Timestamp,
    /// Seconds that measuring took.
    pub took_s: f64,
    /// What the change starts from.
    pub base: Revision,
    /// What it leads to.
    pub head: Revision,
    /// Where it was measured; nothing if no process was run.
    pub environment: Option<Environment>,
    /// How it was run.
    pub options: Setup,
    /// The same program on both sides, if any program was run.
    pub control: Option<Finding>,
    /// Why the machine was unfit, if the control alarmed.
    pub unfit: Option<String>,
    /// What is known of the machine.
    pub calibration: Option<Calibration>,
    /// How it ended.
    pub outcome: Outcome,
    /// Of the command.
    pub exit_code: u8,
    /// What was found.
    pub cases: Vec<Finding>,
    /// The processes in the order in which they were run.
    pub order: Vec<Ran>,
}

/// How a gate with these findings ends.
pub fn outcome(found: &Conclusion, strict: bool) -> Outcome {
    let has = |wanted: &[Verdict]| {
        found.findings.iter().any(|finding| wanted.contains(&finding.judgement.verdict))
    };
    if has(&[Verdict::Regressed, Verdict::Broken]) {
        return Outcome::Failed;
    }
    if found.unfit.is_some() {
        return Outcome::Unfit;
    }
    if strict && has(&[Verdict::Undecided]) {
        return Outcome::Failed;
    }
    // Sizes and counts are always there; they must not make a gate pass that could run nothing.
    let is_judged = |finding: &Finding| {
        if finding.metric != Metric::Latency {
            return false;
        }
        let judged = [Verdict::Improved, Verdict::Equivalent, Verdict::Unaffected];
        judged.contains(&finding.judgement.verdict) || finding.judgement.p.is_some()
    };
    match found.findings.iter().any(is_judged) {
        true => Outcome::Passed,
        false => Outcome::Unjudged,
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::{Judgement, Processes};
    use super::*;

    #[track_caller]
    fn check(verdicts: &[Verdict], unfit: bool, strict: bool, expected: Outcome) {
        let finding = |verdict: &Verdict| {
            let none = Processes::default();
            Finding::new(
                Metric::Latency,
                Judgement::without_numbers("c", *verdict, None, none),
                None,
            )
        };
        let unfit = unfit.then(|| "noise".to_owned());
        let mut findings: Vec<_> = verdicts.iter().map(finding).collect();
        findings.push(Finding::exact(Metric::BinarySize, "suite s", [1.0, 1.0], 0.05));
        let found = Conclusion { findings, control: None, unfit };
        assert_eq!(outcome(&found, strict), expected);
    }

    #[test]
    fn what_is_bad_counts_most_and_silence_is_no_pass() {
        use Verdict::{Broken, Equivalent, Incomparable, Regressed, Unaffected, Undecided};
        check(&[Equivalent, Regressed], false, false, Outcome::Failed);
        check(&[Unaffected, Broken], true, false, Outcome::Failed);
        check(&[Equivalent, Undecided], false, false, Outcome::Passed);
        check(&[Equivalent, Undecided], false, true, Outcome::Failed);
        check(&[Equivalent, Undecided], true, true, Outcome::Unfit);
        check(&[Unaffected, Incomparable], false, false, Outcome::Passed);
        check(&[Undecided, Incomparable], false, false, Outcome::Unjudged);
        check(&[], false, false, Outcome::Unjudged);
    }
}
