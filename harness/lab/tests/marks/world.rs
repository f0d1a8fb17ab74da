//! Random stores whose numbers say what mark they have: times and sizes begin with one digit for each mark.
//!
//! Real times are from 1.1 to 1.9 ms, software ones from 2.1 to 2.9 ms, simulated ones begin with 3 and claimed ones with
//! 4. Sizes are so many megabytes. So whoever reads a number in a report knows beside which mark it belongs.

use proofmark::journal::Journal;
use proofmark::protocol::Listed;
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Fallback, Line, Metrics, Outcome, OutputCheck, Probe,
    Purpose, Record, Samples,
};
use proofmark::{Absence, Finding, Fingerprint, Mark, Part};
use proofmark_lab::import::{Imported, kept};
use proofmark_lab::migrate::lines;
use proofmark_lab::simulate::recorded::{self, Recorded};
use proofmark_lab::store::{Folders, Store};
use serde_json::json;
use tempfile::TempDir;

/// The marks of runs, each with where its results come from.
pub(crate) const MARKS: [(Mark, &str); 2] =
    [(Mark::Real, "cpu"), (Mark::Software, "webgpu-chromium")];
/// Results of each trend.
const LONG: usize = 24;

/// The first digit of the numbers of a mark.
pub(crate) fn digit(mark: Mark) -> f64 {
    match mark {
        Mark::Real => 1.0,
        Mark::Software => 2.0,
        Mark::Simulated => 3.0,
        Mark::Claimed => 4.0,
    }
}

/// Text of results as nobody would wish it. A part of the id of a case has neither blanks nor slashes.
pub(crate) const HOSTILE: &str = "=cmd()|<script>alert('x')</script>\"'><img src=x>`code`**bold**[a](b)\n+1\r\u{1b}[2J\u{9b}\u{202e}\u{2066}&amp;\\|";
const HOSTILE_PART: &str =
    "=cmd()|<script>x\"'><img`c`**b**[a](b)\u{1b}[2J\u{9b}\u{202e}\u{2066}&amp;\\|";

/// A store and the files that it is made from.
pub(crate) struct World {
    folder: TempDir,
    random: fastrand::Rng,
    hostile: bool,
    /// All results, oldest first.
    pub(crate) records: Vec<Record>,
    /// All predictions.
    pub(crate) predictions: Vec<Recorded>,
    /// What a suite lists.
    pub(crate) listed: Vec<Listed>,
}

impl World {
    pub(crate) fn new(seed: u64, hostile: bool) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            random: fastrand::Rng::with_seed(seed),
            hostile,
            records: Vec::new(),
            predictions: Vec::new(),
            listed: Vec::new(),
        };
        for (mark, endpoint) in MARKS {
            world.fill(mark, endpoint);
        }
        world.write();
        world
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.folder.path().join("results.duckdb")).unwrap()
    }

    fn folders(&self) -> Folders {
        Folders::below(self.folder.path())
    }

    /// Plain text, or what nobody would wish in its place.
    fn text(&self, plain: &str) -> String {
        if self.hostile { HOSTILE.to_owned() } else { plain.to_owned() }
    }

    fn part(&self, plain: &str) -> String {
        if self.hostile { format!("{HOSTILE_PART}{plain}") } else { plain.to_owned() }
    }

    /// The machine that all results are of.
    pub(crate) fn machine(&self) -> String {
        self.text("here")
    }

    /// A mantissa that rounding to three digits leaves as it begins.
    fn some(&mut self, mark: Mark) -> f64 {
        digit(mark) + 0.3 + 0.5 * self.random.f64()
    }

    fn bytes(&mut self, mark: Mark) -> u64 {
        (1e6 * self.some(mark)) as u64
    }

    /// A result of a mark around a level, in ns.
    pub(crate) fn record(&mut self, mark: Mark, case: &str, level: f64) -> Record {
        let number = self.records.len();
        let mut one = |part: f64| level * (1.0 + part * (self.random.f64() - 0.5));
        let latency_ns: Vec<f64> = (0..7).map(|_| one(0.004)).collect();
        let [load, compile, first] = [(); 3].map(|()| (1e6 * self.some(mark)) as u64);
        let mut device = DeviceFacts::new(mark, self.text("wood"), self.text("fingers"));
        device.details.insert(self.text("browser"), self.text("it"));
        let mut metrics = Metrics {
            load_ns: Some(load),
            compile_ns: Some(compile),
            first_run_ns: Some(first),
            peak_memory_bytes: Some(self.bytes(mark)),
            operations_per_run: Some(1000),
            ..Metrics::default()
        };
        metrics.stages.insert(self.text("page"), (1e6 * self.some(mark)) as u64);
        let output = OutputCheck {
            name: self.text("y"),
            shape: vec![1],
            error: Some(1e-7),
            tolerance: 1e-3,
            summary: self.text("mean 1"),
        };
        Record {
            format: FORMAT,
            id: format!("{}{number}", self.text("r-")),
            run: "run".into(),
            recorded_at: jiff::Timestamp::from_second(1_800_000_000 + 60 * number as i64).unwrap(),
            suite: self.text("s"),
            case: case.parse().unwrap(),
            purpose: Purpose::Measure,
            outcome: Outcome::Passed,
            mark: Some(mark),
            device: Some(device),
            message: Some(self.text("said")),
            samples: Samples::new(latency_ns.clone(), vec![1; latency_ns.len()]),
            metrics,
            op_times: Vec::new(),
            fallbacks: Vec::new(),
            outputs: vec![output],
            environment: Environment {
                machine: self.machine(),
                boot: "b".into(),
                commit: self.text("0123456789abcdef"),
                ..Environment::default()
            },
            fingerprint: Fingerprint::new([Part::text("code", "1")]),
        }
    }

    /// A trend with a step and an outlier, a case that got help, one that failed, and one that never ran.
    fn fill(&mut self, mark: Mark, endpoint: &str) {
        let case =
            |world: &Self, shape: &str| format!("{}/{endpoint}/f32/{shape}", world.part("m"));
        let long = case(self, "b1");
        let [before, after] = [0.3, 0.6].map(|part| 1e6 * (digit(mark) + part));
        for number in 0..LONG {
            let level = if number < LONG / 2 { before } else { after };
            let level = if number == 5 { 1e6 * (digit(mark) + 0.85) } else { level };
            let record = self.record(mark, &long, level);
            self.records.push(record);
        }
        let level = 1e6 * self.some(mark);
        let helped = self.record(mark, &case(self, "b2"), level);
        let fallbacks =
            vec![Fallback { op: self.text("topk"), why: self.text("no"), to: self.text("cpu") }];
        self.records.push(Record { fallbacks, ..helped });
        let level = 1e6 * self.some(mark);
        let failed = self.record(mark, &case(self, "b4"), level);
        self.records.push(Record { outcome: Outcome::Failed, ..failed });
        for shape in ["b1", "b2", "b4", "b8"] {
            let fingerprint = Fingerprint::new([Part::text("code", "1")]);
            let absence = Absence::Endpoint { reason: self.text("away") };
            let absence = (shape == "b8").then_some(absence);
            let id = case(self, shape).parse().unwrap();
            self.listed.push(Listed { id, fingerprint, absence });
        }
        let prediction = self.prediction(mark);
        self.predictions.push(prediction);
    }

    /// A prediction of a trend that results of this mark grade.
    fn prediction(&mut self, reality: Mark) -> Recorded {
        let at = self.some(Mark::Simulated);
        let text = json!({
            "format": 2, "id": reality.name(), "made_at": "2026-01-01T00:00:00Z", "model": self.part("m"), "shape": "b1",
            "precision": "f32", "device": self.text("wood"), "reality": reality, "mark": "simulated", "model_version": 1,
            "fit": "f", "inputs": "i", "predicted_ms": at, "low_ms": at - 0.1, "high_ms": at + 0.1, "confidence": "low",
            "validated_error": 0.3, "nearest_device": self.text("wood"), "extrapolated_share": 0.5,
            "memory_bytes": self.bytes(Mark::Simulated), "fits": true
        });
        serde_json::from_value(text).unwrap()
    }

    /// Everything into files, and from there into the store.
    fn write(&mut self) {
        let folders = self.folders();
        let mut journal = Journal::new(&folders.records);
        for record in &self.records {
            journal.append(&Line::Result(record.clone())).unwrap();
        }
        for (number, (mark, endpoint)) in MARKS.into_iter().enumerate() {
            let mut finding = Finding::absent(endpoint.parse().unwrap(), "");
            (finding.mark, finding.reason) = (Some(mark), None);
            finding.adapter = Some(self.text("wood"));
            finding.features.push(self.text("fast"));
            finding.details.insert(self.text("seen"), self.text("it"));
            let (id, machine) = (format!("{}{number}", self.text("p-")), self.machine());
            let (suite, recorded_at) = (self.text("s"), jiff::Timestamp::UNIX_EPOCH);
            let probe = Probe { format: FORMAT, id, recorded_at, suite, machine, finding };
            journal.append(&Line::Probe(probe)).unwrap();
        }
        recorded::append(&folders.predictions, &self.predictions).unwrap();
        kept::append(&folders.imports, &[self.imported()]).unwrap();
        let mut writer = lines::Writer::open(&folders.migrated).unwrap();
        for line in self.migrated() {
            writer.append(&lines::text(&line).unwrap()).unwrap();
        }
        writer.sync().unwrap();
        let ingested =
            Store::rebuild(&self.folder.path().join("results.duckdb"), &folders).unwrap();
        assert_eq!(ingested.faults, []);
        assert_eq!((ingested.results, ingested.predictions), (self.records.len(), 2));
        assert_eq!((ingested.imports, ingested.migrated), (1, 2));
    }

    fn imported(&mut self) -> Imported {
        let value = 1e6 * self.some(Mark::Claimed);
        let text = json!({
            "format": 1, "id": "i", "imported_at": "2026-01-01T00:00:00Z", "source": self.text("file"), "tool": "hyperfine",
            "tool_version": null, "tool_version_from": "unknown", "measured_at": null, "mark": "claimed", "details": {},
            "results": [{
                "benchmark": self.text("b"), "metric": "time", "statistic": "mean", "unit": "ns", "value": value,
                "raw_value": value, "raw_unit": "ns", "runs": 2, "samples": [value], "iterations": [1], "place": "line 1"
            }],
            "remarks": [self.text("none")]
        });
        serde_json::from_value(text).unwrap()
    }

    /// A content with a number of each mark that a migrated one may have, and where it was.
    fn migrated(&mut self) -> Vec<lines::Line> {
        let mut group = |mark: Mark| {
            let value = 1e6 * self.some(mark);
            json!({
                "model": self.text("m"), "endpoint": "cpu", "precision": null, "batch_size": 1, "measured_at": null,
                "mark": mark, "reason": self.text("flag"), "rows": [[0, format!("$.{mark}"), format!("{value}"), value]]
            })
        };
        let groups = [group(Mark::Simulated), group(Mark::Claimed)];
        let content = json!({"content": {
            "format": 1, "sha256": "ab", "rules": 1, "source_file": self.text("a.json"), "bytes": 3,
            "read_at": "2026-01-01T00:00:00Z", "outcome": "migrated", "reasons": [], "contradictions": [],
            "not_understood": [], "names": [{
                "name": "a", "metric": "latency", "statistic": null, "unit": "ns", "note": null
            }], "groups": groups
        }});
        let source = json!({"source": {
            "format": 1, "source_file": self.text("a.json"), "sha256": "ab", "seen_at": "2026-01-01T00:00:00Z"
        }});
        [content, source].map(|line| serde_json::from_value(line).unwrap()).into()
    }
}
