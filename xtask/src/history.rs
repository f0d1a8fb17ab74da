//! `history`: the change points, drifts and spikes of a series of results over time, from a file.

use crate::output;
use anyhow::{Context as _, Result};
use proofmark_lab::history::{Options, input};
use proofmark_lab::report::history as report;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A JSON list of numbers, or of objects with `value` and `time`; in the order of time if there are no times
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Markdown,
    /// For programs
    Json,
}

impl Args {
    /// Needs no workspace: everything is in the file.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let name = self.input.display().to_string();
        let text = std::fs::read_to_string(&self.input)
            .with_context(|| format!("failed to read the series {name}"))?;
        let series =
            input::parse(&text).with_context(|| format!("failed to parse the series {name}"))?;
        let found = series
            .analyse(&Options::default())
            .with_context(|| format!("failed to analyse the series {name}"))?;
        if series.sorted {
            eprintln!(
                "note: the points of {name} were sorted by time; an index counts in that order"
            );
        }
        match self.format {
            Format::Json => output::print_json(&found)?,
            Format::Markdown => output::print(&report::markdown(&name, &found))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
