//! Tests of the lowering: the same small program in three languages gives the same tree.

use super::*;

const PYTHON: &str = r#"
import time

def bench(model, rounds):
    # timed
    start = time.perf_counter()
    for _ in range(rounds):
        model.run()
    return {"latency_ms": (time.perf_counter() - start) * 1e3, "mark": "real"}
"#;
const JAVASCRIPT: &str = r#"
function bench(model, rounds) {
  // timed
  const start = performance.now();
  for (let i = 0; i < rounds; i++) {
    model.run();
  }
  return { latency_ms: performance.now() - start, mark: 'real' };
}
"#;
const RUST: &str = r#"
fn bench(model: &Model, rounds: usize) -> Record {
    // timed
    let start = clock.begin();
    for _ in 0..rounds {
        model.run();
    }
    Record { latency_ms: start.elapsed().as_secs_f64() * 1e3, mark: "real" }
}
"#;

#[track_caller]
fn check(language: Language, text: &str) {
    let unit = Unit::parse(language, text, 1).unwrap();
    assert!(!unit.open_end);
    let at = unit.named("bench").next().unwrap();
    let function = &unit.functions[at];
    let params: Vec<_> = function.params.iter().map(|param| param.name.as_str()).collect();
    assert_eq!(params, ["model", "rounds"]);
    assert!(unit.comments.iter().any(|comment| comment.text.contains("timed")));
    let [begin, rounds, result] = &function.body[..] else { panic!("{:#?}", function.body) };
    let StmtKind::Assign { target, .. } = &begin.kind else { panic!("{begin:#?}") };
    assert_eq!(target.path().as_deref(), Some("start"));
    let StmtKind::Loop { body, counted: true, .. } = &rounds.kind else { panic!("{rounds:#?}") };
    let calls = body.iter().filter(|inner| {
        matches!(&inner.kind, StmtKind::Eval(Expr { kind: ExprKind::Call(..), .. }))
    });
    assert_eq!(calls.count(), 1);
    let StmtKind::Return(Some(Expr { kind: ExprKind::Record(record), span })) = &result.kind else {
        panic!("{result:#?}")
    };
    let keys: Vec<_> = record.fields.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["latency_ms", "mark"]);
    let line = text.lines().nth(span.line - 1).unwrap();
    assert!(line.contains("latency_ms"), "{line}");
}

#[test]
fn three_languages_give_one_tree() {
    check(Language::Python, PYTHON);
    check(Language::JavaScript, JAVASCRIPT);
    check(Language::TypeScript, JAVASCRIPT);
    check(Language::Rust, RUST);
}

#[test]
fn macros_of_rust_are_read() {
    let text = "fn f() {\n    let r = json!({ \"latency_ms\": 12.5, \"list\": [1, x::y(2)] });\n    println!(\"{} {name}\", r);\n    vec![1.5; 3]\n}\n";
    let unit = Unit::parse(Language::Rust, text, 1).unwrap();
    let body = &unit.functions[unit.named("f").next().unwrap()].body;
    let StmtKind::Assign { value: Expr { kind: ExprKind::Record(record), .. }, .. } = &body[0].kind
    else {
        panic!("{body:#?}")
    };
    assert!(matches!(record.fields[0].1.kind, ExprKind::Number(12.5)), "{record:?}");
    assert!(
        matches!(&record.fields[1].1.kind, ExprKind::List(items) if items.len() == 2),
        "{record:?}"
    );
    let StmtKind::Eval(Expr { kind: ExprKind::Call(_, args), .. }) = &body[1].kind else {
        panic!("{body:#?}")
    };
    assert!(
        matches!(&args[0].value.kind, ExprKind::Template(_, parts) if parts.len() == 2),
        "{args:?}"
    );
    assert!(
        matches!(&body[2].kind, StmtKind::Return(Some(Expr { kind: ExprKind::List(_), .. }))),
        "{body:#?}"
    );
}

/// Every expression of a file stands where it says it does: what is read there is read as the same number or name.
#[test]
fn places_in_macros_are_those_of_the_file() {
    let text = "fn f() {\n    let r = json!({\n        \"a\": 1.5, \"b\": [\n\n    7, x],\n        \"c\":\n 2.5\n    });\n    \
                p!(y, vec![8,\n  9, vec![z; 3]]); q!(w);\n}\n";
    let unit = Unit::parse(Language::Rust, text, 1).unwrap();
    let body = &unit.functions[unit.named("f").next().unwrap()].body;
    let mut seen = 0;
    visit::expressions(body, &mut |expr| {
        let shown = match &expr.kind {
            ExprKind::Number(value) => value.to_string(),
            ExprKind::Name(name) if !name.ends_with('!') => name.clone(),
            _ => return,
        };
        let Span { start, end, line, column } = expr.span;
        assert_eq!(text.get(start..end), Some(shown.as_str()), "{:?}", expr.span);
        let before = &text[..start];
        assert_eq!(line, before.matches('\n').count() + 1, "{shown}");
        assert_eq!(column, start - before.rfind('\n').map_or(0, |end| end + 1) + 1, "{shown}");
        seen += 1;
    });
    assert_eq!(seen, 11);
}

/// The numbers of a text.
#[track_caller]
fn check_numbers(name: &str, text: &str, expect: &[f64]) {
    let language = Language::of(std::path::Path::new(name)).unwrap();
    let unit = Unit::parse(language, text, 1).unwrap();
    let mut found = Vec::new();
    for function in &unit.functions {
        visit::expressions(&function.body, &mut |expr| {
            if let ExprKind::Number(value) = expr.kind {
                found.push(value);
            }
        });
    }
    assert_eq!(found, expect, "{name}: {text}");
}

#[test]
fn comments_and_types_are_no_values() {
    check_numbers("a.py", "def f():\n    return ( # why\n        1.5)\n", &[1.5]);
    check_numbers("a.py", "x = -( # why\n  1.5)\ny = {**( # why\n  {\"a\": 2})}\n", &[-1.5, 2.0]);
    check_numbers("a.js", "x = (/* why */ 1.5);\ny = `${/* why */ 2}`;\n", &[1.5, 2.0]);
    check_numbers("a.js", "function f() { return /* why */ 1.5; }\n", &[1.5]);
    check_numbers("a.js", "if (a) {} else /* why */ { x = 1.5; }\n", &[1.5]);
    check_numbers("a.rs", "fn f() { return /* why */ 1.5; }\n", &[1.5]);
    check_numbers("a.rs", "fn f() { x = (/* why */ 1.5); y = -/* why */ 2.0; }\n", &[1.5, -2.0]);
    check_numbers("a.rs", "fn f() { if a {} else /* why */ { x = 1.5; } }\n", &[1.5]);
    check_numbers("a.ts", "x = <number>12.5;\n", &[12.5]);
}

#[test]
fn an_end_in_the_middle_is_told_from_other_errors() {
    let open = |language, text| Unit::parse(language, text, 1).unwrap().open_end;
    assert!(open(Language::Python, "def f(x):\n    return g(x,"));
    assert!(open(Language::JavaScript, "function f() {\n  const a = [1, 2"));
    assert!(open(Language::Rust, "fn f() {\n    let a = vec![1"));
    assert!(!open(Language::Python, "print 'old'\nx = 1\n"));
    assert!(!open(Language::JavaScript, "const a = ;\nf();\n"));
    assert!(!open(Language::Rust, "fn f() { let = 3; }\n"));
}
