//! The only reader of the clock in this crate, and the ids that are made from it.

use jiff::Timestamp;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

/// Now, in UTC.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A moment to measure from.
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// Runs `work` and says how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

/// A name that no other process will make, ordered by time: `20261124T021736123-4711-9f0c`.
pub(crate) fn unique_id() -> String {
    let random = RandomState::new().hash_one(0u8) & 0xffff_ffff;
    let time = now().strftime("%Y%m%dT%H%M%S%3f");
    format!("{time}-{}-{random:08x}", std::process::id())
}
