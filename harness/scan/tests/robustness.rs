//! Whatever a file holds, the scan ends and does not panic.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proofmark_scan::{Confidence, Options, Rule, Scan, scan, scan_text};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const NAMES: [&str; 9] =
    ["a.py", "a.js", "a.ts", "a.tsx", "a.rs", "a.json", "a.jsonl", "a.md", "a.html"];

fn of(folder: &Path) -> Scan {
    let options = Options { min_confidence: Confidence::Low, base: folder, committed: &|_| None };
    scan(&[folder.to_owned()], &options).unwrap()
}

#[test]
fn bytes_that_are_no_text_are_skipped_or_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        fs::write(folder.path().join(name), [0xff, 0xfe, b'x', b'\n', 0xc3]).unwrap();
        fs::write(folder.path().join(format!("nul-{name}")), [b'a', 0, b'b']).unwrap();
        fs::write(folder.path().join(format!("empty-{name}")), "").unwrap();
    }
    let scan = of(folder.path());
    assert_eq!(scan.files, 3 * NAMES.len());
    assert_eq!(scan.skipped.len(), NAMES.len(), "{:?}", scan.skipped);
}

#[test]
fn nesting_and_length_have_bounds() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("if x:\n ", ""),
        ("<div>", "</div>"),
        ("> ", ""),
        ("- ", ""),
    ] {
        let deep = open.repeat(4_000) + "latency_ms = 1.5" + &close.repeat(4_000);
        for name in NAMES {
            scan_text(Path::new(name), &deep);
        }
    }
    let chain = format!("latency = {}1.5", "a + ".repeat(50_000));
    let text = format!("x = \"{}\"\nlatency = 1.5\n", "sleep ".repeat(200_000));
    for name in NAMES {
        scan_text(Path::new(name), &chain);
        scan_text(Path::new(name), &text);
    }
    // What is flat to the eye and nests in the tree: a start, what is repeated, how often, an end.
    for (name, start, again, times, end) in [
        ("a.py", "if a:\n latency = 1\n", "elif b:\n latency = 2\n", 8_000, ""),
        ("a.py", "latency = a", " < a", 20_000, "\n"),
        ("a.py", "latency = ", "(a < b < ", 4_000, "1.5"),
        ("a.py", "def latency():\n", " if not has_x: return 1\n", 10_000, " return 2\n"),
        ("a.py", "latency = 1\n", "x = {\"a\": x}\n", 10_000, "y = x\n"),
        ("a.py", "latency = 1\nx = {}\n", "x[\"a\"] = x\n", 10_000, "y = x\n"),
        ("a.js", "let x = {latency: 1};\n", "x.a = x;\n", 10_000, "f(x);\n"),
        ("a.js", "if (a) { latency = 1; }", " else if (b) { latency = 2; }", 8_000, "\n"),
        ("a.rs", "fn latency() { if a { }", " else if b { 1 }", 8_000, " }\n"),
        ("a.rs", "fn f() { latency(a", "::a", 20_000, ") }\n"),
        ("a.rs", "fn f() { let ", "ref ", 20_000, "latency = 1; }\n"),
        ("a.rs", "fn f() { let latency = 1; ", "v![", 4_000, "1]"),
        ("a.rs", "fn f() { let latency = 1; ", "v![{ if a { ", 4_000, "1 }}]"),
        ("a.rs", "fn f() { json!(", "{\"latency\": [", 4_000, "1]}"),
    ] {
        scan_text(Path::new(name), &format!("{start}{}{end}", again.repeat(times)));
    }
}

#[test]
fn many_names_and_fields_are_no_harm() {
    let names = |one: &dyn Fn(usize) -> String| (0..4_000).map(one).collect::<String>();
    let fields = names(&|n| format!("\"latency_{n}_ms\": {n}.5, "));
    let broken = fields.replace(", ", ",\n");
    for text in [
        format!("def bench():\n    return {{{broken}}}\n"),
        names(&|n| format!("latency_{n} = {n}.5\n")),
        format!("x = {{}}\n{}", names(&|n| format!("x.latency_{n} = {n}.5\n"))),
        names(&|n| format!("def f_{n}():\n    if mock_{n}:\n        pass\n")),
        format!("def bench():\n{}", " # simulated\n latency_ms = 1.5\n".repeat(4_000)),
        format!("def f():\n{}", names(&|n| format!(" latency_{n} = 1.5\n if a:\n  b = {n}\n"))),
        format!("def f():\n{}", names(&|n| format!(" latency_{n} = map(lambda x: x, y)\n"))),
        format!("def bench():\n{}", " latency_ms = 1.5\n rows.append(latency_ms)\n".repeat(4_000)),
        format!("def f_ms():\n{}", " is_simulated = True\n".repeat(4_000)),
    ] {
        scan_text(Path::new("a.py"), &text);
    }
}

#[test]
fn functions_in_macros_are_functions_of_the_file() {
    let text = "fn bench(simulated: bool) -> R {\n    println!(\"{}\", { fn a() {} fn b() {} 1 });\n    \
                R { latency_ms: 1.5 }\n}\n";
    let rules: Vec<_> = scan_text(Path::new("a.rs"), text)
        .iter()
        .map(|finding| (finding.line, finding.rule))
        .collect();
    assert_eq!(rules, [(1, Rule::DroppedMark), (3, Rule::ConstantResult)]);
}

#[test]
fn links_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("a.json"), "{\"a\": [1,").unwrap();
    std::os::unix::fs::symlink(folder.path(), inner.join("up")).unwrap();
    std::os::unix::fs::symlink("nowhere", inner.join("gone.json")).unwrap();
    let scan = of(folder.path());
    assert_eq!((scan.files, scan.findings.len()), (1, 1), "{scan:?}");
}

#[test]
fn a_file_by_two_names_is_scanned_once() {
    let folder = tempfile::tempdir().unwrap();
    let sub = folder.path().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("a.json"), "{\"latency_ms\": 1.").unwrap();
    fs::write(sub.join(".proofmarkignore"), "old/\n").unwrap();
    fs::write(sub.join("long.py"), "latency = 1\n".repeat(400_000)).unwrap();
    let options =
        Options { min_confidence: Confidence::Low, base: folder.path(), committed: &|_| None };
    let dotted = folder.path().join(".").join("sub");
    for paths in [
        vec![sub.clone()],
        vec![sub.clone(), sub.join("a.json")],
        vec![folder.path().to_owned(), dotted.clone(), sub.clone()],
        vec![dotted.join("a.json"), dotted],
    ] {
        let scan = scan(&paths, &options).unwrap();
        assert_eq!((scan.files, scan.findings.len()), (2, 2), "{paths:?}: {scan:?}");
        assert_eq!(scan.skipped.len(), 1, "{scan:?}");
    }
}

#[test]
fn what_is_ignored_needs_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let cut = "{\"latency_ms\": 1.";
    fs::create_dir(folder.path().join("old")).unwrap();
    fs::create_dir(folder.path().join("node_modules")).unwrap();
    for name in ["old/a.json", "node_modules/b.json", "c.json", "d.json"] {
        fs::write(folder.path().join(name), cut).unwrap();
    }
    fs::write(folder.path().join(".gitignore"), "d.json\n").unwrap();
    fs::write(folder.path().join(".proofmarkignore"), "# kept as they were published\nold/\n")
        .unwrap();
    let paths = |scan: &Scan| -> Vec<String> {
        scan.findings
            .iter()
            .map(|finding| finding.path.rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(&of(folder.path())), ["c.json"]);
    fs::write(folder.path().join(".proofmarkignore"), "old/\n").unwrap();
    let scan = of(folder.path());
    assert_eq!(scan.findings[0].rule, Rule::BareSuppression);
    assert_eq!(paths(&scan), [".proofmarkignore", "c.json"]);
}

#[test]
fn a_comment_with_a_reason_suppresses_and_one_without_is_a_finding() {
    let code = |comment: &str| {
        format!(
            "import random\n\ndef bench():\n    {comment}\n    return {{'latency_ms': random.uniform(1, 2)}}\n"
        )
    };
    let rules = |text: &str| -> Vec<Rule> {
        let mut rules: Vec<_> =
            scan_text(Path::new("b.py"), text).iter().map(|finding| finding.rule).collect();
        rules.sort();
        rules
    };
    assert_eq!(rules(&code("pass")), [Rule::RandomResult]);
    assert_eq!(
        rules(&code("# proofmark: allow(random-result) drives the test of the dashboard")),
        []
    );
    assert_eq!(
        rules(&code("# proofmark: allow(constant-result) of another rule")),
        [Rule::RandomResult]
    );
    assert_eq!(
        rules(&code("# proofmark: allow(random-result)")),
        [Rule::RandomResult, Rule::BareSuppression]
    );
    assert_eq!(
        rules(&code("# proofmark: allow(random) drives the test")),
        [Rule::RandomResult, Rule::BareSuppression]
    );
    let whole = format!(
        "# proofmark: allow-file(random-result) made for tests of charts\n{}",
        code("pass")
    );
    assert_eq!(rules(&whole), []);
    let table = "# Times\n\n| a | latency (ms) |\n|---|---|\n| x | 1.5 |\n";
    let page = |text: &str| scan_text(Path::new("b.md"), text).len();
    assert_eq!(
        (
            page(table),
            page(&table.replace(
                "# Times\n",
                "# Times\n\n<!-- proofmark: allow(unmarked-table) example of a layout -->\n"
            ))
        ),
        (1, 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_does_no_harm(text in "\\PC{0,400}", name in prop::sample::select(&NAMES[..])) {
        scan_text(Path::new(name), &text);
    }

    /// Pieces of programs in any order: nearer to what a parser has to bear.
    #[test]
    fn random_pieces_do_no_harm(
        pieces in prop::collection::vec(prop::sample::select(&[
            "def ", "fn ", "function ", "latency_ms", " = ", "(", ")", "{", "}", "[", "]", ":", "\n", "    ", "random.uniform(1, 2)",
            "time.sleep(1)", "return ", "if ", "else", "try", "except ImportError:", "catch (e) ", "\"", "'", "`", "#", "//", "/*", "*/",
            "is_simulated", "True", "json!", "println!", "|", "---", "<table>", "<tr>", "```", "é", "\u{202e}", "0.5", "match ", "=>", "..",
            "proofmark: allow(", "latency: 5", ",", "class ", "async ", "await ", "&mut ", "'a", "::", "?", ";",
        ][..]), 0..120),
        name in prop::sample::select(&NAMES[..]),
    ) {
        scan_text(Path::new(name), &pieces.concat());
    }
}
