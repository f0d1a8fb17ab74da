//! Which files there are to scan, and what their paths say of them.

use crate::file::Language;
use crate::rule::{Confidence, Finding, Rule};
use ignore::{DirEntry, WalkBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Patterns of files that are not scanned, as in `.gitignore`; a comment before them says why.
pub(crate) const IGNORE_FILE: &str = ".proofmarkignore";

/// A file to scan.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// As it is shown and opened.
    pub(crate) path: PathBuf,
    /// The part of it that says whether it is code of tests.
    pub(crate) inner: PathBuf,
    pub(crate) language: Language,
}

/// All files below these paths, each once, in order; and what was wrong on the way.
pub(crate) fn places(paths: &[PathBuf], base: &Path) -> (Vec<Place>, Vec<String>, Vec<Finding>) {
    let mut found = BTreeMap::new();
    let mut folders = BTreeSet::new();
    let mut faults = Vec::new();
    let mut findings = Vec::new();
    let mut add = |path: &Path, inner: PathBuf| {
        if let Some(language) = Language::of(path) {
            let place = Place { path: path.to_owned(), inner, language };
            found.entry(plain(path)).or_insert(place);
        }
    };
    for root in paths {
        if root.is_file() {
            add(root, inner_of_file(root, base));
            continue;
        }
        let mut walk = WalkBuilder::new(root);
        walk.require_git(false).add_custom_ignore_filename(IGNORE_FILE).filter_entry(is_wanted);
        for entry in walk.build() {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {
                    if folders.insert(plain(entry.path())) {
                        findings.extend(unreasoned(entry.path()));
                    }
                }
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                    let path = entry.path();
                    add(path, path.strip_prefix(root).unwrap_or(path).to_owned());
                }
                Ok(_) => {}
                Err(error) => faults.push(error.to_string()),
            }
        }
    }
    (found.into_values().collect(), faults, findings)
}

/// A path without `./`, so that each file has one.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Folders of other people's code and of what programs build are left out.
fn is_wanted(entry: &DirEntry) -> bool {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    let name = entry.file_name().to_string_lossy();
    let foreign = matches!(name.as_ref(), "node_modules" | "site-packages" | "__pycache__");
    !(is_folder && entry.depth() > 0 && (foreign || entry.path().join("CACHEDIR.TAG").exists()))
}

/// Of a file that was named itself: the path from the folder of the call, or its last folder and its name.
fn inner_of_file(path: &Path, base: &Path) -> PathBuf {
    if let Ok(inner) = path.strip_prefix(base) {
        return inner.to_owned();
    }
    if path.is_relative() {
        let plain = path.components().filter(|part| matches!(part, Component::Normal(_)));
        return plain.collect();
    }
    let mut last: Vec<_> = path.components().rev().take(2).collect();
    last.reverse();
    last.into_iter().collect()
}

/// Patterns in the ignore file of a folder that no comment explains.
fn unreasoned(folder: &Path) -> Option<Finding> {
    let path = folder.join(IGNORE_FILE);
    let text = std::fs::read_to_string(&path).ok()?;
    let mut explained = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        match line.strip_prefix('#') {
            Some(reason) => explained = reason.split_whitespace().count() >= 2,
            None if line.is_empty() => explained = false,
            None if explained => {}
            None => {
                return Some(Finding {
                    path: path.display().to_string(),
                    line: at + 1,
                    column: 1,
                    rule: Rule::BareSuppression,
                    confidence: Confidence::High,
                    message: "files are left out, and no comment before them says why".to_owned(),
                    evidence: line.to_owned(),
                    remedy: Rule::BareSuppression.remedy(),
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_plain_form() {
        for path in ["./sub/a.py", "sub/./a.py", "sub//a.py", "././sub/a.py"] {
            assert_eq!(plain(Path::new(path)), Path::new("sub/a.py"), "{path}");
        }
        assert_eq!(plain(Path::new("../a.py")), Path::new("../a.py"));
    }
}
