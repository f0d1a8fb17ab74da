//! Inputs that a case is measured with: the same on every machine, with real padding, so that masks are work.

use crate::error::Error;
use crate::families::{Argument, Family, Values};
use proofmark_kernels::{BATCH, Binding, Tensor};

/// The inputs of a model for one binding, in the order of its arguments.
///
/// Row `r` of the batch is seen up to a length that falls with `r`, from the whole sequence to about a half; the
/// positions behind are hidden and hold id 0, as padded text does. Optional ids change half-way, as a pair of
/// sentences does.
pub(crate) fn deterministic(family: &Family, binding: &Binding) -> Result<Vec<Tensor>, Error> {
    let batch = binding.get(&BATCH)?;
    family.arguments().iter().map(|argument| one(argument, binding, batch)).collect()
}

fn one(argument: &Argument, binding: &Binding, batch: usize) -> Result<Tensor, Error> {
    let of = argument.tensor_type(binding)?;
    let width = of.shape.last().copied().unwrap_or(1);
    let mut state = argument.name.bytes().fold(1, |state, byte| step(state ^ u64::from(byte)));
    let mut value = |index: usize| {
        let (row, position) = (index / width, index % width);
        let seen = seen(row, batch, width);
        state = step(state);
        let value = match argument.values {
            Values::Mask => usize::from(position < seen),
            Values::Ids { .. } if position >= seen => 0,
            Values::Ids { below, default: None } => (state >> 33) as usize % below,
            Values::Ids { below, default: Some(_) } => (2 * position / seen).min(below - 1),
        };
        i32::try_from(value).unwrap_or(i32::MAX)
    };
    Ok(Tensor::i32(of.shape.clone(), (0..of.len()).map(&mut value).collect()))
}

/// How many positions of a row are seen.
fn seen(row: usize, batch: usize, width: usize) -> usize {
    // A batch of one is a text and its padding too: an eighth of it is hidden.
    let hidden = if batch == 1 { width / 8 } else { width * row / (2 * batch) };
    (width - hidden).max(1)
}

/// A linear congruential step (Knuth's MMIX constants).
fn step(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let rows = |i: usize| made[i].indices().unwrap().chunks(sequence).collect::<Vec<_>>();
            let (ids, masks, types) = (rows(0), rows(1), rows(2));
            assert!(ids.concat().iter().all(|id| (0..97).contains(id)));
            assert!(types.concat().iter().all(|t| (0..3).contains(t)));
            assert!(masks.iter().all(|mask| mask[0] == 1));
            let hidden = masks.concat().iter().filter(|m| **m == 0).count();
            assert_eq!(hidden > 0, sequence >= 7, "b{batch}-s{sequence}");
        }
    }
}
