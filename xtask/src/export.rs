//! `export`: rows of the store for other programs, each with its mark.

use crate::context::Context;
use crate::{env, output};
use anyhow::{Context as _, Result, bail};
use proofmark_lab::export;
use proofmark_lab::store::{Binary, Store};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Tables whose rows have a mark only where a device was opened; their schema keeps numbers from the others.
const UNOPENED: [&str; 7] =
    ["results", "latest_results", "probes", "probe_log", "compatibility", "environments", "models"];

/// Flags of `export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A table or view whose rows have a mark: latest_results, results, imported_results, predictions, …
    #[arg(long, value_name = "NAME", default_value = "latest_results", conflicts_with = "sql")]
    table: String,
    /// A query instead of a table; it must select the column mark if it selects numbers
    #[arg(long, value_name = "QUERY")]
    sql: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Columns with their types, compressed
    Parquet,
    /// For spreadsheets; text is no formula
    Csv,
    /// A list of objects
    Json,
    /// Arrow's file format, also known as Feather
    Arrow,
    /// For Prometheus and those that read what it reads
    Openmetrics,
}

impl Args {
    /// Writes beside the file first, so that it is never half written.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let here = env::current_dir().context("failed to find the current folder")?;
        let out = here.join(&self.out);
        let Some(name) = out.file_name() else {
            bail!("--out {} names no file", self.out.display())
        };
        let fresh =
            out.with_file_name(format!("{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let written = self.write(context, &fresh).and_then(|rows| {
            fs::rename(&fresh, &out)
                .with_context(|| format!("failed to write {}", self.out.display()))?;
            Ok(rows)
        });
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        output::print(&format!("{}: {} rows\n", self.out.display(), written?))?;
        Ok(ExitCode::SUCCESS)
    }

    fn write(&self, context: &Context, out: &Path) -> Result<u64> {
        let store = Store::open_for_export(&context.db, out)?;
        match &self.sql {
            Some(sql) => store.hold(sql, false)?,
            None => self.hold_table(&store)?,
        }
        let answer = match self.format {
            Format::Parquet => return Ok(store.write_held(Binary::Parquet, out)?),
            Format::Arrow => return Ok(store.write_held(Binary::Arrow, out)?),
            Format::Csv | Format::Json | Format::Openmetrics => store.held()?,
        };
        let text = match self.format {
            Format::Openmetrics => export::openmetrics(&answer)?,
            Format::Json => serde_json::to_string_pretty(&answer.objects())? + "\n",
            _ => export::csv(&answer),
        };
        fs::write(out, text).with_context(|| format!("failed to write {}", out.display()))?;
        Ok(answer.rows.len() as u64)
    }

    /// A table is taken if its rows say what mark they have.
    fn hold_table(&self, store: &Store) -> Result<()> {
        let (table, marked) = (&self.table, store.marked_tables()?);
        if !marked.contains(table) {
            bail!(
                "the rows of {table} have no mark, or there is no such table. Tables with marks are {}. To export what \
                 belongs to a result, join it: --sql \"SELECT r.mark, t.* FROM op_times t JOIN results r ON r.id = \
                 t.result_id WHERE r.mark IS NOT NULL\"",
                marked.join(", ")
            );
        }
        Ok(store.hold(&format!("SELECT * FROM \"{table}\""), UNOPENED.contains(&table.as_str()))?)
    }
}
