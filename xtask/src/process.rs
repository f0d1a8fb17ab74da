//! The only place in this crate that starts processes: cargo, git, and the programs of the suites.

use crate::env;
use crate::outcome::with_code;
use anyhow::{Context as _, Result, anyhow, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Runs cargo in `folder`, its messages going to the user, and gives its standard output.
pub(crate) fn cargo(folder: &Path, args: &[String]) -> Result<Vec<u8>> {
    let mut command = Command::new(env::cargo());
    command.args(args).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("failed to start cargo")?;
    if !output.status.success() {
        bail!("failed to build a suite: cargo {} ended with {}", args.join(" "), output.status);
    }
    Ok(output.stdout)
}

/// What cargo knows of the workspace around `folder`, without its dependencies.
pub(crate) fn metadata(folder: &Path) -> Result<Metadata> {
    let metadata = MetadataCommand::new().current_dir(folder).no_deps().exec();
    metadata.map_err(|e| anyhow!("failed to read the cargo workspace at {}: {e}", folder.display()))
}

/// Asks git about the repository around `folder`, which needs no network for it.
///
/// # Errors
/// In git's own words, or why it could not be started.
pub(crate) fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0");
    let output = command.output().context("git could not be started")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().next_back().unwrap_or("it said nothing");
        bail!("git could not answer: {line}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn suite_command(program: &Path, folder: &Path, args: &[String]) -> Command {
    let mut command = Command::new(program);
    command.arg(proofmark::protocol::WORD).args(args).current_dir(folder);
    command
}

/// Asks the program of a suite and reads its answer. Its messages go to the user.
pub(crate) fn ask<T: DeserializeOwned>(
    program: &Path,
    folder: &Path,
    args: &[String],
) -> Result<T> {
    let mut command = suite_command(program, folder, args);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("failed to start {}", program.display()))?;
    refuse_failure(output.status)?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("failed to understand the answer of {}", program.display()))
}

/// Lets the program of a suite talk to the user, and gives its exit status.
pub(crate) fn converse(program: &Path, folder: &Path, args: &[String]) -> Result<ExitStatus> {
    let mut command = suite_command(program, folder, args);
    command.status().with_context(|| format!("failed to start {}", program.display()))
}

/// Runs the program of a suite and hands over each line of its answer as it comes, until `each` breaks.
/// The program ends when we do: it watches the pipe on its standard input.
pub(crate) fn stream<T: DeserializeOwned>(
    program: &Path,
    folder: &Path,
    args: &[String],
    mut each: impl FnMut(T) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut command = suite_command(program, folder, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child =
        command.spawn().with_context(|| format!("failed to start {}", program.display()))?;
    let watched = child.stdin.take();
    if let Some(answers) = child.stdout.take() {
        for line in BufReader::new(answers).lines() {
            let event = serde_json::from_str(&line?);
            if each(event.context("failed to understand an event of the suite")?)?.is_break() {
                // The closed pipe ends the program, and the case that it may have begun.
                drop(watched);
                child.wait()?;
                return Ok(());
            }
        }
    }
    let status = child.wait()?;
    drop(watched);
    refuse_failure(status)
}

/// The program has said why; we pass its exit code on.
fn refuse_failure(status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let Some(code) = status.code() else { bail!("the program of the suite ended by {status}") };
    Err(with_code(u8::try_from(code).unwrap_or(proofmark::exit::FAILED), ""))
}
