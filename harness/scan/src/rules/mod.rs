//! The rules over source code. Those over reports are in `reports`.

mod claims;
mod dropped;
mod fallback;
mod made_up;
mod mocks;
mod sleep;

use crate::file::File;
use crate::flow::Analysis;
use crate::rule::{Confidence, Finding, Rule};
use crate::syntax::{Span, Unit};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// What a rule sees.
#[derive(Debug)]
pub(crate) struct Code<'a> {
    pub(crate) file: &'a File<'a>,
    pub(crate) unit: &'a Unit,
    pub(crate) analysis: Analysis<'a>,
    /// The lines near comments that say that a number is made up, once somebody asks.
    admitted: OnceCell<BTreeSet<usize>>,
}

/// All findings in a unit.
pub(crate) fn check(file: &File<'_>, unit: &Unit) -> Vec<Finding> {
    let mut found = Vec::new();
    if unit.open_end {
        let line = file.text.trim_end().lines().count();
        found.push(finding(
            file,
            Rule::TruncatedFile,
            Confidence::High,
            Span { line, column: 1, ..Span::default() },
            "the syntax ends in the middle of something".to_owned(),
        ));
    }
    if file.is_test() {
        return found;
    }
    let code = Code { file, unit, analysis: Analysis::of(unit, file), admitted: OnceCell::new() };
    made_up::check(&code, &mut found);
    sleep::check(&code, &mut found);
    fallback::check(&code, &mut found);
    dropped::check(&code, &mut found);
    mocks::check(&code, &mut found);
    claims::check(&code, &mut found);
    found
}

/// A finding whose evidence is its line.
pub(crate) fn finding(
    file: &File<'_>,
    rule: Rule,
    confidence: Confidence,
    at: Span,
    message: String,
) -> Finding {
    Finding {
        path: file.path.display().to_string(),
        line: at.line,
        column: at.column,
        rule,
        confidence,
        message,
        evidence: file.line(at.line),
        remedy: rule.remedy(),
    }
}

impl Code<'_> {
    /// Whether a comment at or just above this line, or at its end, says that a number is made up.
    pub(crate) fn comment_admits(&self, line: usize) -> bool {
        let lines = self.admitted.get_or_init(|| {
            let comments = self.unit.comments.iter().filter(|comment| admits(&comment.text));
            comments.flat_map(|comment| comment.line..=comment.end_line + 2).collect()
        });
        lines.contains(&line)
    }
}

/// Whether a comment says that what it is about is made up.
pub(crate) fn admits(text: &str) -> bool {
    let text = text.to_lowercase();
    const SAYS: [&str; 26] = [
        "simulat",
        "fake",
        "mock",
        "placeholder",
        "hardcod",
        "hard-cod",
        "hard cod",
        "dummy",
        "made up",
        "made-up",
        "pretend",
        "in a real",
        "in real implementation",
        "would be measured",
        "would measure",
        "replace with real",
        "replace with actual",
        "not actually",
        "todo: measure",
        "todo: real",
        "stub",
        "fabricat",
        "looks realistic",
        "realistic-looking",
        "plausible",
        "synthetic",
    ];
    let negated = [
        "not simulat",
        "no simulat",
        "never simulat",
        "not a mock",
        "no mock",
        "not fake",
        "not hardcod",
        "not hard-cod",
    ];
    SAYS.iter().any(|word| text.contains(word)) && !negated.iter().any(|word| text.contains(word))
}
