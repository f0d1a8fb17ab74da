//! JSON as values with lines, and what each field says of how its object came about.

use crate::reports::prose;
use crate::syntax::text_of;
use crate::words;
use tree_sitter::Node;

/// Nesting beyond this is not looked into.
const MAX_DEPTH: usize = 100;

/// A value and its line.
#[derive(Debug)]
pub(super) struct Json {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Object(Vec<Field>),
    Array(Vec<Json>),
    Text(String),
    Number(f64),
    Truth(bool),
    Other,
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) value: Json,
    /// What it says of how its object came about.
    pub(super) says: Option<Says>,
    /// Whether it is a number by the name of a quantity.
    pub(super) is_quantity: bool,
}

impl Field {
    fn new(key: String, value: Json) -> Self {
        let says = says(&key, &value);
        let is_quantity = matches!(value.kind, Kind::Number(_)) && words::quantity(&key).is_some();
        Self { key, value, says, is_quantity }
    }
}

/// What a string says, without its quotes and escapes.
fn string(node: Node<'_>, text: &str) -> String {
    let raw = text_of(node, text);
    serde_json::from_str(raw).unwrap_or_else(|_| raw.trim_matches('"').to_owned())
}

pub(super) fn read(node: Node<'_>, text: &str, depth: usize) -> Json {
    let line = node.start_position().row + 1;
    let mut cursor = node.walk();
    let kind = match node.kind() {
        _ if depth > MAX_DEPTH => Kind::Other,
        "object" => {
            let pairs = node.named_children(&mut cursor).filter(|child| child.kind() == "pair");
            Kind::Object(
                pairs
                    .filter_map(|pair| {
                        let (key, value) =
                            (pair.child_by_field_name("key")?, pair.child_by_field_name("value")?);
                        Some(Field::new(string(key, text), read(value, text, depth + 1)))
                    })
                    .collect(),
            )
        }
        "array" => Kind::Array(
            node.named_children(&mut cursor).map(|child| read(child, text, depth + 1)).collect(),
        ),
        "string" => Kind::Text(string(node, text)),
        "number" => text_of(node, text).parse().map_or(Kind::Other, Kind::Number),
        "true" => Kind::Truth(true),
        "false" => Kind::Truth(false),
        _ => Kind::Other,
    };
    Json { kind, line }
}

impl Json {
    pub(super) fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Object(fields) => fields,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Json] {
        match &self.kind {
            Kind::Array(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> &str {
        match &self.kind {
            Kind::Text(text) => text,
            _ => "",
        }
    }

    /// The values right inside.
    pub(super) fn inner(&self) -> impl Iterator<Item = &Json> {
        self.fields().iter().map(|field| &field.value).chain(self.items())
    }

    /// Whether it has a number by the name of a quantity, itself or down to this depth.
    pub(super) fn holds_quantity(&self, depth: usize) -> bool {
        self.fields().iter().any(|field| field.is_quantity)
            || depth > 0 && self.inner().any(|value| value.holds_quantity(depth - 1))
    }
}

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
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
    let words = if prose::any_among(key, TELLING) { words::split(text) } else { Vec::new() };
    if words.len() <= 6 {
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
