//! Numbers that are presented as measured and come from constants, random generators or formulas.

use super::{Code, finding};
use crate::flow::{Origins, Scope, Sink, SinkKind, says_so};
use crate::rule::{Confidence, Finding, Rule};
use crate::words::{self, Quantity};
use std::collections::BTreeSet;

/// Words of containers that hold what is known of things, not what was measured.
const CATALOGUES: [&str; 34] = [
    "device",
    "devices",
    "hardware",
    "gpus",
    "gpu",
    "catalog",
    "catalogue",
    "table",
    "presets",
    "preset",
    "registry",
    "database",
    "properties",
    "known",
    "lookup",
    "levels",
    "tiers",
    "constants",
    "defaults",
    "parser",
    "argument",
    "args",
    "arg",
    "params",
    "parameters",
    "plan",
    "request",
    "policy",
    "profiles",
    "fixture",
    "fixtures",
    "test",
    "tests",
    "scenario",
];

/// Looks at every sink.
pub(super) fn check(code: &Code<'_>, found: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for sink in &code.analysis.sinks {
        let Some((rule, confidence, message)) = judge(code, sink) else { continue };
        if seen.insert((sink.span.line, rule)) {
            found.push(finding(code.file, rule, confidence, sink.span, message));
        }
    }
}

fn judge(code: &Code<'_>, sink: &Sink) -> Option<(Rule, Confidence, String)> {
    let function = &code.unit.functions[sink.function];
    let origins = sink.value.origins;
    if function.is_test
        || sink.marked
        || origins.has(Origins::DECLARED)
        || words::declares(&sink.name)
    {
        return None;
    }
    let quantity = presented(sink, &function.name)?;
    if sink
        .container
        .split(' ')
        .any(|name| words::is_setting(name) || words::declares(name) && name != function.name)
    {
        return None;
    }
    if code.analysis.declares(sink.function) && sink.value.via.is_none() {
        return unmarked_simulation(code, sink, quantity);
    }
    let random = origins.has(Origins::RANDOM);
    let stands_in = matches!(sink.scope, Some(Scope::NoImport | Scope::Absent | Scope::Failed));
    if (stands_in || sink.value.fallback.is_some()) && falls_back(sink, quantity) {
        let confidence = match sink.scope {
            Some(Scope::NoImport) => Confidence::High,
            _ if random => Confidence::High,
            _ => Confidence::Medium,
        };
        let message = format!("`{}` is made up where the real thing could not be had", label(sink));
        return Some((Rule::FabricatedFallback, confidence, message));
    }
    if random {
        return Some(of_random(sink, quantity));
    }
    of_constant(code, sink, quantity)
}

/// The quantity as which a number is presented.
fn presented(sink: &Sink, function: &str) -> Option<Quantity> {
    match sink.kind {
        SinkKind::Answer => return None,
        SinkKind::Return => {}
        _ => return words::quantity(&sink.name),
    }
    let words = words::split(function);
    let verb = words.first().is_some_and(|first| {
        matches!(
            first.as_str(),
            "measure"
                | "bench"
                | "benchmark"
                | "time"
                | "timed"
                | "profile"
                | "get"
                | "run"
                | "compute"
                | "collect"
                | "record"
                | "read"
                | "query"
                | "calculate"
                | "evaluate"
                | "test"
                | "fetch"
                | "capture"
                | "infer"
                | "inference"
                | "avg"
                | "average"
        )
    });
    let measuring = words.iter().any(|word| {
        matches!(word.as_str(), "measure" | "measured" | "bench" | "benchmark" | "profile")
    });
    if words::is_setting(function) {
        return None;
    }
    let named = words::quantity(function);
    match named {
        Some(quantity) if verb || measuring || words.len() <= 3 => Some(quantity),
        None if measuring => Some(Quantity::Time),
        _ => None,
    }
}

fn label(sink: &Sink) -> String {
    match sink.kind {
        SinkKind::Return => format!("{}()", sink.name),
        _ => sink.name.trim().to_owned(),
    }
}

/// A number in the place of one that could not be had.
fn falls_back(sink: &Sink, quantity: Quantity) -> bool {
    if sink.failed || sink.scope == Some(Scope::Asked) {
        return false;
    }
    let made_up = Origins::CONST | Origins::ANCHOR | Origins::RANDOM | Origins::FORMULA;
    let all = sink.value.origins.has(made_up);
    // What is used right now stands in no catalogue.
    let used = words::split(&sink.name).iter().any(|word| {
        matches!(
            word.as_str(),
            "used" | "usage" | "utilization" | "utilisation" | "allocated" | "watts"
        )
    });
    let catalogue = is_catalogue(&sink.container) && !used;
    if is_plain(&sink.name) && !strong(&sink.container) {
        return false;
    }
    let random = sink.value.origins.has(Origins::RANDOM);
    all && !(catalogue && quantity == Quantity::Resource && !random) && !words::is_fixed(&sink.name)
}

fn of_random(sink: &Sink, quantity: Quantity) -> (Rule, Confidence, String) {
    let partly = sink.value.origins.has(Origins::UNKNOWN | Origins::CLOCK);
    let confidence = match (quantity, partly, sink.scope) {
        (_, _, Some(Scope::Asked)) => Confidence::Medium,
        (Quantity::Quality, ..) | (_, true, _) => Confidence::Medium,
        _ => Confidence::High,
    };
    let from = sink.value.source.map(|span| format!(" (line {})", span.line)).unwrap_or_default();
    let message = format!("`{}` comes from a random generator{from}", label(sink));
    (Rule::RandomResult, confidence, message)
}

fn is_catalogue(container: &str) -> bool {
    words::split(container).iter().any(|word| CATALOGUES.contains(&word.as_str()))
}

/// A constant is presented as a result only where results are expected.
fn of_constant(
    code: &Code<'_>,
    sink: &Sink,
    quantity: Quantity,
) -> Option<(Rule, Confidence, String)> {
    let function = &code.unit.functions[sink.function];
    let origins = sink.value.origins;
    if origins.has(Origins::CLOCK) || words::is_fixed(&sink.name) {
        return None;
    }
    if origins.has(Origins::UNKNOWN) && !origins.has(Origins::ANCHOR) {
        return None;
    }
    let formula = origins.has(Origins::FORMULA);
    if formula && quantity == Quantity::Resource {
        return None;
    }
    let admitted = code.comment_admits(sink.span.line)
        || sink.value.source.is_some_and(|span| code.comment_admits(span.line));
    if !admitted && !expects_results(sink, &function.name, quantity) {
        return None;
    }
    if sink.failed || sink.scope == Some(Scope::Asked) && !admitted {
        return None;
    }
    let what = if formula { "a formula with constants" } else { "a constant" };
    let from = sink.value.source.map(|span| format!(" (line {})", span.line)).unwrap_or_default();
    let message = format!("`{}` is {what}{from}, and nothing measures it", label(sink));
    let confidence = if admitted || sink.claimed { Confidence::High } else { Confidence::Medium };
    Some((Rule::ConstantResult, confidence, message))
}

/// Whether names around a sink say that results of measurements are expected there.
fn expects_results(sink: &Sink, function: &str, quantity: Quantity) -> bool {
    let catalogue = is_catalogue(&sink.container) || is_catalogue(function);
    if is_plain(&sink.name) && !strong(function) && !strong(&sink.container) {
        return false;
    }
    if catalogue && !strong(function) && !strong(&sink.container) {
        return false;
    }
    let measuring = words::is_measuring(function) || words::is_measuring(&sink.container);
    let quantities = sink.beside.quantities;
    let like_a_result = quantities >= 2
        && sink.beside.has(&[
            "model",
            "device",
            "status",
            "iterations",
            "success",
            "platform",
            "backend",
            "hardware",
            "mean",
            "p95",
            "p99",
        ]);
    match (sink.kind, quantity) {
        (SinkKind::Return, _) => {
            strong(function) || sink.value.origins.has(Origins::ODD | Origins::FORMULA)
        }
        (SinkKind::Text, _) => {
            // A unit alone is no name of a quantity.
            let plain: Vec<_> = words::split(&sink.name)
                .into_iter()
                .filter(|word| !words::is_time_unit(word))
                .collect();
            sink.value.origins.has(Origins::CONST | Origins::ANCHOR)
                && words::quantity(&plain.join("_")).is_some()
        }
        (_, Quantity::Quality) => {
            let named = words::split(&sink.name);
            let quality = named.iter().any(|word| {
                matches!(
                    word.as_str(),
                    "accuracy" | "f1" | "bleu" | "rouge" | "wer" | "perplexity" | "auc"
                )
            });
            quality && (strong(function) || strong(&sink.container))
        }
        (_, Quantity::Resource) => measuring && quantities >= 2 && !catalogue,
        _ => measuring || like_a_result,
    }
}

/// Whether a name is that of a measurement and of nothing else.
fn strong(name: &str) -> bool {
    words::split(name).iter().any(|word| {
        matches!(
            word.as_str(),
            "measure"
                | "measured"
                | "measurement"
                | "measurements"
                | "bench"
                | "benchmark"
                | "benchmarks"
                | "result"
                | "results"
                | "perf"
                | "performance"
                | "timings"
                | "evaluate"
        )
    })
}

/// Whether a name may as well be that of a setting: a duration of which nothing says what took it.
fn is_plain(name: &str) -> bool {
    words::split(name).iter().all(|word| {
        matches!(
            word.as_str(),
            "duration" | "durations" | "ms" | "s" | "seconds" | "millis" | "secs"
        )
    })
}

/// A function that says by its name that it simulates gives a result that looks like that of a run, without a mark.
fn unmarked_simulation(
    code: &Code<'_>,
    sink: &Sink,
    quantity: Quantity,
) -> Option<(Rule, Confidence, String)> {
    let function = &code.unit.functions[sink.function];
    let runs = sink.beside.has(&[
        "device", "backend", "platform", "hardware", "gpu", "provider", "status", "success",
    ]);
    let measured = matches!(quantity, Quantity::Time | Quantity::Rate);
    let kind = sink.kind == SinkKind::Field;
    if !(runs && measured && kind && says_so(function)) {
        return None;
    }
    let message = format!("`{}` of a simulated run carries no mark that says so", label(sink));
    let confidence = if sink.claimed { Confidence::High } else { Confidence::Medium };
    match sink.value.origins.has(Origins::RANDOM) {
        true => Some((Rule::RandomResult, confidence, message)),
        false => sink.claimed.then_some((Rule::ConstantResult, confidence, message)),
    }
}
