//! Finds code and reports that present simulation as measurement.
//!
//! `scan` walks paths and gives findings. Source code (Python, JavaScript and TypeScript, Rust) is parsed by
//! tree-sitter, lowered into one small syntax tree (`syntax`), its numbers are followed (`flow`) and judged (`rules`).
//! Reports (JSON, Markdown, HTML) are judged by their structure (`reports`). Nothing is run, and nothing is changed
//! except by `archive`.

pub mod archive;
mod file;
mod flow;
pub mod plan;
mod reports;
mod rule;
mod rules;
mod sarif;
mod suppress;
mod syntax;
mod tree;
mod words;

pub use file::Language;
pub use rule::{Confidence, Finding, Rule};
pub use sarif::sarif;

use file::File;
use jiff::Timestamp;
use rayon::prelude::*;
use reports::cited::{self, Ages};
use serde::Serialize;
use std::path::{Path, PathBuf};
use syntax::Unit;

/// Source files beyond this are not parsed.
const MAX_BYTES: u64 = 4 << 20;
/// A line longer than this is not written by a person.
const MAX_LINE: usize = 20_000;
/// Walks over syntax need stack, though their depth is bounded.
const STACK_BYTES: usize = 16 << 20;

/// How to scan.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Findings that are less sure are left out.
    pub min_confidence: Confidence,
    /// The folder from which relative paths count.
    pub base: &'a Path,
    /// When a commit last changed a file; none: unknown, or not committed.
    pub committed: &'a (dyn Fn(&Path) -> Option<Timestamp> + Sync),
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("min_confidence", &self.min_confidence)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// By path and line.
    pub findings: Vec<Finding>,
    /// How many files were looked at.
    pub files: usize,
    /// How many findings comments suppress.
    pub suppressed: usize,
    /// What could not be looked at, and why.
    pub skipped: Vec<String>,
}

/// Why a scan could not take place.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is no such path.
    #[error("there is no file or folder {0}")]
    Missing(PathBuf),
    /// The threads that scan could not be started.
    #[error("the threads that scan could not be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Scans files and folders. Folders are walked as git would: what `.gitignore` or `.proofmarkignore` names is left out.
///
/// # Errors
/// A path that does not exist, or threads that cannot be started.
pub fn scan(paths: &[PathBuf], options: &Options<'_>) -> Result<Scan, ScanError> {
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        return Err(ScanError::Missing(missing.clone()));
    }
    let (places, faults, mut findings) = tree::places(paths, options.base);
    let roots: Vec<PathBuf> = paths.iter().filter(|path| path.is_dir()).cloned().collect();
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build()?;
    let scanned: Vec<_> =
        pool.install(|| places.par_iter().map(|place| one(place, &roots, options)).collect());
    let mut scan = Scan { files: places.len(), skipped: faults, ..Scan::default() };
    for outcome in scanned {
        match outcome {
            Ok((found, suppressed)) => {
                findings.extend(found);
                scan.suppressed += suppressed;
            }
            Err(why) => scan.skipped.push(why),
        }
    }
    findings.retain(|finding| finding.confidence >= options.min_confidence);
    findings.sort();
    scan.findings = findings;
    Ok(scan)
}

fn one(
    place: &tree::Place,
    roots: &[PathBuf],
    options: &Options<'_>,
) -> Result<(Vec<Finding>, usize), String> {
    let shown = place.path.display();
    let language = place.language;
    let length = std::fs::metadata(&place.path).map_or(0, |known| known.len());
    let too_large = || format!("{shown}: too large, or not written by a person");
    if !language.is_report() && length > MAX_BYTES {
        return Err(too_large());
    }
    let bytes = std::fs::read(&place.path).map_err(|error| format!("{shown}: {error}"))?;
    if bytes.iter().take(8_000).any(|byte| *byte == 0) {
        return Err(format!("{shown}: binary"));
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if !language.is_report() && text.lines().any(|line| line.len() > MAX_LINE) {
        return Err(too_large());
    }
    let file = File::new(&place.path, &place.inner, language, text);
    let (mut found, comments) = judge(&file);
    if language.is_report() && !file.is_test() {
        found.extend(cited::check(&file, roots, Ages { committed: options.committed }));
    }
    let suppressed = suppress::apply(&file, &comments, &mut found);
    Ok((found, suppressed))
}

/// The findings of one text by itself, as if it were the file `path`: those that need other files are left out.
pub fn scan_text(path: &Path, text: &str) -> Vec<Finding> {
    let Some(language) = Language::of(path) else { return Vec::new() };
    let file = File::new(path, path, language, text);
    let (mut found, comments) = judge(&file);
    suppress::apply(&file, &comments, &mut found);
    found.sort();
    found
}

fn judge(file: &File<'_>) -> (Vec<Finding>, Vec<syntax::Comment>) {
    if file.language.is_report() {
        return (reports::check(file), Vec::new());
    }
    if !(words::may_matter(file.text) || looks_open(file.text)) {
        return (Vec::new(), Vec::new());
    }
    match Unit::parse(file.language, file.text, 1) {
        Some(mut unit) => (rules::check(file, &unit), std::mem::take(&mut unit.comments)),
        None => (Vec::new(), Vec::new()),
    }
}

/// Whether a source text may end in the middle: cheap, and often wrong; the parser decides.
fn looks_open(text: &str) -> bool {
    let mut counts = [0i64; 3];
    let mut quotes = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' => counts[0] += 1,
            b')' => counts[0] -= 1,
            b'[' => counts[1] += 1,
            b']' => counts[1] -= 1,
            b'{' => counts[2] += 1,
            b'}' => counts[2] -= 1,
            b'"' | b'`' => quotes += 1,
            _ => {}
        }
    }
    let waits = text.trim_end().ends_with([',', '=', '(', '[', '{', ':', '+', '.', '&', '|', '\\']);
    counts.iter().any(|count| *count != 0) || quotes % 2 == 1 || waits
}
