//! Independent processes of one case at a time, and what they leave behind.

use crate::clock::Stopwatch;
use crate::process;
use crate::suites::Suite;
use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use proofmark::protocol::Event;
use proofmark::record::{Outcome, Record};
use proofmark::{CaseId, Endpoint};
use proofmark_lab::gate::level::Process;
use std::ops::ControlFlow;
use std::time::Duration;

/// What one process of a gate measures: processes and not samples are what counts, so each is short.
const RUN_FLAGS: [&str; 2] = ["--samples", "10"];
/// The length of its measured phase. A variable, and not a flag, because an older base may not know it.
pub(crate) const MEASURE_FOR: (&str, &str) = (proofmark::env::MEASURE_FOR, "200ms");

/// The flags that decide which cases there are.
pub(crate) fn case_flags(filters: &[String], endpoints: &[Endpoint]) -> Vec<String> {
    let mut flags = Vec::new();
    for filter in filters {
        flags.extend(["--filter".to_owned(), filter.clone()]);
    }
    for endpoint in endpoints {
        flags.extend(["--endpoint".to_owned(), endpoint.to_string()]);
    }
    flags
}

/// Runs a case in a process of its own as a gate does, and says how long that took.
pub(crate) fn run(suite: &Suite, case: &CaseId) -> Result<(Record, Duration)> {
    run_with(suite, case, &RUN_FLAGS.map(Into::into))
}

/// Runs a case in a process of its own with these flags, and says how long that took.
pub(crate) fn run_with(
    suite: &Suite,
    case: &CaseId,
    flags: &[String],
) -> Result<(Record, Duration)> {
    let mut args: Vec<String> = vec!["run".into()];
    args.extend_from_slice(flags);
    args.extend(["--".to_owned(), case.to_string()]);
    let (since, mut found) = (Stopwatch::start(), None);
    process::stream(suite, &args, |event| {
        if let Event::Finished { record } = event {
            found = Some(*record);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let record = found.with_context(|| format!("the suite left no record of {case}"))?;
    Ok((record, since.elapsed()))
}

/// What a gate keeps of a process that passed; nothing of one that did not, or left no times.
pub(crate) fn process_of(record: &Record) -> Option<Process> {
    let seconds: Vec<f64> = record.samples.latency_ns.iter().map(|ns| ns * 1e-9).collect();
    Process::new(&seconds).filter(|_| record.outcome == Outcome::Passed)
}

/// What goes on, on the error output, and only if that is a terminal.
pub(crate) fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
