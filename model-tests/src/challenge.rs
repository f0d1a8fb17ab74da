//! A challenge: inputs that are drawn anew for every run, so that no outputs that were made before, elsewhere or up,
//! can be right. What is expected is computed by this process on its own processor.

use crate::checkpoint::Checkpoint;
use crate::inputs;
use proofmark::record::OutputCheck;
use proofmark_kernels::{Binding, Device, Error as KernelError, Graph, Kind, Precision, Program, Tensor, cpu};
use std::hash::{BuildHasher, RandomState};

/// Runs a program on inputs that nobody could know, and compares its outputs with those of the CPU device in f32.
/// `own` are the inputs of the case. Returns what was done, for the record; an error names the first output that was not computed from these inputs.
pub(crate) fn run(
    checkpoint: &Checkpoint,
    (graph, binding): (&Graph, &Binding),
    own: &[Tensor],
    program: &mut dyn Program,
    tolerance: f64,
) -> Result<String, String> {
    let failed = |error: KernelError| format!("failed to {error}");
    // The keys of a hasher are drawn from the system's random numbers.
    let seed = RandomState::new().hash_one(graph.digest());
    let given = inputs::drawn(checkpoint.family(), binding, seed);
    let drawn = given.and_then(|given| checkpoint.tensors(graph, binding, &given));
    // The shape of some goldens follows from values of theirs, which nothing drawn would have: these are kept, and
    // their real numbers moved.
    let inputs = drawn.ok().filter(|drawn| graph.check_inputs(drawn).is_ok());
    let inputs = inputs.unwrap_or_else(|| own.iter().map(|input| moved(input, seed)).collect());
    let found = program.run(&inputs).map_err(failed)?.0.to_vec();
    let device = cpu::CpuDevice::open(None).map_err(failed)?;
    let prepared = device.prepare(graph, checkpoint.weights(), Precision::F32);
    let mut prepared = prepared.map_err(failed)?;
    let expected = prepared.run(&inputs).map_err(failed)?.0;
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

/// The same with every real number changed by up to a quarter, by a seed.
fn moved(input: &Tensor, seed: u64) -> Tensor {
    if input.kind() != Kind::Float {
        return input.clone();
    }
    let values = input.to_f32();
    let mut state = seed;
    let changed = values.iter().map(|value| {
        state = inputs::step(state);
        #[expect(clippy::cast_precision_loss, reason = "31 bits of noise")]
        let noise = (state >> 33) as f32 / (1u64 << 32) as f32;
        value * (0.75 + noise)
    });
    Tensor::f32(input.shape().to_vec(), changed.collect())
}
