//! What an expression gives, and the sinks in it.

use super::marks::{self, Mark};
use super::{Analysis, Beside, Env, Origins, Scope, Sink, SinkKind, Value};
use crate::syntax::{Arm, Expr, ExprKind, Function, Record, Span, Stmt};
use crate::words;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The state of a walk through one function.
pub(super) struct Eval<'a, 'b> {
    pub(super) analysis: &'b Analysis<'a>,
    pub(super) at: usize,
    pub(super) env: Env,
    pub(super) returned: Value,
    pub(super) sinks: Vec<Sink>,
    /// Variables whose records say that they are not measured.
    pub(super) marks: BTreeSet<String>,
    /// Names of what the value goes to, the innermost last.
    pub(super) containers: Vec<String>,
    pub(super) roots: Vec<Option<String>>,
    pub(super) scopes: Vec<Scope>,
    /// How many lambdas we are in.
    pub(super) lambda: usize,
    pub(super) lambda_value: Value,
    /// What the records around say.
    pub(super) around: Around,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    pub(super) marked: bool,
    pub(super) claimed: bool,
    pub(super) failed: bool,
}

impl<'a, 'b> Eval<'a, 'b> {
    pub(super) fn new(analysis: &'b Analysis<'a>, at: usize) -> Self {
        Self {
            analysis,
            at,
            env: Env::default(),
            returned: Value::default(),
            sinks: Vec::new(),
            marks: BTreeSet::new(),
            containers: Vec::new(),
            roots: Vec::new(),
            scopes: Vec::new(),
            lambda: 0,
            lambda_value: Value::default(),
            around: Around::default(),
        }
    }

    pub(super) fn function(&self) -> &'b Function {
        &self.analysis.unit.functions[self.at]
    }

    pub(super) fn scope(&self) -> Option<Scope> {
        self.scopes.last().copied()
    }

    pub(super) fn scoped(&mut self, scope: Option<Scope>, work: impl FnOnce(&mut Self)) {
        self.scopes.extend(scope);
        work(self);
        if scope.is_some() {
            self.scopes.pop();
        }
    }

    /// The scopes of the two ways of a condition: where it holds, and where it does not.
    pub(super) fn scopes(&self, condition: &Expr) -> (Option<Scope>, Option<Scope>) {
        match &condition.kind {
            ExprKind::Not(inner) => {
                let (yes, no) = self.scopes(inner);
                (no, yes)
            }
            ExprKind::Binary(operator, left, right) => self.scopes_of(operator, left, right),
            _ => self.scopes_of_name(condition),
        }
    }

    fn scopes_of(
        &self,
        operator: &str,
        left: &Expr,
        right: &Expr,
    ) -> (Option<Scope>, Option<Scope>) {
        let nothing = match &right.kind {
            ExprKind::Null | ExprKind::Truth(false) => true,
            ExprKind::Text(text) => text == "undefined",
            ExprKind::Name(name) => name == "None",
            _ => false,
        };
        let negative = matches!(operator, "is not" | "!=" | "!==");
        match operator {
            "is" | "is not" | "==" | "===" | "!=" | "!==" if nothing => {
                let known = left.path().is_some_and(|path| self.analysis.absent.contains(&path));
                let absent = Some(if known { Scope::NoImport } else { Scope::Absent });
                if negative { (None, absent) } else { (absent, None) }
            }
            "and" | "or" | "&&" | "||" => {
                let (left, right) = (self.scopes(left), self.scopes(right));
                (left.0.or(right.0), left.1.or(right.1))
            }
            _ => {
                let asks = [left, right].into_iter().any(|side| match &side.kind {
                    ExprKind::Text(text) => words::text_declares(text),
                    _ => false,
                });
                (asks.then_some(Scope::Asked), None)
            }
        }
    }

    fn scopes_of_name(&self, condition: &Expr) -> (Option<Scope>, Option<Scope>) {
        let (subject, called) = match &condition.kind {
            ExprKind::Call(callee, _) => (&**callee, true),
            _ => (condition, false),
        };
        let path = subject.path().unwrap_or_else(|| subject.last_name().to_owned());
        if self.analysis.absent.contains(&path) {
            return (None, Some(Scope::NoImport));
        }
        let words = words::split(&path);
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        if has(&[
            "simulate",
            "simulated",
            "simulation",
            "mock",
            "dry",
            "fake",
            "demo",
            "synthetic",
            "stub",
        ]) {
            return (Some(Scope::Asked), None);
        }
        if called && has(&["none", "err"]) {
            return (Some(Scope::Absent), None);
        }
        if has(&[
            "has",
            "have",
            "available",
            "availability",
            "installed",
            "supported",
            "supports",
            "exists",
            "found",
        ]) {
            let import = path.chars().all(|c| c.is_uppercase() || !c.is_alphabetic());
            return (None, Some(if import { Scope::NoImport } else { Scope::Absent }));
        }
        let hardware = has(&[
            "gpu",
            "cuda",
            "device",
            "adapter",
            "navigator",
            "ml",
            "session",
            "runtime",
            "backend",
        ]);
        (None, (hardware && !called).then_some(Scope::Absent))
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Value {
        match &expr.kind {
            ExprKind::Number(value) => Value::number(*value, expr.span),
            ExprKind::Text(_) | ExprKind::Truth(_) | ExprKind::Null => Value::default(),
            ExprKind::Template(text, parts) => {
                self.template(text, parts);
                Value::default()
            }
            ExprKind::Name(name) => self.name(name),
            ExprKind::Member(object, name) => self.member(expr, object, name),
            ExprKind::Index(object, key) => self.index(expr, object, key),
            ExprKind::Call(callee, args) => self.call(expr, callee, args),
            ExprKind::Record(record) => self.record(record),
            ExprKind::List(_) => self.with_items(expr).0,
            ExprKind::Each(element, sources) => {
                sources.iter().for_each(|source| drop(self.expr(source)));
                self.expr(element)
            }
            ExprKind::Binary(operator, left, right) => self.binary(operator, left, right),
            ExprKind::Not(inner) => {
                drop(self.expr(inner));
                Value::default()
            }
            ExprKind::Branch(subjects, arms) => self.branch(subjects, arms),
            ExprKind::Lambda(_, body) => {
                drop(self.lambda(body));
                Value::unknown()
            }
            ExprKind::Other(parts) => {
                parts.iter().for_each(|part| drop(self.expr(part)));
                Value::unknown()
            }
        }
    }

    /// What an expression gives, and what each item of it gives if it is a list.
    pub(super) fn with_items(&mut self, expr: &Expr) -> (Value, Vec<Value>) {
        let ExprKind::List(items) = &expr.kind else { return (self.expr(expr), Vec::new()) };
        let values: Vec<_> = items.iter().map(|item| self.expr(item)).collect();
        (values.iter().cloned().reduce(Value::or).unwrap_or_default(), values)
    }

    fn name(&self, name: &str) -> Value {
        let held = self.env.get(name).or_else(|| self.analysis.globals.get(name));
        held.cloned().unwrap_or_else(|| match super::walk::is_size(name) {
            true => Value { origins: Origins::SIZE, ..Value::default() },
            false => Value::unknown(),
        })
    }

    fn member(&mut self, expr: &Expr, object: &Expr, name: &str) -> Value {
        if let Some(held) = expr.path().and_then(|path| self.env.get(&path).cloned()) {
            return held;
        }
        let of = self.expr(object);
        if let Some(field) = of.field(name) {
            return field;
        }
        if matches!(name, "length" | "size" | "shape") {
            return Value { origins: Origins::SIZE, ..Value::default() };
        }
        let number =
            of.fields.is_none() && of.is_made_up() && !matches!(object.kind, ExprKind::Name(_));
        match number {
            true => of,
            false if super::walk::is_size(name) => {
                Value { origins: Origins::SIZE, ..Value::default() }
            }
            false => Value::unknown(),
        }
    }

    fn index(&mut self, expr: &Expr, object: &Expr, key: &Expr) -> Value {
        if let Some(held) = expr.path().and_then(|path| self.env.get(&path).cloned()) {
            return held;
        }
        let of = self.expr(object);
        drop(self.expr(key));
        match &key.kind {
            ExprKind::Text(key) => of.field(key).unwrap_or_else(Value::unknown),
            _ => of.element(),
        }
    }

    fn binary(&mut self, operator: &str, left: &Expr, right: &Expr) -> Value {
        let (first, second) = (self.expr(left), self.expr(right));
        match operator {
            "or" | "||" | "??" => {
                let mut second = second;
                if second.is_made_up() {
                    second.fallback = Some(right.span);
                }
                first.or(second)
            }
            "and" | "&&" => second,
            "+" | "-" | "*" | "/" | "%" | "**" | "//" | "@" => first.with(second, operator),
            _ => Value::default(),
        }
    }

    fn branch(&mut self, subjects: &[Expr], arms: &[Arm]) -> Value {
        let mut scopes = (None, None);
        for subject in subjects {
            drop(self.expr(subject));
            scopes = self.scopes(subject);
        }
        let mut ways = Vec::new();
        let mut found = Value::default();
        for arm in arms {
            let scope = match arm.pattern.as_str() {
                "" => None,
                "if" => scopes.0,
                "else" => scopes.1.or_else(|| failed_before(arms)),
                pattern => scope_of_pattern(pattern),
            };
            self.env.begin();
            let mut value = Value::default();
            self.scoped(scope, |eval| {
                value = eval.valued(&arm.body);
            });
            let fallback = matches!(scope, Some(Scope::Failed | Scope::Absent | Scope::NoImport));
            if fallback && value.is_made_up() && !value.marked {
                value.fallback = value.fallback.or(value.source);
            }
            found = found.or(value);
            ways.push(self.env.end());
        }
        self.env.join(&ways);
        found
    }

    /// Walks a block and gives its value.
    fn valued(&mut self, body: &[Stmt]) -> Value {
        use crate::syntax::StmtKind;
        let Some((last, first)) = body.split_last() else { return Value::default() };
        self.block(first);
        match &last.kind {
            StmtKind::Value(value) => self.expr(value),
            StmtKind::Eval(value @ Expr { kind: ExprKind::Branch(..), .. }) => self.expr(value),
            _ => {
                self.block(std::slice::from_ref(last));
                Value::default()
            }
        }
    }

    /// Walks the body of a lambda, and gives what it returns.
    pub(super) fn lambda(&mut self, body: &[Stmt]) -> Value {
        self.env.begin();
        let outer = std::mem::take(&mut self.lambda_value);
        self.lambda += 1;
        self.block(body);
        self.lambda -= 1;
        drop(self.env.end());
        std::mem::replace(&mut self.lambda_value, outer)
    }

    fn record(&mut self, record: &Record) -> Value {
        let mark = marks::of_record(record);
        let spread: Vec<_> = record.spread.iter().map(|inner| self.expr(inner)).collect();
        let before = self.around;
        let spread_marked = spread.iter().any(|value| value.marked);
        self.around.marked |= mark == Some(Mark::Simulated) || spread_marked;
        self.around.claimed |= mark == Some(Mark::Real);
        self.around.failed |= marks::says_failed(record);
        let named = record.name.clone();
        self.containers.extend(named.clone());
        let beside = Beside::of(record.fields.iter().map(|(key, _)| key));
        let mut made = Value::record();
        for (key, value) in spread.iter().filter_map(|value| value.fields.as_deref()).flatten() {
            made.set(key.clone(), value.clone());
        }
        for (key, inner) in &record.fields {
            self.containers.push(key.clone());
            let mut value = self.expr(inner);
            self.containers.pop();
            if words::declares(key) {
                value.origins = value.origins | Origins::DECLARED;
            } else if words::quantity(key).is_some()
                && value.origins.has(Origins::CONST)
                && !words::is_fixed(key)
            {
                value.origins = value.origins | Origins::ANCHOR;
            }
            if value.fields.is_none() {
                self.sink_beside(SinkKind::Field, inner.span, key, &value, &beside);
            } else if !matches!(inner.kind, ExprKind::Record(_) | ExprKind::List(_)) {
                self.sink_fields(inner.span, &value);
            }
            made.set(key.clone(), value);
        }
        if named.is_some() {
            self.containers.pop();
        }
        made.marked = self.around.marked;
        self.around = before;
        made.fallback =
            made.fields.iter().flat_map(|fields| fields.values()).find_map(|value| value.fallback);
        made
    }

    /// Notes that a number is presented.
    pub(super) fn sink(&mut self, kind: SinkKind, span: Span, name: &str, value: &Value) {
        self.sink_beside(kind, span, name, value, &Rc::default());
    }

    pub(super) fn sink_beside(
        &mut self,
        kind: SinkKind,
        span: Span,
        name: &str,
        value: &Value,
        beside: &Rc<Beside>,
    ) {
        let named = matches!(kind, SinkKind::Answer | SinkKind::Return);
        if !value.is_made_up() || !named && words::quantity(name).is_none() {
            return;
        }
        let root = self.roots.iter().rev().flatten().next().cloned();
        self.sinks.push(Sink {
            kind,
            span,
            name: name.to_owned(),
            container: self.containers.join(" "),
            beside: Rc::clone(beside),
            value: value.clone().scalar(),
            function: self.at,
            scope: self.scope(),
            root,
            marked: self.around.marked || value.marked,
            claimed: self.around.claimed,
            failed: self.around.failed,
        });
    }

    /// Notes the fields of a record that comes from a function that says it does not measure, or that stands in for
    /// something: here is where it is presented.
    pub(super) fn sink_fields(&mut self, span: Span, value: &Value) {
        let Some(fields) = value.fields.clone() else { return };
        if value.via.is_none() && value.fallback.is_none() || value.marked {
            return;
        }
        let beside = Beside::of(fields.keys());
        for (name, field) in fields.iter() {
            let mut field = field.clone();
            field.via = field.via.or_else(|| value.via.clone());
            if field.via.is_some() {
                self.sink_beside(SinkKind::Field, span, name, &field, &beside);
            }
        }
    }

    /// A text with numbers in it presents those that stand beside the name of a quantity.
    fn template(&mut self, text: &str, parts: &[Expr]) {
        let pieces: Vec<&str> = text.split('{').collect();
        let declared = words::text_declares(text);
        for (at, part) in parts.iter().enumerate() {
            let value = self.expr(part);
            let before = pieces.get(at).copied().unwrap_or_default();
            let before = before.rsplit(['}', ',', ';', '|', '\n']).next().unwrap_or_default();
            let own = super::walk::shown_name(part);
            let name = if words::quantity(own).is_some() { own } else { before };
            if words::quantity(name).is_some() && !words::is_setting(before) && !declared {
                self.sink(SinkKind::Text, part.span, name, &value);
            }
        }
    }
}

/// Whether an arm before the last one takes the good case, so that the last one is for the bad.
fn failed_before(arms: &[Arm]) -> Option<Scope> {
    let good = arms
        .first()
        .is_some_and(|arm| arm.pattern.starts_with("Ok(") || arm.pattern.starts_with("Some("));
    good.then_some(Scope::Failed)
}

fn scope_of_pattern(pattern: &str) -> Option<Scope> {
    let failed =
        pattern.starts_with("Err") || pattern.starts_with("None") || pattern.contains("::Err");
    failed.then_some(Scope::Failed)
}
