//! The kernels of a model, as its suite tells them.

use crate::process;
use crate::suites::Suite;
use anyhow::{Context as _, Result};
use proofmark_lab::simulate::whole::Outline;
use serde::Deserialize;

/// The tool of a suite that tells them.
pub(super) const TOOL: &str = "operators";

/// A model that a suite knows.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    model: String,
    /// Whether it has the sizes of a published one.
    published: bool,
}

/// The models of published sizes that a suite knows.
pub(super) fn published(suite: &Suite) -> Result<Vec<String>> {
    let args: Vec<String> = ["tool", TOOL, "--format", "json"].map(str::to_owned).into();
    let listed: Vec<Listed> =
        process::ask(suite, &args).context("failed to learn which models there are")?;
    Ok(listed.into_iter().filter(|listed| listed.published).map(|listed| listed.model).collect())
}

/// Asks a suite for the kernels of a model, at a shape or at the first that it is measured at.
pub(super) fn ask(suite: &Suite, model: &str, shape: Option<&str>) -> Result<Outline> {
    let mut args: Vec<String> =
        ["tool", TOOL, "--format", "json", "--model", model].map(str::to_owned).into();
    args.extend(shape.iter().flat_map(|shape| ["--shape", shape].map(str::to_owned)));
    process::ask(suite, &args).with_context(|| format!("failed to learn the kernels of {model}"))
}
