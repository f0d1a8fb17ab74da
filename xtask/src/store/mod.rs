//! `store`: what keeps the files of the store sound. One file per command.

mod backup;
mod check;
mod compact;
mod restore;
mod thin;

use crate::context::Context;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Works in a folder that is removed afterwards, and so is one that a killed command has left. The caller has the lock.
fn in_scratch<T>(context: &Context, work: impl FnOnce(&Path) -> T) -> Result<T> {
    let scratch = context.state.join("check.tmp");
    let removed = || {
        fs::remove_dir_all(&scratch)
            .with_context(|| format!("failed to remove {}", scratch.display()))
    };
    if scratch.exists() {
        removed()?;
    }
    fs::create_dir(&scratch).with_context(|| format!("failed to create {}", scratch.display()))?;
    let done = work(&scratch);
    removed().map(|()| done)
}

/// Flags of `store`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write all that cannot be made again into one file, with a checksum of each part
    Backup(backup::Args),
    /// Bring back what a backup holds; nothing that is there is overwritten
    Restore(restore::Args),
    /// Read every file through, and compare the database with what they say
    Check(check::Args),
    /// Put old record files together into few compressed ones; no record is changed
    Compact(compact::Args),
    /// Drop the raw samples of old results that newer ones have followed; what they said stays
    Thin(thin::Args),
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.command {
            Command::Backup(args) => args.run(context),
            Command::Restore(args) => args.run(context),
            Command::Check(args) => args.run(context),
            Command::Compact(args) => args.run(context),
            Command::Thin(args) => args.run(context),
        }
    }
}
