//! `simulate`: predictions for devices that are absent, and how wrong they may be. The model is the lab's `simulate`.
//!
//! `fit` learns from measured operators, `predict` adds predictions to a table of operators, `case` predicts a whole
//! model, `here` what was measured on this machine, `calibrate` keeps what that taught; `files`, `kept`, `known` and
//! `outline` have what they share. Nothing here is a result of a run.

mod calibrate;
mod case;
mod files;
mod fit;
mod here;
pub(crate) mod kept;
mod known;
mod outline;
mod predict;

use crate::context::Context;
use anyhow::Result;
use std::process::ExitCode;

/// Flags of `simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Learn from measured operators, and show how wrong it is on devices that are left out
    Fit(fit::Args),
    /// Add predictions to a table of operators
    Predict(predict::Args),
    /// Predict a whole model on a device, operator by operator, memory included
    Case(case::Args),
    /// Predict what was measured on this machine from rates that never saw the model's family, and show the errors
    Here(here::Args),
    /// Learn anew from the results of this machine, keep what was learned before, and say whether it got better
    Calibrate(calibrate::Args),
}

impl Args {
    /// Runs the subcommand. Operators need no workspace.
    pub(crate) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        match self.what {
            What::Fit(args) => args.run(),
            What::Predict(args) => args.run(),
            What::Case(args) => args.run(open),
            What::Here(args) => args.run(open),
            What::Calibrate(args) => args.run(open),
        }
    }
}
