//! Copies of a marked record that leave the mark out.

use super::Lost;
use crate::flow::calls;
use crate::flow::marks::{self, Mark, is_mark_key};
use crate::rule::Confidence;
use crate::rules::Code;
use crate::syntax::{Arg, Expr, ExprKind, Function, Record, StmtKind, visit};
use crate::words;
use std::collections::BTreeSet;

/// Methods that write a record.
const WRITERS: [&str; 20] = [
    "to_dict",
    "as_dict",
    "asdict",
    "toJSON",
    "toJson",
    "to_json",
    "serialize",
    "to_row",
    "to_record",
    "export",
    "into_report",
    "to_report",
    "to_csv",
    "to_csv_row",
    "toObject",
    "toRow",
    "as_row",
    "into_row",
    "as_record",
    "summary",
];

/// Looks at every record and row that copies quantities.
pub(super) fn check(code: &Code<'_>, lost: &mut Lost) {
    let marked_types: BTreeSet<&str> = code
        .unit
        .classes
        .iter()
        .filter(|class| class.fields.iter().any(|field| is_mark_key(&field.name)))
        .map(|class| class.name.as_str())
        .collect();
    let marked_keys = marked_keys(code);
    for (at, function) in code.unit.functions.iter().enumerate() {
        if function.is_test || mentions_mark(function) {
            continue;
        }
        let mut sources = typed_sources(function, &marked_types);
        sources.extend(assigned_sources(code, function));
        let own = function.owner.as_deref().filter(|_| WRITERS.contains(&function.name.as_str()));
        let marks_itself =
            own.is_some_and(|owner| marked_types.contains(owner) || sets_own_mark(code, owner));
        if marks_itself {
            sources.insert("self".to_owned());
            sources.insert("this".to_owned());
        }
        let certain = if marks_itself { Confidence::High } else { Confidence::Medium };
        let keys = if code.analysis.declares(at) { None } else { Some(&marked_keys) };
        visit::expressions(&function.body, &mut |expr| {
            let copies = match &expr.kind {
                ExprKind::Record(record) => of_record(record, &sources, keys),
                ExprKind::Call(callee, args) => of_call(callee, args, &sources),
                _ => None,
            };
            if let Some(from) = copies {
                let message = format!("the result is copied from `{from}`, and its mark is not");
                lost.push((expr.span, certain, message));
            }
        });
    }
}

/// The keys of records that this file marks, if it marks any.
fn marked_keys(code: &Code<'_>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for function in code.unit.functions.iter().filter(|function| !function.is_test) {
        visit::expressions(&function.body, &mut |expr| {
            if let ExprKind::Record(record) = &expr.kind {
                let marks = record.fields.iter().any(|(key, value)| {
                    is_mark_key(key) && marks::of_field(key, value) == Some(Mark::Simulated)
                });
                let quantity = record.fields.iter().any(|(key, _)| words::quantity(key).is_some());
                if marks && quantity {
                    keys.extend(record.fields.iter().map(|(key, _)| key.clone()));
                }
            }
        });
    }
    keys
}

/// Whether anything in a function is a mark or asks for one.
fn mentions_mark(function: &Function) -> bool {
    let mut mentions = function.params.iter().any(|param| is_mark_key(&param.name));
    visit::expressions(&function.body, &mut |expr| match &expr.kind {
        ExprKind::Text(text) => mentions |= is_mark_key(text),
        ExprKind::Record(record) => {
            mentions |= record.fields.iter().any(|(key, _)| is_mark_key(key))
                || marks::of_record(record) == Some(Mark::Simulated);
        }
        ExprKind::Name(name) | ExprKind::Member(_, name) => mentions |= is_mark_key(name),
        ExprKind::Call(_, args) => {
            mentions |= args.iter().any(|arg| arg.name.as_deref().is_some_and(is_mark_key))
        }
        ExprKind::Template(text, _) => mentions |= words::text_declares(text),
        _ => {}
    });
    mentions
}

/// Parameters whose type has a mark.
fn typed_sources(function: &Function, types: &BTreeSet<&str>) -> BTreeSet<String> {
    let is_marked = |kind: &str| {
        kind.split(|c: char| !c.is_alphanumeric() && c != '_').any(|name| types.contains(name))
    };
    let params = function.params.iter().filter(|param| is_marked(&param.kind));
    params.map(|param| param.name.clone()).collect()
}

/// Variables that hold a marked record, or parts of one.
fn assigned_sources(code: &Code<'_>, function: &Function) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit::statements(&function.body, &mut |statement| {
        let (target, value) = match &statement.kind {
            StmtKind::Assign { target, value, .. } => (target, value),
            StmtKind::Loop { head: Some(head), target: Some(target), .. } => (target, head),
            _ => return,
        };
        let marked = match &value.kind {
            ExprKind::Call(callee, _) => {
                let name = callee.last_name();
                let mut given = code.analysis.named(name).iter();
                given.any(|at| code.analysis.returned(*at).marked)
            }
            ExprKind::Name(name) => found.contains(name),
            _ => false,
        };
        if marked {
            match &target.kind {
                ExprKind::Name(name) => {
                    found.insert(name.clone());
                }
                ExprKind::Record(record) if record.spread.is_empty() => {
                    found.extend(
                        record.fields.iter().map(|(_, bound)| bound.last_name().to_owned()),
                    );
                }
                _ => {}
            }
        }
    });
    found
}

/// Whether a class sets a mark on itself somewhere.
fn sets_own_mark(code: &Code<'_>, owner: &str) -> bool {
    code.unit.functions.iter().filter(|function| function.owner.as_deref() == Some(owner)).any(
        |function| {
            let mut sets = false;
            visit::statements(&function.body, &mut |statement| {
                if let StmtKind::Assign { target, .. } = &statement.kind {
                    let own = matches!(target.root_name(), Some("self" | "this"));
                    sets |= own && is_mark_key(target.last_name());
                }
            });
            sets
        },
    )
}

/// A record that takes a quantity from a marked one.
fn of_record(
    record: &Record,
    sources: &BTreeSet<String>,
    keys: Option<&BTreeSet<String>>,
) -> Option<String> {
    if record.spread.iter().any(|inner| inner.root_name().is_some()) {
        return None;
    }
    let quantities = record.fields.iter().filter(|(key, _)| words::quantity(key).is_some());
    for (key, value) in quantities {
        let Some((root, read)) = copied(value) else { continue };
        if sources.contains(&root) {
            return Some(root);
        }
        // A record of the same keys as those that this file marks, copied one by one.
        let alike = keys.is_some_and(|keys| keys.contains(&read) && keys.contains(key));
        let several = record
            .fields
            .iter()
            .filter(|(_, value)| copied(value).is_some_and(|(other, _)| other == root))
            .count();
        if alike && several >= 2 {
            return Some(root);
        }
    }
    None
}

/// A row that is written: `writer.writerow([r["model"], r["latency_ms"]])`.
fn of_call(callee: &Expr, args: &[Arg], sources: &BTreeSet<String>) -> Option<String> {
    let last = callee.last_name();
    let writes = matches!(
        last,
        "writerow" | "append" | "push" | "write_record" | "add_row" | "writeln!" | "write!"
    );
    let constructs =
        last.starts_with(char::is_uppercase) && args.iter().any(|arg| arg.name.is_some());
    if !(writes || constructs) {
        return None;
    }
    let of_list = args.iter().flat_map(|arg| match &arg.value.kind {
        ExprKind::List(items) => items.iter().collect::<Vec<_>>(),
        ExprKind::Template(_, parts) if last.ends_with('!') => parts.iter().collect(),
        _ if constructs => vec![&arg.value],
        _ => Vec::new(),
    });
    let copied: Vec<_> =
        of_list.filter_map(copied).filter(|(root, _)| sources.contains(root)).collect();
    let quantity = copied.iter().any(|(_, key)| words::quantity(key).is_some());
    (quantity && copied.len() >= 2).then(|| copied[0].0.clone())
}

/// What a value copies: a field of a variable, or the variable itself, perhaps rounded.
fn copied(value: &Expr) -> Option<(String, String)> {
    match &value.kind {
        ExprKind::Name(name) => Some((name.clone(), name.clone())),
        ExprKind::Member(object, key) => Some((object.root_name()?.to_owned(), key.clone())),
        ExprKind::Index(object, key) => match &key.kind {
            ExprKind::Text(key) => Some((object.root_name()?.to_owned(), key.clone())),
            _ => None,
        },
        ExprKind::Call(callee, args) => match (&callee.kind, args.first().map(|arg| &arg.value)) {
            (ExprKind::Member(object, last), Some(Expr { kind: ExprKind::Text(key), .. }))
                if last == "get" =>
            {
                Some((object.root_name()?.to_owned(), key.clone()))
            }
            (_, Some(first)) if calls::passes(callee.last_name()) => copied(first),
            (ExprKind::Member(object, last), _) => {
                let keeps = matches!(
                    last.as_str(),
                    "toFixed"
                        | "clone"
                        | "to_owned"
                        | "to_string"
                        | "copy"
                        | "as_secs_f64"
                        | "round"
                );
                if keeps { copied(object) } else { None }
            }
            _ => None,
        },
        _ => None,
    }
}
