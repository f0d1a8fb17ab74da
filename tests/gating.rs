//! `gate --base`: a change of the adopting workspace is built, run and judged, in a real repository.

use crate::support::{Adopter, target_dir};
use serde_json::Value;
use std::fs;
use std::process::Command;

const TRIPLE: &str = "triple-exact/abacus/f64/b1";
const DOUBLE: &str = "double-exact/abacus/f64/b1";

impl Adopter {
    /// git in this workspace, as nobody in particular.
    #[track_caller]
    fn git(&self, args: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]);
        let output = command.args(args).current_dir(self.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A repository whose one commit is the adopting workspace.
    fn repository() -> Self {
        let adopter = Self::new();
        adopter.git(&["init", "--quiet", "--initial-branch", "main"]);
        fs::write(adopter.path(".gitignore"), ".proofmark/\n").unwrap();
        adopter.git(&["add", "--all"]);
        adopter.git(&["commit", "--quiet", "--message", "As it was"]);
        adopter
    }

    /// A gate's result. One gate in a hundred finds the machine unfit although it is not: it is run again.
    #[track_caller]
    fn gate(&self, args: &[&str], code: i32) -> Value {
        for _ in 0..2 {
            let output =
                self.xtask(&[&["gate", "--format", "json"], args].concat()).output().unwrap();
            let gate: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if gate["outcome"] != "unfit" {
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(code), "{args:?}: {gate}\n{said}");
                return gate;
            }
            assert_eq!(output.status.code(), Some(3));
        }
        panic!("{args:?}: the machine was unfit twice");
    }

    /// What a gate that must fail says.
    #[track_caller]
    fn refused(&self, args: &[&str], code: i32) -> String {
        let output = self.xtask(&[&["gate"], args].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }
}

/// The finding about a metric of a case.
#[track_caller]
fn finding<'a>(gate: &'a Value, id: &str, metric: &str) -> &'a Value {
    let mut cases = gate["cases"].as_array().unwrap().iter();
    let found = cases.find(|case| case["id"] == id && case["metric"] == metric);
    found.unwrap_or_else(|| panic!("no {metric} of {id} in {gate}"))
}

#[test]
fn a_slower_kernel_is_found_and_what_it_does_not_touch_is_left_alone() {
    let adopter = Adopter::repository();
    adopter.edit("src/lib.rs", "{ 30_000 }", "{ 120_000 }");
    let out = adopter.path("out");
    let gate = adopter.gate(&["--base", "main", "--seed", "7", "--out", out.to_str().unwrap()], 1);
    let slow = finding(&gate, TRIPLE, "latency");
    assert_eq!(slow["verdict"], "regressed", "{gate}");
    let effect = slow["effect"].as_f64().unwrap();
    assert!((1.0..8.0).contains(&effect), "{slow}");
    assert!(slow["low"].as_f64() < Some(effect) && slow["high"].as_f64() > Some(effect));
    assert_eq!(slow["changed"], serde_json::json!(["beads"]));
    assert!(slow["processes"]["base"].as_u64() >= Some(4), "{slow}");
    assert_eq!(finding(&gate, TRIPLE, "accuracy")["verdict"], "equivalent");
    assert_eq!(finding(&gate, DOUBLE, "latency")["verdict"], "unaffected");
    assert_eq!(finding(&gate, "suite adopter", "binary-size")["verdict"], "equivalent");
    assert_eq!((&gate["head"]["dirty"], &gate["unfit"]), (&true.into(), &Value::Null));
    assert_eq!(gate["control"]["id"], TRIPLE);
    // Both sides took turns in an order of chance, and each left a record with its raw samples.
    let order = gate["order"].as_array().unwrap();
    let sides: Vec<_> =
        order.iter().filter(|ran| ran["control"] == false).map(|ran| &ran["side"]).collect();
    let rounds: Vec<_> = sides.chunks(2).collect();
    assert!(rounds.contains(&[&"base".into(), &"head".into()].as_slice()), "{rounds:?}");
    assert!(rounds.contains(&[&"head".into(), &"base".into()].as_slice()), "{rounds:?}");
    let count = "select count(*) as n from results where samples is not null";
    let of_gates = |args: &[&str]| {
        let mut command = adopter.xtask(args);
        command.env("PROOFMARK_DIR", ".proofmark/gate/state").assert().success()
    };
    of_gates(&["rebuild"]);
    let output = of_gates(&["query", count, "--format", "json"]);
    let output = output.get_output();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows[0]["n"].as_u64() >= Some(order.len() as u64), "{rows}");
    // They are no results of the workspace, whose plan and reports they would change.
    let plan = adopter.json(&["incremental", "--dry-run"], 0);
    assert_eq!(plan["planned"][0]["reason"]["kind"], "missing", "{plan}");
    for (file, holds) in [
        ("gate.json", "\"outcome\": \"failed\""),
        ("gate.md", "| regressed |"),
        ("gate.junit.xml", "<failure message=\"latency regressed"),
        ("gate.sarif", "\"ruleId\": \"latency/regressed\""),
    ] {
        let text = fs::read_to_string(out.join(file)).unwrap();
        assert!(text.contains(holds), "{file}: {text}");
    }
}

#[test]
fn instructions_are_counted_to_the_last_few() {
    let adopter = Adopter::repository();
    adopter.edit("src/lib.rs", "{ 30_000 }", "{ 31_500 }");
    let flags = ["--base", "main", "--instructions", "--filter", "triple*", "--budget", "15s"];
    let here = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !(here("valgrind") && here("taskset")) {
        let said = adopter.refused(&flags, 3);
        assert!(said.contains("counting instructions needs valgrind"), "{said}");
        return;
    }
    // 5 % are far above the minimal effect, and no noise can hide them, whatever the latency's verdict is.
    let gate = adopter.gate(&flags, 1);
    let counted = finding(&gate, TRIPLE, "instructions");
    assert_eq!(counted["verdict"], "regressed", "{gate}");
    let effect = counted["effect"].as_f64().unwrap();
    assert!((0.045..0.055).contains(&effect), "{counted}");
    let flags = [&flags[..], &["--min-effect", "10%"]].concat();
    let gate = adopter.gate(&flags, 0);
    assert_eq!(finding(&gate, TRIPLE, "instructions")["verdict"], "equivalent", "{gate}");
}

#[test]
fn equal_code_passes_and_is_run_only_when_asked() {
    let adopter = Adopter::repository();
    let gate = adopter.gate(&["--base", "HEAD"], 0);
    assert_eq!(gate["order"].as_array().unwrap().len(), 0);
    assert_eq!(finding(&gate, TRIPLE, "latency")["verdict"], "unaffected");
    // What noise alone could show of one gate in a hundred is below this effect.
    let flags =
        ["--head", "main", "--all", "--filter", "triple*", "--budget", "8s", "--min-effect", "40%"];
    let gate = adopter.gate(&[&["--base", "HEAD"][..], &flags].concat(), 0);
    let found = finding(&gate, TRIPLE, "latency");
    assert!(found["verdict"] == "equivalent" || found["verdict"] == "undecided", "{found}");
    assert!(found["p"].as_f64() > Some(0.0));
    // In so short a time nothing is decided, which is no pass, however alike the programs' sizes are.
    let flags = ["--all", "--filter", "triple*", "--budget", "1ms"];
    let gate = adopter.gate(&[&["--base", "HEAD"][..], &flags].concat(), 3);
    assert_eq!(finding(&gate, TRIPLE, "latency")["verdict"], "undecided");
    let gate = adopter.gate(&[&["--base", "HEAD", "--strict"][..], &flags].concat(), 1);
    assert!(finding(&gate, TRIPLE, "latency")["p"].is_null(), "{gate}");
    let bystander = target_dir().join("debug/deps/conformance-0123456789abcdef");
    fs::write(&bystander, "").unwrap();
    let flags = ["--filter", "double*", "--compile-time"];
    let gate = adopter.gate(&[&["--base", "HEAD"][..], &flags].concat(), 0);
    let builds = finding(&gate, "all suites", "compile-time");
    assert_eq!(builds["processes"], serde_json::json!({"base": 4, "head": 4}));
    assert!(builds["base_value"].as_f64() > Some(0.01), "{builds}");
    // Programs of other packages that have the names of its targets are left where they are.
    fs::remove_file(&bystander).unwrap();
}

#[test]
fn a_head_that_fails_differs_or_lacks_a_case_is_no_pass() {
    let adopter = Adopter::repository();
    adopter.edit("src/lib.rs", "(\"triple-exact\", 3.0)", "(\"triple-exact\", 3.5)");
    adopter.edit("src/lib.rs", "\"double-exact\", 2.0", "\"twice-exact\", 2.0");
    let gate = adopter.gate(&["--base", "main"], 1);
    let differs = finding(&gate, TRIPLE, "latency");
    assert_eq!(differs["verdict"], "broken");
    assert!(differs["reason"].as_str().unwrap().contains("its output y differs"), "{differs}");
    let lone = |id: &str| finding(&gate, id, "latency")["reason"].as_str().unwrap();
    assert_eq!(lone(DOUBLE), "the head has no such case");
    assert_eq!(lone("twice-exact/abacus/f64/b1"), "the base has no such case");
    let mut github = adopter.xtask(&["gate", "--base", "main", "--format", "github"]);
    let said = String::from_utf8(github.output().unwrap().stderr).unwrap();
    assert!(said.contains(&format!("::error title=gate%3A {TRIPLE}::latency broken")), "{said}");
    // A case that fails is broken; what does not even build is told at once.
    adopter.git(&["checkout", "--quiet", "."]);
    adopter.edit("src/lib.rs", "{ 30_000 }", "{ 30_001 }");
    adopter.edit("src/lib.rs", "&[self.0 * 21.0], 1e-12", "&[self.0 * 20.0], 1e-12");
    let gate = adopter.gate(&["--base", "main"], 1);
    let fails = finding(&gate, TRIPLE, "latency");
    assert!(fails["reason"].as_str().unwrap().contains("the head fails: failed: outputs differ"));
    adopter.edit("src/lib.rs", "fn beads", "fn beads beads");
    let said = adopter.refused(&["--base", "main"], 1);
    assert!(said.contains("the head is broken: cargo bench"), "{said}");
    adopter.git(&["commit", "--quiet", "--all", "--message", "Does not build"]);
    adopter.edit("src/lib.rs", "fn beads beads", "fn beads");
    let said = adopter.refused(&["--base", "main"], 3);
    assert!(said.contains("the base cannot be run, so nothing can be judged"), "{said}");
}

#[test]
fn revisions_that_are_not_there_are_told_before_anything_is_built() {
    let adopter = Adopter::repository();
    let said = adopter.refused(&["--base", "nowhere"], 2);
    assert!(said.contains("there is no revision `nowhere`") && said.contains("fetch it"), "{said}");
    adopter.edit("src/lib.rs", "{ 30_000 }", "{ 30_001 }");
    adopter.git(&["commit", "--quiet", "--all", "--message", "Another"]);
    let shallow = adopter.path(".proofmark/shallow");
    let (from, to) = (format!("file://{}", adopter.path("").display()), shallow.to_str().unwrap());
    adopter.git(&["clone", "--quiet", "--depth", "1", &from, to]);
    let flags = ["--workspace", to, "gate", "--base", "HEAD~1"];
    let output = adopter.xtask(&flags).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("shallow") && said.contains("--unshallow"), "{said}");
    fs::remove_dir_all(adopter.path(".git")).unwrap();
    let said = adopter.refused(&["--base", "main"], 3);
    assert!(said.contains("a gate needs a git repository"), "{said}");
}

#[test]
fn a_calibration_is_shown_beside_verdicts() {
    let adopter = Adopter::repository();
    let found =
        adopter.json(&["gate", "--calibrate", "--filter", "double*", "--min-effect", "40%"], 0);
    assert!(found["false_alarms"].as_f64().unwrap() < 0.2, "{found}");
    assert_eq!((&found["processes"], &found["splits"]), (&16.into(), &25.into()));
    let gate = adopter.gate(
        &[
            "--base",
            "HEAD",
            "--all",
            "--min-effect",
            "40%",
            "--filter",
            "double*",
            "--budget",
            "15s",
        ],
        0,
    );
    assert_eq!(gate["calibration"], found);
}

#[test]
fn the_slow_commit_is_found_past_one_that_does_not_build() {
    let adopter = Adopter::repository();
    let commit = |from: &str, to: &str, message: &str| {
        adopter.edit("src/lib.rs", from, to);
        adopter.git(&["commit", "--quiet", "--all", "--message", message]);
    };
    commit("{ 30_000 }", "{ 30_010 }", "Nothing much");
    commit("fn beads", "fn beads beads", "Does not build");
    commit("fn beads beads", "fn beads", "Builds again");
    commit("{ 30_010 }", "{ 120_000 }", "More beads");
    commit("{ 120_000 }", "{ 120_010 }", "Nothing much more");
    commit("{ 120_010 }", "{ 120_020 }", "And more");
    // What is looked for quadruples the time; whatever else runs on this machine may slow a side by half.
    let between = |good: &str, bad: &str| -> [String; 9] {
        ["bisect", "--case", TRIPLE, "--good", good, "--bad", bad, "--min-effect", "50%"]
            .map(str::to_owned)
    };
    let search = between("HEAD~6", "HEAD");
    let found = adopter.json(&search.each_ref().map(String::as_str), 0);
    assert_eq!(found["found"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["found"][0]["subject"], "More beads");
    assert!(found["probability"].as_f64() >= Some(0.99), "{found}");
    for (good, bad, code, says) in [
        ("HEAD", "HEAD~6", 2, "is no ancestor of"),
        ("HEAD", "main", 2, "are the same commit"),
        ("HEAD~6", "HEAD~5", 1, "is not slower at HEAD~5"),
        ("HEAD~6", "HEAD~4", 3, "the bad revision HEAD~4 cannot be run"),
    ] {
        let args = between(good, bad);
        let output = adopter.xtask(&args.each_ref().map(String::as_str)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
