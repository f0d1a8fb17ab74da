//! What a command prints on its standard output: text, JSON, tables.
//!
//! A reader that goes away early (`| head`) is no error.

use anyhow::{Context as _, Result};
use comfy_table::{ContentArrangement, Table, presets};
use proofmark::Mark;
pub(crate) use proofmark_lab::export::printable;
use proofmark_lab::export::printable_json;
use serde::Serialize;
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal, Write};

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Prints text of lines. What a terminal would obey, wherever it comes from, is shown as its escape.
pub(crate) fn print(text: &str) -> Result<()> {
    print_raw(&text.split('\n').map(printable).collect::<Vec<_>>().join("\n"))
}

/// Prints text as it is: what is made for programs.
pub(crate) fn print_raw(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("failed to write to the standard output"),
    }
}

/// Tells the user something on the error output, like `eprintln!`. What a terminal would obey is shown as its escape.
macro_rules! tell {
    ($($words:tt)*) => { $crate::output::tell_text(&format!($($words)*)) };
}
pub(crate) use tell;

/// Tells text of lines on the error output; see [`tell!`].
pub(crate) fn tell_text(text: &str) {
    for line in text.split('\n') {
        eprintln!("{}", printable(line));
    }
}

/// Prints CSV: as it is for programs; for a terminal what it would obey is shown.
pub(crate) fn print_csv(text: &str) -> Result<()> {
    if std::io::stdout().is_terminal() {
        print(&text.replace("\r\n", "\n"))
    } else {
        print_raw(text)
    }
}

/// Prints a value as JSON, in which what a terminal would obey is escaped.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<()> {
    print_json_text(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Prints text that is JSON, in which what a terminal would obey is escaped.
pub(crate) fn print_json_text(text: &str) -> Result<()> {
    print_raw(&printable_json(text))
}

/// An object about numbers of a file, with the mark of what nothing shows to have been measured.
pub(crate) fn claimed<T: Serialize>(about: &T) -> Result<Value> {
    let mut value = serde_json::to_value(about)?;
    value["mark"] = Mark::Claimed.name().into();
    Ok(value)
}

/// A table with this header.
pub(crate) fn table<T: ToString>(header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.into_iter().map(|cell| cell.to_string()));
    table
}
