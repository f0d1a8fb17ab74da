//! Code that claims real hardware and in the same place denies it.

use super::mocks::asked_for;
use super::sleep::within;
use super::{Code, admits, finding};
use crate::flow::marks::{self, Mark};
use crate::rule::{Confidence, Finding, Rule};
use crate::syntax::{Expr, ExprKind, Function, Record, Span, StmtKind, visit};
use crate::words;

/// Looks at every record and every text that claims.
pub(super) fn check(code: &Code<'_>, found: &mut Vec<Finding>) {
    let mut fresh = Vec::new();
    for (at, function) in code.unit.functions.iter().enumerate() {
        let claims = if function.is_test { Vec::new() } else { claims(function) };
        if claims.is_empty() {
            continue;
        }
        let asked = asked_for(function);
        let denial = if asked.is_empty() && !code.analysis.declares(at) {
            denial(code, function, found)
        } else {
            None
        };
        for (span, claim) in claims {
            let message = match (claim, &denial) {
                (Claim::Contradiction, _) => {
                    Some("the record says both that it is real and that it is simulated".to_owned())
                }
                (Claim::Real, Some(denial)) => {
                    Some(format!("real hardware is claimed, but {denial}"))
                }
                (Claim::Real, None) => None,
            };
            let confidence =
                if claim == Claim::Contradiction { Confidence::High } else { Confidence::Medium };
            if let Some(message) = message {
                fresh.push(finding(code.file, Rule::DeniedClaim, confidence, span, message));
            }
        }
    }
    fresh.extend(of_comments(code, found));
    fresh.sort_by_key(|finding| finding.line);
    fresh.dedup_by_key(|finding| finding.line);
    found.extend(fresh);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Real,
    Contradiction,
}

/// The places of a function that claim.
fn claims(function: &Function) -> Vec<(Span, Claim)> {
    let mut found = Vec::new();
    visit::expressions(&function.body, &mut |expr| match &expr.kind {
        ExprKind::Record(record) => found.extend(of_record(record)),
        ExprKind::Text(text) | ExprKind::Template(text, _) if claims_real(text) => {
            found.push((expr.span, Claim::Real));
        }
        _ => {}
    });
    found
}

fn of_record(record: &Record) -> Option<(Span, Claim)> {
    let says = |mark: Mark| {
        record.fields.iter().find(|(key, value)| {
            let literal = matches!(value.kind, ExprKind::Text(_) | ExprKind::Truth(_));
            literal && marks::of_field(key, value) == Some(mark)
        })
    };
    let (_, claim) = says(Mark::Real)?;
    let contradicted = says(Mark::Simulated).is_some();
    Some((claim.span, if contradicted { Claim::Contradiction } else { Claim::Real }))
}

/// Whether a text claims that something ran on real hardware.
pub(crate) fn claims_real(text: &str) -> bool {
    const SAYS: [&str; 16] = [
        "real hardware",
        "actual hardware",
        "physical hardware",
        "real device",
        "real gpu",
        "real-hardware",
        "measured on",
        "real measurement",
        "real-world measurement",
        "actual measurement",
        "on-device measurement",
        "hardware-verified",
        "verified on hardware",
        "bare metal",
        "bare-metal",
        "genuine hardware",
    ];
    const TURNS: [&str; 22] = [
        "not ",
        "no ",
        "without",
        "before",
        "until",
        "instead",
        "once",
        "when",
        "if ",
        "requires",
        "need",
        "should",
        "must",
        "would",
        "todo",
        "never",
        "n't",
        "unless",
        "replace",
        "only",
        "in a real",
        "absence of",
    ];
    let lower = text.to_lowercase();
    SAYS.iter().any(|word| {
        lower.match_indices(word).any(|(at, _)| {
            let start = lower[..at].rfind(['.', ';', '\n', '!']).map_or(0, |end| end + 1);
            let before = lower.get(start..at).unwrap_or_default();
            !TURNS.iter().any(|turn| before.contains(turn))
        })
    }) && !admits(text)
}

/// What in a function denies a claim.
fn denial(code: &Code<'_>, function: &Function, found: &[Finding]) -> Option<String> {
    let lines = function.span;
    let last = code.file.text.get(..lines.end).map_or(usize::MAX, |text| text.lines().count());
    let whole = function.name.is_empty();
    let inside = |line: usize| whole || lines.line <= line && line <= last;
    let made_up = found.iter().find(|finding| {
        let rule = matches!(
            finding.rule,
            Rule::ConstantResult
                | Rule::RandomResult
                | Rule::SleepInTiming
                | Rule::FabricatedFallback
                | Rule::MockOutsideTests
        );
        rule && finding.confidence >= Confidence::Medium && inside(finding.line)
    });
    if let Some(made_up) = made_up {
        return Some(format!("{} in line {}", made_up.rule.summary(), made_up.line));
    }
    let double = doubles(function);
    if let Some((name, line)) = double {
        return Some(format!("`{name}` is called in line {line}"));
    }
    let admitted = code
        .unit
        .comments
        .iter()
        .find(|comment| !whole && inside(comment.line) && admits(&comment.text));
    admitted.map(|comment| format!("the comment in line {} says otherwise", comment.line))
}

/// A call of something that names itself a simulation or a stand-in.
fn doubles(function: &Function) -> Option<(String, usize)> {
    let mut found = None;
    let mut see = |callee: &Expr, span: Span| {
        let name = callee.last_name();
        let words = words::split(name);
        let double = words.iter().any(|word| {
            words::is_double(word)
                || matches!(word.as_str(), "simulate" | "simulated" | "simulation" | "synthetic")
        });
        let input = words.iter().any(|word| {
            matches!(word.as_str(), "input" | "inputs" | "data" | "is" | "batch" | "image")
        });
        if double && !input && found.is_none() {
            found = Some((name.to_owned(), span.line));
        }
    };
    visit::expressions(&function.body, &mut |expr| {
        if let ExprKind::Call(callee, _) = &expr.kind {
            see(callee, expr.span);
        }
    });
    found
}

/// Comments and texts at the top of a file that claim, where the file makes numbers up.
fn of_comments(code: &Code<'_>, found: &[Finding]) -> Vec<Finding> {
    let made_up = found.iter().find(|finding| {
        matches!(finding.rule, Rule::ConstantResult | Rule::RandomResult | Rule::SleepInTiming)
            && finding.confidence == Confidence::High
    });
    let Some(made_up) = made_up else { return Vec::new() };
    let message = format!(
        "real hardware is claimed, but {} in line {}",
        made_up.rule.summary(),
        made_up.line
    );
    let mut places: Vec<Span> = Vec::new();
    for comment in code.unit.comments.iter().filter(|comment| claims_real(&comment.text)) {
        places.push(Span { line: comment.line, column: 1, ..Span::default() });
    }
    // Strings that stand alone document a module, a class or a function of Python.
    for function in &code.unit.functions {
        visit::statements(&function.body, &mut |statement| {
            if let StmtKind::Eval(Expr { kind: ExprKind::Text(text), span }) = &statement.kind
                && claims_real(text)
                && !places.iter().any(|place| within(*place, *span))
            {
                places.push(*span);
            }
        });
    }
    places
        .into_iter()
        .map(|span| {
            finding(code.file, Rule::DeniedClaim, Confidence::Medium, span, message.clone())
        })
        .collect()
}
