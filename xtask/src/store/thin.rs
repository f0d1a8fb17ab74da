//! `store thin`: drops the raw samples of old results that newer ones have followed. What the samples said stays.

use super::compact::ago;
use super::in_scratch;
use crate::context::Context;
use crate::lock::Lock;
use crate::outcome::absent;
use crate::output::{self, Format, printable};
use anyhow::{Context as _, Result, bail};
use proofmark::journal::compaction::{self, Found};
use proofmark::journal::thinning::{self, Change, Thinned};
use proofmark::journal::{self, line, written};
use proofmark::record::{FORMAT, Line};
use proofmark::settings::parse_duration;
use proofmark_lab::store::Store;
use proofmark_lab::{figures, retention};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Flags of `store thin`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Leave files alone that hold anything newer than this, such as 365d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    older_than: Duration,
    /// Show what would be dropped; change nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Args {
    /// Goes file by file; whatever ends it, each file is either done or as it was.
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let folder = &context.folders.records;
        let failed = || format!("failed to thin the record files in {}", folder.display());
        if journal::files(folder).with_context(failed)?.is_empty() {
            return Err(absent(format!("there are no record files in {}", folder.display())));
        }
        let _lock = Lock::take(context)?;
        let Found { old, kept } =
            compaction::find(folder, ago(self.older_than), true).with_context(failed)?;
        let store = if self.dry_run { None } else { Some(context.ingest()?) };
        let whole = match &store {
            Some(store) => {
                certificates_are_read(store, context)?;
                store.kept_whole()?
            }
            None => in_scratch(context, |scratch| kept_whole(context, scratch))??,
        };
        let mut done = Vec::new();
        for file in old {
            let path = file.path.clone();
            // Killed after this, the database reads anew whichever file is there.
            let before = store.as_ref().map(|store| {
                |into: &Path, ids: &[String]| {
                    store.rewritten(&path, into, ids).map_err(io::Error::other)
                }
            });
            let thinned = thinning::thin(&file, |text| change(text, &whole), before)
                .with_context(|| format!("failed to thin {}", path.display()))?;
            if thinned.into.is_some() {
                compaction::remove(vec![file]).with_context(failed)?;
            }
            if !thinned.ids.is_empty() {
                done.push((path, thinned));
            }
        }
        if let Some(store) = store {
            context.take_in(store)?.close()?;
        }
        match self.format {
            Format::Json => output::print_json(&as_json(&done, &kept))?,
            Format::Table => output::print(&as_text(&done, &kept))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The ids of what is not to be thinned, from a database that is made for this alone.
fn kept_whole(context: &Context, scratch: &Path) -> Result<HashSet<String>> {
    let db = scratch.join("results.duckdb");
    Store::rebuild(&db, &context.folders)?;
    Ok(Store::open_read_only(&db)?.kept_whole()?)
}

/// Evidence of a certificate that cannot be read could not be kept.
fn certificates_are_read(store: &Store, context: &Context) -> Result<()> {
    let folder = &context.folders.certificates;
    match store.ingest_certificates(folder)?.1.first() {
        None => Ok(()),
        Some(fault) => bail!(
            "{} {}; what it rests on is not known, so nothing was dropped: renew or remove it",
            fault.path.display(),
            fault.detail
        ),
    }
}

/// Another line for one whose result may lose its samples.
fn change(text: &[u8], whole: &HashSet<String>) -> io::Result<Option<Change>> {
    let Line::Result(record) = line(text).map_err(io::Error::other)? else { return Ok(None) };
    if whole.contains(&record.id) {
        return Ok(None);
    }
    let Some(mut thinned) = retention::thin(&record) else { return Ok(None) };
    // A version that knows more than this one may have written more.
    let id = record.id.clone();
    if !holds(&serde_json::to_value(Line::Result(record))?, &serde_json::from_slice(text)?) {
        return Ok(None);
    }
    thinned.format = FORMAT;
    Ok(Some((id, written(&Line::Result(thinned))?)))
}

/// Whether a line of ours has all that another says, but for its checksum.
fn holds(ours: &Value, other: &Value) -> bool {
    match (ours, other) {
        (Value::Object(ours), Value::Object(other)) => other
            .iter()
            .filter(|(name, _)| *name != "crc32")
            .all(|(name, value)| ours.get(name).is_some_and(|ours| holds(ours, value))),
        (Value::Array(ours), Value::Array(other)) => {
            ours.len() == other.len() && ours.iter().zip(other).all(|(a, b)| holds(a, b))
        }
        _ => ours == other,
    }
}

fn as_json(done: &[(PathBuf, Thinned)], kept: &[(PathBuf, String)]) -> Value {
    let thinned = done.iter().map(|(path, thinned)| {
        let into = thinned.into.as_ref().map(|into| into.path.display().to_string());
        let [bytes, into_bytes] = thinned.bytes;
        json!({
            "path": path.display().to_string(), "results": thinned.ids.len(), "bytes": bytes, "into": into,
            "into_bytes": into_bytes,
        })
    });
    let kept = kept
        .iter()
        .map(|(path, reason)| json!({ "path": path.display().to_string(), "reason": reason }));
    json!({ "format": 1, "thinned": thinned.collect::<Vec<_>>(), "kept": kept.collect::<Vec<_>>() })
}

fn as_text(done: &[(PathBuf, Thinned)], kept: &[(PathBuf, String)]) -> String {
    let mut text = String::new();
    for (path, Thinned { ids, bytes: [before, after], into }) in done {
        let verb = if into.is_some() { "have" } else { "would have" };
        let _ = writeln!(
            text,
            "{}: {} results {verb} summaries instead of samples, {} instead of {}",
            printable(&path.display().to_string()),
            ids.len(),
            figures::bytes(*after),
            figures::bytes(*before)
        );
    }
    for (path, reason) in kept {
        let path = path.display().to_string();
        let _ = writeln!(text, "{} stays: it {}", printable(&path), printable(reason));
    }
    if text.is_empty() {
        text.push_str("there are no results to thin\n");
    }
    text
}
