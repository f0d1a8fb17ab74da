//! `report`: what is known of the workspace's cases on this machine, and what is not. One file per report.

mod browsers;
mod compat;
mod coverage;

use crate::context::Context;
use crate::output;
use anyhow::{Context as _, Result};
use std::path::Path;
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
    Coverage(coverage::Args),
    /// What runs where, on every machine that is known, with the evidence, and what changed since a date or revision
    Compat(compat::Args),
    /// Models in browsers: what runs where and why not, and a page per model with its endpoints side by side
    Browsers(browsers::Args),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Markdown,
    Html,
    Json,
    Table,
}

impl Args {
    /// Prints or writes the report.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.report {
            Report::Coverage(args) => args.run(context)?,
            Report::Compat(args) => args.run(context)?,
            Report::Browsers(args) => args.run(context)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a report, or writes it into a file.
fn give(text: String, format: Format, out: Option<&Path>) -> Result<()> {
    match out {
        Some(path) => write(path, text),
        None if format == Format::Json => output::print_json_text(&text),
        None => output::print(&text),
    }
}

fn write(path: &Path, text: String) -> Result<()> {
    std::fs::write(path, text)
        .with_context(|| format!("failed to write the report {}", path.display()))
}
