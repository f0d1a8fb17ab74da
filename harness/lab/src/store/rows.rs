//! Lines of record files as rows of tables. Lists travel as text of numbers, which DuckDB casts.

use crate::stats;
use duckdb::types::{TimeUnit, Value};
use proofmark::fingerprint::Fingerprint;
use proofmark::record::{Line, Probe, Purpose, Record};
use std::fmt::Write as _;

/// Rows that wait for their way into the database, by table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) results: Vec<Vec<Value>>,
    pub(super) fingerprint_parts: Vec<Vec<Value>>,
    pub(super) outputs: Vec<Vec<Value>>,
    pub(super) op_times: Vec<Vec<Value>>,
    pub(super) details: Vec<Vec<Value>>,
    pub(super) stages: Vec<Vec<Value>>,
    pub(super) fallbacks: Vec<Vec<Value>>,
    pub(super) time_series: Vec<Vec<Value>>,
    pub(super) counters: Vec<Vec<Value>>,
    pub(super) absences: Vec<Vec<Value>>,
    pub(super) probes: Vec<Vec<Value>>,
    pub(super) probe_limits: Vec<Vec<Value>>,
    pub(super) probe_features: Vec<Vec<Value>>,
    pub(super) probe_details: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn push(&mut self, line: &Line) {
        match line {
            Line::Result(record) => self.push_record(record),
            Line::Probe(probe) => self.push_probe(probe),
        }
    }

    /// Each row has the columns of its table, in their order.
    fn push_record(&mut self, record: &Record) {
        self.results.push(result(record));
        self.push_parts(&record.fingerprint);
        self.push_origin(record);
        self.push_telemetry(record);
        for (position, output) in record.outputs.iter().enumerate() {
            self.outputs.push(vec![
                text(&record.id),
                number(position as u64),
                text(&output.name),
                list(&output.shape),
                output.error.map_or(Value::Null, Value::Double),
                Value::Double(output.tolerance),
                text(&output.summary),
            ]);
        }
        for (position, op) in record.op_times.iter().enumerate() {
            let position = number(position as u64);
            self.op_times.push(vec![
                text(&record.id),
                position,
                text(&op.name),
                number(op.time_ns),
            ]);
        }
    }

    /// What schema 2 added.
    fn push_origin(&mut self, record: &Record) {
        let details = record.device.iter().flat_map(|device| &device.details);
        self.details.extend(details.map(|(name, value)| pair(&record.id, name, text(value))));
        let stages = record.metrics.stages.iter();
        self.stages.extend(stages.map(|(name, &ns)| pair(&record.id, name, number(ns))));
        for (position, fallback) in record.fallbacks.iter().enumerate() {
            self.fallbacks.push(vec![
                text(&record.id),
                number(position as u64),
                text(&fallback.op),
                text(&fallback.why),
                text(&fallback.to),
            ]);
        }
    }

    /// What the system told while it was measured.
    fn push_telemetry(&mut self, record: &Record) {
        let Some(told) = &record.metrics.telemetry else { return };
        for (name, series) in &told.series {
            let lists = [list(&series.at_ns), list(&series.values)];
            self.time_series
                .push([text(&record.id), text(name)].into_iter().chain(lists).collect());
        }
        let counters = told.counters.iter();
        self.counters.extend(counters.map(|(name, &risen)| {
            vec![text(&record.id), text(name), number(risen), number(told.over_ns)]
        }));
        let absences = told.absent.iter();
        self.absences.extend(absences.map(|(name, why)| pair(&record.id, name, text(why))));
    }

    fn push_parts(&mut self, fingerprint: &Fingerprint) {
        for (position, part) in fingerprint.parts.iter().enumerate() {
            let position = number(position as u64);
            let digest = text(&fingerprint.digest);
            self.fingerprint_parts.push(vec![
                digest,
                position,
                text(&part.name),
                text(&part.value),
            ]);
        }
    }

    fn push_probe(&mut self, probe: &Probe) {
        let finding = &probe.finding;
        self.probes.push(vec![
            text(&probe.id),
            time(probe.recorded_at),
            text(&probe.suite),
            text(&probe.machine),
            text(finding.endpoint.as_str()),
            finding.mark.map_or(Value::Null, |mark| text(mark.name())),
            finding.absence().map_or(Value::Null, text),
            optional(finding.adapter.as_deref()),
            optional(finding.driver.as_deref()),
        ]);
        for (name, value) in &finding.limits {
            self.probe_limits.push(pair(&probe.id, name, number(*value)));
        }
        for (name, value) in &finding.details {
            self.probe_details.push(pair(&probe.id, name, text(value)));
        }
        for name in &finding.features {
            self.probe_features.push(vec![text(&probe.id), text(name)]);
        }
    }
}

fn result(record: &Record) -> Vec<Value> {
    let (case, metrics, place) = (&record.case, &record.metrics, &record.environment);
    let samples = &record.samples.latency_ns;
    let count = |value: Option<u64>| value.map_or(Value::Null, number);
    let figure = |value: Option<f64>| value.map_or(Value::Null, Value::Double);
    let device = record.device.as_ref();
    vec![
        text(&record.id),
        text(&record.run),
        time(record.recorded_at),
        text(&record.suite),
        text(&case.to_string()),
        text(&case.model),
        text(case.endpoint.as_str()),
        text(&case.precision),
        text(&case.shape),
        text(match record.purpose {
            Purpose::Test => "test",
            Purpose::Measure => "measure",
        }),
        text(record.outcome.name()),
        record.mark.map_or(Value::Null, |mark| text(mark.name())),
        optional(device.map(|device| device.adapter.as_str())),
        optional(device.map(|device| device.driver.as_str())),
        optional(record.message.as_deref()),
        list(samples),
        list(&record.samples.iterations),
        figure(stats::median(samples)),
        figure(stats::relative_noise(samples)),
        Value::Double(busy_ns(record)),
        count(metrics.load_ns),
        count(metrics.compile_ns),
        count(metrics.first_run_ns),
        count(metrics.peak_memory_bytes),
        count(metrics.items_per_run),
        count(metrics.operations_per_run),
        count(metrics.bytes_per_run),
        text(&place.machine),
        text(&place.platform),
        text(&place.cpu),
        number(place.threads as u64),
        number(place.memory_bytes),
        text(&place.rustc),
        text(&place.profile),
        text(&place.commit),
        text(&record.fingerprint.digest),
    ]
}

/// What the run took, as far as the record tells: load, compile, first run and measured phase.
#[expect(clippy::cast_precision_loss, reason = "durations below 2^53 ns, 104 days, are exact")]
fn busy_ns(record: &Record) -> f64 {
    let samples = &record.samples;
    let runs = samples.latency_ns.iter().zip(&samples.iterations);
    let measured: f64 = runs.map(|(latency, &iterations)| latency * iterations as f64).sum();
    let metrics = &record.metrics;
    let before = [metrics.load_ns, metrics.compile_ns, metrics.first_run_ns];
    measured + before.into_iter().flatten().map(|ns| ns as f64).sum::<f64>()
}

/// A row of a table of named values of something.
fn pair(of: &str, name: &str, value: Value) -> Vec<Value> {
    vec![text(of), text(name), value]
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

pub(super) fn number(value: u64) -> Value {
    Value::UBigInt(value)
}

pub(super) fn time(time: jiff::Timestamp) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, time.as_microsecond())
}

/// A list in DuckDB's own notation; Rust prints floats so that they are read back exactly.
pub(super) fn list<T: std::fmt::Debug>(values: &[T]) -> Value {
    let mut text = String::from("[");
    for (index, value) in values.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{value:?}");
    }
    text.push(']');
    Value::Text(text)
}
