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

#[test]
fn ways_are_joined_and_taken_back() {
    for (before, sinks_expected) in [
        // Either way.
        ("x = random.random()\n    if a:\n        x = b\n    else:\n        y = x", 1),
        ("x = c\n    if a:\n        x = random.random()", 1),
        ("x = random.random()\n    if a:\n        x = b\n    else:\n        x = c", 0),
        // A way that ends leaves nothing.
        ("x = c\n    if a:\n        x = random.random()\n        return 0", 0),
        ("x = c\n    try:\n        y = b\n    except E:\n        x = random.random()", 1),
        // What one way sets, another does not see; nor does what follows a lambda.
        ("x = c\n    if a:\n        y = random.random()\n    else:\n        x = y.z", 0),
        ("if a:\n        if b:\n            x = random.random()\n    else:\n        x = c", 1),
    ] {
        let text = format!("def bench():\n    {before}\n    return {{'latency_ms': x}}\n");
        let found = sinks("a.py", &text);
        let found = found.iter().filter(|sink| sink.kind == SinkKind::Field).count();
        assert_eq!(found, sinks_expected, "{text}");
    }
}
