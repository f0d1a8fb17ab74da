//! Findings that a comment in the file suppresses, with a reason.
//!
//! `proofmark: allow(RULE) REASON` in a comment holds for the lines of the comment and the next line that is not blank;
//! `proofmark: allow-file(RULE) REASON` for the whole file.

use crate::file::{File, Language};
use crate::rule::{Confidence, Finding, Rule};
use crate::rules::finding;
use crate::syntax::{Comment, Span};

/// A comment that suppresses.
#[derive(Debug)]
struct Allow {
    rule: Rule,
    lines: std::ops::RangeInclusive<usize>,
}

/// Takes out what is suppressed, adds findings about suppressions without a reason, and counts what was taken out.
pub(crate) fn apply(file: &File<'_>, comments: &[Comment], found: &mut Vec<Finding>) -> usize {
    if !file.text.contains("proofmark: allow") {
        return 0;
    }
    let of_page;
    let comments = if file.language.is_report() {
        of_page = page_comments(file);
        &of_page
    } else {
        comments
    };
    let mut allows = Vec::new();
    let mut faults = Vec::new();
    for comment in comments {
        read(file, comment, &mut allows, &mut faults);
    }
    let before = found.len();
    found.retain(|finding| {
        !allows
            .iter()
            .any(|allow| allow.rule == finding.rule && allow.lines.contains(&finding.line))
    });
    let suppressed = before - found.len();
    found.extend(faults);
    suppressed
}

fn read(file: &File<'_>, comment: &Comment, allows: &mut Vec<Allow>, faults: &mut Vec<Finding>) {
    for (offset, line) in comment.text.lines().enumerate() {
        // A comment that shows how it is done suppresses nothing.
        let start = line.trim_start().trim_start_matches(['#', '/', '*', '<', '!', '-', ' ']);
        let documents = ["//!", "///"].iter().any(|mark| line.trim_start().starts_with(mark));
        let Some(rest) = start.strip_prefix("proofmark: allow").filter(|_| !documents) else {
            continue;
        };
        let (whole, rest) = match rest.strip_prefix("-file") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let parts = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let name = parts.map(|(name, _)| name.trim()).unwrap_or_default();
        let reason = parts.map(|(_, reason)| reason).unwrap_or_default();
        let reason =
            reason.trim_end_matches(['-', '>', '*', '/', ' ']).trim_matches([':', ' ', '-', ',']);
        let at = Span { line: comment.line + offset, column: 1, ..Span::default() };
        let fault = match name.parse::<Rule>() {
            Err(()) => Some(format!("`{name}` is the name of no rule")),
            Ok(_) if reason.split_whitespace().count() < 2 => {
                Some("the suppression gives no reason".to_owned())
            }
            Ok(rule) => {
                let lines = if whole {
                    1..=usize::MAX
                } else {
                    comment.line..=next_line(file, comment.end_line)
                };
                allows.push(Allow { rule, lines });
                None
            }
        };
        if let Some(fault) = fault {
            faults.push(finding(file, Rule::BareSuppression, Confidence::High, at, fault));
        }
    }
}

/// The next line after a comment that is neither blank nor a comment.
fn next_line(file: &File<'_>, end: usize) -> usize {
    let mut lines = file.text.lines().enumerate().skip(end);
    let next = lines.find(|(_, line)| {
        let line = line.trim();
        !line.is_empty()
            && !["#", "//", "*", "/*", "<!--", "@"].iter().any(|start| line.starts_with(start))
    });
    next.map_or(end, |(at, _)| at + 1)
}

/// Comments of HTML, in Markdown too; blocks of code show examples and suppress nothing.
fn page_comments(file: &File<'_>) -> Vec<Comment> {
    let mut found = Vec::new();
    let mut fenced = false;
    let mut open: Option<Comment> = None;
    for (at, line) in file.text.lines().enumerate() {
        if file.language == Language::Markdown && line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        if open.is_none() && line.contains("<!--") {
            open = Some(Comment { line: at + 1, end_line: at + 1, text: String::new() });
        }
        if let Some(comment) = &mut open {
            comment.text += line;
            comment.text.push('\n');
            comment.end_line = at + 1;
            if line.contains("-->") {
                found.extend(open.take());
            }
        }
    }
    found
}
