//! Rotary positions: heads of every width, angles for each example or for all.

use crate::check::{Operand, check, float};
use proofmark_kernels::Op;

/// A rotation of `[batch, sequence, heads·2·half]`, its angles for each example or for all.
pub(crate) fn rotary(
    [batch, sequence, heads, half]: [usize; 4],
    shared: bool,
) -> (Op, Vec<Operand>) {
    let angles = [if shared { 1 } else { batch }, sequence, half];
    let unit = |shape: [usize; 3]| Operand::Float(shape.to_vec(), (-1.0, 1.0));
    let x = float([batch, sequence, heads * 2 * half]);
    (Op::Rotary { heads }, vec![x, unit(angles), unit(angles)])
}

#[test]
fn rotary_over_sizes() {
    for sizes in [[1, 1, 1, 1], [2, 7, 3, 5], [3, 5, 1, 16], [1, 33, 14, 32], [2, 1, 2, 37]] {
        for shared in [false, true] {
            let (op, operands) = rotary(sizes, shared);
            check(&op, &operands);
        }
    }
}
