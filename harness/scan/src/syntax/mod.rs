//! One small syntax tree for Python, JavaScript and Rust: what the rules need of a program, and no more.
//!
//! Each language has a file that lowers its tree-sitter tree into this one. Depth is bounded, so that no input can
//! exhaust the stack; what is deeper becomes `Other`.

mod javascript;
mod lower;
mod python;
mod rust;
mod rust_macros;
pub(crate) mod visit;

pub(crate) use lower::{each_node, parse_tree, text_of};

use lower::has_open_end;

use crate::file::Language;

/// Where something stands: byte offsets, and a line and column that count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// An expression and its place.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Number(f64),
    Text(String),
    /// A string with expressions in it: its fixed text and the expressions.
    Template(String, Vec<Expr>),
    Truth(bool),
    Null,
    Name(String),
    Member(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Vec<Arg>),
    Record(Record),
    List(Vec<Expr>),
    /// A comprehension: its element, and what it goes over and is filtered by.
    Each(Box<Expr>, Vec<Expr>),
    Binary(String, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// A conditional value: a ternary, an `if` or a `match`, with what it decides on.
    Branch(Vec<Expr>, Vec<Arm>),
    Lambda(Vec<Param>, Vec<Stmt>),
    Other(Vec<Expr>),
}

/// A dictionary, an object or a struct literal.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The struct's name.
    pub(crate) name: Option<String>,
    pub(crate) fields: Vec<(String, Expr)>,
    /// What is spread into it.
    pub(crate) spread: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub(crate) struct Arg {
    pub(crate) name: Option<String>,
    pub(crate) value: Expr,
}

#[derive(Clone, Debug)]
pub(crate) struct Arm {
    /// The text of its pattern; of a ternary, `if` and `else`.
    pub(crate) pattern: String,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Clone, Debug)]
pub(crate) struct Stmt {
    pub(crate) kind: StmtKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum StmtKind {
    /// `target = value`; augmented: `target += value`.
    Assign {
        target: Expr,
        value: Expr,
        augmented: bool,
    },
    Return(Option<Expr>),
    /// The value of a block.
    Value(Expr),
    Eval(Expr),
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    Loop {
        head: Option<Expr>,
        target: Option<Expr>,
        body: Vec<Stmt>,
        counted: bool,
    },
    Try {
        body: Vec<Stmt>,
        handlers: Vec<Handler>,
        last: Vec<Stmt>,
    },
    With {
        items: Vec<(Expr, Option<String>)>,
        body: Vec<Stmt>,
    },
    Throw(Option<Expr>),
    /// Module paths with the imported names, as they are written.
    Import(String),
    Delete(Vec<Expr>),
    /// An index into the functions of the unit.
    Def(usize),
    /// An index into the classes of the unit.
    Class(usize),
    /// `break`.
    Break,
    /// `continue`, `pass`.
    Skip,
    Block(Vec<Stmt>),
}

#[derive(Clone, Debug)]
pub(crate) struct Handler {
    /// The text of what it catches; empty: everything.
    pub(crate) catches: String,
    pub(crate) binding: Option<String>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) kind: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    /// Empty for the code of the module itself.
    pub(crate) name: String,
    /// The class or type that it is a method of.
    pub(crate) owner: Option<String>,
    pub(crate) params: Vec<Param>,
    pub(crate) body: Vec<Stmt>,
    /// Decorators and attributes, as they are written.
    pub(crate) attributes: Vec<String>,
    pub(crate) is_test: bool,
    pub(crate) span: Span,
}

/// A class or a struct, with its fields as far as they are declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) fields: Vec<ClassField>,
    pub(crate) methods: Vec<usize>,
    pub(crate) is_test: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ClassField {
    pub(crate) name: String,
    pub(crate) attributes: String,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) line: usize,
    pub(crate) end_line: usize,
    pub(crate) text: String,
}

/// A source file. The first function is the code of the module itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit {
    pub(crate) functions: Vec<Function>,
    pub(crate) classes: Vec<Class>,
    pub(crate) comments: Vec<Comment>,
    /// Whether the syntax ends in the middle of something.
    pub(crate) open_end: bool,
}

impl Unit {
    /// Lowers a text; `first_line` is the number of its first line in its file.
    pub(crate) fn parse(language: Language, text: &str, first_line: usize) -> Option<Self> {
        let tree = parse_tree(language, text)?;
        let root = tree.root_node();
        let mut unit = match language {
            Language::Python => python::lower(root, text, first_line),
            Language::JavaScript | Language::TypeScript | Language::Tsx => {
                javascript::lower(root, text, first_line)
            }
            Language::Rust => rust::lower(root, text, first_line),
            _ => return None,
        };
        unit.open_end = has_open_end(root, text);
        Some(unit)
    }

    /// The functions of this name, methods too.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        (0..self.functions.len()).filter(move |at| self.functions[*at].name == name)
    }
}

impl Expr {
    /// Names and constant keys with dots between them: `result["a"].b` is `result.a.b`.
    pub(crate) fn path(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Name(name) => Some(name.clone()),
            ExprKind::Member(object, name) => Some(format!("{}.{name}", object.path()?)),
            ExprKind::Index(object, key) => match &key.kind {
                ExprKind::Text(key) => Some(format!("{}.{key}", object.path()?)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The last name of a path, also where what it is of is no path: `f().b` gives `b`.
    pub(crate) fn last_name(&self) -> &str {
        match &self.kind {
            ExprKind::Name(name) | ExprKind::Member(_, name) => name,
            ExprKind::Index(_, key) => match &key.kind {
                ExprKind::Text(key) => key,
                _ => "",
            },
            _ => "",
        }
    }

    /// The first name of a path: the variable that it is about.
    pub(crate) fn root_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => Some(name),
            ExprKind::Member(object, _) | ExprKind::Index(object, _) => object.root_name(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
