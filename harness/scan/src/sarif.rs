//! Findings as SARIF 2.1.0.

use crate::rule::{Confidence, Finding, Rule};
use serde_json::{Value, json};

/// A document with all rules, and a result per finding.
///
/// Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
pub fn sarif(findings: &[Finding]) -> Value {
    let rules = Rule::ALL.map(|rule| {
        json!({
            "id": rule.name(),
            "shortDescription": { "text": rule.summary() },
            "help": { "text": rule.remedy() },
        })
    });
    let results = findings.iter().map(|finding| {
        let level = match finding.confidence {
            Confidence::High => "error",
            Confidence::Medium => "warning",
            Confidence::Low => "note",
        };
        json!({
            "ruleId": finding.rule.name(),
            "ruleIndex": Rule::ALL.iter().position(|rule| *rule == finding.rule),
            "level": level,
            "message": { "text": finding.message },
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(&finding.path) },
                    "region": {
                        "startLine": finding.line.max(1),
                        "startColumn": finding.column.max(1),
                        "snippet": { "text": finding.evidence },
                    },
                },
            }],
            "properties": { "confidence": finding.confidence, "remedy": finding.remedy },
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "proofmark-scan", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// A path as a reference: with slashes, and what a URI cannot hold as percents.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}
