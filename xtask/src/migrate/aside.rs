//! Files whose numbers the store has are moved aside, and brought back.

use super::inputs::Input;
use super::reading;
use crate::clock;
use crate::context::Context;
use crate::output;
use crate::output::tell;
use anyhow::{Context as _, Result};
use proofmark::exit;
use proofmark::fingerprint::digest;
use proofmark_lab::migrate::Outcome;
use proofmark_lab::migrate::archive::{self, Archived, Candidate, Restored};
use proofmark_lab::store::{Store, Stored, expected_numbers};
use rayon::prelude::*;
use std::path::Path;
use std::process::ExitCode;

/// Contents that are compared with the database at a time.
const AT_A_TIME: usize = 200;

/// A file as it is now, and the numbers that follow from it.
struct Expected {
    candidate: Candidate,
    numbers: Vec<Stored>,
}

/// Moves the files of which the database has every number, as the file gives it now. Whether one was left that has numbers.
pub(super) fn archive(context: &Context, folder: &Path, inputs: &[Input]) -> Result<bool> {
    let store = Store::open_read_only(&context.db)?;
    let mut candidates = Vec::new();
    let mut is_left = false;
    for some in inputs.chunks(AT_A_TIME) {
        let expected: Vec<Expected> = some.par_iter().filter_map(expected).collect();
        let contents: Vec<String> =
            expected.iter().map(|one| one.candidate.sha256.clone()).collect();
        let stored = store.stored_numbers(&contents)?;
        for Expected { candidate, numbers } in expected {
            match stored.get(&candidate.sha256) {
                Some(found) if *found == numbers => candidates.push(candidate),
                _ => {
                    is_left = true;
                    let path = candidate.folder.join(&candidate.file);
                    tell!(
                        "error: {} was not moved: the database has other numbers",
                        path.display()
                    );
                }
            }
        }
    }
    drop(store);
    let Archived { moved, left } = archive::archive(folder, &candidates, clock::now())
        .with_context(|| format!("failed to move files into {}", folder.display()))?;
    for (path, why) in &left {
        tell!("error: {} was not moved: {why}", path.display());
    }
    tell!(
        "{} files moved aside; cargo xtask migrate --restore {} brings them back",
        moved.len(),
        folder.display()
    );
    Ok(is_left || !left.is_empty())
}

/// What the database should have of a file; nothing of one without numbers, which stays where it is.
fn expected(input: &Input) -> Option<Expected> {
    if input.refused.is_some() {
        return None;
    }
    let bytes = reading::bytes(&input.path()).ok()?;
    let found = reading::find(&bytes, &input.file);
    if !matches!(found.outcome, Outcome::Migrated | Outcome::Partly) {
        return None;
    }
    let candidate = Candidate {
        folder: input.folder.clone(),
        file: input.file.clone(),
        sha256: digest(&bytes),
    };
    Some(Expected { candidate, numbers: expected_numbers(&found) })
}

/// Brings files back.
pub(super) fn restore(folder: &Path) -> Result<ExitCode> {
    let restored = archive::restore(folder)
        .with_context(|| format!("failed to restore {}", folder.display()))?;
    let mut code = ExitCode::SUCCESS;
    for one in &restored {
        match one {
            Restored::Back(path) => output::print(&format!("{} is back\n", path.display()))?,
            Restored::Left(path, why) => {
                tell!("error: {} was not brought back: {why}", path.display());
                code = ExitCode::from(exit::FAILED);
            }
        }
    }
    Ok(code)
}
