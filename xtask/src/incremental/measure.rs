//! Running planned cases through the programs of their suites, within the budget, and taking in as it goes.

use super::Run;
use crate::clock::Stopwatch;
use crate::process;
use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use proofmark::protocol::Event;
use proofmark::record::{Outcome, Record};
use proofmark_lab::plan::{Entry, Reason};
use proofmark_lab::store::StoreError;
use std::ops::ControlFlow;
use std::time::Duration;

/// Cases that are named to one process: a command line has a limit.
const STRETCH: usize = 1000;
/// Records are taken in at most this often while cases run.
const INGEST_EVERY: Duration = Duration::from_secs(5);

/// A case that was run.
#[derive(Debug)]
pub(super) struct Done {
    /// Why.
    pub(super) reason: Reason,
    /// What came of it.
    pub(super) record: Record,
}

impl Done {
    pub(super) fn failed(&self) -> bool {
        self.record.outcome != Outcome::Passed
    }
}

impl Run<'_> {
    /// Runs the entries that fit into the budget, in their order.
    pub(super) fn measure(&self, entries: &[Entry]) -> Result<Vec<Done>> {
        let entries = self.affordable(entries);
        let bar = progress_bar(entries.len());
        let mut done = Vec::new();
        let mut taken_in = Stopwatch::start();
        // One process per stretch of cases of the same suite: each makes one record file.
        let stretches = entries.chunk_by(|a, b| self.suite_of(a) == self.suite_of(b));
        for stretch in stretches.flat_map(|stretch| stretch.chunks(STRETCH)) {
            if self.budget_left().as_secs_f64() < stretch[0].expected_s {
                break;
            }
            let suite =
                &self.suites[self.suite_of(stretch[0]).context("a case without a suite")?];
            let mut args = vec!["run".to_owned()];
            args.extend(self.args.run_flags());
            args.push("--".into());
            args.extend(stretch.iter().map(|entry| entry.case_id.to_string()));
            let mut rest = stretch.iter();
            let each = |event| {
                match event {
                    Event::Started { case } => {
                        bar.set_message(case.to_string());
                        rest.next();
                        return Ok(ControlFlow::Continue(()));
                    }
                    Event::Finished { record } => done.push(attribute(*record, stretch)?),
                }
                bar.inc(1);
                if taken_in.elapsed() >= INGEST_EVERY {
                    self.take_in_if_free()?;
                    taken_in = Stopwatch::start();
                }
                let next = rest.as_slice().first().map_or(0.0, |entry| entry.expected_s);
                let affordable = next <= self.budget_left().as_secs_f64();
                Ok(if affordable { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            };
            let ran = process::stream(suite, &args, each);
            if ran.is_err() {
                // What was measured before is not lost.
                self.context.ingest()?;
            }
            ran?;
        }
        bar.finish_and_clear();
        Ok(done)
    }

    fn suite_of(&self, entry: &Entry) -> Option<usize> {
        self.cases.suite_of(&entry.case_id)
    }

    /// In the order of the plan, each entry that still fits.
    fn affordable<'e>(&self, entries: &'e [Entry]) -> Vec<&'e Entry> {
        if self.args.budget.is_none() {
            return entries.iter().collect();
        }
        let mut left = self.budget_left().as_secs_f64();
        let fits = |entry: &&Entry| {
            let fits = entry.expected_s <= left;
            left -= if fits { entry.expected_s } else { 0.0 };
            fits
        };
        entries.iter().filter(fits).collect()
    }

    /// While cases run, a reader of the database is left in peace: the records are in their files.
    fn take_in_if_free(&self) -> Result<()> {
        match self.context.ingest() {
            Ok(_) => Ok(()),
            Err(error) => match error.downcast_ref() {
                Some(StoreError::Locked { .. }) => Ok(()),
                _ => Err(error),
            },
        }
    }
}

fn attribute(record: Record, entries: &[&Entry]) -> Result<Done> {
    let entry = entries.iter().find(|entry| entry.case_id == record.case);
    let reason = entry.map(|entry| entry.reason.clone());
    let reason = reason
        .with_context(|| format!("the suite ran {}, which is not in the plan", record.case))?;
    Ok(Done { reason, record })
}

/// On the error output, and only if that is a terminal.
fn progress_bar(cases: usize) -> ProgressBar {
    let bar = ProgressBar::new(cases as u64);
    let template = "{bar:24} {pos}/{len} {elapsed} {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
