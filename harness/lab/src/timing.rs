//! How long everything takes, everywhere: the latest timed result of each case by machine, device and kind, what may be
//! ranked among equals, what bounds it, how it grows, how it changed, and what follows. Pure: measurements come from
//! `store`, how it looks is `report::timing`.
//!
//! The parts, each a file below: `ranking` orders what is comparable, `roofline` says what bounds a case where a roof was
//! measured, `scaling` how latency grows with batch and sequence, `advice` what is recommended and why.

pub mod advice;
pub mod ranking;
pub mod roofline;
pub mod scaling;
#[cfg(test)]
pub(crate) mod testing;

use crate::basis::{Basis, Kind};
use crate::plan::NOISE_LIMIT;
use crate::stats::{median, median_interval, quantile, relative_noise};
use crate::trend::Analysed;
use jiff::Timestamp;
use proofmark::roof::Roofs;
use serde::Serialize;
use std::collections::HashMap;

/// The probability with which intervals hold what they are of.
pub const LEVEL: f64 = 0.95;
/// Processes of one fingerprint from which their spread is known; with fewer, [`NOISE_LIMIT`] is taken for it.
pub const PROCESSES: usize = 6;
/// So many of the newest results of a fingerprint count.
pub const NEWEST: usize = 10;
/// Samples below which the 95th percentile would be the largest of them.
const P95_SAMPLES: usize = 20;

/// The latest number of a case on a device of a machine, of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Where it stands: the id of a record or a prediction, a file and a place in it.
    pub record: String,
    /// Model, endpoint, precision and shape, joined by `/`.
    pub case: String,
    /// Its four parts.
    pub parts: [String; 4],
    /// Only numbers of one kind are comparable.
    pub kind: Kind,
    /// The key of the machine; empty where none is named.
    pub machine: String,
    /// Platform, processor and threads of the machine, or what stands for it.
    pub class: String,
    /// The adapter's own name.
    pub device: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// What the latency is of the runs behind it: `median`, `mean`, `prediction`.
    pub statistic: String,
    /// Nanoseconds.
    pub latency_ns: f64,
    /// Nanoseconds; empty where no samples are known.
    pub samples: Vec<f64>,
    /// Medians of the newest results with this fingerprint, at most [`NEWEST`], this one first.
    pub processes: Vec<f64>,
    /// What it says of itself instead of samples: the interval of a prediction.
    pub stated: Option<[f64; 2]>,
    /// Examples per run.
    pub items_per_run: Option<u64>,
    /// Operations per run.
    pub operations_per_run: Option<u64>,
    /// Bytes that a run must at least move.
    pub bytes_per_run: Option<u64>,
    /// The most that was resident.
    pub peak_memory_bytes: Option<u64>,
    /// Opening the device and reading weights.
    pub load_ns: Option<u64>,
    /// Preparing the graph.
    pub compile_ns: Option<u64>,
}

/// A measurement with what follows from it alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Where it stands; recommendations cite it.
    pub record: String,
    /// Model, endpoint, precision and shape, joined by `/`.
    pub case: String,
    /// The model's name up to its first dash.
    pub family: String,
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// The precision.
    pub precision: String,
    /// The shape.
    pub shape: String,
    /// What kind of thing its numbers are.
    #[serde(flatten)]
    pub kind: Kind,
    /// The key of the machine.
    pub machine: String,
    /// Platform, processor and threads of the machine.
    pub class: String,
    /// The adapter's own name.
    pub device: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// How old it is, in days.
    pub age_days: f64,
    /// What the latency is of the runs behind it.
    pub statistic: String,
    /// The median of the samples, or what the statistic says; nanoseconds.
    pub latency_ns: f64,
    /// The 95th percentile of at least 20 samples.
    pub latency_ns_p95: Option<f64>,
    /// An interval of 95 % around the latency; see [`interval`].
    pub latency_ns_interval: Option<[f64; 2]>,
    /// Scaled median absolute deviation ÷ median.
    pub relative_noise: Option<f64>,
    /// How many samples.
    pub samples: usize,
    /// How many processes of this fingerprint count.
    pub processes: usize,
    /// Examples per second.
    pub items_per_s: Option<f64>,
    /// The most that was resident.
    pub peak_memory_bytes: Option<u64>,
    /// Opening the device and reading weights.
    pub load_ns: Option<u64>,
    /// Preparing the graph.
    pub compile_ns: Option<u64>,
    /// Operations of a run.
    pub operations_per_run: Option<u64>,
    /// Bytes that a run must at least move.
    pub bytes_per_run: Option<u64>,
    /// Where it is below the roof; nothing where no roof was measured.
    pub below: Option<roofline::Below>,
    /// Its places among equals.
    pub places: Vec<ranking::Place>,
    /// The latest lasting change of its trend: of its latency, relative, and when.
    pub change: Option<(f64, Timestamp)>,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// When it was made.
    pub made_at: Timestamp,
    /// Numbers by mark.
    pub rests_on: Basis,
    /// What follows, each with the rows that it rests on.
    pub recommendations: Vec<advice::Advice>,
    /// A row per case, machine, device and kind.
    pub rows: Vec<Row>,
    /// What could be ranked.
    pub rankings: Vec<ranking::Ranking>,
    /// How latency grows.
    pub scaling: Vec<scaling::Scaling>,
    /// The roofs that rows are below, the newest of each device.
    pub roofs: Vec<Roofs>,
}

/// What the report says of these measurements. `trends` are of the same store.
pub fn timing(
    measurements: &[Measurement],
    roofs: &[Roofs],
    trends: &[Analysed],
    now: Timestamp,
) -> Timing {
    let mut rows: Vec<Row> = measurements.iter().map(|measured| row(measured, now)).collect();
    rows.sort_by(|a, b| {
        let key = |row: &Row| (row.case.clone(), row.kind, row.class.clone(), row.record.clone());
        key(a).cmp(&key(b))
    });
    let roofs = roofline::newest(roofs);
    rows.iter_mut().for_each(|row| row.below = roofline::below(row, &roofs));
    add_changes(&mut rows, trends);
    let rankings = ranking::rankings(&rows);
    ranking::add_places(&mut rows, &rankings);
    let scaling = scaling::scaling(&rows);
    Timing {
        made_at: now,
        rests_on: Basis::of(rows.iter().map(|row| row.kind)),
        recommendations: advice::advice(&rows, &rankings),
        rankings,
        scaling,
        roofs: roofline::used(roofs, &rows),
        rows,
    }
}

fn row(measured: &Measurement, now: Timestamp) -> Row {
    let [model, endpoint, precision, shape] = measured.parts.clone();
    let is_long = measured.samples.len() >= P95_SAMPLES;
    let per_s = |count: u64| count as f64 * 1e9 / measured.latency_ns;
    Row {
        record: measured.record.clone(),
        case: measured.case.clone(),
        family: family(&model).to_owned(),
        model,
        endpoint,
        precision,
        shape,
        kind: measured.kind,
        machine: measured.machine.clone(),
        class: measured.class.clone(),
        device: measured.device.clone(),
        recorded_at: measured.at,
        age_days: now.duration_since(measured.at).as_secs_f64() / 86_400.0,
        statistic: measured.statistic.clone(),
        latency_ns: measured.latency_ns,
        latency_ns_p95: is_long.then(|| quantile(&measured.samples, 0.95)).flatten(),
        latency_ns_interval: interval(measured),
        relative_noise: relative_noise(&measured.samples),
        samples: measured.samples.len(),
        processes: measured.processes.len(),
        items_per_s: measured.items_per_run.filter(|_| measured.latency_ns > 0.0).map(per_s),
        peak_memory_bytes: measured.peak_memory_bytes,
        load_ns: measured.load_ns,
        compile_ns: measured.compile_ns,
        operations_per_run: measured.operations_per_run,
        bytes_per_run: measured.bytes_per_run,
        below: None,
        places: Vec::new(),
        change: None,
    }
}

/// The family of a model: its name up to the first dash.
pub fn family(model: &str) -> &str {
    model.split('-').next().unwrap_or_default()
}

/// Where the median latency of this code on this machine is, with [`LEVEL`].
///
/// The samples of one process share its state, so their interval ([`median_interval`]) says nothing of the next
/// process. Where [`PROCESSES`] of one fingerprint are known, their medians give the interval; with fewer, that of the
/// samples is widened by what is known of the processes, at least by [`NOISE_LIMIT`] to either side. The newest median is
/// always inside. Nothing where the samples are too few.
pub fn interval(measured: &Measurement) -> Option<[f64; 2]> {
    if measured.stated.is_some() {
        return measured.stated;
    }
    let [low, high] = if measured.processes.len() >= PROCESSES {
        median_interval(&measured.processes, LEVEL)?
    } else {
        let [low, high] = median_interval(&measured.samples, LEVEL)?;
        let middle = median(&measured.processes).unwrap_or(measured.latency_ns);
        let apart = measured.processes.iter().map(|one| (one / middle - 1.0).abs());
        let wide = apart.fold(NOISE_LIMIT, f64::max);
        [low * (1.0 - wide).max(0.0), high * (1.0 + wide)]
    };
    Some([low.min(measured.latency_ns), high.max(measured.latency_ns)])
}

/// Tells of each row the latest change point of its trend.
fn add_changes(rows: &mut [Row], trends: &[Analysed]) {
    let mut found: HashMap<&str, (f64, Timestamp)> = HashMap::new();
    for trend in trends {
        let Some(change) = trend.change_points.last() else { continue };
        let Some(relative) = change.found.relative else { continue };
        let told = (relative, change.first_after.recorded_at);
        found.extend(trend.trend.points.last().map(|point| (point.record.as_str(), told)));
    }
    for row in rows {
        row.change = found.get(row.record.as_str()).copied();
    }
}

#[cfg(test)]
mod tests {
    use super::testing::measured;
    use super::*;
    use proofmark::Mark;

    #[test]
    fn one_process_says_little_of_the_next() {
        let mut one = measured("m/cpu/f32/b1", Mark::Real, 100.0);
        let [low, high] = interval(&one).unwrap();
        assert!(low <= 95.0 && high >= 105.0, "{low} {high}");
        // Two processes that are far apart make it wider than any floor.
        one.processes = vec![100.0, 150.0];
        let [low, high] = interval(&one).unwrap();
        assert!(low <= 80.1 && high >= 119.9, "{low} {high}");
        // Six that agree make it narrow, and the newest is inside even where it is the odd one.
        one.processes = vec![101.0, 100.0, 100.5, 99.5, 100.2, 99.8];
        assert_eq!(interval(&one), Some([99.5, 101.0]));
        one.latency_ns = 120.0;
        assert_eq!(interval(&one), Some([99.5, 120.0]));
        one.processes.clear();
        one.samples = vec![100.0; 5];
        assert_eq!(interval(&one), None);
    }

    #[test]
    fn a_row_has_what_follows_from_its_samples() {
        let now = "2026-01-11T00:00:00Z".parse().unwrap();
        let mut one = measured("bert-tiny/cpu/f32/b4-s8", Mark::Software, 2e6);
        one.items_per_run = Some(4);
        let report = timing(&[one.clone()], &[], &[], now);
        let row = &report.rows[0];
        assert_eq!((&*row.family, &*row.endpoint, &*row.shape), ("bert", "cpu", "b4-s8"));
        assert!(
            (row.items_per_s.unwrap() - 2000.0).abs() < 1e-9 && (row.age_days - 10.0).abs() < 1e-9
        );
        assert!(row.latency_ns_p95 > Some(2e6));
        assert_eq!(row.below, None);
        assert_eq!(report.rests_on.counts["software"], 1);
        one.samples.truncate(19);
        assert_eq!(timing(&[one], &[], &[], now).rows[0].latency_ns_p95, None);
    }
}
