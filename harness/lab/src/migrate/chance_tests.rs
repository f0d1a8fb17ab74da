//! Rules that hold for any file: over files that chance makes of the words of legacy files, and over every truncation of twenty.

use super::json::Value;
use super::tests::lines;
use super::*;
use proofmark::Mark;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::BTreeSet;

/// Files that chance makes of the words of legacy files.
fn legacy() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "latency_ms",
        "elapsed_time",
        "memory_mb",
        "throughput",
        "is_simulated",
        "implementation_type",
        "platform",
        "cuda_init",
        "results",
        "examples",
        "metadata",
        "status",
        "simulated_hardware",
        "warnings",
        "success",
        "stdout",
        "cuda",
        "webgpu",
        "value",
        "unit",
        "name",
        "é'\n",
        "",
    ]);
    let scalar = proptest::sample::select(vec![
        "1",
        "-2.5e3",
        "NaN",
        "Infinity",
        "1e999",
        "0",
        "true",
        "false",
        "null",
        "\"REAL\"",
        "\"Success (MOCK)\"",
        "\"CUDA\"",
        "\"webgpu\"",
        "\"12 ms\"",
        "\"a\\nsimulated cuda\\n\"",
        "\"'; DROP TABLE results\"",
        "\"\\ud800\"",
        "123456789012345678901234567890",
    ]);
    let scalar = scalar.prop_map(str::to_owned);
    scalar.prop_recursive(6, 60, 6, move |inner| {
        let field = (name.clone(), inner.clone()).prop_map(|(name, value)| {
            format!("{}: {value}", serde_json::to_string(name).unwrap_or_default())
        });
        prop_oneof![
            proptest::collection::vec(inner, 0..5)
                .prop_map(|values| format!("[{}]", values.join(", "))),
            proptest::collection::vec(field, 0..6)
                .prop_map(|fields| format!("{{{}}}", fields.join(", "))),
        ]
    })
}

/// The value at a path, found by walking it.
fn at<'v, 't>(mut value: &'v Value<'t>, path: &str) -> Option<&'v Value<'t>> {
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("['") {
            let mut name = String::new();
            let mut letters = quoted.char_indices();
            rest = loop {
                match letters.next()? {
                    (end, '\'') => break quoted.get(end + 2..)?,
                    (_, '\\') => match letters.next()?.1 {
                        'u' => {
                            let code: String =
                                letters.by_ref().take(4).map(|(_, letter)| letter).collect();
                            name.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                        }
                        letter => name.push(letter),
                    },
                    (_, letter) => name.push(letter),
                }
            };
            let Value::Object(fields) = value else { return None };
            value = &fields.iter().rfind(|(found, _)| *found == name)?.1;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']')?;
            let Value::List(values) = value else { return None };
            value = values.get(index.parse::<usize>().ok()?)?;
            rest = after;
        } else {
            let name = rest.strip_prefix('.')?.split(['.', '[']).next()?;
            rest = &rest[1 + name.len()..];
            let Value::Object(fields) = value else { return None };
            value = &fields.iter().rfind(|(found, _)| found == name)?.1;
        }
    }
    Some(value)
}

proptest! {
    #[test]
    fn every_number_leads_back_to_its_file(json in legacy()) {
        let found = read(json.as_bytes(), "x.json").unwrap();
        let value = json::parse(&json).unwrap();
        let mut paths = BTreeSet::new();
        for group in &found.groups {
            prop_assert!(matches!(group.mark, Mark::Simulated | Mark::Claimed));
            prop_assert!(group.reason.contains(": "));
            for row in &group.rows {
                prop_assert!(paths.insert(row.path.clone()), "twice: {}", row.path);
                let naming = &found.names[row.naming];
                prop_assert_eq!(row.value.is_some(), naming.unit.is_some());
                prop_assert_eq!(row.value.is_none(), naming.note.is_some());
                match at(&value, &row.path) {
                    Some(Value::Number(text)) => prop_assert_eq!(&row.raw, text),
                    Some(Value::Text(text)) => prop_assert_eq!(row.raw.as_str(), text.as_ref()),
                    other => prop_assert!(false, "{}: {other:?} in {json}", row.path),
                }
            }
        }
        prop_assert_eq!(found.outcome == Outcome::NoResults, found.groups.is_empty());
    }

    #[test]
    fn what_a_flag_of_the_file_governs_is_everything(json in legacy()) {
        let flagged = format!("{{\"is_simulation\": true, \"rest\": {json}}}");
        let plain = read(format!("{{\"rest\": {json}}}").as_bytes(), "x.json").unwrap();
        let found = read(flagged.as_bytes(), "x.json").unwrap();
        prop_assert!(found.groups.iter().all(|group| group.mark == Mark::Simulated));
        let paths = |found: &Extracted| lines(found).iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
        prop_assert_eq!(paths(&plain), paths(&found));
    }
}

#[test]
fn every_truncation_of_twenty_files_is_refused_or_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..20 {
        let json = legacy().new_tree(&mut runner).unwrap().current();
        let json = format!("{{\"is_simulation\": true, \"latency_ms\": 1, \"rest\": {json}}}");
        for end in 0..json.len() {
            let fault = read(&json.as_bytes()[..end], "x.json").unwrap_err();
            let told = fault.to_string();
            assert!(!told.contains('\n') && !told.is_empty(), "{told}");
            let is_cut = matches!(fault, Fault::Truncated(_) | Fault::Empty | Fault::Encoding(_));
            assert!(is_cut, "{fault:?} of {:?}", String::from_utf8_lossy(&json.as_bytes()[..end]));
        }
        read(json.as_bytes(), "x.json").unwrap();
    }
}
