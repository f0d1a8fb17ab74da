//! Files that lost their end, that were changed, or that hold what is no number: each costs itself at most.

use super::*;
use proptest::prelude::*;

/// A file that lost its end is refused, or gives what stands before the loss: never another number.
#[test]
fn every_truncation_is_refused_or_says_less() {
    let files = FILES.map(|(name, tool)| (name, tool, bytes(name)));
    for (name, tool, all) in files.into_iter().chain([("jmh", Tool::Jmh, JMH.into())]) {
        let whole = read_as(None, all.clone()).unwrap().results;
        let mut taken = 0;
        for length in 0..all.len() {
            if let Ok(less) = read_as(Some(tool), all[..length].to_vec()) {
                taken += 1;
                let end = less.results.len();
                assert_eq!(less.results[..], whole[..end], "{name}, {length} bytes");
                let rest = all[length..].trim_ascii();
                assert!(
                    rest.is_empty() || tool == Tool::Go || tool == Tool::Mlperf,
                    "{name}, {length} bytes"
                );
            }
        }
        assert!(taken < all.len() / 10, "{name}: {taken} of {} truncations were taken", all.len());
    }
}

#[test]
fn truncations_of_criterion_are_refused() {
    let whole = criterion("sums/forward/16");
    let empty = |cut: &dyn Fn(&mut CriterionFiles)| {
        let mut files = whole.clone();
        cut(&mut files);
        read("cut", Source::Criterion(files), &Options::default(), now()).unwrap_err()
    };
    for length in 0..whole.estimates.len() {
        empty(&|files| files.estimates.truncate(length));
    }
    for length in 0..whole.sample.len() {
        let error = empty(&|files| files.sample.truncate(length));
        assert!(error.to_string().contains("sample.json, line 1"), "{error}");
    }
    for length in 0..whole.benchmark.len() {
        empty(&|files| files.benchmark.truncate(length));
    }
}

#[test]
fn a_log_that_does_not_count_its_errors_is_cut_short() {
    let text = String::from_utf8(bytes("mlperf/server/mlperf_log_detail.txt")).unwrap();
    let kept = text.lines().filter(|line| !line.contains("\"num_"));
    let cut = kept.collect::<Vec<_>>().join("\n");
    let error = read_as(None, cut.into()).unwrap_err().to_string();
    assert!(error.contains("it was cut short"), "{error}");
}

#[test]
fn what_follows_the_end_is_refused() {
    for (name, tool) in FILES.into_iter().filter(|(name, _)| name.ends_with(".json")) {
        let more = [&bytes(name)[..], b" {}"].concat();
        let error = read_as(Some(tool), more).unwrap_err().to_string();
        assert!(error.contains("trailing characters"), "{name}: {error}");
    }
}

#[test]
fn nesting_and_giant_numbers_are_refused() {
    for open in ["[", "{\"a\":", "{\"results\":[", "{\"traceEvents\":[{\"args\":"] {
        let deep = open.repeat(100_000);
        for tool in [
            None,
            Some(Tool::Hyperfine),
            Some(Tool::Pytorch),
            Some(Tool::OnnxRuntime),
            Some(Tool::GoogleBenchmark),
        ] {
            assert!(read_as(tool, deep.clone().into()).is_err());
        }
    }
    // Two levels around the arrays.
    for (arrays, is_refused) in [(125, false), (126, true)] {
        let (open, close) = ("[".repeat(arrays), "]".repeat(arrays));
        let nested = format!("{{\"context\": {{\"x\": {open}{close}}}, \"benchmarks\": []}}");
        let error = read_as(Some(Tool::GoogleBenchmark), nested.into()).unwrap_err().to_string();
        assert_eq!(error.contains("recursion limit"), is_refused, "{arrays}: {error}");
    }
    let text = String::from_utf8(bytes("hyperfine/1.15.0/hyperfine.json")).unwrap();
    let giant = text.replacen("0.0027859257500000003", "1e999", 1);
    assert!(read_as(None, giant.into()).is_err());
    let negative = text.replacen("0.0027859257500000003", "-1", 1);
    let read = read_as(None, negative.into()).unwrap();
    assert_eq!(
        (read.results.len(), &*read.remarks[0]),
        (13, "results[0].mean: -1 is negative and was left out")
    );
    for sample in ["-0.001237739", "1e300"] {
        let odd = read_as(None, text.replacen("        0.001237739", sample, 1).into()).unwrap();
        assert_eq!(
            (odd.results.len(), odd.results[0].samples.len(), odd.remarks.len()),
            (14, 0, 1),
            "{:?}",
            odd.remarks
        );
    }
    let none = text.replacen("0.0027859257500000003", "NaN", 1);
    assert_eq!(read_as(None, none.into()).unwrap().results.len(), 13);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes that are changed, lost or doubled cost the file at most.
    #[test]
    fn damage_costs_a_file_at_most(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let (name, tool) = FILES[file];
        let mut damaged = bytes(name);
        for (place, byte, how) in changes {
            let at = place.index(damaged.len());
            match how {
                0 => damaged[at] = byte,
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(at, byte),
            }
        }
        for forced in [None, Some(tool)] {
            if let Ok(read) = read_as(forced, damaged.clone()) {
                // What is written is what is read back: nothing gets in that the file would refuse.
                let line = serde_json::to_vec(&read).unwrap();
                prop_assert_eq!(kept::parse(&line), Ok(read));
            }
        }
    }
}
