//! Another workspace uses Proofmark: its own device and models, the same commands, the whole life of a result.

use crate::support::Adopter;
use serde_json::Value;

/// The case ids of one list of `incremental --format json`.
fn ids(plan: &Value, list: &str) -> Vec<String> {
    let cases = plan[list].as_array().unwrap_or_else(|| panic!("no list `{list}` in {plan}"));
    cases.iter().map(|case| case["case_id"].as_str().unwrap().to_owned()).collect()
}

/// Case ids with the first word of their reason.
fn reasons(plan: &Value) -> Vec<(String, String)> {
    let reason = |case: &Value| {
        let reason = &case["reason"];
        reason["kind"].as_str().unwrap_or_else(|| panic!("no reason in {case}")).to_owned()
    };
    let id = |case: &Value| case["case_id"].as_str().unwrap().to_owned();
    plan["planned"].as_array().unwrap().iter().map(|case| (id(case), reason(case))).collect()
}

const DOUBLE: &str = "double-exact/abacus/f64/b1";
const TRIPLE: &str = "triple-exact/abacus/f64/b1";

#[test]
fn a_result_is_measured_once_and_again_when_it_changed() {
    let adopter = Adopter::new();
    let first = adopter.json(&["incremental", "--samples", "10"], 0);
    // By name the double would be first; the critical glob of the manifest puts the triple there.
    assert_eq!(ids(&first, "planned"), [TRIPLE, DOUBLE]);
    assert_eq!(ids(&first, "failed"), [""; 0]);
    assert_eq!(reasons(&first)[0].1, "missing");
    let second = adopter.json(&["incremental"], 0);
    assert_eq!(ids(&second, "planned"), [""; 0], "{second}");
    // A comment that no fingerprint holds changes nothing.
    adopter.edit("src/lib.rs", "/// The model", "// A remark.\n/// The model");
    let third = adopter.json(&["incremental", "--dry-run"], 0);
    assert_eq!(ids(&third, "planned"), [""; 0]);
    // A model that computes something else is stale, and it alone.
    adopter.edit("src/lib.rs", "(\"triple-exact\", 3.0)", "(\"triple-exact\", 3.5)");
    let fourth = adopter.json(&["incremental", "--dry-run"], 0);
    assert_eq!(reasons(&fourth), [(TRIPLE.to_owned(), "changed".to_owned())]);
    assert_eq!(fourth["planned"][0]["reason"]["parts"], serde_json::json!(["factor"]));
    let fifth = adopter.json(&["incremental", "--max-age", "1s", "--dry-run"], 0);
    assert_eq!(ids(&fifth, "planned").len(), 2);
    let forced = adopter.json(&["incremental", "--force", "--dry-run", "--filter", "double*"], 0);
    assert_eq!(reasons(&forced), [(DOUBLE.to_owned(), "forced".to_owned())]);
}

#[test]
fn a_failing_case_is_a_result_and_an_exit_code() {
    let adopter = Adopter::new();
    adopter.edit("src/lib.rs", "&[self.0 * 21.0], 1e-12", "&[self.0 * 20.0], 1e-12");
    let plan = adopter.json(&["incremental", "--samples", "10"], 1);
    assert_eq!(ids(&plan, "failed"), [TRIPLE, DOUBLE]);
    assert_eq!(ids(&plan, "measured"), [""; 0]);
    let query = "select outcome, count(samples) as n from latest_results group by all";
    let rows = adopter.json(&["query", query], 0);
    assert_eq!(rows[0]["outcome"], "failed");
}

#[test]
fn the_promised_view_answers() {
    let adopter = Adopter::new();
    adopter.json(&["incremental", "--samples", "12"], 0);
    let query = "select case_id, model, endpoint, precision, mark, outcome, latency_ns_median, samples, \
                 recorded_at from latest_results order by case_id";
    let rows = adopter.json(&["query", query], 0);
    let row = &rows[0];
    assert_eq!(row["case_id"], DOUBLE);
    assert_eq!(row["mark"], "real");
    assert_eq!(row["outcome"], "passed");
    assert_eq!(row["samples"].as_array().unwrap().len(), 12);
    assert!(row["latency_ns_median"].as_f64().unwrap() > 0.0);
    let doctor = adopter.json(&["doctor"], 0);
    let endpoints: Vec<_> = doctor.as_array().unwrap().iter().collect();
    let abacus = endpoints.iter().find(|f| f["endpoint"] == "abacus").unwrap();
    assert_eq!(abacus["mark"], "real");
    let absent: Vec<_> = endpoints.iter().filter(|f| f["mark"].is_null()).collect();
    assert!(absent.len() >= 13, "{doctor}");
    assert!(absent.iter().all(|f| f["reason"].as_str().is_some_and(|reason| reason.len() > 20)));
    let probes = adopter.json(&["query", "select count(*) as n from probes"], 0);
    assert!(probes[0]["n"].as_u64().unwrap() >= 14, "every endpoint leaves a probe: {probes}");
}

#[test]
fn the_same_rows_come_back_from_the_files() {
    let adopter = Adopter::new();
    adopter.json(&["incremental", "--samples", "10"], 0);
    let query = &["query", "select * from latest_results order by case_id"];
    let before = adopter.json(query, 0);
    std::fs::remove_file(adopter.path(".proofmark/results.duckdb")).unwrap();
    adopter.xtask(&["rebuild"]).assert().success();
    assert_eq!(adopter.json(query, 0), before);
}

#[test]
fn a_browser_is_reported_with_its_evidence() {
    let adopter = Adopter::new();
    adopter.edit("src/lib.rs", "\"abacus\"", "\"webgpu-chromium\"");
    adopter.json(&["incremental", "--samples", "10", "--filter", "double*"], 0);
    let known = adopter.json(&["report", "browsers"], 0);
    let cell = |model: &str, endpoint: &str| {
        let cells = known["cells"].as_array().unwrap().iter();
        let mut cells = cells.filter(|c| c["model"] == model && c["endpoint"] == endpoint);
        cells.next().unwrap()["evidence"][0].clone()
    };
    let id = adopter.json(&["query", "select id from latest_results"], 0)[0]["id"].clone();
    let passed = cell("double-exact", "webgpu-chromium");
    assert_eq!((&passed["status"], &passed["mark"]), (&"passed".into(), &"real".into()));
    assert_eq!(passed["record"], id);
    assert_eq!(cell("triple-exact", "webgpu-chromium")["status"], "untested");
    assert_eq!(known["comparisons"][0]["columns"][0]["run"]["id"], id);
    let out = adopter.path("pages");
    adopter.xtask(&["report", "browsers", "--out", out.to_str().unwrap()]).assert().success();
    let page = std::fs::read_to_string(out.join("model-double-exact.html")).unwrap();
    assert!(page.contains(id.as_str().unwrap()) && page.contains(" · real"), "{page}");
    let index = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(index.contains("href=\"model-double-exact.html\""), "{index}");
}

#[test]
fn tools_of_the_suite_are_commands() {
    let adopter = Adopter::new();
    adopter.xtask(&["greet", "--loud", "world"]).assert().success().stdout("hello --loud world\n");
    let unknown = adopter.xtask(&["gret"]).assert().code(2);
    let said = String::from_utf8(unknown.get_output().stderr.clone()).unwrap();
    assert!(said.contains("there is no command `gret`") && said.contains("greet"), "{said}");
}
