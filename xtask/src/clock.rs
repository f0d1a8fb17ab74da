//! The only reader of the clock in this crate.

use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Now, in UTC.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Tells how long ago it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
