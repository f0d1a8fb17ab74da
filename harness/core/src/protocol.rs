//! How `cargo xtask` speaks with the program of a suite: `<program> proofmark list | probe | run | count | fetch | tool`.
//! Answers are JSON on the standard output; progress and messages go to the error output.
//!
//! The child of a single case is not here: that is `job`.

use crate::case::{Absence, Case, CaseId};
use crate::env;
use crate::exit;
use crate::expectation::Expectation;
use crate::finding::Finding;
use crate::fingerprint::Fingerprint;
use crate::job::{self, Envelope, Job};
use crate::probing::{self, Refresh};
use crate::process;
use crate::record::{Purpose, Record};
use crate::run::{self, Runner};
use crate::service;
use crate::settings::Settings;
use crate::suite::Suite;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// The word that makes the program of a suite speak this protocol.
pub const WORD: &str = "proofmark";

/// The answer to `list`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listing {
    /// The suite's name.
    pub suite: String,
    /// Its cases that the filters select.
    pub cases: Vec<Listed>,
    /// The failures that it expects.
    #[serde(default)]
    pub expectations: Vec<Expectation<String>>,
}

/// One case of a listing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Its id.
    pub id: CaseId,
    /// What its results depend on now.
    pub fingerprint: Fingerprint,
    /// Why it cannot run, if it cannot.
    pub absence: Option<Absence>,
}

/// One resource of the answer to `fetch`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fetched {
    /// Its name, as an [`Absence::Resource`] gave it.
    pub name: String,
    /// Why it could not be fetched, if it could not.
    pub failure: Option<String>,
}

/// A line of the answer to `run`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A case begins.
    Started {
        /// Which.
        case: CaseId,
    },
    /// A case has ended and its record is on the disk.
    Finished {
        /// The record.
        record: Box<Record>,
    },
}

/// Does what a parent asks of this process, if a parent asks; nothing if a person started it.
pub(crate) fn intercept(suite: &Suite) -> Option<ExitCode> {
    match job::current() {
        Ok(Some(envelope)) => return Some(child(suite, &envelope)),
        Ok(None) => {}
        Err(message) => return Some(exit::report(Err(message.into()))),
    }
    let args = env::args();
    let (word, rest) = args.split_first()?;
    (word == WORD).then(|| exit::report(command(suite, rest)))
}

fn child(suite: &Suite, envelope: &Envelope) -> ExitCode {
    if !matches!(envelope.job, Job::Serve { .. }) {
        process::when_parent_ends(process::end_group);
    }
    match do_job(suite, envelope) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(exit::FAILED)
        }
    }
}

fn do_job(suite: &Suite, envelope: &Envelope) -> Result<(), String> {
    match &envelope.job {
        Job::Probe { endpoint } => {
            let finding = probing::answer(suite, endpoint);
            let text = serde_json::to_string(&finding).map_err(|e| e.to_string())?;
            job::write_atomically(&envelope.answer, &text)
        }
        Job::Serve { endpoint, folder } => {
            let service = suite.service(endpoint);
            let service = service.ok_or_else(|| format!("{endpoint} has no service"))?;
            service::serve(service, folder, &envelope.answer)
        }
        Job::Run { case, effort, choices } => {
            let findings = probing::known(suite);
            let cases = suite.cases(&findings, choices)?;
            let case = cases.into_iter().find(|candidate| candidate.id == *case);
            let case = case.ok_or("the suite no longer makes this case")?;
            run::perform(&case, *effort, &run::report_to(&envelope.answer));
            Ok(())
        }
    }
}

fn command(suite: &Suite, args: &[String]) -> Result<ExitCode, exit::Failure> {
    let Some((verb, rest)) = args.split_first() else {
        return Err("nothing was asked: use `cargo xtask`, which speaks this protocol"
            .to_owned()
            .into());
    };
    match verb.as_str() {
        "list" => list(suite, rest),
        "probe" => probe(suite, rest),
        "run" => run_cases(suite, rest),
        "count" => count(suite, rest),
        "fetch" => fetch(suite, rest),
        "tool" => tool(suite, rest),
        other => Err(format!("the suite {} does not know `{other}`", suite.name).into()),
    }
}

fn print<T: Serialize>(answer: &T) -> Result<ExitCode, exit::Failure> {
    let text = serde_json::to_string(answer).map_err(|e| e.to_string())?;
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn list(suite: &Suite, args: &[String]) -> Result<ExitCode, exit::Failure> {
    let (settings, _) = Settings::take(args.to_vec())?;
    let selection = settings.selection()?;
    let findings = probing::known(suite);
    exit::require(probing::missing_endpoints(&findings, &settings.endpoints))?;
    let cases = suite.cases(&findings, &settings.choices)?;
    let selected = cases.into_iter().filter(|case| selection.holds(&case.id));
    let cases = selected.map(listed).collect();
    let expectations = suite.expectations.iter().map(Expectation::owned).collect();
    print(&Listing { suite: suite.name.into(), cases, expectations })
}

fn listed(case: Case) -> Listed {
    let fingerprint = run::identify(&case);
    Listed { id: case.id, fingerprint, absence: case.absence }
}

/// `probe`: endpoints whose finding does not hold; `probe --all`: every endpoint.
fn probe(suite: &Suite, args: &[String]) -> Result<ExitCode, exit::Failure> {
    let all = args.iter().any(|arg| arg == "--all");
    let refresh = if all { Refresh::All } else { Refresh::Missing };
    let findings = probing::probe(suite, refresh, &mut probing::journal(suite))?;
    print(&findings.iter().collect::<Vec<&Finding>>())
}

/// `run [flags] -- ID…`: measures these cases in this order, an event per line.
fn run_cases(suite: &Suite, args: &[String]) -> Result<ExitCode, exit::Failure> {
    process::when_parent_ends(process::exit_as_interrupted);
    let split = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (settings, _) = Settings::take(args[..split].to_vec())?;
    let findings = probing::known(suite);
    let cases = suite.cases(&findings, &settings.choices)?;
    let by_id: BTreeMap<String, Case> =
        cases.into_iter().map(|case| (case.id.to_string(), case)).collect();
    let runner = Runner::new(suite, &settings, Purpose::Measure, probing::journal(suite));
    for id in args.iter().skip(split + 1) {
        let case = by_id.get(id).ok_or_else(|| format!("the suite has no case `{id}`"))?;
        print(&Event::Started { case: case.id.clone() })?;
        let record = match &case.absence {
            Some(absence) => runner.skip(case, absence.reason())?,
            None => {
                let record = runner.run(case)?;
                runner.write(&record)?;
                record
            }
        };
        print(&Event::Finished { record: Box::new(record) })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `count RUNS ID`: opens a case in this very process and runs it so often, for a tool that counts what the process
/// executes. Nothing is verified or timed, and no record is made.
fn count(suite: &Suite, args: &[String]) -> Result<ExitCode, exit::Failure> {
    let [runs, id] = args else { return Err("use: count RUNS ID".to_owned().into()) };
    let runs: u64 = runs.parse().map_err(|e| format!("`{runs}` is no number of runs: {e}"))?;
    let (settings, _) = Settings::take(Vec::new())?;
    let cases = suite.cases(&probing::known(suite), &settings.choices)?;
    let case = cases.into_iter().find(|case| case.id.to_string() == *id);
    let case = case.ok_or_else(|| format!("the suite has no case `{id}`"))?;
    if let Some(absence) = &case.absence {
        return Err(format!("{id} cannot run: {}", absence.reason()).into());
    }
    case.subject.open()?.run_times(runs)?;
    Ok(ExitCode::SUCCESS)
}

/// `fetch NAME…`: one failure costs its resource only.
fn fetch(suite: &Suite, names: &[String]) -> Result<ExitCode, exit::Failure> {
    let fetch = suite.fetch.ok_or_else(|| format!("the suite {} fetches nothing", suite.name))?;
    let each = |name: &String| Fetched { name: name.clone(), failure: fetch(name).err() };
    print(&names.iter().map(each).collect::<Vec<_>>())
}

/// `tool`: the tools as JSON; `tool NAME …`: one of them, with the arguments that follow.
fn tool(suite: &Suite, args: &[String]) -> Result<ExitCode, exit::Failure> {
    let Some((name, rest)) = args.split_first() else {
        let abouts: BTreeMap<_, _> = suite.tools.iter().map(|t| (t.name, t.about)).collect();
        return print(&abouts);
    };
    let tool = suite.tools.iter().find(|tool| tool.name == name);
    let tool = tool.ok_or_else(|| format!("the suite {} has no tool `{name}`", suite.name))?;
    Ok((tool.run)(rest))
}
