//! The only reader of the clock in this crate.

use std::time::{Duration, Instant};

/// A moment to measure from.
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// Nanoseconds, as far as they fit.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
