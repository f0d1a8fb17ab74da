//! Moves misleading reports aside, with a header that says why and a manifest to undo it. Code is never moved.
//!
//! A copy is written and synced before the manifest, and the manifest before the report is removed; so whatever stops
//! it, each report is at one of its two places, and the manifest knows both. Nothing is ever overwritten, and no folder
//! becomes an archive that is used for something else: an archive is hidden from later scans.

mod undo;

pub use undo::{Restored, undo};

use crate::file::Language;
use crate::rule::Finding;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// The version of the manifest.
const FORMAT: u32 = 1;
/// What hides an archive from later scans.
const IGNORE: &str =
    "# misleading reports that were moved aside; kept so that this can be undone\n*\n";
/// How the name of a note ends.
const NOTE: &str = ".why.md";

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

/// What came of moving reports.
#[derive(Clone, Debug)]
pub struct Archived {
    /// Where the manifest is.
    pub path: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// Reports that were copied and could not be removed, and why.
    pub left: Vec<(PathBuf, String)>,
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
    /// The archive would hide more from later scans than what is moved into it.
    #[error(
        "{folder} cannot be the archive, because {why}; name a folder that is new, empty, or an archive already"
    )]
    NotApart {
        /// The folder.
        folder: PathBuf,
        /// What else it is.
        why: &'static str,
    },
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

/// Files that are removed again, unless all goes well.
#[derive(Default)]
struct Created(Vec<PathBuf>);

impl Drop for Created {
    fn drop(&mut self) {
        for path in &self.0 {
            // What cannot be removed is a copy too many, and the error that led here is told.
            let _ = fs::remove_file(path);
        }
    }
}

/// Moves every report that has a finding into `folder`; none if there was nothing to move. Reports that are links stay
/// where they are.
///
/// # Errors
/// A folder that is no archive and holds something, or that `base` is in; something that cannot be read or written; a
/// link inside of `folder`. Reports are then where they were, and what was copied is removed again.
pub fn archive(
    findings: &[Finding],
    base: &Path,
    folder: &Path,
    now: Timestamp,
) -> Result<Option<Archived>> {
    check_apart(base, folder)?;
    let archived = fs::canonicalize(folder).ok();
    let mut reports: BTreeMap<PathBuf, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let path = base.join(&finding.path);
        let report = Language::of(&path).is_some_and(Language::is_report);
        if !report || !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            continue;
        }
        let from = fs::canonicalize(&path).map_err(at(&path))?;
        // What is in the archive already has been moved before.
        if !archived.as_ref().is_some_and(|folder| from.starts_with(folder)) {
            reports.entry(from).or_default().push(finding);
        }
    }
    if reports.is_empty() {
        return Ok(None);
    }
    let folder = prepare(base, folder)?;
    let mut created = Created::default();
    let mut manifest = Manifest { format: FORMAT, archived_at: now, moved: Vec::new() };
    for (from, findings) in reports {
        manifest.moved.push(copy(&from, base, &folder, &findings, &mut created)?);
    }
    let path = write_manifest(&folder, &manifest, &mut created)?;
    for moved in &manifest.moved {
        let below = moved.to.ancestors().skip(1).take_while(|outer| outer.starts_with(&folder));
        below.chain(folder.parent()).try_for_each(sync)?;
    }
    created.0.clear();
    let left = remove_all(&manifest);
    Ok(Some(Archived { path, manifest, left }))
}

/// Removes what has been copied, unless it has changed meanwhile; gives what is left.
fn remove_all(manifest: &Manifest) -> Vec<(PathBuf, String)> {
    let remove = |moved: &Moved| -> std::result::Result<(), String> {
        let told = |error: io::Error| format!("it was copied and cannot be removed: {error}");
        if digest(&fs::read(&moved.from).map_err(told)?) != moved.sha256 {
            let copy = moved.to.display();
            return Err(format!("it has changed since it was copied; {copy} has what it was"));
        }
        fs::remove_file(&moved.from).map_err(told)
    };
    let tried = manifest.moved.iter().map(|moved| (moved, remove(moved)));
    tried.filter_map(|(moved, done)| Some((moved.from.clone(), done.err()?))).collect()
}

/// Refuses a folder that holds something else, for later scans would leave that out too.
fn check_apart(base: &Path, folder: &Path) -> Result<()> {
    let Ok(real) = fs::canonicalize(folder) else { return Ok(()) };
    let refuse = |why| Err(ArchiveError::NotApart { folder: folder.to_owned(), why });
    if fs::canonicalize(base).map_err(at(base))?.starts_with(&real) {
        return refuse("the folder that you are in is part of it");
    }
    let ignore = real.join(crate::tree::IGNORE_FILE);
    match fs::read(&ignore) {
        Ok(text) if text == IGNORE.as_bytes() => Ok(()),
        Ok(_) => refuse("it has a .proofmarkignore of its own"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match fs::read_dir(&real).map_err(at(&real))?.next() {
                Some(_) => refuse("it holds something else"),
                None => Ok(()),
            }
        }
        Err(error) => Err(at(&ignore)(error)),
    }
}

/// Makes the folder, and has later scans leave it out; gives its real path.
fn prepare(base: &Path, folder: &Path) -> Result<PathBuf> {
    // Without a slash at its end, behind which a link would be followed.
    let plain: PathBuf = folder.components().collect();
    if fs::symlink_metadata(&plain).is_ok_and(|found| found.is_symlink()) {
        return Err(ArchiveError::Link(plain));
    }
    fs::create_dir_all(folder).map_err(at(folder))?;
    // A path like `new/..` leads somewhere only now.
    check_apart(base, folder)?;
    let real = fs::canonicalize(folder).map_err(at(folder))?;
    let ignore = real.join(crate::tree::IGNORE_FILE);
    match OpenOptions::new().write(true).create_new(true).open(&ignore) {
        Ok(mut file) => {
            file.write_all(IGNORE.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&ignore))?
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(at(&ignore)(error)),
    }
    Ok(real)
}

/// Has the names in a folder on the disk.
fn sync(folder: &Path) -> Result<()> {
    // Elsewhere a folder cannot be opened.
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
    }
    Ok(())
}

/// Copies a report into the archive.
fn copy(
    from: &Path,
    base: &Path,
    folder: &Path,
    findings: &[&Finding],
    created: &mut Created,
) -> Result<Moved> {
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
    let mut ending = OsString::from(".");
    ending.push(target.extension().unwrap_or_default());
    let stem = target.file_stem().unwrap_or_default();
    let (to, mut file) = create_beside(&target, stem, &ending, created)?;
    file.write_all(header.as_bytes())
        .and_then(|()| file.write_all(&bytes))
        .and_then(|()| keep_times(from, &file))
        .and_then(|()| file.sync_all())
        .map_err(at(&to))?;
    let note = match header.is_empty() {
        true => Some(write_note(&to, from, &why, created)?),
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

/// Creates a file that was not there beside another: by this name, or with a number before its ending.
fn create_beside(
    beside: &Path,
    stem: &OsStr,
    ending: &OsStr,
    created: &mut Created,
) -> Result<(PathBuf, File)> {
    for number in 1u64.. {
        let mut name = stem.to_owned();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        name.push(ending);
        let path = beside.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => {
                created.0.push(path.clone());
                return Ok((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(at(&path)(error)),
        }
    }
    Err(at(beside)(io::ErrorKind::AlreadyExists.into()))
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

fn write_note(to: &Path, from: &Path, why: &[String], created: &mut Created) -> Result<PathBuf> {
    let name = to.file_name().unwrap_or_default();
    let (path, mut file) = create_beside(to, name, NOTE.as_ref(), created)?;
    let mut text =
        format!("# Misleading\n\n`{}` was moved aside by the honesty scan:\n\n", from.display());
    for reason in why {
        let _ = writeln!(text, "- {reason}");
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&path))?;
    Ok(path)
}

fn write_manifest(folder: &Path, manifest: &Manifest, created: &mut Created) -> Result<PathBuf> {
    let path = folder.join("manifest.json");
    let text = serde_json::to_string_pretty(manifest).map_err(|error| ArchiveError::Manifest {
        path: path.clone(),
        detail: error.to_string(),
    })?;
    let (path, mut file) = create_beside(&path, "manifest".as_ref(), ".json".as_ref(), created)?;
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

#[cfg(test)]
mod tests;
