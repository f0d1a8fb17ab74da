//! Record files that were put together: what was read of them is read.

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
}

fn move_to(
    connection: &Connection,
    files: &[&Path],
    into: &Path,
    bytes: u64,
) -> duckdb::Result<()> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
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
