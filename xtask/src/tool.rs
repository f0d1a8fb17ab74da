//! Commands that a suite brings (`models`, `verify`, `infer`): found by name, run in the suite's own program.

use crate::context::Context;
use crate::process;
use anyhow::{Context as _, Result};
use std::process::ExitCode;

/// Runs the tool that the first word names, with the words that follow.
pub(crate) fn run(words: &[String], context: &Context) -> Result<ExitCode> {
    let name = words.first().context("no command was given")?;
    let suite = context.workspace.build_with_tool(name)?;
    let mut args = vec!["tool".to_owned()];
    args.extend(words.iter().cloned());
    let here = crate::env::current_dir()?;
    let status = process::converse(&suite.program, &here, &args)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(proofmark::exit::FAILED)))
}
