//! `query`: SQL over the store, read-only; it can reach no file but the database.

use crate::context::Context;
use crate::output;
use anyhow::Result;
use proofmark_lab::store::{Answer, Store};
use serde_json::Value;
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
            Format::Csv => output::print(&csv(&answer))?,
            Format::Table => {
                let mut table = output::table(&answer.columns);
                for row in &answer.rows {
                    table.add_row(row.iter().map(text));
                }
                output::print(&format!("{table}\n{} rows\n", answer.rows.len()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A value as people read it: text without quotes, null as nothing.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Comma-separated values as RFC 4180 has them.
fn csv(answer: &Answer) -> String {
    let quoted = |cell: &str| match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    let line = |cells: Vec<String>| cells.join(",") + "\r\n";
    let mut all = line(answer.columns.iter().map(|name| quoted(name)).collect());
    for row in &answer.rows {
        all.push_str(&line(row.iter().map(|value| quoted(&text(value))).collect()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn csv_quotes_what_needs_it() {
        let columns = vec!["a".into(), "b,c".into()];
        let rows = vec![vec![json!("x \"y\"\nz"), json!(null)], vec![json!([1, 2]), json!(0.5)]];
        let expected = "a,\"b,c\"\r\n\"x \"\"y\"\"\nz\",\r\n\"[1,2]\",0.5\r\n";
        assert_eq!(csv(&Answer { columns, rows }), expected);
    }
}
