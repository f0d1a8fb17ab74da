//! `report compat`, `report timing` and `report quality` as people call them: what they say of a store with results of every
//! kind, in every format, and of nothing and of bad input.

use crate::fixture_store;
use crate::support::{Adopter, measured, store, xtask};
use proofmark::record::{DeviceFacts, FIXTURE, Outcome, Record, Samples};
use proofmark::roof::{self, Limit, Roof, Roofs};
use proofmark::{Mark, Part};
use serde_json::Value;
use std::fs;

const FIRST: &str = "2026-01-01T00:00:00Z";
const SECOND: &str = "2026-01-02T00:00:00Z";
const THIRD: &str = "2026-01-03T00:00:00Z";

/// A result with twenty samples, of so many operations and bytes.
fn timed(case: &str, at: &str, latency_ns: f64) -> Record {
    let mut record = measured(case, at, latency_ns);
    let sample = |i| latency_ns * (1.0 + f64::from(i % 5) / 1000.0);
    record.samples = Samples::new((0..20).map(sample).collect(), vec![1; 20]);
    record.metrics.items_per_run = Some(1);
    record.metrics.operations_per_run = Some(10_000);
    record.metrics.bytes_per_run = Some(1000);
    record
}

fn ended(record: Record, outcome: Outcome) -> Record {
    let (samples, message) = (Samples::default(), Some("the fingers slipped\nand more".to_owned()));
    Record { outcome, samples, message, ..record }
}

fn skipped(record: Record) -> Record {
    let metrics = proofmark::record::Metrics::default();
    Record { mark: None, device: None, metrics, ..ended(record, Outcome::Skipped) }
}

fn of_mark(record: Record, mark: Mark) -> Record {
    let device = Some(DeviceFacts::new(mark, "wood", "fingers"));
    let id = format!("{}-{mark}", record.id);
    Record { id, mark: Some(mark), device, ..record }
}

/// The standard output of a command that must end well.
#[track_caller]
fn told(adopter: &Adopter, args: &[&str]) -> String {
    let output = adopter.xtask(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(adopter: &Adopter, args: &[&str], code: i32, says: &str) {
    let output = adopter.xtask(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(says), "{args:?}: {said}");
}

/// The state and mark of a model on an endpoint.
#[track_caller]
fn state(report: &Value, model: &str, endpoint: &str) -> (String, Value) {
    let cells = report["cells"].as_array().unwrap();
    let cell = cells.iter().find(|cell| cell["model"] == model && cell["endpoint"] == endpoint);
    let cell = cell.unwrap_or_else(|| panic!("{model} on {endpoint}: {report}"));
    (cell["state"].as_str().unwrap().to_owned(), cell["mark"].clone())
}

/// A legacy file that claims, one that simulates, and what another tool measured under the name of a case.
fn add_claims(adopter: &Adopter) {
    fs::create_dir_all(adopter.path("legacy")).unwrap();
    let claimed = r#"[{"model_name": "m-old", "hardware": "cuda", "latency_ms": 3}]"#;
    let simulated =
        r#"{"model_name": "m-old", "platform": "webgpu", "is_simulation": true, "latency_ms": 2}"#;
    fs::write(adopter.path("legacy/claimed.json"), claimed).unwrap();
    fs::write(adopter.path("legacy/simulated.json"), simulated).unwrap();
    adopter.xtask(&["migrate", "legacy"]).assert().success();
    let hyperfine = r#"{"results": [{"command": "m-told/mps/f32/b1", "mean": 0.5, "stddev": 0.1, "median": 0.4,
        "user": 0.1, "system": 0.1, "min": 0.3, "max": 0.9, "times": [0.4, 0.3, 0.9]}]}"#;
    fs::write(adopter.path("hyperfine.json"), hyperfine).unwrap();
    adopter.xtask(&["import", "hyperfine.json"]).assert().success();
}

#[test]
fn every_state_has_its_mark_and_its_evidence() {
    let adopter = Adopter::new();
    refused(&adopter, &["report", "compat"], 3, "run cargo xtask incremental");
    let flaky = |at| timed("m-b/abacus/f32/b1", at, 100.0);
    store(
        &adopter,
        &[
            timed("m-a/abacus/f32/b1", FIRST, 100.0),
            flaky(FIRST),
            ended(timed("m-b/abacus/f32/b2", SECOND, 100.0), Outcome::Failed),
            of_mark(
                ended(timed("m-c/abacus/f32/b1", FIRST, 100.0), Outcome::Crashed),
                Mark::Software,
            ),
            skipped(timed("m-d/abacus/f32/b1", FIRST, 100.0)),
        ],
    );
    add_claims(&adopter);
    let report = adopter.json(&["report", "compat"], 0);
    for (model, endpoint, expected, mark) in [
        ("m-a", "abacus", "full", "real"),
        ("m-b", "abacus", "partial", "real"),
        ("m-c", "abacus", "failing", "software"),
        ("m-old", "cuda", "claimed", "claimed"),
        ("m-told", "mps", "claimed", "claimed"),
    ] {
        assert_eq!(state(&report, model, endpoint), (expected.to_owned(), mark.into()));
    }
    assert_eq!(state(&report, "m-d", "abacus"), ("absent".to_owned(), Value::Null));
    assert_eq!(state(&report, "m-a", "cuda"), ("untested".to_owned(), Value::Null));
    let simulated: Vec<_> = report["cells"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|cell| cell["state"] == "simulated")
        .collect();
    assert_eq!(simulated.len(), 1, "{report}");
    assert_eq!(simulated[0]["model"], "m-old");
    assert!(simulated[0]["evidence"][0]["record"].as_str().unwrap().contains("simulated.json#"));
    let counts = &report["rests_on"]["counts"];
    let expected =
        [("real", 3), ("software", 1), ("simulated", 1), ("claimed", 2), ("unopened", 1)];
    expected.iter().for_each(|(mark, count)| assert_eq!(counts[mark], *count, "{counts}"));
    // In words, each with its case, record, message and date.
    let text = told(&adopter, &["report", "compat"]);
    for part in [
        "8 facts: 3 real, 1 software, 1 simulated, 2 claimed, 1 unopened",
        "partial (real)",
        "failing (software)",
        "| m-b/abacus/f32/b2 | real | failed | the fingers slipped | here | 2026-01-02 00:00 UTC |",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("FIXTURE")
            && told(&adopter, &["report", "compat", "--format", "table"]).contains("m-told")
    );
    let html = told(&adopter, &["report", "compat", "--format", "html"]);
    assert!(html.contains("default-src 'none'") && html.contains("claimed.json#"), "{html}");
}

#[test]
fn changes_are_told_since_a_date_or_a_revision() {
    let adopter = Adopter::new();
    store(
        &adopter,
        &[
            ended(timed("m-a/abacus/f32/b1", FIRST, 100.0), Outcome::Failed),
            timed("m-a/abacus/f32/b1", THIRD, 100.0),
            timed("m-b/abacus/f32/b1", FIRST, 100.0),
        ],
    );
    let since =
        |day: &str| adopter.json(&["report", "compat", "--since", day], 0)["changes"].clone();
    assert_eq!(since("2026-01-03T00:00:00Z"), Value::Array(Vec::new()));
    let changes = since("2026-01-02");
    assert_eq!(changes.as_array().unwrap().len(), 1, "{changes}");
    assert_eq!(
        (&changes[0]["model"], &changes[0]["before"]["state"], &changes[0]["after"]["state"]),
        (&"m-a".into(), &"failing".into(), &"full".into())
    );
    assert_eq!(since("2025-12-31").as_array().unwrap().len(), 2);
    let text = told(&adopter, &["report", "compat", "--since", "2026-01-02"]);
    assert!(text.contains("| m-a | abacus | failing (real) | full (real) |"), "{text}");
    let slip = ["report", "compat", "--since", "no-such-thing"];
    refused(&adopter, &slip, 2, "neither a date like 2026-01-31");
}

/// One GB/s and ten operations per byte.
fn add_roof(adopter: &Adopter) {
    let roof = |limit, per_s| Roof { limit, test: "beads".into(), per_s };
    let roofs = Roofs {
        format: roof::FORMAT,
        id: "roof-1".into(),
        recorded_at: FIRST.parse().unwrap(),
        suite: "adopter".into(),
        machine: "here".into(),
        endpoint: "abacus".parse().unwrap(),
        mark: Mark::Real,
        adapter: "wood".into(),
        precision: "f32".into(),
        roofs: vec![roof(Limit::Bandwidth, 1e9), roof(Limit::Arithmetic, 1e10)],
    };
    roof::append(&adopter.path(".proofmark"), &roofs).unwrap();
}

#[test]
fn timing_ranks_equals_and_says_what_bounds_them() {
    let adopter = Adopter::new();
    refused(&adopter, &["report", "timing"], 3, "nothing was timed yet");
    let batch =
        |batch: u32, latency_ns| timed(&format!("m-a/abacus/f32/b{batch}"), FIRST, latency_ns);
    store(
        &adopter,
        &[
            batch(1, 2000.0),
            batch(2, 4000.0),
            batch(4, 8000.0),
            timed("m-a/slate/f32/b1", FIRST, 9000.0),
            of_mark(timed("m-a/quill/f32/b1", FIRST, 10.0), Mark::Software),
        ],
    );
    add_roof(&adopter);
    add_claims(&adopter);
    let report = adopter.json(&["report", "timing"], 0);
    let rankings = report["rankings"].as_array().unwrap();
    assert_eq!(rankings.len(), 1, "{report}");
    let order: Vec<_> = rankings[0]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        order,
        ["abacus (wood)", "slate (wood)"],
        "the software one is quicker and of another mark"
    );
    let row = |case: &str| {
        let rows = report["rows"].as_array().unwrap();
        rows.iter()
            .find(|row| row["case"] == case)
            .unwrap_or_else(|| panic!("{case}: {report}"))
            .clone()
    };
    let below = &row("m-a/abacus/f32/b1")["below"];
    assert_eq!((&below["bound"], &below["roof"]), (&"compute".into(), &"roof-1".into()));
    assert_eq!(row("m-a/slate/f32/b1")["below"], Value::Null);
    assert_eq!(
        (&row("m-told/mps/f32/b1")["mark"], &row("m-told/mps/f32/b1")["latency_ns"]),
        (&"claimed".into(), &4e8.into())
    );
    let scaling = &report["scaling"][0];
    assert!((scaling["exponent"].as_f64().unwrap() - 1.0).abs() < 0.01, "{scaling}");
    for advice in report["recommendations"].as_array().unwrap() {
        assert!(
            !advice["rests_on"].as_array().unwrap().is_empty() && advice["mark"] == "real",
            "{advice}"
        );
    }
    let text = told(&adopter, &["report", "timing", "--format", "markdown"]);
    assert!(
        text.contains("it rests on 8 latencies: 4 real, 1 software, 1 simulated, 2 claimed."),
        "{text}"
    );
    let table = told(&adopter, &["report", "timing", "--format", "csv", "--case", "m-a/*"]);
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let mark = rows.headers().unwrap().iter().position(|name| name == "mark").unwrap();
    let marks: Vec<_> = rows.records().map(|row| row.unwrap()[mark].to_owned()).collect();
    assert_eq!(marks, ["real", "real", "real", "software", "real"]);
    let out = adopter.path("timing.html");
    told(&adopter, &["report", "timing", "--format", "html", "--out", out.to_str().unwrap()]);
    assert!(fs::read_to_string(out).unwrap().contains("Rooflines"));
    refused(&adopter, &["report", "timing", "--case", "none/*"], 3, "--case matches");
    refused(&adopter, &["report", "timing", "--case", "a[/"], 2, "the glob `a[/` cannot be read");
}

#[test]
fn quality_finds_what_is_old_noisy_missing_and_contradicts_itself() {
    let adopter = Adopter::new();
    let mut noisy = timed("m-n/abacus/f32/b1", SECOND, 100.0);
    noisy.samples.latency_ns = (0..20).map(|i| 100.0 + 3.0 * f64::from(i)).collect();
    let other = Record {
        fingerprint: proofmark::Fingerprint::new([Part::text("same", "2")]),
        ..timed("m-c/abacus/f32/b1", THIRD, 300.0)
    };
    store(
        &adopter,
        &[
            noisy,
            timed("m-a/abacus/f32/b1", FIRST, 100.0),
            timed("m-a/abacus/f32/b1", SECOND, 200.0),
            timed("m-b/abacus/f32/b1", FIRST, 100.0),
            ended(timed("m-b/abacus/f32/b1", SECOND, 100.0), Outcome::Failed),
            timed("m-c/abacus/f32/b1", FIRST, 100.0),
            other,
            skipped(timed("m-d/abacus/f32/b1", FIRST, 100.0)),
        ],
    );
    let report = adopter.json(&["report", "quality"], 0);
    let list = |key: &str, fields: [&str; 2]| -> Vec<[String; 2]> {
        let of = |one: &Value| fields.map(|field| one[field].as_str().unwrap().to_owned());
        report[key].as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(
        list("contradictions", ["what", "of"]),
        [["far-apart", "m-a/abacus/f32/b1"], ["passed-and-failed", "m-b/abacus/f32/b1"]]
    );
    assert_eq!(
        list("gaps", ["what", "of"]),
        [
            ["unmeasured", "double-exact/abacus/f64/b1"],
            ["unmeasured", "triple-exact/abacus/f64/b1"],
            ["skipped", "m-d/abacus/f32/b1"],
        ]
    );
    let noisy: Vec<_> =
        report["newest"].as_array().unwrap().iter().filter(|one| one["noisy"] == true).collect();
    assert!(noisy.len() == 1 && noisy[0]["case"] == "m-n/abacus/f32/b1", "{noisy:?}");
    assert_eq!(report["rests_on"]["counts"]["real"], 4);
    let stored = adopter.json(&["report", "quality", "--stored"], 0);
    assert_eq!(stored["gaps"].as_array().unwrap().len(), 1, "no suite was asked");
    let text = told(&adopter, &["report", "quality", "--stored"]);
    for part in
        ["it rests on 4 numbers: 4 real", "Contradictions: 2", "from 100 ns to 200 ns (real)"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    for format in ["markdown", "html", "csv"] {
        assert!(
            told(&adopter, &["report", "quality", "--stored", "--format", format]).contains("real")
        );
    }
    refused(
        &adopter,
        &["report", "quality", "--stored", "--case", "none/*"],
        3,
        "no case is known",
    );
}

#[test]
fn what_was_made_up_says_so_in_every_report() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let (records, machines) = fixture_store::write(&state, 2000).unwrap();
    assert!(records > 1000 && machines >= 20, "{records} of {machines}");
    let run = |args: &[&str]| {
        let output = xtask(args).env("PROOFMARK_DIR", &state).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for report in [
        &["report", "timing"][..],
        &["report", "timing", "--format", "markdown"],
        &["report", "timing", "--format", "html"],
        &["report", "quality", "--stored", "--format", "markdown"],
        &["report", "quality", "--stored", "--format", "html"],
        &["report", "compat"],
        &["report", "compat", "--format", "html"],
        &["history", "--format", "html"],
        &["history"],
    ] {
        let text = run(report);
        assert!(text.contains("FIXTURE:"), "{report:?}: {}", &text[..text.len().min(2000)]);
        // A mark without the tag, as every real result would have it.
        for bare in ["| real |", "<td>real</td>", " ms real", ">full (real)", "· real ·", "┆ real"]
        {
            assert!(!text.contains(bare), "{report:?} has `{bare}`");
        }
    }
    let rows: Value =
        serde_json::from_str(&run(&["report", "timing", "--format", "json"])).unwrap();
    assert!(rows["rows"].as_array().unwrap().iter().all(|row| row["fixture"] == true));
    let sql = "select distinct suite from results";
    assert!(run(&["query", sql, "--format", "csv"]).contains(FIXTURE));
    let quality: Value =
        serde_json::from_str(&run(&["report", "quality", "--stored", "--format", "json"])).unwrap();
    let kinds: std::collections::BTreeSet<_> = quality["contradictions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["what"].as_str().unwrap())
        .collect();
    assert!(kinds.contains("absent-and-ran"), "{kinds:?}");
    // The same count makes the same files.
    let again = folder.path().join("again");
    fixture_store::write(&again, 2000).unwrap();
    let file = |state: &std::path::Path| fs::read(state.join("records/fixture.jsonl")).unwrap();
    assert!(file(&state) == file(&again));
}
