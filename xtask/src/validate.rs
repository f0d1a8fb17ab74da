//! `validate`: predictions beside the results that may grade them, how wrong they were, and where that changed.

use crate::context::Context;
use crate::history;
use crate::outcome::absent;
use crate::output;
use crate::simulate::kept;
use anyhow::{Context as _, Result};
use proofmark::Endpoint;
use proofmark_lab::history::Options;
use proofmark_lab::report::validation as report;
use proofmark_lab::simulate::reality::{Worth, drift, judge, pair};
use proofmark_lab::trend::{Analysed, analyse, trends};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only results of this endpoint; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// A file to write instead of the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For people, with pictures that can be filtered and sorted
    Html,
}

impl Args {
    /// Reads predictions and results, pairs and grades them.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let predictions = kept::predictions(context)?;
        if predictions.is_empty() {
            return Err(absent(
                "there is no prediction yet: cargo xtask simulate calibrate makes those of this machine, cargo xtask \
                 simulate case those of other devices",
            ));
        }
        let lessons = kept::lessons(context)?;
        let store = context.ingest()?;
        let mut facts = store.facts()?;
        if !self.endpoint.is_empty() {
            facts.retain(|series| self.endpoint.contains(&series.kind.case_id.endpoint));
        }
        let pairing = pair(&predictions, &lessons, &facts);
        let worth = judge(&pairing);
        if worth.pairs.is_empty() {
            return Err(absent(format!(
                "no result grades any of {} predictions. {}",
                predictions.len(),
                report::left(&worth)
            )));
        }
        let mut drifts = analyse(trends(drift(&pairing.pairs)), &Options::default())?;
        drifts.retain(|one| !one.change_points.is_empty() || !one.drifts.is_empty());
        history::explain(&mut drifts, &store, context)?;
        drop(store);
        let text = match self.format {
            Format::Table => text(&worth, &drifts),
            Format::Json => {
                let all = json!({ "worth": worth, "drift": drifts });
                serde_json::to_string_pretty(&all)? + "\n"
            }
            Format::Html => report::html(&worth, &drifts),
        };
        match &self.out {
            None if self.format == Format::Json => output::print_json_text(&text)?,
            None => output::print(&text)?,
            Some(path) => std::fs::write(path, text)
                .with_context(|| format!("failed to write {}", path.display()))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(worth: &Worth, drifts: &[Analysed]) -> String {
    let mut text = format!("{}\n{}\n", report::basis(worth), report::left(worth));
    for rows in [report::groups(worth), report::confidences(worth)] {
        let mut rows = rows.into_iter();
        let mut table = output::table(rows.next().unwrap_or_default());
        rows.for_each(|row| {
            table.add_row(row);
        });
        text += &format!("{table}\n");
    }
    for line in report::choices(worth).into_iter().chain(report::drifts(drifts)) {
        text += &format!("{line}\n");
    }
    text + report::LEGEND + "\n"
}
