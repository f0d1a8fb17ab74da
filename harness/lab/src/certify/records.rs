//! What records say of a case, as evidence. Which records there are is the caller's business.

use super::certificate::Evidence;
use super::evidence::{Benchmark, Outputs, Process, Scaled};
use proofmark::record::{Outcome, Purpose, Record};
use proofmark::{CaseId, Endpoint, Mark};
use std::collections::BTreeMap;

/// A device whose `details` say this of `work` computes elsewhere than in the processors of the case's process.
pub const ELSEWHERE: (&str, &str) = ("work", "elsewhere");
/// The detail of a device's clock that is coarser than the process's own, in microseconds.
const RESOLUTION: &str = "clock-resolution-us";
/// Operations that one processor can do in a second at the very most: two 512-bit multiply-adds of f32 per cycle, at
/// 6 GHz. Tiles for narrower formats do more.
const PROCESSOR: f64 = 64.0 * 6e9;
const PROCESSOR_NARROW: f64 = 4096.0 * 6e9;
/// The same of any accelerator that there is, in any format.
const ACCELERATOR: f64 = 1e17;
/// Of another shape so many of the newest processes are looked at.
const OF_ANOTHER_SHAPE: usize = 5;

/// Which results are of one kind, and so can be evidence together.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    /// The case.
    pub case: &'a CaseId,
    /// The key of the machine.
    pub machine: &'a str,
    /// The digest of its fingerprint as it is now.
    pub fingerprint: &'a str,
}

/// What is known of a case, and the records that say so.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    /// The evidence as the checks see it.
    pub benchmark: Benchmark,
    /// What its numbers prove; nothing if it was never measured.
    pub mark: Option<Mark>,
    /// The records that it was made from.
    pub evidence: Vec<Evidence>,
}

impl Kind<'_> {
    /// Whether a record is a measurement of this kind, however it ended.
    pub fn holds(&self, record: &Record) -> bool {
        record.case == *self.case
            && record.environment.machine == self.machine
            && record.fingerprint.digest == self.fingerprint
            && record.purpose == Purpose::Measure
            && record.outcome != Outcome::Skipped
            && record.fallbacks.is_empty()
    }

    /// What these records say. `loaded` are those of processes that ran while the machine was loaded on purpose.
    pub fn gather(&self, records: &[Record], loaded: &[Record]) -> Gathered {
        let mut own: Vec<&Record> = records.iter().filter(|record| self.holds(record)).collect();
        own.sort_by(|a, b| (a.recorded_at, &a.id).cmp(&(b.recorded_at, &b.id)));
        let mark = own.iter().rev().find_map(|record| record.mark);
        let timed: Vec<&Record> =
            own.iter().copied().filter(|r| is_timed(r) && r.mark == mark).collect();
        let under_load: Vec<&Record> =
            loaded.iter().filter(|r| self.holds(r) && is_timed(r) && r.mark == mark).collect();
        let newest = timed.last().copied();
        let elsewhere = newest.is_some_and(is_elsewhere);
        let benchmark = Benchmark {
            id: self.case.to_string(),
            processes: timed.iter().map(|record| process(record)).collect(),
            loaded: under_load.iter().map(|record| process(record)).collect(),
            work: newest.and_then(operations),
            scaling: self.scaling(records, mark),
            peak_work_per_s: newest.map(|record| bound(record, elsewhere)),
            clock_step_s: newest.and_then(clock_step_s),
            outputs: outputs(&own),
            waits_for_device: elsewhere,
        };
        let calm = timed.into_iter().map(|record| Evidence::of(record, false));
        let evidence = calm.chain(under_load.into_iter().map(|r| Evidence::of(r, true)));
        Gathered { benchmark, mark, evidence: evidence.collect() }
    }

    /// The same model on the same endpoint in the same precision at other shapes: the newest code of each.
    fn scaling(&self, records: &[Record], mark: Option<Mark>) -> Vec<Scaled> {
        let mut by_shape: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in records {
            let related = is_sibling(&record.case, self.case)
                && record.environment.machine == self.machine
                && record.mark == mark
                && record.fallbacks.is_empty();
            if related && is_timed(record) {
                by_shape.entry(&record.case.shape).or_default().push(record);
            }
        }
        let scaled = |mut records: Vec<&Record>| {
            records.sort_by(|a, b| (b.recorded_at, &b.id).cmp(&(a.recorded_at, &a.id)));
            let newest = records[0];
            let same = records.iter().filter(|r| r.fingerprint.digest == newest.fingerprint.digest);
            let processes_s = same.take(OF_ANOTHER_SHAPE).map(|record| seconds(record)).collect();
            Some(Scaled { work: operations(newest)?, processes_s })
        };
        by_shape.into_values().filter_map(scaled).collect()
    }
}

/// Whether two cases are the same model on the same endpoint in the same precision at different shapes.
pub fn is_sibling(a: &CaseId, b: &CaseId) -> bool {
    let same = (&a.model, &a.endpoint, &a.precision) == (&b.model, &b.endpoint, &b.precision);
    same && a.shape != b.shape
}

fn is_timed(record: &Record) -> bool {
    record.outcome == Outcome::Passed
        && !record.samples.latency_ns.is_empty()
        && record.samples.latency_ns.iter().all(|ns| *ns > 0.0)
}

fn seconds(record: &Record) -> Vec<f64> {
    record.samples.latency_ns.iter().map(|ns| ns * 1e-9).collect()
}

#[expect(clippy::cast_precision_loss, reason = "what is counted is far below 2^53")]
fn operations(record: &Record) -> Option<f64> {
    record.metrics.operations_per_run.filter(|count| *count > 0).map(|count| count as f64)
}

/// The device's own clock where it has one, else that of the process.
#[expect(clippy::cast_precision_loss, reason = "a step is far below 2^53 ns")]
fn clock_step_s(record: &Record) -> Option<f64> {
    let own = record.metrics.measured.map(|measured| measured.clock_step_ns as f64 * 1e-9);
    let told = record.device.as_ref().and_then(|device| device.details.get(RESOLUTION));
    let told = told.and_then(|text| text.parse::<f64>().ok()).map(|us| us * 1e-6);
    told.or(own).filter(|step| *step > 0.0)
}

fn is_elsewhere(record: &Record) -> bool {
    let endpoint = &record.case.endpoint;
    let told = record.device.as_ref().and_then(|device| device.details.get(ELSEWHERE.0));
    let accelerator = *endpoint != Endpoint::CPU && Endpoint::KNOWN.contains(endpoint);
    accelerator || told.is_some_and(|told| told == ELSEWHERE.1)
}

/// Operations per second that nothing reaches. It is a bound and no roof: what is above it was not done.
#[expect(clippy::cast_precision_loss, reason = "processors are far fewer than 2^53")]
fn bound(record: &Record, elsewhere: bool) -> f64 {
    if elsewhere {
        return ACCELERATOR;
    }
    let wide = ["f32", "f64"].contains(&record.case.precision.as_str());
    let each = if wide { PROCESSOR } else { PROCESSOR_NARROW };
    each * record.environment.threads.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds below 2^53 are exact")]
fn process(record: &Record) -> Process {
    let measured = record.metrics.measured.filter(|measured| measured.wall_ns > 0);
    let day = record.recorded_at.strftime("%Y-%m-%d");
    let boot = Some(&record.environment.boot).filter(|boot| !boot.is_empty());
    Process {
        samples_s: seconds(record),
        interval_s: interval_s(record),
        processors_used: measured.map(|m| m.cpu_ns as f64 / m.wall_ns as f64),
        boot: boot.cloned(),
        day: Some(day.to_string()),
        load: measured.and_then(|measured| measured.load),
    }
}

/// What lies between two readings of the clock. A session that reads it around each run spends as much on that as a
/// reading costs; one that spends less reads it once per sample.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds and runs below 2^53 are exact")]
fn interval_s(record: &Record) -> Option<f64> {
    let measured = record.metrics.measured?;
    let samples = &record.samples;
    let runs: f64 = samples.iterations.iter().map(|count| *count as f64).sum();
    let timed_ns: f64 =
        samples.latency_ns.iter().zip(&samples.iterations).map(|(ns, n)| ns * *n as f64).sum();
    let between_ns = (measured.wall_ns as f64 - timed_ns) / runs;
    let each = between_ns >= measured.clock_step_ns as f64 / 2.0;
    let times = if each { runs } else { samples.latency_ns.len() as f64 };
    (runs > 0.0).then(|| timed_ns / times * 1e-9)
}

/// The newest run decides: one that was wrong once and is right since was repaired.
fn outputs(records: &[&Record]) -> Outputs {
    let Some(newest) = records.last() else { return Outputs::Unknown };
    match newest.outcome {
        Outcome::Passed if newest.outputs.is_empty() => Outputs::Unknown,
        Outcome::Passed => Outputs::Verified,
        outcome => {
            let why = newest.message.as_deref().unwrap_or("it gave no message");
            Outputs::Wrong(format!("{}: {}", outcome.name(), why.lines().next().unwrap_or(why)))
        }
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
pub(super) mod tests;
