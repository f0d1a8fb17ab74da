//! The commands that this suite brings to `cargo xtask`: `browsers`, `models`,
//! `verify`, `infer`, `operators`, `profile`. One file (or folder) each.
//!
//! Exit codes: 0 all well, 1 an output is wrong, 2 bad usage or input, 3 something needed is absent. Errors go to
//! the error output; results go to the standard output.

mod browsers;
mod infer;
mod models;
mod operators;
mod profile;
mod table;
mod verify;

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use clap::{Parser, ValueEnum};
use proofmark::{Suite, exit};
use std::process::ExitCode;

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Adds the commands to a suite.
pub(crate) fn add(suite: Suite) -> Suite {
    suite
        .tool(
            "browsers",
            "Finds, fetches and probes browsers; serves a page to any browser",
            |args| run("browsers", args, browsers::run),
        )
        .tool("models", "Lists the models by name, fetches one, checks one", |args| {
            run("models", args, models::run)
        })
        .tool("verify", "Checks a checkpoint against the outputs in a golden file", |args| {
            run("verify", args, verify::run)
        })
        .tool("infer", "Shows what a model makes of texts, pictures and sounds", |args| {
            run("infer", args, infer::run)
        })
        .tool("operators", "Tells the kernels that a model runs, with their sizes", |args| {
            run("operators", args, operators::run)
        })
        .tool(
            "profile",
            "Tells where the time of a case goes, beside the machine's roofs",
            |args| run("profile", args, profile::run),
        )
}

/// Parses the arguments of a command and runs it.
fn run<A: Parser>(name: &str, args: &[String], run: fn(&A) -> Result<bool, Error>) -> ExitCode {
    let command = format!("cargo xtask {name}");
    let parsed = A::try_parse_from(std::iter::once(&command).chain(args));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let result = run(&args);
    if let Err(error) = &result {
        eprintln!("error: failed to {error}");
    }
    ExitCode::from(code(&result))
}

/// The exit code of a command.
fn code(result: &Result<bool, Error>) -> u8 {
    match result {
        Ok(true) => 0,
        Ok(false) => exit::FAILED,
        Err(error) if error.is_absence() => exit::ABSENT,
        Err(error) if error.is_failure() => exit::FAILED,
        Err(_) => exit::USAGE,
    }
}

/// Opens a checkpoint and tells of keys in its configuration that nobody reads.
fn open(folder: &std::path::Path) -> Result<Checkpoint, Error> {
    let checkpoint = Checkpoint::open(folder)?;
    if let Some(note) = checkpoint.note() {
        eprintln!("{note}");
    }
    Ok(checkpoint)
}
