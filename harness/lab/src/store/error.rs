//! What goes wrong with a store. Each message says what failed, on what, and what to do.

use std::path::{Path, PathBuf};

/// Why a store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error(
        "there is no database at {}: `cargo xtask incremental` makes it, `cargo xtask rebuild` from record files",
        .0.display()
    )]
    Missing(PathBuf),
    /// Another process has it open.
    #[error(
        "the database {} is in use by another process: wait for it to end, then try again; \
         records are kept in files meanwhile ({detail})", path.display()
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// What DuckDB says of the process.
        detail: String,
    },
    /// The file is of another kind, or of a newer DuckDB.
    #[error(
        "failed to open the database {}: {detail}; if it is another program's file, choose another with \
         --db or PROOFMARK_DB; if it is damaged, delete it and run `cargo xtask rebuild`", path.display()
    )]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// What DuckDB says.
        detail: String,
    },
    /// A DuckDB database without our mark.
    #[error(
        "the database {} is of another program and was left untouched: choose another file with --db \
         or PROOFMARK_DB", .0.display()
    )]
    Foreign(PathBuf),
    /// A database of a newer Proofmark.
    #[error(
        "the database {} has schema {found}, this version knows schemas up to {known}: use a newer Proofmark, \
         or delete it and run `cargo xtask rebuild`", path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// A database of an older Proofmark, opened for reading only.
    #[error(
        "the database {} has the old schema {found}: `cargo xtask incremental` or `cargo xtask rebuild` \
         brings it up to date", path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: u32,
    },
    /// A query that cannot be answered.
    #[error("failed to answer the query: {0}")]
    Query(String),
    /// Reading or writing failed, for instance because the disk is full.
    #[error("failed to {what} the database {}: {detail}; the record files are untouched", path.display())]
    Access {
        /// What was done: `read`, `write`.
        what: &'static str,
        /// The database.
        path: PathBuf,
        /// What DuckDB or the system says.
        detail: String,
    },
    /// An answer with numbers that nothing marks.
    #[error(
        "the answer {0}: a number without its mark means nothing elsewhere; select the column `mark` of the row that \
         each number is of, and leave out rows that have none (WHERE mark IS NOT NULL)"
    )]
    Unmarked(String),
    /// An answer could not be written.
    #[error("failed to write {}: {detail}", path.display())]
    Export {
        /// The file.
        path: PathBuf,
        /// What DuckDB, Arrow or the system says.
        detail: String,
    },
    /// A record file could not be read.
    #[error("failed to read the records at {}: {source}", path.display())]
    Records {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Tells from DuckDB's message why a file could not be opened.
pub(super) fn opening(path: &Path, error: &duckdb::Error) -> StoreError {
    let (path, detail) = (path.to_owned(), error.to_string());
    // What the system refuses says nothing of the file.
    let refusals =
        ["No space left", "Disk quota", "File too large", "Read-only", "Permission denied"];
    if refusals.iter().any(|refusal| detail.contains(refusal)) {
        return StoreError::Access { what: "open", path, detail };
    }
    if detail.contains("Could not set lock") || detail.contains("lock is held") {
        StoreError::Locked { path, detail }
    } else {
        StoreError::Unreadable { path, detail }
    }
}
