//! An artificial load: threads of this process that keep processors busy for as long as it is held.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A load on the machine, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Keeps every second processor busy, one at least.
    pub(super) fn put() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let over = Arc::new(AtomicBool::new(false));
        let thread = |_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut count = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    count = black_box(count.wrapping_add(1));
                    spin_loop();
                }
            })
        };
        let threads = (0..(processors / 2).max(1)).map(thread).collect();
        Self { over, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic, and nothing is to be had of it.
            let _ = thread.join();
        }
    }
}
