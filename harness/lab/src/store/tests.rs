//! The store with real files: what gets in, what is refused, what survives.

use super::*;
use crate::plan::NOISE_LIMIT;
use proofmark::fingerprint::{Fingerprint, Part};
use proofmark::journal::Journal;
use proofmark::protocol::Listed;
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Fallback, Line, Metrics, OpTime, Outcome, OutputCheck, Probe,
    Purpose, Record, Samples, Series, Telemetry,
};
use proofmark::{Endpoint, Finding, Mark};
use serde_json::json;
use std::fs;
use std::io::Write;
use tempfile::TempDir;

pub(super) struct World {
    folder: TempDir,
    journal: Journal,
    second: i64,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(&folder.path().join("records"));
        Self { folder, journal, second: 1_800_000_000 }
    }

    pub(super) fn db(&self) -> PathBuf {
        self.folder.path().join("results.duckdb")
    }

    pub(super) fn records(&self) -> PathBuf {
        self.folder.path().join("records")
    }

    fn folders(&self) -> Folders {
        Folders::below(self.folder.path())
    }

    pub(super) fn rebuild(&self) -> Result<Ingested, StoreError> {
        Store::rebuild(&self.db(), &self.folders())
    }

    pub(super) fn open(&self) -> Store {
        Store::open(&self.db()).unwrap()
    }

    pub(super) fn ingest(&self) -> Ingested {
        self.open().ingest(&self.records()).unwrap()
    }

    /// A record that passed, one second after the one before.
    pub(super) fn record(&mut self, case: &str, latency_ns: &[f64]) -> Record {
        self.second += 1;
        let device = DeviceFacts::new(Mark::Real, "a, \"b\"", "[1]");
        Record {
            format: FORMAT,
            id: self.journal.next_id(),
            run: self.journal.run().to_owned(),
            recorded_at: jiff::Timestamp::from_second(self.second).unwrap(),
            suite: "s".into(),
            case: case.parse().unwrap(),
            purpose: Purpose::Measure,
            outcome: Outcome::Passed,
            mark: Some(Mark::Real),
            device: Some(device),
            message: None,
            samples: Samples::new(latency_ns.to_vec(), vec![2; latency_ns.len()]),
            metrics: Metrics { items_per_run: Some(4), load_ns: Some(7), ..Metrics::default() },
            op_times: vec![OpTime { name: "dot".into(), time_ns: 9 }],
            fallbacks: Vec::new(),
            outputs: vec![OutputCheck {
                name: "y".into(),
                shape: vec![2, 3],
                error: Some(0.5),
                tolerance: 1.0,
                summary: "it's\n'y'".into(),
            }],
            environment: Environment { machine: "here".into(), ..Environment::default() },
            fingerprint: Fingerprint::new([Part::text("code", "1"), Part::text("driver", "2")]),
        }
    }

    pub(super) fn write(&mut self, record: Record) {
        self.journal.append(&Line::Result(record)).unwrap();
    }

    /// What is written from now on is of another process.
    pub(super) fn end_writing(&mut self) {
        self.journal = Journal::new(&self.records());
    }

    pub(super) fn rows(&self, sql: &str) -> serde_json::Value {
        let store = Store::open_read_only(&self.db()).unwrap();
        json!(store.query(sql).unwrap().objects())
    }
}

pub(super) const CASE: &str = "m/cpu/f32/b4";

#[test]
fn a_record_becomes_rows_once() {
    let mut world = World::new();
    let record = world.record(CASE, &[1e9, 0.1, 3.0]);
    world.write(record);
    assert_eq!(world.ingest().results, 1);
    assert_eq!(world.ingest(), Ingested::default());
    let rows = world.rows(
        "SELECT case_id, mark, samples, iterations, latency_ns_median, recorded_at, adapter, message, \
         throughput_items_per_s, busy_ns FROM latest_results",
    );
    let expected = json!([{
        "case_id": CASE, "mark": "real", "samples": [1e9, 0.1, 3.0], "iterations": [2, 2, 2],
        "latency_ns_median": 3.0, "recorded_at": "2027-01-15T08:00:01Z", "adapter": "a, \"b\"",
        "message": null, "throughput_items_per_s": 4e9 / 3.0, "busy_ns": 2e9 + 0.2 + 6.0 + 7.0,
    }]);
    assert_eq!(rows, expected);
    let rows = world.rows("SELECT name, shape, error, summary FROM outputs");
    assert_eq!(
        rows,
        json!([{ "name": "y", "shape": [2, 3], "error": 0.5, "summary": "it's\n'y'" }])
    );
    let rows = world.rows("SELECT name, value FROM fingerprint_parts ORDER BY position");
    assert_eq!(rows, json!([{ "name": "code", "value": "1" }, { "name": "driver", "value": "2" }]));
    assert_eq!(world.rows("SELECT name, time_ns FROM op_times")[0]["time_ns"], 9);
}

#[test]
fn a_line_that_is_being_written_waits_and_a_damaged_one_is_told_once() {
    let mut world = World::new();
    let record = world.record(CASE, &[1.0]);
    world.write(record);
    let file = proofmark::journal::files(&world.records()).unwrap().remove(0);
    let whole = fs::read(&file).unwrap();
    let mut half = fs::OpenOptions::new().append(true).open(&file).unwrap();
    half.write_all(b"{}\n{\"kind\":\"result\",\"format\":99}\n{\"half").unwrap();
    let ingested = world.ingest();
    assert_eq!((ingested.results, ingested.faults.len()), (1, 2));
    assert_eq!(ingested.faults[0].offset, whole.len() as u64);
    assert_eq!(world.ingest(), Ingested::default());
    assert_eq!(world.rows("SELECT count(*) AS n FROM faults")[0]["n"], 2);
    half.write_all(b"\n").unwrap();
    assert_eq!(world.ingest().faults.len(), 1);
    // The same records in a file that was replaced by a shorter one are still the same records.
    fs::write(&file, whole).unwrap();
    assert_eq!(world.ingest(), Ingested::default());
    assert_eq!(world.rows("SELECT count(*) AS n FROM results")[0]["n"], 1);
}

#[test]
fn a_skip_hides_nothing_and_machines_are_apart() {
    let mut world = World::new();
    let ran = world.record(CASE, &[5.0]);
    let mut skipped = world.record(CASE, &[]);
    (skipped.outcome, skipped.mark, skipped.device) = (Outcome::Skipped, None, None);
    (skipped.metrics, skipped.outputs, skipped.op_times) =
        (Metrics::default(), Vec::new(), Vec::new());
    let mut test = world.record(CASE, &[]);
    test.purpose = Purpose::Test;
    let mut elsewhere = world.record(CASE, &[6.0]);
    elsewhere.environment.machine = "there".into();
    let only_skipped = Record { case: "m/cpu/f32/b8".parse().unwrap(), ..skipped.clone() };
    let only_skipped = Record { id: "other".into(), ..only_skipped };
    [ran, skipped, test, elsewhere, only_skipped]
        .into_iter()
        .for_each(|record| world.write(record));
    world.ingest();
    let rows = world
        .rows("SELECT machine, outcome, latency_ns_median AS m FROM latest_results ORDER BY ALL");
    let expected = json!([
        { "machine": "here", "outcome": "passed", "m": 5.0 },
        { "machine": "here", "outcome": "skipped", "m": null },
        { "machine": "there", "outcome": "passed", "m": 6.0 },
    ]);
    assert_eq!(rows, expected);
    let past = world.open().past("here", &[], NOISE_LIMIT).unwrap();
    assert_eq!(past.keys().collect::<Vec<_>>(), [CASE]);
}

#[test]
fn the_past_has_parts_where_they_differ_and_noise_where_it_matters() {
    let mut world = World::new();
    for latency in [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1.0, 2.0, 4.0], [1.0, 2.0, 5.0]] {
        let record = world.record(CASE, &latency);
        world.write(record);
    }
    world.ingest();
    let wanted = |code: &str| Listed {
        id: CASE.parse().unwrap(),
        fingerprint: Fingerprint::new([Part::text("code", code), Part::text("driver", "2")]),
        absence: None,
    };
    let store = world.open();
    let same = store.past("here", &[wanted("1")], NOISE_LIMIT).unwrap().remove(CASE).unwrap();
    assert_eq!((same.noise.len(), same.noise[1] > 0.1, same.noise[2]), (3, true, 0.0));
    assert_eq!((same.parts, same.outcome, same.mark), (vec![], Outcome::Passed, Some(Mark::Real)));
    let other = store.past("here", &[wanted("2")], 1e9).unwrap().remove(CASE).unwrap();
    assert_eq!(other.parts, [Part::text("code", "1"), Part::text("driver", "2")]);
    assert_eq!(other.noise.len(), 1);
    assert!(store.past("there", &[], NOISE_LIMIT).unwrap().is_empty());
}

#[test]
fn a_probe_is_kept_with_its_limits() {
    let mut world = World::new();
    let mut finding = Finding::absent(Endpoint::CPU, "");
    (finding.mark, finding.reason) = (Some(Mark::Software), None);
    finding.limits.insert("max, size".into(), u64::MAX);
    finding.features.push("it's".into());
    let absent = Finding::absent(Endpoint::WEBGPU_NATIVE, "no adapter");
    for (id, finding) in [("a", finding), ("b", absent)] {
        let (suite, machine) = ("s".into(), "here".into());
        let recorded_at = jiff::Timestamp::UNIX_EPOCH;
        let probe = Probe { format: 1, id: id.into(), recorded_at, suite, machine, finding };
        world.journal.append(&Line::Probe(probe)).unwrap();
    }
    assert_eq!(world.ingest().probes, 2);
    let rows = world.rows("SELECT endpoint, mark, reason FROM probes ORDER BY endpoint");
    let expected = json!([
        { "endpoint": "cpu", "mark": "software", "reason": null },
        { "endpoint": "webgpu-native", "mark": null, "reason": "no adapter" },
    ]);
    assert_eq!(rows, expected);
    assert_eq!(world.rows("SELECT value FROM probe_limits")[0]["value"], u64::MAX);
    assert_eq!(world.rows("SELECT name FROM probe_features")[0]["name"], "it's");
}

#[test]
fn where_a_result_comes_from_is_kept() {
    let mut world = World::new();
    let mut record = world.record(CASE, &[1.0]);
    mix(&mut record);
    world.write(record);
    let mut finding = Finding::absent(Endpoint::CPU, "no browser");
    finding.details.insert("looked at".into(), "/usr/bin/browser".into());
    let (suite, machine, id) = ("s".into(), "here".into(), "a".into());
    let recorded_at = jiff::Timestamp::UNIX_EPOCH;
    let probe = Probe { format: 1, id, recorded_at, suite, machine, finding };
    world.journal.append(&Line::Probe(probe)).unwrap();
    world.ingest();
    check_mixed(&world);
    let rows = world.rows("SELECT name, value FROM probe_details");
    assert_eq!(rows, json!([{ "name": "looked at", "value": "/usr/bin/browser" }]));
}

/// Makes a record of a browser that could not do all.
pub(super) fn mix(record: &mut Record) {
    let details = &mut record.device.as_mut().unwrap().details;
    details.insert("browser".into(), "it's \"147\"".into());
    record.metrics.stages.insert("page".into(), u64::MAX);
    let series = Series { at_ns: vec![0, 9], values: vec![-1.5, 40.25] };
    record.metrics.telemetry = Some(Telemetry {
        over_ns: 9,
        series: [("system.temperature_celsius".into(), series)].into(),
        counters: [("process.major_faults".into(), 3)].into(),
        absent: [("power".into(), "permission denied".into())].into(),
    });
    for op in ["topk", "gather"] {
        let (op, why, to) = (op.to_owned(), "not in opSupportLimits".into(), "cpu".into());
        record.fallbacks.push(Fallback { op, why, to });
    }
}

#[track_caller]
fn check_mixed(world: &World) {
    let rows = world.rows("SELECT name, value FROM details");
    assert_eq!(rows, json!([{ "name": "browser", "value": "it's \"147\"" }]));
    let rows = world.rows("SELECT stage, time_ns FROM stages");
    assert_eq!(rows, json!([{ "stage": "page", "time_ns": u64::MAX }]));
    let rows = world.rows("SELECT name, at_ns, readings FROM time_series");
    let name = "system.temperature_celsius";
    assert_eq!(rows, json!([{ "name": name, "at_ns": [0, 9], "readings": [-1.5, 40.25] }]));
    let rows = world.rows("SELECT name, risen, over_ns FROM counters");
    assert_eq!(rows, json!([{ "name": "process.major_faults", "risen": 3, "over_ns": 9 }]));
    let rows = world.rows("SELECT name, reason FROM absences");
    assert_eq!(rows, json!([{ "name": "power", "reason": "permission denied" }]));
    let rows = world.rows("SELECT op, why, goes_to FROM fallbacks ORDER BY position");
    let row = |op| json!({ "op": op, "why": "not in opSupportLimits", "goes_to": "cpu" });
    assert_eq!(rows, json!([row("topk"), row("gather")]));
    let rows = world.rows("SELECT case_id, fallbacks FROM latest_results");
    assert_eq!(rows, json!([{ "case_id": CASE, "fallbacks": 2 }]));
}

#[test]
fn results_with_fallbacks_are_told_from_those_without() {
    let mut world = World::new();
    // How many of the results so far are of the kind of the latest: each kind has a noise of its own.
    for (latency, fell_back, of_its_kind) in [(9.0, true, 1), (3.0, false, 1), (8.0, true, 2)] {
        let mut record = world.record(CASE, &[1.0, 5.0, latency]);
        if fell_back {
            mix(&mut record);
        }
        world.write(record);
        world.ingest();
        let past = world.open().past("here", &[], 0.0).unwrap().remove(CASE).unwrap();
        assert_eq!((past.fell_back, past.noise.len()), (fell_back, of_its_kind));
        let rows = world.rows("SELECT fallbacks FROM latest_results");
        assert_eq!(rows, json!([{ "fallbacks": if fell_back { 2 } else { 0 } }]));
    }
}

#[test]
fn lines_of_format_1_are_read() {
    let mut world = World::new();
    let record = Record { format: 1, ..world.record(CASE, &[1.0]) };
    let text = serde_json::to_string(&record).unwrap();
    let new = ["details", "stages", "fallbacks", "telemetry"].map(|word| text.contains(word));
    assert_eq!(new, [false; 4], "this is not a line as format 1 had it: {text}");
    world.write(record);
    assert_eq!(world.ingest().results, 1);
}

#[test]
fn a_database_of_schema_1_is_brought_up_to_date() {
    let mut world = World::new();
    let mut mixed = world.record(CASE, &[1.0]);
    mix(&mut mixed);
    world.write(mixed);
    world.ingest();
    // What an older version has made of it: the row, and that all files were read.
    let now = world.folder.path().join("now.duckdb");
    fs::rename(world.db(), &now).unwrap();
    let connection = Connection::open(world.db()).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    let copied = format!(
        "ATTACH '{}' AS now; INSERT INTO results SELECT * EXCLUDE (dropped_samples) FROM now.results;
         INSERT INTO files SELECT * FROM now.files; DETACH now",
        now.display()
    );
    connection.execute_batch(&copied).unwrap();
    connection.close().unwrap();
    let error = Store::open_read_only(&world.db()).unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, .. }), "{error}");
    // The row is known, and still its line is read again.
    assert_eq!(world.ingest().results, 0);
    check_mixed(&world);
    assert_eq!(world.rows("SELECT count(*) AS n FROM results")[0]["n"], 1);
}

#[test]
fn a_rebuilt_database_has_the_same_rows() {
    let mut world = World::new();
    for latency in [1.5, 2.5] {
        let record = world.record(CASE, &[latency]);
        world.write(record);
    }
    world.ingest();
    let all = "SELECT * FROM results ORDER BY id";
    let before = world.rows(all);
    let ingested = world.rebuild().unwrap();
    assert_eq!((ingested.results, world.rows(all)), (2, before.clone()));
    fs::remove_file(world.db()).unwrap();
    // What a killed rebuild has left, also one whose process had the id that this one has, gets into no database.
    let left = |number: u32| world.folder.path().join(format!("results.{number}.tmp"));
    for number in [std::process::id(), 4_000_000_000] {
        let other = Connection::open(left(number)).unwrap();
        other.execute_batch("CREATE TABLE results (x INTEGER)").unwrap();
        other.close().unwrap();
    }
    fs::write(left(4_000_000_001), "half a database").unwrap();
    world.rebuild().unwrap();
    assert_eq!(world.rows(all), before);
    let left: Vec<_> = fs::read_dir(world.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A file that is refused by every way of opening stays as it is.
#[track_caller]
fn check_refused(world: &World, says: &str) {
    let before = fs::read(world.db()).unwrap();
    let errors = [
        Store::open(&world.db()).unwrap_err(),
        Store::open_read_only(&world.db()).unwrap_err(),
        world.rebuild().unwrap_err(),
    ];
    for error in errors {
        let message = error.to_string();
        assert!(message.contains(says) && message.contains("results.duckdb"), "{message}");
    }
    assert_eq!(fs::read(world.db()).unwrap(), before);
}

#[test]
fn other_files_are_refused_and_left_untouched() {
    let world = World::new();
    fs::write(world.db(), "a letter to a friend").unwrap();
    check_refused(&world, "failed to open");
    fs::remove_file(world.db()).unwrap();
    let make = |sql: &str| {
        let connection = Connection::open(world.db()).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
    };
    make("CREATE TABLE results (x INTEGER)");
    check_refused(&world, "of another program");
    fs::remove_file(world.db()).unwrap();
    drop(world.open());
    make("UPDATE proofmark_meta SET schema_version = 99");
    check_refused(&world, "has schema 99");
}

#[test]
fn a_reader_can_only_read() {
    let mut world = World::new();
    let error = Store::open_read_only(&world.db()).unwrap_err().to_string();
    assert!(error.contains("cargo xtask incremental"), "{error}");
    let record = world.record(CASE, &[1.0]);
    world.write(record);
    world.ingest();
    let store = Store::open_read_only(&world.db()).unwrap();
    let secret = world.folder.path().join("secret.csv");
    fs::write(&secret, "a\n1\n").unwrap();
    let secret = secret.display();
    for sql in [
        "DELETE FROM results".to_owned(),
        "CREATE TABLE t (x INTEGER)".to_owned(),
        "SET enable_external_access = true".to_owned(),
        format!("SELECT * FROM read_csv('{secret}')"),
        format!("COPY results TO '{secret}'"),
        format!("ATTACH '{secret}.duckdb'"),
        format!("EXPORT DATABASE '{secret}.d'"),
        "INSTALL httpfs".to_owned(),
        "select nonsense".to_owned(),
        String::new(),
    ] {
        let answer = store.query(&sql);
        assert!(matches!(answer, Err(StoreError::Query(_))), "{sql}: {answer:?}");
    }
    assert_eq!(store.query("SELECT count(*) FROM results").unwrap().rows, [[json!(1)]]);
}

#[test]
fn values_keep_their_kind() {
    let world = World::new();
    drop(world.open());
    let rows = world.rows(
        "SELECT 1::TINYINT AS small, 2::HUGEINT AS huge, 18446744073709551615::UBIGINT AS big, \
         1.25::DECIMAL(9,2) AS decimal, 0.5::DOUBLE AS double, 'nan'::DOUBLE AS nan, true AS yes, \
         NULL AS nothing, 'x' AS text, [1, NULL] AS list, {'a': 1, 'b': [2]} AS struct, \
         MAP {'k': 1} AS map, TIMESTAMP '2026-01-02 03:04:05.5' AS time, DATE '2026-01-02' AS date, \
         TIME '03:04:05' AS clock, '\\xAB'::BLOB AS blob, INTERVAL 36 HOURS AS interval",
    );
    let expected = json!([{
        "small": 1, "huge": 2, "big": u64::MAX, "decimal": 1.25, "double": 0.5, "nan": null,
        "yes": true, "nothing": null, "text": "x", "list": [1, null], "struct": { "a": 1, "b": [2] },
        "map": [{ "key": "k", "value": 1 }], "time": "2026-01-02T03:04:05.5Z", "date": "2026-01-02",
        "clock": "03:04:05", "blob": "ab", "interval": "P0M0DT129600S",
    }]);
    assert_eq!(rows, expected);
}

#[test]
fn one_writer_or_many_readers() {
    let world = World::new();
    drop(world.open());
    let first = Store::open_read_only(&world.db()).unwrap();
    let second = Store::open_read_only(&world.db()).unwrap();
    assert_eq!(first.query("SELECT 1").unwrap(), second.query("SELECT 1").unwrap());
}

#[test]
fn what_passed_and_was_timed_is_in_a_trend_and_nothing_else() {
    let mut world = World::new();
    let timed = world.record(CASE, &[2.0, 4.0, 3.0]);
    let mut failed = world.record(CASE, &[9.0]);
    failed.outcome = Outcome::Failed;
    let test = Record { purpose: Purpose::Test, ..world.record(CASE, &[]) };
    let mut helped = world.record(CASE, &[5.0]);
    helped.fallbacks = vec![Fallback { op: "o".into(), why: "w".into(), to: "cpu".into() }];
    let other = world.record("m/abacus/f32/b4", &[7.0]);
    [&timed, &failed, &test, &helped, &other]
        .into_iter()
        .for_each(|record| world.write(record.clone()));
    world.ingest();
    let store = world.open();
    let cases = store.timed_cases().unwrap();
    assert_eq!(
        cases.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["m/abacus/f32/b4", CASE]
    );
    let mut rows = store.timed(&[CASE.to_owned()].into()).unwrap();
    rows.sort_by(|a, b| a.point.record.cmp(&b.point.record));
    let [plain, with] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&plain.point.record, plain.kind.fallbacks), (&timed.id, false));
    assert_eq!((&with.point.record, with.kind.fallbacks), (&helped.id, true));
    assert_eq!((plain.point.recorded_at, plain.point.latency_ns_median), (timed.recorded_at, 3.0));
    assert!(plain.point.latency_ns_spread.is_some_and(|spread| (spread - 1.4826).abs() < 1e-4));
    assert_eq!((&*plain.point.facts.driver, &*plain.suite), ("[1]", "s"));
    let digest = timed.fingerprint.digest.as_str();
    assert_eq!(store.parts(&[digest, "unknown"].into()).unwrap()[digest], timed.fingerprint.parts);
}
