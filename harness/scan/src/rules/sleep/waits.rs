//! Where a function waits for a fixed time, and which functions do.

use crate::flow::{calls, shown_name};
use crate::syntax::{Arg, Expr, ExprKind, Span, Stmt, StmtKind, Unit, visit};
use crate::words;
use std::collections::BTreeSet;

/// A place where time is passed.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) span: Span,
    /// The name of the time that is waited.
    pub(super) amount: String,
    /// It polls, retries or keeps a rate.
    pub(super) excused: bool,
    /// A function of this file sleeps, and this is where it is called.
    pub(super) via_call: bool,
    /// `setTimeout` with a callback: the end of the region must be inside of it.
    pub(super) callback: Option<Span>,
}

/// Functions of a file that sleep whenever they are called.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    /// Helpers that do nothing but sleep.
    pub(super) helpers: BTreeSet<String>,
    pub(super) names: BTreeSet<String>,
}

impl Sleepers {
    pub(super) fn of(unit: &Unit) -> Self {
        let mut sleepers = Self::default();
        for function in &unit.functions {
            if !function.name.is_empty()
                && calls::is_only_sleep(&function.body)
                && function.params.len() == 1
            {
                sleepers.helpers.insert(function.name.clone());
            }
        }
        // Twice, so that a function that calls one that sleeps is known too.
        for _ in 0..2 {
            let mut found = BTreeSet::new();
            for function in &unit.functions {
                let named = !function.name.is_empty() && !sleepers.helpers.contains(&function.name);
                let sleeps = named
                    && of(unit, &function.body, &sleepers)
                        .iter()
                        .any(|wait| !wait.excused && wait.callback.is_none());
                if sleeps && !words::is_about_timers(&function.name) {
                    found.insert(function.name.clone());
                }
            }
            sleepers.names.extend(found);
        }
        sleepers
    }
}

/// The waits in these statements.
pub(super) fn of(unit: &Unit, body: &[Stmt], sleepers: &Sleepers) -> Vec<Wait> {
    let mut search = Search { sleepers, unit, found: Vec::new(), excused: false };
    search.block(body);
    search.found
}

struct Search<'a> {
    sleepers: &'a Sleepers,
    unit: &'a Unit,
    found: Vec<Wait>,
    excused: bool,
}

impl Search<'_> {
    fn block(&mut self, body: &[Stmt]) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn excusing(&mut self, excuse: bool, body: &[Stmt]) {
        let outer = self.excused;
        self.excused |= excuse;
        self.block(body);
        self.excused = outer;
    }

    fn statement(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::Loop { head, target, body, counted } => {
                head.iter().for_each(|head| self.expr(head));
                let excuse = is_waiting(head.as_ref(), *counted, body)
                    || retries(head.as_ref(), target.as_ref());
                self.excusing(excuse, body);
            }
            StmtKind::Try { body, handlers, last } => {
                self.block(body);
                handlers.iter().for_each(|handler| self.excusing(true, &handler.body));
                self.block(last);
            }
            StmtKind::If { condition, then, otherwise } => {
                self.expr(condition);
                let excuse = keeps_a_rate(condition);
                self.excusing(excuse, then);
                self.excusing(excuse, otherwise);
            }
            _ => {
                visit::of_statement(statement, &mut |expr| self.expr(expr));
                for inner in visit::bodies(statement) {
                    self.block(inner);
                }
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Branch(subjects, arms) => {
                subjects.iter().for_each(|subject| self.expr(subject));
                let excuse = subjects.iter().any(keeps_a_rate);
                for arm in arms {
                    self.excusing(excuse || arm.pattern.starts_with("Err"), &arm.body);
                }
            }
            ExprKind::Lambda(_, body) => self.block(body),
            ExprKind::Call(callee, args) => self.call(expr, callee, args),
            _ => visit::parts(expr, &mut |part| self.expr(part)),
        }
    }

    fn call(&mut self, expr: &Expr, callee: &Expr, args: &[Arg]) {
        let last = callee.last_name();
        // What races against a timeout does not wait for it.
        if last == "race" || last == "select!" || last == "wait_for" {
            return;
        }
        let helper = self.sleepers.helpers.contains(last).then(|| args.first()).flatten();
        let amount = calls::sleeping_promise(callee, args)
            .or_else(|| calls::sleep(callee, args).or(helper).map(|arg| &arg.value));
        if let Some(amount) = amount {
            let excused = self.excused || is_paced(amount);
            self.push(expr.span, excused, shown_name(amount));
            return;
        }
        if last == "setTimeout"
            && let (Some(Expr { kind: ExprKind::Lambda(_, body), span }), Some(amount)) =
                (args.first().map(|arg| &arg.value), args.get(1))
        {
            let excused = self.excused || is_paced(&amount.value);
            self.push(callee.span, excused, shown_name(&amount.value));
            if let Some(last) = self.found.last_mut() {
                last.callback = Some(*span);
            }
            self.block(body);
            return;
        }
        self.expr(callee);
        args.iter().for_each(|arg| self.expr(&arg.value));
        let of_file = self.sleepers.names.contains(last) && self.is_ours(callee);
        let given = args.iter().any(|arg| {
            let name = arg.value.last_name();
            self.sleepers.names.contains(name) && is_timing(last)
        });
        if of_file || given {
            self.push(expr.span, self.excused, "");
            if let Some(last) = self.found.last_mut() {
                last.via_call = true;
            }
        }
    }

    /// A method is ours if no other function of the file has its name and does not sleep.
    fn is_ours(&self, callee: &Expr) -> bool {
        let count = self.unit.named(callee.last_name()).count();
        count == 1 || matches!(callee.kind, ExprKind::Name(_))
    }

    fn push(&mut self, span: Span, excused: bool, amount: &str) {
        let amount = amount.to_owned();
        self.found.push(Wait { span, amount, excused, via_call: false, callback: None });
    }
}

/// Whether a call times what it is given.
pub(super) fn is_timing(name: &str) -> bool {
    words::split(name).iter().any(|word| {
        matches!(
            word.as_str(),
            "measure"
                | "bench"
                | "benchmark"
                | "timeit"
                | "timed"
                | "time"
                | "profile"
                | "timer"
                | "stopwatch"
        )
    })
}

/// Whether a loop waits for something: it has a condition, or a way out.
fn is_waiting(head: Option<&Expr>, counted: bool, body: &[Stmt]) -> bool {
    let endless = match head.map(|head| &head.kind) {
        None | Some(ExprKind::Truth(true)) => true,
        Some(ExprKind::Number(value)) => *value != 0.0,
        Some(_) => false,
    };
    let mut leaves = false;
    visit::statements(body, &mut |statement| match &statement.kind {
        StmtKind::If { then, otherwise, .. } => {
            leaves |= [then, otherwise].into_iter().any(|b| breaks(b))
        }
        StmtKind::Eval(Expr { kind: ExprKind::Branch(_, arms), .. }) => {
            leaves |= arms.iter().any(|arm| breaks(&arm.body));
        }
        _ => {}
    });
    (!counted && !endless) || leaves
}

fn breaks(body: &[Stmt]) -> bool {
    body.iter().any(|statement| matches!(statement.kind, StmtKind::Break | StmtKind::Return(_)))
}

fn retries(head: Option<&Expr>, target: Option<&Expr>) -> bool {
    let mut found = false;
    for expr in head.into_iter().chain(target) {
        visit::inside(expr, &mut |inner| {
            found |= words::split(inner.last_name()).iter().any(|word| {
                matches!(
                    word.as_str(),
                    "attempt" | "attempts" | "retry" | "retries" | "tries" | "backoff"
                )
            });
        });
    }
    found
}

/// Whether a condition is about keeping a rate or about something that is not ready.
fn keeps_a_rate(condition: &Expr) -> bool {
    let mut found = false;
    visit::inside(condition, &mut |inner| {
        found |= words::split(inner.last_name()).iter().any(|word| {
            matches!(
                word.as_str(),
                "remaining"
                    | "throttle"
                    | "throttled"
                    | "limit"
                    | "limited"
                    | "busy"
                    | "pending"
                    | "retry"
                    | "status"
                    | "wait"
                    | "ready"
                    | "interval"
                    | "cooldown"
                    | "attempt"
                    | "overdue"
                    | "behind"
                    | "ahead"
                    | "slack"
                    | "tokens"
                    | "queue"
                    | "warmup"
            )
        });
    });
    found
}

/// Whether the time that is waited is that of a rate, a back-off or a window.
fn is_paced(amount: &Expr) -> bool {
    let mut found = false;
    visit::inside(amount, &mut |inner| {
        found |= words::split(inner.last_name()).iter().any(|word| {
            matches!(
                word.as_str(),
                "backoff"
                    | "retry"
                    | "poll"
                    | "polling"
                    | "interval"
                    | "remaining"
                    | "cooldown"
                    | "period"
                    | "pace"
                    | "throttle"
                    | "rate"
                    | "deadline"
                    | "timeout"
                    | "settle"
                    | "warmup"
                    | "grace"
                    | "think"
                    | "ramp"
                    | "tick"
                    | "window"
                    | "gap"
                    | "spacing"
                    | "elapsed"
                    | "slack"
                    | "due"
                    | "sampling"
            )
        });
    });
    found
}
