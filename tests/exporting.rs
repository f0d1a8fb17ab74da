//! Exports as people do them: five formats with the same rows and marks, and what is refused.

use crate::support::{Adopter, measured, root, store};
use serde_json::Value;
use std::fs;

/// A workspace with two results and one import.
fn adopter() -> Adopter {
    let adopter = Adopter::new();
    let records = [
        measured("a/abacus/f32/b1", "2026-01-01T00:00:00Z", 2e6),
        measured("b/abacus/f32/b1", "2026-01-02T00:00:00Z", 3e6),
    ];
    store(&adopter, &records);
    let file = root().join("tests/fixtures/imports/hyperfine/1.20.0/hyperfine.json");
    adopter.xtask(&["import", file.to_str().unwrap()]).assert().success();
    adopter
}

#[track_caller]
fn export(adopter: &Adopter, format: &str, out: &str, more: &[&str]) -> Vec<u8> {
    let args = [&["export", "--format", format, "--out", out], more].concat();
    adopter.xtask(&args).assert().success();
    fs::read(adopter.path(out)).unwrap()
}

#[track_caller]
fn refused(adopter: &Adopter, more: &[&str]) -> String {
    let args = [&["export", "--format", "csv", "--out", "refused.csv"], more].concat();
    let output = adopter.xtask(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{more:?}");
    assert!(!adopter.path("refused.csv").exists(), "{more:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn all_formats_have_the_same_rows_with_their_marks() {
    let adopter = adopter();
    let json: Value = serde_json::from_slice(&export(&adopter, "json", "r.json", &[])).unwrap();
    let mut expected: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("case_id"), text("mark"), row["latency_ns_median"].as_f64().unwrap())
        })
        .collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(expected[0], ("a/abacus/f32/b1".to_owned(), "real".to_owned(), 2e6));
    assert_eq!(expected.len(), 2);
    // What is in these two is read back where they are written, in `store/export.rs`.
    let parquet = export(&adopter, "parquet", "it's r.parquet", &[]);
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let arrow = export(&adopter, "arrow", "r.arrow", &[]);
    assert!(arrow.starts_with(b"ARROW1") && arrow.ends_with(b"ARROW1"));
    let csv = export(&adopter, "csv", "r.csv", &[]);
    let mut reader = csv::Reader::from_reader(&csv[..]);
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let [case, mark, latency] = ["case_id", "mark", "latency_ns_median"].map(at);
    let mut rows: Vec<_> = reader
        .records()
        .map(|row| row.unwrap())
        .map(|row| {
            (row[case].to_owned(), row[mark].to_owned(), row[latency].parse::<f64>().unwrap())
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(rows, expected);
    let text = String::from_utf8(export(&adopter, "openmetrics", "r.prom", &[])).unwrap();
    let samples: Vec<_> =
        text.lines().filter(|line| line.starts_with("proofmark_latency_median_seconds{")).collect();
    assert_eq!(samples.len(), 2);
    assert!(samples.iter().all(|line| line.contains("mark=\"real\"")), "{text}");
    assert!(text.lines().all(|line| line.starts_with('#') || line.contains("mark=\"")), "{text}");
    assert!(text.ends_with("# EOF\n"));
    let left: Vec<_> =
        fs::read_dir(adopter.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn imports_leave_as_what_they_are() {
    let adopter = adopter();
    let text = String::from_utf8(export(
        &adopter,
        "openmetrics",
        "i.prom",
        &["--table", "imported_results"],
    ))
    .unwrap();
    let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(
        samples.len() > 10 && samples.iter().all(|line| line.contains("mark=\"claimed\"")),
        "{text}"
    );
    assert!(text.contains("# UNIT proofmark_imported_peak_memory_bytes bytes\n"), "{text}");
    let sql =
        "select benchmark, value, mark, '=cmd()' as note, -value as negative from imported_results";
    let csv = String::from_utf8(export(&adopter, "csv", "i.csv", &["--sql", sql])).unwrap();
    let row = csv.lines().nth(1).unwrap();
    assert!(row.contains(",claimed,'=cmd(),-"), "{row}");
}

#[test]
fn numbers_without_marks_and_other_files_are_refused() {
    let adopter = adopter();
    for (sql, says) in [
        (
            "select latency_ns_median from latest_results",
            "has numbers (latency_ns_median) and no column `mark`",
        ),
        ("select samples from results", "has numbers (samples) and no column `mark`"),
        (
            "select 'measured' as mark, 1 as n",
            "has 1 rows with numbers whose mark is none (such as measured)",
        ),
        (
            "select null::varchar as mark, 1 as n",
            "has 1 rows with numbers whose mark is none (such as null)",
        ),
        ("select 1 as mark", "has numbers (mark) and no column `mark`"),
        ("select mark, 1 as n from read_csv('/etc/passwd')", "failed to answer"),
        ("select 1) to '/srv/x' (format csv); --", "failed to answer"),
        ("nonsense", "failed to answer"),
    ] {
        let said = refused(&adopter, &["--sql", sql]);
        assert!(said.contains(says), "{sql}: {said}");
    }
    let said = refused(&adopter, &["--table", "op_times"]);
    assert!(
        said.contains("the rows of op_times have no mark") && said.contains("imported_results"),
        "{said}"
    );
    assert!(
        refused(&adopter, &["--table", "x\"; drop table results; --"]).contains("no such table")
    );
    // A query without numbers needs no mark, and one with a comment at its end is one.
    export(&adopter, "csv", "names.csv", &["--sql", "select case_id from results -- all of them"]);
    // A null mark of a row that was not opened is no number's.
    export(&adopter, "csv", "results.csv", &["--table", "results"]);
}

#[test]
fn what_was_there_stays_if_the_export_fails() {
    let adopter = adopter();
    fs::write(adopter.path("refused.csv.old"), "old").unwrap();
    fs::rename(adopter.path("refused.csv.old"), adopter.path("kept.csv")).unwrap();
    let args = ["export", "--format", "csv", "--out", "kept.csv", "--sql", "select 1 as n"];
    assert_eq!(adopter.xtask(&args).output().unwrap().status.code(), Some(2));
    assert_eq!(fs::read_to_string(adopter.path("kept.csv")).unwrap(), "old");
    let nowhere = ["export", "--format", "parquet", "--out", "no/such/folder.parquet"];
    assert_eq!(adopter.xtask(&nowhere).output().unwrap().status.code(), Some(2));
    let fresh = Adopter::of("specimens");
    let none = fresh.xtask(&["export", "--format", "csv", "--out", "x.csv"]).output().unwrap();
    assert_eq!(none.status.code(), Some(3), "there is no database yet");
}
