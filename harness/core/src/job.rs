//! The child process of a case or a probe: how the parent asks, how the child answers.
//!
//! The job goes to the child as a file that a variable names, so that the child's arguments stay criterion's own.
//! The answer comes back as a file that the child rewrites after every stage: what was known before a crash
//! or a timeout is not lost.

use crate::case::{CaseId, Session};
use crate::clock;
use crate::endpoint::Endpoint;
use crate::env;
use crate::process::{self, Ended, Finished, Output};
use crate::record::{DeviceFacts, Metrics, OpTime, OutputCheck, Purpose, Samples};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a child is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "lowercase")]
pub(crate) enum Job {
    /// Open the device of an endpoint; the answer is a `Finding`.
    Probe {
        /// Which.
        endpoint: Endpoint,
    },
    /// Run a case; the answer is a [`Report`].
    Run {
        /// Which.
        case: CaseId,
        /// How far to go with it.
        effort: Effort,
        /// Batch sizes that made the case.
        batches: Option<Vec<usize>>,
    },
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Effort {
    /// Whether to time the case.
    pub(crate) purpose: Purpose,
    /// Samples to take.
    pub(crate) samples: usize,
    /// Whether criterion is to be silent.
    pub(crate) quiet: bool,
}

/// A job and where its answer goes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) job: Job,
    pub(crate) answer: PathBuf,
}

/// What a child knows of its run so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) device: Option<DeviceFacts>,
    pub(crate) outputs: Vec<OutputCheck>,
    pub(crate) samples: Samples,
    pub(crate) metrics: Metrics,
    pub(crate) op_times: Vec<OpTime>,
    /// Why it failed.
    pub(crate) failure: Option<String>,
    /// The run came to its end, in success or in failure.
    pub(crate) finished: bool,
}

impl Report {
    /// Takes over what an open session says of itself.
    pub(crate) fn describe(&mut self, session: &dyn Session) {
        if self.device.as_ref() != Some(session.device()) {
            self.device = Some(session.device().clone());
        }
        self.metrics = session.metrics();
    }
}

impl Finished {
    /// How the child ended, as a fragment that follows "the probe" or "the run".
    pub(crate) fn describe(&self, timeout: Duration) -> String {
        let how = match self.ended {
            Ended::TimedOut => format!("was killed at its timeout of {timeout:?}"),
            Ended::Killed(signal) => format!("was ended by signal {signal}"),
            Ended::Exited(code) => format!("ended with exit code {code} and without an answer"),
        };
        if self.stderr_tail.is_empty() {
            how
        } else {
            format!("{how}; it said:\n{}", self.stderr_tail)
        }
    }
}

/// Runs this program again for `job`, in a process of its own, and reads its last answer.
pub(crate) fn in_child<T: DeserializeOwned>(
    state: &Path,
    job: &Job,
    args: &[String],
    output: Output,
    timeout: Duration,
) -> Result<(Option<T>, Finished), String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Process ids come back, and a killed parent leaves its files: no name is ever used twice.
    let name = format!("{}-{}", clock::unique_id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = state.join("jobs");
    let envelope = folder.join(format!("{name}.job.json"));
    let answer = folder.join(format!("{name}.answer.json"));
    let text = serde_json::to_string(&Envelope { job: job.clone(), answer: answer.clone() })
        .map_err(|e| e.to_string())?;
    write_atomically(&envelope, &text)?;
    let exe = env::current_exe()?;
    // Criterion asks cargo for its folder unless it is told one, and nobody reads what it writes here.
    let criterion = state.join("criterion");
    let quiet = [(env::JOB, envelope.as_path()), (env::CRITERION_HOME, criterion.as_path())];
    let envs = if matches!(output, Output::Drop) { &quiet[..] } else { &quiet[..1] };
    let finished = process::run(&exe, args, envs, output, timeout)
        .map_err(|e| format!("failed to start {}: {e}", exe.display()));
    let report = std::fs::read_to_string(&answer).ok();
    let _ = std::fs::remove_file(&envelope);
    let _ = std::fs::remove_file(&answer);
    Ok((report.and_then(|text| serde_json::from_str(&text).ok()), finished?))
}

/// The job of this process, if it is such a child.
pub(crate) fn current() -> Result<Option<Envelope>, String> {
    let Some(path) = env::var(env::JOB) else { return Ok(None) };
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("failed to read the job {path}: {e}; {} is for children", env::JOB))?;
    serde_json::from_str(&text).map(Some).map_err(|e| format!("failed to read the job {path}: {e}"))
}

/// Replaces a file in one step, so that a reader sees the old text or the new one.
pub(crate) fn write_atomically(path: &Path, text: &str) -> Result<(), String> {
    let context = |e: std::io::Error| format!("failed to write {}: {e}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(context)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, text).map_err(context)?;
    std::fs::rename(&temporary, path).map_err(context)
}
