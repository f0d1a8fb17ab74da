//! `scan`: its formats, its exit codes, its archive, and this project itself.

use crate::support::{root, xtask};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const FAKE: &str =
    "import random\n\n\ndef benchmark():\n    return {\"latency_ms\": random.uniform(8, 12)}\n";
const REPORT: &str = "# Latency on real hardware\n\nThe values are simulated.\n";

struct Desk(TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Standard output and standard error of a scan that ends with this code.
    #[track_caller]
    fn scan(&self, args: &[&str], code: i32) -> (String, String) {
        let output = xtask(&["scan"]).args(args).current_dir(self.0.path()).output().unwrap();
        let [out, said] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{said}");
        (out, said)
    }

    #[track_caller]
    fn json(&self, args: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.scan(args, code).0).unwrap()
    }
}

#[test]
fn findings_are_told_in_four_formats() {
    let desk = Desk::new(&[("bench.py", FAKE), ("docs/report.md", REPORT), ("fine.py", "x = 1\n")]);
    let found = desk.json(&[".", "--format", "json"], 1);
    assert_eq!((&found["format"], &found["files"]), (&1.into(), &3.into()));
    assert_eq!(found["suppressed"], 0);
    let findings = found["findings"].as_array().unwrap();
    let places: Vec<_> =
        findings.iter().map(|f| format!("{}:{} {}", f["path"], f["line"], f["rule"])).collect();
    assert_eq!(
        places,
        [r#""./bench.py":5 "random-result""#, r#""./docs/report.md":1 "denied-claim""#]
    );
    for key in ["evidence", "confidence", "remedy", "message", "column"] {
        assert!(!findings[0][key].is_null(), "{key}: {found}");
    }
    let sarif = desk.json(&[".", "--format", "sarif"], 1);
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!((&sarif["version"], results.len()), (&"2.1.0".into(), 2));
    assert_eq!(
        results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "bench.py"
    );
    assert_eq!(results[0]["level"], "error");
    let (markdown, _) = desk.scan(&[".", "--format", "markdown"], 1);
    assert!(markdown.contains("| ./bench.py:5 | random-result | high |"), "{markdown}");
    let (table, _) = desk.scan(&["."], 1);
    assert!(table.contains("random-result") && table.contains("2 findings in 3 files"), "{table}");
    let (plan, _) = desk.scan(&[".", "--fix-report"], 1);
    assert!(plan.contains("## ./bench.py") && plan.contains("Measure it with a clock"), "{plan}");
    assert_eq!(fs::read_to_string(desk.path("bench.py")).unwrap(), FAKE, "the scan changed code");
}

#[test]
fn exit_codes_are_those_that_are_documented() {
    let desk =
        Desk::new(&[("bench.py", FAKE), ("fine.py", "x = 1\n"), ("tests/test_bench.py", FAKE)]);
    desk.scan(&["fine.py", "tests"], 0);
    desk.scan(&["tests/test_bench.py"], 0);
    desk.scan(&["bench.py"], 1);
    desk.scan(&["nowhere"], 2);
    desk.scan(&[], 2);
    desk.scan(&["--undo", "nowhere.json"], 2);
    desk.scan(&["bench.py", "--format", "json", "--fix-report"], 2);
}

#[test]
fn confidence_has_a_threshold() {
    let constant = "def benchmark(model):\n    return {\"latency_ms\": 12.5}\n";
    let desk = Desk::new(&[("bench.py", constant)]);
    desk.scan(&["bench.py"], 1);
    desk.scan(&["bench.py", "--min-confidence", "high"], 0);
}

#[test]
fn reports_are_moved_aside_and_brought_back() {
    let desk =
        Desk::new(&[("bench.py", FAKE), ("docs/report.md", REPORT), ("docs/fine.md", "# Fine\n")]);
    let (_, said) = desk.scan(&[".", "--archive", "aside"], 1);
    assert!(said.contains("1 reports moved aside"), "{said}");
    assert!(
        desk.path("bench.py").exists()
            && desk.path("docs/fine.md").exists()
            && !desk.path("docs/report.md").exists()
    );
    let archived = fs::read_to_string(desk.path("aside/docs/report.md")).unwrap();
    assert!(archived.contains("denied-claim") && archived.ends_with(REPORT), "{archived}");
    // What is aside is not found again.
    assert_eq!(desk.json(&[".", "--format", "json"], 1)["findings"].as_array().unwrap().len(), 1);
    let (out, _) = desk.scan(&["--undo", "aside/manifest.json"], 0);
    assert!(out.contains("report.md is back"), "{out}");
    assert_eq!(fs::read_to_string(desk.path("docs/report.md")).unwrap(), REPORT);
}

#[test]
fn what_cannot_be_brought_back_is_told_and_left() {
    let desk = Desk::new(&[("docs/report.md", REPORT)]);
    desk.scan(&[".", "--archive", "aside"], 1);
    fs::write(desk.path("docs/report.md"), "# Another\n").unwrap();
    let (out, said) = desk.scan(&["--undo", "aside/manifest.json"], 1);
    assert!(out.is_empty() && said.contains("report.md was not brought back"), "{out}{said}");
    assert_eq!(fs::read_to_string(desk.path("docs/report.md")).unwrap(), "# Another\n");
    assert!(desk.path("aside/docs/report.md").exists());
    fs::remove_file(desk.path("docs/report.md")).unwrap();
    desk.scan(&["--undo", "aside/manifest.json"], 0);
    assert_eq!(fs::read_to_string(desk.path("docs/report.md")).unwrap(), REPORT);
}

#[test]
fn a_folder_that_is_scanned_becomes_no_archive() {
    let desk = Desk::new(&[("docs/report.md", REPORT), ("docs/fine.md", "# Fine\n")]);
    for folder in [".", "docs"] {
        let (_, said) = desk.scan(&[".", "--archive", folder], 2);
        assert!(said.contains("cannot be the archive"), "{said}");
    }
    assert!(desk.path("docs/report.md").exists() && !desk.path(".proofmarkignore").exists());
    assert_eq!(desk.json(&[".", "--format", "json"], 1)["files"], 2);
}

#[test]
fn suppressed_findings_are_counted() {
    let reason = "# proofmark: allow-file(random-result) the demo of the dashboard, with a banner";
    let desk = Desk::new(&[("bench.py", &format!("{reason}\n{FAKE}"))]);
    let found = desk.json(&[".", "--format", "json"], 0);
    assert_eq!((&found["suppressed"], &found["findings"]), (&1.into(), &Value::Array(Vec::new())));
}

#[test]
fn commits_tell_the_age_where_there_is_a_repository() {
    let report = "# Medians\n\nMeasured; generated from [data.csv](data.csv).\n";
    let desk = Desk::new(&[("report.md", report), ("data.csv", "1\n")]);
    let git = |args: &[&str], date: &str| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(args);
        command
            .current_dir(desk.0.path())
            .env("GIT_COMMITTER_DATE", date)
            .env("GIT_AUTHOR_DATE", date);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "--quiet"], "");
    git(&["add", "."], "");
    git(&["commit", "--quiet", "-m", "both"], "2025-03-01T00:00:00Z");
    desk.scan(&["."], 0);
    fs::write(desk.path("data.csv"), "2\n").unwrap();
    git(&["commit", "--quiet", "-am", "data"], "2025-03-05T00:00:00Z");
    let found = desk.json(&[".", "--format", "json"], 1);
    assert_eq!(found["findings"][0]["rule"], "stale-report", "{found}");
    fs::write(desk.path("report.md"), format!("{report}\nAgain.\n")).unwrap();
    git(&["commit", "--quiet", "-am", "report"], "2025-03-06T00:00:00Z");
    desk.scan(&["."], 0);
}

#[test]
fn this_project_is_clean() {
    let output = xtask(&["scan", "."]).current_dir(root()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let looked: usize =
        said.split(" files").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(looked > 200, "only {looked} files were looked at: {said}");
}

/// Reports of the kind that the rules were made for, where there are any beside this project.
#[test]
fn real_reports_that_contradict_themselves_are_found() {
    let folder = root().join("../shared/legacy-json");
    if !folder.exists() {
        return;
    }
    let output = xtask(&["scan", folder.to_str().unwrap(), "--format", "json"]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    let contradictions = findings
        .iter()
        .filter(|f| f["rule"] == "denied-claim" && f["path"].as_str().unwrap().contains("webgpu"));
    assert!(contradictions.count() >= 10, "{found}");
}
