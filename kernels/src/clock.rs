//! The only reader of the clock in this crate.

use std::time::{Duration, Instant};

/// Runs `work` and says how long it took.
#[cfg(any(feature = "cpu", feature = "webgpu"))]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}
