//! The roofs of the processor: what its memory and its arithmetic attain in two loops made for nothing else.
//!
//! The best of several rounds counts, because whatever else runs on the machine can only lower it.

use super::level::Level;
use super::memory::{Floats, Memory, Place, Slot};
use super::team::{Steps, Team};
use crate::device::{Limit, Roof};
use crate::{Error, clock};
use pulp::{Simd, WithSimd};
use std::fs;
use std::hint::black_box;

/// Rounds of the triad, after one that warms up; STREAM's own number.
const TRIAD_ROUNDS: usize = 10;
/// Rounds of the arithmetic loop: milliseconds each, so there are more, for one to find the machine undisturbed.
const ARITHMETIC_ROUNDS: usize = 60;
/// An array of the triad is so many times the last-level cache, as the rules of STREAM ask for.
const CACHES: usize = 4;
/// Taken for the cache where the system does not tell its size.
const CACHE_BYTES: usize = 32 << 20;
/// The most that one array may take, so that the test fits a machine with a huge cache.
const ARRAY_BYTES_MAX: usize = 1 << 30;
/// Floats of a task of the triad.
const CHUNK: usize = 1 << 16;
/// Independent sums of the arithmetic loop: more than two units with a latency of five keep busy, and with both
/// factors still within sixteen registers.
const SUMS: usize = 12;
/// Rounds over the sums in one task: about a millisecond.
const REPEATS: usize = 1 << 17;

/// `a = b + scalar · c` over three arrays (McCalpin, "Memory bandwidth and machine balance in current high
/// performance computers", IEEE TCCA Newsletter, 1995). Bytes are counted as there: two reads and a write; that the
/// cache reads a line before it is written is not counted.
pub(super) fn bandwidth(team: &Team, level: Level) -> Result<Roof, Error> {
    let bytes = (CACHES * last_level_cache_bytes()).min(ARRAY_BYTES_MAX);
    let len = (bytes / size_of::<f32>()).next_multiple_of(CHUNK);
    let mut arrays = Floats::zeroed(3 * len, "three arrays that measure the memory")?;
    let none = Floats::zeroed(0, "no constants")?;
    let memory = Memory::new(&mut arrays, &none);
    let array = |index: usize| Slot { place: Place::Arena, offset: index * len, len };
    let mut steps = Steps::new(vec![len / CHUNK]);
    // Pages that were never written are all one page of zeros, which a cache holds: everything is written first.
    team.run(&mut steps, |_, _, task| {
        let range = task * CHUNK..(task + 1) * CHUNK;
        // SAFETY: each task has a range of its own.
        (0..3).for_each(|i| unsafe { memory.part(array(i), range.clone()).fill(1.0 + i as f32) });
    });
    let seconds = best(TRIAD_ROUNDS, || {
        team.run(&mut steps, |_, _, task| {
            let range = task * CHUNK..(task + 1) * CHUNK;
            // SAFETY: the first array is written, each task in a range of its own; the others are read.
            unsafe {
                level.run(Triad {
                    to: memory.part(array(0), range.clone()),
                    left: &memory.floats(array(1))[range.clone()],
                    right: &memory.floats(array(2))[range],
                });
            }
        });
    });
    black_box(arrays.as_slice()[len / 2]);
    let mebibytes = (len * size_of::<f32>()) >> 20;
    let test = format!("triad over three arrays of {mebibytes} MiB, {} threads", team.threads());
    Ok(Roof { limit: Limit::Bandwidth, test, per_s: (3 * len * size_of::<f32>()) as f64 / seconds })
}

struct Triad<'a> {
    to: &'a mut [f32],
    left: &'a [f32],
    right: &'a [f32],
}

impl WithSimd for Triad<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (to, _) = S::as_mut_simd_f32s(self.to);
        let (left, _) = S::as_simd_f32s(self.left);
        let (right, _) = S::as_simd_f32s(self.right);
        let scalar = simd.splat_f32s(3.0);
        for ((to, &left), &right) in to.iter_mut().zip(left).zip(right) {
            *to = simd.mul_add_e_f32s(scalar, right, left);
        }
    }
}

/// Multiply-adds on registers, as the kernels of the level do them.
pub(super) fn arithmetic(team: &Team, level: Level) -> Roof {
    let tasks = 8 * team.threads();
    let mut steps = Steps::new(vec![tasks]);
    let seconds = best(ARITHMETIC_ROUNDS, || {
        team.run(&mut steps, |_, _, task| {
            black_box(level.run(MultiplyAdds { start: black_box(task as f32) }));
        });
    });
    let operations = 2 * tasks * REPEATS * SUMS * level.lanes();
    let test = format!("multiply-adds on registers ({}), {} threads", level.name(), team.threads());
    Roof { limit: Limit::Arithmetic, test, per_s: operations as f64 / seconds }
}

struct MultiplyAdds {
    start: f32,
}

impl WithSimd for MultiplyAdds {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        // The sums tend to 2: neither huge nor so tiny that the processor takes a slow path.
        let (factor, term) = (simd.splat_f32s(0.5), simd.splat_f32s(1.0));
        let mut sums = [simd.splat_f32s(self.start); SUMS];
        for _ in 0..REPEATS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, term);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

/// Seconds of the fastest round.
fn best(rounds: usize, mut round: impl FnMut()) -> f64 {
    round();
    let seconds = (0..rounds).map(|_| clock::timed(&mut round).1.as_secs_f64());
    // A clock that stood still would give a roof without end.
    seconds.fold(f64::INFINITY, f64::min).max(1e-9)
}

/// The largest cache that the system tells of; the last level is shared, so one processor's view is enough.
fn last_level_cache_bytes() -> usize {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu/cpu0/cache") else {
        return CACHE_BYTES;
    };
    let size = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path().join("size")).ok()?;
        text.trim().strip_suffix('K')?.parse::<usize>().ok()
    };
    let kibibytes = entries.flatten().filter_map(size).max();
    kibibytes.map_or(CACHE_BYTES, |kibibytes| kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_triad_computes_what_it_says_and_arithmetic_converges() {
        for level in Level::ALL.into_iter().filter(|level| level.is_here()) {
            let (mut to, left, right) = ([0.0; 64], [1.0; 64], [2.0; 64]);
            level.run(Triad { to: &mut to, left: &left, right: &right });
            assert_eq!(to, [7.0; 64], "{level:?}");
            let sum = level.run(MultiplyAdds { start: 5.0 });
            let expected = (2 * SUMS * level.lanes()) as f32;
            assert!((sum - expected).abs() < 1e-3, "{level:?}: {sum}");
        }
    }

    #[test]
    fn arithmetic_scales_with_what_the_level_can_do() {
        let team = Team::new(1).unwrap();
        let roof = arithmetic(&team, Level::best());
        // Ten times below one operation per cycle of a slow processor would be a broken loop; ten times above what
        // two units of the widest vectors do, one that the compiler removed.
        assert!((1e8..5e12).contains(&roof.per_s), "{roof:?}");
        assert_eq!(roof.limit, Limit::Arithmetic);
    }
}
