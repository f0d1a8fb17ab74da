//! One run at a time per workspace: a file lock, which the system releases however the process ends.

use crate::context::Context;
use anyhow::{Context as _, Result, anyhow, bail};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Held for as long as the run lasts.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says that somebody has it.
    pub(crate) fn take(context: &Context) -> Result<Self> {
        Self::take_in(&context.state)
    }

    /// Takes the lock of a state in this folder.
    pub(crate) fn take_in(state: &Path) -> Result<Self> {
        let path = state.join("lock");
        std::fs::create_dir_all(state)
            .and_then(|()| File::options().create(true).append(true).open(&path))
            .map_err(|e| anyhow!("failed to open the lock {}: {e}", path.display()))
            .and_then(|file| match file.try_lock() {
                Ok(()) => Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => bail!(
                    "another run of this workspace is under way (it holds {}): wait for it to end",
                    path.display()
                ),
                Err(TryLockError::Error(e)) => {
                    Err(e).with_context(|| format!("failed to lock {}", path.display()))
                }
            })
    }
}
