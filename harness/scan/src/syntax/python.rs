//! Python, lowered.

use super::lower::{Lowering, arm, children, field, first};
use super::{
    Arg, Arm, Class, ClassField, Expr, ExprKind, Function, Handler, Param, Record, Stmt, StmtKind,
    Unit,
};
use tree_sitter::Node;

/// Lowers a module.
pub(super) fn lower(root: Node<'_>, text: &str, first_line: usize) -> Unit {
    let mut lowering = Lowering::new(text, first_line, expression_here);
    lowering.comments(root);
    let body = statements(&mut lowering, root);
    lowering.unit.functions[0].body = body;
    lowering.unit
}

fn statements(low: &mut Lowering<'_>, block: Node<'_>) -> Vec<Stmt> {
    children(block).into_iter().filter_map(|child| statement(low, child)).collect()
}

fn body(low: &mut Lowering<'_>, node: Node<'_>, name: &str) -> Vec<Stmt> {
    field(node, name).map(|block| statements(low, block)).unwrap_or_default()
}

fn statement(low: &mut Lowering<'_>, node: Node<'_>) -> Option<Stmt> {
    low.deeper(|low| statement_here(low, node)).flatten()
}

fn statement_here(low: &mut Lowering<'_>, node: Node<'_>) -> Option<Stmt> {
    let kind = match node.kind() {
        "expression_statement" => return expression_statement(low, node),
        "return_statement" => {
            let value = first(node).map(|value| low.expression(value));
            StmtKind::Return(value)
        }
        "if_statement" => return Some(conditional(low, node)),
        "for_statement" => {
            let head = field(node, "right").map(|head| low.expression(head));
            let target = field(node, "left").map(|target| low.expression(target));
            StmtKind::Loop { head, target, body: body(low, node, "body"), counted: true }
        }
        "while_statement" => {
            let head = field(node, "condition").map(|head| low.expression(head));
            StmtKind::Loop { head, target: None, body: body(low, node, "body"), counted: false }
        }
        "try_statement" => guarded(low, node),
        "with_statement" => with(low, node),
        "function_definition" => return Some(function(low, node, Vec::new())),
        "class_definition" => return Some(class(low, node)),
        "decorated_definition" => return decorated(low, node),
        "raise_statement" => StmtKind::Throw(first(node).map(|value| low.expression(value))),
        "assert_statement" => {
            let parts = children(node).into_iter().map(|part| low.expression(part)).collect();
            StmtKind::Eval(low.expr(node, ExprKind::Other(parts)))
        }
        "delete_statement" => {
            let targets = children(node).into_iter().map(|target| low.expression(target));
            let targets = targets.flat_map(|target| match target.kind {
                ExprKind::List(items) => items,
                _ => vec![target],
            });
            StmtKind::Delete(targets.collect())
        }
        "import_statement" | "import_from_statement" => StmtKind::Import(low.text(node)),
        "match_statement" => matching(low, node),
        "break_statement" => StmtKind::Break,
        "pass_statement" | "continue_statement" => StmtKind::Skip,
        "ERROR" | "block" => StmtKind::Block(statements(low, node)),
        _ => return None,
    };
    Some(low.stmt(node, kind))
}

fn expression_statement(low: &mut Lowering<'_>, node: Node<'_>) -> Option<Stmt> {
    let inner = first(node)?;
    let assignment = matches!(inner.kind(), "assignment" | "augmented_assignment");
    if !assignment {
        let value = low.expression(inner);
        return Some(low.stmt(node, StmtKind::Eval(value)));
    }
    let target = low.expression(field(inner, "left")?);
    let augmented = inner.kind() == "augmented_assignment";
    let value = match field(inner, "right") {
        Some(value) => low.expression(value),
        // A declaration without a value: its type says nothing of a result.
        None => low.expr(inner, ExprKind::Other(Vec::new())),
    };
    if let (ExprKind::Name(name), ExprKind::Lambda(params, body)) = (&target.kind, &value.kind) {
        let (name, params, body) = (name.clone(), params.clone(), body.clone());
        let span = value.span;
        let owner = low.owner.clone();
        let is_test = low.in_test;
        let function =
            Function { name, owner, params, body, attributes: Vec::new(), is_test, span };
        return Some(low.define(node, function));
    }
    Some(low.stmt(node, StmtKind::Assign { target, value, augmented }))
}

fn conditional(low: &mut Lowering<'_>, node: Node<'_>) -> Stmt {
    let mut cursor = node.walk();
    let others: Vec<_> = node.children_by_field_name("alternative", &mut cursor).collect();
    chosen(low, node, &others)
}

/// An `if` or `elif` and what is there instead of it; each `elif` is one level deeper.
fn chosen(low: &mut Lowering<'_>, node: Node<'_>, others: &[Node<'_>]) -> Stmt {
    let condition = *low.boxed(node, "condition");
    let then = body(low, node, "consequence");
    let otherwise = match others.split_first() {
        Some((other, rest)) if other.kind() == "elif_clause" => {
            low.deeper(|low| chosen(low, *other, rest)).into_iter().collect()
        }
        Some((other, _)) => body(low, *other, "body"),
        None => Vec::new(),
    };
    low.stmt(node, StmtKind::If { condition, then, otherwise })
}

fn guarded(low: &mut Lowering<'_>, node: Node<'_>) -> StmtKind {
    let tried = body(low, node, "body");
    let mut handlers = Vec::new();
    let mut last = Vec::new();
    for clause in children(node) {
        match clause.kind() {
            "except_clause" | "except_group_clause" => handlers.push(handler(low, clause)),
            "finally_clause" => {
                last.extend(children(clause).into_iter().flat_map(|block| statements(low, block)));
            }
            "else_clause" => last.extend(body(low, clause, "body")),
            _ => {}
        }
    }
    StmtKind::Try { body: tried, handlers, last }
}

fn handler(low: &mut Lowering<'_>, clause: Node<'_>) -> Handler {
    let parts = children(clause);
    let (block, caught) = match parts.split_last() {
        Some((block, caught)) if block.kind() == "block" => (Some(*block), caught),
        _ => (None, parts.as_slice()),
    };
    let catches: Vec<_> = caught.iter().map(|part| low.text(*part)).collect();
    let catches = catches.join(", ");
    let binding = catches.split_once(" as ").map(|(_, name)| name.trim().to_owned());
    let body = block.map(|block| statements(low, block)).unwrap_or_default();
    Handler { catches, binding, body }
}

fn with(low: &mut Lowering<'_>, node: Node<'_>) -> StmtKind {
    let mut items = Vec::new();
    for clause in children(node).into_iter().filter(|child| child.kind() == "with_clause") {
        for item in children(clause) {
            let Some(value) = field(item, "value") else { continue };
            let (value, name) = match value.kind() {
                "as_pattern" => {
                    let parts = children(value);
                    let name = parts.get(1).map(|name| low.text(*name));
                    (parts.first().copied().unwrap_or(value), name)
                }
                _ => (value, None),
            };
            items.push((low.expression(value), name));
        }
    }
    StmtKind::With { items, body: body(low, node, "body") }
}

fn matching(low: &mut Lowering<'_>, node: Node<'_>) -> StmtKind {
    let subject = field(node, "subject").map(|subject| low.expression(subject));
    let cases = field(node, "body").map(children).unwrap_or_default();
    let arm = |case: Node<'_>| {
        let pattern = children(case).first().map(|pattern| low.text(*pattern)).unwrap_or_default();
        Arm { pattern, body: body(low, case, "consequence") }
    };
    let arms = cases.into_iter().map(arm).collect();
    let branch = ExprKind::Branch(subject.into_iter().collect(), arms);
    StmtKind::Eval(low.expr(node, branch))
}

fn decorated(low: &mut Lowering<'_>, node: Node<'_>) -> Option<Stmt> {
    let decorators = children(node).into_iter().filter(|child| child.kind() == "decorator");
    let decorators = decorators.map(|decorator| low.text(decorator)).collect();
    let definition = field(node, "definition")?;
    Some(match definition.kind() {
        "class_definition" => class(low, definition),
        _ => function(low, definition, decorators),
    })
}

fn function(low: &mut Lowering<'_>, node: Node<'_>, attributes: Vec<String>) -> Stmt {
    let name = low.field_text(node, "name");
    let owner = low.owner.clone();
    let fixture = attributes.iter().any(|text| text.contains("fixture"));
    let is_test = low.in_test || name.starts_with("test_") || fixture;
    let params = field(node, "parameters").map(|list| params(low, list)).unwrap_or_default();
    let outer = (low.in_test, low.owner.take());
    low.in_test = is_test;
    let body = body(low, node, "body");
    (low.in_test, low.owner) = outer;
    let span = low.span(node);
    low.define(node, Function { name, owner, params, body, attributes, is_test, span })
}

fn params(low: &Lowering<'_>, list: Node<'_>) -> Vec<Param> {
    let one = |param: Node<'_>| {
        let name = field(param, "name").or_else(|| match param.kind() {
            "identifier" => Some(param),
            _ => first(param),
        });
        let name = name.map(|name| low.text(name)).unwrap_or_default();
        Param { name, kind: low.field_text(param, "type") }
    };
    children(list).into_iter().map(one).collect()
}

fn class(low: &mut Lowering<'_>, node: Node<'_>) -> Stmt {
    let name = low.field_text(node, "name");
    let bases = low.field_text(node, "superclasses");
    let is_test = low.in_test || name.starts_with("Test") || bases.contains("TestCase");
    let outer = (low.in_test, low.owner.replace(name.clone()));
    low.in_test = is_test;
    let body = body(low, node, "body");
    (low.in_test, low.owner) = outer;
    let mut class = Class { name, is_test, ..Class::default() };
    for statement in body {
        match statement.kind {
            StmtKind::Def(at) => class.methods.push(at),
            StmtKind::Assign { target, .. } => {
                if let ExprKind::Name(name) = target.kind {
                    let attributes = String::new();
                    class.fields.push(ClassField { name, attributes, span: target.span });
                }
            }
            _ => {}
        }
    }
    low.class(node, class)
}

fn expression_here(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    match node.kind() {
        "identifier" => ExprKind::Name(low.text(node)),
        "integer" | "float" => number(&low.text(node)),
        "true" => ExprKind::Truth(true),
        "false" => ExprKind::Truth(false),
        "none" => ExprKind::Null,
        "string" | "concatenated_string" => string(low, node),
        "attribute" => {
            ExprKind::Member(low.boxed(node, "object"), low.field_text(node, "attribute"))
        }
        "subscript" => ExprKind::Index(low.boxed(node, "value"), low.boxed(node, "subscript")),
        "call" => call(low, node),
        "dictionary" => dictionary(low, node),
        "list" | "tuple" | "set" | "expression_list" | "pattern_list" | "tuple_pattern" => {
            ExprKind::List(low.all(node))
        }
        "list_comprehension" | "set_comprehension" | "generator_expression" => {
            comprehension(low, node)
        }
        "dictionary_comprehension" => comprehension(low, node),
        "pair" => ExprKind::List(low.all(node)),
        "binary_operator" | "boolean_operator" => {
            let operator = low.field_text(node, "operator");
            ExprKind::Binary(operator, low.boxed(node, "left"), low.boxed(node, "right"))
        }
        "comparison_operator" => comparison(low, node),
        "not_operator" => ExprKind::Not(low.boxed(node, "argument")),
        "unary_operator" => match low.expression(first(node).unwrap_or(node)) {
            Expr { kind: ExprKind::Number(value), .. } => ExprKind::Number(-value),
            inner => ExprKind::Other(vec![inner]),
        },
        "conditional_expression" => ternary(low, node),
        "lambda" => lambda(low, node),
        "named_expression" => low.boxed(node, "value").kind,
        "await" | "parenthesized_expression" => match first(node) {
            Some(inner) => low.expression(inner).kind,
            None => ExprKind::Null,
        },
        _ => ExprKind::Other(low.all(node)),
    }
}

fn number(text: &str) -> ExprKind {
    let plain = text.replace('_', "");
    let value = plain.parse().ok().or_else(|| {
        let digits = plain.strip_prefix("0x")?;
        i64::from_str_radix(digits, 16).ok().map(|value| value as f64)
    });
    value.map_or(ExprKind::Other(Vec::new()), ExprKind::Number)
}

fn string(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let mut text = String::new();
    let mut parts = Vec::new();
    for child in children(node) {
        match child.kind() {
            "string_content" => text += &low.text(child),
            "interpolation" => {
                text += "{}";
                parts.extend(field(child, "expression").map(|inner| low.expression(inner)));
            }
            "string" => match low.expression(child).kind {
                ExprKind::Text(inner) => text += &inner,
                ExprKind::Template(inner, more) => {
                    text += &inner;
                    parts.extend(more);
                }
                _ => {}
            },
            _ => {}
        }
    }
    if parts.is_empty() { ExprKind::Text(text) } else { ExprKind::Template(text, parts) }
}

fn call(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let callee = low.boxed(node, "function");
    let list = field(node, "arguments");
    let mut args = Vec::new();
    match list {
        Some(list) if list.kind() == "argument_list" => {
            for arg in children(list) {
                let keyword = arg.kind() == "keyword_argument";
                let name = keyword.then(|| low.field_text(arg, "name"));
                let spread = arg.kind() == "dictionary_splat";
                let inner = if keyword { field(arg, "value").unwrap_or(arg) } else { arg };
                let inner = if spread { first(inner).unwrap_or(inner) } else { inner };
                let name = if spread { Some("**".to_owned()) } else { name };
                args.push(Arg { name, value: low.expression(inner) });
            }
        }
        Some(generator) => args.push(Arg { name: None, value: low.expression(generator) }),
        None => {}
    }
    // A dictionary by its constructor is a dictionary.
    let named = !args.is_empty() && args.iter().all(|arg| arg.name.is_some());
    if named && matches!(&callee.kind, ExprKind::Name(name) if name == "dict") {
        let mut record = Record { name: None, fields: Vec::new(), spread: Vec::new() };
        for arg in args {
            match arg.name {
                Some(name) if name != "**" => record.fields.push((name, arg.value)),
                _ => record.spread.push(arg.value),
            }
        }
        return ExprKind::Record(record);
    }
    ExprKind::Call(callee, args)
}

fn dictionary(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let mut record = Record { name: None, fields: Vec::new(), spread: Vec::new() };
    for entry in children(node) {
        match entry.kind() {
            "pair" => {
                let key = *low.boxed(entry, "key");
                let value = *low.boxed(entry, "value");
                match key.kind {
                    ExprKind::Text(key) => record.fields.push((key, value)),
                    ExprKind::Name(_) | ExprKind::Member(..) => {
                        record.fields.push((key.path().unwrap_or_default(), value));
                    }
                    _ => record.fields.push((String::new(), value)),
                }
            }
            _ => record.spread.extend(first(entry).map(|inner| low.expression(inner))),
        }
    }
    ExprKind::Record(record)
}

fn comprehension(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let element = low.boxed(node, "body");
    let mut sources = Vec::new();
    for clause in children(node) {
        match clause.kind() {
            "for_in_clause" => {
                sources.extend(field(clause, "right").map(|right| low.expression(right)));
            }
            "if_clause" => {
                sources.extend(first(clause).map(|condition| low.expression(condition)));
            }
            _ => {}
        }
    }
    ExprKind::Each(element, sources)
}

/// Sides of a chained comparison beyond this are not looked at.
const MAX_SIDES: usize = 100;

fn comparison(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let mut cursor = node.walk();
    let operators: Vec<_> = node
        .children_by_field_name("operators", &mut cursor)
        .map(|operator| low.text(operator))
        .collect();
    let sides: Vec<_> = children(node).into_iter().take(MAX_SIDES).collect();
    compared(low, node, &sides, &operators).kind
}

/// The last side compared with all before it, which are one level deeper.
fn compared(
    low: &mut Lowering<'_>,
    node: Node<'_>,
    sides: &[Node<'_>],
    operators: &[String],
) -> Expr {
    let (right, before) = match sides.split_last() {
        Some((only, [])) => return low.expression(*only),
        Some(parts) => parts,
        None => return low.expr(node, ExprKind::Null),
    };
    let left = low.deeper(|low| compared(low, node, before, operators));
    let left = left.unwrap_or_else(|| low.expr(node, ExprKind::Other(Vec::new())));
    let right = low.expression(*right);
    let operator = operators.get(before.len() - 1).cloned().unwrap_or_else(|| "==".to_owned());
    low.expr(node, ExprKind::Binary(operator, Box::new(left), Box::new(right)))
}

fn ternary(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let mut parts = low.all(node).into_iter();
    let (Some(then), Some(condition), Some(otherwise)) = (parts.next(), parts.next(), parts.next())
    else {
        return ExprKind::Null;
    };
    ExprKind::Branch(vec![condition], vec![arm("if", then), arm("else", otherwise)])
}

fn lambda(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let params = field(node, "parameters").map(|list| params(low, list)).unwrap_or_default();
    let value = *low.boxed(node, "body");
    let span = value.span;
    ExprKind::Lambda(params, vec![Stmt { kind: StmtKind::Return(Some(value)), span }])
}
