//! Rust, lowered.

use super::lower::{Lowering, children, field, first};
use super::rust_macros;
use super::{
    Arg, Arm, Class, ClassField, Expr, ExprKind, Function, Param, Record, Stmt, StmtKind, Unit,
};
use tree_sitter::Node;

/// Lowers a file.
pub(super) fn lower(root: Node<'_>, text: &str, first_line: usize) -> Unit {
    let mut lowering = Lowering::new(text, first_line, expression_here);
    lowering.comments(root);
    let body = items(&mut lowering, root);
    lowering.unit.functions[0].body = body;
    lowering.unit
}

/// Statements and items of a block; attributes belong to what follows them.
pub(super) fn items(low: &mut Lowering<'_>, block: Node<'_>) -> Vec<Stmt> {
    let mut attributes = Vec::new();
    let mut found = Vec::new();
    for child in children(block) {
        if child.kind() == "attribute_item" {
            attributes.push(low.text(child));
            continue;
        }
        let given = std::mem::take(&mut attributes);
        found.extend(low.deeper(|low| item(low, child, given)).flatten());
    }
    found
}

/// The statements of a block whose last expression is its value.
pub(super) fn valued(
    low: &mut Lowering<'_>,
    block: Node<'_>,
    tail: fn(Expr) -> StmtKind,
) -> Vec<Stmt> {
    let mut found = items(low, block);
    let last = children(block).pop();
    let is_tail = last.is_some_and(|last| {
        last.kind() != "expression_statement" || !low.text(last).ends_with(';')
    });
    if let (true, Some(Stmt { kind: StmtKind::Eval(_), .. })) = (is_tail, found.last())
        && let Some(Stmt { kind: StmtKind::Eval(value), span }) = found.pop()
    {
        found.push(Stmt { kind: tail(value), span });
    }
    found
}

fn is_test(attributes: &[String]) -> bool {
    attributes.iter().any(|text| {
        text.contains("cfg(test)")
            || text.contains("test]")
            || text.contains("test(")
            || text.contains("::test")
    })
}

fn item(low: &mut Lowering<'_>, node: Node<'_>, attributes: Vec<String>) -> Option<Stmt> {
    let kind = match node.kind() {
        "function_item" => return Some(function(low, node, attributes)),
        "mod_item" => {
            let outer = low.in_test;
            low.in_test |= is_test(&attributes) || low.field_text(node, "name") == "tests";
            let body = field(node, "body").map(|body| items(low, body)).unwrap_or_default();
            low.in_test = outer;
            StmtKind::Block(body)
        }
        "impl_item" | "trait_item" => {
            let name =
                low.field_text(node, if node.kind() == "impl_item" { "type" } else { "name" });
            let name = name.split('<').next().unwrap_or_default().to_owned();
            let outer = (low.owner.replace(name), low.in_test);
            low.in_test |= is_test(&attributes);
            let body = field(node, "body").map(|body| items(low, body)).unwrap_or_default();
            (low.owner, low.in_test) = outer;
            StmtKind::Block(body)
        }
        "struct_item" => return Some(structure(low, node, &attributes)),
        "use_declaration" => StmtKind::Import(low.text(node)),
        "const_item" | "static_item" => {
            let target = low.expr(node, ExprKind::Name(low.field_text(node, "name")));
            StmtKind::Assign { target, value: *low.boxed(node, "value"), augmented: false }
        }
        "let_declaration" => declaration(low, node)?,
        "expression_statement" => {
            let inner = first(node)?;
            return low.deeper(|low| item(low, inner, attributes)).flatten();
        }
        "empty_statement"
        | "macro_definition"
        | "line_comment"
        | "block_comment"
        | "enum_item"
        | "type_item"
        | "extern_crate_declaration"
        | "function_signature_item" => return None,
        _ => return Some(flow(low, node)),
    };
    Some(low.stmt(node, kind))
}

/// An expression that stands as a statement.
fn flow(low: &mut Lowering<'_>, node: Node<'_>) -> Stmt {
    let kind = match node.kind() {
        "if_expression" if !low.field_text(node, "condition").starts_with("let ") => {
            let condition = *low.boxed(node, "condition");
            let then = field(node, "consequence").map(|block| valued(low, block, StmtKind::Value));
            let other = field(node, "alternative").and_then(first);
            let otherwise = match other {
                Some(block) if block.kind() == "block" => valued(low, block, StmtKind::Value),
                Some(nested) => low.deeper(|low| flow(low, nested)).into_iter().collect(),
                None => Vec::new(),
            };
            // With an `else` it may be the value of its block.
            if !otherwise.is_empty() {
                let arms = vec![
                    Arm { pattern: "if".to_owned(), body: then.unwrap_or_default() },
                    Arm { pattern: "else".to_owned(), body: otherwise },
                ];
                let branch = ExprKind::Branch(vec![condition], arms);
                return low.stmt(node, StmtKind::Eval(low.expr(node, branch)));
            }
            StmtKind::If { condition, then: then.unwrap_or_default(), otherwise }
        }
        "while_expression" | "loop_expression" => {
            let head = field(node, "condition").map(|head| low.expression(head));
            let body = field(node, "body").map(|body| items(low, body)).unwrap_or_default();
            StmtKind::Loop { head, target: None, body, counted: false }
        }
        "for_expression" => {
            let head = field(node, "value").map(|head| low.expression(head));
            let target = field(node, "pattern").map(|pattern| name_of(low, pattern));
            let body = field(node, "body").map(|body| items(low, body)).unwrap_or_default();
            StmtKind::Loop { head, target, body, counted: true }
        }
        "return_expression" => StmtKind::Return(first(node).map(|value| low.expression(value))),
        "assignment_expression" | "compound_assignment_expr" => {
            let augmented = node.kind() == "compound_assignment_expr";
            let target = *low.boxed(node, "left");
            StmtKind::Assign { target, value: *low.boxed(node, "right"), augmented }
        }
        "break_expression" => StmtKind::Break,
        "continue_expression" => StmtKind::Skip,
        "block" | "unsafe_block" => StmtKind::Block(items(low, inner_block(node))),
        _ => StmtKind::Eval(low.expression(node)),
    };
    low.stmt(node, kind)
}

fn inner_block(node: Node<'_>) -> Node<'_> {
    children(node).into_iter().find(|child| child.kind() == "block").unwrap_or(node)
}

fn declaration(low: &mut Lowering<'_>, node: Node<'_>) -> Option<StmtKind> {
    let pattern = field(node, "pattern")?;
    let target = name_of(low, pattern);
    let value = field(node, "value")?;
    let value = low.expression(value);
    // `let … else { … }`: what is done where the pattern does not match.
    if let Some(other) = field(node, "alternative") {
        let body = items(low, inner_block(other));
        let assign = StmtKind::Assign { target, value, augmented: false };
        let condition = low.expr(node, ExprKind::Other(Vec::new()));
        let otherwise = StmtKind::If { condition, then: body, otherwise: Vec::new() };
        return Some(StmtKind::Block(vec![low.stmt(node, assign), low.stmt(other, otherwise)]));
    }
    Some(StmtKind::Assign { target, value, augmented: false })
}

/// The name that a pattern binds, or its names.
fn name_of(low: &Lowering<'_>, pattern: Node<'_>) -> Expr {
    let mut pattern = pattern;
    while matches!(pattern.kind(), "mut_pattern" | "ref_pattern") {
        match children(pattern).pop() {
            Some(inner) => pattern = inner,
            None => break,
        }
    }
    let kind = match pattern.kind() {
        "identifier" => ExprKind::Name(low.text(pattern)),
        _ => ExprKind::List(
            children(pattern)
                .into_iter()
                .filter(|part| part.kind() == "identifier")
                .map(|part| low.expr(part, ExprKind::Name(low.text(part))))
                .collect(),
        ),
    };
    low.expr(pattern, kind)
}

fn function(low: &mut Lowering<'_>, node: Node<'_>, attributes: Vec<String>) -> Stmt {
    let name = low.field_text(node, "name");
    let is_test = low.in_test || is_test(&attributes);
    let one = |param: Node<'_>| Param {
        name: low.field_text(param, "pattern").trim_start_matches("mut ").to_owned(),
        kind: low.field_text(param, "type"),
    };
    let params = field(node, "parameters").map(children).unwrap_or_default();
    let params = params.into_iter().map(one).collect();
    let outer = (low.owner.take(), low.in_test);
    low.in_test = is_test;
    let tail = |value| StmtKind::Return(Some(value));
    let body = field(node, "body").map(|body| valued(low, body, tail)).unwrap_or_default();
    (low.owner, low.in_test) = outer;
    let (owner, span) = (low.owner.clone(), low.span(node));
    low.define(node, Function { name, owner, params, body, attributes, is_test, span })
}

fn structure(low: &mut Lowering<'_>, node: Node<'_>, attributes: &[String]) -> Stmt {
    let is_test = low.in_test || is_test(attributes);
    let mut class = Class { name: low.field_text(node, "name"), is_test, ..Class::default() };
    let mut given = String::new();
    for member in field(node, "body").map(children).unwrap_or_default() {
        match member.kind() {
            "attribute_item" => given += &low.text(member),
            _ => {
                let (name, span) = (low.field_text(member, "name"), low.span(member));
                let attributes = std::mem::take(&mut given);
                class.fields.push(ClassField { name, attributes, span });
            }
        }
    }
    low.class(node, class)
}

fn expression_here(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    match node.kind() {
        "identifier" | "self" | "field_identifier" => ExprKind::Name(low.text(node)),
        "scoped_identifier" => path(&low.text(node), low, node).kind,
        "generic_function" => low.boxed(node, "function").kind,
        "integer_literal" | "float_literal" => number(&low.text(node)),
        "boolean_literal" => ExprKind::Truth(low.text(node) == "true"),
        "string_literal" | "raw_string_literal" | "char_literal" => {
            let text = low.text(node);
            ExprKind::Text(
                text.trim_start_matches(['r', 'b', '#']).trim_matches(['"', '#']).to_owned(),
            )
        }
        "field_expression" => {
            ExprKind::Member(low.boxed(node, "value"), low.field_text(node, "field"))
        }
        "index_expression" => {
            let mut parts = low.all(node).into_iter();
            match (parts.next(), parts.next()) {
                (Some(of), Some(at)) => ExprKind::Index(Box::new(of), Box::new(at)),
                _ => ExprKind::Null,
            }
        }
        "call_expression" => {
            let callee = low.boxed(node, "function");
            let args = field(node, "arguments").map(|list| low.all(list)).unwrap_or_default();
            let args = args.into_iter().map(|value| Arg { name: None, value }).collect();
            ExprKind::Call(callee, args)
        }
        "macro_invocation" => rust_macros::lower(low, node),
        "binary_expression" => {
            let operator = low.field_text(node, "operator");
            ExprKind::Binary(operator, low.boxed(node, "left"), low.boxed(node, "right"))
        }
        "unary_expression" => unary(low, node),
        "reference_expression"
        | "try_expression"
        | "await_expression"
        | "parenthesized_expression"
        | "type_cast_expression" => {
            let inner = field(node, "value").or_else(|| first(node));
            inner.map_or(ExprKind::Null, |inner| low.expression(inner).kind)
        }
        "struct_expression" => literal(low, node),
        "array_expression" | "tuple_expression" => ExprKind::List(low.all(node)),
        "if_expression" => conditional(low, node),
        "match_expression" => matching(low, node),
        "closure_expression" => closure(low, node),
        "block" | "unsafe_block" | "async_block" => {
            let body = valued(low, inner_block(node), StmtKind::Value);
            ExprKind::Branch(Vec::new(), vec![Arm { pattern: String::new(), body }])
        }
        "return_expression" => {
            let kind = flow(low, node);
            ExprKind::Branch(Vec::new(), vec![Arm { pattern: String::new(), body: vec![kind] }])
        }
        "loop_expression"
        | "while_expression"
        | "for_expression"
        | "assignment_expression"
        | "compound_assignment_expr" => {
            let body = vec![flow(low, node)];
            ExprKind::Branch(Vec::new(), vec![Arm { pattern: String::new(), body }])
        }
        _ => ExprKind::Other(low.all(node)),
    }
}

/// Names of a path beyond this are not looked at.
const MAX_PARTS: usize = 32;

/// `a::b::c` as `a.b.c`, without what stands in angle brackets.
fn path(text: &str, low: &Lowering<'_>, node: Node<'_>) -> Expr {
    let mut found: Option<Expr> = None;
    let parts = text.split("::").filter(|part| !part.is_empty() && !part.contains(['<', '>']));
    for part in parts.take(MAX_PARTS) {
        let name = part.trim().to_owned();
        let kind = match found.take() {
            Some(outer) => ExprKind::Member(Box::new(outer), name),
            None => ExprKind::Name(name),
        };
        found = Some(low.expr(node, kind));
    }
    found.unwrap_or_else(|| low.expr(node, ExprKind::Null))
}

fn number(text: &str) -> ExprKind {
    let plain = text.replace('_', "");
    let suffixes = [
        "f32", "f64", "usize", "isize", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32",
        "i64",
    ];
    let digits = suffixes.iter().find_map(|suffix| plain.strip_suffix(suffix)).unwrap_or(&plain);
    digits.parse().map_or(ExprKind::Other(Vec::new()), ExprKind::Number)
}

fn unary(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let operator = low.text(node).chars().next();
    let Some(inner) = first(node) else { return ExprKind::Null };
    let inner = low.expression(inner);
    match (operator, inner.kind) {
        (Some('-'), ExprKind::Number(value)) => ExprKind::Number(-value),
        (Some('!'), kind) => ExprKind::Not(Box::new(Expr { kind, span: inner.span })),
        (Some('*'), kind) => kind,
        (_, kind) => ExprKind::Other(vec![Expr { kind, span: inner.span }]),
    }
}

fn literal(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let mut record =
        Record { name: Some(low.field_text(node, "name")), fields: Vec::new(), spread: Vec::new() };
    for entry in field(node, "body").map(children).unwrap_or_default() {
        match entry.kind() {
            "field_initializer" => {
                let name = field(entry, "field").or_else(|| field(entry, "name"));
                let name = name.map(|name| low.text(name)).unwrap_or_default();
                record.fields.push((name, *low.boxed(entry, "value")));
            }
            "shorthand_field_initializer" => {
                let name = low.text(entry);
                record.fields.push((name.clone(), low.expr(entry, ExprKind::Name(name))));
            }
            _ => record.spread.extend(first(entry).map(|inner| low.expression(inner))),
        }
    }
    ExprKind::Record(record)
}

fn conditional(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let condition = field(node, "condition");
    let pattern = condition.and_then(|c| field(c, "pattern")).map(|pattern| low.text(pattern));
    let subject = match condition {
        Some(condition) if condition.kind() == "let_condition" => *low.boxed(condition, "value"),
        Some(condition) => low.expression(condition),
        None => low.expr(node, ExprKind::Null),
    };
    let then = field(node, "consequence").map(|block| valued(low, block, StmtKind::Value));
    let mut arms = vec![Arm {
        pattern: pattern.unwrap_or_else(|| "if".to_owned()),
        body: then.unwrap_or_default(),
    }];
    if let Some(other) = field(node, "alternative").and_then(first) {
        let body = match other.kind() {
            "block" => valued(low, other, StmtKind::Value),
            _ => {
                let value = low.expression(other);
                vec![low.stmt(other, StmtKind::Value(value))]
            }
        };
        arms.push(Arm { pattern: "else".to_owned(), body });
    }
    ExprKind::Branch(vec![subject], arms)
}

fn matching(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let subject = *low.boxed(node, "value");
    let mut arms = Vec::new();
    for arm in field(node, "body").map(children).unwrap_or_default() {
        let pattern = low.field_text(arm, "pattern");
        let Some(value) = field(arm, "value") else { continue };
        let body = match value.kind() {
            "block" => valued(low, value, StmtKind::Value),
            "return_expression" => vec![flow(low, value)],
            _ => {
                let inner = low.expression(value);
                vec![low.stmt(value, StmtKind::Value(inner))]
            }
        };
        arms.push(Arm { pattern, body });
    }
    ExprKind::Branch(vec![subject], arms)
}

fn closure(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let params = field(node, "parameters").map(children).unwrap_or_default();
    let params = params.into_iter();
    let params = params.map(|param| Param { name: low.text(param), kind: String::new() }).collect();
    let body = match field(node, "body") {
        Some(body) if body.kind() == "block" => {
            valued(low, body, |value| StmtKind::Return(Some(value)))
        }
        Some(value) => {
            let inner = low.expression(value);
            vec![low.stmt(value, StmtKind::Return(Some(inner)))]
        }
        None => Vec::new(),
    };
    ExprKind::Lambda(params, body)
}
