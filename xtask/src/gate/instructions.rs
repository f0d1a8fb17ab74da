//! The instructions of one run of a case, by valgrind: the same each time, however noisy the machine is.

use crate::outcome::absent;
use crate::process;
use crate::suites::Suite;
use anyhow::{Context as _, Result};
use proofmark::CaseId;
use std::fs;
use std::path::{Path, PathBuf};

/// Instructions that are enough for one run to stand out from what differs between two starts of a program.
const ENOUGH: u64 = 20_000_000;
/// Runs that are made of a short case at most.
const RUNS_MAX: u64 = 10_000;

/// Counts instructions; keeps valgrind's logs in a folder.
#[derive(Debug)]
pub(super) struct Counter {
    folder: PathBuf,
}

impl Counter {
    /// A counter, if valgrind is here.
    pub(super) fn new(state: &Path) -> Result<Self> {
        if !process::has_valgrind() {
            return Err(absent(
                "counting instructions needs valgrind and taskset (util-linux): install them, or leave --instructions out",
            ));
        }
        let folder = state.join("gate/valgrind");
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The instructions of one run: what more runs add, over their number. So what happens once does not count.
    pub(super) fn per_run(&self, suite: &Suite, case: &CaseId) -> Result<f64> {
        let count = |runs: u64| {
            let args = ["count".to_owned(), runs.to_string(), case.to_string()];
            process::instructions(suite, &args, &self.folder.join("cachegrind.log"))
        };
        let one = count(1)?;
        let more = count(2)?.saturating_sub(one);
        if more >= ENOUGH {
            return Ok(per(more, 1));
        }
        let runs = (ENOUGH / more.max(1)).clamp(2, RUNS_MAX);
        Ok(per(count(1 + runs)?.saturating_sub(one), runs))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are shown with three digits")]
fn per(instructions: u64, runs: u64) -> f64 {
    instructions as f64 / runs as f64
}
