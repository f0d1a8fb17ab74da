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
    method: &'static str,
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

    /// How it is answered, with the source.
    pub const fn method(self) -> &'static str {
        self.about().method
    }

    #[rustfmt::skip]
    const fn about(self) -> About {
        const fn vital(name: &'static str, reason: &'static str, weight: f64, measure: &'static str, method: &'static str) -> About {
            About { name, reason, weight, vital: true, measure, method }
        }
        const fn other(name: &'static str, reason: &'static str, weight: f64, measure: &'static str, method: &'static str) -> About {
            About { name, reason, weight, vital: false, measure, method }
        }
        match self {
            Self::Outputs => vital("outputs", "outputs-wrong", 15.0, "none", "outputs against references in f64 before anything is timed"),
            Self::Work => vital("work", "optimised-away", 12.0, "exponent of time over work", "slope of log time over log work; operations per second against a bound of the hardware"),
            Self::Clock => vital("clock", "too-short-for-the-clock", 10.0, "step of the clock by what is timed", "quantisation error of an interval timer (Lilja, 2000, section 6.1)"),
            Self::Busy => vital("busy", "sleeping", 8.0, "processors used", "processor time by wall time"),
            Self::Period => vital("period", "periodic", 6.0, "relative amplitude", "averaged periodograms against their neighbourhood (after Fisher, 1929)"),
            Self::Growth => vital("growth", "leaking", 6.0, "relative change", "change points of the course over all processes; it does not settle and each process begins anew"),
            Self::Drift => vital("drift", "drifting", 6.0, "relative change", "change points of the course over all processes; it settles, or stays in the next process"),
            Self::WarmUp => vital("warm-up", "warming-up", 8.0, "part of the samples before the steady state", "change points (Barrett et al., 2017)"),
            Self::Modes => vital("modes", "bimodal", 8.0, "relative distance", "excess mass, that is twice the dip (Mueller and Sawitzki, 1991; Hartigan and Hartigan, 1985)"),
            Self::Steady => vital("steady", "unsteady", 6.0, "part of the processes", "change points (Barrett et al., 2017)"),
            Self::Processes => other("processes", "processes-differ", 10.0, "relative half width of the interval of 95 %", "Student's t over the medians of processes (Kalibera and Jones, 2013)"),
            Self::Boots => other("boots", "boots-differ", 8.0, "relative range of medians", "Kruskal and Wallis, 1952"),
            Self::Days => other("days", "days-differ", 8.0, "relative range of medians", "Kruskal and Wallis, 1952"),
            Self::Order => other("order", "order-dependent", 4.0, "relative change from first to last", "Kendall, 1938; slope of Theil and Sen"),
            Self::Load => other("load", "load-dependent", 4.0, "relative change", "ratio of medians under an artificial load"),
            Self::Autocorrelation => other("autocorrelation", "autocorrelated", 3.0, "effective part of the samples", "Ljung and Box, 1978; initial positive sequence of Geyer, 1992"),
            Self::Outliers => other("outliers", "outliers", 3.0, "part of the samples", "adjusted boxplot with the medcouple (Hubert and Vandervieren, 2008)"),
        }
    }
}
