//! Walks over the small syntax tree, in the order of the text.

use super::{Expr, ExprKind, Stmt, StmtKind};

/// Calls `see` with every expression of these statements, outer ones first; bodies of lambdas are walked too, those of
/// named functions are not.
pub(crate) fn expressions<'a>(statements: &'a [Stmt], see: &mut dyn FnMut(&'a Expr)) {
    for statement in statements {
        of_statement(statement, &mut |expr| inside(expr, see));
        for body in bodies(statement) {
            expressions(body, see);
        }
    }
}

/// Calls `see` with every statement, outer ones first, also those in lambdas and branches of expressions.
pub(crate) fn statements<'a>(list: &'a [Stmt], see: &mut dyn FnMut(&'a Stmt)) {
    for statement in list {
        see(statement);
        of_statement(statement, &mut |expr| {
            inside(expr, &mut |inner| match &inner.kind {
                ExprKind::Lambda(_, body) => direct(body, see),
                ExprKind::Branch(_, arms) => arms.iter().for_each(|arm| direct(&arm.body, see)),
                _ => {}
            });
        });
        for body in bodies(statement) {
            statements(body, see);
        }
    }
}

/// As `statements`, without what `inside` visits on its own.
fn direct<'a>(list: &'a [Stmt], see: &mut dyn FnMut(&'a Stmt)) {
    for statement in list {
        see(statement);
        for body in bodies(statement) {
            direct(body, see);
        }
    }
}

/// Calls `see` with an expression and everything in it.
pub(crate) fn inside<'a>(expr: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    see(expr);
    match &expr.kind {
        ExprKind::Lambda(_, body) => expressions(body, see),
        ExprKind::Branch(subjects, arms) => {
            subjects.iter().for_each(|subject| inside(subject, see));
            arms.iter().for_each(|arm| expressions(&arm.body, see));
        }
        _ => parts(expr, &mut |part| inside(part, see)),
    }
}

/// Calls `see` with the direct parts of an expression, without bodies of statements.
pub(crate) fn parts<'a>(expr: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        ExprKind::Template(_, parts) | ExprKind::List(parts) | ExprKind::Other(parts) => {
            parts.iter().for_each(see);
        }
        ExprKind::Member(inner, _) | ExprKind::Not(inner) => see(inner),
        ExprKind::Index(left, right) | ExprKind::Binary(_, left, right) => {
            see(left);
            see(right);
        }
        ExprKind::Call(callee, args) => {
            see(callee);
            args.iter().for_each(|arg| see(&arg.value));
        }
        ExprKind::Record(record) => {
            record.spread.iter().for_each(&mut *see);
            record.fields.iter().for_each(|(_, value)| see(value));
        }
        ExprKind::Each(element, sources) => {
            sources.iter().for_each(&mut *see);
            see(element);
        }
        ExprKind::Branch(subjects, _) => subjects.iter().for_each(see),
        ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::Truth(_)
        | ExprKind::Null
        | ExprKind::Name(_)
        | ExprKind::Lambda(..) => {}
    }
}

/// Calls `see` with the expressions that a statement itself holds.
pub(crate) fn of_statement<'a>(statement: &'a Stmt, see: &mut dyn FnMut(&'a Expr)) {
    match &statement.kind {
        StmtKind::Assign { target, value, .. } => {
            see(value);
            see(target);
        }
        StmtKind::Return(Some(value))
        | StmtKind::Value(value)
        | StmtKind::Eval(value)
        | StmtKind::Throw(Some(value)) => see(value),
        StmtKind::If { condition, .. } => see(condition),
        StmtKind::Loop { head, target, .. } => {
            head.iter().for_each(&mut *see);
            target.iter().for_each(see);
        }
        StmtKind::With { items, .. } => items.iter().for_each(|(value, _)| see(value)),
        StmtKind::Delete(targets) => targets.iter().for_each(see),
        StmtKind::Return(None)
        | StmtKind::Throw(None)
        | StmtKind::Try { .. }
        | StmtKind::Import(_)
        | StmtKind::Def(_)
        | StmtKind::Class(_)
        | StmtKind::Break
        | StmtKind::Skip
        | StmtKind::Block(_) => {}
    }
}

/// The lists of statements in a statement, in the order of the text.
pub(crate) fn bodies(statement: &Stmt) -> Vec<&[Stmt]> {
    match &statement.kind {
        StmtKind::If { then, otherwise, .. } => vec![then, otherwise],
        StmtKind::Loop { body, .. } | StmtKind::With { body, .. } | StmtKind::Block(body) => {
            vec![body]
        }
        StmtKind::Try { body, handlers, last } => {
            let handlers = handlers.iter().map(|handler| handler.body.as_slice());
            [body.as_slice()].into_iter().chain(handlers).chain([last.as_slice()]).collect()
        }
        _ => Vec::new(),
    }
}
