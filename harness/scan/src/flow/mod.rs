//! Follows numbers through the functions of one file: from where they are made to where they are presented.
//!
//! A function is walked in the order of its text. Branches are joined. Functions of the same file are known by what
//! they return; everything else is unknown. The result is a list of sinks: places where a number is presented.

pub(crate) mod calls;
mod env;
mod eval;
mod invoke;
pub(crate) mod marks;
mod value;
mod walk;

use env::Env;
pub(crate) use value::{Origins, Value};
pub(crate) use walk::shown_name;

use crate::file::File;
use crate::syntax::{Function, Span, Stmt, StmtKind, Unit, visit};
use crate::words;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// How a number is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SinkKind {
    /// A field of a record, or a named argument of a constructor.
    Field,
    /// What a function returns.
    Return,
    /// Added to a list, or set in a table or an object.
    Store,
    /// Part of a text that is printed or written.
    Text,
    /// An answer of another kind, given where the real thing could not be had.
    Answer,
}

/// Under which condition a place is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Something could not be imported.
    NoImport,
    /// Something is not there.
    Absent,
    /// Something failed.
    Failed,
    /// Somebody asked for a simulation.
    Asked,
}

/// What the keys of a record say.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// How many of them name quantities.
    pub(crate) quantities: usize,
    words: BTreeSet<String>,
}

impl Beside {
    fn of<'k>(keys: impl Iterator<Item = &'k String>) -> Rc<Self> {
        let mut beside = Self::default();
        for key in keys {
            beside.quantities += usize::from(words::quantity(key).is_some());
            beside.words.extend(words::split(key));
        }
        Rc::new(beside)
    }

    /// Whether a key has one of these words.
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.words.contains(*word))
    }
}

/// A place where a number is presented.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) kind: SinkKind,
    pub(crate) span: Span,
    /// The name under which it is presented.
    pub(crate) name: String,
    /// The names around it: the variable or the call that the record goes to.
    pub(crate) container: String,
    /// The keys beside it, shared by all of a record.
    pub(crate) beside: Rc<Beside>,
    pub(crate) value: Value,
    /// An index into the functions of the unit.
    pub(crate) function: usize,
    pub(crate) scope: Option<Scope>,
    /// The variable that holds it.
    pub(crate) root: Option<String>,
    /// Whether what holds it says that it is not measured.
    pub(crate) marked: bool,
    /// Whether what holds it says that it is real.
    pub(crate) claimed: bool,
    /// Whether what holds it says that something failed.
    pub(crate) failed: bool,
}

/// What is known of a file's functions.
#[derive(Debug)]
pub(crate) struct Analysis<'a> {
    pub(crate) unit: &'a Unit,
    pub(crate) sinks: Vec<Sink>,
    /// What each function returns.
    returned: Vec<Value>,
    globals: Env,
    /// Names that say whether something could be imported.
    absent: BTreeSet<String>,
    by_name: BTreeMap<&'a str, Vec<usize>>,
    declared_file: bool,
}

impl<'a> Analysis<'a> {
    /// Walks every function; twice, so that what is returned is known wherever it is called.
    pub(crate) fn of(unit: &'a Unit, file: &File<'_>) -> Self {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, function) in unit.functions.iter().enumerate() {
            by_name.entry(&function.name).or_default().push(at);
        }
        let mut analysis = Self {
            unit,
            sinks: Vec::new(),
            returned: vec![Value::default(); unit.functions.len()],
            globals: Env::default(),
            absent: absent_names(unit),
            by_name,
            declared_file: file.declares_simulation(),
        };
        for last in [false, true] {
            for at in 0..unit.functions.len() {
                let (returned, env, sinks) = walk::function(&analysis, at);
                analysis.returned[at] = returned;
                if at == 0 {
                    analysis.globals = env;
                }
                if last {
                    analysis.sinks.extend(sinks);
                }
            }
        }
        analysis
    }

    /// What a function returns.
    pub(crate) fn returned(&self, at: usize) -> &Value {
        &self.returned[at]
    }

    /// The functions of this name; the module's own code has none.
    pub(crate) fn named(&self, name: &str) -> &[usize] {
        if name.is_empty() {
            return &[];
        }
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a function says by its name, its type's or its file's that it does not measure.
    pub(crate) fn declares(&self, at: usize) -> bool {
        let function = &self.unit.functions[at];
        self.declared_file && !function.name.is_empty() || says_so(function)
    }
}

/// Whether the names of a function say that it does not measure.
pub(crate) fn says_so(function: &Function) -> bool {
    let owner = function.owner.as_deref().unwrap_or_default();
    let declared = |name: &str| {
        words::split(name).iter().any(|word| {
            let predicts = matches!(word.as_str(), "predict" | "cost" | "bound" | "noise");
            (words::is_declared(word) && !predicts) || words::is_double(word)
        })
    };
    let predicts = |name: &str| {
        let words = words::split(name);
        let predicts =
            words.iter().any(|word| matches!(word.as_str(), "predict" | "cost" | "bound"));
        predicts && (words.len() > 1)
    };
    declared(&function.name) || declared(owner) || predicts(&function.name) || predicts(owner)
}

/// Names that are set where an import has failed, and names like `HAS_TORCH` that are set to false there.
fn absent_names(unit: &Unit) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for function in &unit.functions {
        visit::statements(&function.body, &mut |statement| {
            let StmtKind::Try { body, handlers, .. } = &statement.kind else { return };
            for handler in handlers {
                if !is_import_failure(&handler.catches, body) {
                    continue;
                }
                for inner in &handler.body {
                    if let StmtKind::Assign { target, .. } = &inner.kind {
                        found.extend(target.path());
                    }
                }
            }
        });
    }
    found
}

/// Whether a handler is one for an import that failed.
pub(crate) fn is_import_failure(catches: &str, tried: &[Stmt]) -> bool {
    if catches.contains("ImportError") || catches.contains("ModuleNotFound") {
        return true;
    }
    let everything = matches!(
        catches.split_whitespace().next().unwrap_or_default(),
        "" | "Exception" | "BaseException"
    );
    everything && tried.iter().any(imports)
}

/// Whether a statement imports something: `import`, `require`, `await import(…)`.
fn imports(statement: &Stmt) -> bool {
    let mut found = matches!(statement.kind, StmtKind::Import(_));
    visit::of_statement(statement, &mut |expr| {
        visit::inside(expr, &mut |inner| {
            if let crate::syntax::ExprKind::Call(callee, _) = &inner.kind {
                found |= matches!(
                    callee.last_name(),
                    "require" | "import" | "import_module" | "__import__"
                );
            }
        });
    });
    found
}

#[cfg(test)]
mod tests;
