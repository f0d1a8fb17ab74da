//! What is known of models in browsers: which run where, as what, and how fast, each with its evidence. Pure.
//!
//! The processor and native WebGPU stand beside the browsers for scale. Results of different marks, or with and
//! without fallbacks, are shown side by side and never ranked or added up. How it looks is `report::browsers`.

use jiff::Timestamp;
use proofmark::protocol::Listed;
use proofmark::record::{Fallback, Metrics, Outcome, Probe};
use proofmark::{CaseId, Endpoint, Expectation, Mark};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A run of a case, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The id of its record.
    pub id: String,
    /// The case.
    pub case: CaseId,
    /// When it ended.
    pub recorded_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What its numbers prove; nothing if it opened no device.
    pub mark: Option<Mark>,
    /// Why it did not pass.
    pub message: Option<String>,
    /// The adapter's own name.
    pub adapter: Option<String>,
    /// The driver and its version.
    pub driver: Option<String>,
    /// Digest of its fingerprint.
    pub fingerprint: String,
    /// Latency of one run, per sample; none if it was not timed.
    pub latency_ns: Vec<f64>,
    /// What else was measured.
    pub metrics: Metrics,
    /// What else is known of where it ran.
    pub details: BTreeMap<String, String>,
    /// Ops that ran elsewhere than on the device.
    pub fallbacks: Vec<Fallback>,
}

/// A case that a suite makes, and the failures that this suite expects.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The case.
    pub listed: &'a Listed,
    /// Of its suite.
    pub expectations: &'a [Expectation<String>],
}

/// What is known of one case on one endpoint, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// An output was wrong, or the device said no.
    Failed,
    /// The process ended without an answer.
    Crashed,
    /// Killed at its timeout.
    TimedOut,
    /// A failure is expected, and it passed.
    PassedUnexpectedly,
    /// It failed as is expected.
    FailedAsExpected,
    /// All outputs were right.
    Passed,
    /// It cannot run here.
    Absent,
    /// It could run and never did.
    Untested,
}

impl Status {
    /// The status as it stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed out",
            Self::PassedUnexpectedly => "passed unexpectedly",
            Self::FailedAsExpected => "expected failure",
            Self::Passed => "passed",
            Self::Absent => "absent",
            Self::Untested => "untested",
        }
    }
}

/// Why a status holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The case; nothing where the suites make none there.
    pub case: Option<CaseId>,
    /// What is known.
    pub status: Status,
    /// The mark of the record.
    pub mark: Option<Mark>,
    /// Whether ops ran elsewhere than on the device.
    pub fell_back: bool,
    /// Whether it is of other code, weights, drivers or tools than those of now.
    pub stale: bool,
    /// The id of the record of the run or of the probe.
    pub record: Option<String>,
    /// When that was written.
    pub recorded_at: Option<Timestamp>,
    /// What it says: why it failed, why it is absent.
    pub message: Option<String>,
    /// Where a failure that is expected is tracked.
    pub link: Option<String>,
}

/// One model on one endpoint: an evidence per case, the gravest first. Never empty.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Why it can or cannot run there.
    pub evidence: Vec<Evidence>,
}

/// One endpoint in a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What is known now: the latest run.
    pub evidence: Evidence,
    /// The run whose numbers are shown: the latest that was timed, or else the latest that opened a device.
    pub run: Option<Run>,
}

/// A model in one precision at one shape, endpoint beside endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The model.
    pub model: String,
    /// The format of its floats.
    pub precision: String,
    /// The values of its symbolic sizes.
    pub shape: String,
    /// The endpoints that have this case.
    pub columns: Vec<Column>,
}

/// Everything that the report shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Browsers {
    /// The machine on which all of it ran.
    pub machine: String,
    /// The browsers' endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Models by browsers.
    pub cells: Vec<Cell>,
    /// Models with browsers, and with the processor and native WebGPU for scale.
    pub comparisons: Vec<Comparison>,
    /// What the latest probe of each endpoint found.
    pub probes: Vec<Probe>,
}

/// Whether an endpoint is a browser.
fn is_browser(endpoint: &Endpoint) -> bool {
    let name = endpoint.as_str();
    *endpoint != Endpoint::WEBGPU_NATIVE
        && ["webgpu-", "webnn-"].iter().any(|api| name.starts_with(api))
}

/// Whether an endpoint is shown at all.
fn is_shown(endpoint: &Endpoint) -> bool {
    is_browser(endpoint) || [Endpoint::CPU, Endpoint::WEBGPU_NATIVE].contains(endpoint)
}

/// Puts together what the suites ask for and what is stored of it on one machine. Runs of cases that no suite makes
/// any more are left out.
pub fn browsers(machine: &str, asked: &[Asked<'_>], runs: &[Run], probes: &[Probe]) -> Browsers {
    let mut runs_of: HashMap<&CaseId, Vec<&Run>> = HashMap::new();
    runs.iter().for_each(|run| runs_of.entry(&run.case).or_default().push(run));
    let known: HashMap<_, _> = asked
        .iter()
        .filter(|asked| is_shown(&asked.listed.id.endpoint))
        .map(|asked| {
            let runs = runs_of.get(&asked.listed.id).map_or(&[][..], Vec::as_slice);
            (&asked.listed.id, column(*asked, runs, probes))
        })
        .collect();
    let endpoints = endpoints(asked);
    Browsers {
        machine: machine.to_owned(),
        cells: cells(asked, &known, &endpoints, probes),
        comparisons: comparisons(asked, &known),
        endpoints,
        probes: probes.iter().filter(|p| is_shown(&p.finding.endpoint)).cloned().collect(),
    }
}

/// Browsers that have a name, then those that suites bring.
fn endpoints(asked: &[Asked<'_>]) -> Vec<Endpoint> {
    let brought: BTreeSet<_> = asked.iter().map(|asked| &asked.listed.id.endpoint).collect();
    let brought = brought.into_iter().filter(|endpoint| !Endpoint::KNOWN.contains(endpoint));
    Endpoint::KNOWN.iter().chain(brought).filter(|endpoint| is_browser(endpoint)).cloned().collect()
}

fn place(endpoint: &Endpoint) -> usize {
    Endpoint::KNOWN.iter().position(|known| known == endpoint).unwrap_or(usize::MAX)
}

fn column(asked: Asked<'_>, runs: &[&Run], probes: &[Probe]) -> Column {
    let newest = |wanted: fn(&Run) -> bool| {
        let wanted = runs.iter().filter(|run| wanted(run));
        wanted.max_by(|a, b| (a.recorded_at, &a.id).cmp(&(b.recorded_at, &b.id))).copied()
    };
    let shown = newest(|run| !run.latency_ns.is_empty()).or_else(|| newest(|r| r.mark.is_some()));
    let listed = asked.listed;
    let probe = probe_of(&listed.id.endpoint, probes);
    let evidence = match newest(|_| true) {
        Some(run) => of_run(run, asked, probe),
        None => of_nothing(listed, probe),
    };
    Column { endpoint: listed.id.endpoint.clone(), evidence, run: shown.cloned() }
}

fn probe_of<'p>(endpoint: &Endpoint, probes: &'p [Probe]) -> Option<&'p Probe> {
    probes.iter().find(|probe| probe.finding.endpoint == *endpoint)
}

fn of_run(run: &Run, asked: Asked<'_>, probe: Option<&Probe>) -> Evidence {
    // A case that failed before its device had opened ran on the one that the probe found.
    let probed = probe.and_then(|probe| probe.finding.driver.as_deref());
    let driver = run.driver.as_deref().or(probed).unwrap_or_default();
    let message = run.message.as_deref().unwrap_or_default();
    let expected = asked.expectations.iter().find(|e| e.applies(&run.case, driver));
    let status = match (run.outcome, expected) {
        (Outcome::Passed, None) => Status::Passed,
        (Outcome::Passed, Some(_)) => Status::PassedUnexpectedly,
        (_, Some(expected)) if expected.explains(message) => Status::FailedAsExpected,
        (Outcome::Failed, _) => Status::Failed,
        (Outcome::TimedOut, _) => Status::TimedOut,
        (Outcome::Crashed, _) => Status::Crashed,
        (Outcome::Skipped, _) => Status::Absent,
    };
    Evidence {
        case: Some(run.case.clone()),
        status,
        mark: run.mark,
        fell_back: !run.fallbacks.is_empty(),
        stale: run.fingerprint != asked.listed.fingerprint.digest,
        record: Some(run.id.clone()),
        recorded_at: Some(run.recorded_at),
        message: run.message.clone(),
        link: expected.map(|expected| expected.link.clone()),
    }
}

/// A case without a run: the probe is all there is, if there is one.
fn of_nothing(listed: &Listed, probe: Option<&Probe>) -> Evidence {
    let absence = listed.absence.as_ref();
    let status = if absence.is_some() { Status::Absent } else { Status::Untested };
    let message = absence.map(|absence| absence.reason().to_owned());
    Evidence { case: Some(listed.id.clone()), message, ..of_probe(status, probe) }
}

fn of_probe(status: Status, probe: Option<&Probe>) -> Evidence {
    Evidence {
        case: None,
        status,
        mark: None,
        fell_back: false,
        stale: false,
        record: probe.map(|probe| probe.id.clone()),
        recorded_at: probe.map(|probe| probe.recorded_at),
        message: None,
        link: None,
    }
}

/// An endpoint on which the suites make no case of a model.
fn of_no_case(probe: Option<&Probe>) -> Evidence {
    match probe.map(|probe| (probe, probe.finding.absence())) {
        Some((probe, Some(reason))) => {
            Evidence { message: Some(reason.to_owned()), ..of_probe(Status::Absent, Some(probe)) }
        }
        _ => Evidence {
            message: Some("the suites make no case of this model there".into()),
            ..of_probe(Status::Untested, probe)
        },
    }
}

fn cells(
    asked: &[Asked<'_>],
    known: &HashMap<&CaseId, Column>,
    endpoints: &[Endpoint],
    probes: &[Probe],
) -> Vec<Cell> {
    let mut evidence: BTreeMap<(&str, usize), Vec<Evidence>> = BTreeMap::new();
    let position = |endpoint| endpoints.iter().position(|other| other == endpoint);
    for Asked { listed, .. } in asked {
        let id = &listed.id;
        let row = |column| (id.model.as_str(), column);
        for column in 0..endpoints.len() {
            evidence.entry(row(column)).or_default();
        }
        if let (Some(column), Some(known)) = (position(&id.endpoint), known.get(id)) {
            evidence.entry(row(column)).or_default().push(known.evidence.clone());
        }
    }
    let cell = |((model, column), mut evidence): ((&str, usize), Vec<Evidence>)| {
        let endpoint: &Endpoint = &endpoints[column];
        if evidence.is_empty() {
            evidence.push(of_no_case(probe_of(endpoint, probes)));
        }
        // The sort is stable: equals stay in the order of the suite.
        evidence.sort_by_key(|evidence| evidence.status);
        Cell { model: model.to_owned(), endpoint: endpoint.clone(), evidence }
    };
    evidence.into_iter().map(cell).collect()
}

/// By model, precision and shape in the order of the suites; only models that have a case in a browser.
fn comparisons(asked: &[Asked<'_>], known: &HashMap<&CaseId, Column>) -> Vec<Comparison> {
    let ids = || asked.iter().map(|asked| &asked.listed.id);
    let browsing: BTreeSet<_> =
        ids().filter(|id| is_browser(&id.endpoint)).map(|id| &id.model).collect();
    let mut comparisons: Vec<Comparison> = Vec::new();
    let mut places: HashMap<[&str; 3], usize> = HashMap::new();
    for id in ids().filter(|id| browsing.contains(&id.model)) {
        let Some(column) = known.get(id) else { continue };
        let place = *places.entry([&id.model, &id.precision, &id.shape]).or_insert_with(|| {
            let (model, precision, shape) =
                (id.model.clone(), id.precision.clone(), id.shape.clone());
            comparisons.push(Comparison { model, precision, shape, columns: Vec::new() });
            comparisons.len() - 1
        });
        comparisons[place].columns.push(column.clone());
    }
    for comparison in &mut comparisons {
        comparison.columns.sort_by_key(|column| place(&column.endpoint));
    }
    comparisons.sort_by(|a, b| a.model.cmp(&b.model));
    comparisons
}
