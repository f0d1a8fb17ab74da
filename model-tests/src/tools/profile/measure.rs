//! Timed runs of a program, in turns with plain ones, and the memory of this process.

use crate::error::Error;
use proofmark_kernels::{Program, Tensor, Timing};
use std::fs;
use std::time::Duration;

/// What some runs took.
#[derive(Debug)]
pub(super) struct Runs {
    /// With timestamps.
    pub(super) timed: Vec<Timing>,
    /// Without.
    pub(super) plain: Vec<Duration>,
}

/// Runs a program so many times with timestamps and without, in turns, after one of each that warms up.
/// A device that has no timestamps is an error.
pub(super) fn runs(
    program: &mut dyn Program,
    inputs: &[Tensor],
    count: usize,
) -> Result<Runs, Error> {
    program.run(inputs)?;
    if program.run_timed(inputs)?.ops.is_empty() {
        let why =
            "the device has no timestamps (timestamp-query), so it cannot tell the time of an op";
        return Err(Error::Absent(why.into()));
    }
    let mut runs = Runs { timed: Vec::new(), plain: Vec::new() };
    for _ in 0..count {
        runs.plain.push(program.run(inputs)?.1);
        runs.timed.push(program.run_timed(inputs)?);
    }
    Ok(runs)
}

impl Runs {
    /// The runs between the quartiles of the whole. Their mean is nearly as robust as the median, and unlike medians
    /// the means of parts sum to the mean of the whole.
    pub(super) fn middle(&self) -> Vec<&Timing> {
        let mut sorted: Vec<_> = self.timed.iter().collect();
        sorted.sort_by_key(|timing| timing.whole);
        let outside = sorted.len() / 4;
        sorted[outside..sorted.len() - outside].to_vec()
    }

    /// The mean over the middle runs.
    pub(super) fn mean_ns(&self, time: impl Fn(&Timing) -> u64) -> u64 {
        let middle = self.middle();
        let sum: u64 = middle.iter().map(|timing| time(timing)).sum();
        sum / (middle.len() as u64).max(1)
    }

    /// The median over all runs.
    pub(super) fn median_ns(&self, time: impl Fn(&Timing) -> u64) -> u64 {
        median(self.timed.iter().map(time))
    }

    /// The median of a plain run.
    pub(super) fn plain_median_ns(&self) -> u64 {
        median(self.plain.iter().map(|whole| ns(*whole)))
    }

    /// The run whose whole is in the middle of all.
    pub(super) fn typical(&self) -> Option<&Timing> {
        let middle = self.middle();
        middle.get(middle.len() / 2).copied()
    }
}

/// The upper median; zero of nothing.
fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Memory of this process that is in the machine's memory now; nothing where the system does not tell.
pub(super) fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
