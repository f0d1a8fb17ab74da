//! `nvidia-smi --query-gpu=… --format=csv` (with or without units), and `nvidia-smi -q -x`.

use super::{Found, ImportError, Reading, Tool, Words, nvidia_xml, quantity, utf8};

/// Columns of which at least one is in every table that is read, without their units.
const SIGNS: [&str; 12] = [
    "power.draw",
    "power.draw.instant",
    "power.draw.average",
    "temperature.gpu",
    "utilization.gpu",
    "memory.used",
    "clocks.sm",
    "clocks.current.sm",
    "clocks.gr",
    "clocks.current.graphics",
    "pstate",
    "fan.speed",
];
/// Columns that say which GPU it is, or when; serial numbers stay out.
const NAMES: [&str; 9] =
    ["timestamp", "name", "gpu_name", "index", "uuid", "gpu_uuid", "serial", "gpu_serial", "count"];
/// Kinds by the first words of a column.
const KINDS: [(&str, &str); 10] = [
    ("temperature.", "thermal"),
    ("fan.", "thermal"),
    ("clocks_throttle_reasons.", "thermal"),
    ("clocks_event_reasons.", "thermal"),
    ("power.draw", "power"),
    ("power.", "setting"),
    ("enforced.", "setting"),
    ("utilization.", "load"),
    ("memory.", "memory"),
    ("clocks.max.", "capability"),
];

pub(in super::super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let text = utf8(Tool::NvidiaSmi, bytes)?;
    if text.trim_start().starts_with('<') { nvidia_xml::read(text) } else { table(text) }
}

/// Whether this is the head of a table of nvidia-smi.
pub(in super::super) fn is_head(line: &str) -> bool {
    let mut names = line.split(", ").map(|column| name_and_unit(column).0);
    names.any(|name| SIGNS.contains(&name))
}

/// `power.draw [W]` is a name and a unit.
fn name_and_unit(column: &str) -> (&str, Option<&str>) {
    match column.trim().split_once(" [") {
        Some((name, unit)) => (name, Some(unit.trim_end_matches(']'))),
        None => (column.trim(), None),
    }
}

fn table(text: &str) -> Result<Found, ImportError> {
    if !text.ends_with('\n') {
        return Err(ImportError::line(Tool::NvidiaSmi, text.lines().count(), "it is cut short"));
    }
    if !is_head(text.lines().next().unwrap_or_default()) {
        return Err(ImportError::line(Tool::NvidiaSmi, 1, "it is no head of nvidia-smi's columns"));
    }
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes())
        .into_records();
    let damaged = |error: csv::Error| {
        let line =
            error.position().map_or(1, |at| usize::try_from(at.line()).unwrap_or(usize::MAX));
        ImportError::line(Tool::NvidiaSmi, line, error.to_string())
    };
    let Some(head) = rows.next() else { return Ok(Found::default()) };
    let head = head.map_err(damaged)?;
    let columns: Vec<_> = head.iter().map(name_and_unit).collect();
    let mut found = Found::default();
    let (mut words, mut absent) = (Words::default(), Words::default());
    for row in rows {
        let row = row.map_err(damaged)?;
        let line = row.position().map_or(0, csv::Position::line);
        let get = |wanted: &[&str]| {
            let at = columns.iter().position(|(name, _)| wanted.contains(name));
            at.and_then(|at| row.get(at))
        };
        let (index, name) = (get(&["index"]), get(&["name", "gpu_name"]));
        let gpu = [Some("GPU"), index, name].into_iter().flatten().collect::<Vec<_>>().join(" ");
        found.version =
            found.version.take().or_else(|| get(&["driver_version"]).map(str::to_owned));
        for ((name, unit), value) in columns.iter().zip(&row) {
            if !NAMES.contains(name) && *name != "driver_version" {
                let cell =
                    Cell { gpu: &gpu, name, unit: *unit, value, line, at: get(&["timestamp"]) };
                cell.read(&mut found, &mut words, &mut absent);
            }
        }
    }
    words.tell(&mut found);
    found.remarks.extend(absent.0.into_iter().map(|(what, words)| {
        let count: u64 = words.values().sum();
        format!("{what} has no value in {count} rows")
    }));
    Ok(found)
}

/// A cell of a table.
struct Cell<'a> {
    gpu: &'a str,
    name: &'a str,
    unit: Option<&'a str>,
    value: &'a str,
    line: u64,
    at: Option<&'a str>,
}

impl Cell<'_> {
    fn read(&self, found: &mut Found, words: &mut Words, absent: &mut Words) {
        let Self { gpu, name, value, .. } = *self;
        if is_absent(value) {
            return absent.add(format!("{name} of {gpu}"), value);
        }
        let kind = KINDS.iter().find(|(start, _)| name.starts_with(start)).map(|(_, kind)| *kind);
        let metric = match kind {
            Some(kind) if name.starts_with(&format!("{kind}.")) => name.to_owned(),
            Some(kind) => format!("{kind}.{name}"),
            None if name.starts_with("clocks.") => format!("clock.{}", &name["clocks.".len()..]),
            None => format!("setting.{name}"),
        };
        // A mask of bits, a word and a version are no quantities.
        let number = quantity(value)
            .filter(|(_, unit)| self.unit.is_some() || unit.is_some() || kind == Some("thermal"));
        let Some((raw, unit)) = number.filter(|_| !value.starts_with("0x")) else {
            return words.add(format!("{metric} ({gpu})"), value);
        };
        let is_temperature = name.starts_with("temperature.");
        let raw_unit = unit.or(self.unit).or(is_temperature.then_some("C"));
        let place = format!("line {}, {name}", self.line);
        found.read(Reading {
            part: gpu,
            metric: &metric,
            raw,
            raw_unit,
            place,
            at: self.at,
            details: &[],
        });
    }
}

/// What nvidia-smi writes where it has no value.
pub(super) fn is_absent(value: &str) -> bool {
    let value = value.trim_start_matches('[').trim_end_matches(']');
    let words =
        ["", "N/A", "Not Supported", "Unknown Error", "Insufficient Permissions", "GPU is lost"];
    words.contains(&value)
}
