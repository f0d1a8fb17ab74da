//! From a file to its numbers: each with its path, what it is of, and its mark.

use super::facts::{self, Facts, NoResult};
use super::govern::{Governed, Statement, Statements, Why};
use super::json::Value;
use super::names::{self, Name, Understood};
use super::tree::{Step, Tree};
use super::words;
use proofmark::Mark;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// All its results were understood.
    #[serde(rename = "migrated")]
    Migrated,
    /// Some were not, and are kept as they are.
    #[serde(rename = "partly")]
    Partly,
    /// It has none.
    #[serde(rename = "no results")]
    NoResults,
    /// It could not be read.
    #[serde(rename = "rejected")]
    Rejected,
}

impl Outcome {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migrated => "migrated",
            Self::Partly => "partly",
            Self::NoResults => "no results",
            Self::Rejected => "rejected",
        }
    }
}

/// What numbers of one name are here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    /// The name in the file.
    pub name: String,
    /// Its name here; null if that is not known.
    pub metric: Option<String>,
    /// `mean`, `p95`, …; null if the name has none.
    pub statistic: Option<String>,
    /// Ours; null if there is no value.
    pub unit: Option<String>,
    /// Why there is no value; null if there is one.
    pub note: Option<String>,
}

/// A number of a file. As JSON it is a list, for there are many.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Row {
    /// Its place in the list of [`Extracted::names`].
    pub naming: usize,
    /// Where it stands, as a JSON path.
    pub path: String,
    /// Its text there.
    pub raw: String,
    /// In our unit; null if it is not understood.
    pub value: Option<f64>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.naming, &self.path, &self.raw, self.value).serialize(serializer)
    }
}

/// Numbers that share all else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// As the file has it; null if it does not say.
    pub model: Option<String>,
    /// Ours where there is one; null if the file does not say.
    pub endpoint: Option<String>,
    /// Ours where there is one.
    pub precision: Option<String>,
    /// If the file says it.
    pub batch_size: Option<u64>,
    /// When it was measured, as the file says it.
    pub measured_at: Option<String>,
    /// `simulated` or `claimed`.
    pub mark: Mark,
    /// Why it has this mark: a code, a colon, and where the file says so.
    pub reason: String,
    /// The numbers, in the order of the file.
    pub rows: Vec<Row>,
}

/// What was found in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// What became of it.
    pub outcome: Outcome,
    /// Why: the first of each code.
    pub reasons: Vec<String>,
    /// Where the file contradicts itself about a number.
    pub contradictions: Vec<String>,
    /// Names and values that were not understood.
    pub not_understood: Vec<String>,
    /// The names of its numbers.
    pub names: Vec<Naming>,
    /// The numbers.
    pub groups: Vec<Group>,
}

/// Finds the numbers of a file; `name` is the file's own, which may say that it is a configuration.
pub fn extract(root: &Value<'_>, name: &str) -> Extracted {
    let words = words::tokens(name);
    let has = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let is_configuration =
        has(&["config", "configuration", "settings"]) && !has(&["result", "results"]);
    let tree = Tree::new(root);
    let facts = facts::collect(&tree, is_configuration);
    let statements = Statements::collect(&tree);
    let doubles = Doubles::find(&tree);
    let mut extraction = Extraction::new(&tree, &statements, &facts);
    for (at, around) in facts.iter().enumerate() {
        match tree.nodes[at].value {
            Value::Number(text) => extraction.number(at, text, around, &doubles),
            Value::Text(text) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                extraction.text(at, text, around, &doubles);
            }
            _ => {}
        }
    }
    extraction.doubled |= doubles.differ();
    extraction.finish()
}

/// Names that stand twice in one object.
#[derive(Debug)]
struct Doubles {
    /// Whether a node is, or is in, a value of a name that has a later one.
    hidden: Vec<bool>,
    /// Last values of names whose values differ.
    unsure: BTreeSet<usize>,
}

impl Doubles {
    fn find(tree: &Tree<'_>) -> Self {
        let mut found = Self { hidden: vec![false; tree.nodes.len()], unsure: BTreeSet::new() };
        for object in 0..tree.nodes.len() {
            let mut last: HashMap<&str, usize> = HashMap::new();
            for (at, name, value) in tree.fields(object) {
                if let Some(earlier) = last.insert(name, at) {
                    found.hidden[earlier..tree.nodes[earlier].end].fill(true);
                    if tree.nodes[earlier].value != value || found.unsure.contains(&earlier) {
                        found.unsure.insert(at);
                    }
                }
            }
        }
        found
    }

    fn hides(&self, at: usize) -> bool {
        self.hidden[at]
    }

    fn differ(&self) -> bool {
        !self.unsure.is_empty()
    }
}

/// What a naming follows from: the name, what it means, and why there is no value.
type Meaning<'t> = (&'t str, Option<Understood>, Option<&'static str>);

/// Model, precision, batch size and time.
type Around<'t> = (Option<&'t str>, Option<&'t str>, Option<u64>, Option<&'t str>);

struct Extraction<'a, 't> {
    tree: &'a Tree<'t>,
    statements: &'a Statements,
    facts: &'a [Facts<'t>],
    known: HashMap<&'t str, (Name, bool)>,
    meanings: HashMap<Meaning<'t>, usize>,
    names: Vec<Naming>,
    told: HashMap<(usize, usize), (Mark, String)>,
    no_results: BTreeSet<NoResult>,
    /// What the file is, if it has no numbers that are results.
    whole: BTreeSet<NoResult>,
    doubled: bool,
    groups: Vec<Group>,
    /// What the last group shares, as the file has it.
    around: Option<Around<'t>>,
}

impl<'a, 't> Extraction<'a, 't> {
    fn new(tree: &'a Tree<'t>, statements: &'a Statements, facts: &'a [Facts<'t>]) -> Self {
        Self {
            tree,
            statements,
            facts,
            known: HashMap::new(),
            meanings: HashMap::new(),
            names: Vec::new(),
            told: HashMap::new(),
            no_results: BTreeSet::new(),
            whole: facts::of_whole(facts),
            doubled: false,
            groups: Vec::new(),
            around: None,
        }
    }

    /// What a number is called, and whether its name says that it is no measurement.
    fn name_of(&mut self, at: usize) -> (Name, bool) {
        let tree = self.tree;
        let name = tree.name(at);
        if names::is_statistic(name) {
            let full = full_name(tree, at, name);
            return (names::understand(&full), says_unreal(&full));
        }
        self.known
            .entry(name)
            .or_insert_with(|| (names::understand(name), says_unreal(name)))
            .clone()
    }

    fn number(&mut self, at: usize, text: &str, facts: &Facts<'t>, doubles: &Doubles) {
        let (name, unreal) = self.name_of(at);
        if name == Name::Context || doubles.hides(at) {
            return;
        }
        if let Some(why) = facts.no_result {
            self.no_results.insert(why);
            return;
        }
        let note = match &name {
            _ if doubles.unsure.contains(&at) => {
                Some("the name stands twice, with different values")
            }
            Name::Metric(found) => match names::convert(text, found.ten, found.two) {
                None => Some("the value is not finite"),
                Some(value) if value < 0.0 && !found.signed => Some("the value is below zero"),
                Some(_) => None,
            },
            Name::Unknown | Name::Context => Some("the name is not understood"),
        };
        self.push(at, text, facts, (&name, unreal), note);
    }

    /// A text where a number should be: `"latency": "12 ms"`.
    fn text(&mut self, at: usize, text: &str, facts: &Facts<'t>, doubles: &Doubles) {
        let (name, unreal) = self.name_of(at);
        let is_metric = matches!(name, Name::Metric(_));
        if is_metric && facts.no_result.is_none() && !doubles.hides(at) {
            self.push(at, text, facts, (&name, unreal), Some("the value is a text"));
        }
    }

    fn push(
        &mut self,
        at: usize,
        text: &str,
        facts: &Facts<'t>,
        (name, unreal): (&Name, bool),
        note: Option<&'static str>,
    ) {
        let tree = self.tree;
        let found: Option<&Understood> = match name {
            Name::Metric(found) => Some(found),
            Name::Unknown | Name::Context => None,
        };
        let endpoint = endpoint(tree, at, facts, found);
        let spans = found.is_some_and(|found| found.spans);
        let governed =
            self.statements.governing((tree, self.facts), at, endpoint.as_deref(), spans);
        let (mark, reason) = if unreal { self.named(at, governed) } else { self.mark(governed) };
        let value = match (found, note) {
            (Some(found), None) => names::convert(text, found.ten, found.two),
            _ => None,
        };
        let naming = self.naming((tree.name(at), found.copied(), note));
        let row = Row { naming, path: tree.path(at), raw: clean(text), value };
        let around = Some((facts.model, facts.precision, facts.batch_size, facts.at));
        if let Some(last) = self.groups.last_mut() {
            let same = last.endpoint == endpoint && last.mark == mark && last.reason == reason;
            if same && self.around == around {
                last.rows.push(row);
                return;
            }
        }
        self.around = around;
        self.groups.push(Group {
            model: facts.model.map(clean),
            endpoint,
            precision: facts.precision.map(|text| clean(facts::precision(text))),
            batch_size: facts.batch_size,
            measured_at: facts.at.map(clean),
            mark,
            reason,
            rows: vec![row],
        });
    }

    fn naming(&mut self, meaning: Meaning<'t>) -> usize {
        *self.meanings.entry(meaning).or_insert_with(|| {
            let (name, found, note) = meaning;
            self.names.push(Naming {
                name: clean(name),
                metric: found.map(|found| found.metric.to_owned()),
                statistic: found.and_then(|found| found.statistic).map(str::to_owned),
                unit: found.filter(|_| note.is_none()).map(|found| found.unit.to_owned()),
                note: note.map(str::to_owned),
            });
            self.names.len() - 1
        })
    }

    fn named(&self, at: usize, governed: Governed<'_>) -> (Mark, String) {
        let of = format!("the name {:?}", self.tree.name(at));
        match governed.real {
            None => (Mark::Simulated, format!("named: {of}")),
            Some(real) => (Mark::Simulated, format!("contradiction: {of}, {}", self.tell(real))),
        }
    }

    fn mark(&mut self, governed: Governed<'_>) -> (Mark, String) {
        let source = |statement: Option<&Statement>| statement.map_or(usize::MAX, |s| s.source);
        let key = (source(governed.unreal), source(governed.real));
        if let Some(known) = self.told.get(&key) {
            return known.clone();
        }
        let told = match (governed.unreal, governed.real) {
            (Some(unreal), Some(real)) if governed.contradicts() => (
                Mark::Simulated,
                format!("contradiction: {}, {}", self.tell(unreal), self.tell(real)),
            ),
            // What is not there, or did not start, has results nevertheless.
            (Some(unreal), _) if matches!(unreal.why, Why::Absent | Why::NotInitialised) => (
                Mark::Simulated,
                format!("contradiction: {}, and it has results", self.tell(unreal)),
            ),
            (Some(unreal), _) => {
                (Mark::Simulated, format!("{}: {}", code(unreal.why), self.tell(unreal)))
            }
            (None, Some(real)) => (Mark::Claimed, format!("says-real: {}", self.tell(real))),
            (None, None) => (Mark::Claimed, "says-nothing: of how it came about".to_owned()),
        };
        self.told.insert(key, told.clone());
        told
    }

    /// A statement as the file makes it.
    fn tell(&self, statement: &Statement) -> String {
        let path = self.tree.path(statement.source);
        match self.tree.nodes[statement.source].value {
            Value::Bool(flag) => format!("{path} is {flag}"),
            Value::Text(text) => format!("{path} is {:?}", shorten(text)),
            Value::Null | Value::Number(_) | Value::List(_) | Value::Object(_) => path,
        }
    }

    fn finish(mut self) -> Extracted {
        if self.groups.is_empty() {
            self.no_results.append(&mut self.whole);
        }
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        let mut note = |reason: &str| {
            let code = reason.split(':').next().unwrap_or_default().to_owned();
            first.entry(code).or_insert_with(|| reason.to_owned());
        };
        let (mut contradictions, mut not_understood) = (BTreeSet::new(), BTreeSet::new());
        for group in &self.groups {
            note(&group.reason);
            if let Some(what) = group.reason.strip_prefix("contradiction: ") {
                contradictions.insert(what.to_owned());
            }
            for row in &group.rows {
                let naming = &self.names[row.naming];
                if let Some(why) = &naming.note {
                    note(&format!("not-understood: {why} at {}", row.path));
                    not_understood.insert(format!("{}: {why}", naming.name));
                }
            }
        }
        if self.doubled {
            note("doubled: a name stands twice in an object, with different values");
        }
        self.no_results.iter().for_each(|why| note(told_no_result(*why)));
        let outcome = match (self.groups.is_empty(), not_understood.is_empty() && !self.doubled) {
            (true, _) => Outcome::NoResults,
            (false, true) => Outcome::Migrated,
            (false, false) => Outcome::Partly,
        };
        if outcome == Outcome::NoResults && self.no_results.is_empty() && !self.doubled {
            note("no-numbers: it has no number that is a result");
        }
        Extracted {
            outcome,
            reasons: first.into_values().collect(),
            contradictions: contradictions.into_iter().collect(),
            not_understood: not_understood.into_iter().collect(),
            names: self.names,
            groups: self.groups,
        }
    }
}

fn told_no_result(why: NoResult) -> &'static str {
    match why {
        NoResult::Configuration => "configuration: its numbers are settings",
        NoResult::ApiCheck => {
            "api-check: its numbers are of requests to a service, or of what a hub says"
        }
        NoResult::Failed => "failed: its numbers are of what failed",
        NoResult::FixLog => "fix-log: its numbers count repairs",
    }
}

/// A short name of a reason, by which reasons are counted.
fn code(why: Why) -> &'static str {
    match why {
        Why::Flag => "flag",
        Why::Text => "text",
        Why::Listed => "listed",
        Why::Named => "named",
        Why::NotOpened => "browser-not-opened",
        Why::Absent | Why::NotInitialised => "contradiction",
        Why::Real => "says-real",
    }
}

fn says_unreal(name: &str) -> bool {
    let computed =
        matches!(names::understand(name), Name::Metric(Understood { computed: true, .. }));
    computed || words::tokens(name).iter().any(|word| words::is_unreal(word) || word == "sim")
}

/// The name of what stands below a name, or beside one: `{"latency": {"mean": …}}`, `{"name": …, "value": …, "unit": …}`.
fn full_name(tree: &Tree<'_>, at: usize, name: &str) -> String {
    let Some(owner) = tree.owner(at) else { return name.to_owned() };
    let stem = match name {
        "value" => tree.text(owner, &["metric", "metric_name", "name", "type"]),
        _ => None,
    };
    let own = if matches!(name, "value" | "values" | "samples" | "raw") { "" } else { name };
    let unit = tree.text(owner, &["unit", "units"]).unwrap_or_default();
    let parts = [stem.unwrap_or_else(|| tree.name(owner)), own, unit];
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("_")
}

/// Where a number is of: what its own name says, or what is said around it.
fn endpoint(
    tree: &Tree<'_>,
    at: usize,
    facts: &Facts<'_>,
    found: Option<&Understood>,
) -> Option<String> {
    let is_resource = found.is_some_and(|found| found.metric.ends_with("_utilization"));
    let own = match tree.nodes[at].step {
        Step::Name(_) if !is_resource => tree.words(at).endpoint,
        _ => None,
    };
    // `cpu_time` of something that ran elsewhere is of that.
    let own = own.filter(|own| *own != "cpu" || facts.endpoint.is_none());
    let endpoint = own.or(facts.endpoint)?;
    Some(match facts.browser {
        Some(browser) if endpoint.starts_with("web") => format!("{endpoint}-{browser}"),
        _ => endpoint.to_owned(),
    })
}

/// At most 80 letters of a text.
fn shorten(text: &str) -> String {
    first(text, 80)
}

/// A text of a file as it may stand in a table: without control characters, and not longer than a table can bear.
fn clean(text: &str) -> String {
    first(text, 1000).replace(char::is_control, "\u{fffd}")
}

fn first(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
