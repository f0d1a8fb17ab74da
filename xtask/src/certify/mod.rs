//! `certify`: whether the numbers of cases deserve trust. What is asked of them, and the marks, are in the lab's `certify`.
//!
//! `live` judges, `measure` runs what that takes, `shelf` keeps certificates, `load` keeps processors busy, `show` prints.

mod live;
mod load;
mod measure;
mod shelf;
mod show;

use crate::context::Context;
use crate::outcome::absent;
use crate::output::tell;
use anyhow::{Context as _, Result};
use proofmark::exit;
use proofmark::settings::{parse_duration, parse_samples};
use proofmark_lab::certify::{Level, PROCESSES_REPRODUCIBLE, Status, input, judge};
use proofmark_lab::report::certify::Told;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Flags of `certify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only cases that this glob over case ids matches, in which `*` crosses `/`; may be repeated
    #[arg(long, value_name = "GLOB")]
    case: Vec<String>,
    /// Judge the benchmarks in this file, and measure nothing: {"benchmarks": [{"id": …, "processes_s": [[seconds, …],
    /// …]}]}
    #[arg(long, value_name = "FILE", conflicts_with_all = ["case", "renew", "dry_run", "batch"])]
    input: Option<PathBuf>,
    /// Measure and judge cases again whose certificate holds
    #[arg(long)]
    renew: bool,
    /// Measure nothing and keep nothing: judge what the record files hold, and say which certificates hold
    #[arg(long, conflicts_with = "renew")]
    dry_run: bool,
    /// Begin no process that would not end within this time of measuring; building is not counted
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10m")]
    budget: Duration,
    /// Processes of each case that a day and a boot should have
    #[arg(long, value_name = "N", default_value_t = PROCESSES_REPRODUCIBLE)]
    processes: usize,
    /// Samples of a process; of a slow case fewer
    #[arg(long, value_name = "N", value_parser = parse_samples, default_value = "50")]
    samples: usize,
    /// Wanted length of the measured phase of a process
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "500ms")]
    measure_for: Duration,
    /// Batch sizes in place of the suites' own, such as 1,8
    #[arg(long, value_name = "N", value_delimiter = ',')]
    batch: Vec<NonZeroUsize>,
    /// End with exit code 1 if a case is below this level
    #[arg(long, value_enum, value_name = "LEVEL")]
    require: Option<Required>,
    /// Of the order of the processes; chosen anew each time and told, unless given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Required {
    Reproducible,
    Certified,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For people, with the parts of each score
    Markdown,
    /// For programs
    Json,
}

impl Args {
    /// `open` reads the workspace, which a file does without.
    pub(crate) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        let told = match &self.input {
            Some(file) => of_file(file)?,
            None => live::run(&self, &open()?)?,
        };
        show::print(&told, self.format)?;
        self.code(&told)
    }

    /// A failed check or a level below the required one counts most, then what could not be read.
    fn code(&self, told: &[Told]) -> Result<ExitCode> {
        let required = self.require.map(|required| match required {
            Required::Reproducible => Level::Reproducible,
            Required::Certified => Level::Certified,
        });
        if told.iter().any(|told| is_bad(told, required)) {
            return Ok(ExitCode::from(exit::FAILED));
        }
        if self.input.is_some() && told.iter().any(|told| told.fault.is_some()) {
            return Ok(ExitCode::from(exit::USAGE));
        }
        if told.iter().all(|told| told.fault.is_some()) {
            return Err(absent("no case could be judged; the reasons stand beside the cases"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn is_bad(told: &Told, required: Option<Level>) -> bool {
    let level = match (&told.assessment, &told.certificate) {
        (Some(found), _) => Some(found.level),
        (None, kept) => kept.as_ref().map(|kept| kept.level),
    };
    let failed = told.assessment.iter().flat_map(|found| &found.checks);
    let failed = failed.into_iter().any(|check| check.status == Status::Fail);
    failed || (level.is_some() && level < required)
}

/// Everything is in the file.
fn of_file(file: &Path) -> Result<Vec<Told>> {
    let path = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read the benchmarks {path}"))?;
    let read = input::read(&text)
        .with_context(|| format!("failed to understand the benchmarks {path}"))?;
    let told = |read: input::Read| match read {
        Ok(benchmark) => Told::judged(judge(&benchmark)),
        Err(fault) => {
            tell!("error: {fault}");
            Told::fault(fault.id, fault.what)
        }
    };
    Ok(read.into_iter().map(told).collect())
}
