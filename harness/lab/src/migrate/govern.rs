//! What a file says of how its numbers came about, and which numbers each such statement governs.
//!
//! | statement | governs |
//! |---|---|
//! | of an object | what is in the object |
//! | of an object that describes (`metadata`, `warnings`, `platform_support`, …) | what is in the object that it is in |
//! | of a name with an endpoint (`cuda_handler`), or a list of endpoints | the same, of that endpoint only |
//! | of an entry of a list | that entry, and not its siblings |
//!
//! A number without an endpoint is governed by statements of every endpoint, and one that spans a run also by what is
//! said below it: neither shows that it is of something else.

use super::facts::Facts;
use super::json::Value;
use super::tree::{Step, Tree, Words};
use super::words;
use std::collections::HashSet;

/// What kind of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Why {
    /// A flag: `is_simulation: true`, `real_hardware: false`.
    Flag,
    /// A word of a text or status: mock, simulated.
    Text,
    /// A list of simulated hardware.
    Listed,
    /// The name of what the number is in: `simulated_results`.
    Named,
    /// A browser that was not opened.
    NotOpened,
    /// Hardware that the file says is not there.
    Absent,
    /// Hardware that could not be initialised.
    NotInitialised,
    /// A claim to be real.
    Real,
}

impl Why {
    /// Whether it says that something did not run as it is told.
    pub(super) fn is_unreal(self) -> bool {
        self != Self::Real
    }

    /// Whether it is of its own endpoint only, and of numbers that name it.
    fn is_narrow(self) -> bool {
        matches!(self, Self::Absent | Self::NotInitialised)
    }
}

/// A statement of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    /// The node that it governs, with what is in it.
    scope: usize,
    /// The endpoint that it is of; none: of all.
    endpoint: Option<&'static str>,
    pub(super) why: Why,
    /// Where it stands.
    pub(super) source: usize,
    /// Holds only for what makes no statement of its own.
    weak: bool,
}

/// What governs a number: the nearest statement of either side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Governed<'s> {
    pub(super) unreal: Option<&'s Statement>,
    pub(super) real: Option<&'s Statement>,
}

/// The statements of a file, by the node that they govern.
#[derive(Debug)]
pub(super) struct Statements {
    all: Vec<Statement>,
}

/// The last words of names of objects that describe the object that they are in.
const DESCRIBING: &[&str] = &[
    "metadata",
    "meta",
    "info",
    "support",
    "status",
    "warning",
    "warnings",
    "note",
    "notes",
    "header",
    "provenance",
    "flags",
    "disclaimer",
    "output",
    "details",
    "implementation",
    "platform",
    "browser",
    "simulation",
    "features",
    "config",
    "configuration",
    "settings",
    "environment",
    "hardware",
    "device",
    "summary",
];
/// Words of names whose texts are about something else: what went in, what failed, what something is called.
const ELSEWHERE: &[&str] = &[
    "input",
    "inputs",
    "prompt",
    "query",
    "question",
    "command",
    "cmd",
    "error",
    "errors",
    "traceback",
    "exception",
    "path",
    "file",
    "filename",
    "url",
    "model",
    "id",
    "tags",
    "timestamp",
    "class",
    "task",
    "suite",
    "branch",
    "commit",
    "title",
];
/// Words of names that ask whether something may be, and not whether it was.
const POSSIBILITIES: &[&str] = &[
    "allow",
    "allowed",
    "supported",
    "supports",
    "available",
    "can",
    "could",
    "may",
    "count",
    "total",
    "detection",
    "requested",
];
/// What a flag that asks of nothing else consists of: its `false` claims to be real.
const PLAIN: &[&str] = &[
    "is",
    "was",
    "using",
    "use",
    "used",
    "simulated",
    "simulation",
    "mock",
    "mocked",
    "mode",
    "data",
    "result",
    "results",
    "hardware",
    "flag",
    "enabled",
    "emulated",
    "fake",
    "implementation",
    "a",
    "sim",
];
const LOGS: &[&str] = &[
    "stdout",
    "stderr",
    "log",
    "logs",
    "note",
    "notes",
    "message",
    "details",
    "warning",
    "warnings",
    "description",
    "comment",
    "reason",
];

impl Statements {
    /// All statements of a file.
    pub(super) fn collect(tree: &Tree<'_>) -> Self {
        let mut found = Collector { tree, all: Vec::new() };
        for at in 0..tree.nodes.len() {
            if matches!(tree.nodes[at].value, Value::Object(_)) {
                found.object(at);
            }
        }
        found.contradicted_lists();
        let mut all = found.all;
        all.sort_by_key(|statement| (statement.scope, statement.why, statement.source));
        Self { all }
    }

    /// What governs a number of this endpoint; `spans` if it is of a whole run.
    pub(super) fn governing(
        &self,
        (tree, facts): (&Tree<'_>, &[Facts<'_>]),
        number: usize,
        endpoint: Option<&str>,
        spans: bool,
    ) -> Governed<'_> {
        let mut found = Governed::default();
        let mut has_own = false;
        for at in tree.chain(number) {
            let here = self.range(at, at + 1);
            let holds = |s: &&Statement| applies(s, endpoint) && !(s.weak && has_own);
            for statement in here.iter().filter(holds) {
                found.take(statement);
            }
            has_own |= here.iter().any(|s| !s.weak && applies(s, endpoint));
        }
        if spans && found.unreal.is_none() {
            let base = tree.owner(number).map_or(0, |owner| described(tree, owner).0);
            let below = self.range(base, tree.nodes[base].end);
            // What is below and of another endpoint is no part of what this one did.
            let unreal = |s: &&Statement| {
                let of = Statement { endpoint: s.endpoint.or(facts[s.scope].endpoint), ..**s };
                s.why.is_unreal() && applies(&of, endpoint)
            };
            found.unreal = below.iter().find(unreal);
        }
        found
    }

    /// Statements that govern one of these nodes.
    fn range(&self, from: usize, to: usize) -> &[Statement] {
        let start = self.all.partition_point(|s| s.scope < from);
        let end = start + self.all[start..].partition_point(|s| s.scope < to);
        &self.all[start..end]
    }
}

impl<'s> Governed<'s> {
    /// Whether a claim to be real stands against what says otherwise: one of the same endpoint, or at least as near.
    pub(super) fn contradicts(&self) -> bool {
        self.unreal.zip(self.real).is_some_and(|(unreal, real)| {
            unreal.why.is_narrow() || real.endpoint.is_some() || real.scope >= unreal.scope
        })
    }

    fn take(&mut self, statement: &'s Statement) {
        let side = if statement.why.is_unreal() { &mut self.unreal } else { &mut self.real };
        side.get_or_insert(statement);
    }
}

/// Whether a statement is of this endpoint. A number without one may be of any, but is not claimed to be real by that.
fn applies(statement: &Statement, endpoint: Option<&str>) -> bool {
    match (statement.endpoint, endpoint) {
        (None, _) => true,
        (Some(of), Some(endpoint)) => endpoint == of || endpoint.split('-').next() == Some(of),
        (Some(_), None) => statement.why.is_unreal() && !statement.why.is_narrow(),
    }
}

/// The object that an object describes, and the endpoint that is named on the way.
fn described(tree: &Tree<'_>, object: usize) -> (usize, Option<&'static str>) {
    let (mut at, mut endpoint) = (object, None);
    loop {
        let words = tree.words(at);
        match tree.owner(at) {
            Some(owner) if DESCRIBING.contains(&words.last()) => {
                endpoint = endpoint.or(words.endpoint);
                at = owner;
            }
            _ => return (at, endpoint),
        }
    }
}

struct Collector<'a, 't> {
    tree: &'a Tree<'t>,
    all: Vec<Statement>,
}

impl Collector<'_, '_> {
    fn object(&mut self, object: usize) {
        let tree = self.tree;
        let before = self.all.len();
        let affected = self.affected(object);
        let (scope, named) = described(tree, object);
        for (at, _, value) in tree.fields(object) {
            let words = tree.words(at);
            for (why, endpoint, below) in self.field(object, at, words, value) {
                let statement = Statement {
                    scope: if below { at } else { scope },
                    endpoint: endpoint.or(named),
                    why,
                    source: at,
                    weak: false,
                };
                match (statement.endpoint, affected.is_empty() || below) {
                    (None, false) => {
                        let each = |endpoint: &&'static str| Statement {
                            endpoint: Some(*endpoint),
                            ..statement
                        };
                        self.all.extend(affected.iter().map(each));
                    }
                    _ => self.all.push(statement),
                }
            }
        }
        self.spread(scope, before);
    }

    /// What `cuda_transcription` says of itself holds for `cuda_total_time` beside it, which says nothing.
    fn spread(&mut self, scope: usize, from: usize) {
        let tree = self.tree;
        let Step::Name(_) = tree.nodes[scope].step else { return };
        let words = tree.words(scope);
        let parent = tree.nodes[scope].parent;
        let (Some(endpoint), true) = (words.endpoint, words.all.len() > 1) else { return };
        let of = |s: &Statement| {
            (s.scope == scope).then_some(Statement {
                scope: parent,
                endpoint: Some(endpoint),
                weak: true,
                ..*s
            })
        };
        let beside: Vec<_> = self.all[from..].iter().filter_map(of).collect();
        self.all.extend(beside);
    }

    /// An object says that an endpoint is real, and an entry of its lists that it is simulated: it contradicts itself.
    fn contradicted_lists(&mut self) {
        let tree = self.tree;
        let claims: HashSet<_> = self
            .all
            .iter()
            .filter(|s| s.why == Why::Real && !s.weak)
            .filter_map(|s| Some((s.scope, s.endpoint?)))
            .collect();
        let entries = self.all.iter().filter_map(|s| {
            let Step::Index(_) = tree.nodes[s.scope].step else { return None };
            let owner = described(tree, tree.owner(s.scope)?).0;
            let endpoint = s.endpoint.or_else(|| super::facts::place(tree, s.scope))?;
            let claimed = s.why.is_unreal() && claims.contains(&(owner, endpoint));
            claimed.then_some(Statement {
                scope: owner,
                endpoint: Some(endpoint),
                weak: true,
                ..*s
            })
        });
        let found: Vec<_> = entries.collect();
        self.all.extend(found);
    }

    /// The endpoints that a warning is about.
    fn affected(&self, object: usize) -> Vec<&'static str> {
        let lists =
            self.tree.fields(object).filter(|(at, _, _)| self.tree.words(*at).has("affected"));
        lists.flat_map(|(_, _, value)| endpoints(value)).collect()
    }

    /// What a field says: of which endpoint, and whether of what is below it instead of its object.
    fn field(
        &self,
        object: usize,
        at: usize,
        words: &Words,
        value: &Value<'_>,
    ) -> Vec<(Why, Option<&'static str>, bool)> {
        let is_unreal = words.all.iter().any(|word| words::is_unreal(word) || word == "sim");
        let asks = is_unreal && !words.has_one_of(POSSIBILITIES);
        let one = |why| vec![(why, words.endpoint, false)];
        match value {
            Value::Bool(flag) => self.flag(object, words, *flag, asks).map_or(Vec::new(), one),
            Value::Text(text) if asks => {
                let denied = words::denies(text) || text.trim().eq_ignore_ascii_case("real");
                if denied { Vec::new() } else { one(Why::Flag) }
            }
            Value::Text(text) => self.text(words, text),
            Value::List(_) | Value::Object(_) if asks || is_real(words) => {
                let why = if asks { Why::Listed } else { Why::Real };
                let listed = endpoints(value);
                match listed.is_empty() {
                    false => {
                        listed.into_iter().map(|endpoint| (why, Some(endpoint), false)).collect()
                    }
                    true if asks && self.tree.nodes[at].end > at + 1 => {
                        vec![(Why::Named, None, true)]
                    }
                    true => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    fn flag(&self, object: usize, words: &Words, flag: bool, asks: bool) -> Option<Why> {
        let flag = flag != words.has_one_of(&["not", "non", "no"]);
        if asks {
            let is_plain = words.all.iter().all(|word| PLAIN.contains(&word.as_str()));
            return match flag {
                true => Some(Why::Flag),
                false => is_plain.then_some(Why::Real),
            };
        }
        if is_real(words) {
            return Some(if flag { Why::Real } else { Why::Flag });
        }
        if words.has("browser")
            && words.has_one_of(&["opened", "launched", "started", "connected", "running"])
        {
            return (!flag).then_some(Why::NotOpened);
        }
        let above = self.tree.words(object);
        let is_presence = words.has("available")
            || words.has("detected")
            || (words.endpoint.is_some()
                && words.all.len() == 1
                && above.has_one_of(&["available", "detected"]));
        let tells = words.endpoint.is_some() || words.has("hardware") || above.last() == "support";
        (is_presence && tells && !flag).then_some(Why::Absent)
    }

    fn text(&self, words: &Words, text: &str) -> Vec<(Why, Option<&'static str>, bool)> {
        // `device_name` tells of the device, any other name of nothing; `load_video` is a step before what is measured.
        let is_name = words.last() == "name"
            && !words.has_one_of(&["device", "hardware", "adapter", "gpu", "backend"]);
        let is_step = words.all.first().is_some_and(|word| word == "load");
        if words.has_one_of(ELSEWHERE) || is_name || is_step {
            return Vec::new();
        }
        let is_log = words.has_one_of(LOGS);
        if is_log && text.contains('\n') {
            return log(text);
        }
        let mut found = Vec::new();
        let said = words::said(text, is_log);
        // A status tells of its own endpoint: `Failed CUDA initialization`.
        let is_init = matches!(words.last(), "init" | "initialization") && words.endpoint.is_some();
        if is_init && (text.starts_with("Failed") || text.starts_with("Error")) {
            found.push((Why::NotInitialised, words.endpoint, false));
        }
        if said.unreal {
            found.push((Why::Text, words.endpoint, false));
        }
        if said.real {
            found.push((Why::Real, words.endpoint, false));
        }
        found
    }
}

/// `real_hardware`, and not `real_time_factor`.
fn is_real(words: &Words) -> bool {
    words.has("real") && !words.has_one_of(&["time", "vs"]) && !words.has_one_of(POSSIBILITIES)
}

/// A log says something line by line; a line that names an endpoint says it of that one. It claims nothing.
fn log(text: &str) -> Vec<(Why, Option<&'static str>, bool)> {
    let lines = text.lines().filter(|line| words::said(line, true).unreal);
    let mut found: Vec<_> =
        lines.map(|line| (Why::Text, words::endpoint(&words::tokens(line)), false)).collect();
    found.sort_by_key(|(_, endpoint, _)| *endpoint);
    found.dedup();
    found
}

/// The endpoints of a list, or the names of an object whose values are not false; nothing if it has anything else.
fn endpoints(value: &Value<'_>) -> Vec<&'static str> {
    let of = |text: &str| words::endpoint(&words::tokens(text));
    let found: Option<Vec<_>> = match value {
        Value::List(values) => values
            .iter()
            .map(|value| match value {
                Value::Text(text) => of(text),
                _ => None,
            })
            .collect(),
        Value::Object(fields)
            if fields.iter().all(|(_, value)| matches!(value, Value::Bool(_))) =>
        {
            fields
                .iter()
                .filter(|(_, value)| *value == Value::Bool(true))
                .map(|(name, _)| of(name))
                .collect()
        }
        _ => None,
    };
    found.unwrap_or_default()
}
