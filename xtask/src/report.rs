//! `report`: what is known of the workspace's cases on this machine, and what is not.

use crate::cases::Cases;
use crate::context::Context;
use crate::output;
use anyhow::{Context as _, Result};
use proofmark::environment::machine;
use proofmark_lab::coverage::{Cell, coverage};
use proofmark_lab::plan::NOISE_LIMIT;
use proofmark_lab::report;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `report`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    report: Report,
}

#[derive(Debug, clap::Subcommand)]
enum Report {
    /// Models by endpoints: known, measured, passed, failed, stale and absent cases, with their marks
    Coverage {
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Markdown)]
        format: Format,
        /// A file to write instead of the standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Markdown,
    Html,
    Json,
    Table,
}

impl Args {
    /// Lists the cases, reads what is stored of them, and prints the matrix.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let Report::Coverage { format, out } = self.report;
        let suites = context.workspace.build()?;
        let cases = Cases::list(&suites, &[])?;
        let stored = context.ingest()?.past(&machine().machine, &cases.listed, NOISE_LIMIT)?;
        let cells = coverage(&cases.listed, &stored);
        let text = match format {
            Format::Markdown => report::markdown(&cells),
            Format::Html => report::html(&cells),
            Format::Json => serde_json::to_string_pretty(&cells)? + "\n",
            Format::Table => table(&cells),
        };
        match out {
            None => output::print(&text)?,
            Some(path) => std::fs::write(&path, text)
                .with_context(|| format!("failed to write the report {}", path.display()))?,
        }
        Ok(ExitCode::SUCCESS)
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
