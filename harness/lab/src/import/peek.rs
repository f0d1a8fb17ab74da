//! Which tool wrote a file, by its content alone: names of files and folders prove nothing.
//!
//! Of JSON, the keys of the first levels are looked at, with the first element standing for its list, and no further than
//! to the last key that is needed: a trace is not read twice.

use super::device::{dumpsys, getprop, nvidia, perfetto, powermetrics};
use super::{ImportError, Tool};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The tool that writes such bytes.
pub(super) fn tool(bytes: &[u8]) -> Result<Tool, ImportError> {
    let start = bytes.trim_ascii_start();
    match start.first() {
        // The lines of getprop begin as lists of JSON do.
        Some(b'[') if is_property(start) => Ok(Tool::Getprop),
        Some(b'{' | b'[') => of_json(start),
        _ => of_text(start),
    }
}

fn is_property(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| getprop::property(line.trim_end()).is_some())
}

fn of_text(bytes: &[u8]) -> Result<Tool, ImportError> {
    let unknown = |detail: &str| Err(ImportError::Unknown { detail: detail.to_owned() });
    let head = &bytes[..bytes.len().min(1 << 16)];
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let Some(first) = lines.next() else {
        return unknown("it is empty");
    };
    if first.starts_with('<') {
        return of_xml(&text);
    }
    if nvidia::is_head(first) {
        return Ok(Tool::NvidiaSmi);
    }
    if perfetto::is_head(first) {
        return Ok(Tool::Perfetto);
    }
    if text.lines().any(|line| line.starts_with(powermetrics::SAMPLE)) {
        return Ok(Tool::Powermetrics);
    }
    if text.lines().any(dumpsys::is_heading) {
        return Ok(Tool::Dumpsys);
    }
    if first.starts_with(":::MLLOG ") || lines.next() == Some("MLPerf Results Summary") {
        return Ok(Tool::Mlperf);
    }
    let is_go = |line: &str| line.starts_with("Benchmark") && line.contains(" ns/op");
    if first.starts_with("goos: ") || text.lines().any(is_go) {
        return Ok(Tool::Go);
    }
    unknown("it is neither JSON nor text of a tool")
}

fn of_xml(text: &str) -> Result<Tool, ImportError> {
    if text.contains("<nvidia_smi_log>") {
        return Ok(Tool::NvidiaSmi);
    }
    if text.contains("<plist") && text.contains("<key>elapsed_ns</key>") {
        return Ok(Tool::Powermetrics);
    }
    Err(ImportError::Unknown { detail: "it is XML of no tool that is known here".to_owned() })
}

fn of_json(bytes: &[u8]) -> Result<Tool, ImportError> {
    let mut keys = Vec::new();
    // Where the file is damaged, the keys before that may be enough; its reader tells of the damage.
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let damage = Keys { found: &mut keys, path: "", depth: 0 }.deserialize(&mut deserializer).err();
    if let Some(tool) = known(&keys) {
        return Ok(tool);
    }
    let detail = match damage {
        Some(error) => format!("as JSON it is damaged: {error}"),
        None => {
            let shown: Vec<_> = keys.iter().take(6).cloned().collect();
            format!("its keys are {}", shown.join(", "))
        }
    };
    Err(ImportError::Unknown { detail })
}

/// Keys by which a tool is known.
const SIGNS: [(Tool, &[&str]); 10] = [
    (Tool::Hyperfine, &["results[].command", "results[].mean"]),
    (Tool::GoogleBenchmark, &["context", "context.num_cpus", "benchmarks"]),
    (Tool::PytestBenchmark, &["machine_info", "benchmarks"]),
    (Tool::Jmh, &["[].benchmark", "[].mode", "[].primaryMetric"]),
    (Tool::Go, &["Action", "Package"]),
    (Tool::OnnxRuntime, &["[].cat", "[].ph", "[].dur", "[].args"]),
    (Tool::Pytorch, &["schemaVersion", "traceEvents"]),
    (Tool::Criterion, &["group_id", "full_id"]),
    (Tool::Criterion, &["sampling_mode", "iters"]),
    (Tool::Criterion, &["mean", "median_abs_dev"]),
];

fn known(keys: &[String]) -> Option<Tool> {
    let has = |wanted: &[&str]| wanted.iter().all(|key| keys.iter().any(|found| found == key));
    SIGNS.iter().find(|(_, wanted)| has(wanted)).map(|(tool, _)| *tool)
}

/// Collects the keys of a value, as paths, until they are a tool's.
struct Keys<'a> {
    found: &'a mut Vec<String>,
    path: &'a str,
    depth: u32,
}

/// Keys that are looked at; a file with more is no tool's.
const MAX_KEYS: usize = 200;

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth > 2 || self.found.len() > MAX_KEYS {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let gap = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{gap}{key}", self.path);
            self.found.push(path.clone());
            if known(self.found).is_some() {
                return Err(A::Error::custom("the rest need not be read"));
            }
            map.next_value_seed(Keys { found: self.found, path: &path, depth: self.depth + 1 })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let path = format!("{}[]", self.path);
        seq.next_element_seed(Keys { found: self.found, path: &path, depth: self.depth + 1 })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
