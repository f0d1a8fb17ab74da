//! A challenge: inputs that are drawn anew for every run, so that no outputs that were made before, elsewhere or up,
//! can be right. What is expected is computed by this process on its own processor.

use crate::checkpoint::Checkpoint;
use crate::inputs;
use proofmark::record::OutputCheck;
use proofmark_kernels::{Binding, Device, Error as KernelError, Graph, Precision, Program, cpu};
use std::hash::{BuildHasher, RandomState};

/// Runs a program on inputs that nobody could know, and compares its outputs with those of the CPU device in f32.
/// Returns what was done, for the record; an error names the first output that was not computed from these inputs.
pub(crate) fn run(
    checkpoint: &Checkpoint,
    (graph, binding): (&Graph, &Binding),
    program: &mut dyn Program,
    tolerance: f64,
) -> Result<String, String> {
    let failed = |error: KernelError| format!("failed to {error}");
    // The keys of a hasher are drawn from the system's random numbers.
    let seed = RandomState::new().hash_one(graph.digest());
    let given = inputs::drawn(checkpoint.family(), binding, seed);
    let inputs = given.and_then(|given| checkpoint.tensors(graph, binding, &given));
    let inputs = inputs.map_err(|e| format!("failed to {e}"))?;
    let found = program.run(&inputs).map_err(failed)?.0.to_vec();
    let device = cpu::CpuDevice::open(None).map_err(failed)?;
    let own = device.prepare(graph, checkpoint.weights(), Precision::F32);
    let mut own = own.map_err(failed)?;
    let expected = own.run(&inputs).map_err(failed)?.0;
    let mut largest = 0.0_f64;
    for ((name, _), (found, expected)) in graph.outputs().iter().zip(found.iter().zip(expected)) {
        let (shape, values) = (found.shape(), found.to_f64());
        let check = OutputCheck::compare(name, shape, &values, &expected.to_f64(), tolerance);
        if !check.passes() {
            let error = check.error.map_or("not finite".to_owned(), |error| format!("{error:.1e}"));
            return Err(format!(
                "the output {name} was not computed from this run's own inputs (seed {seed:#x}): error {error} of \
                 the largest magnitude, tolerance {tolerance:.0e}"
            ));
        }
        largest = largest.max(check.error.unwrap_or(f64::INFINITY));
    }
    Ok(format!("seed {seed:#x}: largest error {largest:.1e} of the largest magnitude"))
}
