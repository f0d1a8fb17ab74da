//! What a file says around a number: which model, where, with which batch, and whether that failed or is no result at all.

use super::json::Value;
use super::tree::{Step, Tree};
use super::words;
use std::collections::BTreeSet;

/// Why numbers somewhere are no results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum NoResult {
    /// What was asked for, and not what came of it.
    Configuration,
    /// Requests to a service, or what a hub says of models.
    ApiCheck,
    /// What failed.
    Failed,
    /// What a program repaired.
    FixLog,
}

/// What is known of a place of a file, from it and from what it is in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts<'t> {
    pub(super) endpoint: Option<&'static str>,
    pub(super) browser: Option<&'static str>,
    pub(super) model: Option<&'t str>,
    pub(super) precision: Option<&'t str>,
    pub(super) batch_size: Option<u64>,
    /// When it was measured, as the file says it.
    pub(super) at: Option<&'t str>,
    pub(super) no_result: Option<NoResult>,
}

/// Fields that say where something ran.
const PLACES: &[&str] = &[
    "platform",
    "hardware",
    "hardware_type",
    "hardware_platform",
    "endpoint",
    "backend",
    "device_type",
    "device",
];
const MODELS: &[&str] = &["model_name", "model_id", "model", "test_model", "model_key"];
const TIMES: &[&str] =
    &["timestamp", "test_timestamp", "datetime", "run_timestamp", "test_date", "date"];
/// Objects that describe the object that they are in.
const DESCRIBING: &[&str] = &["metadata", "meta", "info"];
/// Objects whose entries are named after models.
const BY_MODEL: &[&str] = &["models", "model_results", "by_model", "results_by_model", "per_model"];
/// The last words of names below which numbers are settings, or what a machine has.
const SETTINGS: &[&str] = &[
    "config",
    "configuration",
    "configs",
    "settings",
    "options",
    "args",
    "arguments",
    "thresholds",
    "hyperparameters",
    "versions",
    "environment",
    "env",
    "requirements",
];
const MACHINES: &[&str] = &[
    "system_info",
    "device_info",
    "hardware_info",
    "platform_info",
    "machine_info",
    "card_data",
    "cardData",
];
/// Fields of requests to a service, and of what a hub says of models.
const API: &[&str] = &[
    "request_id",
    "api",
    "api_used",
    "available_apis",
    "api_distribution",
    "api_models",
    "known_models",
    "requires_token",
    "api_backoff",
];
const FIXES: &[&str] = &["files_fixed", "total_issues_fixed", "issues_fixed", "fixes_applied"];

/// The facts of all lists and objects of a file, by node.
pub(super) fn collect<'t>(tree: &Tree<'t>, is_configuration: bool) -> Vec<Facts<'t>> {
    let mut all: Vec<Facts<'t>> = Vec::with_capacity(tree.nodes.len());
    for at in 0..tree.nodes.len() {
        let above = match at {
            0 => Facts {
                no_result: is_configuration.then_some(NoResult::Configuration),
                ..Facts::default()
            },
            _ => all[tree.nodes[at].parent],
        };
        all.push(match tree.nodes[at].value {
            Value::Object(_) => of_object(tree, at, above),
            Value::List(_) => Facts { no_result: settings(tree, at).or(above.no_result), ..above },
            _ => above,
        });
    }
    all
}

/// What a file without results is: a configuration, if it is as a whole; of what else there is in it, all.
pub(super) fn of_whole(facts: &[Facts<'_>]) -> BTreeSet<NoResult> {
    let root = facts.first().and_then(|facts| facts.no_result);
    let below = facts
        .iter()
        .filter_map(|facts| facts.no_result)
        .filter(|why| *why != NoResult::Configuration);
    below.chain(root).collect()
}

fn of_object<'t>(tree: &Tree<'t>, at: usize, above: Facts<'t>) -> Facts<'t> {
    let described = |names: &[&str]| {
        tree.text(at, names).or_else(|| {
            DESCRIBING.iter().find_map(|child| tree.text(tree.field(at, child)?.0, names))
        })
    };
    let endpoint = place(tree, at).or_else(|| own_endpoint(tree, at));
    let browser = tree.text(at, &["browser", "browser_name", "browser_type"]);
    let model = described(MODELS).filter(|name| !name.eq_ignore_ascii_case("unknown"));
    Facts {
        endpoint: endpoint.or(above.endpoint),
        browser: browser.and_then(|name| words::browser(&words::tokens(name))).or(above.browser),
        model: model.or_else(|| by_model(tree, at)).or(above.model),
        precision: tree
            .text(at, &["precision", "dtype", "data_type", "torch_dtype"])
            .or(above.precision),
        batch_size: batch_size(tree, at).or(above.batch_size),
        at: described(TIMES).or(above.at),
        no_result: no_result(tree, at, above.no_result),
    }
}

/// Where an object says that it ran.
pub(super) fn place(tree: &Tree<'_>, at: usize) -> Option<&'static str> {
    PLACES.iter().find_map(|name| words::endpoint(&words::tokens(tree.text(at, &[name])?)))
}

/// The endpoint that the name of an object has: `cuda`, `pipeline_cuda`.
fn own_endpoint(tree: &Tree<'_>, at: usize) -> Option<&'static str> {
    match tree.nodes[at].step {
        Step::Name(_) => tree.words(at).endpoint,
        Step::Root | Step::Index(_) => None,
    }
}

fn by_model<'t>(tree: &Tree<'t>, at: usize) -> Option<&'t str> {
    match tree.nodes[at].step {
        Step::Name(name) if BY_MODEL.contains(&tree.name(tree.nodes[at].parent)) => {
            Some(tree.text(at, &["name"]).unwrap_or(name))
        }
        _ => None,
    }
}

/// From the field, or from names: `batch_results: {"8": …}`, `batch_8: …`.
fn batch_size(tree: &Tree<'_>, at: usize) -> Option<u64> {
    if let Some((_, Value::Number(text))) = tree.field(at, "batch_size") {
        return text.parse().ok();
    }
    let Step::Name(_) = tree.nodes[at].step else { return None };
    let above = tree.words(tree.nodes[at].parent);
    match tree.words(at).all.as_slice() {
        [number] if above.has_one_of(&["batch", "batches"]) => number.parse().ok(),
        [first, number] if first == "batch" || first == "bs" => number.parse().ok(),
        _ => None,
    }
}

fn settings(tree: &Tree<'_>, at: usize) -> Option<NoResult> {
    let Step::Name(name) = tree.nodes[at].step else { return None };
    if MACHINES.contains(&name) || SETTINGS.contains(&tree.words(at).last()) {
        return Some(NoResult::Configuration);
    }
    None
}

fn no_result(tree: &Tree<'_>, at: usize, above: Option<NoResult>) -> Option<NoResult> {
    let has = |names: &[&str]| tree.fields(at).any(|(_, name, _)| names.contains(&name));
    if has(API) {
        return Some(NoResult::ApiCheck);
    }
    if has(FIXES) {
        return Some(NoResult::FixLog);
    }
    let of_above = match above {
        // What succeeded within something that failed did succeed.
        Some(NoResult::Failed) if fails(tree, at) == Some(false) => None,
        above => above,
    };
    let failed = (fails(tree, at) == Some(true)).then_some(NoResult::Failed);
    of_above.or(settings(tree, at)).or(failed)
}

/// Whether an object says that what it tells of failed, or that it succeeded.
fn fails(tree: &Tree<'_>, at: usize) -> Option<bool> {
    let (mut succeeded, mut failed, mut error) = (false, false, false);
    for (child, name, value) in tree.fields(at) {
        match (name, value) {
            ("success", Value::Bool(success)) => {
                succeeded |= success;
                failed |= !success;
            }
            ("status" | "outcome" | "result", Value::Text(text)) => match status(text) {
                Some(true) => succeeded = true,
                Some(false) => failed = true,
                None => {}
            },
            ("return_code" | "returncode" | "exit_code", Value::Number(code)) => {
                failed |= code.parse() != Ok(0);
            }
            ("error" | "test_error" | "traceback" | "exception", value) => {
                error |= is_something(value)
            }
            ("output" | "content" | "text" | "generated_text", value) => {
                failed |= tells_error(tree, child, value)
            }
            ("json_result" | "structured_data", Value::Object(_)) => {
                error |=
                    tree.field(child, "test_error").is_some_and(|(_, value)| is_something(value));
            }
            (name, Value::Bool(false)) if name.ends_with("_success") => failed = true,
            (name, Value::Text(text)) if name.ends_with("error_type") => {
                error |= !words::denies(text);
            }
            _ => {}
        }
    }
    match (failed || (error && !succeeded), succeeded) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

fn status(text: &str) -> Option<bool> {
    let first = words::tokens(text).into_iter().next()?;
    let begins = |stems: &[&str]| stems.iter().any(|stem| first.starts_with(stem));
    if begins(&["fail", "error", "timeout", "timed", "crash", "abort", "skip", "cancel", "missing"])
    {
        return Some(false);
    }
    begins(&["succe", "pass", "ok", "complete"]).then_some(true)
}

fn is_something(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Number(_) => false,
        Value::Bool(true) => true,
        Value::Text(text) => !words::denies(text),
        Value::List(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Whether what a model is said to have answered is an error instead.
fn tells_error(tree: &Tree<'_>, at: usize, value: &Value<'_>) -> bool {
    let begins = |text: &str| {
        let text = text.trim_start_matches("(MOCK)").trim_start();
        ["Error", "ERROR", "error:", "Exception", "Traceback", "Failed", "Invalid input"]
            .iter()
            .any(|word| text.starts_with(word))
    };
    match value {
        Value::Text(text) => begins(text),
        Value::Object(_) => tree.text(at, &["text", "generated_text"]).is_some_and(begins),
        _ => false,
    }
}

/// What legacy files call precisions, and what we call them.
pub(super) const PRECISIONS: &[(&[&str], &str)] = &[
    (&["fp32", "float32", "torch.float32", "float"], "f32"),
    (&["fp16", "float16", "torch.float16", "half"], "f16"),
    (&["bfloat16", "torch.bfloat16"], "bf16"),
];

/// What a legacy precision is called here; an unknown one stays as it is.
pub(super) fn precision(text: &str) -> &str {
    let lower = text.to_ascii_lowercase();
    let found = PRECISIONS.iter().find(|(theirs, _)| theirs.contains(&lower.as_str()));
    found.map_or(text, |(_, ours)| ours)
}
