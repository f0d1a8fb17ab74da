//! docs/schema.md says what the database has: every table, view and column, with its type, and whether it may be null.

use super::specimen::{filled, texts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A column as the page has it.
pub(super) struct Column {
    pub(super) name: String,
    kind: String,
    /// The unit, in which a value may not be below zero.
    pub(super) unit: String,
    null: String,
    meaning: String,
}

/// The tables and views of the page with their columns, in its order.
pub(super) fn page() -> BTreeMap<String, Vec<Column>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with('#') {
            let name = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`'));
            current = name.map(str::to_owned);
            if let Some(name) = name {
                let again = tables.insert(name.to_owned(), Vec::new());
                assert!(again.is_none(), "the page has {name} twice");
            }
        }
        let Some(table) = &current else { continue };
        let Some(row) = line.strip_prefix("| `") else { continue };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        let &[name, kind, unit, null, meaning] = cells.as_slice() else {
            panic!("a row of {table} has other than five cells: {line}")
        };
        let [name, kind, unit, null, meaning] =
            [name.trim_end_matches('`'), kind, unit, null, meaning].map(str::to_owned);
        tables.entry(table.clone()).or_default().push(Column { name, kind, unit, null, meaning });
    }
    tables
}

#[test]
fn the_page_is_what_the_database_has() {
    let connection = filled();
    let columns = |what: &str| {
        let sql = format!(
            "SELECT {what} FROM duckdb_columns() WHERE NOT internal ORDER BY table_name, column_index"
        );
        texts(&connection, &sql)
    };
    let found: Vec<String> = columns("concat_ws(' ', table_name, column_name, data_type)");
    let told: Vec<String> = page()
        .into_iter()
        .flat_map(|(table, columns)| {
            let line = move |column: &Column| format!("{table} {} {}", column.name, column.kind);
            columns.iter().map(line).collect::<Vec<_>>()
        })
        .collect();
    let (in_database, on_page) = (BTreeSet::from_iter(&found), BTreeSet::from_iter(&told));
    let missing: Vec<_> = in_database.difference(&on_page).collect();
    let extra: Vec<_> = on_page.difference(&in_database).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "not on the page: {missing:?}; not in the database: {extra:?}"
    );
    assert_eq!(told, found, "the order of columns");
}

/// Of a table, the database refuses a null where the page says that there is none; of a view, there is none.
#[test]
fn the_page_says_where_nothing_is_null() {
    let connection = filled();
    let nullable = texts(
        &connection,
        "SELECT table_name || '.' || column_name FROM duckdb_columns() WHERE NOT internal AND is_nullable",
    );
    let views = texts(&connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal");
    for (table, columns) in page() {
        for Column { name, null, meaning, .. } in columns {
            assert!(!null.is_empty() && !meaning.is_empty(), "{table}.{name} is not explained");
            let never = null == "never";
            if views.contains(&table) {
                let sql = format!("SELECT count(*) FILTER ({name} IS NULL)::VARCHAR FROM {table}");
                assert!(!never || texts(&connection, &sql) == ["0"], "{table}.{name} has a null");
            } else {
                let is_nullable = nullable.contains(&format!("{table}.{name}"));
                assert_ne!(never, is_nullable, "{table}.{name}: null is {null}");
            }
        }
    }
}

/// A view without a row would show nothing of the test above.
#[test]
fn every_table_and_view_has_a_row_in_tests() {
    let connection = filled();
    for name in page().keys().filter(|name| *name != "set_aside") {
        let rows = texts(&connection, &format!("SELECT count(*)::VARCHAR FROM {name}"));
        assert_ne!(rows, ["0"], "{name}");
    }
}

#[test]
fn a_view_with_numbers_has_a_mark() {
    let connection = filled();
    let unmarked = texts(
        &connection,
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND view_name NOT IN \
         (SELECT table_name FROM duckdb_columns() WHERE column_name = 'mark')",
    );
    assert_eq!(unmarked, Vec::<String>::new());
}
