//! What `incremental` prints: the plan, the table of what was measured, and the same as JSON.

use super::measure::Done;
use crate::output;
use anyhow::Result;
use proofmark::Absence;
use proofmark::record::Record;
use proofmark_lab::figures::{duration_ns, percent, three_digits};
use proofmark_lab::plan::{Entry, Plan, Skipped};
use proofmark_lab::{report, stats};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The plan, most valuable first.
pub(super) fn plan(plan: &Plan) -> Result<()> {
    if plan.entries.is_empty() {
        return Ok(());
    }
    let mut table = output::table(["case", "reason", "value", "expected"]);
    for entry in &plan.entries {
        table.add_row([
            entry.case_id.to_string(),
            entry.reason.to_string(),
            three_digits(entry.value),
            duration_ns(entry.expected_s * 1e9),
        ]);
    }
    output::print(&format!("{table}\n"))
}

/// The table of what was measured, a line of totals, and why endpoints were skipped.
pub(super) fn summary(plan: &Plan, done: &[Done], dry_run: bool) -> Result<()> {
    let mut text = String::new();
    if !done.is_empty() {
        let header = ["case", "mark", "reason", "median", "noise", "throughput", "outcome"];
        let mut table = output::table(header);
        for done in done {
            table.add_row(row(done));
        }
        let _ = writeln!(text, "{table}");
    }
    for done in done.iter().filter(|done| done.failed()) {
        let message = done.record.message.as_deref().unwrap_or("it gave no message");
        let _ = writeln!(text, "{}: {}: {message}", done.record.case, done.record.outcome.name());
    }
    let _ = writeln!(text, "{}", totals(plan, done, dry_run));
    for ((endpoint, reason), count) in skips(&plan.skipped) {
        let _ = writeln!(text, "skipped: {} on {endpoint}: {reason}", cases(count));
    }
    output::print(&text)
}

fn row(done: &Done) -> [String; 7] {
    let record = &done.record;
    let samples = &record.samples.latency_ns;
    let median = stats::median(samples);
    let figure = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    [
        record.case.to_string(),
        match record.mark {
            None => "-".to_owned(),
            mark => report::kind(mark, !record.fallbacks.is_empty()),
        },
        done.reason.to_string(),
        figure(median.map(duration_ns)),
        figure(stats::relative_noise(samples).map(percent)),
        figure(throughput(record).map(|rate| format!("{}/s", three_digits(rate)))),
        record.outcome.name().to_owned(),
    ]
}

/// Items per second; of a device whose model has no batch, nothing.
fn throughput(record: &Record) -> Option<f64> {
    let median = stats::median(&record.samples.latency_ns).filter(|&median| median > 0.0)?;
    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^53")]
    record.metrics.items_per_run.map(|items| items as f64 * 1e9 / median)
}

fn totals(plan: &Plan, done: &[Done], dry_run: bool) -> String {
    let valid = format!("{} with a valid result", cases(plan.valid));
    let skipped = plan.skipped.len();
    if plan.entries.is_empty() {
        return format!("nothing to do: {valid}, {skipped} skipped");
    }
    if dry_run {
        return format!("{} planned, {valid}, {skipped} skipped", cases(plan.entries.len()));
    }
    let failed = done.iter().filter(|done| done.failed()).count();
    let measured = done.len() - failed;
    let deferred = plan.entries.len() - done.len();
    let deferred = match deferred {
        0 => String::new(),
        n => format!(", {n} left for want of budget"),
    };
    format!("{} measured, {failed} failed, {valid}, {skipped} skipped{deferred}", cases(measured))
}

fn cases(count: usize) -> String {
    format!("{count} case{}", if count == 1 { "" } else { "s" })
}

/// How many cases are skipped on each endpoint for each reason.
fn skips(skipped: &[Skipped]) -> BTreeMap<(String, &str), usize> {
    let mut counts = BTreeMap::new();
    for Skipped { case_id, reason } in skipped {
        *counts.entry((case_id.endpoint.to_string(), reason.reason())).or_insert(0) += 1;
    }
    counts
}

/// The lists `planned`, `measured`, `failed`, `skipped` and `deferred`, each of objects with a case id and reason.
pub(super) fn json(plan: &Plan, done: &[Done], dry_run: bool) -> Result<()> {
    let list = |failed: bool| -> Vec<Value> {
        done.iter().filter(|done| done.failed() == failed).map(object).collect()
    };
    let ran = |entry: &&Entry| done.iter().any(|done| done.record.case == entry.case_id);
    let deferred: Vec<_> = plan.entries.iter().filter(|entry| !dry_run && !ran(entry)).collect();
    output::print_json(&json!({
        "planned": plan.entries,
        "measured": list(false),
        "failed": list(true),
        "skipped": plan.skipped.iter().map(skipped).collect::<Vec<_>>(),
        "deferred": deferred,
        "valid": plan.valid,
    }))
}

fn object(done: &Done) -> Value {
    let record = &done.record;
    let samples = &record.samples.latency_ns;
    json!({
        "case_id": record.case,
        "reason": done.reason,
        "outcome": record.outcome,
        "mark": record.mark,
        "fallbacks": record.fallbacks,
        "message": record.message,
        "latency_ns_median": stats::median(samples),
        "relative_noise": stats::relative_noise(samples),
        "throughput_items_per_s": throughput(record),
        "recorded_at": record.recorded_at,
    })
}

fn skipped(skipped: &Skipped) -> Value {
    let kind = match skipped.reason {
        Absence::Endpoint { .. } => "endpoint",
        Absence::Resource { .. } => "resource",
    };
    let message = skipped.reason.reason();
    json!({ "case_id": skipped.case_id, "reason": { "kind": kind, "message": message } })
}
