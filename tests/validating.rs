//! Predictions and reality as people compare them: what this machine's results teach, what that is worth on families that
//! it never saw, where the error changed, and the page of real beside simulated.

use crate::support::{Adopter, measured, store};
use proofmark::record::{DeviceFacts, Environment, Record};
use proofmark::{Mark, environment};
use serde_json::Value;
use std::fs;

/// A tool that tells kernels: of model `fFAMILY-sSIZE` a square product and a ReLU that grow with the size.
const OPERATORS: &str = r#".tool("operators", "Tells kernels", |args| {
            let value = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1).cloned();
            let Some(model) = value("--model") else {
                println!("[{{\"model\":\"f9-s6\",\"published\":true}}]");
                return ExitCode::SUCCESS;
            };
            let size = model.chars().last().and_then(|c| c.to_digit(10)).unwrap_or(1);
            let (side, rows) = (1 << (4 + size), 1 << (6 + size));
            println!(
                "{{\"model\":\"{model}\",\"shape\":\"b1\",\"weight_bytes\":1000,\"value_bytes\":24,\"kernels\":[\
                 {{\"node\":\"dense\",\"op\":\"linear\",\"b\":1,\"m\":{side},\"n\":{side},\"k\":{side},\"h\":0}},\
                 {{\"node\":\"relu\",\"op\":\"relu\",\"b\":{rows},\"m\":0,\"n\":0,\"k\":0,\"h\":64}}]}}"
            );
            ExitCode::SUCCESS
        })
        .tool("greet","#;

/// The adopting workspace with that tool.
fn adopter() -> Adopter {
    let adopter = Adopter::new();
    adopter.edit("src/lib.rs", ".tool(\"greet\",", OPERATORS);
    adopter.edit("Cargo.toml", "tools = [\"greet\"]", "tools = [\"greet\", \"operators\"]");
    adopter
}

/// What a model takes: the product at 2 operations per ns, the ReLU at 4 bytes per ns, and a wobble.
fn takes_ns(family: i32, size: i32) -> f64 {
    let (side, rows) = (f64::from(1 << (4 + size)), f64::from(1 << (6 + size)));
    let wobble = 1.0 + 0.03 * f64::from((family * 5 + size * 3) % 4);
    wobble * (side.powi(3) + rows * 64.0 * 8.0 / 4.0)
}

/// Results of five families on the abacus of this machine, recorded on a day of January.
fn results(day: u32, factor: f64) -> Vec<Record> {
    let one = |family: i32, size: i32| {
        let case = format!("f{family}-s{size}/abacus/f32/b1");
        let at = format!("2026-01-{day:02}T00:00:00Z");
        let machine = environment::machine().machine;
        let environment = Environment { machine, ..Environment::default() };
        Record { environment, ..measured(&case, &at, factor * takes_ns(family, size)) }
    };
    (0..5).flat_map(|family| (1..6).map(move |size| one(family, size))).collect()
}

fn of_mark(record: &Record, mark: Mark) -> Record {
    let device = Some(DeviceFacts::new(mark, "wood", "fingers"));
    let id = format!("{}-{mark}", record.id);
    Record { id, mark: Some(mark), device, ..record.clone() }
}

/// The grade of all latencies of real results.
fn grade(validation: &Value) -> Value {
    let groups = validation["worth"]["groups"].as_array().unwrap();
    let mut found = groups.iter().filter(|group| {
        group[0]["metric"] == "latency" && group[0]["reality"] == "real" && group[0]["device"] == ""
    });
    found.next().unwrap_or_else(|| panic!("{validation}"))[1].clone()
}

#[test]
fn what_a_machine_teaches_is_graded_by_families_that_it_did_not_see() {
    let adopter = adopter();
    let said = adopter.xtask(&["validate"]).output().unwrap();
    assert_eq!(said.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&said.stderr).contains("there is no prediction yet"));
    // Two marks on one endpoint are two places, of which one has too little.
    let mut records = results(1, 1.0);
    records.push(of_mark(&records[0], Mark::Software));
    store(&adopter, &records);
    let learned = adopter.json(&["simulate", "calibrate"], 0);
    assert_eq!(learned.as_array().unwrap().len(), 1);
    assert_eq!((&learned[0]["version"], &learned[0]["new"]), (&1.into(), &true.into()));
    assert_eq!(learned[0]["place"]["reality"], "real");
    assert!(learned[0]["left_out"]["mape"]["value"].as_f64() < Some(0.2), "{learned}");
    // The same results teach nothing more.
    let again = adopter.json(&["simulate", "calibrate"], 0);
    assert_eq!((&again[0]["version"], &again[0]["new"]), (&1.into(), &false.into()));
    let validation = adopter.json(&["validate"], 0);
    let grade = grade(&validation);
    assert_eq!((&grade["results"], &grade["families"]), (&25.into(), &5.into()));
    let of = |grade: &Value| grade["mape"]["value"].as_f64().unwrap();
    assert!((of(&grade) - of(&learned[0]["left_out"])).abs() < 1e-9, "{grade}");
    assert!(grade["rank_correlation"]["value"].as_f64() > Some(0.9), "{grade}");
    for pair in validation["worth"]["pairs"].as_array().unwrap() {
        assert_eq!(pair["reality"], "real", "software is no reality for hardware: {pair}");
    }
}

#[test]
fn a_machine_that_changed_is_a_drift_and_the_next_version_is_better() {
    let adopter = adopter();
    store(&adopter, &results(1, 1.0));
    adopter.json(&["simulate", "calibrate"], 0);
    // Days later the driver is another and everything takes twice as long.
    let slow = |record: Record| {
        let mut device = record.device.clone().unwrap();
        "thumbs".clone_into(&mut device.driver);
        Record { device: Some(device), ..record }
    };
    let before = (1..=12).flat_map(|day| results(day, 1.0));
    let after = (13..=24).flat_map(|day| results(day, 2.0)).map(slow);
    store(&adopter, &before.chain(after).collect::<Vec<_>>());
    let validation = adopter.json(&["validate"], 0);
    assert!(grade(&validation)["bias"]["value"].as_f64() < Some(-0.4), "{validation}");
    let drift = validation["drift"].as_array().unwrap();
    assert_eq!(drift.len(), 25);
    let change = &drift[0]["change_points"][0];
    assert_eq!(change["time"], "2026-01-13T00:00:00Z");
    assert_eq!(change["attribution"]["environment"][0]["after"], "thumbs", "{change}");
    let learned = adopter.json(&["simulate", "calibrate"], 0);
    assert_eq!(learned[0]["version"], 2);
    assert_eq!(learned[0]["before"]["verdict"], "better", "{learned}");
    assert!(grade(&adopter.json(&["validate"], 0))["mape"]["value"].as_f64() < Some(0.2));
    let lessons = fs::read_to_string(adopter.path(".proofmark/predictions/lessons.jsonl")).unwrap();
    assert!(lessons.contains("\"version\":1,") && lessons.contains("\"version\":2,"));
}

#[test]
fn a_model_is_predicted_here_and_is_less_sure_the_less_it_is_like_what_was_seen() {
    let adopter = adopter();
    let case = ["simulate", "case", "--device", "here"];
    store(&adopter, &results(1, 1.0));
    let said = adopter.xtask(&case).output().unwrap();
    assert_eq!(said.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&said.stderr).contains("simulate calibrate"));
    adopter.json(&["simulate", "calibrate"], 0);
    let near = adopter.json(&[&case[..], &["--model", "f7-s4"]].concat(), 0);
    assert_eq!((&near[0]["mark"], &near[0]["endpoint"]), (&"simulated".into(), &"abacus".into()));
    let predicted = near[0]["predicted_ms"].as_f64().unwrap();
    assert!((predicted * 1e6 / takes_ns(7, 4) - 1.0).abs() < 0.3, "{near}");
    assert_ne!(near[0]["confidence"], "unvalidated");
    // Without a model: all of published sizes, of which the tool has one, eight times larger than all that was seen.
    let far = adopter.json(&case, 0);
    assert_eq!((&far[0]["model"], &far[0]["confidence"]), (&"f9-s6".into(), &"unvalidated".into()));
    assert!(far[0]["validated_error"].is_null() && far[0]["extrapolated_share"] == 1.0, "{far}");
    let width = |p: &Value| p["high_ms"].as_f64().unwrap() / p["low_ms"].as_f64().unwrap();
    assert!(width(&far[0]) > width(&near[0]), "{far} {near}");
    // They are kept apart from results, and what is not here needs a fit.
    let sql = "SELECT (SELECT count(*) FROM predictions WHERE fit = (SELECT id FROM lessons WHERE without IS NULL)) AS \
               made, (SELECT count(*) FROM latest_results) AS ran";
    let counts = adopter.json(&["query", sql], 0);
    assert_eq!(counts[0], serde_json::json!({ "made": 2, "ran": 25 }));
    let said = adopter.xtask(&["simulate", "case", "--model", "f7-s4"]).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("--fit is missing"));
}

#[test]
fn the_page_has_a_mark_beside_every_number_and_needs_no_network() {
    let adopter = adopter();
    store(&adopter, &results(1, 1.0));
    adopter.json(&["simulate", "calibrate"], 0);
    let page = adopter.path("page.html");
    let args = ["validate", "--format", "html", "--out", page.to_str().unwrap()];
    adopter.xtask(&args).assert().success();
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.contains("default-src 'none'")
            && !text.contains("http://")
            && !text.contains("https://")
    );
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("<tr data-row")).collect();
    assert_eq!(rows.len(), 25);
    for row in rows {
        let cells: Vec<&str> = row.split("<td").collect();
        assert!(cells[4].contains(" ms (real)") && cells[5].contains(" ms (simulated)"), "{row}");
    }
    assert_eq!(text.matches("data-pair=").count(), 25);
    // For people in a terminal.
    let output = adopter.xtask(&["validate"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("25 simulated numbers beside 25 real and 0 software ones"), "{said}");
}
