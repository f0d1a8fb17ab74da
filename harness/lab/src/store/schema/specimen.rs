//! Databases of each schema version with rows in every table, for tests. The rows are in `tests/fixtures/schema/`.

use super::{MIGRATIONS, migrate_along};
use duckdb::Connection;
use std::path::Path;

/// Rows by the version from which on the tables have them, and the last version that has them so.
const ROWS: &[(&str, usize, usize)] = &[
    ("rows_1.sql", 1, usize::MAX),
    ("rows_2.sql", 2, usize::MAX),
    ("rows_3.sql", 3, 3),
    ("rows_4.sql", 4, usize::MAX),
    ("rows_5.sql", 5, usize::MAX),
    ("rows_6.sql", 6, usize::MAX),
    ("rows_7.sql", 7, usize::MAX),
    ("rows_9.sql", MIGRATIONS.len(), usize::MAX),
];

/// Makes of an empty database one of this version, with rows in every table.
pub(super) fn fill(connection: &Connection, version: usize) {
    migrate_along(connection, 0, &MIGRATIONS[..version]).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/schema");
    for (name, from, until) in ROWS {
        if (*from..=*until).contains(&version) {
            let sql = std::fs::read_to_string(folder.join(name)).unwrap();
            connection.execute_batch(&sql).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    if version == MIGRATIONS.len() {
        refill(connection);
    }
}

/// Makes the table of the latest results from the results, as their way in keeps it.
pub(super) fn refill(connection: &Connection) {
    let sql = "DELETE FROM latest; INSERT INTO latest SELECT results.*, (SELECT count(*) FROM fallbacks WHERE result_id = id) \
               FROM results WHERE purpose = 'measure' QUALIFY row_number() OVER (PARTITION BY case_id, machine ORDER BY \
               outcome = 'skipped' OR (outcome = 'passed' AND latency_ns_median IS NULL), recorded_at DESC, id DESC) = 1";
    connection.execute_batch(sql).unwrap();
}

/// A database of this version of the program, with rows.
pub(super) fn filled() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    fill(&connection, MIGRATIONS.len());
    connection
}

/// The answers of a query with one column of text.
pub(super) fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let rows = statement.query_map([], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"));
    rows.collect::<duckdb::Result<_>>().unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The tables of a database.
pub(super) fn tables(connection: &Connection) -> Vec<String> {
    texts(connection, "SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")
}
