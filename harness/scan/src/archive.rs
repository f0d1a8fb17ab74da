//! Moves misleading reports aside, with a header that says why and a manifest to undo it. Code is never moved.
//!
//! A copy is written and synced before the manifest, and the manifest before the report is removed; so whatever stops
//! it, each report is at one of its two places, and the manifest knows both. Nothing is ever overwritten.

use crate::file::Language;
use crate::rule::Finding;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// The version of the manifest.
const FORMAT: u32 = 1;

/// What was moved in one go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// When.
    pub archived_at: Timestamp,
    /// What was moved.
    pub moved: Vec<Moved>,
}

/// A report that was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Where it was: absolute.
    pub from: PathBuf,
    /// Where it is: absolute.
    pub to: PathBuf,
    /// Why it was moved, in a file of its own, where the report can have no header.
    pub note: Option<PathBuf>,
    /// How many bytes of header stand before the report.
    pub header_bytes: usize,
    /// Of the report without its header, in hexadecimal.
    pub sha256: String,
    /// The findings, as text.
    pub why: Vec<String>,
}

/// Why reports could not be moved or brought back.
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

/// Moves every report that has a finding into `folder`, and gives the path of the manifest and what is in it; none if
/// there was nothing to move. Reports that are links stay where they are.
///
/// # Errors
/// Something that cannot be read or written; a link inside of `folder`. Reports are then where they were.
pub fn archive(
    findings: &[Finding],
    base: &Path,
    folder: &Path,
    now: Timestamp,
) -> Result<Option<(PathBuf, Manifest)>> {
    let mut reports: BTreeMap<PathBuf, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let path = Path::new(&finding.path);
        let report = Language::of(path).is_some_and(Language::is_report);
        let plain = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        if report && plain {
            reports.entry(base.join(path)).or_default().push(finding);
        }
    }
    if reports.is_empty() {
        return Ok(None);
    }
    prepare(folder)?;
    let folder = fs::canonicalize(folder).map_err(at(folder))?;
    let mut manifest = Manifest { format: FORMAT, archived_at: now, moved: Vec::new() };
    for (path, findings) in reports {
        let from = fs::canonicalize(&path).map_err(at(&path))?;
        // What is in the archive already has been moved before.
        if !from.starts_with(&folder) {
            manifest.moved.push(copy(&from, base, &folder, &findings)?);
        }
    }
    if manifest.moved.is_empty() {
        return Ok(None);
    }
    let path = write_manifest(&folder, &manifest)?;
    for Moved { from, .. } in &manifest.moved {
        fs::remove_file(from).map_err(at(from))?;
    }
    Ok(Some((path, manifest)))
}

/// Makes the folder, and has later scans leave it out.
fn prepare(folder: &Path) -> Result<()> {
    if fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink()) {
        return Err(ArchiveError::Link(folder.to_owned()));
    }
    fs::create_dir_all(folder).map_err(at(folder))?;
    let ignore = folder.join(crate::tree::IGNORE_FILE);
    match OpenOptions::new().write(true).create_new(true).open(&ignore) {
        Ok(mut file) => file
            .write_all(
                b"# misleading reports that were moved aside; kept so that this can be undone\n*\n",
            )
            .map_err(at(&ignore)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(at(&ignore)(error)),
    }
}

/// Copies a report into the archive.
fn copy(from: &Path, base: &Path, folder: &Path, findings: &[&Finding]) -> Result<Moved> {
    let bytes = fs::read(from).map_err(at(from))?;
    let base = fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
    let inner = from.strip_prefix(&base).unwrap_or(from);
    let inner: PathBuf =
        inner.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let why: Vec<String> = findings
        .iter()
        .map(|finding| format!("line {}: {}: {}", finding.line, finding.rule, finding.message))
        .collect();
    let header = header(from, &why);
    let target = folder.join(&inner);
    make_folders(folder, &inner)?;
    let (to, mut file) = create_beside(&target)?;
    file.write_all(header.as_bytes())
        .and_then(|()| file.write_all(&bytes))
        .and_then(|()| file.sync_all())
        .map_err(at(&to))?;
    keep_times(from, &file).map_err(at(&to))?;
    let note = match header.is_empty() {
        true => Some(write_note(&to, from, &why)?),
        false => None,
    };
    Ok(Moved {
        from: from.to_owned(),
        to,
        note,
        header_bytes: header.len(),
        sha256: digest(&bytes),
        why,
    })
}

/// Folders of the archive, none of which may be a link.
fn make_folders(folder: &Path, inner: &Path) -> Result<()> {
    let mut current = folder.to_owned();
    for part in inner.parent().into_iter().flat_map(Path::components) {
        current.push(part);
        match fs::symlink_metadata(&current) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(ArchiveError::Link(current)),
            Err(_) => fs::create_dir(&current).map_err(at(&current))?,
        }
    }
    Ok(())
}

/// Creates a file that was not there: with this name, or with a number behind it.
fn create_beside(target: &Path) -> Result<(PathBuf, File)> {
    let stem = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = target
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()))
        .unwrap_or_default();
    let mut number = 1;
    let mut path = target.to_owned();
    loop {
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                number += 1;
                path = target.with_file_name(format!("{stem}-{number}{extension}"));
            }
            Err(error) => return Err(at(&path)(error)),
        }
    }
}

fn keep_times(from: &Path, to: &File) -> io::Result<()> {
    let found = fs::metadata(from)?;
    to.set_permissions(found.permissions())?;
    to.set_modified(found.modified()?)
}

/// What stands before an archived report; nothing where its format can hold no header.
fn header(from: &Path, why: &[String]) -> String {
    let name = from.display();
    let mut text = String::new();
    match Language::of(from) {
        Some(Language::Markdown) => {
            let _ = writeln!(
                text,
                "> **Misleading.** This report was moved aside from `{name}` by the honesty scan:"
            );
            for reason in why {
                let _ = writeln!(text, "> - {reason}");
            }
            text.push('\n');
        }
        Some(Language::Html) => {
            let escape =
                |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let reasons: String =
                why.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
            let name = escape(&name.to_string());
            let _ = writeln!(
                text,
                "<aside><strong>Misleading.</strong> This report was moved aside from {name} by the honesty scan:<ul>{reasons}</ul></aside>"
            );
        }
        _ => {}
    }
    text
}

fn write_note(to: &Path, from: &Path, why: &[String]) -> Result<PathBuf> {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".why.md");
    let (path, mut file) = create_beside(&to.with_file_name(name))?;
    let mut text =
        format!("# Misleading\n\n`{}` was moved aside by the honesty scan:\n\n", from.display());
    for reason in why {
        let _ = writeln!(text, "- {reason}");
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&path))?;
    Ok(path)
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<PathBuf> {
    let (path, mut file) = create_beside(&folder.join("manifest.json"))?;
    let text = serde_json::to_string_pretty(manifest).map_err(|error| ArchiveError::Manifest {
        path: path.clone(),
        detail: error.to_string(),
    })?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(at(&path))?;
    Ok(path)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What became of a report of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is back where it was.
    Back(PathBuf),
    /// It could not be brought back; it is left in the archive.
    Left(PathBuf, String),
}

/// Brings back what a manifest lists. What has changed in the archive, and what would overwrite something else, is left
/// there. The manifest is removed when everything is back.
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
    let restored: Vec<_> = manifest
        .moved
        .iter()
        .map(|moved| match restore(moved) {
            Ok(()) => Restored::Back(moved.from.clone()),
            Err(why) => Restored::Left(moved.from.clone(), why),
        })
        .collect();
    if restored.iter().all(|one| matches!(one, Restored::Back(_))) {
        fs::remove_file(path).map_err(at(path))?;
    }
    Ok(restored)
}

fn restore(moved: &Moved) -> std::result::Result<(), String> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    let back = fs::read(&moved.from).ok().is_some_and(|bytes| digest(&bytes) == moved.sha256);
    if !back {
        let bytes = fs::read(&moved.to).map_err(told(&moved.to))?;
        let report = bytes.get(moved.header_bytes..).unwrap_or_default();
        if digest(report) != moved.sha256 {
            return Err(format!("{} has changed in the archive", moved.to.display()));
        }
        if let Some(folder) = moved.from.parent() {
            fs::create_dir_all(folder).map_err(told(folder))?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&moved.from)
            .map_err(told(&moved.from))?;
        file.write_all(report).and_then(|()| file.sync_all()).map_err(told(&moved.from))?;
        keep_times(&moved.to, &file).map_err(told(&moved.from))?;
    }
    for left in [Some(&moved.to), moved.note.as_ref()].into_iter().flatten() {
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(left)(error)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
