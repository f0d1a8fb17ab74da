//! `store compact`: puts old record files together into few compressed ones.

use crate::clock;
use crate::context::Context;
use crate::lock::Lock;
use crate::output::{self, Format, printable};
use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use proofmark::journal::compaction::{self, Compacted, Found, Old};
use proofmark::settings::parse_duration;
use proofmark_lab::figures;
use proofmark_lab::store::Store;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Flags of `store compact`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Leave files alone that hold anything newer than this, such as 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30d")]
    older_than: Duration,
    /// Show which files would be put together; change nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Files that were, or would be, put together.
struct Done {
    files: usize,
    bytes: u64,
    /// Nothing in a dry run.
    into: Option<Compacted>,
}

impl Args {
    /// Puts files together, group by group; whatever ends it, each group is either done or as it was.
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let _lock = Lock::take(context)?;
        let folder = &context.folders.records;
        let failed = || format!("failed to put record files in {} together", folder.display());
        let found = compaction::find(folder, ago(self.older_than), false).with_context(failed)?;
        let Found { old, kept } = found;
        // Of what is read already, the database need not read the compressed file.
        let store = if self.dry_run || old.is_empty() { None } else { Some(context.ingest()?) };
        let mut done = Vec::new();
        for group in compaction::groups(old) {
            let (files, bytes) = (group.len(), group.iter().map(|file| file.bytes).sum());
            let into = match &store {
                Some(store) => Some(put_together(store, group).with_context(failed)?),
                None => None,
            };
            done.push(Done { files, bytes, into });
        }
        if let Some(store) = store {
            store.close()?;
        }
        match self.format {
            Format::Json => output::print_json(&as_json(&done, &kept))?,
            Format::Table => output::print(&as_text(&done, &kept))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// So long ago.
pub(super) fn ago(age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    clock::now().checked_sub(age).unwrap_or(Timestamp::MIN)
}

fn put_together(store: &Store, files: Vec<Old>) -> Result<Compacted> {
    let into = compaction::compact(&files)?;
    let paths: Vec<&Path> = files.iter().map(|file| &*file.path).collect();
    store.moved(&paths, &into.path, into.bytes)?;
    compaction::remove(files)?;
    Ok(into)
}

fn as_json(done: &[Done], kept: &[(std::path::PathBuf, String)]) -> Value {
    let compacted = done.iter().map(|Done { files, bytes, into }| {
        let path = into.as_ref().map(|into| into.path.display().to_string());
        json!({ "files": files, "bytes": bytes, "into": path, "into_bytes": into.as_ref().map(|into| into.bytes) })
    });
    let kept = kept
        .iter()
        .map(|(path, reason)| json!({ "path": path.display().to_string(), "reason": reason }));
    json!({ "format": 1, "compacted": compacted.collect::<Vec<_>>(), "kept": kept.collect::<Vec<_>>() })
}

fn as_text(done: &[Done], kept: &[(std::path::PathBuf, String)]) -> String {
    let mut text = String::new();
    for Done { files, bytes, into } in done {
        let before = format!("{files} files of {}", figures::bytes(*bytes));
        let _ = match into {
            Some(into) => {
                writeln!(
                    text,
                    "{before} are now {} of {}",
                    into.path.display(),
                    figures::bytes(into.bytes)
                )
            }
            None => writeln!(text, "{before} would be put together"),
        };
    }
    for (path, reason) in kept {
        let _ = writeln!(
            text,
            "{} stays: it {}",
            printable(&path.display().to_string()),
            printable(reason)
        );
    }
    if text.is_empty() {
        text.push_str("there are no record files to put together\n");
    }
    text
}
