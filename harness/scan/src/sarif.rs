//! Findings as SARIF 2.1.0.

use crate::rule::{Confidence, Finding, Rule};
use serde_json::{Value, json};

/// Where the line of a finding is cut.
const EVIDENCE_CHARS: usize = 160;

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
                "physicalLocation": place(finding),
            }],
            "properties": { "confidence": finding.confidence, "remedy": finding.remedy },
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "columnKind": "unicodeCodePoints",
            "tool": { "driver": { "name": "proofmark-scan", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// Where a finding is: from its column on if that is known in characters, with its line around it; else the line.
fn place(finding: &Finding) -> Value {
    let line = json!({
        "startLine": finding.line.max(1),
        "snippet": { "text": finding.evidence },
    });
    let artifact = json!({ "uri": uri(&finding.path) });
    match column(finding) {
        Some(column) => json!({
            "artifactLocation": artifact,
            "region": { "startLine": finding.line.max(1), "startColumn": column },
            "contextRegion": line,
        }),
        None => json!({ "artifactLocation": artifact, "region": line }),
    }
}

/// The column in characters, where it is not the first; none where it is known in bytes only. The evidence is the line
/// without blanks around it, perhaps cut.
fn column(finding: &Finding) -> Option<usize> {
    let shown = finding.evidence.len();
    let alike = finding.evidence.is_ascii() && (shown < EVIDENCE_CHARS || finding.column <= shown);
    (finding.column > 1 && alike).then_some(finding.column)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(column: usize, evidence: &str) -> Finding {
        Finding {
            path: "./a b/ü.md".to_owned(),
            line: 7,
            column,
            rule: Rule::StaleReport,
            confidence: Confidence::Medium,
            message: "it is old".to_owned(),
            evidence: evidence.to_owned(),
            remedy: Rule::StaleReport.remedy(),
        }
    }

    #[test]
    fn a_result_names_its_rule_and_its_place() {
        let text = sarif(&[finding(5, "x = 1")]);
        let run = &text["runs"][0];
        let result = &run["results"][0];
        assert_eq!(result["ruleId"], "stale-report");
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "stale-report");
        assert_eq!(result["level"], "warning");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%BC.md");
        assert_eq!(place["region"], json!({ "startLine": 7, "startColumn": 5 }));
        let line = json!({ "startLine": 7, "snippet": { "text": "x = 1" } });
        assert_eq!(place["contextRegion"], line);
    }

    #[test]
    fn a_column_is_told_only_where_bytes_are_characters() {
        let long = "x".repeat(EVIDENCE_CHARS);
        for (column, evidence, told) in [
            (9, "x = 1", true),
            (1, "x = 1", false),
            (9, "größe = 1", false),
            (100, &long, true),
            (170, &long, false),
        ] {
            let place = place(&finding(column, evidence));
            let expect = if told { json!(column) } else { Value::Null };
            assert_eq!(place["region"]["startColumn"], expect, "{column} {evidence}");
            assert_eq!(place["region"]["startLine"], 7);
            let line = if told { &place["contextRegion"] } else { &place["region"] };
            assert_eq!(line["snippet"]["text"], evidence);
        }
    }

    #[test]
    fn paths_become_references() {
        for (path, expect) in [
            ("./a.md", "a.md"),
            ("a\\b.md", "a/b.md"),
            ("100%/#1?.md", "100%25/%231%3F.md"),
            ("a:b~c_d-e.md", "a%3Ab~c_d-e.md"),
            ("日.md", "%E6%97%A5.md"),
        ] {
            assert_eq!(uri(path), expect);
        }
    }
}
