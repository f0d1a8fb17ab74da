//! The only reader of the clock in this crate.

use std::time::{Duration, Instant};

/// Runs `work` and says how long it took.
#[cfg(any(feature = "cpu", feature = "webgpu"))]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

/// A moment to measure from.
#[cfg(feature = "cpu")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

/// Starts a stopwatch.
#[cfg(feature = "cpu")]
pub(crate) fn start() -> Stopwatch {
    Stopwatch(Instant::now())
}

#[cfg(feature = "cpu")]
impl Stopwatch {
    /// Nanoseconds since the start.
    pub(crate) fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
