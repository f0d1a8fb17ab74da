//! The regions of a function that are timed.

use super::waits::{Wait, is_timing};
use super::within;
use crate::flow::calls;
use crate::syntax::{Expr, ExprKind, Function, Span, Stmt, StmtKind, visit};
use crate::words;
use std::collections::BTreeMap;

/// From the reading of a clock to the reading that it is compared with, as byte offsets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where it starts.
    pub(super) line: usize,
}

impl Region {
    /// Whether a wait is part of the time.
    pub(super) fn holds(&self, wait: &Wait) -> bool {
        match wait.callback {
            Some(callback) => {
                self.start <= wait.span.start
                    && callback.start <= self.end
                    && self.end <= callback.end
            }
            None => self.start <= wait.span.start && wait.span.end <= self.end,
        }
    }
}

/// A reading of a clock that a variable holds.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Span,
}

/// The timed regions of a function whose time goes anywhere but into a comparison.
pub(super) fn of(function: &Function) -> Vec<Region> {
    let mut readings: BTreeMap<String, Vec<Reading>> = BTreeMap::new();
    visit::statements(&function.body, &mut |statement| {
        if let StmtKind::Assign { target, value, .. } = &statement.kind
            && let (Some(path), true) = (target.path(), calls::is_clock_read(value))
        {
            readings.entry(path).or_default().push(Reading { at: statement.span });
        }
    });
    let mut regions = Vec::new();
    for (start, end, at) in ends(function, &readings) {
        let mut begun = readings.get(&start).into_iter().flatten();
        // The last reading before the end is the one that counts.
        let begun = begun.rfind(|reading| reading.at.end <= end);
        if let (Some(begun), true) = (begun, is_recorded(function, at)) {
            regions.push(Region { start: begun.at.end, end, line: begun.at.line });
        }
    }
    regions.extend(labelled(&function.body));
    regions.extend(managed(&function.body));
    regions.extend(given(&function.body));
    if function.attributes.iter().any(|text| is_timing_attribute(text)) {
        let Span { start, end, line, .. } = function.span;
        regions.push(Region { start, end, line });
    }
    regions
}

/// Where a variable that holds a reading is subtracted: its name, the end of the region, and the place.
fn ends(
    function: &Function,
    readings: &BTreeMap<String, Vec<Reading>>,
) -> Vec<(String, usize, Span)> {
    let mut found = Vec::new();
    visit::expressions(&function.body, &mut |expr| match &expr.kind {
        ExprKind::Binary(operator, left, right) if operator == "-" => {
            let Some(path) = right.path().filter(|path| readings.contains_key(path)) else {
                return;
            };
            let read = left.path().and_then(|path| readings.get(&path));
            let read =
                read.into_iter().flatten().filter(|reading| reading.at.end <= expr.span.start);
            let end = read.map(|reading| reading.at.start).next_back();
            found.push((path, end.unwrap_or(expr.span.start), expr.span));
        }
        ExprKind::Call(callee, args) => {
            let last = callee.last_name();
            let ends = matches!(
                last,
                "elapsed"
                    | "duration_since"
                    | "elapsed_time"
                    | "hrtime"
                    | "since"
                    | "saturating_duration_since"
            );
            if !ends {
                return;
            }
            let object = match &callee.kind {
                ExprKind::Member(object, _) => object.path(),
                _ => None,
            };
            let given = args.iter().filter_map(|arg| arg.value.path());
            for path in object.into_iter().chain(given).filter(|path| readings.contains_key(path)) {
                found.push((path, expr.span.start, expr.span));
            }
        }
        _ => {}
    });
    found
}

/// Whether the time that is taken here goes anywhere but into conditions and waits.
fn is_recorded(function: &Function, at: Span) -> bool {
    let mut compared = false;
    visit::expressions(&function.body, &mut |expr| match &expr.kind {
        ExprKind::Binary(operator, ..) if matches!(operator.as_str(), "<" | ">" | "<=" | ">=") => {
            compared |= within(at, expr.span);
        }
        ExprKind::Call(callee, args) if calls::sleep(callee, args).is_some() => {
            compared |= within(at, expr.span);
        }
        _ => {}
    });
    if compared {
        return false;
    }
    let mut variable = None;
    visit::statements(&function.body, &mut |statement| {
        if let StmtKind::Assign { target: Expr { kind: ExprKind::Name(name), .. }, value, .. } =
            &statement.kind
            && within(at, value.span)
        {
            variable = Some(name.clone());
        }
    });
    variable.is_none_or(|name| is_used(&function.body, &name))
}

/// Whether a variable is used outside of conditions and of the time that is waited.
fn is_used(body: &[Stmt], name: &str) -> bool {
    let mut uses = 0usize;
    let mut conditions = 0usize;
    let count = |expr: &Expr| {
        let mut count = 0;
        visit::inside(expr, &mut |inner| {
            count += usize::from(matches!(&inner.kind, ExprKind::Name(found) if found == name));
        });
        count
    };
    visit::statements(body, &mut |statement| {
        if let StmtKind::Assign { target, .. } = &statement.kind {
            // Its own assignment is no use.
            conditions += count(target);
        }
    });
    visit::expressions(body, &mut |expr| match &expr.kind {
        ExprKind::Name(found) if found == name => uses += 1,
        ExprKind::Binary(operator, left, right)
            if matches!(operator.as_str(), "<" | ">" | "<=" | ">=") =>
        {
            conditions += count(left) + count(right);
        }
        ExprKind::Call(callee, args) if calls::sleep(callee, args).is_some() => {
            conditions += args.iter().map(|arg| count(&arg.value)).sum::<usize>();
        }
        _ => {}
    });
    uses > conditions
}

/// `console.time` to `console.timeEnd`, `performance.mark` to `performance.measure`.
fn labelled(body: &[Stmt]) -> Vec<Region> {
    let mut begun: Option<Span> = None;
    let mut regions = Vec::new();
    visit::expressions(body, &mut |expr| {
        let ExprKind::Call(callee, _) = &expr.kind else { return };
        match (callee.path().as_deref(), begun) {
            (Some("console.time"), _) => begun = Some(expr.span),
            (Some("performance.mark"), None) => begun = Some(expr.span),
            (Some("console.timeEnd" | "performance.measure"), Some(start)) => {
                regions.push(Region { start: start.end, end: expr.span.start, line: start.line });
                begun = None;
            }
            _ => {}
        }
    });
    regions
}

/// `with timer():` and the like.
fn managed(body: &[Stmt]) -> Vec<Region> {
    let mut regions = Vec::new();
    visit::statements(body, &mut |statement| {
        let StmtKind::With { items, body } = &statement.kind else { return };
        let timed = items.iter().any(|(value, _)| {
            let callee = match &value.kind {
                ExprKind::Call(callee, _) => callee,
                _ => value,
            };
            let measures = words::split(callee.last_name()).iter().any(|word| {
                matches!(
                    word.as_str(),
                    "timer"
                        | "timed"
                        | "timing"
                        | "stopwatch"
                        | "measure"
                        | "benchmark"
                        | "profiler"
                )
            });
            measures && !words::is_setting(callee.last_name())
        });
        if let (true, Some(first), Some(last)) = (timed, body.first(), body.last()) {
            regions.push(Region {
                start: first.span.start,
                end: last.span.end,
                line: statement.span.line,
            });
        }
    });
    regions
}

/// Lambdas that are given to something that times them: `timeit(lambda: …)`, `b.iter(|| …)`.
fn given(body: &[Stmt]) -> Vec<Region> {
    let mut regions = Vec::new();
    visit::expressions(body, &mut |expr| {
        let ExprKind::Call(callee, args) = &expr.kind else { return };
        let last = callee.last_name();
        let bench = ["iter", "iter_batched", "to_async"].contains(&last)
            && matches!(callee.root_name(), Some("b" | "bencher" | "bench"));
        let added =
            last == "add" && matches!(callee.root_name(), Some("bench" | "suite" | "benchmark"));
        let itself = matches!(callee.root_name(), Some("time")) && last == "time";
        if !(bench || added || is_timing(last) && !itself) {
            return;
        }
        for arg in args {
            let Span { start, end, line, .. } = arg.value.span;
            let lambda = matches!(arg.value.kind, ExprKind::Lambda(..));
            if lambda {
                regions.push(Region { start, end, line });
            }
        }
        // A function by its name is a wait at the place of the call.
        if args.iter().any(|arg| matches!(arg.value.kind, ExprKind::Name(_) | ExprKind::Member(..)))
        {
            let Span { start, end, line, .. } = expr.span;
            regions.push(Region { start, end, line });
        }
    });
    regions
}

fn is_timing_attribute(text: &str) -> bool {
    let name = text.trim_start_matches(['@', '#', '[', '!']).split('(').next().unwrap_or_default();
    words::split(name).iter().any(|word| {
        matches!(
            word.as_str(),
            "timed"
                | "timer"
                | "timeit"
                | "benchmark"
                | "profile"
                | "measure"
                | "stopwatch"
                | "timing"
        )
    })
}
