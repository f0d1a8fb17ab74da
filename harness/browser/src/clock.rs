//! The only place in this crate that reads the clock.

use std::time::{Duration, Instant};

/// A moment to measure from.
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// What `work` gives, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = start();
    let result = work();
    (result, start.elapsed())
}

/// Nanoseconds, as far as they fit.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
