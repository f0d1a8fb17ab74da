//! Probing: which endpoints exist. Devices are opened once, in a child process where they may hang; what was
//! found is kept beside the cheap signals under which it holds, and listing reads only that.

use crate::case::Isolation;
use crate::clock;
use crate::endpoint::Endpoint;
use crate::environment::machine;
use crate::finding::{Finding, Findings};
use crate::fingerprint::digest;
use crate::job::{self, Job};
use crate::journal::Journal;
use crate::process::Output;
use crate::record::{FORMAT, Line, Probe};
use crate::suite::{Driver, Suite};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const UNPROBED: &str =
    "not probed yet on this machine: `cargo xtask doctor` or a plain `cargo test` does it";

/// A finding and the signals under which it was made.
#[derive(Serialize, Deserialize)]
struct Entry {
    signals: String,
    finding: Finding,
}

fn cache_path(suite: &Suite) -> PathBuf {
    suite.state().join(format!("findings-{}.json", suite.name))
}

/// A damaged or missing cache is an empty one: it costs a probe, nothing else.
fn read_cache(path: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(path).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// What the cached finding must agree with: the driver's signals, and the format of this program.
fn signals(driver: &Driver) -> String {
    digest(format!("{FORMAT}|{}", (driver.signals)()))
}

/// What is known without opening a device.
pub(crate) fn known(suite: &Suite) -> Findings {
    let cache = read_cache(&cache_path(suite));
    Findings::new(suite.drivers.iter().map(|driver| lookup(driver, &cache)).collect())
}

fn lookup(driver: &Driver, cache: &[Entry]) -> Finding {
    if driver.isolation == Isolation::InProcess {
        return (driver.probe)();
    }
    let signals = signals(driver);
    let holds = |e: &&Entry| e.finding.endpoint == driver.endpoint && e.signals == signals;
    let found = cache.iter().find(holds).map(|entry| entry.finding.clone());
    found.unwrap_or_else(|| Finding::absent(driver.endpoint.clone(), UNPROBED))
}

/// Which endpoints are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh<'a> {
    /// These, whatever is known of them.
    Only(&'a [Endpoint]),
    /// Those whose finding is missing or no longer holds.
    Missing,
    /// All.
    All,
}

/// Probes, keeps what was found, and writes each probe into the journal.
pub(crate) fn probe(
    suite: &Suite,
    refresh: Refresh<'_>,
    journal: &mut Journal,
) -> Result<Findings, String> {
    let path = cache_path(suite);
    let mut cache = read_cache(&path);
    let mut probed = false;
    let mut unanswered = Vec::new();
    for driver in &suite.drivers {
        let signals = signals(driver);
        let holds = |e: &Entry| e.finding.endpoint == driver.endpoint && e.signals == signals;
        let inline = driver.isolation == Isolation::InProcess;
        let wanted = match refresh {
            Refresh::Missing => !inline && !cache.iter().any(holds),
            Refresh::All => true,
            Refresh::Only(endpoints) => endpoints.contains(&driver.endpoint),
        };
        if !wanted {
            continue;
        }
        let (finding, answered) =
            if inline { ((driver.probe)(), true) } else { probe_in_child(suite, driver) };
        log(suite, &finding, journal)?;
        cache.retain(|entry| entry.finding.endpoint != driver.endpoint);
        // A probe without an answer (killed, no memory) says nothing of tomorrow: the next one tries again.
        if answered {
            cache.push(Entry { signals, finding });
        } else {
            unanswered.push(finding);
        }
        probed = true;
    }
    if probed {
        write_cache(&path, &cache)?;
    }
    Ok(known(suite).with(unanswered))
}

fn log(suite: &Suite, finding: &Finding, journal: &mut Journal) -> Result<(), String> {
    let probe = Probe {
        format: FORMAT,
        id: journal.next_id(),
        recorded_at: clock::now(),
        suite: suite.name.into(),
        machine: machine().machine,
        finding: finding.clone(),
    };
    journal.append(&Line::Probe(probe)).map_err(|e| e.to_string())
}

fn write_cache(path: &Path, cache: &[Entry]) -> Result<(), String> {
    let text = serde_json::to_string_pretty(cache).map_err(|e| e.to_string())?;
    job::write_atomically(path, &text)
}

/// Probes some endpoints of a suite anew, each in a process of its own, and keeps what was found: for tools.
pub fn probe_endpoints(suite: &Suite, endpoints: &[Endpoint]) -> Result<Vec<Finding>, String> {
    let findings = probe(suite, Refresh::Only(endpoints), &mut journal(suite))?;
    Ok(endpoints.iter().map(|endpoint| findings.get(endpoint)).collect())
}

/// The finding, and whether the probe came to an end of its own.
fn probe_in_child(suite: &Suite, driver: &Driver) -> (Finding, bool) {
    let absent = |reason: String| Finding::absent(driver.endpoint.clone(), reason);
    let answer = job::in_child::<Finding>(
        &suite.state(),
        &Job::Probe { endpoint: driver.endpoint.clone() },
        &[],
        Output::Drop,
        TIMEOUT,
        None,
    );
    match answer {
        Err(message) => (absent(message), false),
        Ok((Some(finding), _)) => (finding, true),
        Ok((None, finished)) => {
            (absent(format!("the probe {}", finished.describe(TIMEOUT))), false)
        }
    }
}

/// The probe itself, in the child.
pub(crate) fn answer(suite: &Suite, endpoint: &Endpoint) -> Option<Finding> {
    let driver = suite.drivers.iter().find(|driver| driver.endpoint == *endpoint)?;
    Some((driver.probe)())
}

/// The endpoints that a user insists on and that are not there, with their reasons.
pub(crate) fn missing_endpoints(findings: &Findings, wanted: &[Endpoint]) -> Vec<String> {
    let absence = |endpoint: &Endpoint| {
        let finding = findings.get(endpoint);
        finding.absence().map(|reason| format!("{endpoint} is absent: {reason}"))
    };
    wanted.iter().filter_map(absence).collect()
}

/// A journal in the state folder of a suite.
pub(crate) fn journal(suite: &Suite) -> Journal {
    Journal::new(&suite.state().join("records"))
}
