//! Macros of Rust whose arguments are expressions: what prints, what makes lists, and `json!`.
//!
//! tree-sitter leaves the arguments of macros as tokens. They are parsed once more as the arguments of a call.

use super::lower::{Lowering, children, field, parse_tree};
use super::{Arg, Expr, ExprKind, Record, Span, rust};
use crate::file::Language;
use tree_sitter::Node;

const LISTS: [&str; 3] = ["vec", "smallvec", "array"];

/// A macro call, as the value that it stands for.
pub(super) fn lower(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let name = low.field_text(node, "macro");
    let last = name.rsplit("::").next().unwrap_or_default();
    let Some(tokens) = children(node).into_iter().find(|child| child.kind() == "token_tree") else {
        return ExprKind::Null;
    };
    if last == "json" {
        let inner = inner_text(low, tokens);
        let at = low.span(tokens);
        return low.deeper(|low| json(low, &inner, at)).unwrap_or(ExprKind::Null);
    }
    let values = arguments(low, tokens);
    if LISTS.contains(&last) {
        return ExprKind::List(values);
    }
    let callee = low.expr(node, ExprKind::Name(format!("{last}!")));
    let args = texts(values).into_iter().map(|value| Arg { name: None, value }).collect();
    ExprKind::Call(Box::new(callee), args)
}

/// A format string and its values are one template.
fn texts(values: Vec<Expr>) -> Vec<Expr> {
    let at = values.iter().position(|value| matches!(value.kind, ExprKind::Text(_)));
    let Some(at) = at else { return values };
    let mut values = values;
    let rest = values.split_off(at + 1);
    if let Some(Expr { kind: ExprKind::Text(text), span }) = values.pop() {
        let named = text.split('{').skip(1).filter_map(|piece| {
            let name = piece.split(['}', ':']).next()?;
            let is_name = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            is_name.then(|| Expr { kind: ExprKind::Name(name.to_owned()), span })
        });
        let parts: Vec<_> = named.chain(rest).collect();
        let kind = match parts.is_empty() {
            true => ExprKind::Text(text),
            false => ExprKind::Template(text, parts),
        };
        values.push(Expr { kind, span });
    }
    values
}

fn inner_text(low: &Lowering<'_>, tokens: Node<'_>) -> String {
    let text = low.text(tokens);
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    inner.to_owned()
}

/// The arguments of a macro as expressions; none where they are no expressions.
fn arguments(low: &mut Lowering<'_>, tokens: Node<'_>) -> Vec<Expr> {
    let inner = inner_text(low, tokens);
    let at = low.span(tokens);
    // `value; count` is a list of one value.
    low.deeper(|low| parsed(low, &inner.replace("; ", ", "), at)).unwrap_or_default()
}

/// Parses text as the arguments of a call. Places are those of the macro, by lines.
fn parsed(low: &mut Lowering<'_>, inner: &str, at: Span) -> Vec<Expr> {
    let text = format!("fn f() {{ f({inner}) }}");
    let Some(tree) = parse_tree(Language::Rust, &text) else { return Vec::new() };
    let root = tree.root_node();
    let call = root
        .named_child(0)
        .and_then(|function| field(function, "body"))
        .and_then(|body| body.named_child(0));
    let call = call
        .and_then(|n| if n.kind() == "expression_statement" { n.named_child(0) } else { Some(n) });
    let Some(list) = call.and_then(|call| field(call, "arguments")) else { return Vec::new() };
    let mut inner_low = Lowering::new(&text, at.line);
    let values = children(list).into_iter();
    let mut values: Vec<_> = values.map(|value| rust::expression(&mut inner_low, value)).collect();
    // Functions that were defined inside are rare, and have no index here.
    let before = "fn f() { f(".len();
    for value in &mut values {
        shift(value, at, before);
    }
    low.unit.comments.append(&mut inner_low.unit.comments);
    values
}

/// Gives an expression the place that it has in the file; what is inside keeps its order.
fn shift(value: &mut Expr, at: Span, before: usize) {
    let move_one = |span: &mut Span| {
        span.start = (span.start + at.start + 1).saturating_sub(before);
        span.end = (span.end + at.start + 1).saturating_sub(before);
        if span.line == at.line {
            span.column = (span.column + at.column).saturating_sub(before);
        }
    };
    move_one(&mut value.span);
    match &mut value.kind {
        ExprKind::Template(_, parts) | ExprKind::List(parts) | ExprKind::Other(parts) => {
            parts.iter_mut().for_each(|part| shift(part, at, before));
        }
        ExprKind::Member(inner, _) | ExprKind::Not(inner) => shift(inner, at, before),
        ExprKind::Index(left, right) | ExprKind::Binary(_, left, right) => {
            shift(left, at, before);
            shift(right, at, before);
        }
        ExprKind::Call(callee, args) => {
            shift(callee, at, before);
            args.iter_mut().for_each(|arg| shift(&mut arg.value, at, before));
        }
        ExprKind::Record(record) => {
            record.fields.iter_mut().for_each(|(_, value)| shift(value, at, before));
        }
        _ => {}
    }
}

/// The body of `json!`: objects and lists as they are written, anything else as an expression.
fn json(low: &mut Lowering<'_>, text: &str, at: Span) -> ExprKind {
    let trimmed = text.trim();
    let at = moved(text, trimmed, at);
    let inside = |open: char, close: char| trimmed.strip_prefix(open)?.strip_suffix(close);
    if let Some(inner) = inside('{', '}') {
        let mut record = Record { name: None, fields: Vec::new(), spread: Vec::new() };
        for part in split(inner, ',') {
            let Some(colon) = split(part, ':').first().map(|key| key.len()) else { continue };
            let (key, value) = (part.get(..colon), part.get(colon + 1..));
            if let (Some(key), Some(value)) = (key, value) {
                let at = moved(trimmed, value, at);
                let kind = low.deeper(|low| json(low, value, at)).unwrap_or(ExprKind::Null);
                record
                    .fields
                    .push((key.trim().trim_matches('"').to_owned(), Expr { kind, span: at }));
            }
        }
        return ExprKind::Record(record);
    }
    if let Some(inner) = inside('[', ']') {
        let parts = split(inner, ',').into_iter().filter(|part| !part.trim().is_empty());
        let items = parts.map(|part| {
            let at = moved(trimmed, part, at);
            let kind = low.deeper(|low| json(low, part, at)).unwrap_or(ExprKind::Null);
            Expr { kind, span: at }
        });
        return ExprKind::List(items.collect());
    }
    parsed(low, trimmed, at).into_iter().next().map_or(ExprKind::Null, |value| value.kind)
}

/// The place of `part`, which is a piece of `whole`, which stands at `at`.
fn moved(whole: &str, part: &str, at: Span) -> Span {
    let offset = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len());
    let skipped = whole.get(..offset).unwrap_or_default();
    let blank = part.len() - part.trim_start().len();
    let lines =
        skipped.matches('\n').count() + part.get(..blank).unwrap_or_default().matches('\n').count();
    Span { start: at.start + offset, line: at.line + lines, ..at }
}

/// Splits at a separator that stands in no bracket and no string; `::` is no separator.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut start) = (0i32, false, 0);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let colons = *byte == b':'
            && (bytes.get(at + 1) == Some(&b':') || at > 0 && bytes.get(at - 1) == Some(&b':'));
        match byte {
            b'"' if at == 0 || bytes.get(at - 1) != Some(&b'\\') => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ if depth == 0 && !colons && char::from(*byte) == separator => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}
