//! Walks the statements of a function and keeps what its variables hold.

use super::eval::Eval;
use super::{
    Analysis, Env, Origins, Scope, Sink, SinkKind, Value, calls, is_import_failure, marks,
};
use crate::syntax::{Expr, ExprKind, Handler, Stmt, StmtKind};
use crate::words;

/// Walks a function: what it returns, what its variables hold at its end, and its sinks.
pub(super) fn function(analysis: &Analysis<'_>, at: usize) -> (Value, Env, Vec<Sink>) {
    let function = &analysis.unit.functions[at];
    let mut eval = Eval::new(analysis, at);
    for param in &function.params {
        let value = match is_size(&param.name) {
            true => Value { origins: Origins::SIZE, ..Value::default() },
            false => Value::unknown(),
        };
        eval.env.set(&param.name, value);
    }
    eval.block(&function.body);
    let Eval { returned, env, mut sinks, marks, .. } = eval;
    for sink in &mut sinks {
        sink.marked |= sink.root.as_ref().is_some_and(|root| marks.contains(root));
    }
    let returned = match function.name.is_empty() {
        true => Value::unknown(),
        false => returned,
    };
    (returned, env, sinks)
}

/// Whether a name is that of the size of an input.
pub(super) fn is_size(name: &str) -> bool {
    const WORDS: [&str; 20] = [
        "batch", "size", "len", "length", "num", "count", "n", "tokens", "layers", "params",
        "width", "height", "dim", "hidden", "seq", "depth", "rows", "cols", "elements", "nodes",
    ];
    words::quantity(name).is_none()
        && words::split(name).iter().any(|word| WORDS.contains(&word.as_str()))
}

impl Eval<'_, '_> {
    pub(super) fn block(&mut self, statements: &[Stmt]) {
        let outer = self.scopes.len();
        for statement in statements {
            self.statement(statement);
            // What follows `if available: return …` is reached where it is not available.
            if let StmtKind::If { condition, then, otherwise } = &statement.kind
                && otherwise.is_empty()
                && ends(then)
            {
                let scope = self.scopes(condition).1;
                self.scopes.extend(scope);
            }
        }
        self.scopes.truncate(outer);
    }

    fn statement(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::Assign { target, value, augmented } => self.assign(target, value, *augmented),
            StmtKind::Return(Some(value)) => self.give_back(value),
            StmtKind::Value(value) | StmtKind::Eval(value) | StmtKind::Throw(Some(value)) => {
                drop(self.expr(value));
            }
            StmtKind::If { condition, then, otherwise } => {
                drop(self.expr(condition));
                let (yes, no) = self.scopes(condition);
                self.either(&[(yes, then), (no, otherwise)]);
            }
            StmtKind::Loop { head, target, body, .. } => {
                let value = head.as_ref().map(|head| self.expr(head)).unwrap_or_default();
                if let Some(target) = target {
                    self.bind(target, value);
                }
                self.block(body);
            }
            StmtKind::Try { body, handlers, last } => self.guarded(body, handlers, last),
            StmtKind::With { items, body } => {
                for (value, name) in items {
                    let value = self.expr(value);
                    if let Some(name) = name {
                        self.env.set(name, value.or(Value::unknown()).scalar());
                    }
                }
                self.block(body);
            }
            StmtKind::Block(body) => self.block(body),
            StmtKind::Return(None)
            | StmtKind::Throw(None)
            | StmtKind::Import(_)
            | StmtKind::Delete(_)
            | StmtKind::Def(_)
            | StmtKind::Class(_)
            | StmtKind::Break
            | StmtKind::Skip => {}
        }
    }

    /// Walks ways that exclude each other, and joins what they leave.
    pub(super) fn either(&mut self, ways: &[(Option<Scope>, &[Stmt])]) {
        let mut left = Vec::new();
        for (scope, body) in ways {
            self.env.begin();
            self.scoped(*scope, |eval| eval.block(body));
            let changes = self.env.end();
            // What ends here leaves nothing to what follows.
            if !ends(body) {
                left.push(changes);
            }
        }
        self.env.join(&left);
    }

    fn guarded(&mut self, body: &[Stmt], handlers: &[Handler], last: &[Stmt]) {
        self.env.begin();
        self.block(body);
        let mut ways = vec![self.env.end()];
        for handler in handlers {
            self.env.begin();
            if let Some(name) = &handler.binding {
                self.env.set(name, Value::unknown());
            }
            let import = is_import_failure(&handler.catches, body);
            let scope = if import { Scope::NoImport } else { Scope::Failed };
            self.scoped(Some(scope), |eval| eval.block(&handler.body));
            ways.push(self.env.end());
        }
        self.env.join(&ways);
        self.block(last);
    }

    fn assign(&mut self, target: &Expr, value: &Expr, augmented: bool) {
        let name = target.last_name().to_owned();
        let denies = matches!(value.kind, ExprKind::Truth(false) | ExprKind::Null);
        self.containers.push(name.clone());
        self.roots.push(target.root_name().map(str::to_owned));
        let mut value = self.expr(value);
        self.roots.pop();
        self.containers.pop();
        if augmented {
            let old = target.path().and_then(|path| self.env.get(&path).cloned());
            value = old.unwrap_or_default().with(value, "+");
        }
        self.name_value(&name, &mut value);
        self.note_mark(target, &name, &value, denies);
        self.bind(target, value);
    }

    /// A name adds to what is known of a value: that a constant stands for a quantity, that it is declared.
    fn name_value(&self, name: &str, value: &mut Value) {
        let quantity = words::quantity(name).is_some();
        if quantity && value.origins.has(Origins::CONST) && !words::is_fixed(name) {
            value.origins = value.origins | Origins::ANCHOR;
        }
        if words::declares(name) {
            value.origins = value.origins | Origins::DECLARED;
        }
        let stands_in =
            matches!(self.scope(), Some(Scope::NoImport | Scope::Absent | Scope::Failed));
        if quantity && stands_in && value.is_made_up() && !value.marked {
            value.fallback = value.fallback.or(value.source);
        }
    }

    /// Remembers that a variable's record says that it is not measured.
    fn note_mark(&mut self, target: &Expr, name: &str, value: &Value, denies: bool) {
        let path = !matches!(target.kind, ExprKind::Name(_));
        if path && marks::is_mark_key(name) && !denies {
            self.marks.extend(target.root_name().map(str::to_owned));
        }
        if !path && value.marked {
            self.marks.insert(name.to_owned());
        }
    }

    /// Gives a value to a name, a path or the names of a pattern.
    pub(super) fn bind(&mut self, target: &Expr, value: Value) {
        match &target.kind {
            ExprKind::Name(name) => {
                self.env.forget(&format!("{name}."));
                self.env.set(name, value);
            }
            ExprKind::Member(..) | ExprKind::Index(..) => self.store(target, value),
            ExprKind::List(items) => {
                for item in items {
                    let part =
                        value.field(item.last_name()).unwrap_or_else(|| value.clone().scalar());
                    self.bind(item, part);
                }
            }
            ExprKind::Record(record) => {
                for (key, inner) in &record.fields {
                    let part = value.field(key).unwrap_or_else(Value::unknown);
                    self.bind(inner, part);
                }
            }
            _ => {}
        }
    }

    /// Sets a field or an element.
    fn store(&mut self, target: &Expr, value: Value) {
        let last = target.last_name();
        // `latencies[i] = …` sets an element of `latencies`.
        let name = match &target.kind {
            ExprKind::Index(object, _) if last.is_empty() => object.last_name(),
            _ => last,
        };
        let object = match &target.kind {
            ExprKind::Member(object, _) | ExprKind::Index(object, _) => object.last_name(),
            _ => "",
        };
        self.containers.push(object.to_owned());
        self.roots.push(target.root_name().map(str::to_owned));
        self.sink(SinkKind::Store, target.span, name, &value);
        self.sink_fields(target.span, &value);
        self.roots.pop();
        self.containers.pop();
        if let (Some(root), ExprKind::Member(object, key)) = (target.root_name(), &target.kind) {
            self.set_field(root, object, key, &value);
        } else if let (Some(root), ExprKind::Index(object, key)) =
            (target.root_name(), &target.kind)
            && let ExprKind::Text(key) = &key.kind
        {
            self.set_field(root, object, key, &value);
        }
        if let Some(path) = target.path() {
            self.env.set(&path, value);
        }
    }

    fn set_field(&mut self, root: &str, object: &Expr, key: &str, value: &Value) {
        if !matches!(object.kind, ExprKind::Name(_)) || matches!(root, "self" | "this") {
            return;
        }
        self.env.changed(root).set(key.to_owned(), value.clone());
    }

    fn give_back(&mut self, expr: &Expr) {
        let name = self.function().name.clone();
        self.containers.push(name.clone());
        self.roots.push(expr.root_name().map(str::to_owned));
        let (value, parts) = self.with_items(expr);
        self.sink_answer(expr, &value);
        if self.lambda == 0 {
            match &expr.kind {
                ExprKind::List(items) => self.sink_items(items, &parts),
                ExprKind::Record(_) => {}
                _ if value.fields.is_some() => self.sink_fields(expr.span, &value),
                _ => self.sink(SinkKind::Return, expr.span, &name, &value),
            }
            let marked = expr.root_name().is_some_and(|root| self.marks.contains(root));
            let mut value = value;
            value.marked |= marked;
            let before = std::mem::take(&mut self.returned);
            self.returned = before.or(value);
        } else {
            let before = std::mem::take(&mut self.lambda_value);
            self.lambda_value = before.or(value);
        }
        self.roots.pop();
        self.containers.pop();
    }

    /// An answer that nothing computed, where what would compute it could not be had.
    fn sink_answer(&mut self, expr: &Expr, value: &Value) {
        let Some(Scope::NoImport | Scope::Absent | Scope::Failed) = self.scope() else { return };
        let random = value.fields.is_none()
            && value.origins.has(Origins::RANDOM)
            && !value.origins.has(Origins::HASHED);
        let key = value.fields.as_ref().and_then(|fields| {
            fields.iter().find(|(key, value)| {
                words::names_answer(key)
                    && value.is_made_up()
                    && !value.origins.has(Origins::UNKNOWN | Origins::CLOCK)
            })
        });
        let function = self.function().name.clone();
        match (key, random) {
            (Some((key, field)), _) => {
                let (key, mut field) = (key.clone(), field.clone());
                field.marked |= value.marked;
                let failed =
                    matches!(&expr.kind, ExprKind::Record(record) if marks::says_failed(record));
                if !failed {
                    self.sink(SinkKind::Answer, expr.span, &key, &field);
                }
            }
            (None, true) if self.lambda == 0 && self.scope() == Some(Scope::NoImport) => {
                self.sink(SinkKind::Answer, expr.span, &function, value);
            }
            _ => {}
        }
    }

    /// The items of a returned tuple, by the names of their variables.
    pub(super) fn sink_items(&mut self, items: &[Expr], values: &[Value]) {
        for (item, value) in items.iter().zip(values) {
            let name = shown_name(item);
            if !name.is_empty() {
                self.sink(SinkKind::Store, item.span, name, value);
            }
        }
    }
}

/// The name under which a value is shown: that of the variable, perhaps rounded.
pub(crate) fn shown_name(expr: &Expr) -> &str {
    match &expr.kind {
        ExprKind::Call(callee, args) => match (args.first(), &callee.kind) {
            (Some(first), _) if calls::passes(callee.last_name()) => shown_name(&first.value),
            (_, ExprKind::Member(object, last)) if last == "toFixed" || last == "to_string" => {
                shown_name(object)
            }
            _ => "",
        },
        _ => expr.last_name(),
    }
}

/// Whether nothing after these statements is reached.
fn ends(body: &[Stmt]) -> bool {
    let last = body.last().map(|last| &last.kind);
    matches!(last, Some(StmtKind::Return(_) | StmtKind::Throw(_)))
}
