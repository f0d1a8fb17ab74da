//! Rows of any table, value by value, by way of a table of text: for the tables that get few rows at a time. Lists
//! travel as text of numbers, which DuckDB casts. What comes by the thousand is in `columns`.

use duckdb::types::{TimeUnit, Value};
use duckdb::{Appender, Connection, appender_params_from_iter};
use std::fmt::Write as _;

/// Makes an empty temporary table `name` with the columns of a table, and fills it.
pub(super) fn beside<'c>(
    connection: &'c Connection,
    name: &str,
    table: &str,
) -> duckdb::Result<Appender<'c>> {
    let sql = format!("CREATE OR REPLACE TEMP TABLE {name} AS FROM {table} LIMIT 0");
    connection.execute_batch(&sql)?;
    connection.appender_to_catalog_and_db(name, "temp", "main")
}

/// Adds the rows whose key is new, and says how many these were. Rows are appended to a table of text first,
/// because that is many times faster than inserting one by one.
pub(super) fn insert(
    connection: &Connection,
    table: &str,
    key: &str,
    rows: &[Vec<Value>],
) -> duckdb::Result<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    let columns = "SELECT column_name FROM duckdb_columns() WHERE table_name = ? \
                   AND NOT internal ORDER BY column_index";
    let mut statement = connection.prepare(columns)?;
    let columns: Vec<String> =
        statement.query_map([table], |row| row.get(0))?.collect::<duckdb::Result<_>>()?;
    let typed: Vec<_> = columns.iter().map(|column| format!("{column} VARCHAR")).collect();
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TEMP TABLE staged_{table} ({})",
        typed.join(", ")
    ))?;
    let mut appender =
        connection.appender_to_catalog_and_db(&format!("staged_{table}"), "temp", "main")?;
    for row in rows {
        appender.append_row(appender_params_from_iter(row))?;
    }
    appender.flush()?;
    drop(appender);
    let sql = format!(
        "INSERT INTO {table} SELECT DISTINCT ON ({key}) * FROM staged_{table} ON CONFLICT DO NOTHING"
    );
    let inserted = connection.execute(&sql, [])?;
    connection.execute_batch(&format!("DROP TABLE staged_{table}"))?;
    Ok(inserted)
}

/// A row of a table of named values of something.
pub(super) fn pair(of: &str, name: &str, value: Value) -> Vec<Value> {
    vec![text(of), text(name), value]
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

pub(super) fn number(value: u64) -> Value {
    Value::UBigInt(value)
}

pub(super) fn time(time: jiff::Timestamp) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, time.as_microsecond())
}

/// A list in DuckDB's own notation; Rust prints floats so that they are read back exactly.
pub(super) fn list<T: std::fmt::Debug>(values: &[T]) -> Value {
    let mut text = String::from("[");
    for (index, value) in values.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{value:?}");
    }
    text.push(']');
    Value::Text(text)
}
