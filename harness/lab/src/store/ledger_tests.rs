//! Many results at once: nothing gets in twice, the latest are the latest, and compressed files are read as plain ones.

use super::tests::{CASE, World};
use super::{Ingested, Store, schema};
use duckdb::Connection;
use fastrand::Rng;
use proofmark::journal::{compaction, written};
use proofmark::record::{
    Fallback, Line, Metrics, Outcome, Purpose, Record, Samples, Series, Telemetry,
};
use serde_json::{Value, json};
use std::fs;

/// `latest_results` as schema 2 defined it.
const WINDOW: &str = "
    SELECT case_id, machine, outcome, latency_ns_median, samples, recorded_at, id, coalesce(ops, 0) AS fallbacks
    FROM results LEFT JOIN (SELECT result_id, count(*) AS ops FROM fallbacks GROUP BY result_id) ON result_id = id
    WHERE purpose = 'measure'
    QUALIFY row_number() OVER (
        PARTITION BY case_id, machine
        ORDER BY outcome = 'skipped' OR (outcome = 'passed' AND latency_ns_median IS NULL),
            recorded_at DESC, id DESC
    ) = 1 ORDER BY ALL";
const VIEW: &str = "
    SELECT case_id, machine, outcome, latency_ns_median, samples, recorded_at, id, fallbacks
    FROM latest_results ORDER BY ALL";

/// Tables and a query that counts rows that stand in one twice.
const CHILDREN: [(&str, &str); 10] = [
    ("outputs", "result_id, position"),
    ("op_times", "result_id, position"),
    ("details", "result_id, name"),
    ("stages", "result_id, stage"),
    ("fallbacks", "result_id, position"),
    ("time_series", "result_id, name"),
    ("counters", "result_id, name"),
    ("absences", "result_id, name"),
    ("summaries", "result_id"),
    ("fingerprint_parts", "fingerprint, position"),
];

/// A result of any kind, at any time, of one of few cases on one of few machines.
fn any(world: &mut World, rng: &mut Rng) -> Record {
    let case = format!("m/cpu/f32/b{}", rng.u8(..4));
    let mut record = world.record(&case, &[]);
    record.recorded_at = jiff::Timestamp::from_second(rng.i64(0..6)).unwrap();
    record.environment.machine = format!("machine {}", rng.u8(..2));
    record.purpose = if rng.u8(..5) == 0 { Purpose::Test } else { Purpose::Measure };
    record.outcome = [Outcome::Passed, Outcome::Failed, Outcome::Skipped][rng.usize(..3)];
    if rng.bool() {
        record.samples = Samples::new(vec![f64::from(rng.u8(..9)); 3], vec![1; 3]);
    }
    if record.outcome == Outcome::Skipped {
        (record.mark, record.device, record.samples) = (None, None, Samples::default());
        (record.metrics, record.outputs, record.op_times) =
            (Metrics::default(), Vec::new(), Vec::new());
    } else if rng.u8(..4) == 0 {
        super::tests::mix(&mut record);
    }
    if rng.u8(..4) == 0 {
        record = crate::retention::thin(&record).unwrap_or(record);
    }
    record
}

#[track_caller]
fn check_sound(world: &World) {
    assert_eq!(world.rows(VIEW), world.rows(WINDOW));
    let twice = |(table, key): &(&str, &str)| {
        let sql = format!(
            "SELECT count(*) AS n FROM (SELECT {key} FROM {table} GROUP BY ALL HAVING count(*) > 1)"
        );
        (table.to_string(), world.rows(&sql)[0]["n"].clone())
    };
    let twice: Vec<_> = CHILDREN.iter().map(twice).filter(|(_, n)| *n != 0).collect();
    assert_eq!(twice, [], "rows that got in twice");
}

#[test]
fn the_latest_are_those_of_the_window_however_results_come() {
    for seed in 0..6 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new();
        for _ in 0..rng.usize(1..6) {
            for _ in 0..rng.usize(..40) {
                let record = any(&mut world, &mut rng);
                world.write(record);
            }
            world.ingest();
            check_sound(&world);
        }
        let before = world.rows(VIEW);
        world.rebuild().unwrap();
        assert_eq!(world.rows(VIEW), before);
        check_sound(&world);
    }
}

#[test]
fn a_copy_of_a_file_brings_nothing() {
    let mut rng = Rng::with_seed(1);
    let mut world = World::new();
    for _ in 0..300 {
        let record = any(&mut world, &mut rng);
        world.write(record);
    }
    // In one reading, and in a later one.
    let file = proofmark::journal::files(&world.records()).unwrap().remove(0);
    fs::copy(&file, world.records().join("a.jsonl")).unwrap();
    assert_eq!(world.ingest().results, 300);
    check_sound(&world);
    let all = "SELECT (SELECT count(*) FROM outputs) AS a, (SELECT count(*) FROM time_series) AS b, \
               (SELECT count(*) FROM fallbacks) AS c, (SELECT count(*) FROM fingerprint_parts) AS d";
    let before = world.rows(all);
    for copy in ["b.jsonl", "c.jsonl"] {
        fs::copy(&file, world.records().join(copy)).unwrap();
        assert_eq!(world.ingest(), Ingested::default());
        assert_eq!(world.rows(all), before);
        check_sound(&world);
    }
}

/// More than is read as one portion, so that several threads read it.
#[test]
fn much_is_read_as_little_is() {
    let mut world = World::new();
    let series =
        || Series { at_ns: (0..9000).collect(), values: (0..9000).map(f64::from).collect() };
    for number in 0..60 {
        let mut record = world.record(CASE, &[f64::from(number)]);
        record.metrics.telemetry = Some(Telemetry {
            over_ns: 1,
            series: [("x_w".into(), series())].into(),
            ..Telemetry::default()
        });
        world.write(record);
    }
    let file = proofmark::journal::files(&world.records()).unwrap().remove(0);
    assert!(fs::metadata(&file).unwrap().len() > 4 << 20);
    assert_eq!(world.ingest().results, 60);
    check_sound(&world);
    let found = world.rows("SELECT samples[1] AS sample FROM results ORDER BY rowid");
    let expected: Vec<Value> =
        (0..60).map(|number| json!({ "sample": f64::from(number) })).collect();
    assert_eq!(found, json!(expected), "results come in the order of their file");
    assert_eq!(world.rows("SELECT sum(len(readings)) AS n FROM time_series")[0]["n"], 60 * 9000);
}

#[test]
fn a_database_of_schema_7_keeps_its_rows_and_gets_its_latest() {
    let mut rng = Rng::with_seed(2);
    let mut world = World::new();
    for _ in 0..100 {
        let mut record = any(&mut world, &mut rng);
        // At that time nothing was dropped.
        record.samples.summary = None;
        world.write(record);
    }
    world.ingest();
    let now = world.db().with_extension("now");
    fs::rename(world.db(), &now).unwrap();
    let connection = Connection::open(world.db()).unwrap();
    schema::migrate_along(&connection, 0, &schema::MIGRATIONS[..7]).unwrap();
    let tables = CHILDREN.iter().map(|(table, _)| *table).chain(["files"]);
    let copies: Vec<_> = tables
        .filter(|table| *table != "summaries")
        .map(|table| format!("INSERT INTO {table} SELECT * FROM now.{table};"))
        .collect();
    connection
        .execute_batch(&format!(
            "ATTACH '{}' AS now; {} INSERT INTO results SELECT * EXCLUDE (dropped_samples) FROM now.results; \
             DETACH now",
            now.display(),
            copies.concat()
        ))
        .unwrap();
    connection.close().unwrap();
    drop(Store::open(&world.db()).unwrap());
    check_sound(&world);
    assert_eq!(world.rows("SELECT count(*) AS n FROM results")[0]["n"], 100);
    assert_eq!(world.ingest(), Ingested::default());
}

#[test]
fn so_many_results_that_they_are_sorted_in_pieces_are_what_was_written() {
    let mut rng = Rng::with_seed(4);
    let mut world = World::new();
    fs::create_dir_all(world.records()).unwrap();
    // Enough bytes for the way of many, enough rows for several vectors, and a second reading beside what is stored.
    for file in ["a", "b"] {
        let mut text = String::new();
        let mut records = Vec::new();
        for number in 0..2500_u32 {
            let mut record = any(&mut world, &mut rng);
            record.id = format!("{file}-{number:04}");
            if record.mark.is_some() {
                let latency_ns = vec![f64::from(number); 1 + number as usize % 3];
                let runs = vec![u64::from(number); latency_ns.len()];
                record.samples = Samples::new(latency_ns, runs);
            }
            text += &written(&Line::Result(record.clone())).unwrap();
            records.push(record);
        }
        assert!(text.len() > 1 << 20, "{}", text.len());
        fs::write(world.records().join(format!("{file}.jsonl")), text).unwrap();
        assert_eq!(world.ingest().results, 2500);
        check_sound(&world);
        let sql = format!(
            "SELECT id, samples, iterations FROM results WHERE run = '{}' AND starts_with(id, '{file}') ORDER BY id",
            records[0].run
        );
        let stored: Vec<Value> = records
            .iter()
            .map(|r| json!({ "id": r.id, "samples": r.samples.latency_ns, "iterations": r.samples.iterations }))
            .collect();
        assert_eq!(world.rows(&sql), json!(stored));
    }
}

#[test]
fn files_that_were_put_together_are_read_as_before() {
    let mut rng = Rng::with_seed(3);
    let mut world = World::new();
    let fallback = Fallback { op: "o".into(), why: "w".into(), to: "cpu".into() };
    for _ in 0..50 {
        let mut record = any(&mut world, &mut rng);
        record.fallbacks.truncate(1);
        assert!(record.fallbacks.len() < 2 || record.fallbacks[0] != fallback);
        world.write(record);
    }
    world.ingest();
    let all = "SELECT * FROM results ORDER BY id";
    let before = (world.rows(all), world.rows(VIEW));
    // Its writer has not ended: it stays.
    let later = "9999-01-01T00:00:00Z".parse().unwrap();
    let found = compaction::find(&world.records(), later, false).unwrap();
    assert_eq!((found.old.len(), found.kept.len()), (0, 1));
    assert!(found.kept[0].1.contains("still being written"), "{:?}", found.kept);
    world.end_writing();
    let early = compaction::find(&world.records(), jiff::Timestamp::UNIX_EPOCH, false).unwrap();
    assert!(early.old.is_empty());
    let found = compaction::find(&world.records(), later, false).unwrap();
    let [file] = &found.old[..] else { panic!("{found:?}") };
    let text = fs::read(&file.path).unwrap();
    let into = compaction::compact(&found.old).unwrap();
    assert!(into.bytes < file.bytes / 3, "{into:?}");
    world.open().moved(&[&file.path], &into.path, into.bytes).unwrap();
    // Killed here, both are there.
    assert_eq!(world.ingest(), Ingested::default());
    check_sound(&world);
    compaction::remove(found.old).unwrap();
    assert_eq!(world.ingest(), Ingested::default());
    assert_eq!((world.rows(all), world.rows(VIEW)), before);
    assert_eq!(world.rebuild().unwrap().results, 50);
    assert_eq!((world.rows(all), world.rows(VIEW)), before);
    check_sound(&world);
    // A flipped byte in it is found, and costs no more than what can no longer be read.
    let mut damaged = fs::read(&into.path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&into.path, damaged).unwrap();
    let rebuilt = world.rebuild().unwrap();
    assert!(!rebuilt.faults.is_empty() && rebuilt.results <= 50, "{rebuilt:?}");
    fs::write(world.records().join("z.jsonl"), text).unwrap();
    assert_eq!(world.ingest().results + rebuilt.results, 50);
    assert_eq!(world.rows(all), before.0);
}
