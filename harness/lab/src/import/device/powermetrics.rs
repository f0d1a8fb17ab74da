//! macOS's `powermetrics`, as text or with `-f plist`: power by rail, frequencies, loads and thermal pressure of each
//! sample.

use super::powermetrics_plist;
use super::{DEVICE, Found, ImportError, Reading, Tool, Words, lines, quantity, utf8};
use jiff::Timestamp;

/// How a sample begins.
pub(in super::super) const SAMPLE: &str = "*** Sampled system activity (";
/// Lines that end in a number, by the end of their name: ours.
const ENDS: [(&str, &str); 8] = [
    (" HW active frequency", "clock.frequency"),
    (" active frequency", "clock.frequency"),
    (" frequency", "clock.frequency"),
    (" HW active residency", "load.active"),
    (" active residency", "load.active"),
    (" idle residency", "load.idle"),
    (" die temperature", "thermal.temperature"),
    (" Power", "power.draw"),
];

pub(in super::super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    if bytes.trim_ascii_start().starts_with(b"<") {
        return powermetrics_plist::read(utf8(Tool::Powermetrics, bytes)?);
    }
    let mut found = Found::default();
    let (mut words, mut unread) = (Words::default(), 0);
    let mut at: Option<String> = None;
    for (number, line) in lines(Tool::Powermetrics, bytes)? {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix(SAMPLE) {
            let written = rest.split_once(')').map_or(rest, |(date, _)| date);
            let time = time(written);
            found.measured_at = found.measured_at.or(time);
            at = Some(time.map_or_else(|| written.to_owned(), |time| time.to_string()));
            continue;
        }
        if line.is_empty() || line.starts_with("***") {
            continue;
        }
        if !line_of(&mut found, &mut words, (number, line), at.as_deref()) {
            unread += 1;
        }
    }
    words.tell(&mut found);
    found.tell_of_unread(unread);
    Ok(found)
}

/// The time of a sample: `Fri Sep 11 13:41:46 2026 -0700`.
fn time(written: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::strtime::parse("%a %b %d %H:%M:%S %Y %z", written).ok()?;
    zoned.to_timestamp().ok()
}

/// Reads a line; whether it says something that is read.
fn line_of(
    found: &mut Found,
    words: &mut Words,
    (number, line): (usize, &str),
    at: Option<&str>,
) -> bool {
    let Some((name, value)) = line.split_once(": ") else { return false };
    match name {
        "Machine model" => found.fact(DEVICE, value.trim()),
        "OS version" => found.fact("capability.os_version", value.trim()),
        "Boot arguments" => found.fact("setting.boot_arguments", value.trim()),
        "Current pressure level" => words.add("thermal.pressure", value.trim()),
        _ => {
            let intel =
                name.strip_prefix("Intel energy model derived ").map(|_| ("package", "power.draw"));
            let fan = (name == "Fan").then_some(("fan", "thermal.fan"));
            let battery = line.strip_prefix("Battery: percent_charge: ");
            // Of the sums there are the parts too, in brackets.
            let plain = name.split(" (").next().unwrap_or(name);
            let ends =
                ENDS.iter().find_map(|(end, metric)| Some((plain.strip_suffix(end)?, *metric)));
            let named = battery.map(|_| ("battery", "battery.level"));
            let Some((part, metric)) = named.or(intel).or(fan).or(ends) else { return false };
            let Some((raw, unit)) = quantity(battery.unwrap_or(value)) else { return false };
            let unit = if battery.is_some() { Some("%") } else { unit };
            // What follows the unit explains it: `(avg)`, the residency of each frequency.
            let raw_unit =
                unit.and_then(|unit| unit.split([' ', '(']).next()).filter(|unit| !unit.is_empty());
            let place = format!("line {number}");
            found.read(Reading { part, metric, raw, raw_unit, place, at, details: &[] });
        }
    }
    true
}
