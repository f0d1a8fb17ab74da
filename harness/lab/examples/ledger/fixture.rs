//! Makes record files of invented results, as large and as varied as those of a workspace that measures every day.
//!
//! Nobody can take them for results of a run: the suite is `fixture`, which every report says beside the mark, the adapter
//! says so too, and every name of a model and a machine begins with `fixture`. The files are the same each time.

use jiff::Timestamp;
use proofmark::journal::written;
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Line, Measured, Metrics, Outcome, OutputCheck, Purpose,
    Record, Samples, Series, Telemetry,
};
use proofmark::{CaseId, Fingerprint, Mark, Part, fingerprint};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// The suite of all invented results.
pub(crate) const SUITE: &str = "fixture";

const MACHINES: usize = 5;
const ENDPOINTS: [&str; 5] =
    ["cpu", "webgpu-native", "webgpu-chromium", "webgpu-firefox", "webnn-chromium"];
const PRECISIONS: [&str; 2] = ["f32", "int8"];
const SHAPES: [&str; 4] = ["b1-s16", "b1-s128", "b8-s16", "b8-s128"];
const MODELS: usize = 50;
/// The first day, 2026-01-01, in seconds.
const FIRST_DAY: i64 = 1_767_225_600;
const SAMPLES: usize = 20;
/// Readings of telemetry, 100 ms apart, in a measured phase of a second.
const READINGS: u64 = 10;

/// Cases of the fixture, which every machine measures once a day.
pub(crate) const CASES: usize = MODELS * ENDPOINTS.len() * PRECISIONS.len() * SHAPES.len();

/// A case by its number.
pub(crate) fn case(number: usize) -> CaseId {
    let part = |step: usize, of: &'static [&'static str]| of[(number / step) % of.len()];
    let model = format!("fixture-{:02}", number / (CASES / MODELS));
    let endpoint = part(8, &ENDPOINTS).parse().expect("an endpoint");
    CaseId::new(&model, endpoint, part(4, &PRECISIONS), part(1, &SHAPES)).expect("a case id")
}

/// The commit of a day.
pub(crate) fn commit(day: usize) -> String {
    fingerprint::digest(format!("commit {day}"))[..40].to_owned()
}

/// The key of a machine.
pub(crate) fn machine(number: usize) -> String {
    format!("fixture-machine-{number}")
}

/// Writes `results` results into record files of a folder, one file per machine and day; plain ones have no telemetry.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(folder: &Path, results: usize, is_plain: bool) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut left = results;
    for day in 0.. {
        for number in 0..MACHINES {
            let count = left.min(CASES);
            if count == 0 {
                return Ok(());
            }
            left -= count;
            let mut process = Process::new(day, number, is_plain);
            let path = folder.join(format!("{}.jsonl", process.run));
            let mut file = BufWriter::new(File::create(path)?);
            for _ in 0..count {
                file.write_all(written(&Line::Result(process.next()))?.as_bytes())?;
            }
            file.flush()?;
        }
    }
    Ok(())
}

/// Numbers that are spread evenly: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) over a counter.
struct Spread(u64);

impl Spread {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One process of a suite that runs all cases on one day.
struct Process {
    day: usize,
    machine: usize,
    /// Without telemetry, as browsers and other systems measure.
    is_plain: bool,
    run: String,
    environment: Environment,
    spread: Spread,
    ran: usize,
}

impl Process {
    fn new(day: usize, machine: usize, is_plain: bool) -> Self {
        let mut spread = Spread((day * MACHINES + machine) as u64);
        let date = recorded_at(day, machine, 0).strftime("%Y%m%dT%H%M%S%3f").to_string();
        let run = format!("{date}-{}-{:08x}", 1000 + spread.below(30_000), spread.below(1 << 32));
        let environment = Environment {
            machine: self::machine(machine),
            platform: "linux-x86_64".into(),
            cpu: format!("Invented processor, model {machine}"),
            threads: 4 << (machine % 3),
            memory_bytes: (16 << 30) + machine as u64 * 4096,
            rustc: "rustc 1.95.0 (0000000 2026-04-14)".into(),
            profile: "release".into(),
            commit: commit(day),
            boot: fingerprint::digest(format!("boot {machine} {}", day / 7))[..36].to_owned(),
        };
        Self { day, machine, is_plain, run, environment, spread, ran: 0 }
    }

    /// The result of the next case: one of a hundred fails.
    fn next(&mut self) -> Record {
        let number = self.ran;
        self.ran += 1;
        let failed = self.spread.below(100) == 0;
        let samples = if failed { Samples::default() } else { self.samples(number) };
        let message = "outputs differ from the reference: y: error 2.1e-1 of the largest magnitude, tolerance 1e-4";
        Record {
            format: FORMAT,
            id: format!("{}-{}", self.run, self.ran),
            run: self.run.clone(),
            recorded_at: recorded_at(self.day, self.machine, number),
            suite: SUITE.into(),
            case: case(number),
            purpose: Purpose::Measure,
            outcome: if failed { Outcome::Failed } else { Outcome::Passed },
            mark: Some(mark(number)),
            device: Some(device(number, self.machine)),
            message: failed.then(|| message.into()),
            metrics: self.metrics(number, &samples),
            samples,
            op_times: Vec::new(),
            fallbacks: Vec::new(),
            outputs: vec![self.output(failed)],
            environment: self.environment.clone(),
            fingerprint: fingerprint(number, self.machine, self.day),
        }
    }

    /// A level of each case on each machine, a change of it every 30 days, noise of 2 % and a few outliers. A latency is
    /// a whole number of nanoseconds over a number of runs, as those of criterion are.
    fn samples(&mut self, number: usize) -> Samples {
        let size = (1 + number / (CASES / MODELS)) as f64;
        let level = 2e5 * size * (1.0 + (number % 40) as f64) / (1 + self.machine) as f64;
        let level = level * (1.0 + 0.03 * ((self.day / 30 + number) % 4) as f64);
        let runs = (1e9 / SAMPLES as f64 / level).ceil().max(1.0);
        let latency = |_| {
            let noise = 1.0 + 0.02 * (self.spread.unit() + self.spread.unit() - 1.0);
            let slow = if self.spread.below(50) == 0 { 1.3 } else { 1.0 };
            (level * noise * slow * runs).round() / runs
        };
        let latency_ns = (0..SAMPLES).map(latency).collect();
        Samples::new(latency_ns, vec![runs as u64; SAMPLES])
    }

    fn metrics(&mut self, number: usize, samples: &Samples) -> Metrics {
        let size = 1 + (number / (CASES / MODELS)) as u64;
        let runs = samples.latency_ns.iter().zip(&samples.iterations);
        let wall_ns = runs.map(|(latency, runs)| latency * *runs as f64).sum::<f64>() as u64;
        let ran = !samples.latency_ns.is_empty();
        Metrics {
            load_ns: Some(size * 9_000_000 + self.spread.below(1_000_000)),
            compile_ns: Some(size * 4_000_000 + self.spread.below(1_000_000)),
            first_run_ns: ran.then(|| size * 700_000 + self.spread.below(100_000)),
            peak_memory_bytes: Some((size * 40_000 + self.spread.below(2_000)) * 4096),
            items_per_run: Some(if number % 4 < 2 { 1 } else { 8 }),
            operations_per_run: Some(size * 2_000_000_000),
            bytes_per_run: Some(size * 90_000_000),
            measured: ran.then(|| Measured {
                wall_ns: wall_ns + self.spread.below(1_000_000),
                cpu_ns: 2 * wall_ns - self.spread.below(1_000_000),
                clock_step_ns: 20 + self.spread.below(10),
                load: Some(self.spread.below(8) as f64 / 4.0),
            }),
            telemetry: (ran && !self.is_plain).then(|| self.telemetry(size)),
            ..Metrics::default()
        }
    }

    /// What a virtual machine tells: no frequency, no temperature, no power.
    fn telemetry(&mut self, size: u64) -> Telemetry {
        let at_ns: Vec<u64> =
            (0..READINGS).map(|n| n * 101_000_000 + self.spread.below(900_000)).collect();
        let rates: Vec<u64> = at_ns[1..].to_vec();
        let pages = |spread: &mut Spread, least: u64| {
            (0..READINGS).map(|_| ((least + spread.below(500)) * 4096) as f64).collect()
        };
        let resident = pages(&mut self.spread, size * 30_000);
        let available = pages(&mut self.spread, 3_000_000);
        let busy = rates.iter().map(|_| self.spread.below(20) as f64 / 20.0).collect();
        let series = |at_ns: &[u64], values| Series { at_ns: at_ns.to_vec(), values };
        let missing = |path: &str| format!("/{path}: No such file or directory (os error 2)");
        Telemetry {
            over_ns: at_ns[at_ns.len() - 1],
            series: [
                ("process.resident_bytes".into(), series(&at_ns, resident)),
                ("system.available_bytes".into(), series(&at_ns, available)),
                ("system.utilisation".into(), series(&rates, busy)),
            ]
            .into(),
            counters: [
                ("process.involuntary_switches".into(), self.spread.below(40)),
                ("process.major_faults".into(), 0),
                ("process.minor_faults".into(), self.spread.below(2_000)),
                ("process.voluntary_switches".into(), self.spread.below(5_000)),
            ]
            .into(),
            absent: [
                ("power".into(), missing("sys/class/powercap")),
                ("system.frequency_hz".into(), "the kernel tells no frequency (cpufreq)".into()),
                ("system.temperature_celsius".into(), missing("sys/class/thermal")),
            ]
            .into(),
        }
    }

    fn output(&mut self, failed: bool) -> OutputCheck {
        let error = self.spread.unit() * 1e-6;
        OutputCheck {
            name: "last_hidden_state".into(),
            shape: vec![1, 128, 384],
            error: Some(if failed { 0.21 } else { error }),
            tolerance: 1e-4,
            summary: format!(
                "mean -5.96e-3 std 2.14e-1 min -4.86e0 max 5.96e0 first 2.98e-2 -2.98e-1 2.98e-2 -1.79e-2\ndigest {:016x}",
                self.spread.next()
            ),
        }
    }
}

fn recorded_at(day: usize, machine: usize, number: usize) -> Timestamp {
    let seconds = FIRST_DAY + day as i64 * 86_400 + machine as i64 * 600 + 3 * number as i64;
    Timestamp::new(seconds, (number as i32 * 7919 % 1_000_000) * 1000 + 1)
        .expect("a time of this century")
}

/// The endpoint of a case.
fn endpoint(number: usize) -> &'static str {
    ENDPOINTS[(number / 8) % ENDPOINTS.len()]
}

/// As on a machine without a GPU.
fn mark(number: usize) -> Mark {
    if endpoint(number).starts_with("webgpu") { Mark::Software } else { Mark::Real }
}

fn device(number: usize, machine: usize) -> DeviceFacts {
    let endpoint = endpoint(number);
    let adapter = format!("invented for measuring the store, {endpoint} of machine {machine}");
    let mut device = DeviceFacts::new(mark(number), adapter, "none 1.0");
    if endpoint != "cpu" {
        device.details.insert("clock resolution".into(), "100 us".into());
        device.details.insert("engine".into(), format!("{endpoint} 156.0.1"));
    }
    device
}

/// The parts that a case of a model has: the compiler, crates, the device, graph, weights, kernels, inputs. The code
/// changes every ten days.
fn fingerprint(number: usize, machine: usize, day: usize) -> Fingerprint {
    let hashed = |name: String| Part::hashed(&name, format!("{name} {} {}", number % 8, day / 10));
    let mut parts = vec![
        Part::text("rustc", "rustc 1.95.0 (0000000 2026-04-14)"),
        Part::text("profile", "release"),
        Part::text("rustflags", "-C target-cpu=x86-64-v3"),
        Part::text("adapter", format!("invented for measuring the store, of machine {machine}")),
        Part::text("driver", "none 1.0"),
        Part::text("tolerance", "1e-4"),
        Part::hashed("sampling", "sampling"),
        Part::hashed("graph", case(number).to_string()),
        Part::hashed("weights", format!("weights {}", number / (CASES / MODELS))),
        Part::hashed("inputs", format!("inputs {}", number % 4)),
        Part::hashed("reference", "reference"),
    ];
    let crates = ["bytemuck", "half", "libm", "pulp", "raw-cpuid", "reborrow", "safetensors"];
    parts.extend(crates.map(|name| Part::text(format!("crate {name}"), "1.4.2")));
    let kernels = ["attention", "dense", "gelu", "gather", "norm", "softmax", "transpose"];
    parts.extend(kernels.map(|name| hashed(format!("kernel {name}"))));
    Fingerprint::new(parts)
}
