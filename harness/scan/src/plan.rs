//! Findings for people, as Markdown: a list of what was found, and a plan of what to change, file by file.

use crate::rule::{Finding, Rule};
use crate::tree::IGNORE_FILE;
use crate::{Language, Scan};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// A table of findings and a sentence about the scan.
pub fn markdown(scan: &Scan) -> String {
    let mut text = String::from("# Honesty scan\n\n");
    text += &summary(scan);
    text.push('\n');
    if scan.findings.is_empty() {
        return text;
    }
    text += "\n| place | rule | confidence | what | evidence |\n|---|---|---|---|---|\n";
    for finding in &scan.findings {
        let Finding { path, line, rule, confidence, message, evidence, .. } = finding;
        let _ = writeln!(
            text,
            "| {}:{line} | {rule} | {confidence} | {} | {} |",
            cell(path),
            cell(message),
            code(evidence)
        );
    }
    text
}

/// How much was scanned and found.
pub fn summary(scan: &Scan) -> String {
    let Scan { findings, files, suppressed, .. } = scan;
    let word = if findings.len() == 1 { "finding" } else { "findings" };
    format!("{} {word} in {files} files, {suppressed} suppressed with a reason.", findings.len())
}

/// What to change, file by file, in the order of the lines. Nothing is changed by it.
pub fn fixes(scan: &Scan) -> String {
    let mut text = String::from("# What to change\n\n");
    text += &summary(scan);
    text += " This is a plan: nothing has been changed.\n";
    let mut files: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &scan.findings {
        files.entry(&finding.path).or_default().push(finding);
    }
    for (path, findings) in files {
        let _ = write!(text, "\n## {}\n\n", path.replace('_', "\\_"));
        for (number, finding) in findings.iter().enumerate() {
            let Finding { line, rule, confidence, message, evidence, remedy, .. } = finding;
            let _ =
                writeln!(text, "{}. Line {line}, {rule} ({confidence}): {message}.", number + 1);
            let _ = writeln!(text, "   It says {}.", code(evidence));
            let _ = writeln!(text, "   {remedy}");
        }
        let rule = findings.iter().map(|finding| finding.rule).min();
        let _ = writeln!(text, "\nIf one of these is honest after all, {}.", exempt(path, rule));
    }
    text
}

/// How a finding in a file is suppressed; in JSON no comment can stand.
fn exempt(path: &str, rule: Option<Rule>) -> String {
    if Language::of(Path::new(path)) == Some(Language::Json) {
        return format!("name the file in `{IGNORE_FILE}`, below a comment that says why");
    }
    let rule = rule.map(Rule::name).unwrap_or_default();
    format!("say why at its place: `proofmark: allow({rule}) REASON`")
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Code in a cell: with as many back quotes around it as it needs.
fn code(text: &str) -> String {
    let text = cell(text);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan_text;

    #[test]
    fn what_is_honest_is_exempted_where_that_can_be_done() {
        let code = "import random\ndef bench():\n    return {'latency_ms': random.uniform(1, 2), 'p99': 7.5}\n";
        for (name, text, advice) in [
            ("a.py", code, "say why at its place: `proofmark: allow(constant-result) REASON`."),
            ("a.json", "{\"latency_ms\": 1.", "name the file in `.proofmarkignore`, below"),
        ] {
            let findings = scan_text(Path::new(name), text);
            assert!(!findings.is_empty(), "{name}");
            let plan = fixes(&Scan { findings, files: 1, ..Scan::default() });
            assert!(plan.contains(advice), "{plan}");
        }
    }
}
