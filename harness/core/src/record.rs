//! Records: what one run of one case left behind, and what one probe found. One JSON object per line.
//!
//! How they are written and read is in `journal`; what is done with them is the `proofmark-lab` crate.

use crate::case::CaseId;
use crate::finding::Finding;
use crate::fingerprint::Fingerprint;
use crate::mark::Mark;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format below. A reader refuses a newer one and reads all older ones.
/// Since 2 a record may have fallbacks, without which its numbers would say something else. Since 3 a line ends with a
/// checksum, without which it is damaged.
pub const FORMAT: u32 = 3;

/// The suite of made-up records that only try reports out. Whatever shows a number of it says so beside its mark.
pub const FIXTURE: &str = "fixture";

/// One line of a record file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "lines are handled one at a time")]
pub enum Line {
    /// A case ran, or was skipped.
    Result(Record),
    /// An endpoint was probed.
    Probe(Probe),
}

/// Why a case was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To check its outputs.
    Test,
    /// To check its outputs and then to time it.
    Measure,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All outputs are within their tolerance.
    Passed,
    /// An output is wrong, or the device said no.
    Failed,
    /// Killed at its timeout.
    TimedOut,
    /// The process ended without an answer.
    Crashed,
    /// Not run; the message says why.
    Skipped,
}

impl Outcome {
    /// The outcome as it stands in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Crashed => "crashed",
            Self::Skipped => "skipped",
        }
    }
}

/// The opened device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// What its numbers prove.
    pub mark: Mark,
    /// The adapter's own name.
    pub adapter: String,
    /// The driver and its version.
    pub driver: String,
    /// What else is known of where it ran, by name: browser, engine, versions, flags, what the adapter says,
    /// resolution of the clock, digests of page and shaders, evidence for the mark.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl DeviceFacts {
    /// A device of which no more is known.
    pub fn new(mark: Mark, adapter: impl Into<String>, driver: impl Into<String>) -> Self {
        let (adapter, driver) = (adapter.into(), driver.into());
        Self { mark, adapter, driver, details: BTreeMap::new() }
    }
}

/// An op that did not run on the opened device but elsewhere. Its record is never ranked beside one without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The op, and the weight that it uses where it uses one.
    pub op: String,
    /// Why the device could not do it.
    pub why: String,
    /// Where it ran: an endpoint, or the part of the program that did it.
    pub to: String,
}

/// The raw samples of the measured phase: `latency_ns[i]` is the mean over `iterations[i]` runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Latency of one run, in nanoseconds, per sample.
    pub latency_ns: Vec<f64>,
    /// Runs per sample.
    pub iterations: Vec<u64>,
    /// What is left of samples that were dropped since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// What samples said that were dropped when they had become old. Latencies are those of one run, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many samples there were.
    pub samples: u64,
    /// Runs of all samples together.
    pub runs: u64,
    /// What all runs took.
    pub total_ns: f64,
    /// The smallest sample.
    pub latency_ns_min: f64,
    /// The median of the samples.
    pub latency_ns_median: f64,
    /// Their 95th percentile.
    pub latency_ns_p95: f64,
    /// The largest sample.
    pub latency_ns_max: f64,
    /// Median absolute deviation, as that of a normal distribution, over the median; null where the median is zero.
    pub relative_noise: Option<f64>,
}

impl Samples {
    /// Latencies in nanoseconds, each over as many runs.
    pub fn new(latency_ns: Vec<f64>, iterations: Vec<u64>) -> Self {
        Self { latency_ns, iterations, summary: None }
    }

    /// Whether anything was timed.
    pub fn is_empty(&self) -> bool {
        self.latency_ns.is_empty() && self.summary.is_none()
    }

    /// What of them cannot be, if anything.
    fn fault(&self) -> Option<String> {
        if self.latency_ns.len() != self.iterations.len() {
            return Some("has samples and iterations of different lengths".into());
        }
        if self.latency_ns.iter().any(|latency| !(latency.is_finite() && *latency >= 0.0)) {
            return Some("has a latency that is not a length of time".into());
        }
        if let Some(summary) = &self.summary {
            if !self.latency_ns.is_empty() {
                return Some("has samples beside the summary of dropped ones".into());
            }
            if !summary.is_sound() {
                return Some("has a summary that no samples have".into());
            }
        }
        (!samples_fit(&self.latency_ns, &self.iterations))
            .then(|| "has latencies that are longer than any time".into())
    }
}

impl Summary {
    /// Whether samples can have it.
    pub(crate) fn is_sound(&self) -> bool {
        let in_order = [
            0.0,
            self.latency_ns_min,
            self.latency_ns_median,
            self.latency_ns_p95,
            self.latency_ns_max,
            f64::MAX / 1e3,
        ];
        let is_noise = |noise: f64| noise >= 0.0 && noise.is_finite();
        self.samples > 0
            && in_order.is_sorted()
            && in_order.iter().all(|value| value.is_finite())
            && (0.0..=f64::MAX / 1e3).contains(&self.total_ns)
            && self.relative_noise.is_none_or(is_noise)
    }
}

/// Whether all that is made of samples is a number: they take at most a thousandth of what a float can hold.
#[expect(clippy::cast_precision_loss, reason = "only whether it is finite matters")]
pub(crate) fn samples_fit(latency_ns: &[f64], iterations: &[u64]) -> bool {
    let runs = latency_ns.iter().zip(iterations);
    let total: f64 = runs.map(|(latency, &runs)| latency * (runs as f64).max(1.0)).sum();
    total <= f64::MAX / 1e3
}

/// What is known of a run besides its samples. Absent values were not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Opening the device and reading the weights.
    pub load_ns: Option<u64>,
    /// Preparing the graph: packing, compiling, uploading.
    pub compile_ns: Option<u64>,
    /// The first run after that.
    pub first_run_ns: Option<u64>,
    /// The most memory that was resident, in bytes: of the process that ran the case, or what the session tells
    /// where the work is done in other processes.
    pub peak_memory_bytes: Option<u64>,
    /// Examples that one run processes: the batch.
    pub items_per_run: Option<u64>,
    /// Floating-point operations of one run.
    pub operations_per_run: Option<u64>,
    /// Bytes that one run must at least move.
    pub bytes_per_run: Option<u64>,
    /// Nanoseconds by stage of what happens before the measured phase, where the endpoint has stages of its own:
    /// start of a browser, its page, weights, compilation. They may overlap with the times above, which they
    /// explain, and are not added to them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<String, u64>,
    /// What is known of the measured phase besides its samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// What the system told meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

/// What is known of a measured phase besides its samples: whether they can be trusted is judged from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Nanoseconds that passed while the samples were taken, with what lies between readings of the clock.
    pub wall_ns: u64,
    /// Processor time of the process meanwhile, in nanoseconds, of all its threads.
    pub cpu_ns: u64,
    /// The shortest time in nanoseconds that the clock of this process tells.
    pub clock_step_ns: u64,
    /// Processes that were ready to run before the device was opened, besides this one, by processor; nothing where
    /// the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
}

/// What the system told between the samples of a measured phase, by names that end in their units; without one, the
/// unit is 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// Nanoseconds between the first reading and the last.
    pub over_ns: u64,
    /// Readings over time: memory of the process (`process.resident_bytes`) and of the system
    /// (`system.available_bytes`), the busy part of all processors (`system.utilisation`), their mean frequency
    /// (`system.frequency_hz`), the hottest zone (`system.temperature_celsius`), power by rail (`power.RAIL_w`).
    pub series: BTreeMap<String, Series>,
    /// By how much counters of the process rose: minor and major page faults, voluntary and involuntary switches of
    /// context.
    pub counters: BTreeMap<String, u64>,
    /// What was not told, and why.
    pub absent: BTreeMap<String, String>,
}

impl Telemetry {
    /// What of it cannot be, if anything.
    fn fault(&self) -> Option<String> {
        let is_temperature = |name: &str| name.ends_with("_celsius");
        self.series.iter().find_map(|(name, series)| {
            if name.is_empty() {
                return Some("has readings of nothing".into());
            }
            if series.at_ns.len() != series.values.len() {
                return Some(format!("has readings and times of {name} of different lengths"));
            }
            let is_less =
                |value: &f64| !(value.is_finite() && (*value >= 0.0 || is_temperature(name)));
            series
                .values
                .iter()
                .any(is_less)
                .then(|| format!("has a reading of {name} that cannot be"))
        })
    }
}

/// Values over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// When each was read, in nanoseconds from the first reading on.
    pub at_ns: Vec<u64>,
    /// What was read.
    pub values: Vec<f64>,
}

/// Device time of one op in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpTime {
    /// The op, and the weight it uses where it uses one.
    pub name: String,
    /// Time on the device, in nanoseconds.
    pub time_ns: u64,
}

/// One output compared with its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputCheck {
    /// The output's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The largest error, relative to the largest magnitude of the reference; null if not finite.
    pub error: Option<f64>,
    /// The largest error that passes, in the same unit.
    pub tolerance: f64,
    /// Rounded summary and digest, as it is snapshotted.
    pub summary: String,
}

impl OutputCheck {
    /// What of it cannot be, if anything.
    fn fault(&self) -> Option<String> {
        let is_size = |value: f64| value.is_finite() && value >= 0.0;
        if !self.error.is_none_or(is_size) {
            return Some("has an output with an error below zero or beyond numbers".into());
        }
        (!is_size(self.tolerance)).then(|| "has an output with a tolerance below zero".into())
    }

    /// Whether the output is right. An error that is not a number is not.
    pub fn passes(&self) -> bool {
        self.error.is_some_and(|error| error <= self.tolerance)
    }
}

/// Where a run took place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// A key of the machine that does not change between boots.
    pub machine: String,
    /// Operating system and architecture: `linux-x86_64`.
    pub platform: String,
    /// The processor's model name.
    pub cpu: String,
    /// Logical processors that the process may use.
    pub threads: usize,
    /// Memory of the machine in bytes.
    pub memory_bytes: u64,
    /// `rustc -V` of the suite.
    pub rustc: String,
    /// Optimisation of the suite: `release`, `debug`.
    pub profile: String,
    /// The commit of the workspace, with `-dirty` if files differ; empty outside git.
    pub commit: String,
    /// What tells this boot of the machine from others; empty where the system does not tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub boot: String,
}

/// What one run of one case left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Unique among all records.
    pub id: String,
    /// The invocation that this run belongs to; runs of one process share it.
    pub run: String,
    /// When the run ended.
    pub recorded_at: Timestamp,
    /// The suite's name.
    pub suite: String,
    /// The case.
    pub case: CaseId,
    /// Why it was run.
    pub purpose: Purpose,
    /// How it ended.
    pub outcome: Outcome,
    /// What its numbers prove; null only for a run that opened no device and so has no numbers.
    pub mark: Option<Mark>,
    /// The opened device, if one was opened.
    pub device: Option<DeviceFacts>,
    /// Why it did not pass.
    pub message: Option<String>,
    /// Raw samples; empty unless it was measured.
    pub samples: Samples,
    /// Everything else that was measured.
    pub metrics: Metrics,
    /// Device time per op, where the device can tell.
    pub op_times: Vec<OpTime>,
    /// Ops that ran elsewhere than on the device, which is only possible where the user allowed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    /// The outputs against their references.
    pub outputs: Vec<OutputCheck>,
    /// Where it ran.
    pub environment: Environment,
    /// What it depends on.
    pub fingerprint: Fingerprint,
}

impl Record {
    /// What of it cannot be, if anything: numbers without a mark, which no record may hold, a mark that no run has,
    /// a time that is none.
    pub fn fault(&self) -> Option<String> {
        if self.format > FORMAT {
            return Some(format!(
                "is of format {}, this version reads up to {FORMAT}: use a newer Proofmark",
                self.format
            ));
        }
        fault_of_names(&[("id", &self.id), ("run", &self.run), ("suite", &self.suite)])
            .or_else(|| self.fault_of_mark())
            .or_else(|| self.samples.fault())
            .or_else(|| self.metrics.telemetry.as_ref().and_then(Telemetry::fault))
            .or_else(|| self.outputs.iter().find_map(OutputCheck::fault))
    }

    fn fault_of_mark(&self) -> Option<String> {
        let numbers = !self.samples.is_empty()
            || !self.outputs.is_empty()
            || !self.op_times.is_empty()
            || !self.fallbacks.is_empty()
            || self.metrics != Metrics::default();
        if self.mark != self.device.as_ref().map(|device| device.mark) {
            return Some("has a mark that is not the one of its device".into());
        }
        if self.mark.is_none() && (numbers || self.outcome == Outcome::Passed) {
            return Some("has numbers or a pass, but no mark".into());
        }
        self.mark.and_then(fault_of_run)
    }
}

/// Why nothing that took place can have this mark, if so.
fn fault_of_run(mark: Mark) -> Option<String> {
    match mark {
        Mark::Real | Mark::Software => None,
        Mark::Simulated => Some("is marked simulated, and a prediction is no run".into()),
        Mark::Claimed => Some("is marked claimed, and what others say is no run".into()),
    }
}

fn fault_of_names(names: &[(&str, &str)]) -> Option<String> {
    let (what, _) = names.iter().find(|(_, name)| name.is_empty())?;
    Some(format!("has an empty {what}"))
}

/// What one probe of one endpoint found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Unique among all lines.
    pub id: String,
    /// When it was probed.
    pub recorded_at: Timestamp,
    /// The suite that probed.
    pub suite: String,
    /// The machine.
    pub machine: String,
    /// What was found.
    pub finding: Finding,
}

impl Probe {
    /// What of it cannot be, if anything.
    pub fn fault(&self) -> Option<String> {
        fault_of_names(&[("id", &self.id), ("suite", &self.suite)])
            .or_else(|| self.finding.mark.and_then(fault_of_run))
    }
}
