//! A check: one question about a benchmark, how it was answered, and what the answer counts.

use serde::{Deserialize, Serialize};

/// The questions, in the order in which they give the reason of a bad mark: what makes all else meaningless first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Are the outputs right?
    Outputs,
    /// Does time grow with work, and is it possible at all?
    Work,
    /// Is what is timed long for the clock?
    Clock,
    /// Does it compute, or does it sleep?
    Busy,
    /// Do times come back with a period?
    Period,
    /// Does it get slower without end, from the same start in each process?
    Growth,
    /// Does it get slower until it has settled, and does the next process begin there?
    Drift,
    /// Does it get faster, and still does when measuring begins?
    WarmUp,
    /// Does it stay at a level?
    Steady,
    /// Has it one level, or two?
    Modes,
    /// Do boots agree?
    Boots,
    /// Do days agree?
    Days,
    /// Do processes agree?
    Processes,
    /// Does the order of processes matter?
    Order,
    /// What does a loaded machine do to it?
    Load,
    /// How much does one sample say about the next?
    Autocorrelation,
    /// How many samples are far from all others?
    Outliers,
}

/// How a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Well.
    Pass,
    /// Not well; told beside the numbers.
    Warn,
    /// Badly: the numbers cannot be used.
    Fail,
    /// It could not be answered. That is never well.
    Unknown,
    /// It cannot be asked of this benchmark.
    Inapplicable,
}

impl Status {
    /// The status as it stands in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Unknown => "unknown",
            Self::Inapplicable => "n/a",
        }
    }

    /// The part of its weight that an answer earns; nothing where it does not count.
    pub const fn credit(self) -> Option<f64> {
        match self {
            Self::Pass => Some(1.0),
            Self::Warn => Some(0.5),
            Self::Fail | Self::Unknown => Some(0.0),
            Self::Inapplicable => None,
        }
    }
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub part: Part,
    /// The answer.
    pub status: Status,
    /// What it counts in the score.
    pub weight: f64,
    /// Whether numbers that fail it mean something else than they say.
    pub vital: bool,
    /// What was measured; its unit is in [`Part::measure`].
    pub value: Option<f64>,
    /// Beyond this it fails; where it can only warn, beyond this it warns.
    pub limit: Option<f64>,
    /// The answer as a sentence.
    pub says: String,
}

impl Check {
    /// An answer with what was measured.
    pub(super) fn new(part: Part, status: Status, value: f64, limit: f64, says: String) -> Self {
        let (value, limit) = (Some(value), Some(limit));
        Self { value, limit, ..Self::plain(part, status, says) }
    }

    /// An answer without a number.
    pub(super) fn plain(part: Part, status: Status, says: impl Into<String>) -> Self {
        let (weight, vital, says) = (part.weight(), part.vital(), says.into());
        Self { part, status, weight, vital, value: None, limit: None, says }
    }

    /// No answer, and what it would take.
    pub(super) fn unknown(part: Part, says: impl Into<String>) -> Self {
        Self::plain(part, Status::Unknown, says)
    }

    /// A value that passes up to one limit and fails beyond another.
    pub(super) fn graded(part: Part, value: f64, limits: [f64; 2], says: String) -> Self {
        let [warn, fail] = limits;
        let status = match value {
            v if v > fail => Status::Fail,
            v if v > warn => Status::Warn,
            _ => Status::Pass,
        };
        Self::new(part, status, value, fail, says)
    }
}

/// Everything about a question that does not depend on the benchmark.
struct About {
    name: &'static str,
    reason: &'static str,
    weight: f64,
    vital: bool,
    measure: &'static str,
}

impl Part {
    /// All, in order.
    pub const ALL: [Self; 17] = [
        Self::Outputs,
        Self::Work,
        Self::Clock,
        Self::Busy,
        Self::Period,
        Self::Growth,
        Self::Drift,
        Self::WarmUp,
        Self::Steady,
        Self::Modes,
        Self::Boots,
        Self::Days,
        Self::Processes,
        Self::Order,
        Self::Load,
        Self::Autocorrelation,
        Self::Outliers,
    ];

    /// The name of the check.
    pub const fn name(self) -> &'static str {
        self.about().name
    }

    /// The one word for what is wrong where it fails.
    pub const fn reason(self) -> &'static str {
        self.about().reason
    }

    /// What it counts in the score.
    pub const fn weight(self) -> f64 {
        self.about().weight
    }

    /// Whether numbers that fail it mean something else than they say.
    pub const fn vital(self) -> bool {
        self.about().vital
    }

    /// What its value is, with its unit.
    pub const fn measure(self) -> &'static str {
        self.about().measure
    }

    const fn about(self) -> About {
        const fn of(
            vital: bool,
            name: &'static str,
            reason: &'static str,
            weight: f64,
            measure: &'static str,
        ) -> About {
            About { name, reason, weight, vital, measure }
        }
        let change = "relative change";
        let range = "relative range of medians";
        match self {
            Self::Outputs => of(true, "outputs", "outputs-wrong", 15.0, "none"),
            Self::Work => of(true, "work", "optimised-away", 12.0, "exponent of time over work"),
            Self::Clock => {
                of(true, "clock", "too-short-for-the-clock", 10.0, "step by what is timed")
            }
            Self::Busy => of(true, "busy", "sleeping", 8.0, "processors used"),
            Self::Period => of(true, "period", "periodic", 6.0, "relative amplitude"),
            Self::Growth => of(true, "growth", "leaking", 6.0, change),
            Self::Drift => of(true, "drift", "drifting", 6.0, change),
            Self::WarmUp => of(true, "warm-up", "warming-up", 8.0, "part of the samples before"),
            Self::Steady => of(true, "steady", "unsteady", 6.0, "part of the processes"),
            Self::Modes => of(true, "modes", "bimodal", 8.0, "relative distance"),
            Self::Boots => of(false, "boots", "boots-differ", 8.0, range),
            Self::Days => of(false, "days", "days-differ", 8.0, range),
            Self::Processes => {
                of(false, "processes", "processes-differ", 10.0, "half of the interval, relative")
            }
            Self::Order => of(false, "order", "order-dependent", 4.0, change),
            Self::Load => of(false, "load", "load-dependent", 4.0, change),
            Self::Autocorrelation => {
                of(false, "autocorrelation", "autocorrelated", 3.0, "effective part of the samples")
            }
            Self::Outliers => of(false, "outliers", "outliers", 3.0, "part of the samples"),
        }
    }
}
