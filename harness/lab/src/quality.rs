//! How good what is stored is: its age and noise, what is missing, where it contradicts itself, what it covers. Pure: the
//! facts come from `store`, how it looks is `report::quality`; contradictions are found in `contradiction`.

pub mod contradiction;

use crate::basis::{Basis, Kind};
use crate::compat::Presence;
use crate::plan::NOISE_LIMIT;
use crate::timing::family;
use contradiction::Contradiction;
use jiff::Timestamp;
use proofmark::Absence;
use proofmark::protocol::Listed;
use proofmark::record::Outcome;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Ages in days up to which results are counted together; the last are older.
pub const AGES: [f64; 4] = [1.0, 7.0, 30.0, 90.0];

/// A run as far as its quality goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The id of its record.
    pub record: String,
    /// The case.
    pub case: String,
    /// Its model.
    pub model: String,
    /// Its endpoint.
    pub endpoint: String,
    /// What its numbers are.
    pub kind: Kind,
    /// The key of the machine.
    pub machine: String,
    /// The adapter's own name; empty if none was opened.
    pub device: String,
    /// The digest of its fingerprint.
    pub fingerprint: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it was to be timed.
    pub measured: bool,
    /// The median of its samples, in nanoseconds, if it was timed.
    pub latency_ns: Option<f64>,
    /// Their scaled median absolute deviation ÷ median.
    pub relative_noise: Option<f64>,
    /// When it ended.
    pub at: Timestamp,
}

/// All that is judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Every run, also those that were skipped.
    pub runs: Vec<Run>,
    /// The latest probe of each endpoint on each machine.
    pub probes: Vec<Presence>,
    /// Migrated files that contradict themselves: the file, and each contradiction.
    pub migrated: Vec<(String, String)>,
    /// Kinds of numbers that were predicted, migrated or imported, to be counted.
    pub others: Vec<Kind>,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// When it was made.
    pub made_at: Timestamp,
    /// Numbers by mark: the newest timed result of each case on each device, and all that is simulated or claimed.
    pub rests_on: Basis,
    /// How old the newest timed results are.
    pub ages: Vec<AgeCount>,
    /// Each newest timed result, the oldest first.
    pub newest: Vec<Newest>,
    /// What is not known.
    pub gaps: Vec<Gap>,
    /// What cannot all be true.
    pub contradictions: Vec<Contradiction>,
    /// Newest timed results by family, endpoint and kind.
    pub coverage: Vec<Covered>,
}

/// How many results of a kind are of an age.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgeCount {
    /// The kind.
    #[serde(flatten)]
    pub kind: Kind,
    /// Results up to each age of [`AGES`] and above the one before it; the last are older than all.
    pub counts: [usize; AGES.len() + 1],
}

/// The newest timed result of a case on a device of a machine, of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Newest {
    /// The case.
    pub case: String,
    /// Its kind.
    #[serde(flatten)]
    pub kind: Kind,
    /// The machine.
    pub machine: String,
    /// The adapter's own name.
    pub device: String,
    /// The id of its record.
    pub record: String,
    /// How old it is, in days.
    pub age_days: f64,
    /// Scaled median absolute deviation ÷ median.
    pub relative_noise: Option<f64>,
    /// Whether a plan would measure it again for its noise.
    pub noisy: bool,
}

/// Something that is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// What is missing.
    pub what: Missing,
    /// The case, or the endpoint.
    pub of: String,
    /// Where or why, as far as it is told.
    pub why: String,
    /// Whether all that says so is made up.
    pub fixture: bool,
}

/// What may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// A case that a suite makes and that could run here was never measured.
    Unmeasured,
    /// A case was checked and never timed.
    Untimed,
    /// A case was only ever skipped.
    Skipped,
    /// An endpoint is on no machine that was probed.
    Endpoint,
}

impl Missing {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmeasured => "never measured",
            Self::Untimed => "checked, never timed",
            Self::Skipped => "only skipped",
            Self::Endpoint => "endpoint absent",
        }
    }
}

/// What is known of a family on an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Covered {
    /// The family.
    pub family: String,
    /// The endpoint.
    pub endpoint: String,
    /// What the results are.
    #[serde(flatten)]
    pub kind: Kind,
    /// Newest timed results.
    pub results: usize,
    /// Models that have one.
    pub models: usize,
}

/// Judges what is stored. `listed` are the cases that the suites make here, if they were asked.
pub fn quality(facts: &Facts, listed: &[Listed], now: Timestamp) -> Quality {
    let newest = newest(&facts.runs);
    let kinds = newest.iter().map(|run| run.kind).chain(facts.others.iter().copied());
    let mut told: Vec<Newest> = newest.iter().map(|run| describe(run, now)).collect();
    told.sort_by(|a, b| b.age_days.total_cmp(&a.age_days).then_with(|| a.case.cmp(&b.case)));
    Quality {
        made_at: now,
        rests_on: Basis::of(kinds),
        ages: ages(&told),
        newest: told,
        gaps: gaps(facts, listed),
        contradictions: contradiction::contradictions(facts),
        coverage: coverage(&newest),
    }
}

/// The newest of the runs that were timed, of each case, machine, device and kind.
fn newest(runs: &[Run]) -> Vec<&Run> {
    let mut found: BTreeMap<(&str, &str, &str, Kind), &Run> = BTreeMap::new();
    let timed = |run: &&Run| run.latency_ns.is_some() && run.outcome == Outcome::Passed;
    for run in runs.iter().filter(timed) {
        let newest = found.entry((&run.case, &run.machine, &run.device, run.kind)).or_insert(run);
        if (newest.at, &newest.record) < (run.at, &run.record) {
            *newest = run;
        }
    }
    found.into_values().collect()
}

fn describe(run: &Run, now: Timestamp) -> Newest {
    Newest {
        case: run.case.clone(),
        kind: run.kind,
        machine: run.machine.clone(),
        device: run.device.clone(),
        record: run.record.clone(),
        age_days: now.duration_since(run.at).as_secs_f64() / 86_400.0,
        relative_noise: run.relative_noise,
        noisy: run.relative_noise.is_some_and(|noise| noise > NOISE_LIMIT),
    }
}

fn ages(newest: &[Newest]) -> Vec<AgeCount> {
    let mut by_kind: BTreeMap<Kind, [usize; AGES.len() + 1]> = BTreeMap::new();
    for one in newest {
        let place = AGES.iter().position(|days| one.age_days <= *days).unwrap_or(AGES.len());
        by_kind.entry(one.kind).or_default()[place] += 1;
    }
    by_kind.into_iter().map(|(kind, counts)| AgeCount { kind, counts }).collect()
}

fn gaps(facts: &Facts, listed: &[Listed]) -> Vec<Gap> {
    let mut gaps = BTreeSet::new();
    // Of each case: whether it ran, and whether it was timed.
    let mut ran: BTreeMap<(&str, bool), [bool; 2]> = BTreeMap::new();
    for run in &facts.runs {
        let [ran, timed] = ran.entry((&run.case, run.kind.fixture)).or_default();
        *ran |= run.outcome != Outcome::Skipped;
        *timed |= run.latency_ns.is_some();
    }
    for ((case, fixture), of) in &ran {
        let what = match of {
            [false, _] => Missing::Skipped,
            [true, false] => Missing::Untimed,
            [true, true] => continue,
        };
        let (of, why, fixture) = ((*case).to_owned(), String::new(), *fixture);
        gaps.insert(Gap { what, of, why, fixture });
    }
    for case in listed {
        let of = case.id.to_string();
        let why = match &case.absence {
            Some(Absence::Endpoint { .. }) => continue,
            Some(absence) => absence.reason().to_owned(),
            None => String::new(),
        };
        if !ran.contains_key(&(of.as_str(), false)) {
            gaps.insert(Gap { what: Missing::Unmeasured, of, why, fixture: false });
        }
    }
    gaps.extend(absent_endpoints(&facts.probes));
    gaps.into_iter().collect()
}

/// Endpoints that every probe says are absent, with what the newest probe said.
fn absent_endpoints(probes: &[Presence]) -> impl Iterator<Item = Gap> {
    let mut by_endpoint: BTreeMap<(&str, bool), Vec<&Presence>> = BTreeMap::new();
    for probe in probes {
        by_endpoint.entry((&probe.endpoint, probe.fixture)).or_default().push(probe);
    }
    by_endpoint.into_iter().filter_map(|((endpoint, fixture), probes)| {
        let newest = probes.iter().max_by_key(|probe| probe.at)?;
        let is_absent = probes.iter().all(|probe| probe.absence.is_some());
        let why = newest.absence.clone()?;
        let of = endpoint.to_owned();
        is_absent.then_some(Gap { what: Missing::Endpoint, of, why, fixture })
    })
}

fn coverage(newest: &[&Run]) -> Vec<Covered> {
    let mut found: BTreeMap<(&str, &str, Kind), (usize, BTreeSet<&str>)> = BTreeMap::new();
    for run in newest {
        let of = found.entry((family(&run.model), &run.endpoint, run.kind)).or_default();
        of.0 += 1;
        of.1.insert(&run.model);
    }
    let covered = |((family, endpoint, kind), (results, models)): (
        (&str, &str, Kind),
        (usize, BTreeSet<&str>),
    )| {
        let (family, endpoint) = (family.to_owned(), endpoint.to_owned());
        Covered { family, endpoint, kind, results, models: models.len() }
    };
    found.into_iter().map(covered).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proofmark::{Fingerprint, Mark};

    /// A timed run on a day of January.
    pub(crate) fn run(case: &str, day: u32) -> Run {
        let parts: Vec<&str> = case.split('/').collect();
        Run {
            record: format!("{case}-{day}"),
            case: case.into(),
            model: parts[0].into(),
            endpoint: parts[1].into(),
            kind: Kind { mark: Some(Mark::Real), fallbacks: false, fixture: false },
            machine: "here".into(),
            device: "wood".into(),
            fingerprint: "f".into(),
            outcome: Outcome::Passed,
            measured: true,
            latency_ns: Some(100.0),
            relative_noise: Some(0.01),
            at: format!("2026-01-{day:02}T00:00:00Z").parse().unwrap(),
        }
    }

    pub(crate) fn judged(runs: Vec<Run>) -> Quality {
        let facts = Facts { runs, ..Facts::default() };
        quality(&facts, &[], "2026-01-21T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_newest_result_has_the_age_and_the_noise() {
        let noisy = Run { relative_noise: Some(0.051), ..run("a-b/cpu/f32/b1", 1) };
        let quality =
            judged(vec![run("a-b/cpu/f32/b1", 20), noisy.clone(), run("c/cpu/f32/b1", 11)]);
        let told: Vec<_> =
            quality.newest.iter().map(|one| (&*one.case, one.age_days, one.noisy)).collect();
        assert_eq!(told, [("c/cpu/f32/b1", 10.0, false), ("a-b/cpu/f32/b1", 1.0, false)]);
        assert_eq!(quality.ages[0].counts, [1, 0, 1, 0, 0]);
        assert_eq!(quality.rests_on.counts["real"], 2);
        assert!(judged(vec![noisy]).newest[0].noisy);
        assert_eq!((&*quality.coverage[0].family, quality.coverage[0].results), ("a", 1));
        // Of another device it is another result, and a failure hides nothing.
        let other = Run { device: "iron".into(), ..run("c/cpu/f32/b1", 1) };
        let failed = Run { outcome: Outcome::Failed, latency_ns: None, ..run("c/cpu/f32/b1", 12) };
        assert_eq!(judged(vec![run("c/cpu/f32/b1", 11), other, failed]).newest.len(), 2);
    }

    #[test]
    fn gaps_are_what_was_never_timed_and_what_is_nowhere() {
        let skipped = Run { outcome: Outcome::Skipped, latency_ns: None, ..run("s/cpu/f32/b1", 1) };
        let checked = Run { latency_ns: None, measured: false, ..run("t/cpu/f32/b1", 1) };
        let probe = |endpoint: &str, machine: &str, absence: Option<&str>| Presence {
            endpoint: endpoint.into(),
            machine: machine.into(),
            absence: absence.map(str::to_owned),
            at: Timestamp::UNIX_EPOCH,
            record: "p".into(),
            fixture: false,
        };
        let listed = |id: &str, absence| Listed {
            id: id.parse().unwrap(),
            fingerprint: Fingerprint::new([]),
            absence,
        };
        let facts = Facts {
            runs: vec![skipped, checked, run("m/cpu/f32/b1", 1)],
            probes: vec![
                probe("cuda", "here", Some("no driver")),
                probe("mps", "here", Some("no Mac")),
                probe("mps", "there", None),
            ],
            ..Facts::default()
        };
        let away = Absence::Endpoint { reason: "away".into() };
        let all = [
            listed("m/cpu/f32/b1", None),
            listed("new/cpu/f32/b1", None),
            listed("new/cuda/f32/b1", Some(away)),
        ];
        let found = quality(&facts, &all, Timestamp::UNIX_EPOCH).gaps;
        let told: Vec<_> = found.iter().map(|gap| (gap.what, &*gap.of, &*gap.why)).collect();
        assert_eq!(
            told,
            [
                (Missing::Unmeasured, "new/cpu/f32/b1", ""),
                (Missing::Untimed, "t/cpu/f32/b1", ""),
                (Missing::Skipped, "s/cpu/f32/b1", ""),
                (Missing::Endpoint, "cuda", "no driver"),
            ]
        );
    }
}
