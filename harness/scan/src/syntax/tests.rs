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
