//! JavaScript and TypeScript, lowered.

use super::lower::{Lowering, arm, children, field, first};
use super::{
    Arg, Arm, Class, ClassField, ExprKind, Function, Handler, Param, Record, Stmt, StmtKind, Unit,
};
use tree_sitter::Node;

/// Functions whose callbacks are tests.
const TEST_CALLS: [&str; 8] =
    ["describe", "it", "test", "suite", "beforeEach", "beforeAll", "afterEach", "afterAll"];

/// Lowers a program.
pub(super) fn lower(root: Node<'_>, text: &str, first_line: usize) -> Unit {
    let mut lowering = Lowering::new(text, first_line, expression_here);
    lowering.comments(root);
    let body = statements(&mut lowering, root);
    lowering.unit.functions[0].body = body;
    lowering.unit
}

fn statements(low: &mut Lowering<'_>, block: Node<'_>) -> Vec<Stmt> {
    children(block).into_iter().flat_map(|child| statement(low, child)).collect()
}

/// The statements of a block, or the one statement without braces.
fn block(low: &mut Lowering<'_>, node: Option<Node<'_>>) -> Vec<Stmt> {
    match node {
        Some(node) if matches!(node.kind(), "statement_block" | "class_static_block") => {
            statements(low, node)
        }
        Some(node) => statement(low, node),
        None => Vec::new(),
    }
}

fn statement(low: &mut Lowering<'_>, node: Node<'_>) -> Vec<Stmt> {
    low.deeper(|low| statement_here(low, node)).unwrap_or_default()
}

fn statement_here(low: &mut Lowering<'_>, node: Node<'_>) -> Vec<Stmt> {
    let kind = match node.kind() {
        "expression_statement" => return evaluated(low, node),
        "lexical_declaration" | "variable_declaration" => return declared(low, node),
        "return_statement" => StmtKind::Return(first(node).map(|value| low.expression(value))),
        "if_statement" => {
            let condition = *low.boxed(node, "condition");
            let then = block(low, field(node, "consequence"));
            let other = field(node, "alternative");
            let otherwise = other.map(|clause| block(low, first(clause))).unwrap_or_default();
            StmtKind::If { condition, then, otherwise }
        }
        "for_statement" => {
            let head = field(node, "condition").map(|head| low.expression(head));
            let mut body = block(low, field(node, "initializer"));
            body.extend(block(low, field(node, "body")));
            StmtKind::Loop { head, target: None, body, counted: true }
        }
        "for_in_statement" => {
            let head = field(node, "right").map(|head| low.expression(head));
            let target = field(node, "left").map(|target| low.expression(target));
            StmtKind::Loop { head, target, body: block(low, field(node, "body")), counted: true }
        }
        "while_statement" | "do_statement" => {
            let head = field(node, "condition").map(|head| low.expression(head));
            let body = block(low, field(node, "body"));
            StmtKind::Loop { head, target: None, body, counted: false }
        }
        "try_statement" => guarded(low, node),
        "throw_statement" => StmtKind::Throw(first(node).map(|value| low.expression(value))),
        "function_declaration" | "generator_function_declaration" => {
            let name = low.field_text(node, "name");
            return vec![function(low, node, name)];
        }
        "class_declaration" | "abstract_class_declaration" => return vec![class(low, node)],
        "interface_declaration" | "type_alias_declaration" => return interface(low, node),
        "export_statement" => {
            let inner = field(node, "declaration").map(|inner| statement(low, inner));
            let value = field(node, "value").map(|value| {
                let value = low.expression(value);
                low.stmt(node, StmtKind::Eval(value))
            });
            return inner.unwrap_or_default().into_iter().chain(value).collect();
        }
        "import_statement" => StmtKind::Import(low.text(node)),
        "statement_block" | "ERROR" => StmtKind::Block(statements(low, node)),
        "labeled_statement" => return block(low, field(node, "body")),
        "switch_statement" => switch(low, node),
        "break_statement" => StmtKind::Break,
        "continue_statement" | "empty_statement" => StmtKind::Skip,
        _ => return Vec::new(),
    };
    vec![low.stmt(node, kind)]
}

fn evaluated(low: &mut Lowering<'_>, node: Node<'_>) -> Vec<Stmt> {
    let Some(inner) = first(node) else { return Vec::new() };
    let augmented = inner.kind() == "augmented_assignment_expression";
    if !augmented && inner.kind() != "assignment_expression" {
        if inner.kind() == "unary_expression" && low.field_text(inner, "operator") == "delete" {
            let target = *low.boxed(inner, "argument");
            return vec![low.stmt(node, StmtKind::Delete(vec![target]))];
        }
        let value = low.expression(inner);
        return vec![low.stmt(node, StmtKind::Eval(value))];
    }
    let (Some(left), Some(right)) = (field(inner, "left"), field(inner, "right")) else {
        return Vec::new();
    };
    if is_function(right) && left.kind() == "member_expression" {
        let name = low.field_text(left, "property");
        return vec![function(low, right, name)];
    }
    let target = low.expression(left);
    let value = low.expression(right);
    vec![low.stmt(node, StmtKind::Assign { target, value, augmented })]
}

fn is_function(node: Node<'_>) -> bool {
    matches!(node.kind(), "arrow_function" | "function_expression" | "generator_function")
}

fn declared(low: &mut Lowering<'_>, node: Node<'_>) -> Vec<Stmt> {
    let mut found = Vec::new();
    for declarator in children(node).into_iter().filter(|n| n.kind() == "variable_declarator") {
        let (Some(name), Some(value)) = (field(declarator, "name"), field(declarator, "value"))
        else {
            continue;
        };
        if is_function(value) && name.kind() == "identifier" {
            let name = low.text(name);
            found.push(function(low, value, name));
            continue;
        }
        let target = low.expression(name);
        let value = low.expression(value);
        let kind = StmtKind::Assign { target, value, augmented: false };
        found.push(low.stmt(declarator, kind));
    }
    found
}

fn guarded(low: &mut Lowering<'_>, node: Node<'_>) -> StmtKind {
    let body = block(low, field(node, "body"));
    let handlers = field(node, "handler").map(|clause| Handler {
        catches: String::new(),
        binding: field(clause, "parameter").map(|name| low.text(name)),
        body: block(low, field(clause, "body")),
    });
    let last = field(node, "finalizer").map(|clause| block(low, field(clause, "body")));
    StmtKind::Try { body, handlers: handlers.into_iter().collect(), last: last.unwrap_or_default() }
}

fn switch(low: &mut Lowering<'_>, node: Node<'_>) -> StmtKind {
    let subject = *low.boxed(node, "value");
    let mut arms = Vec::new();
    for case in field(node, "body").map(children).unwrap_or_default() {
        let value = field(case, "value");
        let pattern = value.map(|value| low.text(value)).unwrap_or_else(|| "default".to_owned());
        let parts = children(case).into_iter().filter(|part| Some(*part) != value);
        let body = parts.flat_map(|part| statement(low, part)).collect();
        arms.push(Arm { pattern, body });
    }
    StmtKind::Eval(low.expr(node, ExprKind::Branch(vec![subject], arms)))
}

fn function(low: &mut Lowering<'_>, node: Node<'_>, name: String) -> Stmt {
    let owner = low.owner.take();
    let params = params_of(low, node);
    let body = function_body(low, node);
    low.owner.clone_from(&owner);
    let (is_test, span) = (low.in_test, low.span(node));
    let attributes = Vec::new();
    low.define(node, Function { name, owner, params, body, attributes, is_test, span })
}

fn function_body(low: &mut Lowering<'_>, node: Node<'_>) -> Vec<Stmt> {
    match field(node, "body") {
        Some(body) if body.kind() == "statement_block" => statements(low, body),
        Some(value) => {
            let value = low.expression(value);
            let span = value.span;
            vec![Stmt { kind: StmtKind::Return(Some(value)), span }]
        }
        None => Vec::new(),
    }
}

fn params_of(low: &mut Lowering<'_>, node: Node<'_>) -> Vec<Param> {
    let one = |param: Node<'_>| {
        let name = match param.kind() {
            "assignment_pattern" => field(param, "left"),
            "required_parameter" | "optional_parameter" => field(param, "pattern"),
            _ => Some(param),
        };
        let name = name.map(|name| low.text(name)).unwrap_or_default();
        let kind = low.field_text(param, "type").trim_start_matches(':').trim().to_owned();
        Param { name, kind }
    };
    match (field(node, "parameters"), field(node, "parameter")) {
        (Some(list), _) => children(list).into_iter().map(one).collect(),
        (None, Some(param)) => vec![one(param)],
        (None, None) => Vec::new(),
    }
}

fn class(low: &mut Lowering<'_>, node: Node<'_>) -> Stmt {
    let name = low.field_text(node, "name");
    let mut class = Class { name: name.clone(), is_test: low.in_test, ..Class::default() };
    for member in field(node, "body").map(children).unwrap_or_default() {
        low.owner = Some(name.clone());
        let title = field(member, "name").or_else(|| field(member, "property"));
        let title = title.map(|title| low.text(title)).unwrap_or_default();
        let value = field(member, "value");
        match (member.kind(), value) {
            ("method_definition", _) => {
                if let StmtKind::Def(at) = function(low, member, title).kind {
                    class.methods.push(at);
                }
            }
            ("field_definition" | "public_field_definition", Some(value)) if is_function(value) => {
                if let StmtKind::Def(at) = function(low, value, title).kind {
                    class.methods.push(at);
                }
            }
            ("field_definition" | "public_field_definition", _) => {
                let span = low.span(member);
                let attributes = String::new();
                class.fields.push(ClassField { name: title, attributes, span });
            }
            _ => {}
        }
    }
    low.owner = None;
    low.class(node, class)
}

/// The declared fields of an interface of TypeScript.
fn interface(low: &mut Lowering<'_>, node: Node<'_>) -> Vec<Stmt> {
    let name = low.field_text(node, "name");
    let members = field(node, "body").or_else(|| field(node, "value")).map(children);
    let mut class = Class { name, ..Class::default() };
    for member in members.unwrap_or_default() {
        if member.kind() == "property_signature" {
            let (name, span) = (low.field_text(member, "name"), low.span(member));
            class.fields.push(ClassField { name, attributes: String::new(), span });
        }
    }
    vec![low.class(node, class)]
}

fn expression_here(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    match node.kind() {
        "identifier"
        | "property_identifier"
        | "shorthand_property_identifier"
        | "this"
        | "super"
        | "shorthand_property_identifier_pattern"
        | "import" => ExprKind::Name(low.text(node)),
        "number" => {
            let text = low.text(node).replace('_', "");
            text.trim_end_matches('n').parse().map_or(ExprKind::Other(Vec::new()), ExprKind::Number)
        }
        "true" => ExprKind::Truth(true),
        "false" => ExprKind::Truth(false),
        "null" | "undefined" => ExprKind::Null,
        "string" => ExprKind::Text(low.text(node).trim_matches(['"', '\'']).to_owned()),
        "template_string" => template(low, node),
        "member_expression" => {
            ExprKind::Member(low.boxed(node, "object"), low.field_text(node, "property"))
        }
        "subscript_expression" => {
            ExprKind::Index(low.boxed(node, "object"), low.boxed(node, "index"))
        }
        "call_expression" => call(low, node, "function"),
        "new_expression" => call(low, node, "constructor"),
        "object" | "object_pattern" => object(low, node),
        "array" | "array_pattern" | "sequence_expression" => ExprKind::List(low.all(node)),
        "binary_expression" => {
            let operator = low.field_text(node, "operator");
            ExprKind::Binary(operator, low.boxed(node, "left"), low.boxed(node, "right"))
        }
        "unary_expression" => unary(low, node),
        "ternary_expression" => {
            let condition = *low.boxed(node, "condition");
            let then = arm("if", *low.boxed(node, "consequence"));
            let otherwise = arm("else", *low.boxed(node, "alternative"));
            ExprKind::Branch(vec![condition], vec![then, otherwise])
        }
        "arrow_function" | "function_expression" | "generator_function" => {
            let params = params_of(low, node);
            let body = function_body(low, node);
            ExprKind::Lambda(params, body)
        }
        "assignment_expression" | "augmented_assignment_expression" => {
            low.boxed(node, "right").kind
        }
        "parenthesized_expression"
        | "await_expression"
        | "as_expression"
        | "satisfies_expression"
        | "non_null_expression" => match first(node) {
            Some(inner) => low.expression(inner).kind,
            None => ExprKind::Null,
        },
        // The type stands before the value.
        "type_assertion" => match children(node).pop() {
            Some(inner) => low.expression(inner).kind,
            None => ExprKind::Null,
        },
        _ => ExprKind::Other(low.all(node)),
    }
}

fn template(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let mut text = String::new();
    let mut parts = Vec::new();
    for child in children(node) {
        match child.kind() {
            "template_substitution" => {
                text += "{}";
                parts.extend(first(child).map(|inner| low.expression(inner)));
            }
            _ => text += &low.text(child),
        }
    }
    if parts.is_empty() { ExprKind::Text(text) } else { ExprKind::Template(text, parts) }
}

fn call(low: &mut Lowering<'_>, node: Node<'_>, name: &str) -> ExprKind {
    let callee = low.boxed(node, name);
    let outer = low.in_test;
    low.in_test |= callee.root_name().is_some_and(|root| TEST_CALLS.contains(&root));
    let list = field(node, "arguments");
    let args = match list {
        Some(list) if list.kind() == "arguments" => low.all(list),
        Some(text) => vec![low.expression(text)],
        None => Vec::new(),
    };
    low.in_test = outer;
    ExprKind::Call(callee, args.into_iter().map(|value| Arg { name: None, value }).collect())
}

fn object(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let mut record = Record { name: None, fields: Vec::new(), spread: Vec::new() };
    for entry in children(node) {
        match entry.kind() {
            "pair" | "pair_pattern" => {
                let key = low.field_text(entry, "key");
                let key = key.trim_matches(['"', '\'', '[', ']']).to_owned();
                record.fields.push((key, *low.boxed(entry, "value")));
            }
            "shorthand_property_identifier" | "shorthand_property_identifier_pattern" => {
                let name = low.text(entry);
                record.fields.push((name, low.expression(entry)));
            }
            "method_definition" => {
                let name = low.field_text(entry, "name");
                let params = params_of(low, entry);
                let body = function_body(low, entry);
                let lambda = low.expr(entry, ExprKind::Lambda(params, body));
                record.fields.push((name, lambda));
            }
            "spread_element" | "rest_pattern" => {
                record.spread.extend(first(entry).map(|inner| low.expression(inner)));
            }
            _ => {}
        }
    }
    ExprKind::Record(record)
}

fn unary(low: &mut Lowering<'_>, node: Node<'_>) -> ExprKind {
    let operator = low.field_text(node, "operator");
    let inner = low.boxed(node, "argument");
    match (operator.as_str(), &inner.kind) {
        ("-", ExprKind::Number(value)) => ExprKind::Number(-value),
        ("+", _) => inner.kind,
        ("!", _) => ExprKind::Not(inner),
        _ => ExprKind::Other(vec![*inner]),
    }
}
