//! The only reader of the clock in this crate, and the ids that are made from it.

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
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

/// The processor time of this process so far: of all its threads together, in user mode and in system mode.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The shortest time that the clock told between two readings, one right after the other: its step, or what a reading
/// costs where that is more.
pub(crate) fn step() -> Duration {
    let between = |_| {
        let start = Instant::now();
        start.elapsed()
    };
    let seen = (0..1000).map(between).filter(|between| !between.is_zero());
    seen.min().unwrap_or(Duration::from_nanos(1))
}

/// A name that no other process will make, ordered by time: `20261124T021736123-4711-9f0c`.
pub(crate) fn unique_id() -> String {
    let random = RandomState::new().hash_one(0u8) & 0xffff_ffff;
    let time = now().strftime("%Y%m%dT%H%M%S%3f");
    format!("{time}-{}-{random:08x}", std::process::id())
}
