//! Rules over small files of our own making, in the shapes of legacy results.

use super::*;
use proofmark::Mark;
use std::collections::BTreeSet;

/// `path mark code endpoint metric value unit` of each number, where what is not known is `-`.
pub(super) fn lines(found: &Extracted) -> Vec<String> {
    let mut lines = Vec::new();
    for group in &found.groups {
        let code = group.reason.split(':').next().unwrap();
        for row in &group.rows {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            let value = row.value.map_or("-".into(), |value| value.to_string());
            let naming = &found.names[row.naming];
            let metric = text(&naming.metric);
            let endpoint = text(&group.endpoint);
            lines.push(format!(
                "{} {} {code} {endpoint} {metric} {value} {}",
                row.path,
                group.mark,
                text(&naming.unit)
            ));
        }
    }
    lines
}

#[track_caller]
fn check(json: &str, outcome: Outcome, expected: &[&str]) {
    check_file("result.json", json, outcome, expected);
}

#[track_caller]
fn check_file(name: &str, json: &str, outcome: Outcome, expected: &[&str]) {
    let found = read(json.as_bytes(), name).unwrap();
    assert_eq!(
        (found.outcome, lines(&found)),
        (outcome, expected.iter().map(|s| (*s).to_owned()).collect()),
        "{:?}",
        found.reasons
    );
}

#[track_caller]
fn reasons(name: &str, json: &str, expected: &[&str]) {
    let found = read(json.as_bytes(), name).unwrap();
    let codes: Vec<_> =
        found.reasons.iter().map(|reason| reason.split(':').next().unwrap()).collect();
    assert_eq!(codes, expected, "{json}");
}

#[test]
fn a_flag_of_the_file_governs_all_of_it() {
    let json = r#"{"is_simulation": true, "platform": "webnn", "metrics": {"latency_ms": 2}, "more": [{"a": {"load_time_ms": 3}}]}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.metrics.latency_ms simulated flag webnn latency 2000000 ns",
            "$.more[0].a.load_time_ms simulated flag webnn load 3000000 ns",
        ],
    );
    for flag in [
        "\"using_simulation\": true",
        "\"mock\": true",
        "\"real_hardware\": false",
        "\"simulation_mode\": \"on\"",
        "\"status\": \"simulated\"",
        "\"implementation_type\": \"SIMULATED_CUDA\"",
        "\"notes\": \"These are mock results.\"",
        "\"meta\": {\"is_simulated\": true}",
        "\"warnings\": [{\"message\": \"may be simulated\"}]",
    ] {
        let json = format!("{{{flag}, \"hardware\": \"cuda\", \"latency_ms\": 2}}");
        let found = read(json.as_bytes(), "x.json").unwrap();
        assert_eq!(found.groups[0].mark, Mark::Simulated, "{flag}");
    }
}

#[test]
fn no_word_and_a_word_for_real_are_claims_and_nothing_is_real() {
    check(
        r#"{"hardware": "cuda", "latency_ms": 2}"#,
        Outcome::Migrated,
        &["$.latency_ms claimed says-nothing cuda latency 2000000 ns"],
    );
    for flag in [
        "\"is_simulated\": false",
        "\"implementation_type\": \"REAL\"",
        "\"real_hardware\": true",
        "\"using_simulation\": false",
    ] {
        let json = format!("{{{flag}, \"hardware\": \"cuda\", \"latency_ms\": 2}}");
        check(
            &json,
            Outcome::Migrated,
            &["$.latency_ms claimed says-real cuda latency 2000000 ns"],
        );
    }
    for no_word in [
        "\"allow_simulation\": true",
        "\"prompt\": \"simulated rain\"",
        "\"model_name\": \"mock-bert\"",
        "\"notes\": \"not simulated\"",
        "\"mock_count\": 0",
        "\"transformers_mocked\": false",
        "\"test_simulation_count\": 2",
    ] {
        let json = format!("{{{no_word}, \"hardware\": \"cuda\", \"latency_ms\": 2}}");
        check(
            &json,
            Outcome::Migrated,
            &["$.latency_ms claimed says-nothing cuda latency 2000000 ns"],
        );
    }
}

#[test]
fn an_entry_does_not_govern_its_siblings() {
    let json = r#"{"results": [
        {"platform": "WebGPU", "is_simulated": true, "latency_ms": 1},
        {"platform": "WebGPU", "latency_ms": 2},
        {"platform": "CPU", "implementation_type": "(MOCK)", "latency_ms": 3},
        {"platform": "CPU", "latency_ms": 4}]}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.results[0].latency_ms simulated flag webgpu latency 1000000 ns",
            "$.results[1].latency_ms claimed says-nothing webgpu latency 2000000 ns",
            "$.results[2].latency_ms simulated text cpu latency 3000000 ns",
            "$.results[3].latency_ms claimed says-nothing cpu latency 4000000 ns",
        ],
    );
    let json = r#"{"webgpu_a": {"simulated": true, "latency_ms": 1}, "webgpu_b": {"simulated": false, "latency_ms": 2}}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.webgpu_a.latency_ms simulated flag webgpu latency 1000000 ns",
            "$.webgpu_b.latency_ms claimed says-real webgpu latency 2000000 ns",
        ],
    );
}

#[test]
fn a_list_of_simulated_hardware_governs_its_endpoints_everywhere() {
    let json = r#"{
        "results": {"cpu": {"latency_ms": 1}, "webgpu": {"latency_ms": 2}, "runs": [{"hardware": "Qualcomm", "latency_ms": 3}]},
        "startup_time_ms": 4, "simulated_hardware": ["webgpu", "qnn"],
        "warnings": [{"type": "simulation", "message": "This holds simulated results", "affected_hardware": ["webgpu", "qnn"]}]}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.results.cpu.latency_ms claimed says-nothing cpu latency 1000000 ns",
            "$.results.webgpu.latency_ms simulated text webgpu latency 2000000 ns",
            "$.results.runs[0].latency_ms simulated text qnn latency 3000000 ns",
            "$.startup_time_ms simulated text - init 4000000 ns",
        ],
    );
    let json = r#"{"cuda": {"latency_ms": 1}, "webnn": {"latency_ms": 2}, "simulated_platforms": {"webnn": true, "cuda": false}}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.cuda.latency_ms claimed says-nothing cuda latency 1000000 ns",
            "$.webnn.latency_ms simulated listed webnn latency 2000000 ns",
        ],
    );
}

#[test]
fn a_status_governs_the_numbers_of_its_endpoint() {
    let json = r#"{"status": {"cpu_init": "Success (REAL)", "cuda_init": "Success (MOCK)"}, "cpu_total_time": 1, "cuda_total_time": 2,
        "examples": [{"platform": "CUDA", "elapsed_time": 3}, {"platform": "CPU", "elapsed_time": 4}], "total_execution_time": 9}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.cpu_total_time claimed says-real cpu run 1000000000 ns",
            "$.cuda_total_time simulated text cuda run 2000000000 ns",
            "$.examples[0].elapsed_time simulated text cuda run 3000000000 ns",
            "$.examples[1].elapsed_time claimed says-real cpu run 4000000000 ns",
            // What spans the run spans the mock too.
            "$.total_execution_time simulated text - run 9000000000 ns",
        ],
    );
}

#[test]
fn contradictions_are_simulated_and_told() {
    let real =
        "\"implementation_type\": \"REAL_WEBGPU\", \"platform\": \"webgpu\", \"latency_ms\": 1";
    for against in [
        "\"is_simulation\": true",
        "\"browser_opened\": false",
        "\"platform_support\": {\"simulated\": true}",
        "\"webgpu_available\": false",
        "\"simulated_hardware\": [\"webgpu\"]",
    ] {
        let json = format!("{{{real}, {against}}}");
        check(
            &json,
            Outcome::Migrated,
            &["$.latency_ms simulated contradiction webgpu latency 1000000 ns"],
        );
        let found = read(json.as_bytes(), "x.json").unwrap();
        assert_eq!(found.contradictions.len(), 1, "{against}");
    }
    // Hardware that could not be initialised, or is not there, has no results; a flag and its opposite.
    for json in [
        r#"{"cuda_init": "Failed CUDA initialization", "cuda_handler": "Success (REAL)", "cuda_generation_time": 1}"#,
        r#"{"available_hardware": {"cuda": false}, "hardware": "cuda", "generation_time": 1}"#,
        r#"{"cuda": {"implementation_type": "REAL", "is_simulated": true, "generation_time": 1}}"#,
        r#"{"hardware": "cuda", "is_simulated": false, "is_simulated": true, "generation_time": 1}"#,
        r#"{"status": {"cuda": "REAL"}, "examples": [{"platform": "cuda", "mocked": true}], "cuda_generation_time": 1}"#,
    ] {
        let found = read(json.as_bytes(), "x.json").unwrap();
        assert!(
            found
                .groups
                .iter()
                .all(|g| g.mark == Mark::Simulated && g.reason.starts_with("contradiction: ")),
            "{json}: {:?}",
            found.groups
        );
    }
}

#[test]
fn names_that_say_that_it_was_not_measured_are_heard() {
    let json = r#"{"simulated_results": {"cpu": {"latency_ms": 1}}, "real_results": {"cpu": {"latency_ms": 2}}, "estimated_latency_ms": 3, "mock_load_time_ms": 4}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.simulated_results.cpu.latency_ms simulated named cpu latency 1000000 ns",
            "$.real_results.cpu.latency_ms claimed says-nothing cpu latency 2000000 ns",
            "$.estimated_latency_ms simulated named - latency 3000000 ns",
            "$.mock_load_time_ms simulated named - load 4000000 ns",
        ],
    );
}

#[test]
fn logs_govern_what_they_name() {
    let json = r#"{"stdout": "start\nUsing mock implementation for CPU\nCUDA is fine\n", "elapsed_time": 5, "return_code": 0,
        "json_result": {"examples": [{"platform": "CPU", "elapsed_time": 1}, {"platform": "CUDA", "elapsed_time": 2}]}}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.elapsed_time simulated text - run 5000000000 ns",
            "$.json_result.examples[0].elapsed_time simulated text cpu run 1000000000 ns",
            "$.json_result.examples[1].elapsed_time claimed says-nothing cuda run 2000000000 ns",
        ],
    );
}

#[test]
fn what_failed_has_no_results() {
    for failure in [
        "\"success\": false",
        "\"status\": \"failed\"",
        "\"status\": \"Error: x\"",
        "\"return_code\": 1",
        "\"error\": \"no such thing\"",
        "\"test_error\": \"x\"",
        "\"error_type\": \"missing\"",
        "\"output\": \"Error in handler: x\"",
        "\"json_result\": {\"test_error\": \"x\"}",
    ] {
        let json = format!("{{{failure}, \"elapsed_time\": 1, \"below\": {{\"latency_ms\": 2}}}}");
        check(&json, Outcome::NoResults, &[]);
        reasons("x.json", &json, &["failed"]);
    }
    let json = r#"{"status": "partial failure", "success": false, "runs": [{"success": true, "latency_ms": 1}, {"latency_ms": 2}], "error": null}"#;
    check(
        json,
        Outcome::Migrated,
        &["$.runs[0].latency_ms claimed says-nothing - latency 1000000 ns"],
    );
    check(
        r#"{"success": true, "error": null, "error_type": "none", "latency_ms": 1}"#,
        Outcome::Migrated,
        &["$.latency_ms claimed says-nothing - latency 1000000 ns"],
    );
}

#[test]
fn what_is_no_result_is_told_as_what_it_is() {
    reasons(
        "benchmark_config_x.json",
        r#"{"batch_sizes": [1], "max_latency_ms": 5}"#,
        &["configuration"],
    );
    reasons("x.json", r#"{"files_fixed": 3, "elapsed_time": 1}"#, &["fix-log"]);
    reasons("x.json", r#"{"queue": [{"request_id": "r1", "time_taken": 1}]}"#, &["api-check"]);
    reasons(
        "x.json",
        r#"[{"name": "a", "requires_token": true, "card_data": {"metrics": [{"type": "latency", "unit": "ms", "value": 3}]}}]"#,
        &["api-check"],
    );
    reasons("x.json", r#"{"timestamp": 17.5, "batch_sizes": [1, 2], "ok": true}"#, &["no-numbers"]);
    reasons("x.json", "3", &["no-numbers"]);
    check(
        r#"{"generation_config": {"max_time": 5, "latency_ms": 4}, "latency_ms": 1}"#,
        Outcome::Migrated,
        &["$.latency_ms claimed says-nothing - latency 1000000 ns"],
    );
}

#[test]
fn what_is_not_understood_is_kept_and_listed() {
    let json = r#"{"throughput": 5, "latency_ms": NaN, "load_time_ms": -1, "frobnication_ms": 1e999, "inference_time_ms": "12 ms", "memory_mb": 1, "memory_mb": 2, "latency": {"p95_ms": 7}}"#;
    check(
        json,
        Outcome::Partly,
        &[
            "$.throughput claimed says-nothing - - - -",
            "$.latency_ms claimed says-nothing - latency - -",
            "$.load_time_ms claimed says-nothing - load - -",
            "$.frobnication_ms claimed says-nothing - - - -",
            "$.inference_time_ms claimed says-nothing - latency - -",
            "$.memory_mb claimed says-nothing - memory - -",
            "$.latency.p95_ms claimed says-nothing - latency 7000000 ns",
        ],
    );
    let found = read(json.as_bytes(), "x.json").unwrap();
    let raw: Vec<_> = found
        .groups
        .iter()
        .flat_map(|g| &g.rows)
        .map(|row| (&found.names[row.naming], row.raw.as_str()))
        .map(|(naming, raw)| (naming.name.as_str(), raw, naming.note.is_some()))
        .collect();
    assert_eq!(
        raw[1..4],
        [
            ("latency_ms", "NaN", true),
            ("load_time_ms", "-1", true),
            ("frobnication_ms", "1e999", true)
        ]
    );
    assert_eq!(found.not_understood.len(), 6);
}

#[test]
fn values_stand_below_their_names_too() {
    let json = r#"{"webgpu": {"browser": "Firefox", "model_name": "m", "precision": "fp16", "batch_size": 8, "latency_ms": {"mean": 1, "p99": 2},
        "latencies_ms": [3, 4], "metrics": [{"name": "load_time", "unit": "ms", "value": 5}, {"name": "colour", "value": 6}]}}"#;
    check(
        json,
        Outcome::Migrated,
        &[
            "$.webgpu.latency_ms.mean claimed says-nothing webgpu-firefox latency 1000000 ns",
            "$.webgpu.latency_ms.p99 claimed says-nothing webgpu-firefox latency 2000000 ns",
            "$.webgpu.latencies_ms[0] claimed says-nothing webgpu-firefox latency 3000000 ns",
            "$.webgpu.latencies_ms[1] claimed says-nothing webgpu-firefox latency 4000000 ns",
            "$.webgpu.metrics[0].value claimed says-nothing webgpu-firefox load 5000000 ns",
        ],
    );
    let found = read(json.as_bytes(), "x.json").unwrap();
    let group = &found.groups[0];
    assert_eq!(
        (group.model.as_deref(), group.precision.as_deref(), group.batch_size),
        (Some("m"), Some("f16"), Some(8))
    );
    assert_eq!(found.names[group.rows[1].naming].statistic.as_deref(), Some("p99"));
}

#[test]
fn texts_of_a_file_cannot_become_anything_else() {
    let json = "{\"model_name\": \"'); DROP TABLE results; --\\u0000\\n\", \"a'] \\\" \\n\": {\"latency_ms\": 1}}";
    let found = read(json.as_bytes(), "x.json").unwrap();
    assert_eq!(
        found.groups[0].model.as_deref(),
        Some("'); DROP TABLE results; --\u{fffd}\u{fffd}")
    );
    assert_eq!(found.groups[0].rows[0].path, "$['a\\'] \" \\u000a'].latency_ms");
}

#[test]
fn the_book_shows_the_table_of_names() {
    let book = include_str!("../../../../docs/migrate.md");
    for metric in table::METRICS {
        let unit = table::UNITS
            .iter()
            .filter(|unit| unit.kind == metric.kind)
            .map(|unit| unit.ours)
            .collect::<BTreeSet<_>>();
        let quoted = |names: &str| {
            let names = names.split_whitespace().filter(|name| *name != "-");
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let units = unit.into_iter().collect::<Vec<_>>().join(", ");
        let row = format!(
            "| `{}` | {units} | {} | {} |",
            metric.name,
            quoted(metric.with_unit),
            quoted(metric.bare)
        );
        assert!(book.contains(&row), "docs/migrate.md lacks this row:\n{row}");
    }
    for unit in table::UNITS {
        let legacy =
            unit.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let factor = match (unit.ten, unit.two) {
            (0, 0) => "1".to_owned(),
            (ten, 0) => format!("10^{ten}"),
            (_, two) => format!("2^{two}"),
        };
        let row = format!("| {legacy} | {} | {factor} |", unit.ours);
        assert!(book.contains(&row), "docs/migrate.md lacks this row:\n{row}");
    }
    for (what, words) in [
        ("statistic", table::STATISTICS),
        ("endpoint", words::ENDPOINTS),
        ("browser", words::BROWSERS),
        ("precision", facts::PRECISIONS),
    ] {
        for (legacy, ours) in words {
            let legacy: Vec<_> = legacy.iter().map(|word| format!("`{word}`")).collect();
            let row = format!("| {what} | {} | `{ours}` |", legacy.join(", "));
            assert!(book.contains(&row), "docs/migrate.md lacks this row:\n{row}");
        }
    }
}
