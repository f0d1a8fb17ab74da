//! How long it takes to plan 100,000 cases against 1,000,000 stored results, with reading what that needs.
//!
//! `cargo bench -p proofmark-lab --bench plan`; the limit is one second. The database is made in SQL.

use criterion::Criterion;
use duckdb::Connection;
use proofmark::protocol::Listed;
use proofmark::{CaseId, Fingerprint, Part};
use proofmark_lab::plan::{NOISE_LIMIT, Options, plan};
use proofmark_lab::store::Store;
use std::path::Path;
use std::time::Duration;

const CASES: usize = 100_000;
const MACHINE: &str = "here";

/// Ten results of every case. Of each thousand cases, one has changed, one has failed and fifty are noisy.
const RESULTS: &str = "
    INSERT INTO results BY NAME
    SELECT
        format('20260101T000000000-1-{:08x}-{}', i, i) AS id,
        format('run-{}', i // 1000) AS run,
        TIMESTAMP '2026-01-01' + to_seconds(i) AS recorded_at,
        'suite' AS suite,
        format('model-{}/cpu/f32/b{}', n % 100, n // 100) AS case_id,
        format('model-{}', n % 100) AS model,
        'cpu' AS endpoint, 'f32' AS precision, format('b{}', n // 100) AS shape,
        'measure' AS purpose,
        CASE WHEN n % 1000 = 1 THEN 'failed' ELSE 'passed' END AS outcome,
        'real' AS mark,
        [1e6, 1.1e6, 0.9e6, 1e6, 1e6, 1.2e6, 1e6, 1e6, 1e6, 1e6] AS samples,
        [10, 10, 10, 10, 10, 10, 10, 10, 10, 10] AS iterations,
        1e6 AS latency_ns_median,
        CASE WHEN n % 1000 >= 950 THEN 0.2 ELSE 0.01 END AS relative_noise,
        2e9 AS busy_ns,
        'here' AS machine, 'linux' AS platform, 'cpu' AS cpu, 2 AS threads, 8 AS memory_bytes,
        'rustc' AS rustc, 'release' AS profile, '' AS commit_id,
        CASE WHEN n % 1000 = 0 THEN 'other' ELSE $digest END AS fingerprint
    FROM (SELECT i, i % 100000 AS n FROM range(1000000) AS numbers(i))";

/// What ingest keeps up to date.
const LATEST: &str = "
    INSERT INTO latest SELECT *, 0 FROM results
    QUALIFY row_number() OVER (PARTITION BY case_id, machine ORDER BY recorded_at DESC) = 1";

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("results.duckdb");
    let cases = cases();
    fill(&path, &cases[0].fingerprint.digest);
    let options = Options::new("2026-06-01T00:00:00Z".parse().expect("a time"));
    let run = || {
        let store = Store::open(&path).expect("the database that was made");
        let stored = store.past(MACHINE, &cases, NOISE_LIMIT).expect("its results");
        plan(&cases, &stored, &options)
    };
    let planned = run();
    // All noisy cases have been at their noise floor for ten results: changed and failed ones remain.
    assert_eq!((planned.entries.len(), planned.valid), (200, CASES - 200));
    let mut criterion = Criterion::default()
        .sample_size(10)
        .measurement_time(Duration::from_secs(10))
        .configure_from_args();
    criterion.bench_function("plan 100,000 cases against 1,000,000 results", |b| b.iter(run));
    criterion.final_summary();
}

fn cases() -> Vec<Listed> {
    let fingerprint = Fingerprint::new([Part::text("code", "1")]);
    let case = |n: usize| {
        let (model, shape) = (format!("model-{}", n % 100), format!("b{}", n / 100));
        let endpoint = "cpu".parse().expect("an endpoint");
        let id = CaseId::new(&model, endpoint, "f32", &shape).expect("a valid id");
        Listed { id, fingerprint: fingerprint.clone(), absence: None }
    };
    (0..CASES).map(case).collect()
}

fn fill(path: &Path, digest: &str) {
    Store::open(path).and_then(Store::close).expect("an empty database");
    let connection = Connection::open(path).expect("the empty database");
    connection.execute(&RESULTS.replace("$digest", &format!("'{digest}'")), []).expect("rows");
    connection.execute_batch(LATEST).expect("the latest of each case");
    connection.execute_batch("CHECKPOINT").expect("rows on the disk");
}
