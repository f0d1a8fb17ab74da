//! Runs that end early or share: kills, timeouts, budgets, readers, fetches that fail, readers that go away.

use crate::support::{Adopter, target_dir, xtask_program};
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const DOUBLE: &str = "double-exact/abacus/f64/b1";
const TRIPLE: &str = "triple-exact/abacus/f64/b1";

/// `cargo xtask …` as a process of its own.
fn start(adopter: &Adopter, args: &[&str]) -> std::process::Child {
    Command::new(xtask_program())
        .args(["--profile", "dev"])
        .args(args)
        .current_dir(adopter.path(""))
        .env("CARGO_TARGET_DIR", target_dir())
        .env("CARGO", env!("CARGO"))
        .env_remove("PROOFMARK_DB")
        .env_remove("PROOFMARK_DIR")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until `done`, a minute at most.
#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        sleep(Duration::from_millis(20));
    }
}

fn recorded(adopter: &Adopter, case: &str) -> bool {
    let Ok(entries) = fs::read_dir(adopter.path(".proofmark/records")) else { return false };
    let texts = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    texts
        .into_iter()
        .any(|text| text.lines().any(|line| line.contains("\"result\"") && line.contains(case)))
}

fn processes_with(argument: &str) -> usize {
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = fs::read_to_string(entry.ok()?.path().join("cmdline")).ok()?;
        command.split('\0').any(|word| word == argument).then_some(())
    });
    commands.count()
}

#[test]
fn a_run_killed_in_the_middle_goes_on_with_what_it_lacks() {
    let adopter = Adopter::new();
    let mut run = start(&adopter, &["incremental", "--samples", "10"]);
    wait_until("the first case is recorded", || recorded(&adopter, TRIPLE));
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!recorded(&adopter, DOUBLE), "the run ended before it was killed");
    let plan = adopter.json(&["incremental", "--samples", "10"], 0);
    for entry in plan["planned"].as_array().unwrap() {
        let expected = if entry["case_id"] == DOUBLE { "missing" } else { "noisy" };
        assert_eq!(entry["reason"]["kind"], expected, "{plan}");
    }
    let query = "select case_id from latest_results order by case_id";
    let rows = adopter.json(&["query", query], 0);
    assert_eq!(rows, serde_json::json!([{ "case_id": DOUBLE }, { "case_id": TRIPLE }]));
}

#[test]
fn a_case_that_hangs_is_killed_with_its_children() {
    let adopter = Adopter::new();
    let hang = "std::process::Command::new(\"sleep\").arg(\"61.7\").status().unwrap(); let beads";
    adopter.edit("src/lib.rs", "let beads", hang);
    let args = ["incremental", "--timeout", "2s", "--filter", "double*"];
    let plan = adopter.json(&args, 1);
    let failed = &plan["failed"][0];
    assert_eq!((&failed["outcome"], &failed["mark"]), (&"timed-out".into(), &"real".into()));
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("was killed at its timeout of 2s"), "{message}");
    assert_eq!(processes_with("61.7"), 0, "the child of the case outlived it");
    // It is planned again until it passes.
    let again = adopter.json(&["incremental", "--dry-run", "--filter", "double*"], 0);
    let reason = serde_json::json!({ "kind": "failed", "outcome": "timed-out" });
    assert_eq!(again["planned"][0]["reason"], reason);
}

#[test]
fn a_case_that_crashes_costs_itself_only() {
    let adopter = Adopter::new();
    let crash = "if self.0 == 2.0 { std::process::abort() } let beads";
    adopter.edit("src/lib.rs", "let beads", crash);
    let plan = adopter.json(&["incremental", "--samples", "10"], 1);
    assert_eq!(plan["failed"][0]["outcome"], "crashed", "{plan}");
    assert_eq!(plan["measured"][0]["case_id"], TRIPLE, "{plan}");
}

#[test]
fn a_budget_leaves_what_does_not_fit() {
    let adopter = Adopter::new();
    let plan = adopter.json(&["incremental", "--budget", "1s"], 0);
    assert_eq!(plan["measured"], serde_json::json!([]));
    assert_eq!(plan["deferred"].as_array().unwrap().len(), 2, "{plan}");
    assert!(!recorded(&adopter, DOUBLE));
}

#[test]
fn many_readers_at_once_also_while_a_run_goes_on() {
    let adopter = Adopter::new();
    adopter.json(&["incremental", "--samples", "10", "--filter", "double*"], 0);
    let mut run = start(&adopter, &["incremental", "--force", "--samples", "10"]);
    wait_until("the run is measuring", || {
        recorded(&adopter, TRIPLE) || run.try_wait().unwrap().is_some()
    });
    let query = ["query", "select count(*) from latest_results"];
    let mut readers: Vec<_> = (0..4).map(|_| start(&adopter, &query)).collect();
    for reader in &mut readers {
        assert!(reader.wait().unwrap().success(), "a reader was refused");
    }
    assert!(run.wait().unwrap().success());
}

#[test]
fn what_cannot_be_fetched_skips_its_cases_and_says_why() {
    let adopter = Adopter::new();
    let coin = "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/coin\")";
    let absence = format!(
        "absence: (!std::path::Path::new({coin}).exists()).then(|| proofmark::Absence::Resource \
         {{ name: \"coin\".into(), reason: \"the coin is not here\".into() }}),"
    );
    adopter.edit("src/lib.rs", "absence: None,", &absence);
    adopter.edit("src/lib.rs", ".tool(", ".fetch(|_| Err(\"the bank is closed\".into())).tool(");
    let plan = adopter.json(&["incremental"], 3);
    let reason = serde_json::json!({
        "kind": "resource", "message": "failed to fetch coin: the bank is closed",
    });
    assert_eq!(plan["skipped"][1], serde_json::json!({ "case_id": TRIPLE, "reason": reason }));
    let dry = adopter.json(&["incremental", "--dry-run"], 0);
    assert_eq!(dry["skipped"][0]["reason"]["message"], "the coin is not here");
    let pay = format!("std::fs::write({coin}, \"1\").map_err(|e| e.to_string())");
    adopter.edit("src/lib.rs", "Err(\"the bank is closed\".into())", &pay);
    let plan = adopter.json(&["incremental", "--samples", "10"], 0);
    assert_eq!(plan["measured"].as_array().unwrap().len(), 2, "{plan}");
}

#[test]
fn two_cases_with_one_id_are_an_error() {
    let adopter = Adopter::new();
    adopter.edit("src/lib.rs", "(\"triple-exact\", 3.0)", "(\"double-exact\", 3.0)");
    let assert = adopter.xtask(&["incremental"]).assert().code(2);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains(&format!("makes two cases with the id {DOUBLE}")), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let adopter = Adopter::new();
    adopter.json(&["incremental", "--samples", "10", "--filter", "double*"], 0);
    for format in ["table", "json", "csv"] {
        let args = ["query", "select * from range(50000)", "--format", format];
        let mut command = Command::new(xtask_program());
        command.args(args).current_dir(adopter.path("")).env("CARGO", env!("CARGO"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{format}: {said}");
    }
}

#[test]
fn exit_codes_tell_usage_from_absence() {
    let adopter = Adopter::new();
    let check = |args: &[&str], code: i32, says: &str| {
        let assert = adopter.xtask(args).assert().code(code);
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.contains(says), "{args:?}: {said}");
    };
    check(&["incremental", "--samples", "3"], 2, "between 10 and 100000");
    check(&["incremental", "--budget", "soon"], 2, "write 60s, 10m, 2h or 30d");
    check(&["incremental", "--batch", "0"], 2, "--batch");
    check(&["incremental", "--filter", "a["], 2, "the filter `a[`");
    check(&["incremental", "--filter", "nothing*"], 2, "no case matches");
    check(&["incremental", "--endpoint", "cuda"], 3, "cuda is absent");
    adopter.edit("Cargo.toml", "[package.metadata.proofmark]", "[package.metadata.other]");
    check(&["incremental"], 3, "declares a suite");
}
