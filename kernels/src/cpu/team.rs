//! The threads of the CPU device: all of them go through the steps of a program together, and meet after each.
//!
//! Within a step a thread takes the next task that nobody has taken, so a thread that the machine holds up
//! costs one task and not its share of the step.

use crate::Error;
use crate::clock::Stopwatch;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Looks at the barrier before a waiting thread offers its processor to others.
const SPINS: u32 = 4000;

/// A fixed number of threads.
#[derive(Debug)]
pub(super) struct Team {
    pool: ThreadPool,
}

impl Team {
    /// A team of `threads`.
    pub(super) fn new(threads: usize) -> Result<Self, Error> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("cpu-{index}"))
            .build()
            .map_err(|e| Error::Device { device: "cpu".into(), detail: e.to_string() })?;
        Ok(Self { pool })
    }

    pub(super) fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs the tasks of all steps, each step after the one before it. `tasks[i]` is the number of tasks of
    /// step `i`; `work(thread, step, task)` does one of them.
    pub(super) fn run(&self, steps: &mut Steps, work: impl Fn(usize, usize, usize) + Sync) {
        steps.taken.iter_mut().for_each(|taken| *taken.get_mut() = 0);
        let meeting = Meeting::new(self.threads());
        let steps = &*steps;
        steps.mark(0);
        self.pool.broadcast(|context| {
            let guard = Guard(&meeting);
            if steps.watch.is_some() {
                // So that the first step is not charged with the waking of the threads.
                meeting.meet(|| steps.mark(1));
            }
            for (step, (&tasks, taken)) in steps.tasks.iter().zip(&steps.taken).enumerate() {
                loop {
                    let task = taken.fetch_add(1, Ordering::Relaxed);
                    if task >= tasks {
                        break;
                    }
                    work(context.index(), step, task);
                }
                meeting.meet(|| steps.mark(step + 2));
            }
            std::mem::forget(guard);
        });
    }
}

/// The numbers of tasks of the steps, and what a run needs to hand them out.
#[derive(Debug)]
pub(super) struct Steps {
    tasks: Vec<usize>,
    taken: Vec<AtomicUsize>,
    /// Runs while times are wanted.
    pub(super) watch: Option<Stopwatch>,
    /// Of the last run with a watch, nanoseconds until: the team was called, all threads were there, each step ended.
    marks: Vec<AtomicU64>,
}

impl Steps {
    pub(super) fn new(tasks: Vec<usize>) -> Self {
        let taken = tasks.iter().map(|_| AtomicUsize::new(0)).collect();
        let marks = (0..tasks.len() + 2).map(|_| AtomicU64::new(0)).collect();
        Self { tasks, taken, watch: None, marks }
    }

    fn mark(&self, index: usize) {
        if let Some(watch) = self.watch {
            self.marks[index].store(watch.nanoseconds(), Ordering::Relaxed);
        }
    }

    /// What the last run with a watch marked.
    pub(super) fn marks(&mut self) -> impl Iterator<Item = u64> {
        self.marks.iter_mut().map(|mark| *mark.get_mut())
    }
}

/// Where the threads wait for each other. The one that comes last opens the next round.
struct Meeting {
    threads: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    failed: AtomicBool,
}

impl Meeting {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// Waits for all. `last` is called by the thread that comes last, before any goes on: only that thread knows
    /// when the step ended, for one that waits may lose its processor meanwhile.
    fn meet(&self, last: impl FnOnce()) {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            last();
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.round.load(Ordering::Acquire) == round {
            assert!(!self.failed.load(Ordering::Relaxed), "another thread of the team panicked");
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// Tells the others when a thread leaves by a panic, which they would otherwise wait for.
struct Guard<'a>(&'a Meeting);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.failed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_and_steps_do_not_overlap() {
        let team = Team::new(3).unwrap();
        let counts: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
        let tasks = [5, 1, 0, 7];
        let mut steps = Steps::new(tasks.to_vec());
        for round in 1..=50 {
            team.run(&mut steps, |_, step, _| {
                for (before, tasks) in tasks.iter().enumerate().take(step) {
                    assert_eq!(counts[before].load(Ordering::Acquire), tasks * round);
                }
                counts[step].fetch_add(1, Ordering::AcqRel);
            });
        }
        let counts: Vec<_> = counts.iter().map(|count| count.load(Ordering::Acquire)).collect();
        assert_eq!(counts, [250, 50, 0, 350]);
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let team = Team::new(2).unwrap();
        let mut steps = Steps::new(vec![1, 1]);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            team.run(&mut steps, |_, step, _| assert_eq!(step, 1, "on purpose"));
        }));
        assert!(result.is_err());
    }
}
