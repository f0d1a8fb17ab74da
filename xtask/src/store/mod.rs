//! `store`: what keeps the files of the store sound. One file per command.

mod compact;

use crate::context::Context;
use anyhow::Result;
use std::process::ExitCode;

/// Flags of `store`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put old record files together into few compressed ones; no record is changed
    Compact(compact::Args),
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.command {
            Command::Compact(args) => args.run(context),
        }
    }
}
