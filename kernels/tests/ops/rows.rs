//! Normalisations of rows and reductions of any axis.

use crate::check::{Operand, Recipe, check, check_case, float};
use proofmark_kernels::{Op, Reduction, Tensor};

const SHAPES: [&[usize]; 9] =
    [&[1], &[129], &[1, 1], &[7, 13], &[3, 1000], &[2, 3, 31], &[2, 3, 5, 7], &[65, 384], &[3, 1]];

#[test]
fn layer_norm_over_shapes() {
    for shape in SHAPES {
        let width = shape[shape.len() - 1];
        check(&Op::LayerNorm { epsilon: 1e-5 }, &[float(shape), float([width]), float([width])]);
    }
}

/// A mean that is large beside the deviation: a variance as a difference of squares would drown in it.
#[test]
fn layer_norm_far_from_zero() {
    let x = Operand::Float(vec![4, 257], (30.0, 34.0));
    check(&Op::LayerNorm { epsilon: 1e-12 }, &[x, float([257]), float([257])]);
}

#[test]
fn rms_norm_over_shapes() {
    for shape in SHAPES {
        let width = shape[shape.len() - 1];
        check(&Op::RmsNorm { epsilon: 1e-5 }, &[float(shape), float([width])]);
    }
}

/// Only the epsilon keeps a row of zeros from a division by zero.
#[test]
fn rms_norm_of_zeros_and_of_small_numbers() {
    let zeros = Operand::Float(vec![2, 9], (0.0, 0.0));
    check(&Op::RmsNorm { epsilon: 1e-6 }, &[zeros, float([9])]);
    let small = Operand::Float(vec![2, 70], (-0.03, 0.03));
    check(&Op::RmsNorm { epsilon: 1e-3 }, &[small, float([70])]);
}

#[test]
fn group_norm_over_shapes() {
    let shapes: [&[usize]; 6] =
        [&[2, 6], &[1, 1, 9], &[2, 6, 17], &[3, 4, 5, 7], &[1, 12, 2, 3, 4], &[1, 24, 211]];
    for shape in shapes {
        let channels = shape[1];
        for groups in (1..=channels).filter(|&groups| channels.is_multiple_of(groups)) {
            let op = Op::GroupNorm { groups, epsilon: 1e-5 };
            check(&op, &[float(shape), float([channels]), float([channels])]);
        }
    }
}

#[test]
fn group_norm_far_from_zero() {
    let x = Operand::Float(vec![2, 4, 65], (30.0, 34.0));
    check(&Op::GroupNorm { groups: 2, epsilon: 1e-5 }, &[x, float([4]), float([4])]);
}

#[test]
fn softmax_over_shapes() {
    for shape in SHAPES {
        check(&Op::Softmax, &[float(shape)]);
        check(&Op::Softmax, &[Operand::Float(shape.to_vec(), (-9.0, 9.0))]);
    }
}

/// Scores whose exponential alone would overflow, and a row whose scores are far apart.
#[test]
fn softmax_of_large_scores() {
    let mut recipe = Recipe::new(1);
    let x = recipe.input(&[3, 3]);
    let scores = vec![1000.0, 999.0, 998.0, -1000.0, -1001.0, -1000.5, 0.0, 500.0, -500.0];
    recipe.set_last_input(Tensor::f32([3, 3], scores));
    let y = recipe.builder.softmax(x).unwrap();
    recipe.output(y);
    check_case(&recipe.finish());
}

#[test]
fn reductions_of_every_axis() {
    for op in Reduction::ALL {
        for shape in SHAPES {
            for axis in 0..shape.len() {
                for keep in [false, true] {
                    check(&Op::Reduce { op, axis, keep }, &[float(shape)]);
                }
            }
        }
    }
}

/// The start value of a maximum must be below every element.
#[test]
fn a_maximum_of_negative_numbers() {
    let op = Op::Reduce { op: Reduction::Max, axis: 1, keep: false };
    check(&op, &[Operand::Float(vec![3, 131], (-900.0, -400.0))]);
}
