//! A database of each earlier version becomes one of this version: no row is lost, and the schema is that of a new one.

use super::specimen::{fill, tables, texts};
use super::{MIGRATIONS, Owner, owner, version};
use crate::store::{Store, StoreError};
use duckdb::Connection;
use std::path::Path;
use tempfile::TempDir;

/// Tables whose rows do not stay: how far files were read is forgotten so that they are read again.
const FORGOTTEN: [&str; 3] = ["files", "faults", "proofmark_meta"];

/// Everything that the schema of a database consists of.
fn schema(connection: &Connection) -> Vec<String> {
    let parts = [
        "SELECT concat_ws(' ', table_name, column_index, column_name, data_type, is_nullable, column_default) \
         FROM duckdb_columns() WHERE NOT internal ORDER BY 1",
        "SELECT concat_ws(' ', table_name, constraint_type, constraint_text) FROM duckdb_constraints() ORDER BY 1",
        "SELECT sql FROM duckdb_views() WHERE NOT internal ORDER BY 1",
        "SELECT concat_ws(' ', table_name, index_name, sql) FROM duckdb_indexes() ORDER BY 1",
        "SELECT concat_ws(' ', schema_name, sequence_name) FROM duckdb_sequences() ORDER BY 1",
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE NOT internal ORDER BY 1",
    ];
    parts.iter().flat_map(|sql| texts(connection, sql)).collect()
}

/// The columns of a table, as SQL.
fn columns(connection: &Connection, table: &str) -> String {
    let sql = format!(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}' ORDER BY column_index"
    );
    texts(connection, &sql).join(", ")
}

/// The rows of a table, as text, in these columns.
fn rows(connection: &Connection, table: &str, columns: &str) -> Vec<String> {
    texts(connection, &format!("SELECT row({columns})::VARCHAR FROM {table} ORDER BY 1"))
}

/// A file with a database of an earlier version, made by that version's scripts.
fn file(version: usize, more: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.duckdb");
    let connection = Connection::open(&path).unwrap();
    fill(&connection, version);
    connection.execute_batch(more).unwrap();
    connection.close().unwrap();
    (folder, path)
}

fn open(path: &Path) -> Connection {
    Store::open(path).unwrap().close().unwrap();
    Connection::open(path).unwrap()
}

#[test]
fn every_earlier_version_becomes_this_one_and_loses_nothing() {
    let (_folder, path) = file(MIGRATIONS.len(), "");
    let new = schema(&open(&path));
    for from in 1..MIGRATIONS.len() {
        let (_folder, path) = file(from, "");
        let old = Connection::open(&path).unwrap();
        let before: Vec<_> = tables(&old)
            .into_iter()
            .filter(|table| !FORGOTTEN.contains(&&**table))
            .map(|table| {
                let columns = columns(&old, &table);
                let rows = rows(&old, &table, &columns);
                assert!(!rows.is_empty(), "version {from} has no row in {table}");
                (table, columns, rows)
            })
            .collect();
        old.close().unwrap();
        let error = Store::open_read_only(&path).unwrap_err();
        assert!(matches!(error, StoreError::Older { .. }), "{error}");
        let now = open(&path);
        for (table, columns, before) in before {
            assert_eq!(rows(&now, &table, &columns), before, "{table} of version {from}");
        }
        assert_eq!(texts(&now, "SELECT content FROM set_aside"), Vec::<String>::new());
        let (now_has, new_has) = (schema(&now), &new);
        let odd = now_has.iter().filter(|part| !new_has.contains(part));
        let missing = new_has.iter().filter(|part| !now_has.contains(part));
        let differ: Vec<_> = odd.chain(missing).collect();
        assert!(differ.is_empty(), "the schema of version {from}, brought up to date: {differ:?}");
        assert_eq!(now_has.len(), new_has.len());
        assert_eq!(owner(&now).unwrap(), Owner::Ours(version()));
    }
}

/// What the views promise of rows that an older version wrote.
#[test]
fn views_show_the_rows_of_every_earlier_version() {
    for from in 1..MIGRATIONS.len() {
        let (_folder, path) = file(from, "");
        let now = open(&path);
        let shown = texts(
            &now,
            "SELECT concat_ws(' ', case_id, mark, latency_ns_median, len(samples), fallbacks) FROM latest_results ORDER BY 1",
        );
        let fallbacks = usize::from(from > 1);
        let expected = [
            "bert-tiny/cpu/f32/b1-s8 real 138000.0 3 0".to_owned(),
            "bert-tiny/cuda/f32/b1-s8 0 0".to_owned(),
            format!("bert-tiny/webgpu-native/f32/b1-s8 software 1380000.0 2 {fallbacks}"),
            "vit-tiny/cpu/f32/b1 real 18000000.0 1 0".to_owned(),
        ];
        assert_eq!(shown, expected, "version {from}");
        let reality = texts(&now, "SELECT reality FROM predictions WHERE id = 'q-1'");
        assert_eq!(reality, vec!["real"; usize::from(from > 2)], "version {from}");
        let migrated = texts(&now, "SELECT raw FROM latest_migrated ORDER BY 1");
        assert_eq!(migrated.len(), if from > 4 { 3 } else { 0 }, "version {from}");
    }
}

/// Rows that an older version let in and this one refuses, by table.
const ODD: [(&str, &str); 9] = [
    (
        "results",
        "SELECT * REPLACE ('odd-1' AS id, 'simulated' AS mark) FROM results WHERE id = 'a-1'",
    ),
    (
        "results",
        "SELECT * REPLACE ('odd-2' AS id, 'nan'::DOUBLE AS latency_ns_median) FROM results WHERE id = 'a-1'",
    ),
    (
        "results",
        "SELECT * REPLACE ('odd-3' AS id, 1 AS latency_ns_median, [] AS samples, [] AS iterations) FROM results WHERE id = 'a-1'",
    ),
    (
        "results",
        "SELECT * REPLACE ('odd-4' AS id, [1, NULL, 2] AS samples) FROM results WHERE id = 'a-1'",
    ),
    (
        "results",
        "SELECT * REPLACE ('odd-5' AS id, 'x/cpu/f32/b1' AS case_id) FROM results WHERE id = 'a-1'",
    ),
    (
        "outputs",
        "SELECT * REPLACE (9 AS position, 'inf'::DOUBLE AS tolerance) FROM outputs WHERE result_id = 'a-1'",
    ),
    ("probes", "SELECT * REPLACE ('odd-6' AS id, 'claimed' AS mark) FROM probes WHERE id = 'p-1'"),
    (
        "predictions",
        "SELECT * REPLACE ('odd-7' AS id, 'inf'::DOUBLE AS high_ms) FROM predictions WHERE id = 'q-1'",
    ),
    ("lessons", "SELECT * REPLACE ('odd-8' AS id, [-1.0] AS rates) FROM lessons"),
];

#[test]
fn rows_that_are_refused_today_are_set_aside() {
    let more: Vec<_> =
        ODD.iter().map(|(table, select)| format!("INSERT INTO {table} {select}")).collect();
    // The last version before these checks.
    let (_folder, path) = file(7, &more.join(";"));
    let now = open(&path);
    let mut expected: Vec<_> = ODD.iter().map(|(table, _)| (*table).to_owned()).collect();
    expected.sort();
    assert_eq!(texts(&now, "SELECT table_name FROM set_aside ORDER BY 1"), expected);
    let odd = "SELECT count(*)::VARCHAR FROM set_aside WHERE content LIKE '%odd%'";
    assert_eq!(texts(&now, odd), ["8"], "a row is whole");
    let (_other, plain) = file(7, "");
    let fresh = open(&plain);
    for table in tables(&fresh).iter().filter(|table| !FORGOTTEN.contains(&table.as_str())) {
        let columns = columns(&fresh, table);
        if table != "set_aside" {
            assert_eq!(rows(&now, table, &columns), rows(&fresh, table, &columns), "{table}");
        }
    }
    drop(now);
    // They stay as the database is opened again.
    assert_eq!(texts(&open(&path), "SELECT table_name FROM set_aside ORDER BY 1"), expected);
}
