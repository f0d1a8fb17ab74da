//! JSON by structure: what objects claim and deny, results that are listed as simulated and not marked, samples that
//! are all the same, and where the text ends in the middle.

use super::prose;
use crate::file::{File, Language};
use crate::rule::{Confidence, Finding, Rule};
use crate::rules::finding;
use crate::syntax::{Span, parse_tree, text_of};
use crate::words;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use tree_sitter::Node;

/// Larger files are judged by their ends only.
const MAX_BYTES: usize = 4 << 20;
const MAX_DEPTH: usize = 100;

/// All findings in a file of JSON or of lines of JSON.
pub(super) fn check(file: &File<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some((line, why)) = open_end(file) {
        let at = Span { line, column: 1, ..Span::default() };
        found.push(finding(file, Rule::TruncatedFile, Confidence::High, at, why));
        return found;
    }
    if file.text.len() > MAX_BYTES || !is_interesting(file.text) {
        return found;
    }
    let Some(tree) = parse_tree(Language::Json, file.text) else { return found };
    let root = tree.root_node();
    let mut cursor = root.walk();
    let values: Vec<_> =
        root.named_children(&mut cursor).map(|node| read(node, file.text, 0)).collect();
    let mut judge = Judge { file, found: &mut found, simulated: BTreeSet::new() };
    values.iter().for_each(|value| judge.list(value));
    for value in &values {
        judge.object(value, &Around::default(), "");
    }
    if file.stem() != "package" {
        mixed(file, &values, &mut found);
    }
    found
}

fn is_interesting(text: &str) -> bool {
    let lower = text.to_lowercase();
    [
        "simulat",
        "mock",
        "fake",
        "synthetic",
        "estimat",
        "emulat",
        "real",
        "sample",
        "latenc",
        "time",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Where and why the text ends in the middle.
fn open_end(file: &File<'_>) -> Option<(usize, String)> {
    let text = file.text.trim_start_matches('\u{feff}');
    let lines = file.path.extension().is_some_and(|extension| extension != "json");
    let (text, first) = match lines {
        true => {
            let trimmed = text.trim_end();
            let last = trimmed.lines().last().unwrap_or_default();
            (last, trimmed.lines().count().saturating_sub(1))
        }
        false => (text, 0),
    };
    if lines && text.is_empty() {
        return None;
    }
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    let why = if text.trim().is_empty() {
        "the file is empty".to_owned()
    } else {
        format!("the JSON ends early: {error}")
    };
    // A number that is cut off is an error at the end of another kind.
    let end = text.trim_end();
    let last = end.lines().last().unwrap_or_default();
    let at_end = error.is_syntax()
        && error.line() >= end.lines().count()
        && error.column() >= last.len()
        && !end.ends_with(['}', ']']);
    (error.is_eof() || at_end).then_some((first + error.line().max(1), why))
}

/// A value and its line.
#[derive(Debug)]
struct Json {
    kind: Kind,
    line: usize,
}

#[derive(Debug)]
enum Kind {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    Number(f64),
    Truth(bool),
    Other,
}

fn read(node: Node<'_>, text: &str, depth: usize) -> Json {
    let line = node.start_position().row + 1;
    let mut cursor = node.walk();
    let inner = |node: Node<'_>| text_of(node, text).trim_matches('"').to_owned();
    let kind = match node.kind() {
        _ if depth > MAX_DEPTH => Kind::Other,
        "object" => {
            let pairs = node.named_children(&mut cursor).filter(|child| child.kind() == "pair");
            Kind::Object(
                pairs
                    .filter_map(|pair| {
                        let (key, value) =
                            (pair.child_by_field_name("key")?, pair.child_by_field_name("value")?);
                        Some((inner(key), read(value, text, depth + 1)))
                    })
                    .collect(),
            )
        }
        "array" => Kind::Array(
            node.named_children(&mut cursor).map(|child| read(child, text, depth + 1)).collect(),
        ),
        "string" => Kind::Text(inner(node)),
        "number" => text_of(node, text).parse().map_or(Kind::Other, Kind::Number),
        "true" => Kind::Truth(true),
        "false" => Kind::Truth(false),
        _ => Kind::Other,
    };
    Json { kind, line }
}

impl Json {
    fn fields(&self) -> &[(String, Json)] {
        match &self.kind {
            Kind::Object(fields) => fields,
            _ => &[],
        }
    }

    fn items(&self) -> &[Json] {
        match &self.kind {
            Kind::Array(items) => items,
            _ => &[],
        }
    }

    fn text(&self) -> &str {
        match &self.kind {
            Kind::Text(text) => text,
            _ => "",
        }
    }

    /// Whether it has a number by the name of a quantity itself.
    fn has_quantity(&self) -> bool {
        self.fields().iter().any(|(key, value)| {
            matches!(value.kind, Kind::Number(_)) && words::quantity(key).is_some()
        })
    }

    /// The same, to this depth.
    fn holds_quantity(&self, depth: usize) -> bool {
        self.has_quantity()
            || depth > 0
                && self
                    .fields()
                    .iter()
                    .map(|(_, value)| value)
                    .chain(self.items())
                    .any(|value| value.holds_quantity(depth - 1))
    }
}

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Says {
    Simulated,
    Real,
}

/// What one field says of how its object came about.
fn says(key: &str, value: &Json) -> Option<Says> {
    let words = words::split(key);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let flag = has(&[
        "simulated",
        "simulation",
        "mock",
        "mocked",
        "synthetic",
        "emulated",
        "fake",
        "estimated",
        "placeholder",
    ]) && words.len() <= 3;
    let real = has(&["real"]) && (words.len() == 1 || has(&["is", "hardware", "device", "data"]))
        || key == "measured"
        || key == "hardware_verified";
    match &value.kind {
        Kind::Truth(truth) if flag => Some(if *truth { Says::Simulated } else { Says::Real }),
        Kind::Truth(truth) if real => Some(if *truth { Says::Real } else { Says::Simulated }),
        Kind::Text(text) => says_text(&words, text),
        _ => None,
    }
}

/// Words of keys whose text is a mark.
const TELLING: &str =
    "mark implementation provenance source kind type mode origin method measurement backend";
/// Words of keys whose text is prose.
const PROSE: &str = "note notes description title summary comment comments disclaimer warning message details methodology caption \
    name remark remarks header about conclusion";

fn says_text(key: &[String], text: &str) -> Option<Says> {
    let words = words::split(text);
    if prose::any_among(key, TELLING) && words.len() <= 6 {
        let stands_in = words.iter().any(|word| words::is_double(word));
        let double = stands_in
            || prose::any_among(&words, "simulated simulation synthetic emulated estimated");
        let negated = prose::any_among(&words, "not no non");
        if double && !negated {
            return Some(Says::Simulated);
        }
        if prose::any_among(&words, "real measured") && !negated && !double {
            return Some(Says::Real);
        }
    }
    if !prose::any_among(key, PROSE) {
        return None;
    }
    let sentences = prose::sentences(text, 1);
    let denies = |text: &str| prose::denies(text) && !prose::is_partial(text);
    let denied = sentences.iter().any(|sentence| denies(&sentence.text));
    let claimed = sentences.iter().any(|sentence| prose::claims(&sentence.text));
    match (denied, claimed) {
        (true, _) => Some(Says::Simulated),
        (false, true) => Some(Says::Real),
        (false, false) => None,
    }
}

/// What the objects around say.
#[derive(Clone, Debug, Default)]
struct Around {
    simulated: Option<(String, usize)>,
    real: Option<(String, usize)>,
}

struct Judge<'a> {
    file: &'a File<'a>,
    found: &'a mut Vec<Finding>,
    /// Names of hardware that the file lists as simulated.
    simulated: BTreeSet<String>,
}

impl Judge<'_> {
    fn report(&mut self, rule: Rule, confidence: Confidence, line: usize, message: String) {
        let at = Span { line, column: 1, ..Span::default() };
        if !self.found.iter().any(|other| other.line == line && other.rule == rule) {
            self.found.push(finding(self.file, rule, confidence, at, message));
        }
    }

    /// Takes in lists like `"simulated_hardware": ["webgpu"]`.
    fn list(&mut self, value: &Json) {
        for (key, inner) in value.fields() {
            if words::names_double(key) {
                self.simulated.extend(
                    inner
                        .items()
                        .iter()
                        .map(|item| item.text().to_lowercase())
                        .filter(|text| !text.is_empty()),
                );
            }
            self.list(inner);
        }
    }

    fn object(&mut self, value: &Json, around: &Around, key: &str) {
        self.samples(value, key);
        let mut here = around.clone();
        let (simulated, real) = (self.said(value, &Says::Simulated), self.said(value, &Says::Real));
        match (&simulated, &real) {
            (Some((flag, other)), Some((claim, line))) => {
                let message = format!(
                    "`{claim}` claims that it is real, and `{flag}` in line {other} denies it"
                );
                self.report(Rule::DeniedClaim, Confidence::High, *line, message);
            }
            (Some((flag, line)), None) => {
                if let Some((claim, other)) = &around.real {
                    let message = format!(
                        "`{claim}` claims that it is real, and `{flag}` in line {line} denies it"
                    );
                    self.report(Rule::DeniedClaim, Confidence::Medium, *other, message);
                }
            }
            (None, Some((claim, line))) => {
                if let Some((flag, other)) = &around.simulated {
                    let message = format!(
                        "`{claim}` claims that it is real, and `{flag}` in line {other} denies it"
                    );
                    self.report(Rule::DeniedClaim, Confidence::Medium, *line, message);
                }
            }
            (None, None) => self.unmarked(value, around, key),
        }
        here.simulated = simulated.or(here.simulated);
        here.real = real.or(here.real);
        for (key, inner) in value.fields() {
            self.object(inner, &here, key);
        }
        for inner in value.items() {
            self.object(inner, &here, key);
        }
    }

    /// What an object says of itself, in its own fields or in those of a part that describes it.
    fn said(&self, value: &Json, what: &Says) -> Option<(String, usize)> {
        let own =
            value.fields().iter().find(|(key, inner)| says(key, inner).as_ref() == Some(what));
        if let Some((key, inner)) = own {
            return Some((key.clone(), inner.line));
        }
        let describes = |key: &str| {
            words::split(key).iter().any(|word| {
                matches!(
                    word.as_str(),
                    "meta"
                        | "metadata"
                        | "info"
                        | "support"
                        | "environment"
                        | "config"
                        | "run"
                        | "settings"
                        | "device"
                        | "system"
                        | "warning"
                        | "hardware"
                )
            })
        };
        let parts =
            value.fields().iter().filter(|(key, inner)| describes(key) && !inner.holds_quantity(1));
        let mut inner = parts.flat_map(|(_, part)| part.fields());
        inner
            .find(|(key, inner)| says(key, inner).as_ref() == Some(what))
            .map(|(key, inner)| (key.clone(), inner.line))
    }

    /// A result on hardware that the file lists as simulated, without a mark of its own.
    fn unmarked(&mut self, value: &Json, around: &Around, key: &str) {
        if self.simulated.is_empty()
            || around.simulated.is_some()
            || !value.holds_quantity(1)
            || value.fields().is_empty()
        {
            return;
        }
        let on = value.fields().iter().find(|(key, inner)| {
            let words = words::split(key);
            let names = words.iter().any(|word| {
                matches!(
                    word.as_str(),
                    "hardware"
                        | "platform"
                        | "device"
                        | "backend"
                        | "endpoint"
                        | "target"
                        | "provider"
                )
            });
            names && self.simulated.contains(&inner.text().to_lowercase())
        });
        let name = on
            .map(|(_, inner)| inner.text().to_owned())
            .or_else(|| self.simulated.contains(&key.to_lowercase()).then(|| key.to_owned()));
        if let Some(name) = name {
            let message = format!(
                "`{name}` is listed as simulated elsewhere in the file, and this result of it has no mark"
            );
            self.report(Rule::UnmarkedTable, Confidence::Medium, value.line, message);
        }
    }

    /// Samples of a clock are not all alike.
    fn samples(&mut self, value: &Json, key: &str) {
        let items = value.items();
        let named = words::quantity(key).is_some()
            || words::split(key).iter().any(|word| matches!(word.as_str(), "samples" | "raw"));
        if !named || items.len() < 5 {
            return;
        }
        let numbers: Vec<f64> = items
            .iter()
            .filter_map(
                |item| if let Kind::Number(number) = item.kind { Some(number) } else { None },
            )
            .collect();
        let same =
            numbers.len() == items.len() && numbers.windows(2).all(|pair| pair[0] == pair[1]);
        if same && numbers.first().is_some_and(|first| first.fract() != 0.0) {
            let message = format!("all {} samples of `{key}` are the same number", items.len());
            self.report(Rule::ConstantResult, Confidence::Medium, value.line, message);
        }
    }
}

/// A list of results of which some have a mark and others have none.
fn mixed(file: &File<'_>, values: &[Json], found: &mut Vec<Finding>) {
    fn visit<'a>(value: &'a Json, see: &mut dyn FnMut(&'a [Json])) {
        see(value.items());
        value.items().iter().for_each(|inner| visit(inner, see));
        value.fields().iter().for_each(|(_, inner)| visit(inner, see));
    }
    let mut lists: Vec<&[Json]> = vec![values];
    values.iter().for_each(|value| visit(value, &mut |items| lists.push(items)));
    for items in lists {
        let results: Vec<&Json> = items.iter().filter(|item| item.holds_quantity(1)).collect();
        let is_marked =
            |item: &Json| item.fields().iter().any(|(key, value)| says(key, value).is_some());
        let marked = results.iter().filter(|item| is_marked(item)).count();
        let first = results.iter().find(|item| !is_marked(item));
        if let (Some(first), true) = (first, marked > 0) {
            let message = format!(
                "{marked} of {} results here say how they came about, and this one does not",
                results.len()
            );
            let at = Span { line: first.line, column: 1, ..Span::default() };
            found.push(finding(file, Rule::UnmarkedTable, Confidence::Medium, at, message));
        }
    }
}
