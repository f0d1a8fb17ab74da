//! The test runner as cargo and nextest see it: ids, skips, filters, exit codes.

use crate::support::{adopter_tests, target_dir};
use assert_cmd::Command;
use std::path::Path;

fn run(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(adopter_tests());
    command.args(args).env("PROOFMARK_DIR", state);
    command
}

fn stdout(state: &Path, args: &[&str], code: i32) -> String {
    let assert = run(state, args).assert().code(code);
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

#[test]
fn listing_shows_ids_and_leaves_nothing_behind() {
    let state = tempfile::tempdir().unwrap();
    let listed = stdout(state.path(), &["--list", "--format", "terse"], 0);
    assert_eq!(listed, "double-exact/abacus/f64/b1: test\ntriple-exact/abacus/f64/b1: test\n");
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

#[test]
fn filters_are_globs_over_ids() {
    let state = tempfile::tempdir().unwrap();
    let passed = stdout(state.path(), &["--filter", "dou*b1"], 0);
    assert!(passed.contains("1 passed"), "{passed}");
    let mut command = run(state.path(), &[]);
    let assert = command.env("PROOFMARK_FILTER", "nothing*").assert().success();
    assert!(String::from_utf8_lossy(&assert.get_output().stdout).contains("running 0 tests"));
}

#[test]
fn a_forced_endpoint_that_is_absent_is_an_error() {
    let state = tempfile::tempdir().unwrap();
    let assert = run(state.path(), &["--endpoint", "cuda"]).assert().code(3);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("cuda is absent: this suite has no device for cuda"), "{said}");
}

#[test]
fn nextest_sees_the_same_cases() {
    let nextest = std::process::Command::new(env!("CARGO")).args(["nextest", "--version"]).output();
    if !nextest.is_ok_and(|output| output.status.success()) {
        eprintln!("not checked: cargo-nextest is not installed");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO"))
        .args(["nextest", "run", "--test", "conformance"])
        .current_dir(crate::support::root().join("tests/fixtures/adopter"))
        .env("CARGO_TARGET_DIR", target_dir())
        .env("PROOFMARK_DIR", state.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("2 passed"), "{said}");
    assert!(said.contains("conformance double-exact/abacus/f64/b1"), "{said}");
}
