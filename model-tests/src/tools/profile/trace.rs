//! One run as a Chrome trace (Trace Event Format, JSON object form), for Perfetto and `chrome://tracing`.

use super::super::table;
use super::analysis::{Profile, Span};
use serde_json::{Value, json};

/// Complete events for the steps, and a counter for the bytes that live. Times are microseconds.
pub(super) fn trace(profile: &Profile) -> String {
    let device = table::device(&profile.device);
    let mut events = vec![
        named("process_name", format!("{} · {}", profile.case, profile.device.mark)),
        named("thread_name", device.clone()),
    ];
    for span in &profile.timeline {
        events.push(step(profile, span));
        events.push(json!({
            "ph": "C", "pid": 1, "tid": 1, "name": "values alive",
            "ts": us(span.start_ns), "args": { "bytes": span.live_bytes },
        }));
    }
    let trace = json!({
        "displayTimeUnit": "ns",
        "otherData": { "case": profile.case, "mark": profile.device.mark, "device": device },
        "traceEvents": events,
    });
    trace.to_string()
}

fn step(profile: &Profile, span: &Span) -> Value {
    let op = &profile.ops[span.op];
    json!({
        "ph": "X", "pid": 1, "tid": 1, "name": span.name, "cat": op.kind,
        "ts": us(span.start_ns), "dur": us(span.time_ns),
        "args": {
            "nodes": op.nodes,
            "operations": op.work.operations,
            "bytes": op.work.bytes,
            "of_roof": op.work.of_roof,
            "live_bytes": span.live_bytes,
        },
    })
}

fn named(what: &str, name: String) -> Value {
    json!({ "ph": "M", "pid": 1, "tid": 1, "name": what, "args": { "name": name } })
}

fn us(ns: u64) -> f64 {
    ns as f64 * 1e-3
}
