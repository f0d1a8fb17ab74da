//! What a call gives, and what it presents: the part of `eval` that is about calls.

use super::calls::{self, Random};
use super::eval::Eval;
use super::marks::{self, Mark};
use super::{Beside, Origins, Scope, SinkKind, Value};
use crate::syntax::{Arg, Expr, ExprKind, Record, Span};
use crate::words;

impl Eval<'_, '_> {
    pub(super) fn call(&mut self, expr: &Expr, callee: &Expr, args: &[Arg]) -> Value {
        let last = callee.last_name();
        let receiver = match &callee.kind {
            ExprKind::Member(object, _) => self.expr(object),
            ExprKind::Lambda(_, body) => self.lambda(body),
            _ => Value::default(),
        };
        let (values, items): (Vec<_>, Vec<_>) = self.arguments(callee, args).into_iter().unzip();
        self.note_texts(callee, args, &values);
        self.note_additions(expr, callee, args, &values, &items);
        if calls::is_clock(callee) {
            return Value::of(Origins::CLOCK, expr.span);
        }
        if let Some(value) = self.own(callee, &values) {
            return value;
        }
        match calls::random(callee, args) {
            Some(Random::Number) => return Value::of(Origins::RANDOM, expr.span),
            Some(Random::Hash) => return Value::of(Origins::RANDOM | Origins::HASHED, expr.span),
            Some(Random::Choice) => return chosen(values.into_iter().next(), expr.span),
            None => {}
        }
        self.passed(expr, callee, args, receiver, values, last)
    }

    /// What a call gives whose function is in none of the lists before.
    fn passed(
        &mut self,
        expr: &Expr,
        callee: &Expr,
        args: &[Arg],
        receiver: Value,
        values: Vec<Value>,
        last: &str,
    ) -> Value {
        let given = |values: Vec<Value>| values.into_iter().reduce(Value::or).unwrap_or_default();
        if matches!(last, "len" | "range" | "count" | "numel") {
            return Value { origins: Origins::SIZE, ..Value::default() };
        }
        const DEFAULTS: [&str; 8] = [
            "unwrap_or",
            "unwrap_or_else",
            "get",
            "getOrDefault",
            "get_or",
            "getattr",
            "catch",
            "map_or",
        ];
        if DEFAULTS.contains(&last) {
            return defaulted(expr.span, args, receiver, values, last);
        }
        let is_lambda = |arg: &Arg| matches!(arg.value.kind, ExprKind::Lambda(..));
        if args.iter().any(is_lambda) {
            let maps = [
                "map",
                "flat_map",
                "flatMap",
                "from",
                "from_fn",
                "repeat_with",
                "then",
                "and_then",
                "map_err",
            ];
            return if maps.contains(&last) { given(values) } else { Value::unknown() };
        }
        if calls::passes(last) && !values.is_empty() {
            // Further arguments are digits, bounds or shares.
            let first = matches!(
                last,
                "round" | "percentile" | "quantile" | "clip" | "pow" | "parseInt" | "int" | "array"
            );
            let all =
                if first { values.into_iter().next().unwrap_or_default() } else { given(values) };
            return if receiver.is_made_up() { receiver.or(all) } else { all };
        }
        let on_path =
            matches!(&callee.kind, ExprKind::Member(object, _) if object.path().is_some());
        let number = receiver.fields.is_none() && receiver.origins != Origins::NONE;
        let kept = !receiver.origins.has(Origins::UNKNOWN | Origins::SIZE)
            || receiver.origins.has(Origins::RANDOM);
        match callee.kind {
            ExprKind::Member(..) if number && kept => receiver.scalar(),
            ExprKind::Member(..)
                if receiver.fields.is_some() && matches!(last, "copy" | "clone" | "toJSON") =>
            {
                receiver
            }
            ExprKind::Lambda(..) if !on_path => receiver,
            _ => Value::unknown(),
        }
    }

    /// The values of arguments, each with those of its items.
    fn arguments(&mut self, callee: &Expr, args: &[Arg]) -> Vec<(Value, Vec<Value>)> {
        let last = callee.last_name().to_owned();
        let fails = matches!(last.as_str(), "unwrap_or_else" | "catch" | "or_else");
        let holder = match &callee.kind {
            ExprKind::Member(object, _) => object.last_name().to_owned(),
            _ => String::new(),
        };
        let constructs = last.chars().next().is_some_and(char::is_uppercase);
        let beside = Beside::of(args.iter().filter_map(|arg| arg.name.as_ref()));
        let keywords: Record = Record {
            name: constructs.then(|| last.clone()),
            fields: args.iter().filter_map(|a| Some((a.name.clone()?, a.value.clone()))).collect(),
            spread: Vec::new(),
        };
        let before = self.around;
        if !keywords.fields.is_empty() {
            let mark = marks::of_record(&keywords);
            self.around.marked |= mark == Some(Mark::Simulated);
            self.around.claimed |= mark == Some(Mark::Real);
            self.around.failed |= marks::says_failed(&keywords);
        }
        self.containers.push(format!("{holder} {last}"));
        if !holder.is_empty() && matches!(callee.kind, ExprKind::Member(..)) {
            self.roots.push(callee.root_name().map(str::to_owned));
        } else {
            self.roots.push(None);
        }
        let mut values = Vec::new();
        for arg in args {
            let (mut value, mut items) = (Value::default(), Vec::new());
            let scope = fails.then_some(Scope::Failed);
            self.scoped(scope, |eval| match &arg.value.kind {
                ExprKind::Lambda(_, body) => value = eval.lambda(body),
                _ => (value, items) = eval.with_items(&arg.value),
            });
            let records = constructs || words::is_measuring(&last);
            if let (Some(name), true) = (&arg.name, records) {
                self.sink_beside(SinkKind::Field, arg.value.span, name, &value, &beside);
            }
            values.push((value, items));
        }
        self.roots.pop();
        self.containers.pop();
        self.around = before;
        values
    }

    /// `console.log("Latency:", latency)`: a text that names a quantity, and the number after it.
    fn note_texts(&mut self, callee: &Expr, args: &[Arg], values: &[Value]) {
        let path = callee.path().unwrap_or_default();
        let prints = path == "print" || path.starts_with("console.");
        for (pair, value) in args.windows(2).zip(values.iter().skip(1)) {
            if let (true, ExprKind::Text(text)) = (prints, &pair[0].value.kind) {
                let named = words::quantity(text).is_some() && !words::text_declares(text);
                if named && !matches!(pair[1].value.kind, ExprKind::Template(..)) {
                    self.sink(SinkKind::Text, pair[1].value.span, text, value);
                }
            }
        }
    }

    /// What is added to a list or written to a file presents its numbers.
    fn note_additions(
        &mut self,
        expr: &Expr,
        callee: &Expr,
        args: &[Arg],
        values: &[Value],
        items_of: &[Vec<Value>],
    ) {
        const ADDS: [&str; 22] = [
            "append",
            "push",
            "push_back",
            "insert",
            "add",
            "record",
            "observe",
            "log_metric",
            "add_scalar",
            "save",
            "write",
            "writerow",
            "emit",
            "report",
            "extend",
            "dump",
            "set",
            "track",
            "gauge",
            "histogram",
            "log",
            "put",
        ];
        let last = callee.last_name();
        if !ADDS.contains(&last) {
            return;
        }
        let ExprKind::Member(object, _) = &callee.kind else { return };
        let holder = object.last_name().to_owned();
        self.roots.push(object.root_name().map(str::to_owned));
        self.containers.push(holder.clone());
        let key = args.first().and_then(|arg| match &arg.value.kind {
            ExprKind::Text(text) => Some(text.clone()),
            _ => None,
        });
        for ((arg, value), given) in args.iter().zip(values).zip(items_of) {
            let own = super::walk::shown_name(&arg.value);
            let names = [key.as_deref().unwrap_or_default(), own, &holder];
            let name = names.into_iter().find(|name| words::quantity(name).is_some());
            match &arg.value.kind {
                ExprKind::Record(_) => {}
                ExprKind::List(items) => self.sink_items(items, given),
                _ if value.fields.is_some() => self.sink_fields(expr.span, value),
                _ => {
                    if let Some(name) = name {
                        self.sink(SinkKind::Store, arg.value.span, name, value);
                    }
                }
            }
        }
        self.containers.pop();
        self.roots.pop();
        if let (Some(path), Some(value)) = (object.path(), values.last())
            && matches!(last, "append" | "push" | "push_back" | "add" | "extend")
        {
            let held = self.env.changed(&path);
            *held = std::mem::take(held).or(value.clone());
        }
    }

    /// What functions of this name in the same file return.
    fn own(&self, callee: &Expr, values: &[Value]) -> Option<Value> {
        let name = callee.last_name();
        let found = self.analysis.named(name);
        let method = matches!(&callee.kind, ExprKind::Member(object, _) if !matches!(object.root_name(), Some("self" | "this" | "Self")));
        if found.is_empty() || found.contains(&self.at) || method && found.len() > 1 {
            return None;
        }
        let mut value =
            found.iter().map(|at| self.analysis.returned[*at].clone()).reduce(Value::or)?;
        if found.iter().any(|at| self.analysis.declares(*at)) && !value.marked {
            value.via = Some(name.into());
        }
        // A function that was given a measurement may well return it.
        let measured = values.iter().any(|value| value.origins.has(Origins::CLOCK));
        if measured && value.fields.is_none() {
            value.origins = value.origins | Origins::CLOCK;
        }
        Some(value)
    }
}

/// What a call gives that has a default for what is not there.
fn defaulted(span: Span, args: &[Arg], receiver: Value, values: Vec<Value>, last: &str) -> Value {
    let mut other = values
        .into_iter()
        .skip(usize::from(last.starts_with("get")))
        .next_back()
        .unwrap_or_default();
    if other.is_made_up() && !other.marked {
        other.fallback = other.source.or(Some(span));
    }
    let held = match (last, args.first().map(|arg| &arg.value.kind)) {
        ("get", Some(ExprKind::Text(key))) => receiver.field(key).unwrap_or_else(Value::unknown),
        ("get", _) if receiver.fields.is_some() => receiver.element(),
        ("catch", _) => receiver,
        _ => receiver.scalar().or(Value::unknown()),
    };
    // A default in a table of made-up numbers is one more of them.
    if held.is_made_up() && !held.origins.has(Origins::UNKNOWN) {
        other.fallback = None;
    }
    held.or(other)
}

/// One of what is given: made up only if all of it is.
fn chosen(given: Option<Value>, span: Span) -> Value {
    match given {
        Some(value) if value.origins.has(Origins::CLOCK | Origins::UNKNOWN) => value,
        _ => Value::of(Origins::RANDOM, span),
    }
}
