//! What perfetto's `trace_processor` prints as CSV for a query of counters: columns `ts`, `name` and `value`, and
//! whatever else was selected. Times are the trace's own, in nanoseconds.

use super::{Found, ImportError, Reading, Tool, utf8};

/// The columns that every such table has.
const COLUMNS: [&str; 3] = ["ts", "name", "value"];
/// Units by how the name of a counter ends, as Android's power and memory counters are called.
const UNITS: [(&str, &str); 12] = [
    ("_uws", "µJ"),
    ("_uah", "µAh"),
    ("_ua", "µA"),
    ("_uv", "µV"),
    ("_mv", "mV"),
    ("_ma", "mA"),
    ("_mw", "mW"),
    ("_pct", "%"),
    ("_khz", "kHz"),
    ("_bytes", "B"),
    ("_kb", "KiB"),
    ("_mhz", "MHz"),
];
/// Kinds by how the name of a counter begins.
const KINDS: [(&str, &str); 8] = [
    ("batt.", "battery"),
    ("power.", "power"),
    ("mem.", "application"),
    ("Mem", "memory"),
    ("cpufreq", "clock"),
    ("gpufreq", "clock"),
    ("thermal", "thermal"),
    ("cpu.util", "load"),
];

/// Whether this is the head of such a table: all names quoted, as `trace_processor` writes them.
pub(in super::super) fn is_head(line: &str) -> bool {
    let names = || line.trim_end().split(',');
    let is_quoted =
        names().all(|name| name.len() > 2 && name.starts_with('"') && name.ends_with('"'));
    is_quoted && COLUMNS.iter().all(|wanted| names().any(|name| name.trim_matches('"') == *wanted))
}

pub(in super::super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let text = utf8(Tool::Perfetto, bytes)?;
    if !text.ends_with('\n') {
        return Err(ImportError::line(Tool::Perfetto, text.lines().count(), "it is cut short"));
    }
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let damaged = |error: csv::Error| {
        let line =
            error.position().map_or(1, |at| usize::try_from(at.line()).unwrap_or(usize::MAX));
        ImportError::line(Tool::Perfetto, line, error.to_string())
    };
    let head = reader.headers().map_err(damaged)?.clone();
    let mut places = [0; 3];
    for (place, wanted) in places.iter_mut().zip(COLUMNS) {
        *place = head.iter().position(|name| name == wanted).ok_or_else(|| {
            ImportError::line(
                Tool::Perfetto,
                1,
                format!("it has no column {wanted}: select ts, name and value"),
            )
        })?;
    }
    let mut found = Found::default();
    for row in reader.records() {
        let row = row.map_err(damaged)?;
        let line = row.position().map_or(0, csv::Position::line);
        let [ts, name, value] = places.map(|place| row.get(place).unwrap_or_default());
        let place = format!("line {line}");
        // What has no value is written so.
        if value == "[NULL]" || name == "[NULL]" {
            found.remarks.push(format!("{place}: there is no value, and it was left out"));
            continue;
        }
        let (Ok(raw), Ok(_)) = (value.parse::<f64>(), ts.parse::<i64>()) else {
            let detail = format!("{ts} or {value} is no number");
            return Err(ImportError::line(
                Tool::Perfetto,
                usize::try_from(line).unwrap_or(usize::MAX),
                detail,
            ));
        };
        let others = head.iter().zip(&row).filter(|(column, _)| !COLUMNS.contains(column));
        let details: Vec<_> = others.chain([("ts_ns", ts)]).collect();
        let lower = name.to_ascii_lowercase();
        let raw_unit = UNITS.iter().find(|(end, _)| lower.ends_with(end)).map(|(_, unit)| *unit);
        let kind = KINDS
            .iter()
            .find(|(start, _)| name.starts_with(start))
            .map_or("counter", |(_, kind)| *kind);
        let metric = format!("{kind}.counter");
        found.read(Reading {
            part: name,
            metric: &metric,
            raw,
            raw_unit,
            place,
            at: None,
            details: &details,
        });
    }
    Ok(found)
}
