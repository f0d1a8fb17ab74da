//! Tests of whole assessments: generated kinds get the mark that they deserve for the right reason, and what does not
//! matter changes nothing. The rates are measured by `examples/certify_rates`.

use super::kinds::KINDS;
use super::random::Random;
use super::*;
use proptest::prelude::*;

/// Benchmarks of each kind.
const COUNT: u64 = 30;

fn assess(make: fn(&mut Random) -> Benchmark) -> Vec<Assessment> {
    (0..COUNT).map(|seed| judge(&make(&mut Random::new(1000 + seed)))).collect()
}

#[test]
fn bad_ones_get_low_marks_for_the_right_reason() {
    for kind in KINDS {
        let Some(reason) = kind.reason else { continue };
        let found = assess(kind.make);
        let right = found.iter().filter(|f| f.reasons.first() == Some(&reason)).count();
        assert!(
            right as f64 >= 0.8 * COUNT as f64,
            "{}: {right} of {COUNT}: {found:#?}",
            kind.name
        );
        let low = found.iter().filter(|f| f.score <= CAP_OTHER && f.level == Level::Unverified);
        assert!(low.count() as f64 >= 0.9 * COUNT as f64, "{}", kind.name);
    }
}

#[test]
fn good_ones_are_certified() {
    let mut accused = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.reason.is_none()) {
        let found = assess(kind.make);
        accused.extend(found.iter().filter(|f| !f.reasons.is_empty()).cloned());
        let certified = found.iter().filter(|f| f.level == Level::Certified).count();
        assert!(certified as f64 >= 0.8 * COUNT as f64, "{}: {certified}: {found:#?}", kind.name);
    }
    assert!(accused.len() <= 6, "{} of {}: {accused:#?}", accused.len(), 7 * COUNT);
}

#[test]
fn samples_alone_say_nothing_of_outputs_days_or_load() {
    let known = judge(&(KINDS[0].make)(&mut Random::new(1)));
    let processes =
        |benchmark: Benchmark| benchmark.processes.into_iter().map(|p| Process::of(p.samples_s));
    let benchmark = (KINDS[0].make)(&mut Random::new(1));
    let bare = Benchmark { processes: processes(benchmark).collect(), ..Benchmark::default() };
    let bare = judge(&bare);
    assert_eq!((known.level, bare.level), (Level::Certified, Level::Unverified));
    for part in [Part::Outputs, Part::Work, Part::Busy, Part::Boots, Part::Days, Part::Load] {
        assert_eq!(bare.check(part).map(|check| check.status), Some(Status::Unknown), "{part:?}");
    }
    assert!(bare.score < known.score - 40.0, "{} {}", bare.score, known.score);
}

#[test]
fn a_small_fault_on_a_crowded_machine_is_not_proven_and_a_large_one_is() {
    let grows = |part: f64, load: f64| {
        let process = |_| Process {
            load: Some(load),
            ..Process::of((0..50).map(|sample| 1.0 + part * f64::from(sample) / 50.0).collect())
        };
        let benchmark =
            Benchmark { processes: (0..6).map(process).collect(), ..Benchmark::default() };
        judge(&benchmark).check(Part::Growth).unwrap().clone()
    };
    assert_eq!(grows(0.06, 0.1).status, Status::Fail);
    let excused = grows(0.06, 2.0);
    assert_eq!(excused.status, Status::Unknown);
    assert!(excused.says.contains("; 2.00 processes per processor"), "{excused:?}");
    assert_eq!(grows(0.6, 2.0).status, Status::Fail);
}

#[test]
fn nothing_is_known_of_nothing() {
    let found = judge(&Benchmark::default());
    assert_eq!((found.level, found.score), (Level::Unverified, 0.0));
    let applies = |check: &&Check| check.status != Status::Inapplicable;
    assert!(found.checks.iter().filter(applies).all(|c| c.status == Status::Unknown), "{found:#?}");
    assert_eq!(found.checks.len(), Part::ALL.len());
}

/// What is said of a benchmark, but for its estimate in seconds and sentences that hold it.
fn statuses(found: &Assessment) -> Vec<(Part, Status)> {
    found.checks.iter().map(|check| (check.part, check.status)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A faster machine, or another unit, is no better and no worse.
    #[test]
    fn the_unit_does_not_matter(kind in 0..KINDS.len(), seed in 0..1000_u64, power in -20..20_i32) {
        let benchmark = (KINDS[kind].make)(&mut Random::new(seed));
        // A power of two, so that nothing is rounded.
        let factor = f64::from(power).exp2();
        let mut scaled = benchmark.clone();
        for process in scaled.processes.iter_mut().chain(&mut scaled.loaded) {
            process.samples_s.iter_mut().for_each(|s| *s *= factor);
            process.interval_s = process.interval_s.map(|s| s * factor);
        }
        let others = scaled.scaling.iter_mut().flat_map(|other| &mut other.processes_s);
        others.flatten().for_each(|s| *s *= factor);
        scaled.clock_step_s = scaled.clock_step_s.map(|s| s * factor);
        scaled.peak_work_per_s = scaled.peak_work_per_s.map(|rate| rate / factor);
        let (plain, scaled) = (judge(&benchmark), judge(&scaled));
        prop_assert_eq!(statuses(&plain), statuses(&scaled));
        prop_assert_eq!(plain.score, scaled.score);
    }

    /// Only what is about order may see in which order processes ran.
    #[test]
    fn the_order_of_processes_matters_to_order_alone(kind in 0..KINDS.len(), seed in 0..1000_u64) {
        let benchmark = (KINDS[kind].make)(&mut Random::new(seed));
        let mut turned = benchmark.clone();
        turned.processes.reverse();
        let indifferent = |found: &Assessment| {
            let mut statuses = statuses(found);
            // Heat is told from a leak by what the next process begins with.
            statuses.retain(|(part, _)| ![Part::Order, Part::Drift, Part::Growth].contains(part));
            statuses
        };
        prop_assert_eq!(indifferent(&judge(&benchmark)), indifferent(&judge(&turned)));
    }

    /// Whatever the samples, an assessment has all its parts, in bounds.
    #[test]
    fn every_benchmark_has_an_assessment(
        processes in prop::collection::vec(prop::collection::vec(1e-9..1e3_f64, 0..40), 0..8),
        step in prop::option::of(1e-9..1.0_f64),
    ) {
        let processes = processes.into_iter().map(Process::of).collect();
        let found = judge(&Benchmark { processes, clock_step_s: step, ..Benchmark::default() });
        prop_assert!((0.0..=100.0).contains(&found.score));
        prop_assert_eq!(found.level, Level::Unverified);
        let parts: Vec<Part> = found.checks.iter().map(|check| check.part).collect();
        prop_assert_eq!(parts, Part::ALL.to_vec());
        for check in &found.checks {
            prop_assert!(check.value.is_none_or(f64::is_finite), "{:?}", check);
        }
    }
}
