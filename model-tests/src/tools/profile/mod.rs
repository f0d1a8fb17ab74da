//! `profile`: where the time of a case goes, op by op, beside what the machine attains in tests of its own.
//!
//! `find` finds the case, `measure` runs it, `roofs` measures the machine, `analysis` puts them together; `text`,
//! `page`, `chart` and `trace` show the result, and `stored` keeps the roofs. Outputs are not checked here: tests and measurements do that.

mod analysis;
mod chart;
mod find;
mod measure;
mod page;
mod roofs;
mod stored;
mod text;
mod trace;
mod units;

use super::Format;
use crate::error::Error;
use crate::subject::ModelCase;
use crate::targets;
use analysis::{Profile, REMAINDER_MAX};
use clap::Parser;
use proofmark::{Case, Endpoint};
use std::fs;
use std::path::{Path, PathBuf};

/// Tells where the time of a case goes, beside the roofs that this machine attains. Exit code 1 on the CPU if the
/// times of the ops do not sum to the whole within 5 %.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    /// The id of a case: model/endpoint/precision/shape
    #[arg(long, value_name = "ID")]
    case: String,
    /// How to print; json holds every op
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// A folder for profile.html, profile.json and trace.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Timed runs; as many without timestamps are made in turns with them
    #[arg(long, default_value = "15", value_parser = clap::value_parser!(u16).range(3..=1000))]
    runs: u16,
    /// Ops that the text shows, those with most time first
    #[arg(long, default_value = "20")]
    top: usize,
}

pub(super) fn run(args: &Args) -> Result<bool, Error> {
    let case = find::case(&args.case)?;
    let profile = profile(&case, args.runs.into())?;
    match args.format {
        Format::Json => println!("{}", json(&profile)),
        Format::Text => print!("{}", text::text(&profile, args.top)),
    }
    if let Some(folder) = &args.out {
        write(folder, &profile)?;
    }
    stored::keep(&case, &profile)?;
    let held = is_whole(&case, &profile);
    if !held {
        eprintln!(
            "error: the times of the ops leave {} of the whole unexplained, more than {}: try again when the \
             machine is quieter",
            units::percent(profile.remainder_share()),
            units::percent(REMAINDER_MAX),
        );
    }
    Ok(held)
}

/// Opens a case, runs it, and then measures the roofs of its device.
fn profile(case: &Case, runs: usize) -> Result<Profile, Error> {
    let subject = ModelCase::of(case).expect("the cases of this suite are of models");
    let before = measure::resident_bytes();
    let parts = subject.parts()?;
    let mut program = parts.device.prepare(&parts.graph, &parts.weights, subject.precision)?;
    let prepared = measure::resident_bytes();
    let runs = measure::runs(&mut *program, &parts.inputs, runs)?;
    let resident = [before, prepared, measure::resident_bytes()];
    // Last, and without the program: the tests need memory of their own.
    drop(program);
    let roofs = roofs::measure(&*parts.device, subject.precision)?;
    let facts = targets::facts(&*parts.device);
    Ok(Profile::new(&case.id, facts, &parts.graph, subject.precision, &runs, roofs, resident))
}

/// Whether the ops explain the whole. Only the CPU times all of a run: a GPU's clock does not see the host's part.
fn is_whole(case: &Case, profile: &Profile) -> bool {
    case.id.endpoint != Endpoint::CPU || profile.remainder_share().abs() <= REMAINDER_MAX
}

fn json(profile: &Profile) -> String {
    serde_json::to_string_pretty(profile).expect("a profile has only plain data")
}

fn write(folder: &Path, profile: &Profile) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    let files = [
        ("profile.html", page::html(profile)),
        ("profile.json", json(profile)),
        ("trace.json", trace::trace(profile)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
