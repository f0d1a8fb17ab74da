//! From record files to rows: each file is read on from where it was left, and no record gets in twice.

use super::portions::{self, Portion, Unread, Unreadable};
use super::staged::beside;
use super::table::Table;
use super::writer::Writer;
use super::{Store, StoreError, probes};
use duckdb::{Connection, params};
use proofmark::journal::{self, Fault};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// From so many unread bytes on all known ids are read at once instead of one by one.
const MANY: u64 = 1 << 20;

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

impl Store {
    /// Reads what is new in the record files of a folder, all or nothing. Damaged lines are told, and cost
    /// nothing but themselves.
    ///
    /// # Errors
    /// A file cannot be read, or the database cannot be written. Then nothing was taken in, and the next call
    /// begins where this one began.
    pub fn ingest(&self, records: &Path) -> Result<Ingested, StoreError> {
        let (unread, bytes) = self.unread(records)?;
        if unread.is_empty() {
            return Ok(Ingested::default());
        }
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        let ingested = take_in(&transaction, &unread, bytes >= MANY).map_err(|e| e.of(self))?;
        transaction.commit().map_err(self.writing())?;
        Ok(ingested)
    }

    /// The files that are not as they were when they were last read, and how many bytes of them are to be read.
    fn unread(&self, records: &Path) -> Result<(Vec<Unread>, u64), StoreError> {
        let offsets = offsets(&self.connection).map_err(self.reading())?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Records { path, source }
        };
        let mut unread = Vec::new();
        let mut bytes = 0;
        for path in journal::files(records).map_err(failed(records))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let seen = offsets.get(&name).copied().unwrap_or_default();
            let length = fs::metadata(&path).map_err(failed(&path))?.len();
            if length == seen {
                continue;
            }
            // A file that shrank is another file: its records are read anew, and those known are left out.
            let from = if length < seen { 0 } else { seen };
            bytes += length - from;
            unread.push(Unread { name, path, from, seen });
        }
        Ok((unread, bytes))
    }
}

fn offsets(connection: &Connection) -> duckdb::Result<HashMap<String, u64>> {
    let mut statement = connection.prepare("SELECT path, next_offset FROM files")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Why a reading ended.
enum Failure {
    Unreadable(Unreadable),
    Database(duckdb::Error),
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<duckdb::Error> for Failure {
    fn from(error: duckdb::Error) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    fn of(self, store: &Store) -> StoreError {
        match self {
            Self::Unreadable((path, source)) => StoreError::Records { path, source },
            Self::Database(error) => store.writing()(error),
        }
    }
}

/// Writes what is wrong with lines. A line that was at fault before is at fault for its newest reason.
fn note(connection: &Connection, faults: &mut Table) -> duckdb::Result<()> {
    let Some(rows) = faults.batch() else { return Ok(()) };
    let mut appender = beside(connection, "noted", "faults")?;
    appender.append_record_batch(rows)?;
    appender.flush()?;
    drop(appender);
    connection.execute_batch(
        "INSERT OR REPLACE INTO faults \
         SELECT DISTINCT ON (path, line_offset) * FROM noted ORDER BY rowid DESC; DROP TABLE noted",
    )
}

fn take_in(connection: &Connection, unread: &[Unread], many: bool) -> Result<Ingested, Failure> {
    let mut writer = Writer::new(connection, many)?;
    let mut ingested = Ingested::default();
    let mut faults = Table::new("tnt");
    let ended = portions::read(unread, !many, |portion: Portion| {
        for (file, fault) in &portion.faults {
            faults.row(*file as u32, |row| {
                row.text(&unread[*file].name).number(fault.offset).text(&fault.detail);
            });
        }
        ingested.faults.extend(portion.faults.into_iter().map(|(_, fault)| fault));
        ingested.probes += probes::write(connection, &portion.probes)?;
        ingested.results += writer.write(portion.columns, portion.newest)?;
        Ok::<_, Failure>(())
    })?;
    writer.finish()?;
    note(connection, &mut faults)?;
    let mut remember = connection.prepare("INSERT OR REPLACE INTO files VALUES (?, ?)")?;
    for (file, next_offset) in unread.iter().zip(ended) {
        if next_offset != file.seen {
            remember.execute(params![file.name, next_offset])?;
        }
    }
    Ok(ingested)
}
