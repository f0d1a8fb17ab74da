//! What runs where, as far as anything is known: a state for each model on each endpoint, with its evidence. Pure.
//!
//! Facts come from the store: the latest run of each case on each machine, the latest probes, predictions. Marks are
//! never mixed: what ran on hardware, what ran on an adapter that imitates it, what was simulated and what is only claimed
//! are told apart, and the strongest kind of evidence gives the state. How it looks is `report::compat`.

use crate::basis;
use jiff::Timestamp;
use proofmark::Mark;
use proofmark::record::Outcome;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Something that is known of a model on an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// The case, or what stands for it.
    pub case: String,
    /// What it proves; nothing for a run that opened no device.
    pub mark: Option<Mark>,
    /// How the run ended; nothing for what was no run.
    pub outcome: Option<Outcome>,
    /// Whether ops ran elsewhere than on the device.
    pub fallbacks: bool,
    /// Why it did not pass, or what else is said of it.
    pub message: Option<String>,
    /// When it was recorded.
    pub at: Timestamp,
    /// Where it stands: the id of a record or a prediction, a file.
    pub record: String,
    /// The machine; empty for what names none.
    pub machine: String,
    /// Whether it was made up to try reports out.
    pub fixture: bool,
}

impl Fact {
    /// What kind of thing it is.
    pub fn kind(&self) -> basis::Kind {
        basis::Kind { mark: self.mark, fallbacks: self.fallbacks, fixture: self.fixture }
    }
}

/// Whether an endpoint is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Presence {
    /// The endpoint.
    pub endpoint: String,
    /// The machine that was probed.
    pub machine: String,
    /// Why it is not there; nothing if it is.
    pub absence: Option<String>,
    /// When it was probed.
    pub at: Timestamp,
    /// The id of the probe.
    pub record: String,
    /// The probe was made up to try reports out.
    pub fixture: bool,
}

/// What is known, from the strongest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Every case that ran passed, all on the device.
    Full,
    /// Some cases passed; others did not, or ops ran elsewhere.
    Partial,
    /// Every case that ran failed.
    Failing,
    /// The endpoint is nowhere there.
    Absent,
    /// Nothing ran, and something was predicted.
    Simulated,
    /// Nothing ran here, and someone says that it did elsewhere.
    Claimed,
    /// Nothing is known.
    Untested,
}

impl State {
    /// The state as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Failing => "failing",
            Self::Absent => "absent",
            Self::Simulated => "simulated",
            Self::Claimed => "claimed",
            Self::Untested => "untested",
        }
    }
}

/// A state with the mark of what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What is known.
    pub state: State,
    /// What the evidence proves; nothing where nothing ran and nothing is told.
    pub mark: Option<Mark>,
    /// Whether the evidence was made up.
    pub fixture: bool,
}

impl Told {
    const UNTESTED: Self = Self { state: State::Untested, mark: None, fixture: false };
}

/// A model on an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// What is known.
    #[serde(flatten)]
    pub told: Told,
    /// Cases that passed, of the kind that gives the state.
    pub passed: usize,
    /// Cases that did not.
    pub failed: usize,
    /// The facts that the state rests on, the newest first.
    pub evidence: Vec<Fact>,
    /// What else is known, of weaker kinds.
    pub beside: Vec<Fact>,
    /// Why it is absent, each with the probe that says so.
    pub absences: Vec<Presence>,
}

/// The state of each model on each endpoint that any fact or probe names.
pub fn matrix(facts: &[Fact], probes: &[Presence]) -> Vec<Cell> {
    let models: BTreeSet<&str> = facts.iter().map(|fact| fact.model.as_str()).collect();
    let endpoints: BTreeSet<&str> = facts
        .iter()
        .map(|fact| fact.endpoint.as_str())
        .chain(probes.iter().map(|probe| probe.endpoint.as_str()))
        .collect();
    let mut known: BTreeMap<(&str, &str), Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        known.entry((&fact.model, &fact.endpoint)).or_default().push(fact);
    }
    let of_runs = |fact: &&Fact| !fact.fixture;
    let told: BTreeSet<&str> =
        facts.iter().filter(of_runs).map(|fact| fact.model.as_str()).collect();
    let fixtures: BTreeSet<&str> = models.difference(&told).copied().collect();
    let mut cells = Vec::new();
    for model in models {
        for endpoint in &endpoints {
            let own = known.remove(&(model, *endpoint)).unwrap_or_default();
            let is_fixture = match own.as_slice() {
                [] => fixtures.contains(model),
                own => own.iter().all(|fact| fact.fixture),
            };
            cells.push(cell([model, endpoint], &own, probes, is_fixture));
        }
    }
    cells
}

/// Kinds of evidence, the strongest first.
const KINDS: [Kind; 5] = [
    Kind::Ran(Some(Mark::Real)),
    Kind::Ran(Some(Mark::Software)),
    Kind::Ran(None),
    Kind::Simulated,
    Kind::Claimed,
];

/// What kind of evidence a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A run that was not skipped, with the mark of its device if it opened one.
    Ran(Option<Mark>),
    Simulated,
    Claimed,
    /// A run that was skipped.
    Skipped,
}

fn kind(fact: &Fact) -> Kind {
    match (fact.outcome, fact.mark) {
        (Some(Outcome::Skipped), _) => Kind::Skipped,
        (_, Some(Mark::Simulated)) => Kind::Simulated,
        (_, Some(Mark::Claimed)) => Kind::Claimed,
        (_, mark) => Kind::Ran(mark),
    }
}

fn cell([model, endpoint]: [&str; 2], facts: &[&Fact], probes: &[Presence], fixture: bool) -> Cell {
    // What was made up says nothing beside anything else.
    let own = probes.iter().filter(|probe| probe.endpoint == endpoint && probe.fixture == fixture);
    let own: Vec<&Presence> = own.collect();
    let absences: Vec<Presence> =
        own.iter().filter(|probe| probe.absence.is_some()).map(|probe| (*probe).clone()).collect();
    let is_absent = !own.is_empty() && absences.len() == own.len();
    let weighs = |fact: &Fact| fact.fixture == fixture;
    let strongest =
        KINDS.into_iter().find(|of| facts.iter().any(|fact| weighs(fact) && kind(fact) == *of));
    // A run that ended before its device was open says the same of every mark.
    let counts = |fact: &Fact| {
        let runs = matches!((kind(fact), strongest), (Kind::Ran(None), Some(Kind::Ran(_))));
        weighs(fact) && (Some(kind(fact)) == strongest || runs)
    };
    let evidence: Vec<&Fact> = facts.iter().copied().filter(|fact| counts(fact)).collect();
    let passed = evidence.iter().filter(|fact| fact.outcome == Some(Outcome::Passed)).count();
    let failed = evidence.iter().filter(|fact| fact.outcome.is_some()).count() - passed;
    let helped = evidence.iter().any(|fact| fact.fallbacks);
    let skipped = facts.iter().any(|fact| weighs(fact) && kind(fact) == Kind::Skipped);
    let state = match strongest {
        Some(Kind::Ran(_)) if passed == 0 => State::Failing,
        Some(Kind::Ran(_)) if failed > 0 || helped => State::Partial,
        Some(Kind::Ran(_)) => State::Full,
        _ if is_absent || skipped => State::Absent,
        Some(Kind::Simulated) => State::Simulated,
        Some(Kind::Claimed) => State::Claimed,
        Some(Kind::Skipped) | None => State::Untested,
    };
    let rests = matches!(strongest, Some(Kind::Ran(_))) || state != State::Absent;
    let (evidence, beside): (Vec<&Fact>, Vec<&Fact>) =
        facts.iter().copied().partition(|fact| match rests {
            true => counts(fact),
            false => weighs(fact) && kind(fact) == Kind::Skipped,
        });
    Cell {
        model: model.to_owned(),
        endpoint: endpoint.to_owned(),
        told: Told {
            state,
            mark: evidence.iter().filter(|_| rests).find_map(|fact| fact.mark),
            fixture: fixture && state != State::Untested,
        },
        passed,
        failed,
        evidence: newest_first(evidence),
        beside: newest_first(beside),
        absences,
    }
}

fn newest_first(facts: Vec<&Fact>) -> Vec<Fact> {
    let mut facts: Vec<Fact> = facts.into_iter().cloned().collect();
    facts.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.case.cmp(&b.case)));
    facts
}

/// A cell whose state is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// What was known.
    pub before: Told,
    /// What is known.
    pub after: Told,
}

/// Where two matrices differ in state or mark. What one of them does not have was untested.
pub fn changes(before: &[Cell], after: &[Cell]) -> Vec<Change> {
    let mut all: BTreeMap<(&str, &str), [Told; 2]> = BTreeMap::new();
    for (side, cells) in [before, after].into_iter().enumerate() {
        for cell in cells {
            let pair = all.entry((&cell.model, &cell.endpoint)).or_insert([Told::UNTESTED; 2]);
            pair[side] = cell.told;
        }
    }
    let changed = all.into_iter().filter(|(_, [before, after])| before != after);
    changed
        .map(|((model, endpoint), [before, after])| Change {
            model: model.to_owned(),
            endpoint: endpoint.to_owned(),
            before,
            after,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(endpoint: &str, mark: Option<Mark>, outcome: Option<Outcome>, day: i64) -> Fact {
        Fact {
            model: "m".into(),
            endpoint: endpoint.into(),
            case: format!("m/{endpoint}/f32/b{day}"),
            mark,
            outcome,
            fallbacks: false,
            message: None,
            at: Timestamp::from_second(86_400 * day).unwrap(),
            record: format!("r{day}"),
            machine: "here".into(),
            fixture: false,
        }
    }

    fn probe(endpoint: &str, absence: Option<&str>) -> Presence {
        Presence {
            endpoint: endpoint.into(),
            machine: "here".into(),
            absence: absence.map(str::to_owned),
            at: Timestamp::UNIX_EPOCH,
            record: "p".into(),
            fixture: false,
        }
    }

    #[track_caller]
    fn check(
        facts: &[Fact],
        probes: &[Presence],
        expected: (State, Option<Mark>),
        evidence: usize,
    ) {
        let cells = matrix(facts, probes);
        assert_eq!(cells.len(), 1, "{cells:?}");
        assert_eq!((cells[0].told.state, cells[0].told.mark), expected, "{cells:?}");
        assert_eq!(cells[0].evidence.len(), evidence, "{cells:?}");
        assert_eq!(cells[0].evidence.len() + cells[0].beside.len(), facts.len());
    }

    const REAL: Option<Mark> = Some(Mark::Real);
    const SOFTWARE: Option<Mark> = Some(Mark::Software);
    const SIMULATED: Option<Mark> = Some(Mark::Simulated);
    const CLAIMED: Option<Mark> = Some(Mark::Claimed);
    const PASSED: Option<Outcome> = Some(Outcome::Passed);
    const FAILED: Option<Outcome> = Some(Outcome::Failed);

    #[test]
    fn the_strongest_kind_of_evidence_gives_the_state() {
        let real = fact("cuda", REAL, PASSED, 1);
        let failed = fact("cuda", REAL, FAILED, 2);
        let software = fact("cuda", SOFTWARE, FAILED, 3);
        let predicted = fact("cuda", SIMULATED, None, 4);
        let claimed = fact("cuda", CLAIMED, None, 5);
        let all = [claimed, predicted, software, failed, real];
        check(&all, &[], (State::Partial, REAL), 2);
        check(&all[..4], &[], (State::Failing, REAL), 1);
        check(&all[..3], &[], (State::Failing, SOFTWARE), 1);
        check(&all[..2], &[], (State::Simulated, SIMULATED), 1);
        check(&all[..1], &[], (State::Claimed, CLAIMED), 1);
        check(&all[4..], &[], (State::Full, REAL), 1);
    }

    #[test]
    fn what_ran_with_help_is_partial_and_what_opened_nothing_failed() {
        let helped = Fact { fallbacks: true, ..fact("cuda", REAL, PASSED, 1) };
        check(&[helped], &[], (State::Partial, REAL), 1);
        let crashed = fact("cuda", None, Some(Outcome::Crashed), 1);
        check(std::slice::from_ref(&crashed), &[], (State::Failing, None), 1);
        check(&[crashed, fact("cuda", REAL, PASSED, 2)], &[], (State::Partial, REAL), 2);
    }

    #[test]
    fn absent_is_what_every_probe_says_and_no_prediction_hides_it() {
        let predicted = fact("cuda", SIMULATED, None, 1);
        let absent = probe("cuda", Some("no driver"));
        let there = Presence { machine: "there".into(), ..probe("cuda", None) };
        check(
            std::slice::from_ref(&predicted),
            std::slice::from_ref(&absent),
            (State::Absent, None),
            0,
        );
        check(&[predicted], &[absent.clone(), there], (State::Simulated, SIMULATED), 1);
        let skipped = fact("cuda", None, Some(Outcome::Skipped), 2);
        check(&[skipped], &[], (State::Absent, None), 1);
        // What ran while it was there ran.
        check(&[fact("cuda", REAL, PASSED, 1)], &[absent], (State::Full, REAL), 1);
    }

    #[test]
    fn every_model_has_a_cell_on_every_endpoint_and_changes_are_told() {
        let facts = [fact("cpu", REAL, PASSED, 1), fact("cuda", REAL, FAILED, 2)];
        let probes = [probe("mps", Some("no Mac"))];
        let before = matrix(&facts[..1], &probes);
        let after = matrix(&facts, &probes);
        let states: Vec<_> = after.iter().map(|c| (c.endpoint.as_str(), c.told.state)).collect();
        assert_eq!(
            states,
            [("cpu", State::Full), ("cuda", State::Failing), ("mps", State::Absent)]
        );
        let changed = changes(&before, &after);
        assert_eq!(changed.len(), 1);
        let failing = Told { state: State::Failing, mark: REAL, fixture: false };
        assert_eq!((changed[0].before, changed[0].after), (Told::UNTESTED, failing));
        assert!(changes(&after, &after).is_empty());
    }

    #[test]
    fn what_was_made_up_weighs_nothing_beside_anything_else() {
        let made_up = Presence { fixture: true, ..probe("mps", Some("made up")) };
        let claim = Fact { outcome: None, ..fact("mps", CLAIMED, PASSED, 1) };
        check(&[claim], &[made_up], (State::Claimed, CLAIMED), 1);
        let made = Fact { fixture: true, ..fact("cuda", REAL, PASSED, 1) };
        let cells = matrix(std::slice::from_ref(&made), &[]);
        assert_eq!(cells[0].told, Told { state: State::Full, mark: REAL, fixture: true });
        let cells = matrix(&[made, fact("cuda", CLAIMED, None, 2)], &[]);
        assert_eq!(cells[0].told, Told { state: State::Claimed, mark: CLAIMED, fixture: false });
        assert_eq!((cells[0].evidence.len(), cells[0].beside.len()), (1, 1));
    }
}
