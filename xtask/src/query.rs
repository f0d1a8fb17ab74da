//! `query`: SQL over the store, read-only; it can reach no file but the database.

use crate::context::Context;
use crate::output;
use anyhow::Result;
use proofmark_lab::export;
use proofmark_lab::store::Store;
use std::process::ExitCode;

/// Flags of `query`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For instance "select case_id, mark, latency_ns_median from latest_results"
    sql: String,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

impl Args {
    /// Answers from what the last run has stored.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let answer = Store::open_read_only(&context.db)?.query(&self.sql)?;
        match self.format {
            Format::Json => output::print_json(&answer.objects())?,
            Format::Csv => output::print_csv(&export::csv(&answer))?,
            Format::Table => {
                let mut table =
                    output::table(answer.columns.iter().map(|name| output::printable(name)));
                for row in &answer.rows {
                    table.add_row(row.iter().map(|value| output::printable(&export::plain(value))));
                }
                output::print(&format!("{table}\n{} rows\n", answer.rows.len()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
