//! What calls are: clocks, random generators, sleeping, and functions that only pass a number on.

use crate::syntax::{Arg, Expr, ExprKind, Stmt, StmtKind, visit};
use crate::words;

/// Reads of a clock, and what has read one.
const CLOCKS: [&str; 36] = [
    "perf_counter",
    "perf_counter_ns",
    "monotonic",
    "monotonic_ns",
    "process_time",
    "process_time_ns",
    "thread_time",
    "default_timer",
    "time_ns",
    "clock_gettime",
    "elapsed",
    "elapsed_time",
    "duration_since",
    "saturating_duration_since",
    "hrtime",
    "bigint",
    "timeit",
    "repeat",
    "autorange",
    "do_bench",
    "now",
    "utcnow",
    "clock",
    "elapsed_ms",
    "elapsed_ns",
    "elapsedMs",
    "cudaEventElapsedTime",
    "getEntriesByName",
    "toc",
    "stop_timer",
    "do_bench_cudagraph",
    "blocked_autorange",
    "timer",
    "total_seconds",
    "resolve_timings",
    "uptime",
];

/// Whether the call reads a clock or gives what a timer has measured.
pub(crate) fn is_clock(callee: &Expr) -> bool {
    let last = callee.last_name();
    let root = callee.root_name().unwrap_or_default();
    match last {
        "time" => matches!(root, "time" | "time!") || root == "console",
        "now" | "bigint" | "clock" | "timer" | "repeat" | "stop" => {
            matches!(
                root,
                "Instant"
                    | "SystemTime"
                    | "performance"
                    | "Date"
                    | "process"
                    | "std"
                    | "time"
                    | "datetime"
                    | "chrono"
                    | "Utc"
                    | "Local"
                    | "tokio"
                    | "jiff"
                    | "timeit"
                    | "quanta"
                    | "timer"
                    | "window"
                    | "global"
                    | "globalThis"
                    | "self"
            )
        }
        _ => CLOCKS.contains(&last),
    }
}

/// Whether the call starts or reads a clock, so that a variable that holds it can begin a timed region.
pub(crate) fn is_clock_read(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call(callee, _) => {
            let last = callee.last_name();
            is_clock(callee)
                && !matches!(
                    last,
                    "elapsed"
                        | "elapsed_time"
                        | "timeit"
                        | "repeat"
                        | "autorange"
                        | "do_bench"
                        | "duration_since"
                        | "total_seconds"
                        | "getEntriesByName"
                )
        }
        ExprKind::Binary(operator, left, right) => {
            matches!(operator.as_str(), "*" | "/") && (is_clock_read(left) || is_clock_read(right))
        }
        _ => false,
    }
}

/// How a call is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Random {
    /// It gives a random number.
    Number,
    /// It gives a number that stands for what was hashed.
    Hash,
    /// It chooses among what it is given.
    Choice,
}

const RANDOM_CALLS: [&str; 37] = [
    "uniform",
    "gauss",
    "normalvariate",
    "lognormvariate",
    "lognormal",
    "expovariate",
    "betavariate",
    "triangular",
    "randint",
    "randrange",
    "random_sample",
    "gen_range",
    "random_range",
    "rvs",
    "randn",
    "rand",
    "standard_normal",
    "poisson",
    "exponential",
    "randomInt",
    "randomFloat",
    "getRandomInt",
    "randomBetween",
    "random",
    "gaussian",
    "pareto",
    "weibullvariate",
    "gammavariate",
    "getrandbits",
    "randbelow",
    "rand_range",
    "random_bool",
    "random_ratio",
    "rand_like",
    "randn_like",
    "gen_bool",
    "getRandomValues",
];
/// Random where it is asked of a generator.
const OF_GENERATORS: [&str; 13] = [
    "normal", "gen", "sample", "gamma", "beta", "integers", "f64", "f32", "u32", "u64", "i32",
    "usize", "float",
];
const CHOICES: [&str; 8] =
    ["choice", "choices", "sample", "permutation", "resample", "permuted", "choose", "shuffled"];
const HASHES: [&str; 7] =
    ["hexdigest", "hash", "hashCode", "charCodeAt", "crc32", "adler32", "simpleHash"];
const GENERATORS: [&str; 10] = [
    "seed",
    "default_rng",
    "Random",
    "RandomState",
    "Generator",
    "manual_seed",
    "thread_rng",
    "rng",
    "shuffle",
    "seed_from_u64",
];

/// Whether a call gives random numbers.
pub(crate) fn random(callee: &Expr, args: &[Arg]) -> Option<Random> {
    let first = args.first().map(|arg| arg.value.last_name());
    let last = callee.last_name();
    if GENERATORS.contains(&last) || last.is_empty() {
        return None;
    }
    let path = callee.path().unwrap_or_default();
    let outer = path.rsplit_once('.').map(|(outer, _)| outer).unwrap_or_default();
    let generator = match &callee.kind {
        ExprKind::Member(object, _) => {
            let of_call = matches!(&object.kind, ExprKind::Call(inner, _) if GENERATORS.contains(&inner.last_name()));
            of_call || is_generator(outer)
        }
        _ => false,
    };
    let distribution = first.is_some_and(|first| {
        words::split(first).iter().any(|word| {
            matches!(
                word.as_str(),
                "rng"
                    | "normal"
                    | "dist"
                    | "distribution"
                    | "uniform"
                    | "exp"
                    | "gamma"
                    | "poisson"
                    | "noise"
                    | "range"
            )
        })
    });
    if last == "sample" && distribution {
        return Some(Random::Number);
    }
    if CHOICES.contains(&last) && (generator || outer.is_empty() || outer.contains("random")) {
        return Some(Random::Choice);
    }
    if HASHES.contains(&last) {
        return Some(Random::Hash);
    }
    if RANDOM_CALLS.contains(&last) || generator && OF_GENERATORS.contains(&last) {
        return Some(Random::Number);
    }
    if outer == "torch" && last == "normal" || outer == "fastrand" || outer == "rand" {
        return Some(Random::Number);
    }
    let words = words::split(last);
    let named =
        words.iter().any(|word| matches!(word.as_str(), "random" | "rand" | "randn" | "gaussian"));
    (named && words.len() > 1).then_some(Random::Number)
}

fn is_generator(path: &str) -> bool {
    words::split(path).iter().any(|word| {
        matches!(
            word.as_str(),
            "rng"
                | "rand"
                | "random"
                | "generator"
                | "gen"
                | "prng"
                | "faker"
                | "fastrand"
                | "chance"
        )
    })
}

/// Functions through which a number passes as what it is.
pub(crate) fn passes(last: &str) -> bool {
    const NAMES: [&str; 65] = [
        "float",
        "int",
        "round",
        "abs",
        "max",
        "min",
        "sum",
        "mean",
        "median",
        "average",
        "fmean",
        "array",
        "asarray",
        "list",
        "sorted",
        "tuple",
        "Number",
        "parseFloat",
        "parseInt",
        "floor",
        "ceil",
        "trunc",
        "from_millis",
        "from_secs_f64",
        "from_secs",
        "from_micros",
        "from_nanos",
        "from_secs_f32",
        "Ok",
        "Some",
        "Box",
        "Rc",
        "Arc",
        "new",
        "percentile",
        "quantile",
        "stdev",
        "std",
        "resolve",
        "Array",
        "String",
        "str",
        "Decimal",
        "clip",
        "sqrt",
        "pow",
        "exp",
        "log",
        "tensor",
        "Series",
        "Float",
        "var",
        "cumsum",
        "concatenate",
        "hypot",
        "from",
        "into",
        "max_by",
        "Duration",
        "timedelta",
        "as_millis",
        "jsonify",
        "Json",
        "freeze",
        "deepcopy",
    ];
    NAMES.contains(&last)
}

/// Whether a call waits for a fixed time: the amount, if it does. `setTimeout` is told apart by `sleeping_promise`.
pub(crate) fn sleep<'a>(callee: &Expr, args: &'a [Arg]) -> Option<&'a Arg> {
    let last = callee.last_name();
    let root = callee.root_name().unwrap_or_default();
    let waits = last == "wait" && root == "Atomics" || last == "setTimeout" && args.len() == 1;
    let timers = last == "setTimeout" && root == "timers";
    if !(words::is_sleep(last) || waits || timers) {
        return None;
    }
    let amount = if last == "wait" { args.last() } else { args.first() }?;
    let zero = |expr: &Expr| matches!(expr.kind, ExprKind::Number(value) if value == 0.0);
    let zero = zero(&amount.value)
        || matches!(&amount.value.kind, ExprKind::Call(_, args) if matches!(&args[..], [only] if zero(&only.value)));
    (!zero).then_some(amount)
}

/// `new Promise(resolve => setTimeout(resolve, 50))`: the amount, if it is that.
pub(crate) fn sleeping_promise<'a>(callee: &Expr, args: &'a [Arg]) -> Option<&'a Expr> {
    if callee.last_name() != "Promise" {
        return None;
    }
    let ExprKind::Lambda(params, body) = &args.first()?.value.kind else { return None };
    let resolve = params.first()?.name.as_str();
    let mut amount = None;
    let mut calls = 0;
    visit::expressions(body, &mut |expr| {
        let ExprKind::Call(callee, args) = &expr.kind else { return };
        calls += 1;
        if callee.last_name() == "setTimeout" {
            let resolves = args.first().is_some_and(|arg| names(&arg.value, resolve));
            if let (true, Some(arg)) = (resolves, args.get(1)) {
                amount = Some(&arg.value);
            }
        }
    });
    if calls > 3 { None } else { amount }
}

/// Whether an expression is this name, or calls it in a lambda.
fn names(expr: &Expr, name: &str) -> bool {
    let mut found = false;
    visit::inside(expr, &mut |inner| {
        found |= matches!(&inner.kind, ExprKind::Name(found) if found == name);
    });
    found
}

/// Whether a body does nothing but wait: the helper `sleep` of JavaScript.
pub(crate) fn is_only_sleep(body: &[Stmt]) -> bool {
    let [Stmt { kind: StmtKind::Return(Some(value)) | StmtKind::Eval(value), .. }] = body else {
        return false;
    };
    match &value.kind {
        ExprKind::Call(callee, args) => {
            sleeping_promise(callee, args).is_some() || sleep(callee, args).is_some()
        }
        _ => false,
    }
}
