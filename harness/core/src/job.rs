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
use crate::record::{DeviceFacts, Fallback, Metrics, OpTime, OutputCheck, Purpose, Samples};
use crate::service::Lease;
use crate::settings::Choices;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
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
        /// What made the case.
        choices: Choices,
    },
    /// Start the service of an endpoint and keep it until the parent lets go; the answer is its address, or why it
    /// did not start.
    Serve {
        /// Which.
        endpoint: Endpoint,
        /// For its files.
        folder: PathBuf,
    },
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Effort {
    /// Whether to time the case.
    pub(crate) purpose: Purpose,
    /// Samples to take.
    pub(crate) samples: usize,
    /// Wanted length of the measured phase.
    pub(crate) measure_for: Duration,
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
    pub(crate) fallbacks: Vec<Fallback>,
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
        self.fallbacks = session.fallbacks();
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
        how + &self.words()
    }

    /// How a child ended that had given its answer, as a fragment that follows "the service".
    pub(crate) fn describe_end(&self) -> String {
        let how = match self.ended {
            Ended::TimedOut => "was killed".to_owned(),
            Ended::Killed(signal) => format!("was ended by signal {signal}"),
            Ended::Exited(code) => format!("ended with exit code {code}"),
        };
        how + &self.words()
    }

    /// What it said last, as the end of a sentence.
    pub(crate) fn words(&self) -> String {
        match self.stderr_tail.as_str() {
            "" => String::new(),
            tail => format!("; it said:\n{tail}"),
        }
    }
}

/// The files of one job: what is asked, and where the answer comes. They go when it is dropped.
#[derive(Debug)]
pub(crate) struct Errand {
    envelope: PathBuf,
    answer: PathBuf,
}

impl Errand {
    /// Writes what is asked.
    pub(crate) fn new(state: &Path, job: &Job) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Process ids come back, and a killed parent leaves its files: no name is ever used twice.
        let name = format!("{}-{}", clock::unique_id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = state.join("jobs");
        let envelope = folder.join(format!("{name}.job.json"));
        let answer = folder.join(format!("{name}.answer.json"));
        let text = serde_json::to_string(&Envelope { job: job.clone(), answer: answer.clone() })
            .map_err(|e| e.to_string())?;
        write_atomically(&envelope, &text)?;
        Ok(Self { envelope, answer })
    }

    /// The variables that tell a child of it.
    pub(crate) fn envs(&self) -> Vec<(&'static str, OsString)> {
        vec![(env::JOB, self.envelope.clone().into_os_string())]
    }

    /// The answer, if one has come that can be read.
    pub(crate) fn answer<T: DeserializeOwned>(&self) -> Option<T> {
        let text = std::fs::read_to_string(&self.answer).ok()?;
        serde_json::from_str(&text).ok()
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.envelope);
        let _ = std::fs::remove_file(&self.answer);
    }
}

/// Runs this program again for `job`, in a process of its own, and reads its last answer.
pub(crate) fn in_child<T: DeserializeOwned>(
    state: &Path,
    job: &Job,
    args: &[String],
    output: Output,
    timeout: Duration,
    lease: Option<&Lease>,
) -> Result<(Option<T>, Finished), String> {
    let errand = Errand::new(state, job)?;
    let exe = env::current_exe()?;
    let mut envs = errand.envs();
    if matches!(output, Output::Drop) {
        // Criterion asks cargo for its folder unless it is told one, and nobody reads what it writes here.
        envs.push((env::CRITERION_HOME, state.join("criterion").into_os_string()));
    }
    envs.extend(lease.into_iter().flat_map(Lease::envs));
    let finished = process::start(&exe, args, &envs, output)
        .and_then(|child| child.finish(timeout))
        .map_err(|e| format!("failed to start {}: {e}", exe.display()))?;
    Ok((errand.answer(), finished))
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
