//! Sleeping inside a timed region, so that the time of a wait is presented as that of work.
//!
//! A timed region goes from a variable that takes a clock to the place where that variable is subtracted. Waiting for
//! something (a loop with a way out), retrying, and keeping a rate are no simulation.

mod regions;
mod waits;

use super::{Code, finding};
use crate::flow::marks::{self, Mark};
use crate::flow::says_so;
use crate::rule::{Confidence, Finding, Rule};
use crate::syntax::{ExprKind, Function, Span, Stmt, StmtKind, visit};
use crate::words;
use regions::Region;
use std::collections::BTreeSet;
use waits::{Sleepers, Wait};

/// Looks at every function.
pub(super) fn check(code: &Code<'_>, found: &mut Vec<Finding>) {
    let sleepers = Sleepers::of(code.unit);
    let mut seen = BTreeSet::new();
    for function in &code.unit.functions {
        let excused =
            function.is_test || is_about_timers(code, function) || is_marked(&function.body);
        if excused {
            continue;
        }
        for (wait, region) in timed(code, function, &sleepers) {
            if seen.insert(wait.span.line) {
                found.push(judged(code, function, &wait, &region));
            }
        }
        for wait in standing_in(code, function, &sleepers) {
            if seen.insert(wait.span.line) {
                let message = "by its comment, sleeping stands in for the work".to_owned();
                found.push(finding(
                    code.file,
                    Rule::SleepInTiming,
                    Confidence::Medium,
                    wait.span,
                    message,
                ));
            }
        }
    }
}

/// Waits of which a comment says that they stand in for work, in a function by the name of that work.
fn standing_in(code: &Code<'_>, function: &Function, sleepers: &Sleepers) -> Vec<Wait> {
    let works = words::split(&function.name).iter().any(|word| {
        matches!(
            word.as_str(),
            "infer"
                | "inference"
                | "forward"
                | "benchmark"
                | "bench"
                | "measure"
                | "generate"
                | "predict"
                | "kernel"
                | "encode"
                | "execute"
        )
    });
    if !works || says_so(function) {
        return Vec::new();
    }
    let waits = waits::of(code.unit, &function.body, sleepers).into_iter();
    waits
        .filter(|wait| {
            !wait.excused
                && !wait.via_call
                && wait.callback.is_none()
                && code.comment_admits(wait.span.line)
        })
        .collect()
}

/// The waits of a function that stand in a timed region.
fn timed(code: &Code<'_>, function: &Function, sleepers: &Sleepers) -> Vec<(Wait, Region)> {
    let regions = regions::of(function);
    let waits = waits::of(code.unit, &function.body, sleepers);
    let mut found = Vec::new();
    for wait in waits.into_iter().filter(|wait| !wait.excused) {
        let region =
            regions.iter().filter(|region| region.holds(&wait)).min_by_key(|r| r.end - r.start);
        let Some(region) = region else { continue };
        // A total over rounds that are measured one by one may have pauses between them.
        let inner = regions.iter().any(|other| {
            region.start < other.start
                && other.end < region.end
                && !other.holds(&wait)
                && other.end <= wait.span.start
                && !wait.via_call
        });
        if !inner && !is_measured_itself(function, &wait) {
            let region = *region;
            found.push((wait, region));
        }
    }
    found
}

/// Whether the wait itself is what is measured: the time that was asked for is taken off what it took.
fn is_measured_itself(function: &Function, wait: &Wait) -> bool {
    let mut found = false;
    let named =
        |expr: &crate::syntax::Expr| !wait.amount.is_empty() && expr.last_name() == wait.amount;
    visit::expressions(&function.body, &mut |expr| match &expr.kind {
        ExprKind::Binary(operator, _, right) if operator == "-" => found |= named(right),
        ExprKind::Call(callee, args) if callee.last_name().ends_with("_sub") => {
            found |= args.iter().any(|arg| named(&arg.value));
        }
        _ => {}
    });
    found
}

fn judged(code: &Code<'_>, function: &Function, wait: &Wait, region: &Region) -> Finding {
    let admitted = code.comment_admits(wait.span.line);
    let alone = !works(function, region, wait);
    let confidence = if admitted || alone { Confidence::High } else { Confidence::Medium };
    let what = if wait.via_call { "a function that sleeps is called" } else { "sleeping" };
    let message = format!("{what} inside the region that is timed from line {}", region.line);
    finding(code.file, Rule::SleepInTiming, confidence, wait.span, message)
}

/// Whether anything else is called in the region.
fn works(function: &Function, region: &Region, wait: &Wait) -> bool {
    let mut calls = 0;
    visit::expressions(&function.body, &mut |expr| {
        if let ExprKind::Call(callee, _) = &expr.kind {
            let inside = region.start <= expr.span.start && expr.span.end <= region.end;
            let itself = expr.span.start <= wait.span.start && wait.span.end <= expr.span.end;
            let name = callee.last_name();
            let trivial = matches!(
                name,
                "range"
                    | "len"
                    | "append"
                    | "push"
                    | "print"
                    | "log"
                    | "println!"
                    | "from_millis"
                    | "uniform"
                    | "random"
                    | "gauss"
            );
            calls +=
                usize::from(inside && !itself && !trivial && !crate::flow::calls::is_clock(callee));
        }
    });
    calls > 0
}

/// Whether a function, its type or its file is about timers themselves.
fn is_about_timers(code: &Code<'_>, function: &Function) -> bool {
    let owner = function.owner.as_deref().unwrap_or_default();
    let named =
        [function.name.as_str(), owner, code.file.stem()].into_iter().any(words::is_about_timers);
    let mut measures_sleep = false;
    visit::statements(&function.body, &mut |statement| {
        if let StmtKind::Assign { target, .. } = &statement.kind {
            measures_sleep |= words::split(target.last_name()).iter().any(|word| {
                matches!(
                    word.as_str(),
                    "overshoot" | "drift" | "oversleep" | "granularity" | "skew" | "resolution"
                )
            });
        }
    });
    named || measures_sleep
}

/// Whether a function says in what it gives or prints that it simulates.
pub(super) fn is_marked(body: &[Stmt]) -> bool {
    let mut marked = false;
    visit::expressions(body, &mut |expr| match &expr.kind {
        ExprKind::Record(record) => marked |= marks::of_record(record) == Some(Mark::Simulated),
        ExprKind::Call(callee, args) if callee.last_name().starts_with(char::is_uppercase) => {
            marked |= args.iter().any(|arg| {
                let name = arg.name.as_deref().unwrap_or_default();
                marks::of_field(name, &arg.value) == Some(Mark::Simulated)
            });
        }
        ExprKind::Template(text, _) => marked |= words::text_declares(text),
        _ => {}
    });
    visit::statements(body, &mut |statement| {
        if let StmtKind::Assign { target, value, .. } = &statement.kind {
            let path = !matches!(target.kind, ExprKind::Name(_));
            let says = marks::of_field(target.last_name(), value) == Some(Mark::Simulated);
            marked |= path && says;
        }
    });
    marked
}

/// Whether `inner` stands in `outer`.
pub(super) fn within(inner: Span, outer: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
