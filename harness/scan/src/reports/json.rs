//! JSON by structure: what objects claim and deny, results that are listed as simulated and not marked, samples that
//! are all the same, and where the text ends in the middle.

use super::prose;
use crate::file::{File, Language};
use crate::rule::{Confidence, Finding, Rule};
use crate::rules::finding;
use crate::syntax::{Span, parse_tree};
use crate::words;
use aho_corasick::AhoCorasick;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use value::{Field, Json, Kind, Says, read};

mod value;

#[cfg(test)]
mod tests;

/// Larger files are judged by their ends only.
const MAX_BYTES: usize = 4 << 20;

/// All findings in a file of JSON or of lines of JSON.
pub(super) fn check(file: &File<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some((line, confidence, why)) = open_end(file) {
        let at = Span { line, column: 1, ..Span::default() };
        found.push(finding(file, Rule::TruncatedFile, confidence, at, why));
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
    let mut judge =
        Judge { file, found: &mut found, seen: BTreeSet::new(), simulated: BTreeSet::new() };
    values.iter().for_each(|value| judge.list(value));
    for value in &values {
        judge.object(value, Around::default(), "");
    }
    if file.stem() != "package" {
        mixed(file, &values, &mut found);
    }
    found
}

/// Whether a text may have what every finding needs: something that says whether it is real, samples, or a quantity.
fn is_interesting(text: &str) -> bool {
    static WORDS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    const MARKS: [&str; 14] = [
        "real",
        "measure",
        "hardware",
        "bare metal",
        "bare-metal",
        "simulat",
        "mock",
        "synthetic",
        "emulat",
        "fake",
        "estimat",
        "placeholder",
        "sample",
        "raw",
    ];
    let built =
        WORDS.get_or_init(|| AhoCorasick::builder().ascii_case_insensitive(true).build(MARKS).ok());
    words::may_matter(text) || built.as_ref().is_none_or(|words| words.is_match(text))
}

/// Where and why the text ends in the middle.
fn open_end(file: &File<'_>) -> Option<(usize, Confidence, String)> {
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
    if error.is_eof() || at_end {
        return Some((first + error.line().max(1), Confidence::High, why));
    }
    // What is no JSON in its middle, like NaN, may still be cut off at its end.
    is_open(end).then(|| {
        let why = format!("it ends within brackets or a string; before that: {error}");
        (first + end.lines().count(), Confidence::Medium, why)
    })
}

/// Whether brackets or a string are open at the end of a text that begins as JSON does, perhaps with a comment.
fn is_open(text: &str) -> bool {
    if !text.trim_start().starts_with(['{', '[', '/']) {
        return false;
    }
    let mut depth = 0i64;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            // A string ends in its line, whether it was closed or not.
            (Some(_), '\n') => quote = None,
            (Some(open), _) => quote = Some(open).filter(|open| *open != c),
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth -= 1,
            (None, '/') if chars.peek() == Some(&'/') => {
                chars.by_ref().find(|c| *c == '\n');
            }
            (None, '/') if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                chars
                    .by_ref()
                    .skip(1)
                    .find(|c| std::mem::replace(&mut last, *c) == '*' && *c == '/');
            }
            _ => {}
        }
    }
    depth > 0 || quote.is_some()
}

/// What an object or those around it say, and the lines of that.
#[derive(Clone, Copy, Debug, Default)]
struct Around<'v> {
    simulated: Option<(&'v str, usize)>,
    real: Option<(&'v str, usize)>,
}

struct Judge<'a> {
    file: &'a File<'a>,
    found: &'a mut Vec<Finding>,
    /// Where what was found already.
    seen: BTreeSet<(usize, Rule)>,
    /// Names of hardware that the file lists as simulated.
    simulated: BTreeSet<String>,
}

impl Judge<'_> {
    fn report(&mut self, rule: Rule, confidence: Confidence, line: usize, message: String) {
        let at = Span { line, column: 1, ..Span::default() };
        if self.seen.insert((line, rule)) {
            self.found.push(finding(self.file, rule, confidence, at, message));
        }
    }

    /// Takes in lists like `"simulated_hardware": ["webgpu"]`.
    fn list(&mut self, value: &Json) {
        for Field { key, value, .. } in value.fields() {
            let items = value.items().iter().map(|item| item.text().to_lowercase());
            let items = items.filter(|text| !text.is_empty());
            if !value.items().is_empty() && words::names_double(key) {
                self.simulated.extend(items);
            }
        }
        value.inner().for_each(|inner| self.list(inner));
    }

    fn object<'v>(&mut self, value: &'v Json, around: Around<'v>, key: &str) {
        self.samples(value, key);
        let own = said(value);
        let pairs = match (own.simulated, own.real) {
            (Some(flag), Some(claim)) => Some((flag, claim, claim.1, Confidence::High)),
            (Some(flag), None) => {
                around.real.map(|claim| (flag, claim, claim.1, Confidence::Medium))
            }
            (None, Some(claim)) => {
                around.simulated.map(|flag| (flag, claim, claim.1, Confidence::Medium))
            }
            (None, None) => {
                self.unmarked(value, around, key);
                None
            }
        };
        if let Some((flag, claim, line, confidence)) = pairs {
            let ((flag, other), (claim, _)) = (flag, claim);
            let message =
                format!("`{claim}` claims that it is real, and `{flag}` in line {other} denies it");
            self.report(Rule::DeniedClaim, confidence, line, message);
        }
        let here = Around {
            simulated: own.simulated.or(around.simulated),
            real: own.real.or(around.real),
        };
        let nests = |value: &Json| matches!(value.kind, Kind::Object(_) | Kind::Array(_));
        for field in value.fields().iter().filter(|field| nests(&field.value)) {
            self.object(&field.value, here, &field.key);
        }
        for inner in value.items().iter().filter(|item| nests(item)) {
            self.object(inner, here, key);
        }
    }

    /// A result on hardware that the file lists as simulated, without a mark of its own.
    fn unmarked(&mut self, value: &Json, around: Around<'_>, key: &str) {
        if self.simulated.is_empty()
            || around.simulated.is_some()
            || !value.holds_quantity(1)
            || value.fields().is_empty()
        {
            return;
        }
        let on = value.fields().iter().find(|Field { key, value, .. }| {
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
            names && self.simulated.contains(&value.text().to_lowercase())
        });
        let name = on
            .map(|field| field.value.text().to_owned())
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
        if items.len() < 5 {
            return;
        }
        let named = words::quantity(key).is_some()
            || words::split(key).iter().any(|word| matches!(word.as_str(), "samples" | "raw"));
        if !named {
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

/// What an object says of itself, in its own fields or in those of a part that describes it.
fn said(value: &Json) -> Around<'_> {
    const DESCRIBING: &str =
        "meta metadata info support environment config run settings device system warning hardware";
    let describes = |field: &&Field| {
        !field.value.fields().is_empty()
            && prose::any_among(&words::split(&field.key), DESCRIBING)
            && !field.value.holds_quantity(1)
    };
    let parts: Vec<&Field> = value.fields().iter().filter(describes).collect();
    let find = |what: Says| {
        let inner = parts.iter().flat_map(|part| part.value.fields());
        let mut all = value.fields().iter().chain(inner);
        all.find(|field| field.says == Some(what))
            .map(|field| (field.key.as_str(), field.value.line))
    };
    Around { simulated: find(Says::Simulated), real: find(Says::Real) }
}

/// A list of results of which some have a mark and others have none.
fn mixed(file: &File<'_>, values: &[Json], found: &mut Vec<Finding>) {
    fn visit<'a>(value: &'a Json, see: &mut dyn FnMut(&'a [Json])) {
        see(value.items());
        value.inner().for_each(|inner| visit(inner, see));
    }
    let mut lists: Vec<&[Json]> = vec![values];
    values.iter().for_each(|value| visit(value, &mut |items| lists.push(items)));
    for items in lists {
        let results: Vec<&Json> = items.iter().filter(|item| item.holds_quantity(1)).collect();
        let is_marked = |item: &Json| item.fields().iter().any(|field| field.says.is_some());
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
