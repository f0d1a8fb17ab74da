//! What goes wrong outside: kills, damaged files, foreign databases, two runs at once. Nothing stored is lost.

use crate::support::Adopter;
use std::fs;
use std::io::Write;

#[track_caller]
fn stderr(adopter: &Adopter, args: &[&str], code: i32) -> String {
    let assert = adopter.xtask(args).assert().code(code);
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn a_damaged_line_costs_itself_only() {
    let adopter = Adopter::new();
    adopter.json(&["incremental", "--samples", "10"], 0);
    let file = adopter.records().pop().unwrap();
    let mut appended = fs::OpenOptions::new().append(true).open(&file).unwrap();
    // A damaged line, one of a future format, and a last one whose writer was killed.
    appended
        .write_all(b"{\"kind\":\"result\",\n{\"kind\":\"result\",\"format\":99}\n{\"kind\":\"re")
        .unwrap();
    let said = stderr(&adopter, &["rebuild"], 0);
    assert!(said.contains("is not a record") && said.contains("is of format 99"), "{said}");
    let rows = adopter.json(&["query", "select count(*) as n from latest_results"], 0);
    assert_eq!(rows[0]["n"], 2);
}

#[test]
fn a_database_of_another_program_is_refused() {
    let adopter = Adopter::new();
    adopter.json(&["incremental", "--samples", "10"], 0);
    let db = adopter.path(".proofmark/results.duckdb");
    fs::write(&db, "not a database, but somebody's file").unwrap();
    let said = stderr(&adopter, &["query", "select 1"], 2);
    assert!(said.contains("results.duckdb"), "{said}");
    let said = stderr(&adopter, &["incremental"], 2);
    assert!(said.contains("results.duckdb"), "{said}");
    assert_eq!(fs::read_to_string(&db).unwrap(), "not a database, but somebody's file");
}

#[test]
fn a_missing_database_is_absent_and_bad_sql_is_bad_input() {
    let adopter = Adopter::new();
    let said = stderr(&adopter, &["query", "select 1"], 3);
    assert!(said.contains("cargo xtask incremental"), "{said}");
    adopter.json(&["incremental", "--samples", "10"], 0);
    let said = stderr(&adopter, &["query", "select nonsense from latest_results"], 2);
    assert!(said.contains("nonsense"), "{said}");
    stderr(&adopter, &["query", "delete from results"], 2);
    stderr(&adopter, &["query", "copy (select 1) to '/tmp/stolen.csv'"], 2);
    let rows = adopter.json(&["query", "select count(*) as n from latest_results"], 0);
    assert_eq!(rows[0]["n"], 2);
}

#[test]
fn two_runs_at_once_do_not_mix() {
    let adopter = Adopter::new();
    fs::create_dir_all(adopter.path(".proofmark")).unwrap();
    let lock = fs::File::create(adopter.path(".proofmark/lock")).unwrap();
    lock.lock().unwrap();
    let said = stderr(&adopter, &["incremental"], 2);
    assert!(said.contains("another run"), "{said}");
    drop(lock);
    adopter.json(&["incremental", "--samples", "10"], 0);
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let adopter = Adopter::new();
    // What a killed run leaves: one case recorded and synced, the other not begun.
    adopter.json(&["incremental", "--samples", "10", "--filter", "double*"], 0);
    let plan = adopter.json(&["incremental", "--samples", "10"], 0);
    let planned: Vec<_> =
        plan["planned"].as_array().unwrap().iter().map(|c| &c["case_id"]).collect();
    assert_eq!(planned, ["triple-exact/abacus/f64/b1"]);
}

#[test]
fn bad_manifests_and_folders_are_named() {
    let adopter = Adopter::new();
    adopter.edit("Cargo.toml", "critical = ", "critcal = ");
    let said = stderr(&adopter, &["incremental"], 2);
    assert!(said.contains("[package.metadata.proofmark]") && said.contains("critcal"), "{said}");
    let empty = tempfile::tempdir().unwrap();
    let said = stderr(&adopter, &["--workspace", empty.path().to_str().unwrap(), "doctor"], 2);
    assert!(said.contains("failed to read the cargo workspace"), "{said}");
}
