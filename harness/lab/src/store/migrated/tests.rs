//! What gets from lines into the tables, what comes back, and what is refused.

use super::*;
use crate::migrate::lines::{FORMAT, Writer};
use proofmark::fingerprint::digest;
use std::path::PathBuf;
use tempfile::TempDir;

const FIRST: &str = r#"[{"hardware": "cuda", "model_name": "m", "batch_size": 8, "precision": "fp16", "latency_ms": {"p95": 2}}, {"is_simulated": true, "frobnication_ms": 3, "memory_mb": 1}]"#;
const SECOND: &str = r#"{"hardware": "cpu", "load_time": 4}"#;

struct World(TempDir);

impl World {
    fn lines(&self) -> PathBuf {
        self.0.path().join("migrated")
    }

    fn store(&self) -> Store {
        Store::open(&self.0.path().join("results.duckdb")).unwrap()
    }

    fn append(&self, text: &str) {
        Writer::open(&self.lines()).unwrap().append(text).unwrap();
    }

    /// Says that a file has this content at this second; gives what is in it.
    fn has(&self, source_file: &str, json: &str, second: i64) -> Extracted {
        let found = crate::migrate::read(json.as_bytes(), "x.json").unwrap();
        let (sha256, source_file) = (digest(json.as_bytes()), source_file.to_owned());
        let seen_at = jiff::Timestamp::from_second(1_800_000_000 + second).unwrap();
        let source = Source {
            format: FORMAT,
            source_file: source_file.clone(),
            sha256: sha256.clone(),
            seen_at,
        };
        let content = Content::new(found.clone(), sha256, source_file, 1, seen_at);
        for line in [Line::Content(Box::new(content)), Line::Source(source)] {
            self.append(&lines::text(&line).unwrap());
        }
        found
    }

    fn take_in(&self) -> Taken {
        self.store().ingest_migrated(&self.lines()).unwrap()
    }

    /// Files and paths of the view, in their order.
    fn latest(&self) -> Vec<(String, String)> {
        let store = self.store();
        let sql = "SELECT source_file, json_path FROM latest_migrated ORDER BY ALL";
        let mut statement = store.connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn world() -> World {
    World(tempfile::tempdir().unwrap())
}

fn of(file: &str, paths: &[&str]) -> Vec<(String, String)> {
    paths.iter().map(|path| (file.to_owned(), (*path).to_owned())).collect()
}

const PATHS: [&str; 3] = ["$[0].latency_ms.p95", "$[1].frobnication_ms", "$[1].memory_mb"];

#[test]
fn numbers_come_in_once_and_as_they_were_found() {
    let world = world();
    assert_eq!(world.take_in(), Taken::default());
    let [first, second] =
        [("a", FIRST), ("b", SECOND)].map(|(file, json)| world.has(file, json, 0));
    world.append("{\"content\": {}}\n");
    world.has("a", FIRST, 1);
    let taken = world.take_in();
    assert_eq!((taken.files, taken.rows, taken.faults.len()), (2, 4, 1), "{:?}", taken.faults);
    assert_eq!(world.take_in(), Taken::default());
    let store = world.store();
    let keys = [FIRST, SECOND].map(|json| digest(json.as_bytes()));
    let stored = store.stored_numbers(&keys).unwrap();
    assert_eq!(stored[&keys[0]], expected_numbers(&first));
    assert_eq!(stored[&keys[1]], expected_numbers(&second));
    let known = &store.known_contents().unwrap()[&keys[0]];
    assert_eq!((known.simulated, known.claimed, known.outcome), (2, 1, Outcome::Partly));
    // Every column counts when what is stored is compared with what was found.
    for column in [
        "model",
        "endpoint",
        "metric",
        "statistic",
        "unit",
        "reason",
        "note",
        "precision",
        "name",
        "raw",
    ] {
        let of =
            format!("FROM migrated_results WHERE sha256 = '{}' AND {column} IS NOT NULL", keys[0]);
        let change = format!(
            "UPDATE migrated_results SET {column} = {column} || '!' WHERE rowid = (SELECT min(rowid) {of})"
        );
        store.connection.execute_batch(&format!("BEGIN; {change}")).unwrap();
        let changed = store.stored_numbers(&keys[..1]).unwrap();
        assert_ne!(changed[&keys[0]], expected_numbers(&first), "{column}");
        store.connection.execute_batch("ROLLBACK").unwrap();
    }
}

#[test]
fn the_view_has_what_each_file_has_now() {
    let world = world();
    world.has("b", FIRST, 0);
    world.has("a", FIRST, 1);
    world.take_in();
    assert_eq!(world.latest(), of("b", &PATHS), "under the file in which it was found first");
    world.has("b", SECOND, 2);
    world.take_in();
    assert_eq!(world.latest(), [of("a", &PATHS), of("b", &["$.load_time"])].concat());
    world.has("a", SECOND, 3);
    world.take_in();
    assert_eq!(world.latest(), of("b", &["$.load_time"]));
    world.has("b", FIRST, 4);
    world.take_in();
    assert_eq!(world.latest(), [of("a", &["$.load_time"]), of("b", &PATHS)].concat());
}

#[test]
fn the_database_refuses_what_no_migration_may_say() {
    let world = world();
    world.has("a", SECOND, 0);
    world.take_in();
    let store = world.store();
    for change in [
        "mark = 'real'",
        "mark = 'software'",
        "reason = ''",
        "json_path = ''",
        "unit = NULL",
        "metric = NULL",
        "note = 'x'",
        "value = NULL",
        "source_file = ''",
    ] {
        let sql = format!("UPDATE migrated_results SET {change}");
        assert!(store.connection.execute_batch(&sql).is_err(), "{change}");
    }
}
