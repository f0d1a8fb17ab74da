//! Predictions and lessons as they are kept: in files of their own, and in their own tables of the database.

use crate::context::{self, Context};
use anyhow::{Context as _, Result};
use proofmark_lab::simulate::learned::{self, Learned};
use proofmark_lab::simulate::recorded::{self, Recorded};
use proofmark_lab::store::Store;

/// All lessons. Lines that are none are told.
pub(crate) fn lessons(context: &Context) -> Result<Vec<Learned>> {
    let folder = &context.folders.predictions;
    let (lessons, faults) = learned::read(folder)
        .with_context(|| format!("failed to read what was learned in {}", folder.display()))?;
    context::warn_of(&faults);
    Ok(lessons)
}

/// All predictions. Lines that are none are told.
pub(crate) fn predictions(context: &Context) -> Result<Vec<Recorded>> {
    let folder = &context.folders.predictions;
    let (predictions, faults) = recorded::read(folder)
        .with_context(|| format!("failed to read the predictions in {}", folder.display()))?;
    context::warn_of(&faults);
    Ok(predictions)
}

/// Keeps predictions that are not kept yet. The caller has the lock.
pub(super) fn append(context: &Context, new: Vec<Recorded>) -> Result<()> {
    let folder = &context.folders.predictions;
    let (known, _) = recorded::read(folder)
        .with_context(|| format!("failed to read the predictions in {}", folder.display()))?;
    let known: std::collections::HashSet<_> = known.iter().map(|known| &known.id).collect();
    let new: Vec<Recorded> = new.into_iter().filter(|made| !known.contains(&made.id)).collect();
    recorded::append(folder, &new)
        .with_context(|| format!("failed to write the predictions into {}", folder.display()))
}

/// Keeps lessons. The caller has the lock.
pub(super) fn append_lessons(context: &Context, new: &[Learned]) -> Result<()> {
    let folder = &context.folders.predictions;
    learned::append(folder, new)
        .with_context(|| format!("failed to write what was learned into {}", folder.display()))
}

/// Takes what is new into the database.
pub(super) fn store(context: &Context) -> Result<()> {
    let (_, faults) = Store::open(&context.db)?.ingest_predictions(&context.folders.predictions)?;
    context::warn_of(&faults);
    Ok(())
}
