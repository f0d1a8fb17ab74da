//! Inputs that a case is measured with: the same on every machine, with real padding, so that masks are work.

use crate::error::Error;
use crate::families::{Argument, Family, Given, Values, complete};
use proofmark_kernels::{BATCH, Binding, Kind, Tensor, TensorType};

/// The arguments of a model for one binding, the same on every machine.
pub(crate) fn deterministic(family: &Family, binding: &Binding) -> Result<Given, Error> {
    drawn(family, binding, 0)
}

/// The arguments of a model for one binding, by a seed.
///
/// Row `r` of the batch is seen up to a length that falls with `r`, from the whole sequence to about a half; the
/// positions behind are hidden and hold id 0, as padded text does. Optional ids change half-way, as a pair of
/// sentences does. Real numbers are evenly spread over -1 to 1.
pub(crate) fn drawn(family: &Family, binding: &Binding, seed: u64) -> Result<Given, Error> {
    let batch = binding.get(&BATCH)?;
    let architecture = family.architecture();
    let arguments = architecture.arguments();
    let mut given = Given::new();
    for argument in &arguments {
        // Positions count by themselves, and sizes that are not bound belong to arguments that are left out.
        let counted = matches!(argument.values, Values::Positions { .. });
        match argument.tensor_type(binding) {
            Ok(of) if !counted => {
                given.insert(argument.name.clone().into_owned(), one(argument, &of, batch, seed));
            }
            Err(error) if !argument.optional => return Err(error),
            _ => {}
        }
    }
    architecture.reconcile(binding, &mut given)?;
    complete(&arguments, binding, given)
}

fn one(argument: &Argument, of: &TensorType, batch: usize, seed: u64) -> Tensor {
    let width = of.shape.last().copied().unwrap_or(1);
    let begin = argument.name.bytes().fold(1, |state, byte| step(state ^ u64::from(byte)));
    let mut state = begin ^ seed;
    let mut next = || {
        state = step(state);
        state >> 33
    };
    if of.kind == Kind::Float {
        #[expect(clippy::cast_precision_loss, reason = "31 bits of noise")]
        let data = (0..of.len()).map(|_| next() as f32 / (1u64 << 30) as f32 - 1.0).collect();
        return Tensor::f32(of.shape.clone(), data);
    }
    let mut value = |index: usize| {
        let (row, position) = (index / width, index % width);
        let seen = seen(row, batch, width);
        let drawn = usize::try_from(next()).unwrap_or_default();
        let value = match argument.values {
            Values::Mask => usize::from(position < seen),
            Values::Ids { .. } if position >= seen => 0,
            Values::Ids { below, default: None } => drawn % below,
            Values::Ids { below, default: Some(_) } => (2 * position / seen).min(below - 1),
            Values::Positions { .. } | Values::Real => position,
        };
        i32::try_from(value).unwrap_or(i32::MAX)
    };
    Tensor::i32(of.shape.clone(), (0..of.len()).map(&mut value).collect())
}

/// How many positions of a row are seen.
fn seen(row: usize, batch: usize, width: usize) -> usize {
    // A batch of one is a text and its padding too: an eighth of it is hidden.
    let hidden = if batch == 1 { width / 8 } else { width * (row % batch) / (2 * batch) };
    (width - hidden).max(1)
}

/// A linear congruential step (Knuth's MMIX constants).
pub(crate) fn step(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{MODELS, binding};
    use crate::checkpoint::Checkpoint;
    use crate::testing::Copy;

    #[test]
    fn inputs_are_repeatable_padded_and_within_their_tables() {
        let copy = Copy::of("bert-odd");
        let checkpoint = Checkpoint::open(copy.folder()).unwrap();
        let family = checkpoint.family();
        for (batch, sequence) in [(1, 1), (1, 16), (3, 41), (8, 7)] {
            let binding = Binding::batch_sequence(batch, sequence);
            let made = deterministic(family, &binding).unwrap();
            assert_eq!(made, deterministic(family, &binding).unwrap());
            let rows =
                |name: &str| made[name].indices().unwrap().chunks(sequence).collect::<Vec<_>>();
            let (ids, masks) = (rows("input_ids"), rows("attention_mask"));
            let types = rows("token_type_ids");
            assert!(ids.concat().iter().all(|id| (0..97).contains(id)));
            assert!(types.concat().iter().all(|t| (0..3).contains(t)));
            assert!(masks.iter().all(|mask| mask[0] == 1));
            let hidden = masks.concat().iter().filter(|m| **m == 0).count();
            assert_eq!(hidden > 0, sequence >= 7, "b{batch}-s{sequence}");
        }
    }

    #[test]
    fn every_shape_of_the_catalogue_has_inputs_that_its_model_takes() {
        for model in &MODELS {
            let Ok(checkpoint) = model.open() else { continue };
            for shape in model.shapes.iter().chain(model.software_shapes) {
                let binding = binding(shape);
                let made = deterministic(checkpoint.family(), &binding).unwrap();
                let graph = checkpoint.graph(&binding).unwrap();
                let inputs = checkpoint.tensors(&graph, &binding, &made).unwrap();
                graph.check_inputs(&inputs).unwrap();
            }
        }
    }
}
