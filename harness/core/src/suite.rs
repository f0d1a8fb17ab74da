//! A suite: everything that one package can run, as data and plain functions. It is what a user writes.

use crate::case::Case;
use crate::case::Isolation;
use crate::endpoint::Endpoint;
use crate::env;
use crate::expectation::Expectation;
use crate::finding::{Finding, Findings};
use crate::service::Service;
use crate::settings::Choices;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How the suite reaches one endpoint.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Whether a probe may hang or abort, and so needs a process of its own.
    pub isolation: Isolation,
    /// Opens the device, or says exactly why it cannot.
    pub probe: fn() -> Finding,
    /// A cheap text that changes whenever the finding may change (driver files, variables).
    /// It opens no device: a listing reads it to know whether the cached finding still holds.
    pub signals: fn() -> String,
    /// What its cases share while they run one after the other, such as a browser.
    pub service: Option<Service>,
}

/// What the function that makes the cases may look at.
#[derive(Debug)]
pub struct Request<'a> {
    findings: &'a Findings,
    /// Batch sizes that the user asks for, in place of the suite's own.
    pub batches: Option<&'a [usize]>,
    /// Whether the user lets ops that a device cannot do run elsewhere. What a case does with it belongs into its
    /// fingerprint.
    pub allow_fallback: bool,
    /// The folder for records, references and other state of the workspace.
    pub state: &'a Path,
}

impl Request<'_> {
    /// What is known of an endpoint; an endpoint that nobody drives is absent.
    pub fn finding(&self, endpoint: &Endpoint) -> Finding {
        self.findings.get(endpoint)
    }
}

/// A command of the suite's own, called with the arguments that follow its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&[String]) -> ExitCode,
}

/// Makes the cases of a suite for the endpoints that were found. Opens no device and starts no process.
pub type MakeCases = fn(&Request<'_>) -> Result<Vec<Case>, String>;

/// Fetches the resource of this name, or says what failed and what the remedies are.
pub type Fetch = fn(&str) -> Result<(), String>;

/// Everything that one package can run.
#[derive(Clone, Debug)]
pub struct Suite {
    pub(crate) name: &'static str,
    pub(crate) manifest_dir: &'static Path,
    pub(crate) drivers: Vec<Driver>,
    pub(crate) make_cases: MakeCases,
    pub(crate) fetch: Option<Fetch>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) snapshots: Option<PathBuf>,
    pub(crate) expectations: &'static [Expectation],
}

impl Suite {
    /// A suite of this name whose cases are made by `make_cases`; `manifest_dir` is
    /// `env!("CARGO_MANIFEST_DIR")` of its package.
    pub fn new(name: &'static str, manifest_dir: &'static str, make_cases: MakeCases) -> Self {
        Self {
            name,
            manifest_dir: Path::new(manifest_dir),
            drivers: Vec::new(),
            make_cases,
            fetch: None,
            tools: Vec::new(),
            snapshots: None,
            expectations: &[],
        }
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn driver(mut self, driver: Driver) -> Self {
        self.drivers.push(driver);
        self
    }

    /// How to fetch a resource that an [`crate::Absence::Resource`] names.
    #[must_use]
    pub fn fetch(mut self, fetch: Fetch) -> Self {
        self.fetch = Some(fetch);
        self
    }

    /// Adds a command: `cargo xtask NAME …`, if the package's metadata lists it among its tools.
    #[must_use]
    pub fn tool(
        mut self,
        name: &'static str,
        about: &'static str,
        run: fn(&[String]) -> ExitCode,
    ) -> Self {
        self.tools.push(Tool { name, about, run });
        self
    }

    /// Where accepted outputs are; relative to the package.
    #[must_use]
    pub fn snapshots(mut self, folder: &str) -> Self {
        self.snapshots = Some(self.manifest_dir.join(folder));
        self
    }

    /// Failures that are known.
    #[must_use]
    pub fn expectations(mut self, expectations: &'static [Expectation]) -> Self {
        self.expectations = expectations;
        self
    }

    /// The service of an endpoint, if it has one.
    pub(crate) fn service(&self, endpoint: &Endpoint) -> Option<Service> {
        self.drivers.iter().find(|driver| driver.endpoint == *endpoint)?.service
    }

    /// The state folder of the workspace that the suite is in.
    pub(crate) fn state(&self) -> PathBuf {
        env::state_dir(self.manifest_dir)
    }

    /// All cases in the order in which the suite makes them. Two with one id are an error.
    pub fn cases(&self, findings: &Findings, choices: &Choices) -> Result<Vec<Case>, String> {
        let state = self.state();
        let batches = choices.batches.as_deref();
        let allow_fallback = choices.allow_fallback;
        let request = Request { findings, batches, allow_fallback, state: &state };
        let cases = (self.make_cases)(&request)?;
        let mut seen = HashSet::with_capacity(cases.len());
        for case in &cases {
            if !seen.insert(&case.id) {
                return Err(format!(
                    "the suite {} makes two cases with the id {}: ids must be unique",
                    self.name, case.id
                ));
            }
        }
        Ok(cases)
    }
}
