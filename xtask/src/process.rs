//! The only place in this crate that starts processes: cargo, git, gh, valgrind, and the programs of the suites.

use crate::env;
use crate::outcome::with_code;
use crate::suites::Suite;
use anyhow::{Context as _, Result, anyhow, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Runs cargo in `folder` with this target folder, its messages going to the user, and gives its standard output.
pub(crate) fn cargo(folder: &Path, target: &Path, args: &[String]) -> Result<Vec<u8>> {
    let mut command = Command::new(env::cargo());
    command.args(args).current_dir(folder).env("CARGO_TARGET_DIR", target);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("failed to start cargo")?;
    if !output.status.success() {
        bail!("cargo {} ended with {}", args.join(" "), output.status);
    }
    Ok(output.stdout)
}

/// Runs GitHub's command line in `folder` with this on its standard input, and gives its standard output. It asks the
/// user nothing.
pub(crate) fn gh(folder: &Path, args: &[&str], input: Option<&str>) -> Result<String> {
    let program = env::gh();
    let mut command = Command::new(&program);
    command.args(args).current_dir(folder);
    command.env("GH_PROMPT_DISABLED", "1").env("NO_COLOR", "1");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("failed to start {}", program.to_string_lossy()))?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        match pipe.write_all(input.as_bytes()) {
            // It has ended early; its exit status says why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.context("failed to write to gh")?,
        }
    }
    let output = child.wait_with_output().context("failed to wait for gh")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let call: Vec<_> = args.iter().take(4).copied().collect();
        bail!("gh {} ended with {}: {}", call.join(" "), output.status, said.trim());
    }
    String::from_utf8(output.stdout).context("gh gave something that is no text")
}

/// What cargo knows of the workspace around `folder`, without its dependencies.
pub(crate) fn metadata(folder: &Path) -> Result<Metadata> {
    let metadata = MetadataCommand::new().current_dir(folder).no_deps().exec();
    metadata.map_err(|e| anyhow!("failed to read the cargo workspace at {}: {e}", folder.display()))
}

/// Runs git in `folder` and gives what it prints, without the end of its last line; the error is in git's own words.
pub(crate) fn git(folder: &Path, args: &[&str]) -> Result<String> {
    run_git(folder, args, &[])
}

/// Asks git about the repository around `folder`, which fetches nothing and takes no lock for it.
pub(crate) fn ask_git(folder: &Path, args: &[&str]) -> Result<String> {
    run_git(folder, args, &[("GIT_NO_LAZY_FETCH", "1"), ("GIT_OPTIONAL_LOCKS", "0")])
}

fn run_git(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(args).current_dir(folder).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().context("git could not be started")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("git {}: {}", args.first().unwrap_or(&""), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn suite_command(program: &Path, folder: &Path, args: &[String]) -> Command {
    let mut command = Command::new(program);
    command.arg(proofmark::protocol::WORD).args(args).current_dir(folder);
    command
}

/// Asks the program of a suite and reads its answer. Its messages go to the user.
pub(crate) fn ask<T: DeserializeOwned>(suite: &Suite, args: &[String]) -> Result<T> {
    let Suite { program, folder, variables, .. } = suite;
    let mut command = suite_command(program, folder, args);
    command.envs(variables.iter().cloned()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output();
    let output = output.with_context(|| format!("failed to start {}", program.display()))?;
    refuse_failure(output.status)?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("failed to understand the answer of {}", program.display()))
}

/// Runs the program of a suite on one processor under valgrind, and gives the instructions that it executed.
///
/// One processor makes one thread: threads that wait for each other execute as many instructions as they have time.
pub(crate) fn instructions(suite: &Suite, args: &[String], log: &Path) -> Result<u64> {
    let Suite { program, folder, variables, .. } = suite;
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0", "valgrind", "--tool=cachegrind", "--cache-sim=no"]);
    let mut log_file = OsString::from("--log-file=");
    log_file.push(log);
    command.arg("--cachegrind-out-file=/dev/null").arg(log_file);
    command.arg(program).arg(proofmark::protocol::WORD).args(args);
    command.current_dir(folder).envs(variables.iter().cloned()).stdin(Stdio::null());
    let output = command.output().context("failed to start taskset, which starts valgrind")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("under valgrind it ended with {}: {}", output.status, said.trim());
    }
    let text = std::fs::read_to_string(log)
        .with_context(|| format!("failed to read what valgrind counted, {}", log.display()))?;
    counted(&text).with_context(|| format!("valgrind told no count in {}", log.display()))
}

/// The count of instructions in the log of cachegrind: `==7== I   refs:      1,234`.
fn counted(log: &str) -> Option<u64> {
    let line = log.lines().find(|line| line.contains("refs:") && line.contains(" I "))?;
    line.rsplit(':').next()?.trim().replace(',', "").parse().ok()
}

/// Whether valgrind and what ties it to one processor can be started.
pub(crate) fn has_valgrind() -> bool {
    let starts = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    starts("valgrind") && starts("taskset")
}

/// Lets the program of a suite talk to the user, and gives its exit status.
pub(crate) fn converse(program: &Path, folder: &Path, args: &[String]) -> Result<ExitStatus> {
    let mut command = suite_command(program, folder, args);
    command.status().with_context(|| format!("failed to start {}", program.display()))
}

/// Runs the program of a suite and hands over each line of its answer as it comes, until `each` breaks.
/// The program ends when we do: it watches the pipe on its standard input.
pub(crate) fn stream<T: DeserializeOwned>(
    suite: &Suite,
    args: &[String],
    mut each: impl FnMut(T) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let Suite { program, folder, variables, .. } = suite;
    let mut command = suite_command(program, folder, args);
    command.envs(variables.iter().cloned()).stdin(Stdio::piped()).stdout(Stdio::piped());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_the_log() {
        let log = "==7== Cachegrind, a cache profiler\n==7== Command: x I y\n==7== \n==7== I   refs:      1,234,567\n";
        assert_eq!(counted(log), Some(1_234_567));
        assert_eq!(counted("==7== I   refs:      7"), Some(7));
        assert_eq!(counted("==7== Process terminating"), None);
    }
}
