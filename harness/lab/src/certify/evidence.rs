//! What is known of a benchmark: its processes, and what was known of each while it ran.
//!
//! Where it comes from is `input` (a file) and `records` (record files); what is made of it are the checks.

use crate::stats::median;

/// Whether what was timed computes the right thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outputs {
    /// Nobody said.
    #[default]
    Unknown,
    /// Every output was compared with its reference before anything was timed.
    Verified,
    /// A run of the same code failed; why.
    Wrong(String),
}

/// One process: its samples, and what was known of it. What is absent was not recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Time of one run in seconds, per sample, in the order in which they were taken; positive and finite.
    pub samples_s: Vec<f64>,
    /// How long the clock ran between two readings, in seconds; where it is absent, a sample at least.
    pub interval_s: Option<f64>,
    /// Processors that it kept busy, on average: its processor time by the time that passed.
    pub processors_used: Option<f64>,
    /// What tells this boot of the machine from others.
    pub boot: Option<String>,
    /// The day (UTC) on which it ran.
    pub day: Option<String>,
    /// Processes that were ready to run just before it began, by processor.
    pub load: Option<f64>,
}

/// The same code with another amount of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaled {
    /// Operations of a run, in the unit of [`Benchmark::work`].
    pub work: f64,
    /// Time of one run in seconds, per sample, per process.
    pub processes_s: Vec<Vec<f64>>,
}

/// All that is known of a benchmark.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Benchmark {
    /// Its name.
    pub id: String,
    /// Independent processes, in the order in which they ran.
    pub processes: Vec<Process>,
    /// Processes that ran while the machine was loaded on purpose.
    pub loaded: Vec<Process>,
    /// Operations of a run.
    pub work: Option<f64>,
    /// The same code with other amounts of work.
    pub scaling: Vec<Scaled>,
    /// Operations per second that nothing reaches on what it ran on.
    pub peak_work_per_s: Option<f64>,
    /// The smallest step of the clock, in seconds.
    pub clock_step_s: Option<f64>,
    /// Whether its outputs are right.
    pub outputs: Outputs,
    /// The work is done elsewhere than in the processors of the process, which waits meanwhile.
    pub waits_for_device: bool,
}

/// More processes than this that want to run besides a measured one, by processor, are a crowded machine.
const CROWDED: f64 = 0.75;

impl Benchmark {
    /// How many other processes wanted to run, by processor, if these were enough to disturb it.
    pub(super) fn crowd(&self) -> Option<f64> {
        let known: Vec<f64> = self.processes.iter().filter_map(|process| process.load).collect();
        median(&known).filter(|load| *load > CROWDED)
    }
}

impl Process {
    /// A process of which only the samples are known, in seconds.
    pub fn of(samples_s: Vec<f64>) -> Self {
        Self { samples_s, ..Self::default() }
    }

    /// Natural logarithms of the samples in seconds, so that differences are relative.
    pub(super) fn logs(&self) -> Vec<f64> {
        self.samples_s.iter().map(|seconds| seconds.ln()).collect()
    }

    /// What it has in common with the processes that it can be compared with in order: boot and day.
    pub(super) fn session(&self) -> (Option<&str>, Option<&str>) {
        (self.boot.as_deref(), self.day.as_deref())
    }
}
