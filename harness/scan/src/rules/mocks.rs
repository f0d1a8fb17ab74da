//! Stand-ins of tests that are used outside of tests.

use super::sleep::{is_marked, within};
use super::{Code, finding};
use crate::rule::{Confidence, Finding, Rule};
use crate::syntax::{Expr, ExprKind, Function, Span, StmtKind, visit};
use crate::words;
use std::collections::BTreeSet;

/// What a stand-in must be of to make results up: something that would compute or measure.
const SUBJECTS: [&str; 32] = [
    "model",
    "session",
    "device",
    "backend",
    "engine",
    "runtime",
    "client",
    "adapter",
    "gpu",
    "provider",
    "pipeline",
    "network",
    "inference",
    "predictor",
    "executor",
    "accelerator",
    "service",
    "api",
    "hardware",
    "sensor",
    "profiler",
    "timer",
    "benchmark",
    "response",
    "result",
    "results",
    "runner",
    "llm",
    "npu",
    "tpu",
    "kernel",
    "infer",
];

/// Looks at every call outside of tests.
pub(super) fn check(code: &Code<'_>, found: &mut Vec<Finding>) {
    if words::split(code.file.stem()).iter().any(|word| words::is_double(word)) {
        return;
    }
    let library = imports_mocks(code);
    let mut seen = BTreeSet::new();
    for (at, function) in code.unit.functions.iter().enumerate() {
        if function.is_test || code.analysis.declares(at) || is_marked(&function.body) {
            continue;
        }
        let mut excusing = asked_for(function);
        excusing.extend(test_calls(function));
        let excused = |span: Span| excusing.iter().any(|outer| within(span, *outer));
        visit::expressions(&function.body, &mut |expr| {
            let ExprKind::Call(callee, _) = &expr.kind else { return };
            let kind = of_library(callee, library).or_else(|| of_name(callee, function));
            if let Some((confidence, what)) = kind
                && !excused(expr.span)
                && seen.insert(expr.span.line)
            {
                let rule = Rule::MockOutsideTests;
                found.push(finding(code.file, rule, confidence, expr.span, what));
            }
        });
    }
}

/// Whether a library of mocks is imported.
fn imports_mocks(code: &Code<'_>) -> bool {
    let mut found = false;
    for function in &code.unit.functions {
        visit::statements(&function.body, &mut |statement| {
            if let StmtKind::Import(text) = &statement.kind {
                found |= [
                    "unittest.mock",
                    "unittest import mock",
                    "from mock ",
                    "import mock",
                    "mockall",
                    "sinon",
                    "vitest",
                    "@jest",
                    "testdouble",
                ]
                .iter()
                .any(|name| text.contains(name));
            }
            if let StmtKind::Assign { value, .. } = &statement.kind {
                visit::inside(value, &mut |expr| {
                    if let ExprKind::Text(text) = &expr.kind {
                        found |= text == "sinon" || text == "jest-mock";
                    }
                });
            }
        });
    }
    found
}

/// A mock of a library: `MagicMock()`, `jest.fn()`, `MockDevice::new()`.
fn of_library(callee: &Expr, library: bool) -> Option<(Confidence, String)> {
    let path = callee.path()?;
    let last = callee.last_name();
    let python =
        matches!(last, "MagicMock" | "AsyncMock" | "NonCallableMagicMock" | "create_autospec")
            || library
                && matches!(
                    path.as_str(),
                    "Mock"
                        | "mock.Mock"
                        | "patch"
                        | "mock.patch"
                        | "patch.object"
                        | "mock.patch.object"
                        | "PropertyMock"
                );
    let root = callee.root_name().unwrap_or_default();
    let script = matches!(root, "jest" | "vi" | "sinon" | "td")
        && matches!(
            last,
            "fn" | "mock" | "spyOn" | "stub" | "fake" | "spy" | "func" | "replace" | "mocked"
        );
    let rust =
        root.starts_with("Mock") && root.len() > 4 && matches!(last, "new" | "default") && library;
    (python || script || rust).then(|| {
        (Confidence::High, format!("`{path}` of a library for tests is used outside of tests"))
    })
}

/// A stand-in by its name: `FakeModel()`, `mock_inference(x)`.
fn of_name(callee: &Expr, function: &Function) -> Option<(Confidence, String)> {
    let name = match &callee.kind {
        ExprKind::Name(name) => name.as_str(),
        ExprKind::Member(object, last) => match (&object.kind, last.as_str()) {
            (ExprKind::Name(name), "new" | "default" | "create") => name.as_str(),
            (ExprKind::Name(_), last) => last,
            _ => return None,
        },
        _ => return None,
    };
    let words = words::split(name);
    let double = words
        .iter()
        .any(|word| matches!(word.as_str(), "mock" | "fake" | "dummy" | "stub" | "mocked"));
    let subject = words.iter().any(|word| SUBJECTS.contains(&word.as_str()));
    let input = words.iter().any(|word| {
        matches!(
            word.as_str(),
            "input"
                | "inputs"
                | "data"
                | "dataset"
                | "batch"
                | "image"
                | "prompt"
                | "tensor"
                | "args"
                | "text"
        )
    });
    if !double || !subject || input || name.ends_with('!') {
        return None;
    }
    let measuring = words::is_measuring(&function.name);
    let confidence = if measuring { Confidence::High } else { Confidence::Medium };
    Some((confidence, format!("`{name}` stands in for the real thing outside of tests")))
}

/// The blocks that are reached where somebody asked for a stand-in: `if args.dry_run:`.
pub(super) fn asked_for(function: &Function) -> Vec<Span> {
    let mut found = Vec::new();
    visit::statements(&function.body, &mut |statement| {
        if let StmtKind::If { condition, then, otherwise } = &statement.kind
            && asks(condition)
        {
            found.extend(then.iter().chain(otherwise).map(|inner| inner.span));
        }
    });
    visit::expressions(&function.body, &mut |expr| {
        if let ExprKind::Branch(subjects, arms) = &expr.kind {
            let asked = subjects.iter().any(asks);
            let bodies = arms.iter().filter(|arm| asked || names_asking(&arm.pattern));
            found.extend(bodies.flat_map(|arm| arm.body.iter().map(|inner| inner.span)));
        }
    });
    found
}

fn names_asking(name: &str) -> bool {
    words::split(name).iter().any(|word| {
        matches!(
            word.as_str(),
            "simulate"
                | "simulated"
                | "simulation"
                | "mock"
                | "mocked"
                | "dry"
                | "fake"
                | "demo"
                | "offline"
                | "stub"
                | "test"
                | "testing"
                | "debug"
                | "synthetic"
                | "dryrun"
        )
    })
}

/// Whether a condition asks for a stand-in.
fn asks(condition: &Expr) -> bool {
    let mut found = false;
    visit::inside(condition, &mut |inner| {
        found |= names_asking(inner.last_name());
        if let ExprKind::Text(text) = &inner.kind {
            found |= names_asking(text);
        }
    });
    found
}

/// The calls of `describe`, `it` and `test` with a callback.
fn test_calls(function: &Function) -> Vec<Span> {
    let mut found = Vec::new();
    visit::expressions(&function.body, &mut |expr| {
        if let ExprKind::Call(callee, args) = &expr.kind {
            let test = matches!(
                callee.root_name(),
                Some(
                    "describe" | "it" | "test" | "suite" | "beforeEach" | "afterEach" | "beforeAll"
                )
            );
            if test && args.len() > 1 {
                found.push(expr.span);
            }
        }
    });
    found
}
