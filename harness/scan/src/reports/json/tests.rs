//! Tests of the rules over JSON.

use super::*;
use std::path::Path;

fn found(text: &str) -> Vec<(Rule, usize, Confidence)> {
    let found = crate::scan_text(Path::new("r.json"), text);
    found.into_iter().map(|finding| (finding.rule, finding.line, finding.confidence)).collect()
}

fn rules(text: &str) -> Vec<Rule> {
    found(text).into_iter().map(|(rule, _, _)| rule).collect()
}

#[test]
fn whatever_the_rules_know_is_looked_at() {
    assert_eq!(
        rules(r#"{"hardware_verified": true, "placeholder": true, "fps": 60.0}"#),
        [Rule::DeniedClaim]
    );
    for key in [
        "throughput",
        "ttft",
        "p95",
        "rtt",
        "fps",
        "qps",
        "rps",
        "tps",
        "iops",
        "tflops",
        "gbps",
        "speedup",
        "toks",
        "ips",
        "gops",
        "vram",
        "rss",
        "joules",
        "utilization",
        "gpu_power",
        "avg_temperature",
        "accuracy",
        "f1",
        "bleu",
        "wer",
        "mse",
        "mae",
        "precision",
        "recall",
        "auc",
        "psnr",
        "confidence",
        "perplexity",
        "kernel_us",
        "kernelNs",
        "loop_ms",
        "decode_secs",
        "decode_seconds",
        "samples",
        "raw",
    ] {
        let text = format!("{{\"{key}\": [12.5, 12.5, 12.5, 12.5, 12.5, 12.5]}}");
        assert_eq!(rules(&text), [Rule::ConstantResult], "{key}");
    }
    for flag in ["simulated", "mock", "synthetic", "emulated", "fake", "estimated", "placeholder"] {
        assert_eq!(rules(&format!("{{\"{flag}\": true, \"real\": true}}")), [Rule::DeniedClaim]);
    }
}

#[test]
fn escapes_are_read() {
    let text = r#"{"is_real": true, "notes": "Results:\nsimulated"}"#;
    assert_eq!(rules(text), [Rule::DeniedClaim]);
    let text = r#"{"is_real": true, "note\u0073": "The results are \u0073imulated."}"#;
    assert_eq!(rules(text), [Rule::DeniedClaim]);
    // Half of a pair is no character; the rest is read.
    let text = r#"{"is_real": true, "notes": "\ud800 The results are simulated."}"#;
    assert_eq!(rules(text), [Rule::DeniedClaim]);
}

#[test]
fn lists_of_what_is_simulated_are_found_in_lists() {
    let text = r#"[
{"simulated_hardware": ["webgpu"]},
{"device": "webgpu", "latency_ms": 1.5}
]"#;
    assert_eq!(found(text), [(Rule::UnmarkedTable, 3, Confidence::Medium)]);
}

#[test]
fn what_is_no_json_may_be_cut_off_all_the_same() {
    for text in [
        "{\"a\": NaN,\n\"b\": [1, 2",
        "[{\"a\": Infinity},\n{\"b\": 1}",
        "{\"a\": NaN,\n\"b\": \"it",
        "{\"a\": NaN, // it's {\n\"b\": {\"c\": \"}\\\"}\"",
    ] {
        let lines = text.lines().count();
        assert_eq!(found(text), [(Rule::TruncatedFile, lines, Confidence::Medium)], "{text}");
    }
    for text in [
        "{\"a\": NaN, \"note\": \"it's {\"}",
        "{\"a\": 1, // it's {\n\"b\": 2, /* [ */}",
        "[1, 2,]",
        "{'a': 'b\"[', \"c\": -Infinity}",
        "{}\n{}",
        "<p>this isn't JSON [</p>",
        "don't edit this, it's made by a program",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    assert_eq!(found("[1, 2"), [(Rule::TruncatedFile, 1, Confidence::High)]);
}

#[test]
fn a_claim_and_its_denial_may_stand_apart() {
    for (text, expect) in [
        ("{\"measured\": true,\n\"runs\": [{\n\"simulated\": true}]}", (1, Confidence::Medium)),
        ("{\"simulated\": true,\n\"runs\": [{\n\"measured\": true}]}", (3, Confidence::Medium)),
        ("{\"measured\": true,\n\"metadata\": {\n\"simulated\": true}}", (1, Confidence::High)),
    ] {
        let (line, confidence) = expect;
        assert_eq!(found(text), [(Rule::DeniedClaim, line, confidence)], "{text}");
    }
}
