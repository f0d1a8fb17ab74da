//! The steady state of a CPU program allocates nothing of its own, however many steps it has.
#![cfg(feature = "cpu")]
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use proofmark_kernels::cpu::CpuDevice;
use proofmark_kernels::{Activation, Binding, Builder, Device, Kind, Precision, Tensor, Weights};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations per run of a chain of `layers` dense layers.
fn allocations(device: &CpuDevice, layers: usize) -> f64 {
    const RUNS: usize = 200;
    let mut b = Builder::new(Binding::default());
    let mut x = b.input("x", Kind::Float, &[8.into(), 32.into()]).unwrap();
    for layer in 0..layers {
        let weight = b.weight(&format!("w{layer}"), &[32, 32]).unwrap();
        let y = b.linear(x, weight, None, Activation::Identity).unwrap();
        x = b.add(y, x).unwrap();
    }
    b.output("y", x).unwrap();
    let graph = b.finish().unwrap();
    let mut program = device.prepare(&graph, &Weights::seeded(1), Precision::F32).unwrap();
    let inputs = [Tensor::f32([8, 32], vec![0.5; 256])];
    program.run(&inputs).unwrap();
    let before = CALLS.load(Ordering::Relaxed);
    for _ in 0..RUNS {
        program.run(&inputs).unwrap();
    }
    (CALLS.load(Ordering::Relaxed) - before) as f64 / RUNS as f64
}

#[test]
fn a_run_allocates_nothing_per_step() {
    let device = CpuDevice::open(Some(2)).unwrap();
    let (few, many) = (allocations(&device, 2), allocations(&device, 60));
    // What is left is rayon's: it hands the run to its threads once.
    assert!(few < 10.0 && (few - many).abs() < 1.0, "{few} and {many} allocations per run");
}
