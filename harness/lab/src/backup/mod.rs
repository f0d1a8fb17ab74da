//! Backups of a workspace's state: all that cannot be made again, in one archive with a manifest of checksums.
//!
//! `write` makes an archive and reads it back, `read` unpacks one into a folder of its own. Neither changes the state;
//! who puts it in place is the command. The database is in no backup: it follows from the files.

mod read;
mod write;

pub use read::unpack;
pub use write::write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The version of the manifest.
const FORMAT: u32 = 1;
/// The last entry of an archive.
const MANIFEST: &str = "manifest.json";
/// What holds only while something runs, or is made again from files that are elsewhere.
const DERIVED: [&str; 8] = [
    "lock",
    "jobs",
    "services",
    "digests",
    "criterion",
    "gate/trees",
    "gate/programs",
    "gate/valgrind",
];

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// When the backup was made.
    pub made_at: Timestamp,
    /// The files, in the order of their paths.
    pub files: Vec<Kept>,
}

impl Manifest {
    /// The bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Where it was below the folder of the state, with `/` between folders.
    pub path: String,
    /// How many bytes of it are kept.
    pub bytes: u64,
    /// Of these bytes, in hexadecimal.
    pub sha256: String,
}

/// Why a backup could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something could not be read or written.
    #[error("{path}: {why}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// Something of the state is no plain file.
    #[error(
        "{0} is neither a file nor a folder, and a backup holds nothing else: move it elsewhere"
    )]
    Special(PathBuf),
    /// A name that an archive cannot hold the same on every system.
    #[error("the name of {0} is no UTF-8: rename it")]
    Name(PathBuf),
    /// Files go away while they are read.
    #[error(
        "{0} went away while it was read: wait until nothing else changes the state, then try again"
    )]
    Changing(PathBuf),
    /// There is a file already.
    #[error("{0} is there already, and no backup is overwritten: choose another name")]
    Exists(PathBuf),
    /// The archive is damaged, or none of ours.
    #[error("{path} is no sound backup: {detail}; nothing was changed")]
    Unsound {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

type Result<T> = std::result::Result<T, BackupError>;

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |why| BackupError::Io { path, why }
}

/// The files of a state that a backup holds, by their paths in it. A state that is not there has none.
///
/// # Errors
/// A folder cannot be read, or holds something that is no plain file.
pub fn files(state: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    if state.exists() {
        gather(state, "", &mut found)?;
    }
    Ok(found)
}

fn gather(folder: &Path, before: &str, found: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else { return Err(BackupError::Name(path)) };
        let inside = format!("{before}{name}");
        if is_derived(&inside) {
            continue;
        }
        // Not followed: a link may lead out of the state, or back into it.
        let kind = entry.file_type().map_err(at(&path))?;
        if kind.is_dir() {
            gather(&path, &format!("{inside}/"), found)?;
        } else if kind.is_file() {
            found.insert(inside, path);
        } else {
            return Err(BackupError::Special(path));
        }
    }
    Ok(())
}

/// Whether no backup holds this: it follows from the rest, or somebody is writing it under another name.
fn is_derived(path: &str) -> bool {
    let name = path.rsplit('/').next();
    let is_passing = |name: &str| {
        name.contains(".duckdb") || name.ends_with(".tmp") || name.ends_with(".tmp.wal")
    };
    let is_in = |folder: &str| {
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    DERIVED.iter().any(|folder| is_in(folder)) || name.is_some_and(is_passing)
}

/// How a state differs from a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Files that have other bytes.
    pub changed: Vec<String>,
    /// Files that are in the state only.
    pub only_here: Vec<String>,
    /// Files that are in the backup only.
    pub missing: Vec<String>,
}

impl Difference {
    /// Whether the backup would overwrite or hide something that is there.
    pub fn conflicts(&self) -> bool {
        !self.changed.is_empty() || !self.only_here.is_empty()
    }
}

/// Compares a state with a backup, byte for byte.
///
/// # Errors
/// A file of the state cannot be read.
pub fn compare(state: &Path, manifest: &Manifest) -> Result<Difference> {
    let here = files(state)?;
    let mut difference = Difference::default();
    for file in &manifest.files {
        match here.get(&file.path) {
            None => difference.missing.push(file.path.clone()),
            Some(path) => {
                let bytes = fs::read(path).map_err(at(path))?;
                if proofmark::fingerprint::digest(bytes) != file.sha256 {
                    difference.changed.push(file.path.clone());
                }
            }
        }
    }
    let kept: BTreeSet<_> = manifest.files.iter().map(|file| &file.path).collect();
    difference.only_here = here.into_keys().filter(|path| !kept.contains(path)).collect();
    Ok(difference)
}

/// Whether a path names a file below a folder, and in one way only.
fn is_inside(path: &str) -> bool {
    let normal = |part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    };
    let parts: Option<Vec<_>> = Path::new(path).components().map(normal).collect();
    parts.is_some_and(|parts| !parts.is_empty() && parts.join("/") == path)
}

#[cfg(test)]
mod tests;
