//! What a command prints on its standard output: text, JSON, tables, and figures as people read them.
//!
//! A reader that goes away early (`| head`) is no error.

use anyhow::{Context as _, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("failed to write to the standard output"),
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// A table with this header.
pub(crate) fn table<T: ToString>(header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.into_iter().map(|cell| cell.to_string()));
    table
}

/// A length of time with three digits in the unit that suits it.
pub(crate) fn duration_ns(ns: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (size, unit) = units.into_iter().find(|(size, _)| ns >= *size).unwrap_or((1.0, "ns"));
    format!("{} {unit}", three_digits(ns / size))
}

/// A number with three digits.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// A part of one as percent.
pub(crate) fn percent(part: f64) -> String {
    format!("{} %", three_digits(100.0 * part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let found = [0.0, 12.34, 999.4, 1_234.0, 99_960.0, 5.678e6, 61e9].map(duration_ns);
        let expected = ["0.00 ns", "12.3 ns", "999 ns", "1.23 µs", "100 µs", "5.68 ms", "61.0 s"];
        assert_eq!(found, expected);
        assert_eq!(percent(0.0123), "1.23 %");
    }
}
