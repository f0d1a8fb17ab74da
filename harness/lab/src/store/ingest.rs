//! From record files to rows: each file is read on from where it was left, and no record gets in twice.

use super::rows::Rows;
use super::{Store, StoreError};
use duckdb::types::Value;
use duckdb::{Connection, appender_params_from_iter, params};
use proofmark::journal::{self, Fault};
use proofmark::record::Line;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Lines that are held in memory before they are written.
const BATCH: usize = 20_000;

/// What one reading of the record files brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// New records of runs.
    pub results: usize,
    /// New records of probes.
    pub probes: usize,
    /// New predictions, which a rebuild takes in too.
    pub predictions: usize,
    /// New sources of other tools, which a rebuild takes in too.
    pub imports: usize,
    /// New numbers that were migrated from elsewhere, which a rebuild takes in too.
    pub migrated: usize,
    /// Lines that could not be read. Each is told once; a rebuild tells all again.
    pub faults: Vec<Fault>,
}

/// A record file that has grown since it was last read.
struct Grown {
    name: String,
    chunk: journal::Chunk,
}

impl Store {
    /// Reads what is new in the record files of a folder, all or nothing. Damaged lines are told, and cost
    /// nothing but themselves.
    ///
    /// # Errors
    /// A file cannot be read, or the database cannot be written. Then nothing was taken in, and the next call
    /// begins where this one began.
    pub fn ingest(&self, records: &Path) -> Result<Ingested, StoreError> {
        let grown = self.grown(records)?;
        if grown.is_empty() {
            return Ok(Ingested::default());
        }
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        let ingested = take_in(&transaction, grown).map_err(self.writing())?;
        transaction.commit().map_err(self.writing())?;
        Ok(ingested)
    }

    fn grown(&self, records: &Path) -> Result<Vec<Grown>, StoreError> {
        let offsets = offsets(&self.connection).map_err(self.reading())?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Records { path, source }
        };
        let mut grown = Vec::new();
        for path in journal::files(records).map_err(failed(records))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let seen = offsets.get(&name).copied().unwrap_or_default();
            let length = fs::metadata(&path).map_err(failed(&path))?.len();
            if length == seen {
                continue;
            }
            // A file that shrank is another file: its records are read anew, and those known are left out.
            let from = if length < seen { 0 } else { seen };
            let chunk = journal::read(&path, from).map_err(failed(&path))?;
            if chunk.next_offset != seen {
                grown.push(Grown { name, chunk });
            }
        }
        Ok(grown)
    }
}

fn offsets(connection: &Connection) -> duckdb::Result<HashMap<String, u64>> {
    let mut statement = connection.prepare("SELECT path, next_offset FROM files")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn take_in(connection: &Connection, grown: Vec<Grown>) -> duckdb::Result<Ingested> {
    let mut ingested = Ingested::default();
    let mut pending: Vec<Line> = Vec::new();
    let mut remember = connection.prepare("INSERT OR REPLACE INTO files VALUES (?, ?)")?;
    let mut note = connection.prepare("INSERT OR REPLACE INTO faults VALUES (?, ?, ?)")?;
    for Grown { name, chunk } in grown {
        remember.execute(params![name, chunk.next_offset])?;
        for fault in &chunk.faults {
            note.execute(params![name, fault.offset, fault.detail])?;
        }
        ingested.faults.extend(chunk.faults);
        pending.extend(chunk.lines);
        if pending.len() >= BATCH {
            write(connection, &std::mem::take(&mut pending), &mut ingested)?;
        }
    }
    write(connection, &pending, &mut ingested)?;
    Ok(ingested)
}

fn write(connection: &Connection, lines: &[Line], ingested: &mut Ingested) -> duckdb::Result<()> {
    let mut rows = Rows::default();
    lines.iter().for_each(|line| rows.push(line));
    ingested.results += insert(connection, "results", "id", &rows.results)?;
    insert(connection, "fingerprint_parts", "fingerprint, position", &rows.fingerprint_parts)?;
    insert(connection, "outputs", "result_id, position", &rows.outputs)?;
    insert(connection, "op_times", "result_id, position", &rows.op_times)?;
    insert(connection, "details", "result_id, name", &rows.details)?;
    insert(connection, "stages", "result_id, stage", &rows.stages)?;
    insert(connection, "fallbacks", "result_id, position", &rows.fallbacks)?;
    insert(connection, "time_series", "result_id, name", &rows.time_series)?;
    insert(connection, "counters", "result_id, name", &rows.counters)?;
    insert(connection, "absences", "result_id, name", &rows.absences)?;
    ingested.probes += insert(connection, "probes", "id", &rows.probes)?;
    insert(connection, "probe_limits", "probe_id, name", &rows.probe_limits)?;
    insert(connection, "probe_features", "probe_id, name", &rows.probe_features)?;
    insert(connection, "probe_details", "probe_id, name", &rows.probe_details)?;
    Ok(())
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
