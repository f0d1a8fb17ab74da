//! `migrate`: its reports, its exit codes, its archive; what is edited, twice, broken or hostile.

use crate::support::Adopter;
use serde_json::Value;
use std::fs;
use std::path::Path;

const SIMULATED: &str =
    r#"{"model_name": "m", "platform": "webgpu", "is_simulation": true, "latency_ms": 2}"#;
const CLAIMED: &str = r#"[{"hardware": "cpu", "latency_ms": 3, "frobnication_ms": 4}]"#;
const NOTHING: &str = r#"{"batch_sizes": [1, 4]}"#;

fn desk(files: &[(&str, &str)]) -> Adopter {
    let adopter = Adopter::new();
    for (name, text) in files {
        write(&adopter, name, text.as_bytes());
    }
    adopter
}

fn write(adopter: &Adopter, name: &str, bytes: &[u8]) {
    let path = adopter.path("legacy").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Standard output and standard error of a migration that ends with this code.
#[track_caller]
fn migrate(adopter: &Adopter, args: &[&str], code: i32) -> (String, String) {
    let output = adopter.xtask(&["migrate"]).args(args).output().unwrap();
    let [out, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{said}");
    (out, said)
}

/// What a query gives, as text.
#[track_caller]
fn ask(adopter: &Adopter, sql: &str) -> Vec<Value> {
    adopter.json(&["query", sql], 0).as_array().unwrap().clone()
}

const ROWS: &str = "select source_file, json_path, model, endpoint, metric, value, unit, mark, reason from latest_migrated order by 1, 2";

#[test]
fn numbers_have_paths_marks_and_reasons() {
    let adopter = desk(&[
        ("a/s.json", SIMULATED),
        ("c.json", CLAIMED),
        ("n.json", NOTHING),
        ("read.txt", "no JSON"),
    ]);
    let report = adopter.json(&["migrate", "legacy", "--report", "r.json"], 0);
    let outcomes: Vec<_> = report["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["file"].as_str().unwrap(), f["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("legacy/a/s.json", "migrated"),
            ("legacy/c.json", "partly"),
            ("legacy/n.json", "no results")
        ]
    );
    let written: Value =
        serde_json::from_slice(&fs::read(adopter.path("r.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    let rows = ask(&adopter, ROWS);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["json_path"], "$.latency_ms");
    assert_eq!(
        (&rows[0]["mark"], &rows[0]["value"], &rows[0]["unit"]),
        (&"simulated".into(), &2e6.into(), &"ns".into())
    );
    assert!(rows[0]["reason"].as_str().unwrap().contains("$.is_simulation is true"));
    assert_eq!(
        (&rows[1]["json_path"], &rows[1]["metric"], &rows[1]["mark"]),
        (&"$[0].frobnication_ms".into(), &Value::Null, &"claimed".into())
    );
    assert_eq!(rows[2]["endpoint"], "cpu");
    for (file, sign) in [("r.md", "# Migrated results"), ("r.html", "<!doctype html>")] {
        migrate(&adopter, &["legacy", "--report", file], 0);
        let text = fs::read_to_string(adopter.path(file)).unwrap();
        assert!(text.contains(sign) && text.contains("frobnication"), "{text}");
    }
    migrate(&adopter, &["legacy", "--report", "r.txt"], 2);
    migrate(&adopter, &[], 2);
    let marks = ask(&adopter, "select count(*) as n from results");
    assert_eq!(marks[0]["n"], 0, "what is migrated is no result of a run");
}

#[test]
fn twice_adds_nothing_an_edit_adds_its_rows_and_history_stays() {
    let adopter = desk(&[("s.json", SIMULATED), ("t.json", SIMULATED), ("c.json", CLAIMED)]);
    let first = adopter.json(&["migrate", "legacy"], 0);
    assert_eq!(
        (&first["counts"]["duplicates"], &first["files"][2]["duplicate_of"]),
        (&1.into(), &"legacy/s.json".into())
    );
    let rows = ask(&adopter, ROWS);
    let lines = || fs::read_to_string(adopter.path(".proofmark/migrated/migrated.jsonl")).unwrap();
    let before = lines();
    let again = adopter.json(&["migrate", "legacy"], 0);
    assert_eq!((ask(&adopter, ROWS), lines()), (rows.clone(), before.clone()));
    assert!(again["files"].as_array().unwrap().iter().all(|file| file["known"] == true), "{again}");
    assert_eq!(again["counts"]["numbers"], first["counts"]["numbers"]);
    write(&adopter, "c.json", br#"{"hardware": "cuda", "latency_ms": 9}"#);
    migrate(&adopter, &["legacy"], 0);
    let edited = ask(&adopter, ROWS);
    assert_eq!((edited.len(), &edited[0]["endpoint"]), (2, &"cuda".into()));
    let all =
        || ask(&adopter, "select * from migrated_results order by source_file, json_path, sha256");
    assert_eq!(all().len(), 4);
    assert!(lines().starts_with(&before));
    // The database follows from the files.
    let kept = (all(), edited);
    fs::remove_file(adopter.path(".proofmark/results.duckdb")).unwrap();
    let told = adopter.xtask(&["rebuild"]).assert().success();
    let told = String::from_utf8(told.get_output().stdout.clone()).unwrap();
    assert!(told.contains("4 migrated numbers"), "{told}");
    assert_eq!((all(), ask(&adopter, ROWS)), kept);
    // Back to what it was: no new rows, and the old ones are the latest.
    write(&adopter, "c.json", CLAIMED.as_bytes());
    migrate(&adopter, &["legacy"], 0);
    assert_eq!((all(), ask(&adopter, ROWS)), (kept.0, rows));
}

#[test]
fn a_dry_run_writes_nothing() {
    let adopter = desk(&[("s.json", SIMULATED)]);
    let (out, said) = migrate(&adopter, &["legacy", "--dry-run", "--archive", "aside"], 0);
    assert!(out.contains("1 migrated") && said.contains("dry run"), "{out}{said}");
    for name in [".proofmark", "aside"] {
        assert!(!adopter.path(name).exists(), "{name} was made");
    }
    assert!(adopter.path("legacy/s.json").exists());
}

#[test]
fn what_is_broken_costs_itself_and_one_line() {
    let adopter = desk(&[("good.json", CLAIMED)]);
    let bad: [(&str, &[u8], &str); 8] = [
        ("cut.json", b"{\"latency_ms\": 1", "truncated"),
        ("empty.json", b"", "empty"),
        ("latin.json", b"{\"a\": \"\xe9\"}", "encoding"),
        ("deep.json", &[b'['; 100_000], "too-deep"),
        ("python.json", b"{'a': 1}", "not-json"),
        ("two.json", b"{} {}", "not-json"),
        ("zero.json", b"{\"a\": \0}", "not-json"),
        ("wide.json", b"\xff\xfe{", "encoding"),
    ];
    for (name, bytes, _) in bad {
        write(&adopter, name, bytes);
    }
    std::os::unix::fs::symlink("/etc/hostname", adopter.path("legacy/out.json")).unwrap();
    let (_, said) = migrate(&adopter, &["legacy", "nowhere.json", "../../../nowhere.json"], 2);
    let told: Vec<_> = said.lines().collect();
    assert_eq!(told.len(), bad.len() + 3, "{said}");
    for (name, _, code) in bad {
        assert!(
            told.iter().any(|line| line.contains(name) && line.contains(code)),
            "{name}: {said}"
        );
    }
    assert!(said.contains("out.json: link") && said.contains("nowhere.json: unreadable"), "{said}");
    assert_eq!(ask(&adopter, ROWS).len(), 2, "the good file was not taken in");
}

#[test]
fn what_is_hostile_is_text() {
    let name = "'); DROP TABLE results; --.json";
    let json = r#"{"model_name": "x'; DROP TABLE migrated_results; --", "source_file": "../../etc/passwd", "a'b": {"latency_ms": 1}, "latency_ms": 123456789012345678901234567890, "memory_mb": NaN}"#;
    let adopter =
        desk(&[(name, json), ("giant.json", &format!("{{\"latency_ms\": {}}}", "9".repeat(5000)))]);
    migrate(&adopter, &["legacy"], 0);
    let rows = ask(&adopter, ROWS);
    assert_eq!(rows.len(), 4);
    let of_name: Vec<_> =
        rows.iter().filter(|row| row["source_file"].as_str().unwrap().contains("DROP")).collect();
    let paths: Vec<_> = of_name.iter().map(|row| row["json_path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["$.latency_ms", "$.memory_mb", "$['a\\'b'].latency_ms"]);
    assert_eq!(of_name[0]["model"], "x'; DROP TABLE migrated_results; --");
    assert_eq!(ask(&adopter, "select count(*) as n from results")[0]["n"], 0);
    let giant = rows.iter().find(|row| row["source_file"] == "legacy/giant.json").unwrap();
    assert_eq!(giant["value"], Value::Null);
}

#[test]
fn files_go_aside_and_come_back() {
    let adopter = desk(&[
        ("a/s.json", SIMULATED),
        ("t.json", SIMULATED),
        ("n.json", NOTHING),
        ("bad.json", "{"),
    ]);
    let (_, said) = migrate(&adopter, &["legacy", "--archive", "legacy/aside"], 2);
    assert!(said.contains("2 files moved aside"), "{said}");
    let there = |name: &str| adopter.path("legacy").join(name).exists();
    assert!(!there("a/s.json") && !there("t.json") && there("n.json") && there("bad.json"));
    let text = fs::read_to_string(adopter.path("legacy/aside/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["files"].as_array().unwrap().len(), 2);
    // What is in the archive is not read again.
    let report = adopter.json(&["migrate", "legacy", "--archive", "legacy/aside"], 2);
    assert_eq!(report["counts"]["files"], 2);
    let manifest_file = adopter.path("legacy/aside/manifest.json");
    fs::write(&manifest_file, text.replace("\"a/s.json\"", "\"../s.json\"")).unwrap();
    let (out, said) = migrate(&adopter, &["--restore", "legacy/aside"], 1);
    assert!(out.contains("t.json is back") && said.contains("would leave"), "{out}{said}");
    assert!(there("t.json") && !adopter.path("s.json").exists());
    let left = fs::read_to_string(&manifest_file).unwrap();
    fs::write(&manifest_file, left.replace("\"../s.json\"", "\"a/s.json\"")).unwrap();
    migrate(&adopter, &["--restore", "legacy/aside"], 0);
    assert_eq!(fs::read_to_string(adopter.path("legacy/a/s.json")).unwrap(), SIMULATED);
    migrate(&adopter, &["--restore", "nowhere"], 2);
}

#[test]
fn only_what_the_database_has_is_moved() {
    let adopter = desk(&[("s.json", SIMULATED), ("c.json", CLAIMED)]);
    migrate(&adopter, &["legacy"], 0);
    // Lines that say something else than the file: the database is made of them, and so it differs.
    let lines = adopter.path(".proofmark/migrated/migrated.jsonl");
    let text = fs::read_to_string(&lines).unwrap();
    fs::write(&lines, text.replace("2000000.0", "1000000.0")).unwrap();
    fs::remove_file(adopter.path(".proofmark/results.duckdb")).unwrap();
    let (_, said) = migrate(&adopter, &["legacy", "--archive", "aside"], 1);
    assert!(said.contains("s.json was not moved: the database has other numbers"), "{said}");
    let is_there = |path: &Path| path.exists();
    assert!(is_there(&adopter.path("legacy/s.json")) && !is_there(&adopter.path("legacy/c.json")));
}
