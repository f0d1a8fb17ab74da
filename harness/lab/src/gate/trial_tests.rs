//! Gates over simulated processes with known answers.

use super::*;
use crate::gate::Family;
use proofmark::record::{DeviceFacts, Environment, FORMAT, Metrics, OutputCheck, Purpose, Samples};
use proofmark::{Fingerprint, Mark, Part};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use statrs::distribution::{ContinuousCDF, Normal};

/// Processes whose levels vary by `noise`.
struct World {
    random: TestRng,
    noise: f64,
    memory: u64,
}

impl World {
    fn new(noise: f64) -> Self {
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        Self { random, noise, memory: 100 << 20 }
    }

    fn normal(&mut self) -> f64 {
        Normal::standard().inverse_cdf((f64::from(self.random.next_u32()) + 0.5) / 4_294_967_296.0)
    }

    /// A process that is slower by a factor.
    fn record(&mut self, id: &str, factor: f64) -> Record {
        let level = 1e6 * factor * (self.noise * self.normal()).exp();
        let latency_ns: Vec<f64> =
            (0..10).map(|_| level * (0.2 * self.noise * self.normal()).exp()).collect();
        let output = OutputCheck {
            name: "y".into(),
            shape: vec![1],
            error: Some(1e-7),
            tolerance: 1e-3,
            summary: "mean 1".into(),
        };
        Record {
            format: FORMAT,
            id: "r".into(),
            run: "r".into(),
            recorded_at: jiff::Timestamp::UNIX_EPOCH,
            suite: "s".into(),
            case: id.parse().unwrap(),
            purpose: Purpose::Measure,
            outcome: Outcome::Passed,
            mark: Some(Mark::Real),
            device: Some(DeviceFacts::new(Mark::Real, "card", "driver 1")),
            message: None,
            samples: Samples::new(latency_ns.clone(), vec![1; latency_ns.len()]),
            metrics: Metrics {
                peak_memory_bytes: Some(self.memory + u64::from(self.random.next_u32() % 50_000)),
                operations_per_run: Some(1000),
                ..Metrics::default()
            },
            op_times: Vec::new(),
            fallbacks: Vec::new(),
            outputs: vec![output],
            environment: Environment { machine: "here".into(), ..Environment::default() },
            fingerprint: Fingerprint::new([Part::text("code", "1")]),
        }
    }
}

fn cases(count: usize) -> Pairing {
    let affected = (0..count).map(|n| Affected {
        id: format!("m{n}/cpu/f32/b1").parse().unwrap(),
        changed: vec!["code".into()],
    });
    Pairing { affected: affected.collect(), settled: Vec::new() }
}

fn trial(count: usize) -> Trial {
    let options = Options { family: Family::All, ..Options::new(0.01, 0.05).unwrap() };
    Trial::new(options, cases(count))
}

/// Runs a gate to its end; `make` gives the record of a process. Gives the conclusion and the number of processes.
fn run(mut trial: Trial, mut make: impl FnMut(&str, Side, bool) -> Record) -> (Conclusion, usize) {
    let mut processes = 0;
    loop {
        let tasks = trial.next_round();
        if tasks.is_empty() {
            return (trial.conclude(), processes);
        }
        for task in tasks {
            if trial.wants(task) {
                let (affected, side) = trial.program(task);
                let id = affected.id.to_string();
                let record = make(&id, side, Trial::is_control(task));
                trial.add(task, record, Duration::from_secs(1));
                processes += 1;
            }
        }
        trial.end_round();
    }
}

fn verdict(conclusion: &Conclusion, model: &str, metric: Metric) -> Verdict {
    let mut found = conclusion.findings.iter();
    let is_it = |f: &&Finding| f.metric == metric && f.judgement.id.starts_with(model);
    found.find(is_it).unwrap_or_else(|| panic!("no {metric:?} of {model}")).judgement.verdict
}

#[test]
fn a_slower_kernel_is_found_early_and_its_neighbours_are_not_blamed() {
    let mut world = World::new(0.01);
    let (found, processes) = run(trial(3), |id, side, _| {
        let slow = side == Side::Head && id.starts_with("m1");
        world.record(id, if slow { 1.3 } else { 1.0 })
    });
    assert_eq!(found.unfit, None);
    assert_eq!(verdict(&found, "m1", Metric::Latency), Verdict::Regressed);
    for calm in ["m0", "m2"] {
        assert_ne!(verdict(&found, calm, Metric::Latency), Verdict::Regressed);
        assert_eq!(verdict(&found, calm, Metric::PeakMemory), Verdict::Equivalent);
        assert_eq!(verdict(&found, calm, Metric::Operations), Verdict::Equivalent);
    }
    let slow = found.findings.iter().find(|f| f.judgement.id.starts_with("m1")).unwrap();
    assert_eq!(slow.judgement.processes, Processes { base: 4, head: 4 });
    assert_eq!(slow.changed, ["code"]);
    assert!((slow.head_value.unwrap() / slow.base_value.unwrap() - 1.3).abs() < 0.05);
    assert!(processes <= 2 * 56 + 8 + 56, "{processes}");
}

#[test]
fn whole_gates_of_equal_code_rarely_alarm() {
    let mut world = World::new(0.02);
    let mut alarms = 0;
    for _ in 0..20 {
        let (found, _) = run(trial(2), |id, _, _| world.record(id, 1.0));
        let is_alarm =
            |f: &Finding| matches!(f.judgement.verdict, Verdict::Regressed | Verdict::Improved);
        alarms += usize::from(found.findings.iter().any(is_alarm));
    }
    // Of 20 at a level of 1 %, three or more have a probability of about 0.001.
    assert!(alarms <= 2, "{alarms}");
}

#[test]
fn calm_cases_end_at_the_first_look_or_soon_after() {
    let mut world = World::new(0.0005);
    let (found, processes) = run(trial(2), |id, _, _| world.record(id, 1.0));
    for case in ["m0", "m1"] {
        assert_eq!(verdict(&found, case, Metric::Latency), Verdict::Equivalent);
        assert_eq!(verdict(&found, case, Metric::PeakMemory), Verdict::Equivalent);
    }
    assert!(processes <= 3 * 2 * 6, "{processes}");
    assert_eq!(found.control.unwrap().judgement.verdict, Verdict::Equivalent);
}

#[test]
fn memory_is_judged_beside_latency() {
    let mut world = World::new(0.001);
    let (found, _) = run(trial(1), |id, side, _| {
        world.memory = if side == Side::Head { 130 << 20 } else { 100 << 20 };
        world.record(id, 1.0)
    });
    assert_eq!(verdict(&found, "m0", Metric::PeakMemory), Verdict::Regressed);
    assert_eq!(verdict(&found, "m0", Metric::Latency), Verdict::Equivalent);
}

#[test]
fn a_control_that_alarms_takes_the_verdicts_back() {
    let mut world = World::new(0.005);
    let mut ran = 0;
    let (found, _) = run(trial(2), |id, _, control| {
        ran += usize::from(control);
        // The machine is slower for every second process of the control.
        let factor = if control && ran % 2 == 0 { 1.5 } else { 1.0 };
        world.record(id, factor)
    });
    let reason = found.unfit.as_ref().unwrap();
    assert!(reason.contains("the same program"), "{reason}");
    assert_eq!(verdict(&found, "m0", Metric::Latency), Verdict::Undecided);
    assert_eq!(verdict(&found, "m0", Metric::Operations), Verdict::Equivalent);
}

/// Runs a gate of one case whose records are changed, and gives its verdict and reason.
#[track_caller]
fn check(change: impl Fn(Side, usize, &mut Record), expected: Verdict, says: &str) {
    let mut world = World::new(0.01);
    let mut ran = 0;
    let (found, processes) = run(trial(1), |id, side, control| {
        let mut record = world.record(id, 1.0);
        if !control {
            change(side, ran, &mut record);
            ran += 1;
        }
        record
    });
    let judgement = &found.findings[0].judgement;
    let reason = judgement.reason.clone().unwrap_or_default();
    assert_eq!(judgement.verdict, expected, "{reason}");
    assert!(reason.contains(says), "{reason}");
    assert!(processes < 30, "what is settled is run no further: {processes}");
}

#[test]
fn what_fails_or_differs_is_broken_and_what_cannot_be_compared_is_told() {
    let fail = |record: &mut Record| {
        record.outcome = Outcome::Failed;
        record.message = Some("no such op".into());
    };
    let head = Side::Head;
    check(
        |side, _, record| {
            if side == head {
                fail(record)
            }
        },
        Verdict::Broken,
        "the head fails: failed: no such op",
    );
    check(
        |side, _, record| {
            if side != head {
                fail(record)
            }
        },
        Verdict::Incomparable,
        "the base fails: failed: no such op",
    );
    check(|_, _, record| fail(record), Verdict::Incomparable, "base and head fail: failed");
    check(
        |side, _, record| {
            if side == head {
                record.outputs[0].summary = "mean 2".into()
            }
        },
        Verdict::Broken,
        "its output y differs",
    );
    check(
        |_, _, record| record.samples = Samples::default(),
        Verdict::Incomparable,
        "left no times",
    );
    check(
        |_, ran, record| {
            if ran > 2 {
                record.environment.machine = "there".into()
            }
        },
        Verdict::Incomparable,
        "its machine changed: here and there",
    );
    check(
        |side, _, record| {
            if side == head {
                record.mark = Some(Mark::Software);
            }
        },
        Verdict::Incomparable,
        "its mark changed: real and software",
    );
    check(
        |_, ran, record| {
            if ran > 3
                && let Some(device) = &mut record.device
            {
                device.driver = "driver 2".into();
            }
        },
        Verdict::Incomparable,
        "its driver changed: driver 1 and driver 2",
    );
}

#[test]
fn a_budget_that_ends_leaves_cases_undecided_with_the_reason() {
    let mut world = World::new(0.02);
    let mut trial = trial(3);
    for round in 0..2 {
        for task in trial.next_round() {
            let (affected, _) = trial.program(task);
            let id = affected.id.to_string();
            let record = world.record(&id, 1.0);
            trial.add(task, record, Duration::from_secs(1));
        }
        trial.end_round();
        if round == 0 {
            // Three pairs more of two seconds each: one case fits.
            trial.shorten(Duration::from_secs(7));
            assert_eq!(trial.progress(), (1, 3));
        }
    }
    trial.stop("the budget of 10 s is used up");
    assert!(trial.next_round().iter().all(|task| Trial::is_control(*task)));
    let found = trial.conclude();
    let reasons: Vec<_> = found.findings.iter().filter(|f| f.metric == Metric::Latency).collect();
    assert!(reasons.iter().all(|f| f.judgement.verdict == Verdict::Undecided));
    let reason = |n: usize| reasons[n].judgement.reason.clone().unwrap();
    assert!(reason(0).contains("the budget of 10 s is used up"), "{}", reason(0));
    assert!(reason(0).contains("it takes 4 processes a side"), "{}", reason(0));
    assert!(reason(2).contains("a first look takes 6 s more"), "{}", reason(2));
}
