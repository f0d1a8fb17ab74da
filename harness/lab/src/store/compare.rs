//! Whether a database says what its files say: a copy of it, with what is new in the files, against one made anew.

use super::{Folders, Store, StoreError, access, schema, wal};
use duckdb::Connection;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::path::Path;

/// How often files may have grown between the two readings before that counts as a difference.
const ATTEMPTS: u32 = 3;
/// Rows that are shown of each kind of difference.
const EXAMPLES: usize = 3;
/// Characters of a row that are shown.
const SHOWN: usize = 500;

/// What was compared, and how it differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// How many rows the database has, with what is new in the files.
    pub rows: u64,
    /// The tables that differ.
    pub differences: Vec<Difference>,
}

/// How a table differs from what the files say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// How many rows no file has.
    pub only_in_database: u64,
    /// How many rows the database lacks.
    pub only_in_files: u64,
    /// Some of them as JSON, cut short, those of the database first.
    pub examples: Vec<String>,
}

impl Store {
    /// Compares a database with what its files say, all tables row by row. The database stays as it is; both sides are made
    /// in `scratch`, a folder that the caller removes.
    ///
    /// # Errors
    /// As for [`Store::open`], and of the files.
    pub fn compare(
        path: &Path,
        folders: &Folders,
        scratch: &Path,
    ) -> Result<Comparison, StoreError> {
        let [kept, fresh] = ["kept.duckdb", "fresh.duckdb"].map(|name| scratch.join(name));
        duplicate(path, &kept)?;
        let mut attempt = 1;
        loop {
            for side in [&kept, &fresh] {
                let store = Self::open(side)?;
                store.take_in_all(folders)?;
                store.close()?;
            }
            let compared = compare(&kept, &fresh).map_err(|e| access("compare", path, &e))?;
            // Somebody may have written a record while the two were made.
            if compared.differences.is_empty() || attempt == ATTEMPTS {
                return Ok(compared);
            }
            attempt += 1;
        }
    }
}

/// Copies a database while nobody can write it.
fn duplicate(path: &Path, copy: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let held = Store::connect(path, duckdb::AccessMode::ReadOnly)?;
    held.owner()?;
    let duplicated = (|| -> io::Result<()> {
        // Both are open before one is closed: closing a file gives up every lock that this process has on it.
        let mut main = File::open(path)?;
        let log = match File::open(wal(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            log => Some(log?),
        };
        io::copy(&mut main, &mut File::create_new(copy)?)?;
        if let Some(mut log) = log {
            io::copy(&mut log, &mut File::create_new(wal(copy))?)?;
        }
        Ok(())
    })();
    duplicated.map_err(|e| access("copy", path, &e))
}

fn compare(kept: &Path, fresh: &Path) -> duckdb::Result<Comparison> {
    let connection = Connection::open_in_memory()?;
    for (path, name) in [(kept, "kept"), (fresh, "fresh")] {
        let path = path.to_string_lossy().replace('\'', "''");
        connection.execute_batch(&format!("ATTACH '{path}' AS {name} (READ_ONLY)"))?;
    }
    let mut compared = Comparison::default();
    for table in schema::tables(&connection, "fresh")? {
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        compared.rows += count(&format!("SELECT count(*) FROM kept.{table}"))?;
        let columns = columns(&connection, &table)?;
        let only = |this: &str, other: &str| {
            format!(
                "(SELECT {columns} FROM {this}.{table} EXCEPT ALL SELECT {columns} FROM {other}.{table})"
            )
        };
        let sides = [only("kept", "fresh"), only("fresh", "kept")];
        let [only_in_database, only_in_files] = [
            count(&format!("SELECT count(*) FROM {}", sides[0]))?,
            count(&format!("SELECT count(*) FROM {}", sides[1]))?,
        ];
        if only_in_database + only_in_files > 0 {
            let mut examples = Vec::new();
            for side in &sides {
                examples.extend(shown(&connection, side)?);
            }
            compared.differences.push(Difference {
                table,
                only_in_database,
                only_in_files,
                examples,
            });
        }
    }
    Ok(compared)
}

/// The columns of a table by name: those that were added later stand elsewhere in a database that was brought up to date.
fn columns(connection: &Connection, table: &str) -> duckdb::Result<String> {
    let sql = "SELECT column_name FROM duckdb_columns() WHERE database_name = 'fresh' AND table_name = ? ORDER BY column_index";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([table], |row| row.get::<_, String>(0))?;
    let names = names.collect::<duckdb::Result<Vec<_>>>()?;
    Ok(names.into_iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
}

fn shown(connection: &Connection, rows: &str) -> duckdb::Result<Vec<String>> {
    let sql = format!("SELECT CAST(r AS VARCHAR) FROM {rows} AS r ORDER BY 1 LIMIT {EXAMPLES}");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let cut = |text: duckdb::Result<String>| text.map(|text| text.chars().take(SHOWN).collect());
    rows.map(cut).collect()
}
