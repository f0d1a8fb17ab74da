//! Tests of evidence from records, and the record that tests of certificates start from.

use super::super::random::Random;
use super::*;
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Measured, Metrics, OutputCheck, Samples,
};
use proofmark::{Fingerprint, Part};

const CASE: &str = "m/cpu/f32/b1";

/// A process of hour `hour`: 40 samples of 100 runs of about `latency_ns`.
pub(in super::super) fn record(hour: i64, latency_ns: f64) -> Record {
    let output = OutputCheck {
        name: "y".into(),
        shape: vec![1],
        error: Some(0.0),
        tolerance: 1.0,
        summary: String::new(),
    };
    let mut random = Random::new(hour as u64);
    let latency_ns: Vec<f64> = (0..40).map(|_| latency_ns * random.between(0.995, 1.005)).collect();
    let wall_ns = (100.0 * latency_ns.iter().sum::<f64>()) as u64;
    let measured = Measured { wall_ns, cpu_ns: wall_ns, clock_step_ns: 25, load: Some(0.1) };
    Record {
        format: FORMAT,
        id: format!("r-{hour:04}"),
        run: "run".into(),
        recorded_at: jiff::Timestamp::from_second(3600 * hour).unwrap(),
        suite: "s".into(),
        case: CASE.parse().unwrap(),
        purpose: Purpose::Measure,
        outcome: Outcome::Passed,
        mark: Some(Mark::Real),
        device: Some(DeviceFacts::new(Mark::Real, "card", "driver")),
        message: None,
        samples: Samples::new(latency_ns, vec![100; 40]),
        metrics: Metrics {
            operations_per_run: Some(1000),
            measured: Some(measured),
            ..Metrics::default()
        },
        op_times: Vec::new(),
        fallbacks: Vec::new(),
        outputs: vec![output],
        environment: Environment {
            machine: "here".into(),
            threads: 2,
            boot: format!("boot-{}", hour / 30),
            ..Environment::default()
        },
        fingerprint: Fingerprint::new([Part::text("code", "1")]),
    }
}

fn gather(records: &[Record]) -> Gathered {
    let case = CASE.parse().unwrap();
    let fingerprint = Fingerprint::new([Part::text("code", "1")]).digest;
    let kind = Kind { case: &case, machine: "here", fingerprint: &fingerprint };
    kind.gather(records, &[record(900, 3e4)])
}

#[test]
fn only_what_is_of_one_kind_is_evidence() {
    let good = record(1, 1e4);
    let of_kind = |other: Record| vec![other, good.clone()];
    let mut elsewhere = record(2, 1e4);
    elsewhere.environment.machine = "there".into();
    let older =
        Record { fingerprint: Fingerprint::new([Part::text("code", "0")]), ..record(2, 1e4) };
    let test = Record { purpose: Purpose::Test, ..record(2, 1e4) };
    let skipped = Record { outcome: Outcome::Skipped, ..record(2, 1e4) };
    let other_mark = Record { mark: Some(Mark::Software), ..record(0, 1e4) };
    let fallback = proofmark::record::Fallback { op: "o".into(), why: "w".into(), to: "t".into() };
    let helped = Record { fallbacks: vec![fallback], ..record(2, 1e4) };
    for other in [elsewhere, older, test, skipped, other_mark, helped] {
        let found = gather(&of_kind(other.clone()));
        assert_eq!(found.benchmark.processes.len(), 1, "{other:?}");
        let ids: Vec<_> = found.evidence.iter().map(|evidence| &*evidence.record).collect();
        assert_eq!(ids, ["r-0001", "r-0900"]);
        assert!(found.evidence[1].under_load);
    }
}

#[test]
fn a_record_tells_day_boot_load_and_use() {
    let found = gather(&[record(40, 1e4), record(1, 1e4)]).benchmark;
    let (first, second) = (&found.processes[0], &found.processes[1]);
    assert_eq!(
        (first.day.as_deref(), second.day.as_deref()),
        (Some("1970-01-01"), Some("1970-01-02"))
    );
    assert_eq!((first.boot.as_deref(), second.boot.as_deref()), (Some("boot-0"), Some("boot-1")));
    assert_eq!((first.load, first.processors_used), (Some(0.1), Some(1.0)));
    assert_eq!((found.work, found.clock_step_s), (Some(1000.0), Some(25.0 * 1e-9)));
    assert_eq!((found.outputs, found.waits_for_device), (Outputs::Verified, false));
    let old = Record { metrics: Metrics::default(), ..record(1, 1e4) };
    let unknown = gather(&[old]).benchmark;
    assert_eq!((unknown.processes[0].load, unknown.clock_step_s), (None, None));
}

#[test]
fn what_is_timed_at_once_follows_from_what_is_not_timed() {
    let interval = |between_ns: u64| {
        let mut record = record(1, 1e4);
        let measured = record.metrics.measured.as_mut().unwrap();
        measured.wall_ns += between_ns * 4000;
        interval_s(&record).unwrap()
    };
    assert!((interval(30) - 1e-5).abs() < 1e-7, "{}", interval(30));
    assert!((interval(2) - 1e-3).abs() < 1e-5, "{}", interval(2));
}

#[test]
fn the_newest_run_says_whether_outputs_are_right() {
    let wrong = |hour| Record {
        outcome: Outcome::Failed,
        message: Some("outputs differ\nmore".into()),
        ..record(hour, 1e4)
    };
    let found = gather(&[record(1, 1e4), wrong(2)]).benchmark;
    assert_eq!(found.outputs, Outputs::Wrong("failed: outputs differ".into()));
    assert_eq!(gather(&[wrong(1), record(2, 1e4)]).benchmark.outputs, Outputs::Verified);
    assert_eq!(gather(&[]).benchmark.outputs, Outputs::Unknown);
}

#[test]
fn other_shapes_tell_how_time_grows() {
    let shape = |shape: &str, hour: i64, operations: u64| {
        let mut record = record(hour, 2e4);
        record.case.shape = shape.into();
        record.metrics.operations_per_run = Some(operations);
        record
    };
    let mut other_model = shape("b4", 5, 9000);
    other_model.case.model = "n".into();
    let records = [record(1, 1e4), shape("b2", 2, 2000), shape("b2", 3, 2000), other_model];
    let scaling = gather(&records).benchmark.scaling;
    let found: Vec<_> = scaling.iter().map(|s| (s.work, s.processes_s.len())).collect();
    assert_eq!(found, [(2000.0, 2)]);
}

#[test]
fn accelerators_work_elsewhere_and_so_does_what_says_so() {
    let at = |endpoint: &str, details: &[(&str, &str)]| {
        let mut record = record(1, 1e4);
        record.case.endpoint = endpoint.parse().unwrap();
        let device = record.device.as_mut().unwrap();
        device.details = details.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        record
    };
    assert!(is_elsewhere(&at("cuda", &[])) && is_elsewhere(&at("webgpu-firefox", &[])));
    assert!(!is_elsewhere(&at("cpu", &[])) && !is_elsewhere(&at("abacus", &[])));
    assert!(is_elsewhere(&at("abacus", &[ELSEWHERE])));
    let step = clock_step_s(&at("webgpu-firefox", &[(RESOLUTION, "100.0")])).unwrap();
    assert!((step - 1e-4).abs() < 1e-12);
    let plain = at("cpu", &[]);
    assert!((bound(&plain, false) - 2.0 * PROCESSOR).abs() < 1.0);
}
