//! Measurements for the tests of the parts.

use super::Measurement;
use crate::basis::Kind;
use proofmark::Mark;

/// A measurement with 21 samples within one percent around a latency, by one process of a machine.
pub(crate) fn measured(case: &str, mark: Mark, latency_ns: f64) -> Measurement {
    let parts: Vec<String> = case.split('/').map(str::to_owned).collect();
    let samples = (-10..=10).map(|step| latency_ns * (1.0 + f64::from(step) / 1000.0)).collect();
    Measurement {
        record: format!("r-{case}-{mark}"),
        case: case.to_owned(),
        parts: parts.try_into().unwrap(),
        kind: Kind { mark: Some(mark), fallbacks: false, fixture: false },
        machine: "here".into(),
        class: "linux · cpu · 2 threads".into(),
        device: "wood".into(),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        statistic: "median".into(),
        latency_ns,
        samples,
        processes: vec![latency_ns],
        stated: None,
        items_per_run: Some(1),
        operations_per_run: Some(1000),
        bytes_per_run: Some(100),
        peak_memory_bytes: Some(1 << 20),
        load_ns: Some(5),
        compile_ns: Some(6),
    }
}
