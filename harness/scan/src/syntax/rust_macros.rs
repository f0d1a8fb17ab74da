//! Macros of Rust whose arguments are expressions: what prints, what makes lists, and `json!`.
//!
//! tree-sitter leaves the arguments of macros as tokens. They are parsed once more as the arguments of a call.

use super::lower::{Lowering, children, field, first, parse_tree};
use super::{Arg, Expr, ExprKind, Record, Span};
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
        let (inner, at) = inner_text(low, tokens);
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

/// What stands between the brackets, and where.
fn inner_text(low: &Lowering<'_>, tokens: Node<'_>) -> (String, Span) {
    let text = low.text(tokens);
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    let at = low.span(tokens);
    (inner.to_owned(), Span { start: at.start + 1, column: at.column + 1, ..at })
}

/// The arguments of a macro as expressions; none where they are no expressions.
fn arguments(low: &mut Lowering<'_>, tokens: Node<'_>) -> Vec<Expr> {
    let (inner, at) = inner_text(low, tokens);
    // `value; count` is a list of one value.
    low.deeper(|low| parsed(low, &inner.replace("; ", ", "), at)).unwrap_or_default()
}

/// Parses text as the arguments of a call.
fn parsed(low: &mut Lowering<'_>, inner: &str, at: Span) -> Vec<Expr> {
    const BEFORE: &str = "fn f() { f(";
    let text = format!("{BEFORE}{inner}) }}");
    let Some(tree) = parse_tree(Language::Rust, &text) else { return Vec::new() };
    let body = first(tree.root_node()).and_then(|function| field(function, "body"));
    let call = body.and_then(first);
    let call =
        call.and_then(|n| if n.kind() == "expression_statement" { first(n) } else { Some(n) });
    let Some(list) = call.and_then(|call| field(call, "arguments")) else { return Vec::new() };
    low.within(&text, BEFORE.len(), at, |low| {
        children(list).into_iter().map(|value| low.expression(value)).collect()
    })
}

/// The body of `json!`: objects and lists as they are written, anything else as an expression.
fn json(low: &mut Lowering<'_>, text: &str, at: Span) -> ExprKind {
    let trimmed = text.trim();
    let mut reader = Reader { text, read: 0, at };
    let at = reader.place(trimmed);
    let inside = |open: char, close: char| trimmed.strip_prefix(open)?.strip_suffix(close);
    if let Some(inner) = inside('{', '}') {
        let mut record = Record { name: None, fields: Vec::new(), spread: Vec::new() };
        for part in split(inner, ',') {
            let Some(colon) = split(part, ':').first().map(|key| key.len()) else { continue };
            let (key, value) = (part.get(..colon), part.get(colon + 1..));
            if let (Some(key), Some(value)) = (key, value.map(str::trim)) {
                let value = item(low, value, reader.place(value));
                record.fields.push((key.trim().trim_matches('"').to_owned(), value));
            }
        }
        return ExprKind::Record(record);
    }
    if let Some(inner) = inside('[', ']') {
        let parts = split(inner, ',').into_iter().map(str::trim).filter(|part| !part.is_empty());
        return ExprKind::List(parts.map(|part| item(low, part, reader.place(part))).collect());
    }
    parsed(low, trimmed, at).into_iter().next().map_or(ExprKind::Null, |value| value.kind)
}

/// A value in `json!`, which stands at `span`.
fn item(low: &mut Lowering<'_>, text: &str, span: Span) -> Expr {
    let kind = low.deeper(|low| json(low, text, span)).unwrap_or(ExprKind::Null);
    Expr { kind, span }
}

/// Goes through a text from piece to piece and knows where they stand.
struct Reader<'t> {
    text: &'t str,
    /// How many bytes are behind, and the place after them.
    read: usize,
    at: Span,
}

impl Reader<'_> {
    /// The place of a piece of the text that is not behind.
    fn place(&mut self, part: &str) -> Span {
        let to = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let skipped = self.text.get(self.read..to).unwrap_or_default();
        self.at.column = match skipped.rfind('\n') {
            Some(end) => skipped.len() - end,
            None => self.at.column + skipped.len(),
        };
        self.at.start += skipped.len();
        self.at.line += skipped.matches('\n').count();
        self.read += skipped.len();
        Span { end: self.at.start + part.len(), ..self.at }
    }
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
