//! `history`: the change points, drifts and spikes of stored results over time, or of a series in a file.

mod commits;
mod stored;

pub(crate) use stored::explain;

use crate::context::Context;
use crate::output;
use crate::output::tell;
use anyhow::{Context as _, Result, bail};
use proofmark_lab::history::{Options, input};
use proofmark_lab::report::history as report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only cases that this glob over case ids matches, in which `*` crosses `/`; may be repeated
    #[arg(long, value_name = "GLOB")]
    case: Vec<String>,
    /// Only cases of this endpoint; may be repeated
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<String>,
    /// A series in a file instead of the store: a JSON list of numbers, or of objects with `value` and `time`; in the
    /// order of time if there are no times
    #[arg(long, value_name = "FILE", conflicts_with_all = ["case", "endpoint", "out"])]
    input: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// A folder for files instead of the standard output; pictures in Markdown need it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Markdown,
    /// For programs
    Json,
    /// For people, with charts; a page per suite
    Html,
}

impl Args {
    /// Needs a workspace only where the series are not in a file.
    pub(crate) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        match &self.input {
            Some(file) => of_file(file, self.format)?,
            None => stored::run(&self, &open()?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Everything is in the file.
fn of_file(file: &Path, format: Format) -> Result<()> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read the series {name}"))?;
    let series =
        input::parse(&text).with_context(|| format!("failed to parse the series {name}"))?;
    let found = series
        .analyse(&Options::default())
        .with_context(|| format!("failed to analyse the series {name}"))?;
    if series.sorted {
        tell!("note: the points of {name} were sorted by time; an index counts in that order");
    }
    match format {
        Format::Json => output::print_json(&output::claimed(&found)?),
        Format::Markdown => output::print(&report::markdown(&name, &found)),
        Format::Html => {
            bail!("--format html is for stored results: for --input choose markdown or json")
        }
    }
}
