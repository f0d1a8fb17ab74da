//! Tests of what is followed: which numbers are noted, and what they share.

use super::*;
use crate::file::Language;
use std::path::Path;

/// The sinks of a text.
#[track_caller]
fn sinks(name: &str, text: &str) -> Vec<Sink> {
    let path = Path::new(name);
    let language = Language::of(path).unwrap();
    let unit = Unit::parse(language, text, 1).unwrap();
    let file = File::new(path, path, language, text);
    Analysis::of(&unit, &file).sinks
}

#[test]
fn the_numbers_of_a_record_share_what_stands_beside_them() {
    let fields: String =
        (0..50).map(|n| format!("\"key{n}\": 7, \"latency_{n}_ms\": 1.5, ")).collect();
    let found = sinks("a.py", &format!("def bench():\n    return {{{fields}}}\n"));
    let names: Vec<_> = found.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(found.len(), 50, "{names:?}");
    assert!(found.iter().all(|sink| Rc::ptr_eq(&sink.beside, &found[0].beside)));
    assert_eq!(found[0].beside.quantities, 50);
    assert!(found[0].beside.has(&["key7"]) && !found[0].beside.has(&["device"]));
}

#[test]
fn items_of_lists_are_looked_at_once() {
    let deep = format!("{}latency_ms{}", "x.append([".repeat(25), "]).b".repeat(25));
    let text = format!("def f():\n    latency_ms = 1.5\n    {deep}\n    return [{deep}]\n");
    let found = sinks("a.py", &text);
    assert_eq!(found.len(), 2, "{found:#?}");
}
