//! `store backup`: all that cannot be made again in one file, also while something is being written.

use crate::clock;
use crate::context::Context;
use crate::env;
use crate::outcome::absent;
use crate::output;
use anyhow::{Context as _, Result};
use proofmark_lab::backup;
use proofmark_lab::figures::bytes;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the files begin and end with that are named here.
pub(super) const NAME: (&str, &str) = ("proofmark-", ".tar.gz");

/// Flags of `store backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write, which must not be there; or a folder, in which it is named by the time
    #[arg(value_name = "FILE|DIR")]
    out: PathBuf,
}

impl Args {
    /// Takes no lock: a backup can be made while cases are measured.
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let now = clock::now();
        let here = env::current_dir().context("failed to find the current folder")?;
        let mut out = here.join(&self.out);
        if out.is_dir() {
            let (begin, end) = NAME;
            out.push(format!("{begin}{}{end}", now.strftime("%Y%m%dT%H%M%SZ")));
        }
        if backup::files(&context.state)?.is_empty() {
            return Err(absent(format!(
                "there is nothing to back up in {}: cargo xtask incremental measures",
                context.state.display()
            )));
        }
        let manifest = backup::write(&context.state, &out, now)
            .with_context(|| format!("failed to back up {}", context.state.display()))?;
        output::print(&format!(
            "{}: {} files, {}, read back and compared\n",
            shown(&out, &here),
            manifest.files.len(),
            bytes(manifest.bytes()),
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A path as it would be typed here.
pub(super) fn shown<'p>(path: &'p Path, here: &Path) -> std::path::Display<'p> {
    path.strip_prefix(here).unwrap_or(path).display()
}
