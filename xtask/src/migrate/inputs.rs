//! Which files are read: those that are named, and every .json file below folders that are named. Links in folders are not followed.

use crate::env;
use anyhow::{Context as _, Result};
use ignore::WalkBuilder;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A file to be read, or why it is not.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// As it was named, or found below what was named.
    pub(super) shown: String,
    /// The name by which it is known from one time to the next: below the workspace relative to it, elsewhere absolute.
    pub(super) source_file: String,
    /// The folder that was named, or that the named file is in; absolute and without links.
    pub(super) folder: PathBuf,
    /// Where it is in that folder.
    pub(super) file: PathBuf,
    /// Why it is not read.
    pub(super) refused: Option<String>,
}

impl Input {
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.file)
    }
}

/// The files, each once, in the order of their names. What is in the archive is left out.
pub(super) fn find(paths: &[PathBuf], root: &Path, archive: Option<&Path>) -> Result<Vec<Input>> {
    let here = env::current_dir().context("failed to find the current folder")?;
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let archive = archive.and_then(|archive| fs::canonicalize(here.join(archive)).ok());
    let mut found = BTreeMap::new();
    for path in paths {
        for input in below(path, &here, &root, archive.as_deref()) {
            found.entry(input.source_file.clone()).or_insert(input);
        }
    }
    Ok(found.into_values().collect())
}

fn below(path: &Path, here: &Path, root: &Path, archive: Option<&Path>) -> Vec<Input> {
    let refuse = |path: &Path, why: String| Input {
        shown: path.display().to_string(),
        source_file: path.display().to_string(),
        folder: here.to_owned(),
        file: path.to_owned(),
        refused: Some(why),
    };
    let absolute = match fs::canonicalize(here.join(path)) {
        Ok(absolute) => absolute,
        Err(error) => return vec![refuse(path, format!("unreadable: {error}"))],
    };
    if !absolute.is_dir() {
        let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        let file = absolute.file_name().map(PathBuf::from).unwrap_or_default();
        return vec![input(path.display().to_string(), folder, file, root)];
    }
    let wanted = archive.map(Path::to_owned);
    let walk = WalkBuilder::new(&absolute)
        .standard_filters(false)
        .follow_links(false)
        .filter_entry(move |entry| wanted.as_deref() != Some(entry.path()))
        .build();
    let mut found = Vec::new();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                found.push(refuse(path, format!("unreadable: {error}")));
                continue;
            }
        };
        let kind = entry.file_type();
        if kind.is_none_or(|kind| kind.is_dir()) || !is_json(entry.path()) {
            continue;
        }
        let file = entry.path().strip_prefix(&absolute).unwrap_or(entry.path()).to_owned();
        let mut one = input(path.join(&file).display().to_string(), absolute.clone(), file, root);
        if kind.is_some_and(|kind| kind.is_symlink()) {
            one.refused =
                Some("link: links in a folder are not followed; name the file itself".to_owned());
        }
        found.push(one);
    }
    found
}

fn input(shown: String, folder: PathBuf, file: PathBuf, root: &Path) -> Input {
    let path = folder.join(&file);
    let inner = path.strip_prefix(root).unwrap_or(&path);
    let (source_file, refused) = match inner.to_str() {
        Some(name) if !name.chars().any(char::is_control) => (name.to_owned(), None),
        _ => {
            let why = "name: its name has control characters or is no UTF-8".to_owned();
            (format!("{:?}", inner.as_os_str()), Some(why))
        }
    };
    let shown = match refused {
        None => shown,
        Some(_) => source_file.clone(),
    };
    Input { shown, source_file, folder, file, refused }
}

fn is_json(path: &Path) -> bool {
    let is_plain = path.components().all(|part| part != Component::ParentDir);
    is_plain && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}
