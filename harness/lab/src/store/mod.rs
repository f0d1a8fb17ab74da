//! The DuckDB index over the record files. The files are the truth: whatever is lost here, `rebuild` brings back.
//!
//! The only part of Proofmark that knows DuckDB. One process may have a database open for writing, or many for
//! reading, never both; so a store is opened late and closed early.

mod certificates;
mod columns;
mod compare;
mod compat;
mod error;
mod export;
mod facts;
mod imports;
mod ingest;
mod known;
mod latest;
mod migrated;
mod moved;
mod past;
mod portions;
mod predictions;
mod probes;
mod quality;
mod query;
mod retention;
mod runs;
mod schema;
mod staged;
mod table;
mod timing;
mod trends;
mod writer;

pub use compare::{Comparison, Difference};
pub use error::StoreError;
pub use export::Binary;
pub use ingest::Ingested;
pub use migrated::{Known, Stored, Taken, expected_numbers};
pub use query::Answer;

use duckdb::{AccessMode, Config, Connection};
use schema::Owner;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How often, and with what pause, a locked database is tried again: queries are short.
const ATTEMPTS: u32 = 15;
const PAUSE: Duration = Duration::from_millis(100);

/// The folders of the files that a database is made from.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Record files.
    pub records: PathBuf,
    /// Predictions and lessons.
    pub predictions: PathBuf,
    /// What other tools measured.
    pub imports: PathBuf,
    /// What was migrated from legacy files.
    pub migrated: PathBuf,
    /// Certificates of cases.
    pub certificates: PathBuf,
}

impl Folders {
    /// The folders below the folder of a workspace's state.
    #[must_use]
    pub fn below(state: &Path) -> Self {
        let names = ["records", "predictions", "imports", "migrated", "certificates"];
        let [records, predictions, imports, migrated, certificates] =
            names.map(|name| state.join(name));
        Self { records, predictions, imports, migrated, certificates }
    }
}

/// An open database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens a database for writing. Makes it if there is none, and brings an older one up to date.
    ///
    /// # Errors
    /// A database of another program, of a newer Proofmark or in use by another process, and a file that is no
    /// database, are refused and left untouched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| access("create", path, &e))?;
        }
        if !path.exists() {
            // A log without its database, which somebody has deleted, would be played into another one.
            let _ = std::fs::remove_file(wal(path));
        }
        let store = Self::connect(path, AccessMode::ReadWrite)?;
        match store.owner()? {
            Owner::Nobody => store.migrate(0)?,
            Owner::Ours(found) if found < schema::version() => store.migrate(found)?,
            Owner::Ours(_) | Owner::Foreign => {}
        }
        Ok(store)
    }

    /// Opens a database for reading only: nothing can be written, no other file can be read, and no setting can
    /// be changed, whatever the SQL.
    ///
    /// # Errors
    /// As for [`Store::open`]; a database that is not there, or of an older schema, is an error too.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let store = Self::connect(path, AccessMode::ReadOnly)?;
        match store.owner()? {
            Owner::Ours(found) if found < schema::version() => {
                Err(StoreError::Older { path: path.to_owned(), found })
            }
            Owner::Nobody => Err(StoreError::Foreign(path.to_owned())),
            Owner::Ours(_) | Owner::Foreign => Ok(store),
        }
    }

    /// Makes the database anew from all files of its folders, beside the old one, and puts it in its place in one step.
    /// If anything fails, the old one stays.
    ///
    /// # Errors
    /// As for [`Store::open`], of what is in the place of the database, and of the records.
    pub fn rebuild(path: &Path, folders: &Folders) -> Result<Ingested, StoreError> {
        if path.exists() {
            match Self::open(path) {
                // Damage is what a rebuild mends, and an unreadable file is not for us to judge as damage.
                Ok(old) => drop(old),
                Err(error) => return Err(error),
            }
        }
        sweep(path);
        let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
        let ingested = Self::open(&fresh).and_then(|store| {
            let ingested = store.take_in_all(folders)?;
            store.close()?;
            // Nobody must write the old one, whose log would lie beside the new one, while that takes its place.
            let old = if path.exists() { Some(Self::open(path)?) } else { None };
            if let Some(old) = &old {
                old.connection.execute_batch("CHECKPOINT").map_err(old.writing())?;
            }
            let _ = std::fs::remove_file(wal(path));
            std::fs::rename(&fresh, path).map_err(|e| access("replace", path, &e))?;
            Ok(ingested)
        });
        if ingested.is_err() {
            let _ = std::fs::remove_file(&fresh);
        }
        let _ = std::fs::remove_file(wal(&fresh));
        ingested
    }

    /// Takes in what is new in the files of all folders.
    fn take_in_all(&self, folders: &Folders) -> Result<Ingested, StoreError> {
        let mut ingested = self.ingest(&folders.records)?;
        let (added, faults) = self.ingest_predictions(&folders.predictions)?;
        ingested.predictions = added;
        ingested.faults.extend(faults);
        let (added, faults) = self.ingest_imports(&folders.imports)?;
        ingested.imports = added;
        ingested.faults.extend(faults);
        let taken = self.ingest_migrated(&folders.migrated)?;
        ingested.migrated = taken.rows;
        ingested.faults.extend(taken.faults);
        ingested.faults.extend(self.ingest_certificates(&folders.certificates)?.1);
        Ok(ingested)
    }

    /// Writes everything into the file and closes it.
    ///
    /// # Errors
    /// Writing failed, for instance because the disk is full.
    pub fn close(self) -> Result<(), StoreError> {
        let checkpoint = self.connection.execute_batch("CHECKPOINT");
        checkpoint.map_err(|e| access("write", &self.path, &e))?;
        self.connection.close().map_err(|(_, e)| access("close", &self.path, &e))
    }

    fn connect(path: &Path, mode: AccessMode) -> Result<Self, StoreError> {
        let mut attempt = 1;
        loop {
            match open(path, &mode) {
                Ok(connection) => return Ok(Self { path: path.to_owned(), connection }),
                Err(error) => match error::opening(path, &error) {
                    StoreError::Locked { .. } if attempt < ATTEMPTS => {
                        attempt += 1;
                        sleep(PAUSE);
                    }
                    error => return Err(error),
                },
            }
        }
    }

    /// Whose database this is; another program's and a newer one are errors.
    fn owner(&self) -> Result<Owner, StoreError> {
        let owner = schema::owner(&self.connection).map_err(|e| access("read", &self.path, &e))?;
        match owner {
            Owner::Foreign => Err(StoreError::Foreign(self.path.clone())),
            Owner::Ours(found) if found > schema::version() => {
                Err(StoreError::Newer { path: self.path.clone(), found, known: schema::version() })
            }
            owner => Ok(owner),
        }
    }

    fn migrate(&self, from: u32) -> Result<(), StoreError> {
        schema::migrate(&self.connection, from).map_err(|e| access("write", &self.path, &e))
    }

    fn reading(&self) -> impl Fn(duckdb::Error) -> StoreError + '_ {
        |error| access("read", &self.path, &error)
    }

    fn writing(&self) -> impl Fn(duckdb::Error) -> StoreError + '_ {
        |error| access("write", &self.path, &error)
    }
}

fn open(path: &Path, mode: &AccessMode) -> duckdb::Result<Connection> {
    let config = Config::default()
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("access_mode", mode.as_ref())?;
    let config = match mode {
        AccessMode::ReadOnly => {
            config.with("enable_external_access", "false")?.with("lock_configuration", "true")?
        }
        // A new database compresses text better than what DuckDB 1.0 could read.
        _ => config.with("storage_compatibility_version", "latest")?,
    };
    Connection::open_with_flags(path, config)
}

/// Removes what rebuilds that were killed have left beside a database. One that is at work holds its file. A process id
/// comes back, and with it the name: what was left under it must not get into another database.
fn sweep(path: &Path) {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else { return };
    let begin = format!("{}.", stem.to_string_lossy());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".tmp"));
        let is_left = number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        let left = entry.path();
        let is_held = || {
            let opened = open(&left, &AccessMode::ReadWrite);
            opened.is_err_and(|e| matches!(error::opening(&left, &e), StoreError::Locked { .. }))
        };
        if is_left && !is_held() {
            let _ = std::fs::remove_file(wal(&left));
            let _ = std::fs::remove_file(&left);
        }
    }
}

fn access(what: &'static str, path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Access { what, path: path.to_owned(), detail: error.to_string() }
}

/// Where DuckDB keeps what is not yet in the file.
fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".wal");
    name.into()
}

#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod tests;
