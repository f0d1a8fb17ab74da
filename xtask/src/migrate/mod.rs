//! `migrate`: legacy results in JSON into the store, each number with its path and its mark; and files aside, or back.
//!
//! What a file says is found in `proofmark_lab::migrate`; here files are found, read in parallel, kept and told about.

mod aside;
mod inputs;
mod reading;

use crate::clock;
use crate::context::{self, Context};
use crate::lock::Lock;
use crate::output::tell;
use crate::output::{self, Format};
use anyhow::{Context as _, Result, bail};
use proofmark::exit;
use proofmark_lab::migrate::Outcome;
use proofmark_lab::report::migrate::{self as report, Report};
use proofmark_lab::store::Store;
use reading::Reading;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, and folders in which every .json file is read
    #[arg(value_name = "PATH", required_unless_present = "restore")]
    paths: Vec<PathBuf>,
    /// Write what was found into this file: .json, .md or .html
    #[arg(long, value_name = "FILE", value_parser = report_file)]
    report: Option<PathBuf>,
    /// Move files whose numbers were stored and read back into this folder, with a manifest to restore them
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Say what would be done; writes nothing but the report
    #[arg(long)]
    dry_run: bool,
    /// Bring back the files of this archive
    #[arg(long, value_name = "DIR", conflicts_with_all = ["paths", "report", "archive", "dry_run"])]
    restore: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// A report's format follows from its extension, so another one is a mistake.
fn report_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "md" | "html") => Ok(path),
        _ => Err("its name must end in .json, .md or .html".to_owned()),
    }
}

impl Args {
    /// Opens the workspace only if it is needed.
    pub(crate) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        if let Some(archive) = &self.restore {
            return aside::restore(archive);
        }
        let context = open()?;
        let now = clock::now();
        let inputs = inputs::find(&self.paths, &context.root, self.archive.as_deref())?;
        let (files, stored) = match self.dry_run {
            true => (
                Reading::new(&context, now, known_if_any(&context)?).all(inputs, None)?,
                Vec::new(),
            ),
            false => self.store(&context, now, inputs)?,
        };
        let report = Report::new(files, now, self.dry_run);
        if let Some(path) = &self.report {
            write(path, &report)?;
        }
        self.tell(&report)?;
        let mut left = false;
        if let Some(archive) = &self.archive {
            left = self.set_aside(&context, archive, &stored)?;
        }
        let rejected = report.files.iter().any(|file| file.outcome == Outcome::Rejected);
        Ok(match (rejected, left) {
            (true, _) => ExitCode::from(exit::USAGE),
            (false, true) => ExitCode::from(exit::FAILED),
            (false, false) => ExitCode::SUCCESS,
        })
    }

    /// Reads, keeps and stores; gives also the inputs whose contents the store has.
    fn store(
        &self,
        context: &Context,
        now: jiff::Timestamp,
        inputs: Vec<inputs::Input>,
    ) -> Result<(Vec<report::FileReport>, Vec<inputs::Input>)> {
        let _lock = Lock::take(context)?;
        let known = reading::Known::of(&context.take_in_migrated()?)?;
        let mut writer = proofmark_lab::migrate::lines::Writer::open(&context.folders.migrated)
            .with_context(|| {
                format!("failed to write into {}", context.folders.migrated.display())
            })?;
        let all = inputs.clone();
        let files = Reading::new(context, now, known).all(inputs, Some(&mut writer))?;
        writer.sync().with_context(|| {
            format!("failed to write into {}", context.folders.migrated.display())
        })?;
        context.take_in_migrated()?.close()?;
        Ok((files, all))
    }

    /// Moves what is stored; whether something that is stored was left.
    fn set_aside(
        &self,
        context: &Context,
        archive: &Path,
        inputs: &[inputs::Input],
    ) -> Result<bool> {
        if self.dry_run {
            tell!("note: nothing is moved into {}, for this is a dry run", archive.display());
            return Ok(false);
        }
        let _lock = Lock::take(context)?;
        aside::archive(context, archive, inputs)
    }

    fn tell(&self, report: &Report) -> Result<()> {
        if self.format == Format::Json {
            return output::print_json(report);
        }
        for file in report.files.iter().filter(|file| file.outcome == Outcome::Rejected) {
            tell!("error: {}: {}", file.file, file.reasons.join("; "));
        }
        let counts = &report.counts;
        let mut table = output::table(["reason", "files"]);
        for (reason, count) in &counts.reasons {
            table.add_row([reason.clone(), count.to_string()]);
        }
        let outcomes: Vec<_> =
            counts.outcomes.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let numbers: Vec<_> =
            counts.numbers.iter().map(|(name, count)| format!("{count} {name}")).collect();
        output::print(&format!(
            "{table}\n{} files: {}; numbers: {}; {} files contradict themselves, {} are duplicates\n",
            counts.files,
            outcomes.join(", "),
            numbers.join(", "),
            counts.contradictory,
            counts.duplicates
        ))
    }
}

/// What the store knows, if there is one that can be read: a dry run makes none and changes none.
fn known_if_any(context: &Context) -> Result<reading::Known> {
    match Store::open_read_only(&context.db) {
        Ok(store) => reading::Known::of(&store),
        Err(_) => Ok(reading::Known::default()),
    }
}

/// Writes a report whole or not at all.
fn write(path: &Path, report: &Report) -> Result<()> {
    let text = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::to_string_pretty(report)? + "\n",
        Some("md") => report::markdown(report),
        Some("html") => report::html(report),
        _ => bail!("failed to write {}: its name must end in .json, .md or .html", path.display()),
    };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, path))
        .with_context(|| format!("failed to write the report {}", path.display()))
}

impl Context {
    /// Opens the store and takes in what is new in the migrated lines.
    fn take_in_migrated(&self) -> Result<Store> {
        let store = Store::open(&self.db)?;
        context::warn_of(&store.ingest_migrated(&self.folders.migrated)?.faults);
        Ok(store)
    }
}
