//! `rebuild`: the database anew from the record files. Nothing but time is lost by deleting it.

use crate::context::{self, Context};
use crate::lock::Lock;
use crate::output;
use anyhow::Result;
use proofmark_lab::store::Store;
use std::process::ExitCode;

/// Flags of `rebuild`: none of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Reads all record files into a new database and puts it in the place of the old one.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let _lock = Lock::take(context)?;
        rebuild(context)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes the database anew and says what is in it. The caller has the lock.
pub(crate) fn rebuild(context: &Context) -> Result<()> {
    let ingested = Store::rebuild(&context.db, &context.folders)?;
    context::warn_of(&ingested.faults);
    output::print(&format!(
        "{}: {} results, {} probes, {} predictions, {} imports and {} migrated numbers from {}; {} lines could not be read\n",
        context.db.display(),
        ingested.results,
        ingested.probes,
        ingested.predictions,
        ingested.imports,
        ingested.migrated,
        context.state.display(),
        ingested.faults.len(),
    ))
}
