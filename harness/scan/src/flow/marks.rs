//! What a record says of itself: that it is simulated, that it is real, that it failed.

use crate::syntax::{Expr, ExprKind, Record};
use crate::words;

/// What a field says of how the record came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Simulated, estimated or made up, or it depends.
    Simulated,
    /// Real.
    Real,
}

/// Keys whose text says what a record is.
const TELLING: [&str; 28] = [
    "mark",
    "source",
    "kind",
    "type",
    "origin",
    "provenance",
    "method",
    "mode",
    "quality",
    "status",
    "note",
    "notes",
    "warning",
    "warnings",
    "disclaimer",
    "comment",
    "data_source",
    "label",
    "implementation_type",
    "implementation",
    "measurement",
    "measurement_type",
    "basis",
    "evidence",
    "backend",
    "device",
    "hardware",
    "message",
];

/// Whether a key is one that marks: `is_simulated`, `mark`, `mock`.
pub(crate) fn is_mark_key(key: &str) -> bool {
    const SIMULATED: [&str; 14] = [
        "simulated",
        "simulation",
        "synthetic",
        "mocked",
        "mock",
        "estimated",
        "estimate",
        "emulated",
        "placeholder",
        "fake",
        "sim",
        "predicted",
        "dummy",
        "faked",
    ];
    const BESIDE: [&str; 16] = [
        "is",
        "was",
        "are",
        "has",
        "used",
        "uses",
        "using",
        "run",
        "mode",
        "flag",
        "result",
        "only",
        "fully",
        "partially",
        "warning",
        "contains",
    ];
    let words = words::split(key);
    let has = |word: &String| SIMULATED.contains(&word.as_str());
    let all = words.iter().all(|word| has(word) || BESIDE.contains(&word.as_str()));
    all && words.iter().any(has) || matches!(key, "mark" | "proof_mark" | "proofMark")
}

/// Whether a key says that something is real.
fn is_real_key(key: &str) -> bool {
    let words = words::split(key);
    let has = |word: &str| words.iter().any(|found| found == word);
    (has("real") && (words.len() == 1 || has("is") || has("hardware") || has("device")))
        || has("hardware") && (has("verified") || has("measured"))
        || matches!(key, "measured" | "is_measured" | "isMeasured" | "verified_on_hardware")
}

/// What one field says.
pub(crate) fn of_field(key: &str, value: &Expr) -> Option<Mark> {
    if is_mark_key(key) {
        return match &value.kind {
            ExprKind::Truth(false) => Some(Mark::Real),
            ExprKind::Null => None,
            ExprKind::Text(text) => of_text(text).or(Some(Mark::Simulated)),
            ExprKind::Member(_, last) | ExprKind::Name(last) => {
                of_text(last).or(Some(Mark::Simulated))
            }
            _ => Some(Mark::Simulated),
        };
    }
    if is_real_key(key) {
        return match value.kind {
            ExprKind::Truth(true) => Some(Mark::Real),
            ExprKind::Truth(false) => Some(Mark::Simulated),
            _ => None,
        };
    }
    let last = words::split(key).join("_");
    if !TELLING.contains(&last.as_str()) {
        return None;
    }
    match &value.kind {
        ExprKind::Text(text) | ExprKind::Template(text, _) => of_text(text),
        ExprKind::Member(_, last) => of_text(last),
        ExprKind::List(items) => items.iter().find_map(|item| of_field(key, item)),
        _ => None,
    }
}

/// What a text says by itself: `simulated`, `REAL_WEBGPU`, `measured on real hardware`.
pub(crate) fn of_text(text: &str) -> Option<Mark> {
    if words::text_declares(text) {
        return Some(Mark::Simulated);
    }
    let words = words::split(text);
    let real = words.iter().enumerate().any(|(at, word)| {
        let negated = at > 0 && matches!(words[at - 1].as_str(), "not" | "no" | "non" | "un");
        matches!(word.as_str(), "real" | "measured") && !negated
    });
    (real && words.len() <= 8).then_some(Mark::Real)
}

/// What a record says; a field that says simulated outweighs others.
pub(crate) fn of_record(record: &Record) -> Option<Mark> {
    let named = record.name.as_deref().is_some_and(|name| {
        words::split(name).iter().any(|word| words::is_declared(word) && word != "example")
    });
    if named {
        return Some(Mark::Simulated);
    }
    let marks: Vec<_> =
        record.fields.iter().filter_map(|(key, value)| of_field(key, value)).collect();
    marks.iter().copied().find(|mark| *mark == Mark::Simulated).or(marks.first().copied())
}

/// Whether a record says that something failed.
pub(crate) fn says_failed(record: &Record) -> bool {
    record.fields.iter().any(|(key, value)| {
        let words = words::split(key);
        let error = words.iter().any(|word| {
            matches!(word.as_str(), "error" | "err" | "exception" | "failure" | "reason" | "skipped" | "failed" | "errors")
        });
        let status = matches!(&value.kind, ExprKind::Text(text)
            if ["fail", "error", "skip", "unavailable", "unsupported", "missing", "timeout"].iter().any(|word| text.to_lowercase().contains(word)));
        let denied = words.iter().any(|word| matches!(word.as_str(), "success" | "ok" | "available" | "valid"))
            && matches!(value.kind, ExprKind::Truth(false));
        error && !matches!(value.kind, ExprKind::Null | ExprKind::Truth(false)) || status || denied
    })
}
