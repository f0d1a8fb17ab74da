//! `incremental`: runs what is missing, changed, stale, failed or too noisy, most valuable first, and stores it.
//!
//! What has to be run is `proofmark_lab::plan`; running it is `measure`, printing is `show`. A run that is killed
//! loses the case it was in: records are on the disk before the next case begins, and the next call goes on.

mod measure;
mod resources;
mod show;

use crate::cases::Cases;
use crate::clock::{self, Stopwatch};
use crate::context::Context;
use crate::lock::Lock;
use crate::outcome::absent;
use crate::output::Format;
use crate::process;
use crate::suites::Suite;
use anyhow::{Context as _, Result, bail};
use clap::builder::BoolishValueParser;
use measure::Done;
use proofmark::environment::machine;
use proofmark::settings::{parse_duration, parse_samples};
use proofmark::{CaseId, Endpoint, Finding, exit};
use proofmark_lab::plan::{Critical, NOISE_LIMIT, NOISY_RUNS, Options, Plan, Reason, plan};
use proofmark_lab::store::Store;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How long an open store waits for cargo to find that nothing has to be built.
const PATIENCE: Duration = Duration::from_millis(500);

/// Flags of `incremental`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the plan, with what each case is worth and is expected to take, before running it
    #[arg(long)]
    explain: bool,
    /// Plan and run nothing; fetch nothing
    #[arg(long)]
    dry_run: bool,
    /// A glob over case ids, in which `*` crosses `/`; may be repeated
    #[arg(long, value_name = "GLOB")]
    filter: Vec<String>,
    /// Only this endpoint; it is an error if it is absent; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// Begin no case that would not end within this time, such as 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    budget: Option<Duration>,
    /// Results older than this are stale, such as 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    max_age: Option<Duration>,
    /// Samples per case
    #[arg(long, value_name = "N", value_parser = parse_samples)]
    samples: Option<usize>,
    /// Kill a case after this time, such as 60s
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Run every case, also those with a valid result
    #[arg(long)]
    force: bool,
    /// Batch sizes in place of the suites' own, such as 1,8
    #[arg(long, value_name = "N", value_delimiter = ',')]
    batch: Vec<NonZeroUsize>,
    /// Let ops that a device cannot do run elsewhere; each is told in the record
    #[arg(long, env = proofmark::env::ALLOW_FALLBACK, value_parser = BoolishValueParser::new())]
    allow_fallback: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What a run works with.
struct Run<'a> {
    args: &'a Args,
    context: &'a Context,
    suites: Vec<Suite>,
    cases: Cases,
    machine: String,
    since: Stopwatch,
}

impl Args {
    /// Plans, runs and stores. Exit code 1 if a case failed; 3 if something that cases need could not be fetched.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let since = Stopwatch::start();
        let _lock = Lock::take(context)?;
        let (suites, mut store) = build_and_open(context)?;
        self.probe(&suites)?;
        let cases = self.list(&suites)?;
        let machine = machine().machine;
        let mut run = Run { args: &self, context, suites, cases, machine, since };
        let mut fetch_failed = false;
        if !self.dry_run && resources::lacking(&run) {
            // A fetch takes its time, and others may want to read meanwhile.
            store = None;
            fetch_failed = resources::fetch(&mut run)?;
        }
        let store = match store {
            Some(store) => context.take_in(store)?,
            None => context.ingest()?,
        };
        let first = run.plan(store)?;
        if self.explain && self.format == Format::Table {
            show::plan(&first)?;
        }
        let done = if self.dry_run { Vec::new() } else { run.measure_all(&first)? };
        match self.format {
            Format::Json => show::json(&first, &done, self.dry_run)?,
            Format::Table => show::summary(&first, &done, self.dry_run)?,
        }
        Ok(ExitCode::from(match () {
            () if done.iter().any(Done::failed) => exit::FAILED,
            () if fetch_failed => exit::ABSENT,
            () => 0,
        }))
    }

    /// Probes endpoints whose finding no longer holds. Each that the user insists on must be in some suite.
    fn probe(&self, suites: &[Suite]) -> Result<()> {
        let mut findings: Vec<Finding> = Vec::new();
        for suite in suites {
            let found = process::ask(suite, &["probe".to_owned()]);
            findings.extend::<Vec<_>>(found?);
        }
        let mut missing = Vec::new();
        for endpoint in &self.endpoint {
            let about = |finding: &&Finding| finding.endpoint == *endpoint;
            if findings.iter().filter(about).any(|finding| finding.mark.is_some()) {
                continue;
            }
            let reason = findings.iter().find(about).and_then(|finding| finding.absence());
            let reason = reason.unwrap_or("no suite of this workspace has a device for it");
            missing.push(format!("{endpoint} is absent: {reason}"));
        }
        if missing.is_empty() { Ok(()) } else { Err(absent(missing.join("\n"))) }
    }

    /// The cases that the user asks for.
    fn list(&self, suites: &[Suite]) -> Result<Cases> {
        let mut flags = self.case_flags();
        for filter in &self.filter {
            flags.extend(["--filter".to_owned(), filter.clone()]);
        }
        let mut cases = Cases::list(suites, &flags)?;
        if !self.endpoint.is_empty() {
            cases.listed.retain(|case| self.endpoint.contains(&case.id.endpoint));
        }
        if cases.listed.is_empty() {
            bail!(
                "no case matches: --filter {:?}, --endpoint {:?}, and the variables {} and {}",
                self.filter,
                self.endpoint,
                proofmark::env::FILTER,
                proofmark::env::ENDPOINT
            );
        }
        Ok(cases)
    }

    /// The flags that decide which cases there are and what they are.
    fn case_flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if !self.batch.is_empty() {
            let sizes: Vec<_> = self.batch.iter().map(ToString::to_string).collect();
            flags.extend(["--batch".to_owned(), sizes.join(",")]);
        }
        if self.allow_fallback {
            flags.push("--allow-fallback".to_owned());
        }
        flags
    }

    /// The flags with which a suite runs cases.
    fn run_flags(&self) -> Vec<String> {
        let mut flags = self.case_flags();
        if let Some(samples) = self.samples {
            flags.extend(["--samples".into(), samples.to_string()]);
        }
        if let Some(timeout) = self.timeout {
            flags.extend(["--timeout".into(), format!("{}ms", timeout.as_millis().max(1))]);
        }
        flags
    }
}

/// Builds the suites and opens the store, which takes as long as cargo needs to see that nothing has to be built.
/// While cargo does build, the store is left to others: then there is none yet.
fn build_and_open(context: &Context) -> Result<(Vec<Suite>, Option<Store>)> {
    let (built, patience) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let store = scope.spawn(move || -> Result<Option<Store>> {
            let store = context.ingest()?;
            let soon = patience.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout);
            Ok(soon.then_some(store))
        });
        let suites = context.workspace.build();
        drop(built);
        let store = store.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((suites?, store?))
    })
}

impl Run<'_> {
    fn options(&self) -> Result<Options> {
        let critical = self.suites.iter().flat_map(|suite| &suite.manifest.critical);
        let critical = Critical::new(critical)
            .context("failed to read `critical` in [package.metadata.proofmark]")?;
        let (max_age, force) = (self.args.max_age, self.args.force);
        let mut options = Options { max_age, force, critical, ..Options::new(clock::now()) };
        options.timeout = self.args.timeout.unwrap_or(options.timeout);
        options.allow_fallback = self.args.allow_fallback;
        Ok(options)
    }

    fn plan(&self, store: Store) -> Result<Plan> {
        let stored = store.past(&self.machine, &self.cases.listed, NOISE_LIMIT)?;
        Ok(plan(&self.cases.listed, &stored, &self.options()?))
    }

    /// Runs what is planned; then, at once, what came out too noisy, until it is calm or has shown its floor.
    fn measure_all(&self, first: &Plan) -> Result<Vec<Done>> {
        let mut done: Vec<Done> = Vec::new();
        let mut entries = first.entries.clone();
        for _ in 0..NOISY_RUNS {
            for next in self.measure(&entries)? {
                match done.iter_mut().find(|d| d.record.case == next.record.case) {
                    Some(earlier) => earlier.record = next.record,
                    None => done.push(next),
                }
            }
            if entries.is_empty() {
                break;
            }
            entries = self.plan(self.context.ingest()?)?.entries;
            let measured = |case: &CaseId| done.iter().any(|d| d.record.case == *case);
            entries.retain(|entry| {
                matches!(entry.reason, Reason::Noisy { .. }) && measured(&entry.case_id)
            });
        }
        Ok(done)
    }

    /// What is left of the budget.
    fn budget_left(&self) -> Duration {
        self.args.budget.map_or(Duration::MAX, |all| all.saturating_sub(self.since.elapsed()))
    }
}
