//! `import`: what other tools measured, from their files into the state folder and the database, marked claimed.

mod gather;

use crate::clock;
use crate::context::{self, Context};
use crate::lock::Lock;
use crate::outcome::absent;
use crate::output::tell;
use crate::output::{self, Format};
use anyhow::{Context as _, Result};
use gather::Item;
use indicatif::{ProgressBar, ProgressStyle};
use proofmark::exit;
use proofmark_lab::figures;
use proofmark_lab::import::{self, ImportError, Imported, Options, Tool, kept};
use proofmark_lab::store::Store;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

/// Numbers that are held before they are written.
const BATCH: usize = 100_000;
/// Numbers that a dry run shows of a source.
const SHOWN: usize = 40;

/// Flags of `import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files that other tools wrote, or folders, of which files of no known tool are left out
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The tool that wrote them, instead of the one that their content says: criterion, hyperfine, google-benchmark,
    /// pytest-benchmark, jmh, go, mlperf, onnx-runtime, pytorch, dumpsys, getprop, powermetrics, nvidia-smi, perfetto
    #[arg(long, value_name = "NAME")]
    tool: Option<Tool>,
    /// The tool's version, where it does not write it itself
    #[arg(long, value_name = "VERSION")]
    tool_version: Option<String>,
    /// The device that dumpsys or another tool of devices asked, where the file does not say it
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Show what would be imported, with its numbers; write nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What became of a source.
enum Outcome {
    /// It is new.
    Imported(Rc<Imported>),
    /// Its bytes were imported before.
    Known(Rc<Imported>),
    /// A file of a folder that no known tool wrote.
    Skipped(String),
    /// It could not be read.
    Failed(String),
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Imported(_) => "imported",
            Self::Known(_) => "known",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }

    fn imported(&self) -> Option<&Imported> {
        match self {
            Self::Imported(imported) | Self::Known(imported) => Some(imported),
            Self::Skipped(_) | Self::Failed(_) => None,
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Imported(imported) => imported.remarks.join("; "),
            Self::Known(imported) => {
                format!("imported on {} as {}", imported.imported_at, imported.source)
            }
            Self::Skipped(why) | Self::Failed(why) => why.clone(),
        }
    }
}

impl Args {
    /// Reads all that the paths name. What cannot be read is told, and costs only itself.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let items = gather::gather(&self.paths);
        let _lock = if self.dry_run { None } else { Some(Lock::take(context)?) };
        let outcomes = self.all(context, items)?;
        if !self.dry_run && outcomes.iter().any(|(_, outcome)| outcome.imported().is_some()) {
            let (_, faults) = Store::open(&context.db)?.ingest_imports(&context.folders.imports)?;
            context::warn_of(&faults);
        }
        for (source, outcome) in &outcomes {
            if let Outcome::Failed(why) = outcome {
                tell!(
                    "error: failed to import {}: {}",
                    output::printable(source),
                    output::printable(why)
                );
            }
        }
        match self.format {
            Format::Json => output::print_json(&self.json(&outcomes))?,
            Format::Table => output::print(&self.table(&outcomes))?,
        }
        if outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_))) {
            return Ok(ExitCode::from(exit::USAGE));
        }
        if outcomes.iter().all(|(_, outcome)| outcome.imported().is_none()) {
            return Err(absent(
                "no file of a known tool is there: name the files, and their tool with --tool",
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn all(&self, context: &Context, items: Vec<Item>) -> Result<Vec<(String, Outcome)>> {
        let folder = &context.folders.imports;
        let (known, faults) = kept::read(folder).with_context(|| {
            format!("failed to read what was imported into {}", folder.display())
        })?;
        context::warn_of(&faults);
        let mut known: HashMap<String, Rc<Imported>> =
            known.into_iter().map(|imported| (imported.id.clone(), Rc::new(imported))).collect();
        let bar = ProgressBar::new(items.len() as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}")?;
        bar.set_style(style);
        let mut pending = Vec::new();
        let mut outcomes = Vec::new();
        for item in items {
            bar.set_message(output::printable(&item.name));
            let outcome = self.one(&item, &known);
            if let Outcome::Imported(imported) = &outcome {
                known.insert(imported.id.clone(), Rc::clone(imported));
                pending.push(Rc::clone(imported));
            }
            outcomes.push((item.name, outcome));
            if pending.iter().map(|imported: &Rc<Imported>| imported.results.len()).sum::<usize>()
                > BATCH
            {
                self.keep(context, &mut pending)?;
            }
            bar.inc(1);
        }
        self.keep(context, &mut pending)?;
        bar.finish_and_clear();
        Ok(outcomes)
    }

    fn keep(&self, context: &Context, pending: &mut Vec<Rc<Imported>>) -> Result<()> {
        let pending = std::mem::take(pending);
        if self.dry_run || pending.is_empty() {
            return Ok(());
        }
        let folder = &context.folders.imports;
        kept::append(folder, &pending)
            .with_context(|| format!("failed to write what was imported into {}", folder.display()))
    }

    fn one(&self, item: &Item, known: &HashMap<String, Rc<Imported>>) -> Outcome {
        let source = match gather::read(item) {
            Ok(source) => source,
            Err(why) => return Outcome::Failed(why),
        };
        if let Some(imported) = known.get(&source.id()) {
            return Outcome::Known(Rc::clone(imported));
        }
        let options = Options {
            tool: self.tool,
            tool_version: self.tool_version.clone(),
            device: self.device.clone(),
        };
        match import::read(&item.name, source, &options, clock::now()) {
            Ok(imported) => Outcome::Imported(Rc::new(imported)),
            // In a folder are other files too; only what a known tool wrote can be damaged.
            Err(ImportError::Unknown { detail }) if !item.is_named => Outcome::Skipped(detail),
            Err(ImportError::Part) if !item.is_named => {
                Outcome::Skipped("a part of what criterion keeps of a benchmark".to_owned())
            }
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn json(&self, outcomes: &[(String, Outcome)]) -> Value {
        let one = |(source, outcome): &(String, Outcome)| {
            let imported = outcome.imported();
            let mut object = json!({
                "source": source,
                "outcome": outcome.name(),
                "why": outcome.why(),
                "id": imported.map(|imported| &imported.id),
                "tool": imported.map(|imported| imported.tool),
                "tool_version": imported.and_then(|imported| imported.tool_version.as_ref()),
                "tool_version_from": imported.map(|imported| &imported.tool_version_from),
                "mark": imported.map(|imported| imported.mark),
                "results": imported.map_or(0, |imported| imported.results.len()),
            });
            if self.dry_run {
                object["values"] = json!(imported.map(|imported| &imported.results));
            }
            object
        };
        outcomes.iter().map(one).collect()
    }

    fn table(&self, outcomes: &[(String, Outcome)]) -> String {
        let mut table =
            output::table(["source", "tool", "version", "mark", "results", "outcome", "why"]);
        for (source, outcome) in outcomes {
            let imported = outcome.imported();
            let version =
                imported.map(|imported| imported.tool_version.as_deref().unwrap_or("unknown"));
            table.add_row([
                output::printable(source),
                imported.map(|imported| imported.tool.to_string()).unwrap_or_default(),
                output::printable(version.unwrap_or_default()),
                imported.map(|imported| imported.mark.to_string()).unwrap_or_default(),
                imported.map(|imported| imported.results.len().to_string()).unwrap_or_default(),
                outcome.name().to_owned(),
                output::printable(&outcome.why()),
            ]);
        }
        let mut text = format!("{table}\n");
        if self.dry_run {
            for (source, imported) in outcomes.iter().filter_map(|(s, o)| Some((s, o.imported()?)))
            {
                text += &format!("\n{}\n{}\n", output::printable(source), values(imported));
            }
            text += "Nothing was written.\n";
        }
        text
    }
}

/// The first numbers of a source.
fn values(imported: &Imported) -> String {
    let mut table = output::table(["benchmark", "metric", "statistic", "value", "mark"]);
    for one in imported.results.iter().take(SHOWN) {
        let value = match one.unit.as_deref() {
            Some("ns") => figures::duration_ns(one.value),
            Some(unit) => format!("{} {unit}", one.value),
            None => one.value.to_string(),
        };
        table.add_row([
            output::printable(&one.benchmark),
            output::printable(&one.metric),
            one.statistic.clone(),
            output::printable(&value),
            imported.mark.to_string(),
        ]);
    }
    match imported.results.len().checked_sub(SHOWN) {
        None | Some(0) => table.to_string(),
        Some(more) => format!("{table}\n{more} more; --format json has all"),
    }
}
