//! Functions of elements and of broadcast pairs.

use crate::check::{Operand, check, float, index};
use proofmark_kernels::{Activation, BinaryOp, Op, Tensor, UnaryOp};

/// A range in which the result of a function is a normal number of every format.
pub(crate) fn range(op: UnaryOp) -> (f32, f32) {
    match op {
        UnaryOp::Sqrt => (0.0, 100.0),
        UnaryOp::Reciprocal => (0.25, 100.0),
        UnaryOp::Exp => (-8.0, 8.0),
        UnaryOp::Activate(Activation::GeluTanh | Activation::Gelu) => (-12.0, 12.0),
        _ => (-20.0, 20.0),
    }
}

#[test]
fn every_function_over_its_range() {
    for op in UnaryOp::all() {
        for shape in [vec![], vec![1], vec![129], vec![3, 5, 7], vec![4096]] {
            check(&Op::Unary(op), &[Operand::Float(shape, range(op))]);
        }
    }
}

#[test]
fn functions_near_zero() {
    for op in UnaryOp::all().into_iter().filter(|op| *op != UnaryOp::Reciprocal) {
        let low = if op == UnaryOp::Sqrt { 0.0 } else { -0.1 };
        check(&Op::Unary(op), &[Operand::Float(vec![1021], (low, 0.1))]);
    }
}

/// Arguments at which a naive kernel overflows: the result is finite and must be there.
#[test]
fn saturated_functions_stay_finite() {
    let saturating = [
        UnaryOp::Sigmoid,
        UnaryOp::Activate(Activation::Tanh),
        UnaryOp::Activate(Activation::Gelu),
        UnaryOp::Activate(Activation::GeluTanh),
        UnaryOp::Activate(Activation::QuickGelu),
        UnaryOp::Activate(Activation::Silu),
    ];
    for op in saturating {
        let mut recipe = crate::check::Recipe::new(1);
        let x = recipe.input(&[8]);
        let edges = vec![-30000.0, -1000.0, -100.0, -88.0, 88.0, 100.0, 1000.0, 30000.0];
        recipe.set_last_input(Tensor::f32([8], edges));
        let y = recipe.builder.unary(op, x).unwrap();
        recipe.output(y);
        crate::check::check_case(&recipe.finish());
    }
}

#[test]
fn pairs_broadcast_in_both_directions() {
    let shapes: [(&[usize], &[usize]); 14] = [
        (&[], &[]),
        (&[1], &[1]),
        (&[257], &[257]),
        (&[7], &[]),
        (&[], &[7]),
        (&[3, 5], &[5]),
        (&[5], &[3, 5]),
        (&[3, 1], &[1, 5]),
        (&[1, 5], &[3, 1]),
        (&[2, 3, 17], &[2, 1, 17]),
        (&[2, 1, 17], &[2, 3, 1]),
        (&[2, 3, 5, 7], &[3, 1, 7]),
        (&[1, 3, 1, 7], &[2, 1, 5, 1]),
        (&[2, 1, 3, 1, 5], &[1, 4, 1, 2, 1]),
    ];
    for op in BinaryOp::ALL {
        // A divisor keeps away from zero.
        let right = if op == BinaryOp::Div { (0.5, 2.0) } else { (-2.0, 2.0) };
        for (a, b) in shapes {
            check(&Op::Binary(op), &[float(a), Operand::Float(b.to_vec(), right)]);
        }
    }
}

#[test]
fn indices_become_floats() {
    for shape in [vec![], vec![1], vec![2, 3, 5], vec![1000]] {
        check(&Op::ToFloat, &[index(shape, 30_000)]);
    }
}

#[test]
fn a_scalar_is_part_of_the_graph() {
    let mut recipe = crate::check::Recipe::new(3);
    let x = recipe.input(&[5, 3]);
    let scalar = recipe.builder.scalar(0.1);
    let product = recipe.builder.binary(BinaryOp::Mul, x, scalar).unwrap();
    let quotient = recipe.builder.binary(BinaryOp::Div, x, scalar).unwrap();
    [product, quotient, scalar].into_iter().for_each(|value| recipe.output(value));
    crate::check::check_case(&recipe.finish());
}
