//! `report compat`: what runs where, as far as anything is known, and what changed since a time.

use super::{Format, give};
use crate::clock;
use crate::context::Context;
use crate::outcome::absent;
use crate::output;
use crate::process;
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use proofmark_lab::compat::matrix;
use proofmark_lab::report::compat::{Compat, LEGEND, basis, changed, pages, rows};
use proofmark_lab::report::page::{Links, html, markdown};
use std::path::PathBuf;

/// Flags of `report compat`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tell what changed since a date (2026-01-31, or a time of RFC 3339) or a revision of git
    #[arg(long, value_name = "DATE|REV")]
    since: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// A file to write instead of the standard output
    #[arg(long, value_name = "FILE", alias = "output")]
    out: Option<PathBuf>,
}

impl Args {
    /// Reads what is stored of every machine; builds and runs nothing.
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let since = self.since.as_deref().map(|text| moment(text, context)).transpose()?;
        let store = context.ingest()?;
        let until = clock::now();
        let at = |time: Timestamp| -> Result<_> {
            let (facts, probes) = store.compatibility(time)?;
            Ok(matrix(&facts, &probes))
        };
        let cells = at(until)?;
        if cells.is_empty() {
            return Err(absent("nothing is known yet: run cargo xtask incremental"));
        }
        let before = since.map(|since| Ok::<_, anyhow::Error>((since, at(since)?))).transpose()?;
        let report = Compat::new(until, cells, before);
        let text = match self.format {
            Format::Markdown => markdown(&pages(&report), Links::Within),
            Format::Html => html(&pages(&report), Links::Within),
            Format::Json => serde_json::to_string_pretty(&report)? + "\n",
            Format::Table => table(&report),
        };
        give(text, self.format, self.out.as_deref())
    }
}

/// A date, a time, or when a revision was committed.
fn moment(text: &str, context: &Context) -> Result<Timestamp> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(midnight) = format!("{text}T00:00:00Z").parse() {
        return Ok(midnight);
    }
    let revision = format!("{text}^{{commit}}");
    let seconds = process::ask_git(&context.root, &["log", "-1", "--format=%ct", &revision]);
    let Some(seconds) = seconds.ok().and_then(|text| text.trim().parse().ok()) else {
        bail!(
            "--since {text} is neither a date like 2026-01-31, nor a time of RFC 3339, nor a revision of git here"
        );
    };
    Timestamp::from_second(seconds).context("failed to understand the time of the revision")
}

fn table(report: &Compat) -> String {
    let mut text = format!("{}\n{}\n{LEGEND}\n", basis(report), of_rows(rows(report)));
    if report.since.is_some() {
        text += &match report.changes.is_empty() {
            true => "Nothing changed.\n".to_owned(),
            false => format!("{}\n", of_rows(changed(report))),
        };
    }
    text
}

fn of_rows(rows: Vec<Vec<String>>) -> comfy_table::Table {
    let mut rows = rows.into_iter();
    let mut table = output::table(rows.next().unwrap_or_default());
    table.add_rows(rows);
    table
}
