//! `certify`: real benchmarks that are bad get the right reason and good ones are not accused, certificates come and go,
//! and files are judged.

use crate::support::{Adopter, xtask};
use proofmark::environment::machine;
use proofmark::journal::written;
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Line, Measured, Metrics, Outcome, OutputCheck, Purpose,
    Record, Samples,
};
use proofmark::{Fingerprint, Mark, Part};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

/// What is said of a case.
#[track_caller]
fn told<'a>(all: &'a Value, id: &str) -> &'a Value {
    let mut cases = all.as_array().unwrap().iter();
    cases.find(|told| told["id"] == id).unwrap_or_else(|| panic!("nothing of {id} in {all}"))
}

fn reasons(told: &Value) -> Vec<&str> {
    let reasons = told["assessment"]["reasons"].as_array().unwrap_or_else(|| panic!("{told}"));
    reasons.iter().map(|reason| reason.as_str().unwrap()).collect()
}

#[track_caller]
fn status<'a>(told: &'a Value, part: &str) -> &'a str {
    let mut checks = told["assessment"]["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["part"] == part);
    check.unwrap_or_else(|| panic!("no {part} in {told}"))["status"].as_str().unwrap()
}

/// Bad specimens, and what is wrong with each.
const BAD: [(&str, &str); 8] = [
    ("optimised-away/desk/f64/n1000000", "optimised-away"),
    ("optimised-away/desk/f64/n8000000", "optimised-away"),
    ("is-short/desk/f64/n4", "too-short-for-the-clock"),
    ("sleeps/desk/f64/n1", "sleeping"),
    ("leaks/desk/f64/n20000", "leaking"),
    ("warms-up/desk/f64/n20000", "warming-up"),
    ("has-modes/desk/f64/n20000", "bimodal"),
    ("swings/desk/f64/n20000", "periodic"),
];

/// Certifies the specimens, all or those of some cases.
fn certify_specimens(specimens: &Adopter, cases: &[&str]) -> Value {
    let flags = ["--processes", "5", "--samples", "30", "--measure-for", "200ms", "--seed", "1"];
    let named = cases.iter().flat_map(|case| ["--case", case]);
    specimens.json(&["certify"].into_iter().chain(flags).chain(named).collect::<Vec<_>>(), 1)
}

/// What else runs here can hide what is wrong with a specimen, and cannot make another fault of it each time: one whose
/// fault is not seen is measured afresh, a few times.
#[test]
fn bad_benchmarks_get_the_reason_that_they_deserve() {
    let mut left = BAD.to_vec();
    let mut seen = Value::Null;
    for _ in 0..5 {
        let cases: Vec<&str> = left.iter().map(|(case, _)| *case).collect();
        seen = certify_specimens(&Adopter::of("specimens"), &cases);
        for told in seen.as_array().unwrap() {
            assert_eq!(
                (&told["assessment"]["level"], &told["certificate"]),
                (&"unverified".into(), &Value::Null)
            );
        }
        left.retain(|(case, reason)| {
            let told = told(&seen, case);
            reasons(told).first() != Some(reason)
                || told["assessment"]["score"].as_f64() > Some(30.0)
        });
        if left.is_empty() {
            return;
        }
    }
    panic!("the fault of {left:?} is not seen: {seen:#}");
}

/// What else runs here can disturb a good one, but not each time.
#[test]
fn good_benchmarks_are_not_accused() {
    let mut accused = Vec::new();
    for _ in 0..3 {
        let specimens = Adopter::of("specimens");
        // One that is bad is among them, so that the exit code is the same whatever happens to the good ones.
        let all = certify_specimens(&specimens, &["adds/*", "mixes/*", "sleeps/*"]);
        check_evidence(&specimens, told(&all, "adds/desk/f64/n20000"));
        accused = all.as_array().unwrap().iter().filter(|told| is_accused(told)).cloned().collect();
        if accused.is_empty() {
            return;
        }
    }
    panic!("good benchmarks are accused: {accused:#?}");
}

/// Whether a good specimen is said to have one of the faults that bad ones have.
fn is_accused(told: &Value) -> bool {
    let parts = ["outputs", "work", "clock", "busy", "growth"];
    // Growth alone may be what others hide; that is no accusation, and no pass either.
    let is_doubted = |part: &&str| match status(told, part) {
        "pass" | "warn" => false,
        "unknown" => *part != "growth",
        _ => true,
    };
    told["id"] != "sleeps/desk/f64/n1" && parts.iter().any(is_doubted)
}

/// It ran on one day and in one boot, and what ran under load is no result of the workspace.
fn check_evidence(specimens: &Adopter, told: &Value) {
    assert_eq!((status(told, "days"), status(told, "boots")), ("unknown", "unknown"));
    assert_ne!(told["assessment"]["level"], "certified");
    let sql = "select count(*) as n from results where case_id = 'adds/desk/f64/n20000'";
    assert_eq!(specimens.json(&["query", sql], 0)[0]["n"], 5);
    assert!(fs::read_dir(specimens.path(".proofmark/certify/records")).unwrap().count() >= 2);
}

const CASE: &str = "double-exact/abacus/f64/b1";

/// Now, or the last midnight where fewer than six hours have passed since: five hours before it are on one day.
fn lately() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    let of_today = jiff::SignedDuration::from_secs(now.as_second().rem_euclid(86_400));
    if of_today < jiff::SignedDuration::from_hours(6) { now - of_today } else { now }
}

/// A process of the adopting workspace's case, so many hours before [`lately`]: 40 samples around 20 µs.
fn record(case: &str, hours_ago: i64, operations: u64) -> Record {
    let mut random = fastrand::Rng::with_seed(hours_ago.unsigned_abs());
    let latency_ns: Vec<f64> =
        (0..40).map(|_| operations as f64 * (20.0 + 0.1 * random.f64())).collect();
    let wall_ns = (100.0 * latency_ns.iter().sum::<f64>()) as u64;
    let measured = Measured { wall_ns, cpu_ns: wall_ns, clock_step_ns: 25, load: Some(0.1) };
    let factor = if case.starts_with("double") { "2" } else { "3" };
    let beads = if case.starts_with("double") { "20000" } else { "30000" };
    Record {
        format: FORMAT,
        id: format!("{case}-{hours_ago}-{operations}"),
        run: "run".into(),
        recorded_at: lately() - jiff::SignedDuration::from_hours(hours_ago),
        suite: "adopter".into(),
        case: case.parse().unwrap(),
        purpose: Purpose::Measure,
        outcome: Outcome::Passed,
        mark: Some(Mark::Real),
        device: Some(DeviceFacts::new(Mark::Real, "wood", "fingers 10")),
        message: None,
        samples: Samples::new(latency_ns, vec![100; 40]),
        metrics: Metrics {
            operations_per_run: Some(operations),
            measured: Some(measured),
            ..Metrics::default()
        },
        op_times: Vec::new(),
        fallbacks: Vec::new(),
        outputs: vec![OutputCheck::compare("y", &[1], &[1.0], &[1.0], 1e-12)],
        environment: Environment {
            boot: format!("boot {}", hours_ago / 48),
            commit: String::new(),
            ..machine()
        },
        fingerprint: Fingerprint::new([Part::text("beads", beads), Part::text("factor", factor)]),
    }
}

fn write(adopter: &Adopter, folder: &str, name: &str, records: &[Record]) {
    let lines = records.iter().map(|record| written(&Line::Result(record.clone())));
    let text: String = lines.map(Result::unwrap).collect();
    fs::create_dir_all(adopter.path(folder)).unwrap();
    fs::write(adopter.path(folder).join(format!("{name}.jsonl")), text).unwrap();
}

/// The adopting workspace with all that a certificate takes for its case: ten processes of two boots and three days or
/// more, one under load, and another shape.
fn with_records() -> Adopter {
    let adopter = Adopter::new();
    let mut records: Vec<_> =
        (1..=5).chain(97..=101).map(|hour| record(CASE, hour, 1000)).collect();
    records.push(record("double-exact/abacus/f64/b4", 2, 4000));
    write(&adopter, ".proofmark/records", "made", &records);
    let loaded = [record(CASE, 3, 1000), record(CASE, 4, 1000)];
    write(&adopter, ".proofmark/certify/records", "made", &loaded);
    adopter
}

/// `certify` of the case without measuring anything.
#[track_caller]
fn certify(adopter: &Adopter, flags: &[&str], code: i32) -> Value {
    let what = ["certify", "--case", "double*", "--processes", "0"];
    told(&adopter.json(&[&what, flags].concat(), code), CASE).clone()
}

const FILE: &str = ".proofmark/certificates/double-exact/abacus/f64/b1.json";

fn edit_certificate(adopter: &Adopter, field: &str, value: Value) {
    let text = fs::read_to_string(adopter.path(FILE)).unwrap();
    let mut certificate: Value = serde_json::from_str(&text).unwrap();
    certificate[field] = value;
    fs::write(adopter.path(FILE), certificate.to_string()).unwrap();
}

#[test]
fn a_certificate_is_issued_holds_expires_and_is_renewed() {
    let adopter = with_records();
    // As a kill leaves it when files are put together: a record that is there twice is one.
    write(&adopter, ".proofmark/records", "again", &[record(CASE, 1, 1000)]);
    let dry = certify(&adopter, &["--dry-run"], 0);
    assert_eq!(
        (&dry["assessment"]["level"], &dry["certificate"]),
        (&"certified".into(), &Value::Null)
    );
    assert!(!adopter.path(FILE).exists());
    let issued = certify(&adopter, &["--require", "certified"], 0);
    assert_eq!(
        (&issued["assessment"]["level"], &issued["standing"]),
        (&"certified".into(), &"holds".into())
    );
    assert_eq!(issued["certificate"]["evidence"].as_array().unwrap().len(), 12, "{issued:#}");
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(adopter.path(FILE)).unwrap()).unwrap();
    assert_eq!(kept, issued["certificate"]);
    // While it holds, it is shown, and nothing is judged.
    let shown = certify(&adopter, &[], 0);
    assert_eq!((&shown["assessment"], &shown["standing"]), (&Value::Null, &"holds".into()));
    assert_eq!(shown["certificate"]["evidence"], kept["evidence"]);
    edit_certificate(&adopter, "expires_at", "2026-01-01T00:00:00Z".into());
    let expired = certify(&adopter, &["--dry-run"], 0);
    assert_eq!(expired["standing"], "expired");
    let renewed = certify(&adopter, &[], 0);
    assert_eq!(renewed["standing"], "holds");
    assert_ne!(renewed["certificate"]["expires_at"], "2026-01-01T00:00:00Z");
}

#[test]
fn a_certificate_is_revoked_by_a_change_and_by_a_failed_run() {
    let adopter = with_records();
    certify(&adopter, &[], 0);
    adopter.edit("src/lib.rs", "{ 20_000 }", "{ 20_001 }");
    let changed = certify(&adopter, &["--dry-run"], 3);
    assert_eq!(changed["standing"]["revoked"], "the fingerprint changed: beads", "{changed:#}");
    adopter.edit("src/lib.rs", "{ 20_001 }", "{ 20_000 }");
    assert_eq!(certify(&adopter, &["--dry-run"], 0)["standing"], "holds");
    let message = Some("outputs differ".into());
    let failed =
        Record { outcome: Outcome::Failed, message, id: "f".into(), ..record(CASE, -7, 1000) };
    write(&adopter, ".proofmark/records", "later", &[failed]);
    let revoked = certify(&adopter, &[], 1);
    assert_eq!(revoked["standing"]["revoked"], "a later run failed: outputs differ", "{revoked:#}");
    assert_eq!(reasons(&revoked), ["outputs-wrong"]);
    // It stays revoked, also when the run that spoke against it is gone.
    fs::remove_file(adopter.path(".proofmark/records/later.jsonl")).unwrap();
    let still = certify(&adopter, &["--dry-run"], 0);
    assert_eq!(still["standing"]["revoked"], "a later run failed: outputs differ");
    assert!(still["certificate"]["revoked"]["at"].is_string(), "{still:#}");
    // Judged again it gets a new one, which goes when its evidence does.
    assert_eq!(certify(&adopter, &[], 0)["standing"], "holds");
    write(&adopter, ".proofmark/records", "made", &[record(CASE, 1, 1000)]);
    let gone = certify(&adopter, &["--dry-run"], 0);
    assert!(gone["standing"]["revoked"].as_str().unwrap().ends_with("is gone"), "{gone:#}");
}

fn file(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("benchmarks.json");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_file_is_judged_without_a_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let processes = |course: &dyn Fn(usize) -> f64| -> Value {
        let mut random = fastrand::Rng::with_seed(1);
        let mut sample = |i| (1e-3 + 1e-5 * random.f64()) * course(i);
        (0..6).map(|_| (0..40).map(&mut sample).collect::<Vec<_>>()).collect()
    };
    let steady = json!({"id": "steady", "processes_s": processes(&|_| 1.0)});
    let leak = json!({"id": "leak", "processes_s": processes(&|i| 1.0 + 0.05 * i as f64)});
    let run = |benchmarks: Value, flags: &[&str]| {
        let path = file(&folder, &json!({ "benchmarks": benchmarks }).to_string());
        let args = [&["certify", "--input", &path], flags].concat();
        let output = xtask(&args).current_dir(folder.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, text, _) = run(json!([steady, leak]), &["--format", "json"]);
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, reasons(told(&all, "leak"))), (Some(1), vec!["leaking"]));
    assert!(reasons(told(&all, "steady")).is_empty(), "{all:#}");
    assert_eq!(status(told(&all, "steady"), "outputs"), "unknown");
    let (code, text, _) = run(json!([steady, leak]), &["--format", "markdown"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("| leak | claimed | unverified | ") && text.contains("| growth | **FAIL** |"),
        "{text}"
    );
    let (code, text, _) = run(json!([steady]), &[]);
    assert_eq!(code, Some(0));
    assert!(text.contains("steady: for reproducible, outputs must be known"), "{text}");
    assert_eq!(run(json!([steady]), &["--require", "reproducible"]).0, Some(1));
    let bad = json!({"id": "bad", "processes_s": [[1.0, -1.0], [1.0, 1.0]]});
    let (code, text, said) = run(json!([steady, bad]), &["--format", "json"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("benchmark bad cannot be judged: sample 2 of process 1"), "{said}");
    let all: Value = serde_json::from_str(&text).unwrap();
    assert!(told(&all, "bad")["fault"].as_str().unwrap().contains("is -1.0"), "{all}");
    let (code, _, said) = run(json!([]), &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("there is nothing to judge"), "{said}");
}
