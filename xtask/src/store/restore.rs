//! `store restore`: brings back what a backup holds. All of it is checked before anything is changed, and nothing that is
//! there is overwritten or removed.

use super::backup::{NAME, shown};
use crate::clock;
use crate::context::Context;
use crate::env;
use crate::lock::Lock;
use crate::outcome::absent;
use crate::output;
use crate::rebuild::rebuild;
use anyhow::{Context as _, Result, bail};
use proofmark_lab::backup::{self, Difference, Manifest};
use proofmark_lab::figures::bytes;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files that are named when a backup does not fit what is there.
const NAMED: usize = 5;

/// Flags of `store restore`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup; or a folder, of which the latest that is named by its time is taken
    #[arg(value_name = "FILE|DIR")]
    backup: PathBuf,
    /// Move what is there into a folder beside it, and put the backup in its place
    #[arg(long)]
    force: bool,
}

impl Args {
    /// Unpacks beside the state, compares, moves, and makes the database anew.
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let here = env::current_dir().context("failed to find the current folder")?;
        let archive = find(&here.join(&self.backup))?;
        // Beside what a link leads to, so that it can be moved there.
        let state = fs::canonicalize(&context.state).unwrap_or_else(|_| context.state.clone());
        let unpacked = beside(&state, &format!("restoring-{}", std::process::id()))?;
        // A process id comes back, and with it the name.
        remove(&unpacked)?;
        let restored = self.restore(context, &archive, &state, &unpacked);
        remove(&unpacked)?;
        let _lock =
            restored.with_context(|| format!("failed to restore {}", shown(&archive, &here)))?;
        rebuild(context)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The lock of what was restored.
    fn restore(
        &self,
        context: &Context,
        archive: &Path,
        state: &Path,
        unpacked: &Path,
    ) -> Result<Lock> {
        if let Some(parent) = unpacked.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("failed to create {}", parent.display()))?;
        }
        let manifest = backup::unpack(archive, unpacked)?;
        let lock = Lock::take(context)?;
        let difference = backup::compare(state, &manifest)?;
        let what = format!("{} files, {}", manifest.files.len(), bytes(manifest.bytes()));
        if !difference.conflicts() {
            add(&difference.missing, unpacked, state)?;
            let added = difference.missing.len();
            let kept = manifest.files.len() - added;
            output::print(&format!(
                "{what} of {:.0}: {added} were restored, {kept} were there\n",
                manifest.made_at
            ))?;
            return Ok(lock);
        }
        if !self.force {
            bail!("{}", refusal(&difference, &manifest));
        }
        let now = clock::now().strftime("%Y%m%dT%H%M%S%3fZ");
        let old = beside(state, &format!("before-restore-{now}"))?;
        // Held before it is there, so that nobody is in between.
        let held = Lock::take_in(unpacked)?;
        let moved = fs::rename(state, &old);
        moved.with_context(|| format!("failed to move {} aside", state.display()))?;
        if let Err(error) = fs::rename(unpacked, state) {
            // What was there comes back, or is named.
            fs::rename(&old, state).with_context(|| {
                format!("what was in {} is now in {}", state.display(), old.display())
            })?;
            return Err(error).with_context(|| format!("failed to write {}", state.display()));
        }
        output::print(&format!(
            "{what} of {:.0} were restored; what was there is in {}\n",
            manifest.made_at,
            old.display()
        ))?;
        Ok(held)
    }
}

/// Removes what was unpacked, if it is there.
fn remove(unpacked: &Path) -> Result<()> {
    if unpacked.exists() {
        fs::remove_dir_all(unpacked)
            .with_context(|| format!("failed to remove {}", unpacked.display()))?;
    }
    Ok(())
}

/// The backup that is meant.
fn find(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        if !path.exists() {
            return Err(absent(format!("there is no backup {}", path.display())));
        }
        return Ok(path.to_owned());
    }
    let (begin, end) = NAME;
    let entries =
        fs::read_dir(path).with_context(|| format!("failed to read {}", path.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("failed to read {}", path.display()))?.file_name();
        names.extend(name.to_str().map(str::to_owned));
    }
    names.retain(|name| name.starts_with(begin) && name.ends_with(end));
    match names.into_iter().max() {
        Some(name) => Ok(path.join(name)),
        None => Err(absent(format!("there is no {begin}…{end} in {}", path.display()))),
    }
}

/// A folder beside the state, on the same disk.
fn beside(state: &Path, what: &str) -> Result<PathBuf> {
    let name = state.file_name().context("the state folder has no name")?;
    Ok(state.with_file_name(format!("{}.{what}", name.to_string_lossy())))
}

/// Moves the files that are missing into their places. If this is stopped, the next call goes on.
fn add(missing: &[String], from: &Path, to: &Path) -> Result<()> {
    for path in missing {
        let (from, to) = (from.join(path), to.join(path));
        let failed = || format!("failed to write {}", to.display());
        fs::create_dir_all(to.parent().unwrap_or(&to)).with_context(failed)?;
        fs::rename(&from, &to).with_context(failed)?;
    }
    Ok(())
}

fn refusal(difference: &Difference, manifest: &Manifest) -> String {
    let Difference { changed, only_here, .. } = difference;
    let named = |files: &[String], what: &str| {
        let more = if files.len() > NAMED { ", …" } else { "" };
        let some = files.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        (!files.is_empty()).then(|| format!("{} {what} ({some}{more})", files.len()))
    };
    let parts = [
        named(changed, "files have other bytes than in it"),
        named(only_here, "files are not in it"),
    ];
    format!(
        "the state is not that of the backup of {:.0}: {}; nothing was changed. --force moves the state aside and puts the \
         backup in its place",
        manifest.made_at,
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    )
}
