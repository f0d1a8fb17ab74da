//! What stands in for something that could not be imported, and answers in its place.
//!
//! Numbers in fallbacks are judged in `made_up`; here are answers of other kinds, and classes and functions that are
//! defined where an import has failed.

use super::{Code, finding};
use crate::flow::{Origins, SinkKind, Value, calls, is_import_failure};
use crate::rule::{Confidence, Finding, Rule};
use crate::syntax::{Expr, ExprKind, Function, Span, Stmt, StmtKind, visit};
use crate::words;
use std::collections::BTreeSet;

/// Looks at every fallback.
pub(super) fn check(code: &Code<'_>, found: &mut Vec<Finding>) {
    let known = found.iter().filter(|other| other.rule == Rule::FabricatedFallback);
    let mut known: BTreeSet<usize> = known.map(|other| other.line).collect();
    let mut add = |confidence, at: Span, message: String| {
        if known.insert(at.line) {
            found.push(finding(code.file, Rule::FabricatedFallback, confidence, at, message));
        }
    };
    for sink in &code.analysis.sinks {
        let function = &code.unit.functions[sink.function];
        let answers =
            sink.kind == SinkKind::Answer && !sink.marked && !sink.failed && !function.is_test;
        if answers && !code.analysis.declares(sink.function) {
            let message =
                format!("`{}` is made up where the real thing could not be had", sink.name);
            add(Confidence::Medium, sink.span, message);
        }
    }
    for function in code.unit.functions.iter().filter(|function| !function.is_test) {
        visit::statements(&function.body, &mut |statement| {
            let StmtKind::Try { body, handlers, .. } = &statement.kind else { return };
            for handler in
                handlers.iter().filter(|handler| is_import_failure(&handler.catches, body))
            {
                for inner in &handler.body {
                    if let Some(message) = stands_in(code, inner) {
                        add(Confidence::High, inner.span, message);
                    }
                }
            }
        });
    }
}

/// Whether a statement where an import has failed puts something in its place that makes results up.
fn stands_in(code: &Code<'_>, statement: &Stmt) -> Option<String> {
    match &statement.kind {
        StmtKind::Class(at) => {
            let class = code.unit.classes.get(*at)?;
            let made_up = class.methods.iter().any(|at| makes_up(code, *at));
            made_up.then(|| {
                format!(
                    "`{}` stands in for what could not be imported and makes its answers up",
                    class.name
                )
            })
        }
        StmtKind::Def(at) => {
            let function = &code.unit.functions[*at];
            let message = format!(
                "`{}` stands in for what could not be imported and makes its answers up",
                function.name
            );
            makes_up(code, *at).then_some(message)
        }
        StmtKind::Assign { value: Expr { kind: ExprKind::Call(callee, _), .. }, .. } => {
            let name = callee.last_name();
            let mock = words::split(name).iter().any(|word| word == "mock" || word == "fake");
            mock.then(|| format!("`{name}` stands in for what could not be imported"))
        }
        StmtKind::Import(text) => {
            let double = words::split(text).iter().any(|word| {
                matches!(
                    word.as_str(),
                    "mock" | "mocks" | "fake" | "fakes" | "stub" | "stubs" | "simulated"
                )
            });
            double.then(|| "a stand-in is imported for what could not be imported".to_owned())
        }
        _ => None,
    }
}

/// Whether a function gives numbers that nothing computes.
fn makes_up(code: &Code<'_>, at: usize) -> bool {
    let function = &code.unit.functions[at];
    let value = code.analysis.returned(at);
    let fields = value.fields.as_ref();
    let made_up = |value: &Value| {
        value.is_made_up()
            && !value.origins.has(Origins::CLOCK | Origins::UNKNOWN | Origins::HASHED)
    };
    let numbers = made_up(value) || fields.is_some_and(|fields| fields.values().any(made_up));
    (numbers || is_random(function)) && !value.marked
}

/// Whether a function returns something of a random generator.
fn is_random(function: &Function) -> bool {
    let mut random = false;
    visit::statements(&function.body, &mut |statement| {
        if let StmtKind::Return(Some(value)) = &statement.kind {
            visit::inside(value, &mut |expr| {
                if let ExprKind::Call(callee, args) = &expr.kind {
                    random |= calls::random(callee, args) == Some(calls::Random::Number);
                }
            });
        }
    });
    random
}
