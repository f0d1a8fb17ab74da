//! What other tools measured: from the bytes that they wrote to results that say whose they are.
//!
//! `read` recognises a file by its content (`peek`) and gives it to the reader of its tool, one file each. Times come
//! as nanoseconds and throughputs per second (`unit`), beside what the tool wrote. `kept` keeps what was read, in files
//! of lines; how it gets into the database is `store`. All of it is marked claimed: a file cannot show that anything ran.

mod criterion;
mod device;
mod error;
mod figure;
mod go;
mod google;
mod hyperfine;
mod jmh;
pub mod kept;
mod mlperf;
mod onnx;
mod peek;
mod pytest;
mod pytorch;
mod tool;
mod trace;
mod unit;

pub use error::ImportError;
pub use kept::Imported;
pub use tool::Tool;

use jiff::Timestamp;
use proofmark::fingerprint::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest source that is read, in bytes.
pub const MAX_BYTES: u64 = 1 << 30;

/// One number of another tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Its name, as the tool writes it.
    pub benchmark: String,
    /// What was measured: `time`, `cpu_time`, `throughput`, …, or the tool's own word.
    pub metric: String,
    /// What the value is of the runs behind it: `mean`, `median`, `min`, `p99`, …
    pub statistic: String,
    /// `ns`, `1/s`, `B/s`, `B`, `1`, or the tool's own; null if the tool writes none.
    pub unit: Option<String>,
    /// In `unit`.
    pub value: f64,
    /// As it is written.
    pub raw_value: f64,
    /// As it is written.
    pub raw_unit: Option<String>,
    /// Runs behind the value, if the tool says so.
    pub runs: Option<u64>,
    /// In `unit`, where the tool wrote them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
    /// Of each sample its runs; empty if that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iterations: Vec<u64>,
    /// Where in the source it stands.
    pub place: String,
    /// What else the tool says of it: parameters, threads, validity, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// What a reader found in a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// The tool's version, if the source says it.
    pub(crate) version: Option<String>,
    /// When it was measured, if the source says it.
    pub(crate) measured_at: Option<Timestamp>,
    /// What the source says of where it was measured.
    pub(crate) details: BTreeMap<String, String>,
    /// The numbers.
    pub(crate) results: Vec<Measured>,
    /// What was left out, and what a reader of the numbers must know.
    pub(crate) remarks: Vec<String>,
}

/// A value that a reader takes: what, of which runs, in which unit, from where.
struct Taken<'a> {
    metric: &'a str,
    statistic: &'a str,
    raw: f64,
    raw_unit: Option<&'a str>,
    place: String,
}

impl Found {
    /// Takes a value, or says why not: a time that is negative means nothing, and neither does a number without a name.
    /// Gives the result for what else is known of it.
    fn take(&mut self, base: &Measured, taken: Taken<'_>) -> Option<&mut Measured> {
        let (unit, factor) = unit::ours(taken.raw_unit);
        let value = taken.raw * factor;
        let refused = match unit.as_deref() {
            _ if !value.is_finite() => "is not finite",
            _ if taken.metric.is_empty() || taken.statistic.is_empty() => "has no name",
            Some(unit) if value < 0.0 && unit::is_never_negative(unit) => "is negative",
            _ => {
                self.results.push(Measured {
                    metric: taken.metric.to_owned(),
                    statistic: taken.statistic.to_owned(),
                    unit,
                    value,
                    raw_value: taken.raw,
                    raw_unit: taken.raw_unit.map(str::to_owned),
                    place: taken.place,
                    ..base.clone()
                });
                return self.results.last_mut();
            }
        };
        self.remarks.push(format!("{}: {} {refused} and was left out", taken.place, taken.raw));
        None
    }
}

impl Found {
    /// Leaves out samples of which one means nothing; the value beside them stays.
    fn check_samples(&mut self) {
        for one in &mut self.results {
            let never_negative = one.unit.as_deref().is_some_and(unit::is_never_negative);
            let means_nothing =
                |sample: &&f64| !sample.is_finite() || (never_negative && **sample < 0.0);
            if let Some(sample) = one.samples.iter().find(means_nothing) {
                self.remarks.push(format!(
                    "{}: a sample is {sample}, so all of them were left out",
                    one.place
                ));
                one.samples.clear();
                one.iterations.clear();
            }
        }
    }
}

/// How a source is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The tool that wrote it; recognised by its content if it is not given.
    pub tool: Option<Tool>,
    /// Its version, for tools that do not write it.
    pub tool_version: Option<String>,
    /// The device that a tool of devices asked, where the source does not say it.
    pub device: Option<String>,
}

/// A source: a file, or what criterion writes of one benchmark.
#[derive(Clone, Debug)]
pub enum Source {
    /// The bytes of a file.
    File(Vec<u8>),
    /// Criterion's files of a benchmark.
    Criterion(criterion::Files),
}

pub use criterion::Files as CriterionFiles;

impl Source {
    /// SHA-256 over the bytes.
    pub fn id(&self) -> String {
        match self {
            Self::File(bytes) => digest(bytes),
            Self::Criterion(files) => files.id(),
        }
    }
}

/// Reads a source. `name` is what people call it, `now` when it is imported.
///
/// # Errors
/// No tool that is known here wrote it, it is damaged, or there is no result in it.
pub fn read(
    name: &str,
    source: Source,
    options: &Options,
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let id = source.id();
    let (tool, mut found) = match source {
        Source::Criterion(files) => (Tool::Criterion, criterion::read(&files)?),
        Source::File(mut bytes) => {
            let tool = match options.tool {
                Some(tool) => tool,
                None => peek::tool(&bytes)?,
            };
            (tool, of(tool, &mut bytes)?)
        }
    };
    // What a device can do is told without a number.
    if found.results.is_empty() && (!tool.is_of_device() || found.details.is_empty()) {
        return Err(ImportError::Empty { tool, remarks: found.remarks });
    }
    if tool.is_of_device() {
        tell_device(&mut found, options.device.as_deref());
    }
    found.check_samples();
    Ok(Imported::new(id, name, tool, found, options.tool_version.clone(), now))
}

/// The device that the source names is more than one that somebody gives.
fn tell_device(found: &mut Found, given: Option<&str>) {
    let Some(given) = given else { return };
    let known = found.details.entry(device::DEVICE.to_owned()).or_insert_with(|| given.to_owned());
    if known != given {
        found
            .remarks
            .push(format!("the source says that it is {known}, so --device {given} was not taken"));
    }
}

fn of(tool: Tool, bytes: &mut [u8]) -> Result<Found, ImportError> {
    match tool {
        Tool::Criterion => Err(ImportError::Part),
        Tool::Hyperfine => hyperfine::read(figure::strict(bytes)),
        Tool::GoogleBenchmark => google::read(figure::strict(bytes)),
        Tool::PytestBenchmark => pytest::read(figure::strict(bytes)),
        Tool::Jmh => jmh::read(figure::strict(bytes)),
        Tool::Go => go::read(bytes),
        Tool::Mlperf => mlperf::read(bytes),
        Tool::OnnxRuntime => onnx::read(bytes),
        Tool::Pytorch => pytorch::read(bytes),
        Tool::Dumpsys => device::dumpsys::read(bytes),
        Tool::Getprop => device::getprop::read(bytes),
        Tool::Powermetrics => device::powermetrics::read(bytes),
        Tool::NvidiaSmi => device::nvidia::read(bytes),
        Tool::Perfetto => device::perfetto::read(bytes),
    }
}

#[cfg(test)]
mod tests;
