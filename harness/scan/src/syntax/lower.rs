//! What the lowering of each language shares: parsing with a bound, places, and ends that are open.

use super::{Arm, Class, Comment, Expr, ExprKind, Function, Span, Stmt, StmtKind, Unit};
use crate::file::Language;
use std::ops::ControlFlow;
use tree_sitter::{Node, ParseOptions, Parser, Tree};

/// Nesting beyond this is not looked into.
const MAX_DEPTH: usize = 120;

/// Parses a text; none where the parser gives up: on pathological input it is stopped after as many looks at its
/// progress as a text of this length can need.
pub(crate) fn parse_tree(language: Language, text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()?).ok()?;
    let mut looks = 0usize;
    let most = 2_000 + text.len();
    let mut progress = |_: &tree_sitter::ParseState| {
        looks += 1;
        if looks > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let bytes = text.as_bytes();
    let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
    parser.parse_with_options(&mut read, None, Some(options))
}

/// The text of a node.
pub(crate) fn text_of<'a>(node: Node<'_>, text: &'a str) -> &'a str {
    text.get(node.byte_range()).unwrap_or_default()
}

/// The named children that are no comments.
pub(crate) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| !child.is_extra()).collect()
}

/// The first named child that is no comment.
pub(crate) fn first(node: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).find(|child| !child.is_extra())
}

/// The named child in this field.
pub(crate) fn field<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    node.child_by_field_name(name)
}

/// Lowers one expression of a language; what is in it by `Lowering::expression`.
type Here = fn(&mut Lowering<'_>, Node<'_>) -> ExprKind;

/// An arm that only gives a value.
pub(crate) fn arm(pattern: &str, value: Expr) -> Arm {
    let span = value.span;
    Arm { pattern: pattern.to_owned(), body: vec![Stmt { kind: StmtKind::Value(value), span }] }
}

/// The unit that grows, and where in a file its text stands.
pub(crate) struct Lowering<'a> {
    pub(crate) text: &'a str,
    /// The place in the file of what follows the first `skipped` bytes of the text, which stand in its first line.
    at: Span,
    skipped: usize,
    pub(crate) unit: Unit,
    depth: usize,
    here: Here,
    /// The type whose methods are being read.
    pub(crate) owner: Option<String>,
    /// Whether what is being read is code of tests.
    pub(crate) in_test: bool,
}

impl<'a> Lowering<'a> {
    /// With the module's own function as the first one, still empty.
    pub(crate) fn new(text: &'a str, first_line: usize, here: Here) -> Self {
        let mut unit = Unit::default();
        unit.functions.push(Function::default());
        let at = Span { line: first_line, column: 1, ..Span::default() };
        Self { text, at, skipped: 0, unit, depth: 0, here, owner: None, in_test: false }
    }

    /// Does this with another text that stands for a piece of this one: the piece is at `at`, and in the text after
    /// `skipped` bytes.
    pub(crate) fn within<T>(
        &mut self,
        text: &str,
        skipped: usize,
        at: Span,
        work: impl FnOnce(&mut Lowering<'_>) -> T,
    ) -> T {
        let Self { unit, depth, here, owner, in_test, .. } = self;
        let (unit, owner) = (std::mem::take(unit), owner.take());
        let (depth, here, in_test) = (*depth, *here, *in_test);
        let mut inner = Lowering { text, at, skipped, unit, depth, here, owner, in_test };
        let done = work(&mut inner);
        (self.unit, self.owner) = (inner.unit, inner.owner);
        done
    }

    pub(crate) fn text(&self, node: Node<'_>) -> String {
        text_of(node, self.text).to_owned()
    }

    /// The text of a field, or nothing.
    pub(crate) fn field_text(&self, node: Node<'_>, name: &str) -> String {
        field(node, name).map(|child| self.text(child)).unwrap_or_default()
    }

    pub(crate) fn span(&self, node: Node<'_>) -> Span {
        let point = node.start_position();
        let moved = |byte: usize| (self.at.start + byte).saturating_sub(self.skipped);
        let column = match point.row {
            0 => (self.at.column + point.column).saturating_sub(self.skipped),
            _ => point.column + 1,
        };
        Span {
            start: moved(node.start_byte()),
            end: moved(node.end_byte()),
            line: self.at.line + point.row,
            column,
        }
    }

    pub(crate) fn expr(&self, node: Node<'_>, kind: ExprKind) -> Expr {
        Expr { kind, span: self.span(node) }
    }

    pub(crate) fn stmt(&self, node: Node<'_>, kind: StmtKind) -> Stmt {
        Stmt { kind, span: self.span(node) }
    }

    /// An expression, one level deeper.
    pub(crate) fn expression(&mut self, node: Node<'_>) -> Expr {
        let here = self.here;
        let kind = self.deeper(|low| here(low, node));
        self.expr(node, kind.unwrap_or(ExprKind::Other(Vec::new())))
    }

    /// The expression in a field; where there is none, null.
    pub(crate) fn boxed(&mut self, node: Node<'_>, name: &str) -> Box<Expr> {
        Box::new(match field(node, name) {
            Some(child) => self.expression(child),
            None => self.expr(node, ExprKind::Null),
        })
    }

    /// All children as expressions.
    pub(crate) fn all(&mut self, node: Node<'_>) -> Vec<Expr> {
        children(node).into_iter().map(|child| self.expression(child)).collect()
    }

    /// Adds a class and gives the statement that declares it.
    pub(crate) fn class(&mut self, node: Node<'_>, class: Class) -> Stmt {
        let at = self.unit.classes.len();
        self.unit.classes.push(class);
        self.stmt(node, StmtKind::Class(at))
    }

    /// Goes one level down and does this there; none where it is too deep.
    pub(crate) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        Some(done)
    }

    /// Adds a function and gives the statement that defines it.
    pub(crate) fn define(&mut self, node: Node<'_>, function: Function) -> Stmt {
        let at = self.unit.functions.len();
        self.unit.functions.push(function);
        self.stmt(node, StmtKind::Def(at))
    }

    /// Gathers the comments of a tree.
    pub(crate) fn comments(&mut self, root: Node<'_>) {
        each_node(root, &mut |node| {
            if node.kind().contains("comment") && !node.kind().starts_with("doc_comment") {
                self.unit.comments.push(Comment {
                    line: self.at.line + node.start_position().row,
                    end_line: self.at.line + node.end_position().row,
                    text: text_of(node, self.text).trim_end().to_owned(),
                });
                return false;
            }
            true
        });
    }
}

/// Calls `see` with every node, outer ones first, without recursion; where it gives false, not with those inside.
pub(crate) fn each_node<'a>(root: Node<'a>, see: &mut dyn FnMut(Node<'a>) -> bool) {
    let mut cursor = root.walk();
    loop {
        if see(cursor.node()) && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

/// Whether a file of source code ends in the middle of something: there is a syntax error, and at the end of the text a
/// bracket, a string or a comment is open, or a statement waits for more.
pub(crate) fn has_open_end(root: Node<'_>, text: &str) -> bool {
    if !root.has_error() {
        return false;
    }
    let end = text.trim_end().len();
    let mut open = 0i64;
    let mut missing_at_end = false;
    let mut error_at_end = false;
    each_node(root, &mut |node| {
        let kind = node.kind();
        let at_end = node.end_byte() >= end && node.start_byte() <= end;
        missing_at_end |= node.is_missing() && at_end;
        error_at_end |= node.is_error() && at_end;
        if node.child_count() == 0 && !node.is_missing() {
            open += match kind {
                "(" | "[" | "{" | "${" | "#{" => 1,
                ")" | "]" | "}" => -1,
                _ => 0,
            };
        }
        !matches!(kind, "string_content" | "string_fragment" | "comment" | "line_comment")
    });
    let waits = text.trim_end().ends_with([',', '=', '(', '[', '{', ':', '+', '.', '&', '|']);
    (missing_at_end || error_at_end) && (open > 0 || waits || ends_in_string(root, text, end))
}

/// Whether the error at the end holds the opening of a string that nothing closes.
fn ends_in_string(root: Node<'_>, text: &str, end: usize) -> bool {
    let mut opens = false;
    each_node(root, &mut |node| {
        if node.is_error() && node.end_byte() >= end {
            let inner = text.get(node.byte_range()).unwrap_or_default();
            let quotes = |quote: &str| inner.matches(quote).count() % 2 == 1;
            opens |=
                quotes("\"\"\"") || quotes("'''") || quotes("`") || quotes("\"") || quotes("'");
            opens |= inner.contains("/*") && !inner.contains("*/");
        }
        true
    });
    opens
}
