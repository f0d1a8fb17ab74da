//! A case: one model on one endpoint in one precision at one shape, and what it takes to run it.
//!
//! A case is made by an explicit function of its suite (`suite`), runs as a [`Session`], and leaves a `record`.

use crate::endpoint::Endpoint;
use crate::fingerprint::Fingerprint;
use crate::record::{DeviceFacts, Fallback, Metrics, OpTime, OutputCheck};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// `model/endpoint/precision/shape`: stable, and without a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId {
    /// The model, its family first: `bert-minilm`.
    pub model: String,
    /// Where it runs.
    pub endpoint: Endpoint,
    /// The format of its floats: `f32`.
    pub precision: String,
    /// The values of its symbolic sizes: `b1-s128`.
    pub shape: String,
}

impl CaseId {
    /// An id from its parts; none may be empty or hold a `/` or white space.
    pub fn new(
        model: &str,
        endpoint: Endpoint,
        precision: &str,
        shape: &str,
    ) -> Result<Self, String> {
        for (what, part) in [("model", model), ("precision", precision), ("shape", shape)] {
            if part.is_empty() || part.contains(|c: char| c == '/' || c.is_whitespace()) {
                return Err(format!("`{part}` cannot be the {what} of a case id"));
            }
        }
        let (model, precision, shape) = (model.into(), precision.into(), shape.into());
        Ok(Self { model, endpoint, precision, shape })
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Piece by piece: a listing of many cases spends most of its time here.
        for part in [&self.model, self.endpoint.as_str(), &self.precision] {
            f.write_str(part)?;
            f.write_str("/")?;
        }
        f.write_str(&self.shape)
    }
}

impl FromStr for CaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').collect();
        let &[model, endpoint, precision, shape] = parts.as_slice() else {
            return Err(format!("`{text}` is not a case id: use model/endpoint/precision/shape"));
        };
        Self::new(model, endpoint.parse()?, precision, shape)
    }
}

impl TryFrom<String> for CaseId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<CaseId> for String {
    fn from(id: CaseId) -> Self {
        id.to_string()
    }
}

/// Whether a case needs a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Runs in a child process, which is killed with its own children at the timeout.
    /// For everything that drives a device: a crash, a hang or a driver abort costs this case alone.
    Process,
    /// Runs in the process of the runner. For cases that cannot hang or abort.
    InProcess,
}

/// Why a case cannot run here and now. It is shown as ignored, never as passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Absence {
    /// The endpoint is not on this machine.
    Endpoint {
        /// The exact reason.
        reason: String,
    },
    /// Something has to be fetched first; `Suite::resource` can do it.
    Resource {
        /// The resource's name, as the suite knows it.
        name: String,
        /// What is missing, and how to get it.
        reason: String,
    },
}

impl Absence {
    /// The reason, for people.
    pub fn reason(&self) -> &str {
        match self {
            Self::Endpoint { reason } | Self::Resource { reason, .. } => reason,
        }
    }
}

/// What a case is about: it can be identified without being run, and opened to be run.
/// It is `Any`, so that a tool of the suite that made it finds its own type again.
pub trait Subject: Any + Send + Sync {
    /// Hashes everything that a result depends on. Opens no device.
    fn fingerprint(&self) -> Result<Fingerprint, String>;

    /// Loads weights, opens the device and compiles. Called in the process that runs the case.
    fn open(&self) -> Result<Box<dyn Session>, String>;
}

/// A case whose device is open and whose graph is ready to run.
pub trait Session {
    /// The opened device. Its mark is the mark of the record.
    fn device(&self) -> &DeviceFacts;

    /// Runs once and compares every output with its reference. Nothing is timed before this has passed.
    fn verify(&mut self) -> Result<Vec<OutputCheck>, String>;

    /// Runs once and says how long it took.
    fn run(&mut self) -> Result<Duration, String>;

    /// Runs `count` times and says how long that took. For devices that are reached over something slow and can
    /// go through several runs by themselves.
    fn run_times(&mut self, count: u64) -> Result<Duration, String> {
        (0..count).map(|_| self.run()).sum()
    }

    /// Load time, compile time, cost: what is known of the session besides its samples.
    fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    /// Ops that run elsewhere than on the device.
    fn fallbacks(&self) -> Vec<Fallback> {
        Vec::new()
    }

    /// Device time per op of one more run; empty where the device cannot tell.
    fn op_times(&mut self) -> Result<Vec<OpTime>, String> {
        Ok(Vec::new())
    }
}

/// One case of a suite.
#[derive(Clone)]
pub struct Case {
    /// Its stable name.
    pub id: CaseId,
    /// Where it runs.
    pub isolation: Isolation,
    /// Why it cannot run, if it cannot.
    pub absence: Option<Absence>,
    /// The name under which its outputs are snapshotted; one name serves every endpoint.
    pub snapshot: Option<String>,
    /// What is run.
    pub subject: Arc<dyn Subject>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("id", &self.id).field("absence", &self.absence).finish()
    }
}
