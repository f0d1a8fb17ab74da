//! What a step of a CPU program is: a kernel that is cut into tasks, each of which a thread does on its own.

use super::level::Level;
use super::memory::Memory;

/// What a task may use besides the memory of the program.
pub(super) struct Context<'a> {
    pub(super) memory: Memory<'a>,
    pub(super) level: Level,
    /// Where a task reports an index that is outside of its table.
    pub(super) fault: &'a Fault,
}

/// One step of a program.
pub(super) trait Kernel: Send + Sync {
    /// How many tasks there are; they may run in any order and at the same time.
    fn tasks(&self) -> usize;

    /// Floats that a task needs for itself.
    fn scratch(&self) -> usize {
        0
    }

    /// Does one task.
    ///
    /// # Safety
    /// No other task of this index runs, no task of another step runs, and the slots of the kernel are as
    /// `Memory` asks for.
    unsafe fn run(&self, context: &Context<'_>, task: usize, scratch: &mut [f32]);
}

/// One index that was outside of its table in this run; of several, the one that a thread reported first.
#[derive(Debug, Default)]
pub(super) struct Fault(std::sync::Mutex<Option<(i32, usize)>>);

impl Fault {
    /// `index` is not in `0..rows`.
    pub(super) fn report(&self, index: i32, rows: usize) {
        let mut fault = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        fault.get_or_insert((index, rows));
    }

    /// The fault of the last run, which is thereby forgotten.
    pub(super) fn take(&self) -> Option<(i32, usize)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// `total` things in chunks of about `chunk`: the number of chunks.
pub(super) fn chunks(total: usize, chunk: usize) -> usize {
    total.div_ceil(chunk.max(1))
}

/// The things of chunk number `index`.
pub(super) fn chunk(total: usize, chunk: usize, index: usize) -> std::ops::Range<usize> {
    let chunk = chunk.max(1);
    index * chunk..((index + 1) * chunk).min(total)
}

/// Elements that make a task of moving or mapping worth handing to a thread.
pub(super) const ELEMENTS: usize = 16 * 1024;
