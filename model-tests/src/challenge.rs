//! A challenge: inputs that are drawn anew for every run, so that no outputs that were made before, elsewhere or up,
//! can be right. What is expected is computed by this process on its own processor.

use crate::checkpoint::Checkpoint;
use crate::inputs;
use proofmark::record::OutputCheck;
use proofmark_kernels::{
    Binding, Device, Error as KernelError, Graph, Kind, Precision, Program, Tensor, cpu,
};
use std::hash::{BuildHasher, RandomState};

/// In formats narrower than f32, how many times as far off as the case's own outputs those of drawn inputs may be:
/// these may be worse conditioned, and the question is whether they were computed, not how well.
const LEEWAY: f64 = 4.0;

/// How far off the outputs of drawn inputs may be, of the largest magnitude; `of_case` is the case's own tolerance.
pub(crate) fn tolerance(precision: Precision, of_case: f64) -> f64 {
    if precision == Precision::F32 { of_case } else { LEEWAY * of_case }
}

/// Runs a program on inputs that nobody could know, and compares its outputs with those of the CPU device in f32.
/// `own` are the inputs of the case and the program's outputs on them. Returns what was done, for the record; an error names the first output that was not computed from these inputs.
pub(crate) fn run(
    checkpoint: &Checkpoint,
    (graph, binding): (&Graph, &Binding),
    (own, own_outputs): (&[Tensor], &[Tensor]),
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
    let (mut largest, mut apart) = (0.0_f64, 0.0_f64);
    let outputs = found.iter().zip(expected).zip(own_outputs);
    for ((name, _), ((found, expected), own)) in graph.outputs().iter().zip(outputs) {
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
        let own = OutputCheck::compare(name, shape, &own.to_f64(), &expected.to_f64(), tolerance);
        apart = apart.max(own.error.unwrap_or(f64::INFINITY));
    }
    // Otherwise outputs that were recorded before would do as well.
    if apart <= tolerance {
        return Err(format!(
            "the challenge (seed {seed:#x}) shows nothing: the outputs of the case's own inputs are {apart:.1e} from \
             those that were expected, which is within the tolerance of {tolerance:.0e}"
        ));
    }
    Ok(format!(
        "seed {seed:#x}: largest error {largest:.1e} of the largest magnitude; the case's own outputs are {apart:.1e} off"
    ))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Copy;
    use std::time::Duration;

    /// A page that was recorded once and gives the same outputs whatever it is asked.
    struct Recorded(Vec<Tensor>);

    impl Program for Recorded {
        fn run(&mut self, _: &[Tensor]) -> Result<(&[Tensor], Duration), KernelError> {
            Ok((&self.0, Duration::from_millis(1)))
        }

        fn run_timed(&mut self, _: &[Tensor]) -> Result<proofmark_kernels::Timing, KernelError> {
            Ok(proofmark_kernels::Timing::default())
        }
    }

    #[test]
    fn right_outputs_of_other_inputs_are_found_out() {
        let copy = Copy::of("bert-tiny");
        let checkpoint = Checkpoint::open(copy.folder()).unwrap();
        let binding = Binding::batch_sequence(2, 5);
        let graph = checkpoint.graph(&binding).unwrap();
        let given = inputs::deterministic(checkpoint.family(), &binding).unwrap();
        let own = checkpoint.tensors(&graph, &binding, &given).unwrap();
        let device = cpu::CpuDevice::open(None).unwrap();
        let mut honest = device.prepare(&graph, checkpoint.weights(), Precision::F32).unwrap();
        let of = (&graph, &binding);
        let outputs = honest.run(&own).unwrap().0.to_vec();
        let case = (&own[..], &outputs[..]);
        let told = run(&checkpoint, of, case, &mut *honest, 1e-3).unwrap();
        assert!(told.contains("seed"), "{told}");
        let mut recorded = Recorded(outputs.clone());
        let why = run(&checkpoint, of, case, &mut recorded, 1e-3).unwrap_err();
        assert!(why.contains("not computed from this run's own inputs"), "{why}");
        let why = run(&checkpoint, of, case, &mut *honest, 10.0).unwrap_err();
        assert!(why.contains("shows nothing"), "{why}");
    }

    #[test]
    fn every_run_is_challenged_with_other_inputs() {
        let input = Tensor::f32([3], vec![1.0, -2.0, 0.5]);
        let (a, b) = (moved(&input, 1), moved(&input, 2));
        assert!(a != b && a != input && a == moved(&input, 1));
        let ids = Tensor::i32([2], vec![1, 2]);
        assert_eq!(moved(&ids, 1), ids);
    }
}
