//! `store check`: reads every file through, and compares the database with what they say. Changes nothing.

use super::in_scratch;
use crate::context::Context;
use crate::lock::Lock;
use crate::notify;
use crate::outcome::absent;
use crate::output::{self, Format, printable};
use anyhow::{Context as _, Result};
use proofmark::exit;
use proofmark::journal::Fault;
use proofmark_lab::store::{Comparison, Store, StoreError};
use proofmark_lab::truth::{self, Truth};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// The version of the JSON.
const FORMAT: u32 = 1;

/// Flags of `store check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What is known of the database.
enum Database {
    /// There is none, which costs nothing but the time to make it.
    None,
    /// It cannot be read.
    Unreadable(String),
    /// It was compared with the files.
    Compared(Comparison),
}

impl Args {
    /// Exit code 1 if a line is damaged or the database says something else than the files.
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        if !context.state.exists() {
            return Err(absent(format!(
                "there is no store in {}: cargo xtask incremental makes it",
                context.state.display()
            )));
        }
        let _lock = Lock::take(context)?;
        let failed = || format!("failed to read the files in {}", context.state.display());
        let mut truth = truth::read(&context.state).with_context(failed)?;
        truth.damaged.extend(notify::damaged(&context.state).with_context(failed)?);
        let database = compare(context)?;
        match self.format {
            Format::Json => output::print_json(&json(context, &truth, &database))?,
            Format::Table => output::print(&text(context, &truth, &database))?,
        }
        let sound = truth.damaged.is_empty() && database.is_sound();
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
    }
}

fn compare(context: &Context) -> Result<Database> {
    let compared =
        in_scratch(context, |scratch| Store::compare(&context.db, &context.folders, scratch))?;
    match compared {
        Ok(compared) => Ok(Database::Compared(compared)),
        Err(StoreError::Missing(_)) => Ok(Database::None),
        Err(error @ StoreError::Unreadable { .. }) => Ok(Database::Unreadable(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

impl Database {
    fn is_sound(&self) -> bool {
        match self {
            Self::None => true,
            Self::Unreadable(_) => false,
            Self::Compared(compared) => compared.differences.is_empty(),
        }
    }
}

fn json(context: &Context, truth: &Truth, database: &Database) -> Value {
    let (state, rows, differences) = match database {
        Database::None => ("absent", None, json!([])),
        Database::Unreadable(_) => ("unreadable", None, json!([])),
        Database::Compared(compared) => {
            let state = if database.is_sound() { "equal" } else { "different" };
            (state, Some(compared.rows), json!(compared.differences))
        }
    };
    let why = if let Database::Unreadable(why) = database { Some(why) } else { None };
    json!({
        "format": FORMAT,
        "state": context.state,
        "files": truth.files,
        "lines": truth.lines,
        "damaged": faults(&truth.damaged),
        "unfinished": faults(&truth.unfinished),
        "database": {
            "path": context.db, "state": state, "why": why, "rows": rows, "differences": differences,
        },
    })
}

fn faults(faults: &[Fault]) -> Vec<Value> {
    let one = |Fault { path, offset, detail }: &Fault| json!({ "path": path, "byte": offset, "detail": detail });
    faults.iter().map(one).collect()
}

fn text(context: &Context, truth: &Truth, database: &Database) -> String {
    let mut text = String::new();
    for (what, faults) in [("damaged", &truth.damaged), ("note", &truth.unfinished)] {
        for Fault { path, offset, detail } in faults {
            let told = format!("{}, the line at byte {offset} {detail}", path.display());
            let _ = writeln!(text, "{what}: {}", printable(&told));
        }
    }
    let db = context.db.display();
    let _ = match database {
        Database::None => {
            writeln!(text, "note: there is no database {db}: cargo xtask rebuild makes it")
        }
        Database::Unreadable(why) => writeln!(text, "damaged: {}", printable(why)),
        Database::Compared(compared) if compared.differences.is_empty() => {
            writeln!(text, "{db}: {} rows, equal to what the files say", compared.rows)
        }
        Database::Compared(compared) => {
            for difference in &compared.differences {
                let _ = writeln!(
                    text,
                    "damaged: table {}: {} rows of {db} are in no file, {} of the files are not in it",
                    difference.table, difference.only_in_database, difference.only_in_files
                );
                for row in &difference.examples {
                    let _ = writeln!(text, "  {}", printable(row));
                }
            }
            writeln!(
                text,
                "A row that no file has is lost with cargo xtask rebuild, which mends all else: restore the file from a \
                 backup first"
            )
        }
    };
    let _ = writeln!(
        text,
        "{}: {} files, {} sound lines, {} damaged",
        context.state.display(),
        truth.files,
        truth.lines,
        truth.damaged.len()
    );
    text
}
