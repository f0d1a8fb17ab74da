//! The only place in this crate that reads the clock.

use std::time::{Duration, Instant};

/// Now, to count from.
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// What `work` gives, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = start();
    let result = work();
    (result, start.elapsed())
}
