//! Marks that say simulated, and are lost: removed, overwritten, never read, or left out of a copy.

mod copies;

use super::{Code, finding};
use crate::flow::marks::{self, is_mark_key};
use crate::rule::{Confidence, Finding, Rule};
use crate::syntax::{Arg, Expr, ExprKind, Function, Span, Stmt, StmtKind, visit};
use crate::words;
use std::collections::{BTreeMap, BTreeSet};

/// Looks at every function and every class.
pub(super) fn check(code: &Code<'_>, found: &mut Vec<Finding>) {
    let mut lost: Vec<(Span, Confidence, String)> = Vec::new();
    for function in code.unit.functions.iter().filter(|function| !function.is_test) {
        removed(function, &mut lost);
        overwritten(&function.body, &mut BTreeSet::new(), &mut lost);
        unread(code, function, &mut lost);
    }
    skipped(code, &mut lost);
    copies::check(code, &mut lost);
    let mut seen = BTreeSet::new();
    for (span, confidence, message) in lost {
        if seen.insert(span.line) {
            found.push(finding(code.file, Rule::DroppedMark, confidence, span, message));
        }
    }
}

type Lost = Vec<(Span, Confidence, String)>;

fn is_mark_text(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Text(text) => is_mark_key(text),
        ExprKind::List(items) => items.iter().any(is_mark_text),
        _ => false,
    }
}

/// A mark that is popped, deleted or filtered out.
fn removed(function: &Function, lost: &mut Lost) {
    let renamed = sets_a_mark(function);
    visit::statements(&function.body, &mut |statement| match &statement.kind {
        StmtKind::Eval(value) | StmtKind::Value(value) => {
            if let Some(span) = taken(value).filter(|_| !renamed) {
                lost.push((
                    span,
                    Confidence::High,
                    "the mark is taken out of the result".to_owned(),
                ));
            }
        }
        StmtKind::Return(Some(value)) => {
            if let Some(span) = taken(value).filter(|_| !renamed) {
                lost.push((
                    span,
                    Confidence::High,
                    "the mark is taken out of the result".to_owned(),
                ));
            }
        }
        StmtKind::Assign { target, value, .. } => {
            let used = || target.root_name().is_some_and(|name| uses(&function.body, name) > 1);
            if let Some(span) = taken(value).filter(|_| !renamed && !used()) {
                lost.push((
                    span,
                    Confidence::High,
                    "the mark is taken out of the result and not used".to_owned(),
                ));
            }
            destructured(function, target, lost);
        }
        StmtKind::Delete(targets) => {
            let mark = targets.iter().find(|target| {
                is_mark_key(target.last_name()) && !matches!(target.kind, ExprKind::Name(_))
            });
            if let Some(target) = mark.filter(|_| !renamed) {
                lost.push((
                    target.span,
                    Confidence::High,
                    "the mark is deleted from the result".to_owned(),
                ));
            }
        }
        _ => {}
    });
    visit::expressions(&function.body, &mut |expr| {
        if let Some(message) = filtered(expr) {
            lost.push((expr.span, Confidence::High, message));
        }
    });
}

/// Whether a function sets a mark that says simulated on something.
fn sets_a_mark(function: &Function) -> bool {
    let mut sets = false;
    visit::statements(&function.body, &mut |statement| {
        if let StmtKind::Assign { target, value, .. } = &statement.kind {
            let path = !matches!(target.kind, ExprKind::Name(_));
            sets |=
                path && marks::of_field(target.last_name(), value) == Some(marks::Mark::Simulated);
        }
    });
    visit::expressions(&function.body, &mut |expr| {
        if let ExprKind::Record(record) = &expr.kind {
            sets |= marks::of_record(record) == Some(marks::Mark::Simulated);
        }
    });
    sets
}

/// `result.pop("is_simulated")` and the like.
fn taken(value: &Expr) -> Option<Span> {
    let ExprKind::Call(callee, args) = &value.kind else { return None };
    let removes = matches!(
        callee.last_name(),
        "pop"
            | "remove"
            | "delete"
            | "swap_remove"
            | "shift_remove"
            | "deleteProperty"
            | "remove_entry"
            | "unset"
            | "discard"
    );
    let mark = args.iter().take(2).any(|arg| is_mark_text(&arg.value));
    (removes && mark).then_some(value.span)
}

/// `const { isSimulated, ...rest } = result`, where only the rest is used.
fn destructured(function: &Function, target: &Expr, lost: &mut Lost) {
    let ExprKind::Record(record) = &target.kind else { return };
    if record.spread.is_empty() {
        return;
    }
    for (key, bound) in &record.fields {
        let name = bound.last_name();
        if is_mark_key(key) && uses(&function.body, name) <= 1 {
            lost.push((
                bound.span,
                Confidence::High,
                "the mark is split off and not used".to_owned(),
            ));
        }
    }
}

fn uses(body: &[Stmt], name: &str) -> usize {
    let mut count = 0;
    visit::expressions(body, &mut |expr| {
        count += usize::from(matches!(&expr.kind, ExprKind::Name(found) if found == name));
    });
    count
}

/// A comprehension, a filter or a call that leaves the mark out by its name.
fn filtered(expr: &Expr) -> Option<String> {
    let message = "the mark is filtered out by its name".to_owned();
    match &expr.kind {
        ExprKind::Each(_, sources) => sources.iter().any(excludes).then_some(message),
        ExprKind::Call(callee, args) => {
            let last = callee.last_name();
            let selects = matches!(
                last,
                "filter"
                    | "retain"
                    | "filter_map"
                    | "filterEntries"
                    | "pickBy"
                    | "omitBy"
                    | "stringify"
            );
            let lambda = args.iter().any(|arg| match &arg.value.kind {
                ExprKind::Lambda(_, body) => {
                    let mut found = false;
                    visit::expressions(body, &mut |inner| {
                        found |= excludes_directly(inner, last == "stringify")
                    });
                    found
                }
                _ => false,
            });
            let omits = matches!(last, "omit" | "drop" | "without" | "drop_columns")
                && args.iter().any(|arg| is_mark_text(&arg.value));
            (selects && lambda || omits || args.iter().any(is_exclusion)).then_some(message)
        }
        _ => None,
    }
}

/// `exclude={"is_simulated"}`.
fn is_exclusion(arg: &Arg) -> bool {
    matches!(arg.name.as_deref(), Some("exclude" | "exclude_fields" | "omit" | "columns"))
        && is_mark_text(&arg.value)
        && arg.name.as_deref() != Some("columns")
}

fn excludes(expr: &Expr) -> bool {
    let mut found = false;
    visit::inside(expr, &mut |inner| found |= excludes_directly(inner, false));
    found
}

fn excludes_directly(expr: &Expr, equal_too: bool) -> bool {
    match &expr.kind {
        ExprKind::Binary(operator, left, right) => {
            let differs = matches!(operator.as_str(), "!=" | "!==" | "not in");
            let equals = equal_too && matches!(operator.as_str(), "==" | "===");
            (differs || equals) && (is_mark_text(right) || is_mark_text(left))
        }
        ExprKind::Not(inner) => match &inner.kind {
            ExprKind::Binary(operator, _, right) => operator == "in" && is_mark_text(right),
            ExprKind::Call(callee, args) => match &callee.kind {
                ExprKind::Member(object, last) => {
                    let names = matches!(last.as_str(), "startswith" | "startsWith" | "starts_with")
                        && args.iter().any(|arg| matches!(&arg.value.kind, ExprKind::Text(text) if words::names_double(text)));
                    names
                        || matches!(last.as_str(), "includes" | "has" | "contains")
                            && is_mark_text(object)
                }
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}

/// A mark that is set, and then set to false on the same way.
fn overwritten(body: &[Stmt], set: &mut BTreeSet<String>, lost: &mut Lost) {
    for statement in body {
        match &statement.kind {
            StmtKind::Assign { target, value, .. } => {
                let Some(path) = target.path() else { continue };
                if let ExprKind::Record(record) = &value.kind {
                    for (key, inner) in &record.fields {
                        if is_mark_key(key) && matches!(inner.kind, ExprKind::Truth(true)) {
                            set.insert(format!("{path}.{key}"));
                        }
                    }
                }
                if matches!(target.kind, ExprKind::Name(_)) || !is_mark_key(target.last_name()) {
                    continue;
                }
                match marks::of_field(target.last_name(), value) {
                    Some(marks::Mark::Simulated) if !matches!(value.kind, ExprKind::Name(_)) => {
                        set.insert(path);
                    }
                    _ if set.contains(&path) && !matches!(value.kind, ExprKind::Name(_)) => {
                        lost.push((
                            statement.span,
                            Confidence::High,
                            "the mark was set, and is taken back here".to_owned(),
                        ));
                    }
                    _ => {}
                }
            }
            StmtKind::With { body, .. } | StmtKind::Block(body) | StmtKind::Try { body, .. } => {
                overwritten(body, set, lost);
            }
            StmtKind::If { then, otherwise, .. } => {
                // A condition may well decide anew, so what was set before does not count inside.
                overwritten(then, &mut BTreeSet::new(), lost);
                overwritten(otherwise, &mut BTreeSet::new(), lost);
            }
            StmtKind::Loop { body, .. } => overwritten(body, &mut BTreeSet::new(), lost),
            _ => {}
        }
    }
}

/// A variable or a parameter that says simulated, which nothing reads, in a function that gives quantities.
fn unread(code: &Code<'_>, function: &Function, lost: &mut Lost) {
    if function.name.is_empty() || !gives_quantities(function) {
        return;
    }
    let mut names: Vec<(String, Span, bool)> = Vec::new();
    visit::statements(&function.body, &mut |statement| {
        let StmtKind::Assign { target, value, .. } = &statement.kind else { return };
        let denies = matches!(value.kind, ExprKind::Truth(false) | ExprKind::Null);
        match &target.kind {
            ExprKind::Name(name) if !denies => names.push((name.clone(), target.span, true)),
            ExprKind::List(items) => {
                let plain = items.iter().filter(|item| matches!(item.kind, ExprKind::Name(_)));
                names.extend(plain.map(|item| (item.last_name().to_owned(), item.span, true)));
            }
            _ => {}
        }
    });
    let params = function.params.iter().map(|param| (param.name.clone(), function.span, false));
    let mut unused: BTreeMap<(String, bool), bool> = BTreeMap::new();
    for (name, span, assigned) in names.into_iter().chain(params) {
        let mark = is_mark_key(&name) && name != "mark" && !name.starts_with('_');
        let flag = words::split(&name).iter().any(|word| {
            word.starts_with("simulat")
                || word == "synthetic"
                || word == "mocked"
                || word == "estimated"
                || word == "fake"
        });
        if !(mark && flag) {
            continue;
        }
        let unused = *unused.entry((name.clone(), assigned)).or_insert_with(|| {
            let known = if assigned { assignments(&function.body, &name) } else { 0 };
            uses(&function.body, &name) <= known && !captured(code, function, &name)
        });
        if unused {
            let what = if assigned { "is set" } else { "is a parameter" };
            lost.push((span, Confidence::Medium, format!("`{name}` {what}, and nothing reads it")));
        }
    }
}

fn assignments(body: &[Stmt], name: &str) -> usize {
    let mut count = 0;
    visit::statements(body, &mut |statement| {
        if let StmtKind::Assign { target, .. } = &statement.kind {
            visit::inside(target, &mut |inner| {
                count += usize::from(matches!(&inner.kind, ExprKind::Name(found) if found == name));
            });
        }
    });
    count
}

/// Whether a function that is defined in this one uses the name.
fn captured(code: &Code<'_>, function: &Function, name: &str) -> bool {
    let mut found = false;
    visit::statements(&function.body, &mut |statement| {
        if let StmtKind::Def(at) = statement.kind {
            found |= uses(&code.unit.functions[at].body, name) > 0;
        }
    });
    found
}

/// Whether a function gives a record with a quantity, or a quantity by its own name.
fn gives_quantities(function: &Function) -> bool {
    let mut gives = words::quantity(&function.name).is_some();
    visit::expressions(&function.body, &mut |expr| match &expr.kind {
        ExprKind::Record(record) => {
            gives |= record.fields.iter().any(|(key, _)| words::quantity(key).is_some());
        }
        ExprKind::Call(callee, args) if callee.last_name().starts_with(char::is_uppercase) => {
            gives |= args
                .iter()
                .any(|arg| arg.name.as_deref().is_some_and(|name| words::quantity(name).is_some()));
        }
        _ => {}
    });
    gives
}

/// Fields that are left out when a record is written: `#[serde(skip)] is_simulated`.
fn skipped(code: &Code<'_>, lost: &mut Lost) {
    for class in code.unit.classes.iter().filter(|class| !class.is_test) {
        for field in &class.fields {
            let skips = field.attributes.contains("serde(")
                && field.attributes.contains("skip")
                && !field.attributes.contains("skip_serializing_if")
                && !field.attributes.contains("skip_deserializing");
            if skips && is_mark_key(&field.name) {
                lost.push((
                    field.span,
                    Confidence::High,
                    format!("`{}` is left out when the record is written", field.name),
                ));
            }
        }
    }
}
