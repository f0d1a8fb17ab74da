//! What a gate compares besides the latency, and the verdicts that need no statistics: counts, sizes, errors.

use super::case::{Case, Sides};
use super::judge::{Family, Judgement, Options, Processes, Verdict, judge};
use super::level::Process;
use crate::stats::median;
use proofmark::Mark;
use proofmark::record::{OutputCheck, Record};
use serde::Serialize;

/// Memory and sizes matter above this, however small the minimal effect of latencies is.
pub const SIZE_MIN_EFFECT: f64 = 0.05;
/// An error matters when it eats so much more of its tolerance.
pub const ERROR_SHARE: f64 = 0.1;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Of one run.
    Latency,
    /// The most that was resident.
    PeakMemory,
    /// Floating-point operations of one run, computed from the graph.
    Operations,
    /// Bytes that one run must at least move, computed from the graph.
    Bytes,
    /// Steps that the device timed in one run.
    Dispatches,
    /// Instructions of one run on one thread, counted by valgrind.
    Instructions,
    /// The largest error of an output, as a part of its tolerance.
    Accuracy,
    /// The program of a suite.
    BinarySize,
    /// Building the program of a suite, its dependencies being there.
    CompileTime,
}

impl Metric {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::PeakMemory => "peak-memory",
            Self::Operations => "operations",
            Self::Bytes => "bytes",
            Self::Dispatches => "dispatches",
            Self::Instructions => "instructions",
            Self::Accuracy => "accuracy",
            Self::BinarySize => "binary-size",
            Self::CompileTime => "compile-time",
        }
    }

    /// The unit of its values.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Latency => "ns",
            Self::CompileTime => "s",
            Self::PeakMemory | Self::Bytes | Self::BinarySize => "bytes",
            Self::Operations | Self::Dispatches | Self::Instructions => "",
            Self::Accuracy => "of tolerance",
        }
    }
}

/// A verdict about one metric of one case, or of one suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What was compared.
    pub metric: Metric,
    /// What both values prove; nothing where there are none.
    pub mark: Option<Mark>,
    /// What is said, with its numbers.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The parts of the fingerprint that differ.
    pub changed: Vec<String>,
    /// The base's value: the median over its processes where there are several.
    pub base_value: Option<f64>,
    /// The head's value.
    pub head_value: Option<f64>,
    /// Of both values.
    pub unit: &'static str,
}

impl Finding {
    /// A judgement with the values that it compares.
    pub fn new(metric: Metric, judgement: Judgement, values: Option<[f64; 2]>) -> Self {
        let [base_value, head_value] = [values.map(|v| v[0]), values.map(|v| v[1])];
        let unit = metric.unit();
        Self { metric, mark: None, judgement, changed: Vec::new(), base_value, head_value, unit }
    }

    /// The same with this mark of its values.
    #[must_use]
    pub fn marked(self, mark: Option<Mark>) -> Self {
        Self { mark, ..self }
    }

    /// A verdict about two exact values: what differs by more than `min_effect` has changed.
    pub fn exact(metric: Metric, id: &str, [base, head]: [f64; 2], min_effect: f64) -> Self {
        let verdict = match () {
            () if head > base * (1.0 + min_effect) => Verdict::Regressed,
            () if head < base * (1.0 - min_effect) => Verdict::Improved,
            () => Verdict::Equivalent,
        };
        let effect = if base == head { 0.0 } else { head / base - 1.0 };
        let effect = effect.is_finite().then_some(effect);
        let mut judgement =
            Judgement::without_numbers(id, verdict, None, Processes { base: 1, head: 1 });
        (judgement.effect, judgement.low, judgement.high) = (effect, effect, effect);
        Self::new(metric, judgement, Some([base, head]))
    }
}

/// A verdict about building times in seconds, by the smallest design that can alarm.
pub fn compile_time(id: &str, base_s: &[f64], head_s: &[f64], options: &Options) -> Finding {
    let side = |times: &[f64]| times.iter().filter_map(|time| Process::new(&[*time])).collect();
    let sides = Sides { base: side(base_s), head: side(head_s) };
    let min_effect = options.min_effect.max(SIZE_MIN_EFFECT);
    let options = Options { min_effect, family: Family::None, ..*options };
    let judged = judge(&[Case { id: id.to_owned(), sides: Ok(sides) }], &options).pop();
    let judgement = judged.unwrap_or_else(|| {
        Judgement::without_numbers(id, Verdict::Undecided, None, Processes::default())
    });
    let values = median(base_s).zip(median(head_s)).map(|(base, head)| [base, head]);
    Finding::new(Metric::CompileTime, judgement, values).marked(Some(Mark::Real))
}

/// The exact metrics of a case, from a passed record of each side.
pub fn exact_findings(base: &Record, head: &Record, min_effect: f64) -> Vec<Finding> {
    let id = head.case.to_string();
    #[expect(clippy::cast_precision_loss, reason = "counts are shown with three digits")]
    let float = |value: Option<u64>| value.map(|value| value as f64);
    let dispatches =
        |record: &Record| Some(record.op_times.len() as u64).filter(|count| *count > 0);
    let counts = [
        (Metric::Operations, base.metrics.operations_per_run, head.metrics.operations_per_run),
        (Metric::Bytes, base.metrics.bytes_per_run, head.metrics.bytes_per_run),
        (Metric::Dispatches, dispatches(base), dispatches(head)),
    ];
    let counts = counts.into_iter().filter_map(|(metric, base, head)| {
        Some(Finding::exact(metric, &id, [float(base)?, float(head)?], min_effect))
    });
    counts.chain(accuracy(&id, &base.outputs, &head.outputs)).collect()
}

fn accuracy(id: &str, base: &[OutputCheck], head: &[OutputCheck]) -> Option<Finding> {
    let share = |outputs: &[OutputCheck]| {
        let shares = outputs.iter().map(|o| o.error.map(|error| error / o.tolerance));
        shares.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
    };
    let [base, head] = [share(base)?, share(head)?];
    let mut finding = Finding::exact(Metric::Accuracy, id, [base, head], 0.0);
    finding.judgement.verdict = match head - base {
        more if more > ERROR_SHARE => Verdict::Regressed,
        more if more < -ERROR_SHARE => Verdict::Improved,
        _ => Verdict::Equivalent,
    };
    Some(finding)
}

/// Why the outputs of the head are not those of the base, if they are not: another name, shape or value.
/// Both agree with references; a reference of other numbers is another function.
pub fn other_outputs(base: &[OutputCheck], head: &[OutputCheck]) -> Option<String> {
    let names = |outputs: &[OutputCheck]| {
        outputs.iter().map(|o| format!("{} {:?}", o.name, o.shape)).collect::<Vec<_>>().join(", ")
    };
    let (old, new) = (names(base), names(head));
    if old != new {
        return Some(format!("its outputs are {new} and were {old}"));
    }
    let mut pairs = base.iter().zip(head);
    let (old, new) = pairs.find(|(old, new)| old.summary != new.summary)?;
    Some(format!(
        "its output {} differs: {} and was {}",
        new.name,
        new.summary.trim(),
        old.summary.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(error: f64, summary: &str, shape: &[usize]) -> OutputCheck {
        let (name, summary) = ("y".into(), summary.into());
        OutputCheck { name, shape: shape.into(), error: Some(error), tolerance: 1e-3, summary }
    }

    #[test]
    fn counts_are_exact_and_small_changes_do_not_matter() {
        let verdict = |base: f64, head: f64| {
            Finding::exact(Metric::Operations, "c", [base, head], 0.01).judgement.verdict
        };
        assert_eq!(verdict(100.0, 100.0), Verdict::Equivalent);
        assert_eq!(verdict(100.0, 101.0), Verdict::Equivalent);
        assert_eq!(verdict(100.0, 102.0), Verdict::Regressed);
        assert_eq!(verdict(100.0, 98.0), Verdict::Improved);
        assert_eq!(verdict(0.0, 0.0), Verdict::Equivalent);
        assert_eq!(verdict(0.0, 5.0), Verdict::Regressed);
    }

    #[test]
    fn an_error_matters_when_it_eats_its_tolerance() {
        let verdict = |base: f64, head: f64| {
            let [base, head] = [base, head].map(|error| [output(error, "", &[1])]);
            accuracy("c", &base, &head).unwrap().judgement.verdict
        };
        assert_eq!(verdict(1e-7, 9e-7), Verdict::Equivalent);
        assert_eq!(verdict(1e-7, 3e-4), Verdict::Regressed);
        assert_eq!(verdict(3e-4, 1e-7), Verdict::Improved);
    }

    #[test]
    fn outputs_differ_by_name_shape_or_value() {
        let base = [output(1e-7, "mean 1", &[2])];
        assert_eq!(other_outputs(&base, &[output(5e-7, "mean 1", &[2])]), None);
        let reason = other_outputs(&base, &[output(1e-7, "mean 2", &[2])]).unwrap();
        assert!(reason.contains("output y differs: mean 2 and was mean 1"), "{reason}");
        let reason = other_outputs(&base, &[output(1e-7, "mean 1", &[3])]).unwrap();
        assert!(reason.contains("y [3] and were y [2]"), "{reason}");
        assert!(other_outputs(&base, &[]).is_some());
    }
}
