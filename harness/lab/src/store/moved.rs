//! Record files that were put together or written anew: what of them is read, and what is to be read again.

use super::columns::CHILDREN;
use super::{Store, StoreError};
use duckdb::{Connection, params};
use std::path::Path;

impl Store {
    /// Says that these files are now in one. If the database has read all of each, it need not read the new one; else
    /// it will, and what it knows of it gets in no second time.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn moved(&self, files: &[&Path], into: &Path, bytes: u64) -> Result<(), StoreError> {
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        move_to(&transaction, files, into, bytes).map_err(self.writing())?;
        transaction.commit().map_err(self.writing())
    }

    /// Says that a file was written anew as another, with these results changed: what is known of them goes, and the next
    /// reading takes them in as they are now.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn rewritten(&self, file: &Path, into: &Path, ids: &[String]) -> Result<(), StoreError> {
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        forget(&transaction, &[file, into], ids).map_err(self.writing())?;
        transaction.commit().map_err(self.writing())
    }
}

fn forget(connection: &Connection, files: &[&Path], ids: &[String]) -> duckdb::Result<()> {
    connection.execute_batch("CREATE OR REPLACE TEMP TABLE changed (id VARCHAR)")?;
    let mut appender = connection.appender_to_catalog_and_db("changed", "temp", "main")?;
    appender.append_rows(ids.iter().map(|id| [id]))?;
    appender.flush()?;
    drop(appender);
    for (table, id) in CHILDREN.map(|table| (table, "result_id")).iter().chain(&[("results", "id")])
    {
        connection.execute_batch(&format!(
            "DELETE FROM {table} WHERE {id} IN (SELECT id FROM changed)"
        ))?;
    }
    for table in ["files", "faults"] {
        let mut forget = connection.prepare(&format!("DELETE FROM {table} WHERE path = ?"))?;
        for file in files {
            forget.execute([name(file)])?;
        }
    }
    connection.execute_batch("DROP TABLE changed")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn move_to(
    connection: &Connection,
    files: &[&Path],
    into: &Path,
    bytes: u64,
) -> duckdb::Result<()> {
    let mut ask = connection.prepare("SELECT 1 FROM files WHERE path = ? AND next_offset = ?")?;
    let mut forget = connection.prepare("DELETE FROM files WHERE path = ?")?;
    let mut are_read = true;
    for file in files {
        let length = std::fs::metadata(file).map_or(u64::MAX, |about| about.len());
        are_read &= ask.exists(params![name(file), length])?;
        forget.execute([name(file)])?;
    }
    if are_read {
        connection
            .execute("INSERT OR REPLACE INTO files VALUES (?, ?)", params![name(into), bytes])?;
    }
    Ok(())
}
