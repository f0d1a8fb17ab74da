//! `adb shell dumpsys battery`, `thermalservice`, `cpuinfo` and `meminfo PACKAGE`, alone or one after the other in a file.
//!
//! The formats are those of Android's `BatteryService`, `ThermalManagerService`, `ProcessCpuTracker` and
//! `ActivityThread.dumpMemInfoTable`.

use super::{Found, ImportError, Reading, Tool, lines, quantity};

/// What `status` and `health` of the battery mean, from 1, and the severities of throttling, from 0.
const STATUS: [&str; 5] = ["unknown", "charging", "discharging", "not charging", "full"];
const HEALTH: [&str; 7] =
    ["unknown", "good", "overheat", "dead", "over voltage", "unspecified failure", "cold"];
const THROTTLING: [&str; 7] =
    ["none", "light", "moderate", "severe", "critical", "emergency", "shutdown"];
/// Quantities of the battery: as it is called, ours, and its unit.
const BATTERY: [(&str, &str, &str); 6] = [
    ("voltage", "battery.voltage", "mV"),
    ("temperature", "battery.temperature", "0.1°C"),
    ("Charge counter", "battery.charge", "µAh"),
    ("Max charging current", "battery.max_charging_current", "µA"),
    ("Max charging voltage", "battery.max_charging_voltage", "µV"),
    ("current now", "battery.current", ""),
];
/// Types of the HAL's sensors that are no temperatures: voltage, current and charge of the battery's limiter.
const NO_TEMPERATURES: [&str; 3] = ["6", "7", "8"];
/// What some HALs tell of a sensor that is not there, in °C.
const NO_SENSOR: f64 = -90.0;

/// The service whose output a line is of.
#[derive(Clone, Copy, PartialEq)]
enum Section {
    None,
    Battery,
    Thermal,
    Cpu,
    Memory,
}

struct Reader<'a> {
    found: Found,
    section: Section,
    /// Under which heading of the thermal service, or which process.
    under: &'a str,
    level: Option<(f64, usize)>,
    unread: usize,
}

pub(in super::super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let mut reader = Reader {
        found: Found::default(),
        section: Section::None,
        under: "",
        level: None,
        unread: 0,
    };
    for (number, line) in lines(Tool::Dumpsys, bytes)? {
        if !line.trim().is_empty() && !reader.heading(line) && !reader.line(number, line) {
            reader.unread += 1;
        }
    }
    let mut found = reader.found;
    found.tell_of_unread(reader.unread);
    Ok(found)
}

/// Whether `dumpsys` writes such a line at the beginning of a service's output.
pub(in super::super) fn is_heading(line: &str) -> bool {
    section(line).is_some()
}

fn section(line: &str) -> Option<Section> {
    let starts = |start: &str| line.starts_with(start);
    if starts("Current Battery Service state:") {
        Some(Section::Battery)
    } else if starts("IsStatusOverride:") || starts("Thermal Status:") {
        Some(Section::Thermal)
    } else if starts("CPU usage from ") || starts("Load: ") && line.matches('/').count() == 2 {
        Some(Section::Cpu)
    } else if starts("Applications Memory Usage (in Kilobytes):") || starts("** MEMINFO in pid ") {
        Some(Section::Memory)
    } else {
        None
    }
}

impl<'a> Reader<'a> {
    /// Whether the line begins a service's output and says nothing else.
    fn heading(&mut self, line: &'a str) -> bool {
        let Some(section) = section(line) else { return false };
        self.section = section;
        if let Some(process) = line.strip_prefix("** MEMINFO in pid ") {
            self.under = process.split_once('[').map_or("", |(_, name)| name);
            self.under = self.under.trim_end_matches(['*', ' ', ']']);
        }
        !["IsStatusOverride:", "Thermal Status:", "Load: "]
            .iter()
            .any(|start| line.starts_with(start))
    }

    /// Reads a line; whether it says something that is read.
    fn line(&mut self, number: usize, line: &'a str) -> bool {
        match self.section {
            Section::None => false,
            Section::Battery => self.battery(number, line),
            Section::Thermal => self.thermal(number, line),
            Section::Cpu => self.cpu(number, line),
            Section::Memory => self.memory(number, line),
        }
    }

    fn read(&mut self, (part, metric): (&str, &str), raw: f64, unit: Option<&str>, line: usize) {
        let place = format!("line {line}");
        let (at, details) = (None, &[][..]);
        self.found.read(Reading { part, metric, raw, raw_unit: unit, place, at, details });
    }

    fn battery(&mut self, number: usize, line: &str) -> bool {
        if line.contains("UPDATES STOPPED") {
            self.found.remarks.push(format!(
                "line {number}: the battery's state was set by hand (UPDATES STOPPED), so it says nothing of the device"
            ));
            return true;
        }
        // What follows without being moved in is of another part, such as a log of events.
        let Some((key, value)) = line.strip_prefix("  ").and_then(|line| line.split_once(": "))
        else {
            self.section = Section::None;
            return false;
        };
        let (key, value) = (key.trim(), value.trim());
        let code = |names: &[&str], first: usize| {
            let at = value.parse::<usize>().ok().and_then(|code| code.checked_sub(first));
            at.and_then(|at| names.get(at)).map(|name| format!("{value} ({name})"))
        };
        if let Some(&(_, metric, unit)) = BATTERY.iter().find(|(name, ..)| *name == key) {
            let Ok(raw) = value.parse() else { return false };
            self.read(("battery", metric), raw, (!unit.is_empty()).then_some(unit), number);
            return true;
        }
        let fact = |name: &str| format!("battery.{}", name.to_lowercase().replace(' ', "_"));
        match key {
            "level" => self.level = value.parse().ok().map(|level| (level, number)),
            "scale" => match self.level.take() {
                Some((level, at)) if value == "100" => {
                    self.read(("battery", "battery.level"), level, Some("%"), at);
                }
                _ => self
                    .found
                    .remarks
                    .push(format!("line {number}: a level of a scale of {value} was left out")),
            },
            "status" => self.found.fact(fact(key), code(&STATUS, 1).as_deref().unwrap_or(value)),
            "health" => self.found.fact(fact(key), code(&HEALTH, 1).as_deref().unwrap_or(value)),
            "present" | "technology" => self.found.fact(fact(key), value),
            _ if key.ends_with(" powered") => self.found.fact(fact(key), value),
            _ => return false,
        }
        true
    }

    fn thermal(&mut self, number: usize, line: &'a str) -> bool {
        if let Some(code) = line.strip_prefix("Thermal Status: ") {
            let Ok(severity) = code.trim().parse::<u8>() else { return false };
            let name = THROTTLING.get(usize::from(severity)).copied().unwrap_or("unknown");
            self.found.fact("thermal.throttling", &format!("{severity} ({name})"));
            self.read(("device", "thermal.throttling"), severity.into(), None, number);
            return true;
        }
        if line.trim() == "IsStatusOverride: true" {
            self.found.remarks.push(format!(
                "line {number}: the thermal status was set by hand, so it says nothing of the device"
            ));
            return true;
        }
        if !line.starts_with(['\t', ' ']) {
            self.under = line;
            return line.ends_with(':');
        }
        let item = line.trim();
        if let Some(fields) = item.strip_prefix("Temperature{") {
            return self.temperature(number, fields);
        }
        let Some(fields) = item.strip_prefix("CoolingDevice{") else { return false };
        let (Some(value), Some(name)) = (field(fields, "mValue"), field(fields, "mName")) else {
            return false;
        };
        let Ok(raw) = value.parse() else { return false };
        self.read((name, "thermal.cooling"), raw, None, number);
        true
    }

    fn temperature(&mut self, number: usize, fields: &str) -> bool {
        let get = |name| field(fields, name);
        let (Some(value), Some(name), Some(kind)) = (get("mValue"), get("mName"), get("mType"))
        else {
            return false;
        };
        let Ok(raw) = value.parse::<f64>() else { return false };
        let (metric, raw_unit) = match NO_TEMPERATURES.contains(&kind) {
            true => ("thermal.value", None),
            false => ("thermal.temperature", Some("°C")),
        };
        let place = format!("line {number}");
        if raw < NO_SENSOR {
            self.found.remarks.push(format!(
                "{place}: {raw} stands for a sensor that is not there and was left out"
            ));
            return true;
        }
        let of = if self.under.starts_with("Cached") { "cached" } else { "current" };
        let severity = get("mStatus").unwrap_or("unknown");
        let details = [("type", kind), ("throttling", severity), ("of", of)];
        let at = None;
        self.found.read(Reading {
            part: name,
            metric,
            raw,
            raw_unit,
            place,
            at,
            details: &details,
        });
        true
    }

    fn cpu(&mut self, number: usize, line: &str) -> bool {
        if let Some(loads) = line.strip_prefix("Load: ") {
            for (load, over) in loads.split(" / ").zip(["1 min", "5 min", "15 min"]) {
                if let Ok(raw) = load.trim().parse() {
                    self.read((over, "load.average"), raw, Some("1"), number);
                }
            }
            return true;
        }
        let line = line.trim_start_matches([' ', '+', '-']);
        let Some((share, rest)) = line.split_once("% ") else { return false };
        let Ok(raw) = share.parse() else { return false };
        if rest.starts_with("TOTAL:") {
            self.read(("all processors", "load.utilisation"), raw, Some("%"), number);
            return true;
        }
        let named =
            rest.split_once('/').and_then(|(pid, rest)| Some((pid, rest.split_once(": ")?.0)));
        let Some((pid, name)) = named.filter(|(pid, _)| pid.parse::<u32>().is_ok()) else {
            return false;
        };
        let (place, at) = (format!("line {number}"), None);
        let details = [("pid", pid), ("of", "one processor")];
        let (metric, raw_unit) = ("application.cpu", Some("%"));
        self.found.read(Reading {
            part: name,
            metric,
            raw,
            raw_unit,
            place,
            at,
            details: &details,
        });
        true
    }

    /// The summary of a process: `Java Heap:    6120    18000` is PSS, and RSS where there is a second number.
    fn memory(&mut self, number: usize, line: &str) -> bool {
        let process = self.under;
        let mut sizes = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
        let line = line.trim();
        if line.starts_with("TOTAL PSS:") || line.starts_with("TOTAL:") {
            let totals = [
                (["TOTAL PSS:", "TOTAL:"], "application.pss"),
                (["TOTAL RSS:", "TOTAL RSS:"], "application.rss"),
                (["TOTAL SWAP PSS:", "TOTAL SWAP (KB):"], "application.swap"),
            ];
            for (names, metric) in totals {
                let after = names.iter().find_map(|name| line.split_once(name));
                let size = after.and_then(|(_, rest)| quantity(rest.split_whitespace().next()?));
                if let Some((raw, _)) = size {
                    self.read((process, metric), raw, Some("KiB"), number);
                }
            }
            return true;
        }
        let part = [
            "Java Heap:",
            "Native Heap:",
            "Code:",
            "Stack:",
            "Graphics:",
            "Private Other:",
            "System:",
        ];
        let Some(part) = part.iter().find(|part| line.starts_with(**part)) else { return false };
        let part = part.trim_end_matches(':').to_lowercase().replace(' ', "_");
        for metric in ["pss", "rss"] {
            if let Some(raw) = sizes.next() {
                let metric = format!("application.{metric}.{part}");
                self.read((process, &metric), raw, Some("KiB"), number);
            }
        }
        true
    }
}

/// A field of `Name{a=1, b=2}`, of which the beginning is gone.
fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let fields = fields.strip_suffix('}')?;
    fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}
