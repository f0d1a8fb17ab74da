//! Tables for people.

use comfy_table::{Table, presets};
use proofmark::record::{DeviceFacts, OutputCheck};

/// A table with these columns.
pub(super) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(columns);
    table
}

/// One compared output with the error in its own unit.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) check: OutputCheck,
    /// The largest absolute error; nothing if it has no size.
    pub(super) max_abs: Option<f64>,
    /// What is wrong besides an error that is too large.
    pub(super) fault: Option<String>,
}

/// Prints the rows; whether all pass.
pub(super) fn print(rows: &[Row]) -> bool {
    let columns =
        ["output", "shape", "largest error", "of the largest magnitude", "tolerance", "verdict"];
    let mut table = table(&columns);
    for Row { check, max_abs, fault } in rows {
        let number = |value: Option<f64>| value.map_or("none".to_owned(), |v| format!("{v:.2e}"));
        let verdict = match (check.passes(), fault) {
            (true, None) => "ok".to_owned(),
            (_, Some(fault)) => format!("FAILED: {fault}"),
            (false, None) => "FAILED".to_owned(),
        };
        table.add_row([
            check.name.clone(),
            format!("{:?}", check.shape),
            number(*max_abs),
            number(check.error),
            format!("{:.0e}", check.tolerance),
            verdict,
        ]);
    }
    println!("{table}");
    rows.iter().all(|row| row.check.passes() && row.fault.is_none())
}

/// Where a result comes from: no number without its mark.
pub(super) fn device(facts: &DeviceFacts) -> String {
    format!("{} ({}), driver {}", facts.mark, facts.adapter, facts.driver)
}
