//! Which sources the paths of a command line name: files as they are, folders with what is in them.

use proofmark_lab::import::{CriterionFiles, MAX_BYTES, Source};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Folders within folders that are looked into.
const MAX_DEPTH: u32 = 32;
/// What criterion keeps beside `new`: older results, comparisons and pages.
const OTHERS_OF_CRITERION: [&str; 3] = ["base", "change", "report"];

/// A source that was found.
pub(super) struct Item {
    /// As people know it.
    pub(super) name: String,
    /// Whether it was named itself, and not only its folder.
    pub(super) is_named: bool,
    place: Place,
}

enum Place {
    File(PathBuf),
    /// The folder `new` of a benchmark of criterion.
    Criterion(PathBuf),
    /// What could not be looked into, and why.
    Broken(String),
}

/// All sources, in the order of the paths, within a folder by name.
pub(super) fn gather(paths: &[PathBuf]) -> Vec<Item> {
    let mut items = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, 0, &mut items);
        } else {
            items.push(item(path, true, Place::File(path.clone())));
        }
    }
    items
}

fn item(path: &Path, is_named: bool, place: Place) -> Item {
    Item { name: path.to_string_lossy().into_owned(), is_named, place }
}

/// Links are not followed, and names that begin with a dot are left out.
fn walk(folder: &Path, depth: u32, items: &mut Vec<Item>) {
    if is_of_criterion(folder) {
        items.push(item(folder, true, Place::Criterion(folder.to_owned())));
        return;
    }
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(_) if depth >= MAX_DEPTH => {
            let why = format!(
                "its folders are nested deeper than {MAX_DEPTH}: name the one that is meant"
            );
            return items.push(item(folder, true, Place::Broken(why)));
        }
        Ok(entries) => entries,
        Err(error) => return items.push(item(folder, true, Place::Broken(error.to_string()))),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    let has_new = is_of_criterion(&folder.join("new"));
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_other = has_new && OTHERS_OF_CRITERION.contains(&&*name);
        match entry.file_type() {
            _ if name.starts_with('.') || is_other => {}
            Ok(kind) if kind.is_dir() => walk(&path, depth + 1, items),
            Ok(kind) if kind.is_file() => items.push(item(&path, false, Place::File(path.clone()))),
            _ => {}
        }
    }
}

fn is_of_criterion(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has("benchmark.json") && has("sample.json") && has("estimates.json")
}

/// The bytes of a source.
pub(super) fn read(item: &Item) -> Result<Source, String> {
    match &item.place {
        Place::Broken(why) => Err(why.clone()),
        Place::File(path) => bytes(path).map(Source::File),
        Place::Criterion(folder) => Ok(Source::Criterion(CriterionFiles {
            benchmark: bytes(&folder.join("benchmark.json"))?,
            sample: bytes(&folder.join("sample.json"))?,
            estimates: bytes(&folder.join("estimates.json"))?,
        })),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let said = |error: std::io::Error| error.to_string();
    let file = File::open(path).map_err(said)?;
    let facts = file.metadata().map_err(said)?;
    if !facts.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len().min(MAX_BYTES)).unwrap_or(0));
    // It may grow while it is read.
    if facts.len() <= MAX_BYTES {
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(said)?;
    }
    if facts.len().max(bytes.len() as u64) > MAX_BYTES {
        return Err(format!("it has more than {} MiB: record less, or split it", MAX_BYTES >> 20));
    }
    Ok(bytes)
}
