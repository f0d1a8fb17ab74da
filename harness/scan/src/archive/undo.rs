//! Brings back what was moved aside. A manifest is a file like any other and may say anything, so nothing outside of its
//! own folder is removed, nothing but reports is written, and nothing is overwritten.

use super::{ArchiveError, FORMAT, Manifest, Moved, NOTE, Result, at, digest, keep_times, sync};
use crate::file::Language;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use tempfile::NamedTempFile;

/// What became of a report of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is back where it was.
    Back(PathBuf),
    /// It could not be brought back; it is left in the archive.
    Left(PathBuf, String),
}

/// Brings back what a manifest lists. What has changed in the archive, what would overwrite something else, and what an
/// archive cannot hold, is left there. The manifest is removed when everything is back.
///
/// # Errors
/// A manifest that cannot be read.
pub fn undo(path: &Path) -> Result<Vec<Restored>> {
    let bytes = fs::read(path).map_err(at(path))?;
    let fault = |detail: String| ArchiveError::Manifest { path: path.to_owned(), detail };
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
    if manifest.format > FORMAT {
        return Err(fault(format!("it is of format {}", manifest.format)));
    }
    let real = fs::canonicalize(path).map_err(at(path))?;
    let folder = real.parent().unwrap_or(&real);
    let restored: Vec<_> = manifest
        .moved
        .iter()
        .map(|moved| match check(moved, folder).and_then(|()| restore(moved)) {
            Ok(()) => Restored::Back(moved.from.clone()),
            Err(why) => Restored::Left(moved.from.clone(), why),
        })
        .collect();
    if restored.iter().all(|one| matches!(one, Restored::Back(_))) {
        fs::remove_file(path).map_err(at(path))?;
    }
    Ok(restored)
}

type Outcome = std::result::Result<(), String>;

fn told(path: &Path) -> impl Fn(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

/// Whether the archive with this folder can have moved this.
fn check(moved: &Moved, folder: &Path) -> Outcome {
    let Moved { from, to, note, .. } = moved;
    if !from.is_absolute() || !Language::of(from).is_some_and(Language::is_report) {
        return Err("it is no path of a report".to_owned());
    }
    if Language::of(to) != Language::of(from) {
        return Err(format!("{} is no report of its kind", to.display()));
    }
    if let Some(note) = note.as_ref().filter(|note| !note.to_string_lossy().ends_with(NOTE)) {
        return Err(format!("{} is no note of an archive", note.display()));
    }
    [Some(to), note.as_ref()].into_iter().flatten().try_for_each(|path| check_inside(path, folder))
}

/// Whether a path leads below a folder, by names alone and without a link on its way.
fn check_inside(path: &Path, folder: &Path) -> Outcome {
    let outside = || format!("{} is not in the manifest's folder", path.display());
    let inner = path.strip_prefix(folder).map_err(|_| outside())?;
    let mut current = folder.to_owned();
    for part in inner.components() {
        let Component::Normal(part) = part else { return Err(outside()) };
        current.push(part);
        if fs::symlink_metadata(&current).is_ok_and(|found| found.is_symlink()) {
            return Err(format!("{} is a link", current.display()));
        }
    }
    Ok(())
}

fn restore(moved: &Moved) -> Outcome {
    let Moved { from, to, note, header_bytes, sha256, .. } = moved;
    let kept = match fs::read(to) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(told(to)(error)),
    };
    let report = kept.as_ref().map(|bytes| bytes.get(*header_bytes..).unwrap_or_default());
    if report.is_some_and(|report| digest(report) != *sha256) {
        return Err(format!("{} has changed in the archive", to.display()));
    }
    // A link may lead to the copy in the archive.
    let plain = fs::symlink_metadata(from).is_ok_and(|found| found.is_file());
    if !(plain && fs::read(from).is_ok_and(|bytes| digest(&bytes) == *sha256)) {
        let report = report.ok_or_else(|| format!("{} is not there any more", to.display()))?;
        put_back(report, from, to)?;
    }
    for left in [Some(to), note.as_ref()].into_iter().flatten() {
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(left)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Writes a report where it was: whole or not at all, and on the disk before its copy is removed.
fn put_back(report: &[u8], from: &Path, to: &Path) -> Outcome {
    let folder = from.parent().unwrap_or(from);
    let missing: Vec<&Path> = folder.ancestors().take_while(|outer| !outer.exists()).collect();
    fs::create_dir_all(folder).map_err(told(folder))?;
    let mut file = NamedTempFile::new_in(folder).map_err(told(folder))?;
    file.write_all(report)
        .and_then(|()| keep_times(to, file.as_file()))
        .and_then(|()| file.as_file().sync_all())
        .map_err(told(from))?;
    file.persist_noclobber(from).map_err(|error| told(from)(error.error))?;
    let above = missing.iter().filter_map(|made| made.parent());
    above.chain([folder]).try_for_each(|folder| sync(folder).map_err(|error| error.to_string()))
}
