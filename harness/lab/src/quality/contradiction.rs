//! What cannot all be true: one code on one machine with latencies far apart, or both passed and failed; results of an
//! endpoint after a probe that says it is absent; migrated files that contradict themselves.

use super::{Facts, Run};
use crate::basis::Kind;
use crate::compat::Presence;
use crate::figures::duration_ns;
use proofmark::record::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// Two medians of one code whose ratio is above this are far apart, unless their own noise explains it.
pub const FAR: f64 = 1.25;
/// So many robust standard deviations around each median must leave a gap between them.
const DEVIATIONS: f64 = 3.0;

/// Statements that exclude each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contradiction {
    /// What kind of contradiction it is.
    pub what: What,
    /// The case, the endpoint and machine, or the file.
    pub of: String,
    /// The kind of the numbers, where there are some.
    pub kind: Option<Kind>,
    /// What is said and unsaid.
    pub says: String,
    /// The records and probes that say it; empty for a file.
    pub records: Vec<String>,
}

/// Kinds of contradictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Medians of one fingerprint are far apart.
    FarApart,
    /// One fingerprint passed and failed.
    PassedAndFailed,
    /// A probe says that an endpoint is absent, and later it ran.
    AbsentAndRan,
    /// A migrated file contradicts itself.
    Migrated,
}

impl What {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FarApart => "latencies far apart",
            Self::PassedAndFailed => "passed and failed",
            Self::AbsentAndRan => "absent, and ran",
            Self::Migrated => "a migrated file",
        }
    }
}

/// Everything of the kind that is found.
pub(super) fn contradictions(facts: &Facts) -> Vec<Contradiction> {
    type Key<'a> = (&'a str, &'a str, &'a str);
    let mut by_code: BTreeMap<Key<'_>, Vec<&Run>> = BTreeMap::new();
    for run in facts.runs.iter().filter(|run| run.outcome != Outcome::Skipped) {
        by_code.entry((&run.case, &run.machine, &run.fingerprint)).or_default().push(run);
    }
    let mut found: Vec<Contradiction> = Vec::new();
    for runs in by_code.values() {
        found.extend(by_device(runs).iter().filter_map(|runs| passed_and_failed(runs)));
        found.extend(far_apart(runs));
    }
    found.extend(facts.probes.iter().filter_map(|probe| absent_and_ran(probe, &facts.runs)));
    found.extend(facts.migrated.iter().map(|(file, says)| Contradiction {
        what: What::Migrated,
        of: file.clone(),
        kind: None,
        says: says.clone(),
        records: Vec::new(),
    }));
    found.sort_by(|a, b| (a.what, &a.of).cmp(&(b.what, &b.of)));
    found
}

/// The runs apart by device and kind. One that ended before a device was open speaks of all.
fn by_device<'r>(runs: &[&'r Run]) -> Vec<Vec<&'r Run>> {
    let (opened, unopened): (Vec<&Run>, Vec<&Run>) =
        runs.iter().copied().partition(|run| run.kind.mark.is_some());
    let mut of: BTreeMap<(&str, Kind), Vec<&Run>> = BTreeMap::new();
    for run in opened {
        of.entry((&run.device, run.kind)).or_default().push(run);
    }
    of.into_values().map(|runs| [runs, unopened.clone()].concat()).collect()
}

fn passed_and_failed(runs: &[&Run]) -> Option<Contradiction> {
    let last = |passed: bool| {
        let of = runs.iter().filter(|run| (run.outcome == Outcome::Passed) == passed);
        of.max_by_key(|run| run.at).copied()
    };
    let (passed, failed) = (last(true)?, last(false)?);
    let count = runs.iter().filter(|run| run.outcome == Outcome::Passed).count();
    Some(Contradiction {
        what: What::PassedAndFailed,
        of: passed.case.clone(),
        kind: Some(passed.kind),
        says: format!(
            "of {} runs of one code on machine {}, {count} passed and {} did not; the last that did not: {} at {}",
            runs.len(),
            passed.machine,
            runs.len() - count,
            failed.outcome.name(),
            failed.at.strftime("%Y-%m-%d %H:%M UTC"),
        ),
        records: vec![passed.record.clone(), failed.record.clone()],
    })
}

/// For each device and kind the quickest against the slowest.
fn far_apart(runs: &[&Run]) -> Vec<Contradiction> {
    let mut by_kind: BTreeMap<(&str, Kind), Vec<(f64, &Run)>> = BTreeMap::new();
    for run in runs {
        let timed = run.latency_ns.filter(|_| run.outcome == Outcome::Passed);
        let timed = timed.filter(|latency_ns| *latency_ns > 0.0);
        by_kind.entry((&run.device, run.kind)).or_default().extend(timed.map(|ns| (ns, *run)));
    }
    let mut found = Vec::new();
    for ((device, kind), mut timed) in by_kind {
        timed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ([(low, quick), ..], [.., (high, slow)]) = (timed.as_slice(), timed.as_slice()) else {
            continue;
        };
        let reach = |run: &Run| DEVIATIONS * run.relative_noise.unwrap_or_default();
        let is_apart = low * (1.0 + reach(quick)) < high * (1.0 - reach(slow));
        if high / low > FAR && is_apart {
            found.push(Contradiction {
                what: What::FarApart,
                of: quick.case.clone(),
                kind: Some(kind),
                says: format!(
                    "one code on {device} of machine {} has medians from {} to {} ({})",
                    quick.machine,
                    duration_ns(*low),
                    duration_ns(*high),
                    kind.name(),
                ),
                records: vec![quick.record.clone(), slow.record.clone()],
            });
        }
    }
    found
}

/// Only what ran after the probe contradicts it: an endpoint may go.
fn absent_and_ran(probe: &Presence, runs: &[Run]) -> Option<Contradiction> {
    let why = probe.absence.as_ref()?;
    let ran = |run: &&Run| {
        run.endpoint == probe.endpoint
            && run.machine == probe.machine
            && run.kind.mark.is_some()
            && run.at > probe.at
    };
    let later = runs.iter().filter(ran).max_by_key(|run| run.at)?;
    Some(Contradiction {
        what: What::AbsentAndRan,
        of: format!("{} on machine {}", probe.endpoint, probe.machine),
        kind: Some(later.kind),
        says: format!(
            "a probe of {} says it is absent ({why}), and {} ran there at {}",
            probe.at.strftime("%Y-%m-%d %H:%M UTC"),
            later.case,
            later.at.strftime("%Y-%m-%d %H:%M UTC"),
        ),
        records: vec![probe.record.clone(), later.record.clone()],
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{judged, run};
    use super::super::{Facts, quality};
    use super::*;
    use proofmark::Mark;

    const CASE: &str = "m/cpu/f32/b1";

    fn took(day: u32, latency_ns: f64, relative_noise: f64) -> Run {
        let (latency_ns, relative_noise) = (Some(latency_ns), Some(relative_noise));
        Run { latency_ns, relative_noise, ..run(CASE, day) }
    }

    #[test]
    fn latencies_of_one_code_that_noise_does_not_explain_contradict_each_other() {
        let found = judged(vec![took(1, 100.0, 0.01), took(2, 110.0, 0.01), took(3, 130.0, 0.01)]);
        let [one] = &found.contradictions[..] else { panic!("{found:?}") };
        assert_eq!((one.what, one.records.len()), (What::FarApart, 2));
        assert!(one.says.contains("from 100 ns to 130 ns (real)"), "{one:?}");
        let none = |runs: Vec<Run>| assert_eq!(judged(runs).contradictions, []);
        none(vec![took(1, 100.0, 0.01), took(3, 124.0, 0.01)]);
        none(vec![took(1, 100.0, 0.05), took(3, 130.0, 0.05)]);
        none(vec![took(1, 100.0, 0.0), Run { fingerprint: "g".into(), ..took(3, 200.0, 0.0) }]);
        none(vec![took(1, 100.0, 0.0), Run { machine: "there".into(), ..took(3, 200.0, 0.0) }]);
        none(vec![took(1, 100.0, 0.0), Run { device: "iron".into(), ..took(3, 200.0, 0.0) }]);
        let software = Kind { mark: Some(Mark::Software), fallbacks: false, fixture: false };
        none(vec![took(1, 100.0, 0.0), Run { kind: software, ..took(3, 200.0, 0.0) }]);
    }

    #[test]
    fn one_code_that_passed_and_failed_contradicts_itself() {
        let failed = Run { outcome: Outcome::Crashed, latency_ns: None, ..run(CASE, 2) };
        let found = judged(vec![run(CASE, 1), failed.clone(), run(CASE, 3)]).contradictions;
        assert_eq!(found[0].what, What::PassedAndFailed);
        assert!(
            found[0].says.contains("of 3 runs") && found[0].says.contains("1 did not"),
            "{found:?}"
        );
        assert_eq!(found[0].records, ["m/cpu/f32/b1-3", "m/cpu/f32/b1-2"]);
        let fixed = Run { fingerprint: "g".into(), ..run(CASE, 3) };
        assert_eq!(judged(vec![failed.clone(), fixed]).contradictions, []);
        let elsewhere = Run { device: "iron".into(), ..failed.clone() };
        assert_eq!(judged(vec![elsewhere, run(CASE, 1)]).contradictions, [], "another device");
        let skipped = Run { outcome: Outcome::Skipped, ..failed };
        assert_eq!(judged(vec![skipped, run(CASE, 1)]).contradictions, []);
    }

    #[test]
    fn a_probe_is_contradicted_by_what_ran_after_it() {
        let probe = Presence {
            endpoint: "cpu".into(),
            machine: "here".into(),
            absence: Some("away".into()),
            at: "2026-01-05T00:00:00Z".parse().unwrap(),
            record: "p".into(),
            fixture: false,
        };
        let with = |runs: Vec<Run>| {
            let migrated = vec![("old.json".to_owned(), "mean is above max".to_owned())];
            let facts = Facts { runs, probes: vec![probe.clone()], migrated, ..Facts::default() };
            let found = quality(&facts, &[], probe.at).contradictions;
            found.iter().map(|one| one.what).collect::<Vec<_>>()
        };
        assert_eq!(with(vec![run(CASE, 6)]), [What::AbsentAndRan, What::Migrated]);
        assert_eq!(with(vec![run(CASE, 4)]), [What::Migrated]);
        assert_eq!(with(vec![Run { machine: "there".into(), ..run(CASE, 6) }]), [What::Migrated]);
        assert_eq!(with(vec![run("m/cuda/f32/b1", 6)]), [What::Migrated]);
    }
}
