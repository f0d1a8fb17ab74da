//! `scan`: finds code and reports that present simulation as measurement, and moves such reports aside.

use crate::clock;
use crate::env;
use crate::output;
use crate::output::tell;
use crate::process;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use proofmark::exit;
use proofmark_scan::archive::{self, Archived, Restored};
use proofmark_scan::{Confidence, Options, Scan, plan, sarif, scan};
use serde_json::json;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The version of what `--format json` prints.
const FORMAT: u32 = 1;

/// Flags of `scan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files and folders; folders are walked as git would, so what .gitignore names is left out
    #[arg(value_name = "PATH", required_unless_present = "undo")]
    paths: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Leave out findings that are less sure
    #[arg(long, value_enum, default_value_t = Sureness::Medium, value_name = "LEVEL")]
    min_confidence: Sureness,
    /// Print what to change, file by file, as Markdown; changes nothing
    #[arg(long, conflicts_with = "format")]
    fix_report: bool,
    /// Move reports that have findings into this folder, with a manifest to undo it; never moves code
    #[arg(long, value_name = "DIR", conflicts_with = "fix_report")]
    archive: Option<PathBuf>,
    /// Bring back what this manifest of an archive lists
    #[arg(long, value_name = "MANIFEST", conflicts_with_all = ["paths", "archive", "fix_report"])]
    undo: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For code scanning, SARIF 2.1.0
    Sarif,
    /// For people, to keep
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sureness {
    /// Worth a look
    Low,
    /// Likely
    Medium,
    /// The file itself shows it
    High,
}

impl From<Sureness> for Confidence {
    fn from(level: Sureness) -> Self {
        match level {
            Sureness::Low => Self::Low,
            Sureness::Medium => Self::Medium,
            Sureness::High => Self::High,
        }
    }
}

impl Args {
    /// Needs no workspace.
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(manifest) = &self.undo {
            return undo(manifest);
        }
        let base = env::current_dir().context("failed to find the current folder")?;
        let known = Mutex::default();
        let options = Options {
            min_confidence: self.min_confidence.into(),
            base: &base,
            committed: &|path| remembered(&known, path),
        };
        let found = scan(&self.paths, &options).context("failed to scan")?;
        for skipped in &found.skipped {
            tell!("note: not scanned: {skipped}");
        }
        match (self.fix_report, self.format) {
            (true, _) => output::print(&plan::fixes(&found))?,
            (false, Format::Table) => output::print(&table(&found))?,
            (false, Format::Markdown) => output::print(&plan::markdown(&found))?,
            (false, Format::Sarif) => output::print_json(&sarif(&found.findings))?,
            (false, Format::Json) => {
                let Scan { findings, files, suppressed, skipped } = &found;
                output::print_json(&json!({
                    "format": FORMAT, "files": files, "suppressed": suppressed, "skipped": skipped, "findings": findings,
                }))?;
            }
        }
        if let Some(folder) = &self.archive {
            set_aside(&found, &base, folder)?;
        }
        Ok(if found.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
    }
}

/// When git last saw a file change, asked once for each file.
fn remembered(
    known: &Mutex<HashMap<PathBuf, Option<Timestamp>>>,
    path: &Path,
) -> Option<Timestamp> {
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(time) = lock().get(path).copied() {
        return time;
    }
    // Not while it is locked, so that others can ask meanwhile.
    let time = committed(path);
    lock().insert(path.to_owned(), time);
    time
}

/// When git last saw a file change.
fn committed(path: &Path) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?;
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let seconds = process::ask_git(folder, &["log", "-1", "--format=%ct", "--", name]).ok()?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

fn table(found: &Scan) -> String {
    let mut text = String::new();
    if !found.findings.is_empty() {
        let mut table = output::table(["place", "rule", "confidence", "what", "evidence"]);
        for finding in &found.findings {
            table.add_row([
                format!("{}:{}", finding.path, finding.line),
                finding.rule.to_string(),
                finding.confidence.to_string(),
                finding.message.clone(),
                finding.evidence.clone(),
            ]);
        }
        text += &format!("{table}\n");
    }
    text + &plan::summary(found) + "\n"
}

/// Moves reports into the archive and tells of it on the standard error, where it disturbs no output.
fn set_aside(found: &Scan, base: &Path, folder: &Path) -> Result<()> {
    let moved = archive::archive(&found.findings, base, folder, clock::now())
        .with_context(|| format!("failed to move reports into {}", folder.display()))?;
    match moved {
        Some(Archived { path, manifest, left }) => {
            tell!(
                "{} reports moved aside; cargo xtask scan --undo {} brings them back",
                manifest.moved.len() - left.len(),
                path.display()
            );
            for (report, why) in left {
                tell!("error: {} was not moved: {why}", report.display());
            }
        }
        None => tell!("no report to move"),
    }
    Ok(())
}

fn undo(manifest: &Path) -> Result<ExitCode> {
    let restored = archive::undo(manifest)
        .with_context(|| format!("failed to undo {}", manifest.display()))?;
    let mut code = ExitCode::SUCCESS;
    for one in &restored {
        match one {
            Restored::Back(path) => output::print(&format!("{} is back\n", path.display()))?,
            Restored::Left(path, why) => {
                tell!("error: {} was not brought back: {why}", path.display());
                code = ExitCode::from(exit::FAILED);
            }
        }
    }
    Ok(code)
}
