//! A result as it stands in its line, read without copying: for readers that take in many thousands a second.
//!
//! What is read is exactly what `written` writes, key by key. Anything else (another order of the keys, white space, an
//! older format, numbers without a mark) is not judged here: [`Lean::read`] says no, and `line` judges it.

use super::cursor::Cursor;
use crate::record::{FORMAT, Summary, samples_fit};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::HashMap;

/// Bytes of fingerprints that are remembered before all are forgotten.
const REMEMBERED: usize = 16 << 20;

/// Text that is copied only where it was escaped.
pub type Text<'a> = Cow<'a, str>;

/// The record of a run; fields are those of `Record`, names and values in lists.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is the field of `Record` or of one of its parts")]
pub struct Lean<'a> {
    pub id: Text<'a>,
    pub run: Text<'a>,
    /// Microseconds since 1970.
    pub recorded_at_us: i64,
    pub suite: Text<'a>,
    /// Four parts with `/` between them.
    pub case: Text<'a>,
    pub purpose: &'a str,
    pub outcome: &'a str,
    pub mark: Option<&'a str>,
    pub adapter: Option<Text<'a>>,
    pub driver: Option<Text<'a>>,
    pub details: Vec<(Text<'a>, Text<'a>)>,
    pub message: Option<Text<'a>>,
    pub latency_ns: Vec<f64>,
    pub iterations: Vec<u64>,
    pub summary: Option<Summary>,
    pub load_ns: Option<u64>,
    pub compile_ns: Option<u64>,
    pub first_run_ns: Option<u64>,
    pub peak_memory_bytes: Option<u64>,
    pub items_per_run: Option<u64>,
    pub operations_per_run: Option<u64>,
    pub bytes_per_run: Option<u64>,
    pub stages: Vec<(Text<'a>, u64)>,
    /// What the counters rose over.
    pub over_ns: u64,
    pub series: Vec<LeanSeries<'a>>,
    pub counters: Vec<(Text<'a>, u64)>,
    pub absent: Vec<(Text<'a>, Text<'a>)>,
    pub op_times: Vec<(Text<'a>, u64)>,
    /// Op, why, and where it went.
    pub fallbacks: Vec<[Text<'a>; 3]>,
    pub outputs: Vec<LeanOutput<'a>>,
    pub environment: LeanEnvironment<'a>,
    pub fingerprint: Text<'a>,
    /// The parts of the fingerprint; nothing where they are those that this [`Memory`] has had already.
    pub parts: Option<Vec<(Text<'a>, Text<'a>)>>,
    /// The environment's own text, by which the next one is recognised.
    environment_text: &'a str,
}

/// Readings over time.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is the field of `Series`, with its name")]
pub struct LeanSeries<'a> {
    pub name: Text<'a>,
    pub at_ns: Vec<u64>,
    pub values: Vec<f64>,
}

/// An output against its reference.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is the field of `OutputCheck`")]
pub struct LeanOutput<'a> {
    pub name: Text<'a>,
    pub shape: Vec<u64>,
    pub error: Option<f64>,
    pub tolerance: f64,
    pub summary: Text<'a>,
}

/// Where a run took place.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is the field of `Environment`")]
pub struct LeanEnvironment<'a> {
    pub machine: Text<'a>,
    pub platform: Text<'a>,
    pub cpu: Text<'a>,
    pub threads: u64,
    pub memory_bytes: u64,
    pub rustc: Text<'a>,
    pub profile: Text<'a>,
    pub commit: Text<'a>,
}

/// What one reader remembers between lines: the texts of fingerprints, most of which come again and again.
#[derive(Debug, Default)]
pub struct Memory {
    parts: HashMap<Box<str>, Box<str>>,
    bytes: usize,
}

impl Memory {
    /// Whether a fingerprint had these parts before.
    fn knows(&self, digest: &str, parts: &str) -> bool {
        self.parts.get(digest).is_some_and(|known| **known == *parts)
    }

    fn remember(&mut self, digest: &str, parts: &str) {
        if self.bytes > REMEMBERED {
            *self = Self::default();
        }
        self.bytes += digest.len() + parts.len();
        self.parts.insert(digest.into(), parts.into());
    }
}

impl<'a> Lean<'a> {
    /// Reads a line of a record file. False where it is not plainly the sound record of a run; then what this holds is of
    /// no use, and `line` says what it is.
    pub fn read(&mut self, line: &'a [u8], memory: &mut Memory) -> bool {
        let Ok(true) = super::has_sum(line) else { return false };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let body = &line[..line.len() - super::SUM.len() - 8 - super::END.len()];
        // JSON has no control characters in its texts, and the writer none between them.
        if !body.iter().all(|byte| *byte >= b' ') {
            return false;
        }
        str::from_utf8(body).is_ok_and(|body| self.read_body(body, memory).is_some())
    }

    /// Reads a record as `serde_json` writes it. False only for what no record can be.
    pub fn read_text(&mut self, text: &'a str, memory: &mut Memory) -> bool {
        text.strip_suffix('}').is_some_and(|body| self.read_body(body, memory).is_some())
    }

    /// Reads all of a line but its end: its checksum and its last brace.
    fn read_body(&mut self, body: &'a str, memory: &mut Memory) -> Option<()> {
        let mut cursor = Cursor { text: body, at: 0 };
        let c = &mut cursor;
        self.read_head(c)?;
        let device_mark = self.read_device(c)?;
        self.message = {
            c.eat(",\"message\":")?;
            c.nullable(Cursor::text)?
        };
        c.eat(",\"samples\":{\"latency_ns\":")?;
        c.list(&mut self.latency_ns, Cursor::float)?;
        c.eat(",\"iterations\":")?;
        c.list(&mut self.iterations, Cursor::whole)?;
        self.summary = if c.is(",\"summary\":") { Some(summary(c)?) } else { None };
        c.eat("},\"metrics\":")?;
        let is_measured = self.read_metrics(c)?;
        self.read_lists(c)?;
        self.read_environment(c)?;
        self.read_fingerprint(c, memory)?;
        (device_mark == self.mark && self.is_sound(is_measured)).then_some(())
    }

    fn read_head(&mut self, c: &mut Cursor<'a>) -> Option<()> {
        c.eat("{\"kind\":\"result\",\"format\":")?;
        (c.whole()? <= u64::from(FORMAT)).then_some(())?;
        self.id = c.after(",\"id\":", Cursor::text)?;
        self.run = c.after(",\"run\":", Cursor::text)?;
        let time = c.after(",\"recorded_at\":", Cursor::plain)?;
        self.recorded_at_us = time.parse::<Timestamp>().ok()?.as_microsecond();
        self.suite = c.after(",\"suite\":", Cursor::text)?;
        self.case = c.after(",\"case\":", Cursor::text)?;
        let endpoint = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let [model, place, precision, shape] = self.case_parts()?;
        let fits = !self.case.contains(char::is_whitespace)
            && [model, place, precision, shape].iter().all(|part| !part.is_empty())
            && place.bytes().all(endpoint);
        self.purpose = c.after(",\"purpose\":", Cursor::plain)?;
        self.outcome = c.after(",\"outcome\":", Cursor::plain)?;
        self.mark = {
            c.eat(",\"mark\":")?;
            c.nullable(Cursor::plain)?
        };
        let is_known = ["test", "measure"].contains(&self.purpose)
            && ["passed", "failed", "timed-out", "crashed", "skipped"].contains(&self.outcome)
            && self.mark.is_none_or(|mark| ["real", "software"].contains(&mark));
        (fits && is_known).then_some(())
    }

    /// Model, endpoint, precision and shape of the case.
    #[must_use]
    pub fn case_parts(&self) -> Option<[&str; 4]> {
        let mut parts = self.case.split('/');
        let four = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        parts.next().is_none().then_some(four)
    }

    /// The mark of the device.
    fn read_device(&mut self, c: &mut Cursor<'a>) -> Option<Option<&'a str>> {
        c.eat(",\"device\":")?;
        self.details.clear();
        (self.adapter, self.driver) = (None, None);
        if c.is("null") {
            return Some(None);
        }
        let mark = c.after("{\"mark\":", Cursor::plain)?;
        self.adapter = Some(c.after(",\"adapter\":", Cursor::text)?);
        self.driver = Some(c.after(",\"driver\":", Cursor::text)?);
        if c.is(",\"details\":") {
            c.map(&mut self.details, Cursor::text)?;
        }
        c.eat("}")?;
        Some(Some(mark))
    }

    /// Whether there is any metric.
    fn read_metrics(&mut self, c: &mut Cursor<'a>) -> Option<bool> {
        let mut count = |key| {
            c.eat(key)?;
            c.nullable(Cursor::whole)
        };
        self.load_ns = count("{\"load_ns\":")?;
        self.compile_ns = count(",\"compile_ns\":")?;
        self.first_run_ns = count(",\"first_run_ns\":")?;
        self.peak_memory_bytes = count(",\"peak_memory_bytes\":")?;
        self.items_per_run = count(",\"items_per_run\":")?;
        self.operations_per_run = count(",\"operations_per_run\":")?;
        self.bytes_per_run = count(",\"bytes_per_run\":")?;
        let counts = [self.load_ns, self.compile_ns, self.first_run_ns, self.peak_memory_bytes];
        let costs = [self.items_per_run, self.operations_per_run, self.bytes_per_run];
        let mut is_measured = counts.iter().chain(&costs).any(Option::is_some);
        self.stages.clear();
        if c.is(",\"stages\":") {
            c.map(&mut self.stages, Cursor::whole)?;
            is_measured = true;
        }
        if c.is(",\"measured\":") {
            for key in ["{\"wall_ns\":", ",\"cpu_ns\":", ",\"clock_step_ns\":"] {
                c.after(key, Cursor::whole)?;
            }
            if c.is(",\"load\":") {
                c.float()?;
            }
            c.eat("}")?;
            is_measured = true;
        }
        let told = self.read_telemetry(c)?;
        c.eat("}")?;
        Some(is_measured || told)
    }

    /// Whether there is any telemetry.
    fn read_telemetry(&mut self, c: &mut Cursor<'a>) -> Option<bool> {
        self.counters.clear();
        self.absent.clear();
        let mut count = 0;
        let told = c.is(",\"telemetry\":");
        if told {
            self.over_ns = c.after("{\"over_ns\":", Cursor::whole)?;
            c.eat(",\"series\":{")?;
            while !c.is("}") {
                c.comma(count)?;
                // The lists of the line before are filled anew.
                if self.series.len() == count {
                    self.series.push(LeanSeries::default());
                }
                let name = c.text()?;
                (count == 0 || self.series[count - 1].name < name).then_some(())?;
                let series = &mut self.series[count];
                series.name = name;
                c.eat(":{\"at_ns\":")?;
                c.list(&mut series.at_ns, Cursor::whole)?;
                c.eat(",\"values\":")?;
                c.list(&mut series.values, Cursor::float)?;
                c.eat("}")?;
                count += 1;
            }
            c.eat(",\"counters\":")?;
            c.map(&mut self.counters, Cursor::whole)?;
            c.eat(",\"absent\":")?;
            c.map(&mut self.absent, Cursor::text)?;
            c.eat("}")?;
        }
        self.series.truncate(count);
        Some(told)
    }

    fn read_lists(&mut self, c: &mut Cursor<'a>) -> Option<()> {
        c.eat(",\"op_times\":")?;
        c.list(&mut self.op_times, |c| {
            let name = c.after("{\"name\":", Cursor::text)?;
            let time_ns = c.after(",\"time_ns\":", Cursor::whole)?;
            c.eat("}").map(|()| (name, time_ns))
        })?;
        self.fallbacks.clear();
        if c.is(",\"fallbacks\":") {
            c.list(&mut self.fallbacks, |c| {
                let op = c.after("{\"op\":", Cursor::text)?;
                let why = c.after(",\"why\":", Cursor::text)?;
                let to = c.after(",\"to\":", Cursor::text)?;
                c.eat("}").map(|()| [op, why, to])
            })?;
        }
        c.eat(",\"outputs\":")?;
        c.list(&mut self.outputs, |c| {
            let mut output =
                LeanOutput { name: c.after("{\"name\":", Cursor::text)?, ..LeanOutput::default() };
            c.eat(",\"shape\":")?;
            c.list(&mut output.shape, Cursor::whole)?;
            output.error = {
                c.eat(",\"error\":")?;
                c.nullable(Cursor::float)?
            };
            output.tolerance = c.after(",\"tolerance\":", Cursor::float)?;
            output.summary = c.after(",\"summary\":", Cursor::text)?;
            c.eat("}").map(|()| output)
        })
    }

    /// Most lines of a process have the same environment: one that stands there byte for byte is not read again.
    fn read_environment(&mut self, c: &mut Cursor<'a>) -> Option<()> {
        c.eat(",\"environment\":")?;
        if !self.environment_text.is_empty() && c.is(self.environment_text) {
            return Some(());
        }
        let start = c.at;
        self.environment_text = "";
        self.environment = LeanEnvironment {
            machine: c.after("{\"machine\":", Cursor::text)?,
            platform: c.after(",\"platform\":", Cursor::text)?,
            cpu: c.after(",\"cpu\":", Cursor::text)?,
            threads: c.after(",\"threads\":", Cursor::whole)?,
            memory_bytes: c.after(",\"memory_bytes\":", Cursor::whole)?,
            rustc: c.after(",\"rustc\":", Cursor::text)?,
            profile: c.after(",\"profile\":", Cursor::text)?,
            commit: c.after(",\"commit\":", Cursor::text)?,
        };
        if c.is(",\"boot\":") {
            c.text()?;
        }
        c.eat("}")?;
        self.environment_text = &c.text[start..c.at];
        Some(())
    }

    fn read_fingerprint(&mut self, c: &mut Cursor<'a>, memory: &mut Memory) -> Option<()> {
        self.fingerprint = c.after(",\"fingerprint\":{\"digest\":", Cursor::text)?;
        c.eat(",\"parts\":")?;
        let text = &c.text[c.at..];
        self.parts = None;
        if memory.knows(&self.fingerprint, text) {
            return Some(());
        }
        let mut parts = Vec::new();
        c.list(&mut parts, |c| {
            let name = c.after("{\"name\":", Cursor::text)?;
            let value = c.after(",\"value\":", Cursor::text)?;
            c.eat("}").map(|()| (name, value))
        })?;
        c.eat("}")?;
        (c.at == c.text.len()).then_some(())?;
        memory.remember(&self.fingerprint, text);
        self.parts = Some(parts);
        Some(())
    }

    /// Whether it is without the faults that `Record::fault` finds.
    fn is_sound(&self, is_measured: bool) -> bool {
        let numbers = is_measured
            || !self.latency_ns.is_empty()
            || self.summary.is_some()
            || !self.outputs.is_empty()
            || !self.op_times.is_empty()
            || !self.fallbacks.is_empty();
        let is_length = |value: &f64| value.is_finite() && *value >= 0.0;
        let series_is_sound = |series: &LeanSeries<'_>| {
            let may_be_less = series.name.ends_with("_celsius");
            let values = &series.values;
            !series.name.is_empty()
                && series.at_ns.len() == values.len()
                && values.iter().all(|value| is_length(value) || may_be_less && value.is_finite())
        };
        let output_is_sound = |output: &LeanOutput<'_>| {
            output.error.as_ref().is_none_or(is_length) && is_length(&output.tolerance)
        };
        let is_named = [&self.id, &self.run, &self.suite].iter().all(|name| !name.is_empty());
        is_named
            && (self.mark.is_some() || !numbers && self.outcome != "passed")
            && self.latency_ns.len() == self.iterations.len()
            && self.latency_ns.iter().all(is_length)
            && samples_fit(&self.latency_ns, &self.iterations)
            && self.summary.is_none_or(|summary| self.latency_ns.is_empty() && summary.is_sound())
            && self.series.iter().all(series_is_sound)
            && self.outputs.iter().all(output_is_sound)
    }
}

/// What is left of samples that were dropped.
fn summary(c: &mut Cursor<'_>) -> Option<Summary> {
    let found = Summary {
        samples: c.after("{\"samples\":", Cursor::whole)?,
        runs: c.after(",\"runs\":", Cursor::whole)?,
        total_ns: c.after(",\"total_ns\":", Cursor::float)?,
        latency_ns_min: c.after(",\"latency_ns_min\":", Cursor::float)?,
        latency_ns_median: c.after(",\"latency_ns_median\":", Cursor::float)?,
        latency_ns_p95: c.after(",\"latency_ns_p95\":", Cursor::float)?,
        latency_ns_max: c.after(",\"latency_ns_max\":", Cursor::float)?,
        relative_noise: {
            c.eat(",\"relative_noise\":")?;
            c.nullable(Cursor::float)?
        },
    };
    c.eat("}").map(|()| found)
}

#[cfg(test)]
#[path = "lean_tests.rs"]
mod tests;
