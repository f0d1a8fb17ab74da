//! `report coverage`: the matrix of models and endpoints.

use super::{Format, give};
use crate::cases::Cases;
use crate::context::Context;
use crate::output;
use anyhow::Result;
use proofmark::environment::machine;
use proofmark_lab::coverage::{Cell, coverage};
use proofmark_lab::plan::NOISE_LIMIT;
use proofmark_lab::report;
use std::path::PathBuf;

/// Flags of `report coverage`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// A file to write instead of the standard output
    #[arg(long, value_name = "FILE", alias = "output")]
    out: Option<PathBuf>,
}

impl Args {
    /// Lists the cases, reads what is stored of them, and prints the matrix.
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let suites = context.workspace.build()?;
        let cases = Cases::list(&suites, &[])?;
        let stored = context.ingest()?.past(&machine().machine, &cases.listed, NOISE_LIMIT)?;
        let cells = coverage(&cases.listed, &stored);
        let text = match self.format {
            Format::Markdown => report::markdown(&cells),
            Format::Html => report::html(&cells),
            Format::Json => serde_json::to_string_pretty(&cells)? + "\n",
            Format::Table => table(&cells),
        };
        give(text, self.format, self.out.as_deref())
    }
}

fn table(cells: &[Cell]) -> String {
    let mut rows = report::matrix(cells).into_iter();
    let mut matrix = output::table(rows.next().unwrap_or_default());
    for row in rows.by_ref() {
        matrix.add_row(row.iter().map(|cell| cell.replace("; ", "\n")));
    }
    let mut text = format!("{matrix}\n{}\n", report::LEGEND);
    for (endpoint, reason) in report::absences(cells) {
        text += &format!("{endpoint} is absent: {reason}\n");
    }
    text
}
