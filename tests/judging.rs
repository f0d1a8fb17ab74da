//! `gate --replay` and `history --input`: they need a file and nothing else, not even a workspace.

use crate::support::xtask;
use serde_json::{Value, json};

/// Runs a command with a file in a folder that is no workspace; gives what it printed as JSON, and what it said.
#[track_caller]
fn check(args: [&str; 2], file: &str, code: i32) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    std::fs::write(&path, file).unwrap();
    let args = [args[0], args[1], path.to_str().unwrap(), "--format", "json"];
    let output = xtask(&args).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), said)
}

#[test]
fn a_replay_is_judged_and_a_broken_case_hides_no_other() {
    let side = |factor: f64| {
        let sample =
            |p: u32, s: u32| factor * (1.0 + 1e-3 * f64::from(p) + 1e-4 * f64::from(s % 7));
        let processes = (0..5).map(|p| (0..100).map(|s| sample(p, s)).collect::<Vec<_>>());
        processes.collect::<Vec<_>>()
    };
    let case = |id: &str, factor: f64| json!({"id": id, "base": side(1.0), "head": side(factor)});
    let cases = [case("same", 1.0), case("slower", 1.05), case("faster", 0.95)];
    let (found, _) = check(["gate", "--replay"], &json!({"cases": cases}).to_string(), 1);
    let verdicts = found.as_array().unwrap().iter().map(|judged| judged["verdict"].clone());
    assert_eq!(verdicts.collect::<Vec<_>>(), ["equivalent", "regressed", "improved"]);
    let effect = found[1]["effect"].as_f64().unwrap();
    assert!((effect - 0.05).abs() < 0.005, "{effect}");
    assert!(found[1]["low"].as_f64() < Some(effect) && found[1]["high"].as_f64() > Some(effect));
    let broken = json!({"id": "broken", "base": [[1.0, -1.0]], "head": side(1.0)});
    let (found, said) =
        check(["gate", "--replay"], &json!({"cases": [broken, case("same", 1.0)]}).to_string(), 2);
    assert!(said.contains("sample 2 of process 1 of `base` is -1.0"), "{said}");
    assert_eq!(found[1]["verdict"], "equivalent");
    let few = json!({"id": "few", "base": [[1.0], [1.0], [1.0]], "head": [[2.0], [2.0], [2.0]]});
    let (found, _) = check(["gate", "--replay"], &json!({"cases": [few]}).to_string(), 3);
    assert!(
        found[0]["reason"].as_str().unwrap().contains("it takes 4 processes a side"),
        "{found}"
    );
}

#[test]
fn a_step_in_a_series_is_found_and_an_outlier_is_none() {
    let noise = |i: u32| f64::from(i * 7919 % 101) / 101.0;
    let mut values: Vec<f64> = (0..60).map(|i| 100.0 + noise(i)).collect();
    values[10] += 40.0;
    values[37..].iter_mut().for_each(|value| *value += 10.0);
    let (found, _) = check(["history", "--input"], &json!(values).to_string(), 0);
    let points = found["change_points"].as_array().unwrap();
    assert_eq!(points.len(), 1, "{found}");
    assert_eq!(points[0]["index"], 37);
    let step = points[0]["after"].as_f64().unwrap() - points[0]["before"].as_f64().unwrap();
    assert!((step - 10.0).abs() < 1.0, "{step}");
    assert_eq!(found["spikes"][0]["index"], 10);
    let (_, said) = check(["history", "--input"], "[1.0, null]", 2);
    assert!(said.contains("point 1"), "{said}");
}
