//! Moves migrated files aside, so that they can be brought back byte for byte.
//!
//! A file is kept under the SHA-256 of its bytes, so that no name can lead out of the archive; the manifest says where it
//! was. A copy is synced and read again before the manifest names it, and the manifest is synced before the file is removed:
//! whatever stops it, each file is at one of its two places.

use jiff::Timestamp;
use proofmark::fingerprint::digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// The version of the manifest.
const FORMAT: u32 = 1;
/// Its name in an archive.
const MANIFEST: &str = "manifest.json";

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// The files, in the order in which they were moved.
    pub files: Vec<Moved>,
}

/// A file that was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The folder that it was in, or below: absolute.
    pub folder: PathBuf,
    /// Where it was in that folder.
    pub file: PathBuf,
    /// Of its bytes, in hexadecimal; its name in the archive is this with `.json` behind it.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was moved.
    pub archived_at: Timestamp,
}

/// Why an archive could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Something could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive leads elsewhere.
    #[error("{0} is a link; the archive must be a folder of its own")]
    Link(PathBuf),
    /// The manifest is not one, or a newer one.
    #[error("{path} is no manifest that this version can read: {detail}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

type Result<T> = std::result::Result<T, ArchiveError>;

fn at(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::Io { path, source }
}

/// A file to be moved, with the bytes that were stored.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The folder that was named, or that the file is in; absolute and without links.
    pub folder: PathBuf,
    /// Where it is in that folder.
    pub file: PathBuf,
    /// Of the bytes that were stored.
    pub sha256: String,
}

/// What became of files that were to be moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    /// Those that were moved.
    pub moved: Vec<Moved>,
    /// Those that were not, each with the reason.
    pub left: Vec<(PathBuf, String)>,
}

/// Moves files into the archive. Gives those that were moved, and those that were not, each with the reason.
///
/// # Errors
/// The archive cannot be written, is a link, or has a manifest that cannot be read. Files are then where they were.
pub fn archive(archive: &Path, candidates: &[Candidate], now: Timestamp) -> Result<Archived> {
    if fs::symlink_metadata(archive).is_ok_and(|found| found.is_symlink()) {
        return Err(ArchiveError::Link(archive.to_owned()));
    }
    let mut manifest = read(archive)?;
    fs::create_dir_all(archive).map_err(at(archive))?;
    let (mut moved, mut left) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match copy(archive, candidate, now) {
            Ok(copied) => moved.push(copied),
            Err(why) => left.push((candidate.folder.join(&candidate.file), why)),
        }
    }
    manifest.files.extend(moved.iter().cloned());
    write(archive, &manifest)?;
    for one in &moved {
        let path = one.folder.join(&one.file);
        fs::remove_file(&path).map_err(at(&path))?;
    }
    Ok(Archived { moved, left })
}

/// Copies a file under its digest, and reads the copy again.
fn copy(
    archive: &Path,
    candidate: &Candidate,
    now: Timestamp,
) -> std::result::Result<Moved, String> {
    let from = candidate.folder.join(&candidate.file);
    check_inside(&candidate.folder, &candidate.file)?;
    let plain = fs::symlink_metadata(&from).is_ok_and(|found| found.is_file());
    if !plain {
        return Err("it is no plain file".to_owned());
    }
    let bytes = fs::read(&from).map_err(|error| error.to_string())?;
    if digest(&bytes) != candidate.sha256 {
        return Err("it has changed since it was read".to_owned());
    }
    let to = kept(archive, &candidate.sha256);
    let told = |error: io::Error| format!("{}: {error}", to.display());
    if !holds(&to, &candidate.sha256) {
        let part = to.with_extension("part");
        let mut file = File::create(&part).map_err(told)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(told)?;
        let modified = fs::metadata(&from).and_then(|found| found.modified());
        modified.and_then(|time| file.set_modified(time)).map_err(told)?;
        fs::rename(&part, &to).map_err(told)?;
        if !holds(&to, &candidate.sha256) {
            return Err(format!("{} could not be read back", to.display()));
        }
    }
    Ok(Moved {
        folder: candidate.folder.clone(),
        file: candidate.file.clone(),
        sha256: candidate.sha256.clone(),
        bytes: bytes.len() as u64,
        archived_at: now,
    })
}

fn kept(archive: &Path, sha256: &str) -> PathBuf {
    archive.join(format!("{sha256}.json"))
}

/// Whether a plain file has these bytes.
fn holds(path: &Path, sha256: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
        && fs::read(path).is_ok_and(|bytes| digest(&bytes) == sha256)
}

/// The manifest of an archive; an empty one if there is none.
fn read(archive: &Path) -> Result<Manifest> {
    let path = archive.join(MANIFEST);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Manifest { format: FORMAT, files: Vec::new() });
        }
        bytes => bytes.map_err(at(&path))?,
    };
    let fault = |detail: String| ArchiveError::Manifest { path: path.clone(), detail };
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
    match manifest.format {
        FORMAT => Ok(manifest),
        format => Err(fault(format!("it is of format {format}"))),
    }
}

/// Replaces the manifest in one step.
fn write(archive: &Path, manifest: &Manifest) -> Result<()> {
    let (path, part) = (archive.join(MANIFEST), archive.join(format!("{MANIFEST}.part")));
    let text = serde_json::to_vec_pretty(manifest).map_err(io::Error::from).map_err(at(&path))?;
    let mut file = File::create(&part).map_err(at(&part))?;
    file.write_all(&text)
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(at(&part))?;
    fs::rename(&part, &path).map_err(at(&path))
}

/// What became of a file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is back where it was.
    Back(PathBuf),
    /// It is left in the archive, for this reason.
    Left(PathBuf, String),
}

/// Brings back what an archive holds. What has changed there, what would overwrite something else, and what would leave the
/// folder that it was in, is left.
///
/// # Errors
/// There is no manifest, or it cannot be read or written.
pub fn restore(archive: &Path) -> Result<Vec<Restored>> {
    let path = archive.join(MANIFEST);
    fs::metadata(&path).map_err(at(&path))?;
    let manifest = read(archive)?;
    let (mut left, mut back, mut told) = (Vec::new(), HashSet::new(), Vec::new());
    for moved in manifest.files {
        let path = moved.folder.join(&moved.file);
        match bring_back(archive, &moved) {
            Ok(()) => {
                told.push(Restored::Back(path));
                back.insert(moved.sha256);
            }
            Err(why) => {
                told.push(Restored::Left(path, why));
                left.push(moved);
            }
        }
    }
    let needed: HashSet<&String> = left.iter().map(|moved| &moved.sha256).collect();
    let unneeded: Vec<PathBuf> = back
        .iter()
        .filter(|sha256| !needed.contains(sha256))
        .map(|sha256| kept(archive, sha256))
        .collect();
    write(archive, &Manifest { format: FORMAT, files: left })?;
    for path in unneeded {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path)(error)),
            _ => {}
        }
    }
    Ok(told)
}

fn bring_back(archive: &Path, moved: &Moved) -> std::result::Result<(), String> {
    check_inside(&moved.folder, &moved.file)?;
    let is_digest =
        moved.sha256.len() == 64 && moved.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest {
        return Err(format!("{:?} is no SHA-256", moved.sha256));
    }
    let (from, to) = (kept(archive, &moved.sha256), moved.folder.join(&moved.file));
    if holds(&to, &moved.sha256) {
        return Ok(());
    }
    if !holds(&from, &moved.sha256) {
        return Err(format!("{} has changed in the archive, or is not there", from.display()));
    }
    let told = |error: io::Error| format!("{}: {error}", to.display());
    let bytes = fs::read(&from).map_err(told)?;
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(told)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(&to).map_err(told)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(told)?;
    let modified = fs::metadata(&from).and_then(|found| found.modified());
    modified.and_then(|time| file.set_modified(time)).map_err(told)
}

/// Refuses what would leave its folder: `..`, absolute names, and links on the way.
fn check_inside(folder: &Path, file: &Path) -> std::result::Result<(), String> {
    let is_plain = |part| matches!(part, Component::Normal(_));
    let is_root = folder.is_absolute() && folder.components().skip(1).all(is_plain);
    if !is_root || file.as_os_str().is_empty() || !file.components().all(is_plain) {
        return Err(format!("{} would leave {}", file.display(), folder.display()));
    }
    let mut path = folder.to_owned();
    for part in file.components() {
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Err(format!("{} is a link", path.display()));
        }
        path.push(part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn desk() -> (TempDir, PathBuf, PathBuf) {
        let desk = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(desk.path()).unwrap();
        fs::create_dir_all(root.join("legacy/a")).unwrap();
        let (folder, aside) = (root.join("legacy"), root.join("aside"));
        (desk, folder, aside)
    }

    fn candidate(folder: &Path, file: &str, bytes: &str) -> Candidate {
        fs::write(folder.join(file), bytes).unwrap();
        Candidate { folder: folder.to_owned(), file: file.into(), sha256: digest(bytes.as_bytes()) }
    }

    #[test]
    fn files_go_and_come_back_byte_for_byte() {
        let (_desk, folder, aside) = desk();
        let two = [
            candidate(&folder, "a/x.json", "{\"a\": 1}"),
            candidate(&folder, "y.json", "{\"a\": 1}"),
        ];
        let Archived { moved, left } = archive(&aside, &two, NOW).unwrap();
        assert_eq!((moved.len(), left.len()), (2, 0));
        assert!(!folder.join("a/x.json").exists() && !folder.join("y.json").exists());
        let Archived { moved, .. } =
            archive(&aside, &[candidate(&folder, "z.json", "[2]")], NOW).unwrap();
        assert_eq!(read(&aside).unwrap().files.len(), 3);
        assert_eq!(moved[0].bytes, 3);
        assert!(restore(&aside).unwrap().iter().all(|one| matches!(one, Restored::Back(_))));
        assert_eq!(fs::read_to_string(folder.join("a/x.json")).unwrap(), "{\"a\": 1}");
        assert_eq!(fs::read_to_string(folder.join("z.json")).unwrap(), "[2]");
        let names: Vec<_> =
            fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [MANIFEST]);
        assert!(restore(&aside).unwrap().is_empty());
    }

    #[test]
    fn what_changed_stays() {
        let (_desk, folder, aside) = desk();
        let mut one = candidate(&folder, "x.json", "1");
        fs::write(folder.join("x.json"), "2").unwrap();
        let Archived { moved, left } = archive(&aside, std::slice::from_ref(&one), NOW).unwrap();
        assert!(moved.is_empty() && left[0].1.contains("changed since"), "{left:?}");
        assert!(folder.join("x.json").exists());
        one.sha256 = digest(b"2");
        archive(&aside, std::slice::from_ref(&one), NOW).unwrap();
        fs::write(kept(&aside, &one.sha256), "3").unwrap();
        let restored = restore(&aside).unwrap();
        assert!(
            matches!(&restored[0], Restored::Left(_, why) if why.contains("has changed")),
            "{restored:?}"
        );
        fs::write(kept(&aside, &one.sha256), "2").unwrap();
        fs::write(folder.join("x.json"), "mine").unwrap();
        assert!(matches!(&restore(&aside).unwrap()[0], Restored::Left(..)));
        assert_eq!(fs::read_to_string(folder.join("x.json")).unwrap(), "mine");
    }

    #[test]
    fn nothing_leaves_its_folder() {
        let (_desk, folder, aside) = desk();
        archive(&aside, &[candidate(&folder, "x.json", "1")], NOW).unwrap();
        let manifest = read(&aside).unwrap();
        let outside = folder.parent().unwrap().join("out.json");
        for file in ["../out.json", "a/../../out.json", outside.to_str().unwrap(), ""] {
            let mut forged = manifest.clone();
            forged.files[0].file = file.into();
            write(&aside, &forged).unwrap();
            assert!(
                matches!(&restore(&aside).unwrap()[0], Restored::Left(_, why) if why.contains("would leave")),
                "{file}"
            );
            assert!(!outside.exists(), "{file}");
        }
        let mut forged = manifest.clone();
        forged.files[0].sha256 = "../legacy/a".into();
        write(&aside, &forged).unwrap();
        assert!(
            matches!(&restore(&aside).unwrap()[0], Restored::Left(_, why) if why.contains("no SHA-256"))
        );
        let mut forged = manifest;
        forged.files[0].file = "link/out.json".into();
        write(&aside, &forged).unwrap();
        std::os::unix::fs::symlink(folder.parent().unwrap(), folder.join("link")).unwrap();
        assert!(
            matches!(&restore(&aside).unwrap()[0], Restored::Left(_, why) if why.contains("is a link"))
        );
        assert!(!outside.exists());
    }

    #[test]
    fn an_archive_that_is_a_link_or_newer_is_refused() {
        let (_desk, folder, aside) = desk();
        std::os::unix::fs::symlink(folder.join("a"), &aside).unwrap();
        let one = [candidate(&folder, "x.json", "1")];
        assert!(matches!(archive(&aside, &one, NOW), Err(ArchiveError::Link(_))));
        fs::write(folder.join("a").join(MANIFEST), "{\"format\": 2, \"files\": []}").unwrap();
        assert!(matches!(
            archive(&folder.join("a"), &one, NOW),
            Err(ArchiveError::Manifest { .. })
        ));
        assert!(folder.join("x.json").exists());
        assert!(matches!(restore(&folder), Err(ArchiveError::Io { .. })));
    }
}
