//! `report`: what is known of the workspace's cases on this machine, and what is not. One file per report.

mod browsers;
mod compat;
mod coverage;
mod quality;
mod timing;

use crate::context::Context;
use crate::output;
use anyhow::{Context as _, Result};
use proofmark_lab::report::page::{Block, Cell, Page};
use std::fmt::Write as _;
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
    /// How long everything takes, everywhere, ranked among equals, with what bounds it and what follows
    Timing(timing::Args),
    /// How old, noisy, complete and consistent what is stored is
    Quality(quality::Args),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Markdown,
    Html,
    Json,
    Table,
}

/// Formats of a report that has a row per case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RowFormat {
    /// For a terminal
    Table,
    /// For people
    Markdown,
    /// For people, one page that loads nothing
    Html,
    /// For programs, everything
    Json,
    /// For programs and spreadsheets, the rows, each with its mark
    Csv,
}

impl Args {
    /// Prints or writes the report.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.report {
            Report::Coverage(args) => args.run(context)?,
            Report::Compat(args) => args.run(context)?,
            Report::Browsers(args) => args.run(context)?,
            Report::Timing(args) => args.run(context)?,
            Report::Quality(args) => args.run(context)?,
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

/// Prints a report, or writes it into a file; rows for programs are printed as they are.
fn put(out: Option<&Path>, text: String, format: RowFormat) -> Result<()> {
    match (out, format) {
        (Some(path), _) => write(path, text),
        (None, RowFormat::Csv) => output::print_raw(&text),
        (None, RowFormat::Json) => output::print_json_text(&text),
        (None, _) => output::print(&text),
    }
}

/// A page as a terminal shows it.
fn terminal(page: &Page) -> String {
    let mut text = format!("{}\n", page.title);
    for block in &page.blocks {
        let _ = match block {
            Block::Heading(line) | Block::Text(line) => writeln!(text, "{line}"),
            // A terminal shows none.
            Block::Picture(_) => Ok(()),
            Block::Table(rows) => {
                let cells = |row: &Vec<Cell>| row.iter().map(cell).collect::<Vec<_>>();
                let mut table = output::table(rows.first().map(cells).unwrap_or_default());
                for row in rows.iter().skip(1) {
                    table.add_row(cells(row));
                }
                writeln!(text, "{table}")
            }
        };
    }
    text + "\n"
}

/// What a terminal has room for: the lines, or what there is where there are none.
fn cell(cell: &Cell) -> String {
    if cell.lines.is_empty() { cell.more.join("\n") } else { cell.lines.join("\n") }
}
