//! Findings for people, as Markdown: a list of what was found, and a plan of what to change, file by file.

use crate::Scan;
use crate::rule::{Finding, Rule};
use std::collections::BTreeMap;
use std::fmt::Write as _;

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
        let rules: std::collections::BTreeSet<Rule> =
            findings.iter().map(|finding| finding.rule).collect();
        let names: Vec<_> = rules.iter().map(|rule| rule.name()).collect();
        let _ = writeln!(
            text,
            "\nIf one of these is honest after all, say why at its place: `proofmark: allow({}) REASON`.",
            names.first().copied().unwrap_or_default()
        );
    }
    text
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
