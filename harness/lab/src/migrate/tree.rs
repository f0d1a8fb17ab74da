//! The values of a file in the order of its text, each with its parent: what governs a number stands above it.

use super::json::Value;
use super::words;
use std::collections::HashMap;
use std::fmt::Write as _;

/// How a value is reached from its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'t> {
    Root,
    Name(&'t str),
    Index(usize),
}

/// A value at its place.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) value: &'t Value<'t>,
    /// The root is its own parent.
    pub(super) parent: usize,
    pub(super) step: Step<'t>,
    /// Behind the last node below it.
    pub(super) end: usize,
    /// The place of the words of its name.
    words: usize,
}

/// What a name consists of; worked out once per file.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) all: Vec<String>,
    pub(super) endpoint: Option<&'static str>,
}

impl Words {
    pub(super) fn has(&self, word: &str) -> bool {
        self.all.iter().any(|w| w == word)
    }

    pub(super) fn has_one_of(&self, words: &[&str]) -> bool {
        self.all.iter().any(|w| words.contains(&w.as_str()))
    }

    pub(super) fn last(&self) -> &str {
        self.all.last().map_or("", String::as_str)
    }
}

/// All values of a file.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    pub(super) nodes: Vec<Node<'t>>,
    /// Of each name once; first those of no name.
    words: Vec<Words>,
}

impl<'t> Tree<'t> {
    pub(super) fn new(root: &'t Value<'t>) -> Self {
        let mut tree =
            Self { nodes: Vec::new(), words: vec![Words { all: Vec::new(), endpoint: None }] };
        tree.add((root, 0), (0, Step::Root), &mut HashMap::new());
        tree
    }

    fn add(
        &mut self,
        (value, words): (&'t Value<'t>, usize),
        (parent, step): (usize, Step<'t>),
        known: &mut HashMap<&'t str, usize>,
    ) {
        let at = self.nodes.len();
        self.nodes.push(Node { value, parent, step, end: at + 1, words });
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let words = *known.entry(name).or_insert_with(|| {
                        let all = words::tokens(name);
                        self.words.push(Words { endpoint: words::endpoint(&all), all });
                        self.words.len() - 1
                    });
                    self.add((value, words), (at, Step::Name(name)), known);
                }
            }
            Value::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.add((value, words), (at, Step::Index(index)), known);
                }
            }
            _ => {}
        }
        self.nodes[at].end = self.nodes.len();
    }

    /// The fields of an object, or nothing.
    pub(super) fn fields(
        &self,
        node: usize,
    ) -> impl Iterator<Item = (usize, &'t str, &'t Value<'t>)> {
        let is_object = matches!(self.nodes[node].value, Value::Object(_));
        let end = if is_object { self.nodes[node].end } else { node };
        let mut next = node + 1;
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let at = next;
            next = self.nodes[at].end;
            match self.nodes[at].step {
                Step::Name(name) => Some((at, name, self.nodes[at].value)),
                Step::Root | Step::Index(_) => None,
            }
        })
    }

    /// The last field of this name, as every reader of JSON takes it.
    pub(super) fn field(&self, node: usize, name: &str) -> Option<(usize, &'t Value<'t>)> {
        self.fields(node)
            .filter(|(_, found, _)| *found == name)
            .last()
            .map(|(at, _, value)| (at, value))
    }

    /// The text of the first of these fields that has one.
    pub(super) fn text(&self, node: usize, names: &[&str]) -> Option<&'t str> {
        names.iter().find_map(|name| match self.field(node, name)?.1 {
            Value::Text(text) if !text.trim().is_empty() => Some(text.as_ref()),
            _ => None,
        })
    }

    /// The words of the name under which a value stands; of what is in a list, the list's.
    pub(super) fn words(&self, node: usize) -> &Words {
        &self.words[self.nodes[node].words]
    }

    /// The name under which a value stands; of what is in a list, the list's.
    pub(super) fn name(&self, node: usize) -> &'t str {
        match self.nodes[node].step {
            Step::Root => "",
            Step::Name(name) => name,
            Step::Index(_) => self.name(self.nodes[node].parent),
        }
    }

    /// The object that a value is in, through lists; none for the root.
    pub(super) fn owner(&self, node: usize) -> Option<usize> {
        if node == 0 {
            return None;
        }
        let parent = self.nodes[node].parent;
        match self.nodes[parent].value {
            Value::Object(_) => Some(parent),
            _ => self.owner(parent),
        }
    }

    /// A value and all that it is in, from the inside.
    pub(super) fn chain(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |at| (*at != 0).then(|| self.nodes[*at].parent))
    }

    /// The JSON path of a value, as RFC 9535 has it: `$.a[0]['b c']`.
    pub(super) fn path(&self, node: usize) -> String {
        let steps: Vec<_> = self.chain(node).collect();
        let mut path = String::from("$");
        for at in steps.into_iter().rev() {
            match self.nodes[at].step {
                Step::Root => {}
                Step::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
                Step::Name(name) if is_plain(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Name(name) => push_quoted(&mut path, name),
            }
        }
        path
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn push_quoted(path: &mut String, name: &str) {
    path.push_str("['");
    for letter in name.chars() {
        match letter {
            '\'' | '\\' => path.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(path, "\\u{:04x}", u32::from(letter));
            }
            letter => path.push(letter),
        }
    }
    path.push_str("']");
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn paths_lead_to_their_values() {
        let value = json::parse(r#"{"a": [1, {"b c": 2}], "d'\n": {"": 3, "1": 4}}"#).unwrap();
        let tree = Tree::new(&value);
        let paths: Vec<_> = (0..tree.nodes.len()).map(|node| tree.path(node)).collect();
        let expected = [
            "$",
            "$.a",
            "$.a[0]",
            "$.a[1]",
            "$.a[1]['b c']",
            "$['d\\'\\u000a']",
            "$['d\\'\\u000a']['']",
            "$['d\\'\\u000a']['1']",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn the_last_of_two_fields_counts_and_owners_are_objects() {
        let value = json::parse(r#"{"a": "x", "l": [[{"b": 1}]], "a": "y"}"#).unwrap();
        let tree = Tree::new(&value);
        assert_eq!(tree.text(0, &["z", "a"]), Some("y"));
        let b = (0..tree.nodes.len()).find(|at| tree.path(*at) == "$.l[0][0].b").unwrap();
        let owner = tree.owner(b).unwrap();
        assert_eq!((tree.path(owner).as_str(), tree.owner(owner)), ("$.l[0][0]", Some(0)));
        assert_eq!(tree.name(owner), "l");
    }
}
