//! Each reader on files that the real tool wrote, with values that the tool printed; files of other tools. Damage is `damage`.

mod damage;
mod devices;

use super::*;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/imports")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn now() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

fn read_as(tool: Option<Tool>, bytes: Vec<u8>) -> Result<Imported, ImportError> {
    let options = Options { tool, ..Options::default() };
    read("a file", Source::File(bytes), &options, now())
}

/// A file that the tool wrote, recognised by its content alone.
#[track_caller]
fn imported(name: &str, tool: Tool) -> Imported {
    let imported = read_as(None, bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!((imported.tool, imported.mark), (tool, proofmark::Mark::Claimed), "{name}");
    imported
}

/// The result of this name, metric and statistic; if there are several, the first.
#[track_caller]
fn result<'a>(
    imported: &'a Imported,
    benchmark: &str,
    metric: &str,
    statistic: &str,
) -> &'a Measured {
    let wanted = |one: &&Measured| {
        (&*one.benchmark, &*one.metric, &*one.statistic) == (benchmark, metric, statistic)
    };
    imported.results.iter().find(wanted).unwrap_or_else(|| {
        let known =
            imported.results.iter().map(|one| (&one.benchmark, &one.metric, &one.statistic));
        panic!("no {metric} {statistic} of {benchmark}: {:?}", known.collect::<Vec<_>>())
    })
}

/// Holds a value to what the tool printed with so many digits.
#[track_caller]
fn check(
    imported: &Imported,
    [benchmark, metric, statistic]: [&str; 3],
    unit: &str,
    printed: f64,
    step: f64,
) {
    let found = result(imported, benchmark, metric, statistic);
    assert_eq!(found.unit.as_deref(), Some(unit));
    let off = (found.value - printed).abs();
    assert!(
        off <= 0.5001 * step,
        "{benchmark} {metric} {statistic}: {} is not {printed}",
        found.value
    );
}

#[test]
fn hyperfine_1_15() {
    let read = imported("hyperfine/1.15.0/hyperfine.json", Tool::Hyperfine);
    assert_eq!((read.tool_version.as_deref(), read.measured_at), (None, None));
    // As `sha256sum` prints it.
    assert_eq!(read.id, "061c2034506623491eacb404865b2f2c3901305aa6e82140835f0b117f642d1c");
    assert!(read.tool_version_from.starts_with("unknown: hyperfine did not write it"));
    check(&read, ["sum of 1000", "time", "mean"], "ns", 2.8e6, 1e5);
    check(&read, ["sum of 1000", "time", "stddev"], "ns", 1.4e6, 1e5);
    check(&read, ["sum of 1000", "user_time", "mean"], "ns", 0.9e6, 1e5);
    check(&read, ["sum of 100000", "time", "min"], "ns", 1.6e6, 1e5);
    check(&read, ["sum of 100000", "time", "max"], "ns", 4.7e6, 1e5);
    let mean = result(&read, "sum of 1000", "time", "mean");
    let samples: Vec<_> = mean.samples.iter().map(|sample| sample.round()).collect();
    assert_eq!(samples, [1_237_739.0, 1_953_762.0, 3_981_518.0, 3_970_684.0]);
    assert_eq!(
        (mean.runs, &mean.iterations[..], &*mean.place),
        (Some(4), &[1; 4][..], "results[0].mean")
    );
    assert_eq!(
        (mean.raw_value, mean.raw_unit.as_deref()),
        (0.002_785_925_750_000_000_3, Some("s"))
    );
    assert_eq!(mean.details["parameter.n"], "1000");
    assert_eq!(read.results.len(), 14);
}

#[test]
fn hyperfine_1_20_with_memory_and_a_command_that_fails() {
    let read = imported("hyperfine/1.20.0/hyperfine.json", Tool::Hyperfine);
    check(&read, ["seq 1000", "time", "mean"], "ns", 102.2e6, 1e5);
    check(&read, ["false", "time", "max"], "ns", 2.9e6, 1e5);
    check(&read, ["seq 1000", "peak_memory", "max"], "B", 3_182_592.0, 0.0);
    assert_eq!(result(&read, "seq 1000", "peak_memory", "max").samples.len(), 3);
    assert_eq!(result(&read, "false", "time", "mean").details["runs_that_failed"], "3");
    assert!(!result(&read, "seq 1000", "time", "mean").details.contains_key("runs_that_failed"));
}

#[test]
fn google_benchmark_1_7() {
    let read = imported("google-benchmark/google-benchmark.json", Tool::GoogleBenchmark);
    assert_eq!(read.tool_version, None);
    assert_eq!(read.measured_at, Some("2026-11-28T17:51:08Z".parse().unwrap()));
    assert_eq!(read.details["host_name"], "bench");
    check(&read, ["Sum/64", "time", "mean"], "ns", 59.5, 0.1);
    check(&read, ["Sum/64", "cpu_time", "mean"], "ns", 59.2, 0.1);
    assert_eq!(result(&read, "Sum/64", "time", "mean").runs, Some(235_898));
    let rates: Vec<_> = read.results.iter().filter(|one| one.metric == "throughput").collect();
    // 4.02828G of 1024 * 1024 * 1024 bytes, and 1081.33 million items.
    assert!(
        (rates[0].value / 1_073_741_824.0 - 4.02828).abs() < 1e-5
            && rates[0].unit.as_deref() == Some("B/s")
    );
    assert!(
        (rates[1].value / 1e6 - 1081.33).abs() < 0.01 && rates[1].unit.as_deref() == Some("1/s")
    );
    let fill = "Fill/65536/repeats:3";
    check(&read, [fill, "time", "median"], "ns", 45_100.0, 100.0);
    check(&read, [fill, "time", "stddev"], "ns", 41.0, 1.0);
    check(&read, [fill, "time", "cv"], "1", 0.0009, 0.0001);
    assert_eq!(result(&read, fill, "time", "median").runs, None, "an aggregate counts repetitions");
    let floats = result(&read, fill, "floats", "mean");
    assert_eq!((floats.value, &floats.unit), (65536.0, &None), "a counter has no unit");
    assert_eq!(read.remarks.len(), 2, "{:?}", read.remarks);
    assert!(read.remarks[0].contains("built for debugging"));
    assert!(read.remarks[1].ends_with("Refuse did not run: no device"), "{:?}", read.remarks);
}

#[test]
fn pytest_benchmark_5() {
    let read = imported("pytest-benchmark/pytest-benchmark.json", Tool::PytestBenchmark);
    assert_eq!(
        (read.tool_version.as_deref(), &*read.tool_version_from),
        (Some("5.3.1"), "the source")
    );
    let name = "test_sort.py::test_sort[10]";
    for (statistic, printed) in [
        ("min", 480.7996),
        ("max", 1335.5995),
        ("mean", 752.5331),
        ("stddev", 328.0087),
        ("median", 606.9),
    ] {
        check(&read, [name, "time", statistic], "ns", printed, 0.0001);
    }
    check(&read, [name, "throughput", "mean"], "1/s", 1_328_845.1, 0.1);
    let mean = result(&read, name, "time", "mean");
    assert_eq!((mean.runs, mean.samples.len(), &mean.iterations[..]), (Some(30), 6, &[5; 6][..]));
    assert_eq!(mean.details["parameter.size"], "10");
    assert_eq!(read.details["node"], "bench");
}

#[test]
fn go_1_19_as_text_and_as_events() {
    let read = imported("go/go.txt", Tool::Go);
    assert_eq!((read.tool_version.as_deref(), &*read.details["goos"]), (None, "linux"));
    check(&read, ["BenchmarkJoin/n=8-2", "time", "mean"], "ns", 178.6, 0.0);
    check(&read, ["BenchmarkJoin/n=8-2", "throughput", "mean"], "B/s", 44.79e6, 0.1);
    check(&read, ["BenchmarkJoin/n=64-2", "allocated", "mean"], "B", 134.0, 0.0);
    check(&read, ["BenchmarkJoin/n=64-2", "allocations", "mean"], "1", 1.0, 0.0);
    check(&read, ["BenchmarkTokens-2", "tokens/s", "mean"], "1/s", 22_958_159.0, 0.0);
    let own = "BenchmarkA-8 100 200 ns/op 3.5 GB/s 512 MiB/s 4096 B/s 12 C\n";
    let own = read_as(Some(Tool::Go), own.into()).unwrap();
    let unit = |metric: &str| result(&own, "BenchmarkA-8", metric, "mean").unit.clone().unwrap();
    assert_eq!(["GB/s", "MiB/s", "B/s", "C"].map(unit), ["GB/s", "MiB/s", "B/s", "C"]);
    let join = result(&read, "BenchmarkJoin/n=8-2", "time", "mean");
    assert_eq!(
        (join.runs, &*join.place, &*join.details["pkg"]),
        (Some(200), "line 5, ns/op", "example.com/bench")
    );
    // Two repetitions of three benchmarks, with 4, 4 and 2 values.
    assert_eq!((read.results.len(), read.remarks.len()), (20, 0));
    let events = imported("go/go.jsonl", Tool::Go);
    check(&events, ["BenchmarkTokens-2", "time", "mean"], "ns", 239.0, 0.0);
    assert_eq!(events.results.len(), 2);
}

fn criterion(name: &str) -> CriterionFiles {
    let file = |file: &str| bytes(&format!("criterion/{name}/new/{file}.json"));
    CriterionFiles {
        benchmark: file("benchmark"),
        sample: file("sample"),
        estimates: file("estimates"),
    }
}

#[test]
fn criterion_0_8() {
    let options = Options { tool_version: Some("0.8.2".into()), ..Options::default() };
    let of = |name: &str| read(name, Source::Criterion(criterion(name)), &options, now()).unwrap();
    let sums = of("sums/forward/16");
    assert_eq!(
        (sums.tool_version.as_deref(), &*sums.tool_version_from),
        (Some("0.8.2"), "--tool-version")
    );
    // SHA-256 over the checksums of the three files, with ends of lines between them.
    assert_eq!(sums.id, "1add257614096af9c41c2dfafca66dce62ced454949e4520bd1a048c0d754ea9");
    // Of linear sampling criterion prints the slope.
    check(&sums, ["sums/forward/16", "time", "slope"], "ns", 11.284, 0.001);
    let slope = result(&sums, "sums/forward/16", "time", "slope");
    assert!(
        slope.details["lower_bound_ns"].starts_with("11.251")
            && slope.details["bytes_per_run"] == "128"
    );
    let mean = result(&sums, "sums/forward/16", "time", "mean");
    assert_eq!((mean.samples.len(), mean.iterations[1], mean.runs), (10, 192_000, Some(5_280_000)));
    assert!((mean.samples[0] - 1_075_004.0 / 96_000.0).abs() < 1e-12);
    let flat = of("sort_flat/reverse");
    check(&flat, ["sort/flat/reverse", "time", "mean"], "ns", 38_256.0, 1.0);
    assert!(flat.results.iter().all(|one| one.statistic != "slope"));
    let single = read_as(None, criterion("sums/forward/16").sample);
    assert_eq!(single, Err(ImportError::Part));
}

#[test]
fn mlperf_loadgen_6_as_summary_and_as_detailed_log() {
    for (scenario, validity, throughput) in [
        ("SingleStream", "VALID", "throughput_with_overhead"),
        ("Offline", "VALID", "throughput"),
        ("Server", "INVALID", "completed_throughput"),
    ] {
        let file = |kind: &str| format!("mlperf/{}/mlperf_log_{kind}.txt", scenario.to_lowercase());
        let (summary, detail) =
            (imported(&file("summary"), Tool::Mlperf), imported(&file("detail"), Tool::Mlperf));
        assert_eq!(
            (summary.tool_version.as_deref(), detail.tool_version.as_deref()),
            (None, Some("6.0.17"))
        );
        let name = format!("PySUT/{scenario}");
        for (metric, statistic) in
            [("time", "mean"), ("time", "p90"), ("time", "p99.9"), ("time", "max")]
        {
            let of = |read| result(read, &name, metric, statistic).value;
            assert!(of(&summary) > 0.0 && of(&summary) == of(&detail), "{scenario} {statistic}");
        }
        let (short, long) = (
            result(&summary, &name, throughput, "mean"),
            result(&detail, &name, throughput, "mean"),
        );
        assert!((short.value / long.value - 1.0).abs() < 1e-4 && short.value > 10.0);
        assert_eq!((&*short.details["validity"], &*long.details["validity"]), (validity, validity));
        assert_eq!(summary.remarks.is_empty(), validity == "VALID", "{:?}", summary.remarks);
    }
    let server = imported("mlperf/server/mlperf_log_summary.txt", Tool::Mlperf);
    check(&server, ["PySUT/Server", "completed_throughput", "mean"], "1/s", 94.92, 0.0);
    check(&server, ["PySUT/Server", "time", "mean"], "ns", 1_936_408.0, 0.0);
    // Of a query of many samples, the log counts queries and times samples.
    let detail = |scenario: &str| {
        imported(&format!("mlperf/{}/mlperf_log_detail.txt", scenario.to_lowercase()), Tool::Mlperf)
    };
    for (scenario, runs) in [("SingleStream", Some(70)), ("Server", Some(70)), ("Offline", None)] {
        let read = detail(scenario);
        assert_eq!(result(&read, &format!("PySUT/{scenario}"), "time", "mean").runs, runs);
    }
}

#[test]
fn mlperf_loadgen_6_with_queries_of_many_samples_and_with_tokens() {
    let files = |folder: &str| {
        ["summary", "detail"]
            .map(|kind| imported(&format!("mlperf/{folder}/mlperf_log_{kind}.txt"), Tool::Mlperf))
    };
    let name = "PySUT/MultiStream";
    let [summary, detail] = files("multistream");
    for read in [&summary, &detail] {
        check(read, [name, "query_time", "mean"], "ns", 86_789_438.0, 0.0);
        check(read, [name, "query_time", "p90"], "ns", 267_179_409.0, 0.0);
    }
    assert!(summary.results.iter().all(|one| one.metric == "query_time"));
    check(&detail, [name, "time", "mean"], "ns", 54_044_718.0, 0.0);
    let runs = ["query_time", "time"].map(|metric| result(&detail, name, metric, "p90").runs);
    assert_eq!(runs, [Some(70), None]);
    let [summary, detail] = files("tokens");
    let name = "PySUT/Server";
    for read in [&summary, &detail] {
        check(read, [name, "first_token_time", "mean"], "ns", 120_055_472.0, 0.0);
        check(read, [name, "first_token_time", "p50"], "ns", 26_649_513.0, 0.0);
        check(read, [name, "time_per_output_token", "max"], "ns", 146_901_538.0, 0.0);
        check(read, [name, "time_per_output_token", "p99"], "ns", 146_901_538.0, 0.0);
        check(read, [name, "token_throughput", "mean"], "1/s", 129.04, 0.01);
        check(read, [name, "time", "mean"], "ns", 133_492_655.0, 0.0);
        assert_eq!(read.results.iter().filter(|one| one.metric == "token_throughput").count(), 1);
    }
    assert_eq!(
        detail.remarks[0],
        "numbers that are not read: result_overlatency_query_count, \
         result_token_throughput_with_loadgen_overhead, result_token_throughput"
    );
}

#[test]
fn onnx_runtime_1_32() {
    let read = imported("onnxruntime/onnxruntime_2026-11-28_17-54-13_017.json", Tool::OnnxRuntime);
    assert_eq!(read.tool_version, None);
    // 93, 28 and 18 us of one node; 11, 11 and 10 of the other of its operator.
    let node = "node/first@CPUExecutionProvider";
    check(&read, [node, "time", "mean"], "ns", 139_000.0 / 3.0, 0.01);
    check(&read, [node, "time", "max"], "ns", 93_000.0, 0.0);
    let op = result(&read, "op/MatMul@CPUExecutionProvider", "time", "total");
    assert_eq!(
        (op.value, op.runs, &*op.details["provider"]),
        (171_000.0, Some(6), "CPUExecutionProvider")
    );
    check(&read, ["session/model_run", "time", "min"], "ns", 76_000.0, 0.0);
    assert_eq!(result(&read, node, "time", "min").details["op"], "MatMul");
}

#[test]
fn pytorch_2_15() {
    let read = imported("pytorch/pytorch.json", Tool::Pytorch);
    for (name, total_us, runs) in [
        ("user_annotation/forward", 1_109.0, 3),
        ("cpu_op/aten::linear", 490.666, 6),
        ("cpu_op/aten::addmm", 291.409, 6),
        ("cpu_op/aten::as_strided", 30.156, 12),
    ] {
        // As the profiler's own table prints it, in three digits.
        let step = if runs == 3 { 1000.0 } else { 1.0 };
        check(&read, [name, "time", "total"], "ns", total_us * 1e3, step);
        assert_eq!(result(&read, name, "time", "total").runs, Some(runs));
    }
    check(&read, ["user_annotation/forward", "time", "mean"], "ns", 369_600.0, 1.0);
    assert!(read.results.iter().all(|one| !one.benchmark.starts_with("Trace")));
    assert_eq!(read.remarks, ["11 events are of kinds that are not read and were left out"]);
}

/// A file of our own making in JMH's shape: the real tool could not be run where this was built.
const JMH: &str = r#"[{"jmhVersion": "1.37", "benchmark": "bench.Sums.sum", "mode": "thrpt", "threads": 1, "forks": 1,
    "jdkVersion": "17.0.15", "params": {"size": "16"},
    "primaryMetric": {"score": 2.0, "scoreError": "NaN", "scorePercentiles": {"0.0": 1.5, "99.9": 2.5},
        "scoreUnit": "ops/us", "rawData": [[1.5, 2.5]]},
    "secondaryMetrics": {"gc.alloc.rate.norm": {"score": 24.0, "scoreUnit": "B/op"},
        "gc.alloc.rate": {"score": 5.0, "scoreUnit": "MB/sec"}}},
    {"benchmark": "bench.Sums.sum", "mode": "avgt", "primaryMetric": {"score": 0.5, "scoreError": 0.1, "scoreUnit": "us/op"}}]"#;

#[test]
fn jmh_as_it_is_documented() {
    let read = read_as(None, JMH.into()).unwrap();
    assert_eq!((read.tool, read.tool_version.as_deref()), (Tool::Jmh, Some("1.37")));
    let name = "bench.Sums.sum";
    check(&read, [name, "throughput", "mean"], "1/s", 2e6, 0.0);
    check(&read, [name, "throughput", "p99.9"], "1/s", 2.5e6, 0.0);
    assert_eq!(result(&read, name, "throughput", "mean").samples, [1.5e6, 2.5e6]);
    check(&read, [name, "gc.alloc.rate.norm", "mean"], "B", 24.0, 0.0);
    check(&read, [name, "gc.alloc.rate", "mean"], "MB/sec", 5.0, 0.0);
    check(&read, [name, "time", "mean"], "ns", 500.0, 0.0);
    check(&read, [name, "time", "error"], "ns", 100.0, 1e-9);
    assert_eq!(read.results.len(), 7);
}

const FILES: [(&str, Tool); 15] = [
    ("hyperfine/1.15.0/hyperfine.json", Tool::Hyperfine),
    ("google-benchmark/google-benchmark.json", Tool::GoogleBenchmark),
    ("pytest-benchmark/pytest-benchmark.json", Tool::PytestBenchmark),
    ("go/go.txt", Tool::Go),
    ("go/go.jsonl", Tool::Go),
    ("mlperf/singlestream/mlperf_log_summary.txt", Tool::Mlperf),
    ("mlperf/singlestream/mlperf_log_detail.txt", Tool::Mlperf),
    ("mlperf/offline/mlperf_log_summary.txt", Tool::Mlperf),
    ("mlperf/server/mlperf_log_summary.txt", Tool::Mlperf),
    ("mlperf/server/mlperf_log_detail.txt", Tool::Mlperf),
    ("mlperf/multistream/mlperf_log_summary.txt", Tool::Mlperf),
    ("mlperf/tokens/mlperf_log_summary.txt", Tool::Mlperf),
    ("onnxruntime/onnxruntime_2026-11-28_17-54-13_017.json", Tool::OnnxRuntime),
    ("pytorch/pytorch.json", Tool::Pytorch),
    ("hyperfine/1.20.0/hyperfine.json", Tool::Hyperfine),
];

#[test]
fn files_of_another_tool_are_refused() {
    for (name, tool) in FILES {
        for other in Tool::ALL.into_iter().filter(|other| *other != tool) {
            let error = read_as(Some(other), bytes(name)).expect_err(&format!("{name} as {other}"));
            let said = error.to_string();
            assert!(
                other == Tool::Criterion || said.contains(other.name()),
                "{name} as {other}: {said}"
            );
        }
    }
    for strange in
        ["", "hello", "{}", "[]", "[1]", "{\"results\": []}", "{\"traceEvents\": []}", "\u{0}\u{1}"]
    {
        let error = read_as(None, strange.into()).unwrap_err();
        assert!(error.to_string().contains("--tool"), "{strange:?}: {error}");
    }
    let nothing =
        read_as(None, b"{\"schemaVersion\": 1, \"traceEvents\": []}".to_vec()).unwrap_err();
    assert!(nothing.to_string().starts_with("it holds no result of pytorch"), "{nothing}");
}

#[test]
fn a_version_of_the_source_is_more_than_one_that_is_given() {
    let given = Options { tool_version: Some("9".into()), ..Options::default() };
    let source = Source::File(bytes("pytest-benchmark/pytest-benchmark.json"));
    let read = read("a file", source, &given, now()).unwrap();
    assert_eq!(read.tool_version.as_deref(), Some("5.3.1"));
    assert!(read.remarks[0].contains("--tool-version 9 was not taken"));
}

#[test]
fn units_are_those_of_the_docs() {
    let page = fs::read_to_string(folder().join("../../../docs/import.md")).unwrap();
    let section = page.split("## Units").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut of_docs = Vec::new();
    for row in rows {
        let cells: Vec<_> =
            row.split('|').map(|cell| cell.trim().replace(['`', ','], " ")).collect();
        let factor: String = cells[3].split_whitespace().collect();
        let factor = match factor.strip_prefix("1/") {
            Some(under) => 1.0 / under.parse::<f64>().unwrap(),
            None => factor.parse().unwrap(),
        };
        let written = cells[1].split_whitespace();
        of_docs.extend(written.map(|one| (one.to_owned(), cells[2].trim().to_owned(), factor)));
    }
    let ours = unit::UNITS
        .iter()
        .map(|(raw, ours, factor)| ((*raw).to_owned(), (*ours).to_owned(), *factor));
    assert_eq!(of_docs, ours.collect::<Vec<_>>());
}
