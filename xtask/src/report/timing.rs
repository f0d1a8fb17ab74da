//! `report timing`: how long everything takes, everywhere, ranked among equals, with what bounds it and what follows.

use super::{RowFormat, put, terminal};
use crate::clock;
use crate::context::{self, Context};
use crate::outcome::absent;
use anyhow::{Context as _, Result};
use proofmark::roof;
use proofmark_lab::export::csv;
use proofmark_lab::history::Options;
use proofmark_lab::report::page::{Links, markdown};
use proofmark_lab::report::timing::{answer, html::html, pages};
use proofmark_lab::timing::{Timing, timing};
use proofmark_lab::trend::{Selection, analyse, trends};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Flags of `report timing`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only cases that this glob over ids matches, in which `*` crosses `/`; may be repeated
    #[arg(long, value_name = "GLOB")]
    case: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    format: RowFormat,
    /// A file to write instead of the standard output
    #[arg(long, value_name = "FILE", alias = "output")]
    out: Option<PathBuf>,
}

impl Args {
    /// Reads what is stored of every machine; builds and runs nothing.
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let report = self.read(context)?;
        let text = match self.format {
            RowFormat::Table => pages(&report, true).iter().map(terminal).collect(),
            RowFormat::Markdown => markdown(&pages(&report, false), Links::Within),
            RowFormat::Html => html(&report),
            RowFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
            RowFormat::Csv => csv(&answer(&report)),
        };
        put(self.out.as_deref(), text, self.format)
    }

    fn read(&self, context: &Context) -> Result<Timing> {
        let selection = Selection::new(&self.case, Vec::new())?;
        let store = context.ingest()?;
        let mut measurements = store.measurements()?;
        let all = measurements.len();
        measurements.retain(|one| selection.takes(&one.case));
        if measurements.is_empty() {
            return Err(absent(match all {
                0 => "nothing was timed yet: run cargo xtask incremental".to_owned(),
                _ => format!(
                    "none of the {all} latencies that are stored is of a case that --case matches"
                ),
            }));
        }
        let cases: BTreeSet<String> = measurements.iter().map(|one| one.case.clone()).collect();
        let trends = analyse(trends(store.timed(&cases)?), &Options::default())?;
        drop(store);
        let (roofs, faults) =
            roof::read(&context.state).context("failed to read the measured roofs")?;
        context::warn_of(&faults);
        Ok(timing(&measurements, &roofs, &trends, clock::now()))
    }
}
