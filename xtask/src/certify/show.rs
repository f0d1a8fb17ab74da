//! What `certify` prints: a table and sentences, Markdown, or JSON.

use super::Format;
use crate::output;
use anyhow::Result;
use proofmark_lab::report::certify::{Told, markdown};
use std::fmt::Write as _;

/// Prints what is said of the cases.
pub(super) fn print(told: &[Told], format: Format) -> Result<()> {
    match format {
        Format::Json => output::print_json(&told),
        Format::Markdown => output::print(&markdown(told)),
        Format::Table => output::print(&table(told)),
    }
}

fn table(told: &[Told]) -> String {
    let header = ["case", "mark", "level", "score", "time of a run", "reasons", "certificate"];
    let mut table = output::table(header);
    for told in told {
        table.add_row(told.row());
    }
    let mut text = format!("{table}\n");
    for told in told {
        for sentence in told.sentences() {
            let _ = writeln!(text, "{}: {sentence}", told.id);
        }
    }
    text
}
