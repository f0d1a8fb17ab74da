//! What the system tells while a case is measured: memory, processors, faults, switches, frequency, temperature, power.
//!
//! It is read between samples and never within one, by the thread that measures. What the system does not offer has a
//! reason, and no number.

use crate::clock;
use crate::record::{Series, Telemetry};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Readings are at least this far apart: one costs tens of microseconds.
const PAUSE: Duration = Duration::from_millis(100);
/// A run that takes hours keeps as many readings, evenly spread from its begin.
const READINGS: usize = 600;

/// Collects readings during the calls of a session.
#[derive(Debug)]
pub(crate) struct Collector {
    sources: Sources,
    start: Instant,
    pause: Duration,
    readings: Vec<Reading>,
}

/// What was read before a call.
#[derive(Debug)]
struct Reading {
    /// Calls that had ended.
    calls: usize,
    at: Duration,
    values: BTreeMap<String, f64>,
    counters: BTreeMap<String, u64>,
    absent: BTreeMap<String, String>,
}

impl Collector {
    /// Begins. `is_own` says whether the work is done in this process, whose figures would else say nothing of it.
    pub(crate) fn new(is_own: bool) -> Self {
        Self::of(Sources { root: "/".into(), is_own })
    }

    fn of(sources: Sources) -> Self {
        Self { sources, start: clock::start(), pause: PAUSE, readings: Vec::new() }
    }

    /// Reads, if the last reading is long enough ago.
    pub(crate) fn read(&mut self, calls: usize) {
        let at = self.start.elapsed();
        if self.readings.last().is_some_and(|last| at < last.at + self.pause) {
            return;
        }
        self.keep(calls, at);
        if self.readings.len() >= READINGS {
            let mut position = 0;
            self.readings.retain(|_| {
                position += 1;
                position % 2 == 1
            });
            self.pause *= 2;
        }
    }

    fn keep(&mut self, calls: usize, at: Duration) {
        let mut reading = Reading {
            calls,
            at,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
            absent: BTreeMap::new(),
        };
        self.sources.read(&mut reading);
        self.readings.push(reading);
    }

    /// What was told from the call `first` on.
    pub(crate) fn finish(mut self, calls: usize, first: usize) -> Telemetry {
        self.keep(calls, self.start.elapsed());
        self.readings.retain(|reading| reading.calls >= first);
        let mut told = Telemetry::default();
        let (Some(begin), Some(end)) = (self.readings.first(), self.readings.last()) else {
            return told;
        };
        told.over_ns = nanoseconds(end.at - begin.at);
        told.absent = end.absent.clone();
        let risen = |name: &String, before: u64| {
            Some((name.clone(), end.counters.get(name)?.saturating_sub(before)))
        };
        let counters = begin.counters.iter().filter(|(name, _)| !is_raw(name));
        told.counters = counters.filter_map(|(name, before)| risen(name, *before)).collect();
        for reading in &self.readings {
            for (name, value) in &reading.values {
                add(&mut told.series, name, reading.at - begin.at, *value);
            }
        }
        for pair in self.readings.windows(2) {
            for (name, value) in rates(&pair[0], &pair[1]) {
                add(&mut told.series, &name, pair[1].at - begin.at, value);
            }
        }
        told
    }
}

fn add(series: &mut BTreeMap<String, Series>, name: &str, at: Duration, value: f64) {
    let series = series.entry(name.to_owned()).or_default();
    series.at_ns.push(nanoseconds(at));
    series.values.push(value);
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Counters that are only there for the rates that they make.
const BUSY: &str = "raw.busy";
const ALL: &str = "raw.all";
const ENERGY: &str = "raw.energy_uj.";

fn is_raw(name: &str) -> bool {
    name.starts_with("raw.")
}

/// What two readings make together: the utilisation of all processors, and the power of each rail.
#[expect(
    clippy::cast_precision_loss,
    reason = "ticks and microjoules between readings are far below 2^53"
)]
fn rates(before: &Reading, after: &Reading) -> Vec<(String, f64)> {
    let risen = |name: &str| {
        let (before, after) = (before.counters.get(name)?, after.counters.get(name)?);
        after.checked_sub(*before).map(|risen| risen as f64)
    };
    let mut found = Vec::new();
    if let (Some(busy), Some(all)) = (risen(BUSY), risen(ALL))
        && all > 0.0
    {
        found.push(("system.utilisation".to_owned(), busy / all));
    }
    let seconds = (after.at - before.at).as_secs_f64();
    let rails = before.counters.keys().filter_map(|name| name.strip_prefix(ENERGY));
    for rail in rails.filter(|_| seconds > 0.0) {
        // A counter that began anew tells nothing of this pause.
        if let Some(microjoules) = risen(&format!("{ENERGY}{rail}")) {
            found.push((format!("power.{rail}_w"), microjoules * 1e-6 / seconds));
        }
    }
    found
}

/// Where it is read.
#[derive(Debug)]
struct Sources {
    root: PathBuf,
    is_own: bool,
}

impl Sources {
    fn read(&self, reading: &mut Reading) {
        if self.is_own {
            self.process(reading);
        } else {
            let reason = "the work is done in other processes";
            for name in ["process.resident_bytes", "process.faults", "process.switches"] {
                reading.absent.insert(name.into(), reason.into());
            }
        }
        self.system(reading);
        self.frequency(reading);
        self.temperature(reading);
        self.power(reading);
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let path = self.root.join(path);
        fs::read_to_string(&path).map_err(|error| format!("/{}: {error}", self.below(&path)))
    }

    fn below(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    fn process(&self, reading: &mut Reading) {
        let resident = self.text("proc/self/status").and_then(|text| kibibytes(&text, "VmRSS:"));
        put(reading, "process.resident_bytes", resident);
        match self.text("proc/self/stat").and_then(|text| faults(&text)) {
            Ok([minor, major]) => {
                reading.counters.insert("process.minor_faults".into(), minor);
                reading.counters.insert("process.major_faults".into(), major);
            }
            Err(reason) => absent(reading, "process.faults", reason),
        }
        match self.switches() {
            Ok([voluntary, involuntary]) => {
                reading.counters.insert("process.voluntary_switches".into(), voluntary);
                reading.counters.insert("process.involuntary_switches".into(), involuntary);
            }
            Err(reason) => absent(reading, "process.switches", reason),
        }
    }

    /// Of all threads that live: the system tells them thread by thread.
    fn switches(&self) -> Result<[u64; 2], String> {
        let mut sums = [0; 2];
        for thread in self.list("proc/self/task", "")? {
            // A thread may end meanwhile.
            let Ok(text) = self.text(&format!("{thread}/status")) else { continue };
            for (sum, key) in
                sums.iter_mut().zip(["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"])
            {
                *sum += value_of(&text, key)?;
            }
        }
        Ok(sums)
    }

    fn system(&self, reading: &mut Reading) {
        let available =
            self.text("proc/meminfo").and_then(|text| kibibytes(&text, "MemAvailable:"));
        put(reading, "system.available_bytes", available);
        match self.text("proc/stat").and_then(|text| ticks(&text)) {
            Ok([busy, all]) => {
                reading.counters.insert(BUSY.into(), busy);
                reading.counters.insert(ALL.into(), all);
            }
            Err(reason) => absent(reading, "system.utilisation", reason),
        }
    }

    /// The mean over processors. What `/proc/cpuinfo` says is not taken: virtual machines repeat a nominal figure there.
    fn frequency(&self, reading: &mut Reading) {
        let of = |processor: &String| -> Option<f64> {
            let text = self.text(&format!("{processor}/cpufreq/scaling_cur_freq")).ok()?;
            text.trim().parse::<f64>().ok().map(|khz| khz * 1e3)
        };
        let found: Vec<f64> = self
            .list("sys/devices/system/cpu", "cpu")
            .unwrap_or_default()
            .iter()
            .filter_map(of)
            .collect();
        let mean = mean(&found).ok_or_else(|| "the kernel tells no frequency (cpufreq)".to_owned());
        put(reading, "system.frequency_hz", mean);
    }

    /// The hottest zone.
    fn temperature(&self, reading: &mut Reading) {
        let of = |zone: &String| -> Option<f64> {
            let text = self.text(&format!("{zone}/temp")).ok()?;
            text.trim().parse::<f64>().ok().map(|thousandths| thousandths / 1e3)
        };
        let zones = self.list("sys/class/thermal", "thermal_zone").unwrap_or_default();
        let hottest = zones.iter().filter_map(of).reduce(f64::max);
        let hottest = hottest.ok_or_else(|| "the kernel tells no temperature (thermal)".to_owned());
        put(reading, "system.temperature_celsius", hottest);
    }

    /// Energy of the domains of RAPL, each a rail by its own name.
    fn power(&self, reading: &mut Reading) {
        let domains = self.list("sys/class/powercap", "intel-rapl:").unwrap_or_default();
        let mut reason = "the kernel tells no energy (powercap)".to_owned();
        let mut found = false;
        for domain in domains {
            let energy = self.text(&format!("{domain}/energy_uj"));
            let name = self.text(&format!("{domain}/name")).map(|name| name.trim().to_owned());
            match (name, energy.map(|text| text.trim().parse::<u64>())) {
                (Ok(name), Ok(Ok(energy))) => {
                    // Sockets have rails of the same names.
                    *reading.counters.entry(format!("{ENERGY}{name}")).or_default() += energy;
                    found = true;
                }
                (Err(error), _) | (_, Err(error)) => reason = error,
                (_, Ok(Err(error))) => reason = format!("/{domain}/energy_uj: {error}"),
            }
        }
        if !found {
            absent(reading, "power", reason);
        }
    }

    /// What is in a folder and begins with these letters, in order.
    fn list(&self, folder: &str, begins: &str) -> Result<Vec<String>, String> {
        let entries =
            fs::read_dir(self.root.join(folder)).map_err(|error| format!("/{folder}: {error}"))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut found: Vec<String> = names
            .filter(|name| name.starts_with(begins))
            .map(|name| format!("{folder}/{name}"))
            .collect();
        found.sort();
        Ok(found)
    }
}

fn put(reading: &mut Reading, name: &str, value: Result<f64, String>) {
    match value {
        Ok(value) => {
            reading.values.insert(name.into(), value);
        }
        Err(reason) => absent(reading, name, reason),
    }
}

fn absent(reading: &mut Reading, name: &str, reason: String) {
    reading.absent.insert(name.into(), reason);
}

#[expect(clippy::cast_precision_loss, reason = "processors are far fewer than 2^53")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The number after a key at the begin of a line.
fn value_of(text: &str, key: &str) -> Result<u64, String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("the kernel tells no {}", key.trim_end_matches(':')))
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory below 2^53 are exact")]
fn kibibytes(text: &str, key: &str) -> Result<f64, String> {
    value_of(text, key).map(|kibibytes| kibibytes as f64 * 1024.0)
}

/// Minor and major faults of `/proc/self/stat`, whose second field, a name in brackets, may hold spaces.
fn faults(stat: &str) -> Result<[u64; 2], String> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field =
        |place: usize| rest.split_whitespace().nth(place).and_then(|text| text.parse().ok());
    match (field(7), field(9)) {
        (Some(minor), Some(major)) => Ok([minor, major]),
        _ => Err("the kernel tells no page faults in /proc/self/stat".to_owned()),
    }
}

/// Busy and all ticks of all processors together. Guests' ticks are among those of users already.
fn ticks(stat: &str) -> Result<[u64; 2], String> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let fields: Vec<u64> = line
        .unwrap_or_default()
        .split_whitespace()
        .take(8)
        .filter_map(|text| text.parse().ok())
        .collect();
    if fields.len() < 5 {
        return Err("the kernel tells no ticks in /proc/stat".to_owned());
    }
    let all: u64 = fields.iter().sum();
    // Idle, and idle while something waits for a disk.
    Ok([all - fields[3] - fields[4], all])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A folder that looks like the root of a system.
    struct Root(TempDir);

    impl Root {
        fn new() -> Self {
            let root = Self(tempfile::tempdir().unwrap());
            root.write("proc/self/status", "Name:\tx\nVmRSS:\t    2048 kB\n");
            root.write("proc/self/stat", "7 (a b) c) S 1 1 1 0 -1 4 100 0 3 0 5 6");
            let switches = "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n";
            root.write("proc/self/task/7/status", switches);
            root.write("proc/self/task/8/status", switches);
            root.write("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:  4 kB\n");
            root.write("proc/stat", "cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1 1 1 1\n");
            root
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn collector(&self, is_own: bool) -> Collector {
            let sources = Sources { root: self.0.path().to_owned(), is_own };
            Collector { pause: Duration::ZERO, ..Collector::of(sources) }
        }
    }

    #[test]
    fn what_is_told_is_taken_and_what_is_not_has_a_reason() {
        let root = Root::new();
        root.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1000000\n");
        root.write("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3000000\n");
        root.write("sys/class/thermal/thermal_zone0/temp", "41500\n");
        root.write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
        root.write("sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n");
        let mut collector = root.collector(true);
        collector.read(0);
        root.write("proc/self/stat", "7 (a b) c) S 1 1 1 0 -1 4 150 0 4 0 5 6");
        root.write("proc/stat", "cpu  40 0 10 110 10 0 0 0 5 0\n");
        root.write("sys/class/powercap/intel-rapl:0/energy_uj", "3000000\n");
        let told = collector.finish(3, 0);
        let of = |name: &str| told.series[name].values.clone();
        assert_eq!(of("process.resident_bytes"), [2_097_152.0; 2]);
        assert_eq!(of("system.available_bytes"), [4096.0; 2]);
        assert_eq!(of("system.frequency_hz"), [2e9; 2]);
        assert_eq!(of("system.temperature_celsius"), [41.5; 2]);
        // 30 busy ticks of 70.
        assert!((of("system.utilisation")[0] - 3.0 / 7.0).abs() < 1e-12);
        let power = of("power.package-0_w")[0];
        assert!((power * told.over_ns as f64 * 1e-9 - 2.0).abs() < 1e-6, "{power}");
        let counters: Vec<_> = told.counters.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(
            counters,
            [
                ("process.involuntary_switches", 0),
                ("process.major_faults", 1),
                ("process.minor_faults", 50),
                ("process.voluntary_switches", 0)
            ]
        );
        assert!(told.absent.is_empty(), "{:?}", told.absent);
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_no_number() {
        let root = Root::new();
        root.write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
        let mut collector = root.collector(true);
        collector.read(0);
        let told = collector.finish(1, 0);
        let absent: Vec<&str> = told.absent.keys().map(String::as_str).collect();
        assert_eq!(absent, ["power", "system.frequency_hz", "system.temperature_celsius"]);
        assert!(told.absent["power"].contains("energy_uj"), "{:?}", told.absent);
        assert!(told.absent.keys().all(|name| !told.series.contains_key(name)));
        // Nothing at all, as on a system without /proc.
        let empty = tempfile::tempdir().unwrap();
        let sources = Sources { root: empty.path().to_owned(), is_own: true };
        let told = Collector::of(sources).finish(0, 0);
        assert!(told.series.is_empty() && told.counters.is_empty() && told.absent.len() == 8);
    }

    #[test]
    fn a_process_that_only_waits_for_another_tells_nothing_of_itself() {
        let told = Root::new().collector(false).finish(0, 0);
        assert!(told.absent["process.resident_bytes"].contains("other processes"));
        assert!(!told.series.contains_key("process.resident_bytes"));
        assert!(told.series.contains_key("system.available_bytes"));
    }

    #[test]
    fn readings_of_the_warm_up_are_left_out_and_a_long_run_keeps_few() {
        let root = Root::new();
        let mut collector = root.collector(true);
        for calls in 0..10 {
            collector.read(calls);
        }
        assert_eq!(collector.finish(10, 4).series["process.resident_bytes"].values.len(), 7);
        let mut collector = root.collector(true);
        for calls in 0..2000 {
            collector.pause = Duration::ZERO;
            collector.read(calls);
        }
        assert!(collector.readings.len() < READINGS, "{}", collector.readings.len());
        assert_eq!(collector.readings[0].calls, 0);
        assert!(collector.readings.iter().any(|reading| reading.calls > 1500));
    }
}
