//! Results of machines that do not exist, for `fixture_store` and for tests of reports. Some contradict each other, are old,
//! noisy, failed or skipped, so that there is something to find. Nothing here was measured.

use jiff::{SignedDuration, Timestamp};
use proofmark::finding::Finding;
use proofmark::journal::written;
use proofmark::record::{
    DeviceFacts, Environment, FIXTURE, FORMAT, Fallback, Line, Metrics, Outcome, Probe, Purpose,
    Record, Samples,
};
use proofmark::roof::{self, Limit, Roof, Roofs};
use proofmark::{CaseId, Endpoint, Fingerprint, Mark, Part};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// The thirteen families, each with models of three sizes: millions of weights.
const FAMILIES: [(&str, [u64; 3]); 13] = [
    ("bert", [4, 23, 110]),
    ("t5", [8, 60, 220]),
    ("llama", [15, 160, 1100]),
    ("clip", [12, 60, 150]),
    ("vit", [6, 22, 86]),
    ("clap", [10, 50, 150]),
    ("whisper", [8, 39, 244]),
    ("wav2vec2", [10, 95, 317]),
    ("llava", [30, 400, 7000]),
    ("llava_next", [30, 400, 7000]),
    ("xclip", [12, 80, 200]),
    ("qwen2", [20, 500, 1500]),
    ("detr", [9, 41, 60]),
];
const SIZES: [&str; 3] = ["tiny", "small", "base"];
/// Endpoints with their speed: operations and bytes per nanosecond, and the nanoseconds that a run costs at least.
const ENDPOINTS: [(&str, f64, f64, f64); 8] = [
    ("cpu", 60.0, 9.0, 4e3),
    ("cuda", 4000.0, 600.0, 2e4),
    ("rocm", 3200.0, 500.0, 3e4),
    ("mps", 2500.0, 200.0, 4e4),
    ("openvino", 120.0, 10.0, 2e4),
    ("webgpu-native", 900.0, 150.0, 2e5),
    ("webgpu-chromium", 700.0, 120.0, 5e5),
    ("webnn-chromium", 80.0, 8.0, 4e5),
];
const PRECISIONS: [&str; 2] = ["f32", "f16"];
const MACHINES: u64 = 24;
/// The day of the newest results; ages are told from it.
const NEWEST: &str = "2026-11-20T12:00:00Z";

/// Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: SplitMix64, from words.
fn drawn(words: &[&str]) -> u64 {
    let mut z = words.iter().flat_map(|word| word.bytes().chain([0])).fold(7, |z: u64, byte| {
        (z ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).wrapping_add(0x9e37_79b9_7f4a_7c15)
    });
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Between 0 and 1.
fn part(words: &[&str]) -> f64 {
    (drawn(words) >> 11) as f64 / (1u64 << 53) as f64
}

/// A machine that does not exist.
struct Machine {
    key: String,
    platform: &'static str,
    cpu: String,
    threads: usize,
    speed: f64,
}

impl Machine {
    fn new(number: u64) -> Self {
        let platform = ["linux-x86_64", "windows-x86_64", "macos-aarch64"][number as usize % 3];
        // Two machines of each class.
        let class = number / 6 * 3 + number % 3;
        Self {
            key: format!("fixture-{number:02}"),
            platform,
            cpu: format!("Fixture Processor {class}"),
            threads: 4 << (class % 4),
            speed: 1.0 + class as f64 / 4.0,
        }
    }

    /// Those endpoints that a machine of this platform might have.
    fn has(&self, endpoint: &str) -> bool {
        match endpoint {
            "mps" => self.platform == "macos-aarch64",
            "cuda" | "openvino" => self.platform != "macos-aarch64",
            "rocm" => self.platform == "linux-x86_64",
            _ => true,
        }
    }

    fn environment(&self) -> Environment {
        Environment {
            machine: self.key.clone(),
            platform: self.platform.to_owned(),
            cpu: self.cpu.clone(),
            threads: self.threads,
            memory_bytes: 16 << 30,
            rustc: "rustc fixture".to_owned(),
            profile: "release".to_owned(),
            commit: String::new(),
            boot: String::new(),
        }
    }

    /// On some machines WebGPU is that of a software adapter. What is simulated or claimed is no result.
    fn device(&self, endpoint: &str) -> DeviceFacts {
        let (mark, kind) = match (endpoint, drawn(&[&self.key, endpoint, "mark"]) % 8) {
            ("webgpu-native" | "webgpu-chromium", 0..4) => (Mark::Software, "software adapter"),
            _ => (Mark::Real, "device"),
        };
        DeviceFacts::new(mark, format!("Fixture {kind} for {endpoint}"), "1.0")
    }
}

/// What a case costs: operations and bytes of a run.
fn cost(millions: u64, batch: u64, sequence: u64, precision: &str) -> [f64; 2] {
    let weights = millions as f64 * 1e6;
    let width = if precision == "f16" { 2.0 } else { 4.0 };
    let tokens = (batch * sequence) as f64;
    let attention = tokens * sequence as f64 * 4.0 * weights.sqrt();
    [2.0 * weights * tokens + attention, width * (weights + tokens * weights.sqrt() * 4.0)]
}

/// A case on a machine, with where it stands among all.
struct Spot<'a> {
    machine: &'a Machine,
    case: CaseId,
    millions: u64,
    batch: u64,
    sequence: u64,
    rates: (f64, f64, f64),
}

impl Spot<'_> {
    fn chance(&self, what: &str) -> f64 {
        part(&[&self.machine.key, &self.case.to_string(), what])
    }

    /// The results of the case, the oldest first: one, or a short history.
    fn records(&self, newest: Timestamp) -> Result<Vec<Record>, Box<dyn Error>> {
        let count = match self.chance("history") {
            chance if chance < 0.90 => 1,
            chance if chance < 0.95 => 3,
            _ => 12,
        };
        let age = SignedDuration::from_hours((self.chance("age").powi(3) * 24.0 * 150.0) as i64);
        (0..count)
            .map(|number| {
                let ago = age + SignedDuration::from_hours(24 * (count - 1 - number));
                self.record(newest.checked_sub(ago)?, number, count)
            })
            .collect()
    }

    fn record(
        &self,
        recorded_at: Timestamp,
        number: i64,
        count: i64,
    ) -> Result<Record, Box<dyn Error>> {
        let [operations, bytes] =
            cost(self.millions, self.batch, self.sequence, &self.case.precision);
        let (operations_per_ns, bytes_per_ns, start_ns) = self.rates;
        let speed = self.machine.speed * (0.6 + 0.3 * self.chance("share"));
        let ideal = (operations / operations_per_ns).max(bytes / bytes_per_ns) / speed + start_ns;
        // Some histories have a step, and some codes are twice as slow for no reason.
        let is_late = number >= count / 2;
        let step = if count == 12 && is_late && self.chance("step") < 0.5 { 1.3 } else { 1.0 };
        let odd = count == 3 && number == 2 && self.chance("odd") < 0.2;
        let latency_ns = ideal * step * if odd { 2.0 } else { 1.0 };
        let device = self.machine.device(self.case.endpoint.as_str());
        let end = self.chance("end");
        let is_failed = number + 1 == count && end < 0.01;
        let is_skipped = !is_failed && count == 1 && end < 0.02;
        let (outcome, message) = match (is_failed, is_skipped) {
            (true, _) => (Outcome::Failed, Some("an output of the fixture is off".to_owned())),
            (_, true) => (Outcome::Skipped, Some("the fixture skips it".to_owned())),
            _ => (Outcome::Passed, None),
        };
        let samples = if is_failed || is_skipped {
            Samples::default()
        } else {
            self.samples(latency_ns, number)
        };
        let fallback = || Fallback { op: "odd".into(), why: "fixture".into(), to: "cpu".into() };
        let mark = (!is_skipped).then_some(device.mark);
        Ok(Record {
            format: FORMAT,
            id: format!(
                "fixture-{:012x}-{number}",
                drawn(&[&self.machine.key, &self.case.to_string()]) >> 16
            ),
            run: format!("fixture-{}-{recorded_at}", self.machine.key),
            recorded_at,
            suite: FIXTURE.to_owned(),
            case: self.case.clone(),
            purpose: Purpose::Measure,
            outcome,
            mark,
            device: mark.map(|_| device),
            message,
            samples,
            metrics: if is_skipped {
                Metrics::default()
            } else {
                self.metrics(operations, bytes, latency_ns)
            },
            op_times: Vec::new(),
            fallbacks: if mark.is_some() && end > 0.99 { vec![fallback()] } else { Vec::new() },
            outputs: Vec::new(),
            environment: self.machine.environment(),
            fingerprint: Fingerprint::new([Part::text("case", self.case.to_string())]),
        })
    }

    /// Thirty samples around a latency, some far more spread than others.
    fn samples(&self, latency_ns: f64, number: i64) -> Samples {
        let spread = if self.chance("noisy") < 0.05 { 0.15 } else { 0.004 };
        let sample = |index: u32| {
            let words = [&*self.machine.key, &self.case.to_string(), &format!("{number}/{index}")];
            latency_ns * (1.0 + spread * (2.0 * part(&words) - 1.0))
        };
        Samples::new((0..30).map(sample).collect(), vec![1; 30])
    }

    fn metrics(&self, operations: f64, bytes: f64, latency_ns: f64) -> Metrics {
        Metrics {
            load_ns: Some(self.millions * 900_000),
            compile_ns: Some(self.millions * 400_000 + 3_000_000),
            first_run_ns: Some((1.5 * latency_ns) as u64),
            peak_memory_bytes: Some(bytes as u64 + (64 << 20)),
            items_per_run: Some(self.batch),
            operations_per_run: Some(operations as u64),
            bytes_per_run: Some(bytes as u64),
            ..Metrics::default()
        }
    }
}

/// The cases of a machine, of which it takes every so many.
fn spots(machine: &Machine) -> Result<Vec<Spot<'_>>, Box<dyn Error>> {
    let mut spots = Vec::new();
    for (family, sizes) in FAMILIES {
        for (size, millions) in SIZES.iter().zip(sizes) {
            for (endpoint, operations, bytes, start) in ENDPOINTS {
                if !machine.has(endpoint) {
                    continue;
                }
                for precision in PRECISIONS {
                    for (batch, sequence) in [(1, 32), (1, 128), (1, 512), (4, 128), (16, 128)] {
                        let shape = format!("b{batch}-s{sequence}");
                        let model = format!("{family}-{size}");
                        let case =
                            CaseId::new(&model, endpoint.parse::<Endpoint>()?, precision, &shape)?;
                        let rates = (operations, bytes, start);
                        spots.push(Spot { machine, case, millions, batch, sequence, rates });
                    }
                }
            }
        }
    }
    Ok(spots)
}

/// Every second machine has roofs for its real endpoints.
fn roofs(machine: &Machine, at: Timestamp) -> Result<Vec<Roofs>, Box<dyn Error>> {
    let mut all = Vec::new();
    for (endpoint, operations, bytes, _) in ENDPOINTS {
        let device = machine.device(endpoint);
        if !machine.has(endpoint) || device.mark != Mark::Real {
            continue;
        }
        for precision in PRECISIONS {
            let roof = |limit, per_ns: f64| Roof {
                limit,
                test: "a test of the fixture".into(),
                per_s: 1e9 * per_ns * machine.speed,
            };
            all.push(Roofs {
                format: roof::FORMAT,
                id: format!("fixture-roof-{}-{endpoint}-{precision}", machine.key),
                recorded_at: at,
                suite: FIXTURE.to_owned(),
                machine: machine.key.clone(),
                endpoint: endpoint.parse()?,
                mark: device.mark,
                adapter: device.adapter.clone(),
                precision: precision.to_owned(),
                roofs: vec![roof(Limit::Bandwidth, bytes), roof(Limit::Arithmetic, operations)],
            });
        }
    }
    Ok(all)
}

/// Machines whose probes are wrong: what they say is absent runs there all the same.
const WRONG: [&str; 4] = ["fixture-00", "fixture-06", "fixture-12", "fixture-18"];

/// What this machine has not, or what is wrongly said of it.
fn probes(machine: &Machine, at: Timestamp) -> Result<Vec<Line>, Box<dyn Error>> {
    let is_wrong = |endpoint: &str| WRONG.contains(&&*machine.key) && endpoint == "cuda";
    ENDPOINTS
        .iter()
        .filter(|(endpoint, ..)| !machine.has(endpoint) || is_wrong(endpoint))
        .map(|(endpoint, ..)| {
            let finding = Finding::absent(endpoint.parse()?, "the fixture has none here");
            let id = format!("fixture-probe-{}-{endpoint}", machine.key);
            let (suite, machine) = (FIXTURE.to_owned(), machine.key.clone());
            Ok(Line::Probe(Probe { format: FORMAT, id, recorded_at: at, suite, machine, finding }))
        })
        .collect()
}

/// Writes the state of a workspace with about so many cases on all machines; gives the number of records and of machines.
pub(crate) fn write(state: &Path, cases: usize) -> Result<(usize, u64), Box<dyn Error>> {
    std::fs::create_dir_all(state.join("records"))?;
    let mut file = BufWriter::new(File::create(state.join("records").join("fixture.jsonl"))?);
    let newest: Timestamp = NEWEST.parse()?;
    let probed = newest.checked_sub(SignedDuration::from_hours(24 * 200))?;
    let machines: Vec<Machine> = (0..MACHINES).map(Machine::new).collect();
    let mut records = 0;
    for (index, machine) in machines.iter().enumerate() {
        for line in probes(machine, probed)? {
            file.write_all(written(&line)?.as_bytes())?;
        }
        if index % 2 == 0 {
            roofs(machine, newest)?.iter().try_for_each(|line| roof::append(state, line))?;
        }
        let spots = spots(machine)?;
        // Whole models are left out, so that what is left can still be ranked.
        let share = cases as f64 / MACHINES as f64 / spots.len() as f64;
        let is_kept = |spot: &&Spot<'_>| part(&[&machine.key, &spot.case.model]) < share;
        for spot in spots.iter().filter(is_kept) {
            for record in spot.records(newest)? {
                file.write_all(written(&Line::Result(record))?.as_bytes())?;
                records += 1;
            }
        }
    }
    file.flush()?;
    Ok((records, MACHINES))
}
