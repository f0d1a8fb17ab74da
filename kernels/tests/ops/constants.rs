//! Tensors that are part of the graph: of floats and of indices, alone and as operands of every kind of use.

use crate::check::{Recipe, check_case};
use proofmark_kernels::{Activation, BinaryOp, Op, Tensor};

/// Floats that are exact in every format.
fn floats(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|i| ((i * 37 % 29) as f32 - 14.0) / 8.0).collect())
}

#[test]
fn constants_of_floats_in_every_place() {
    let mut r = Recipe::new(1);
    let x = r.input(&[3, 6]);
    let square = r.builder.constant(floats(&[6, 6])).unwrap();
    let row = r.builder.constant(floats(&[6])).unwrap();
    let scaled = r.builder.binary(BinaryOp::Mul, x, row).unwrap();
    let a = r.builder.matmul(x, square, false).unwrap();
    let b = r.builder.matmul(x, square, true).unwrap();
    let c = r.builder.linear(x, square, Some(row), Activation::Relu).unwrap();
    let d = r.builder.add(c, row).unwrap();
    let e = r.builder.matmul(square, a, true).unwrap();
    let joined = r.builder.concat(&[x, square], 0).unwrap();
    for value in [scaled, a, b, c, d, e, joined, square] {
        r.output(value);
    }
    check_case(&r.finish());
}

/// Their bits are no floats: large and negative ones come out as they are.
#[test]
fn constants_of_indices_keep_their_bits() {
    let mut r = Recipe::new(2);
    let ids = r.builder.constant(Tensor::i32([5], vec![6, 0, 3, 3, 1])).unwrap();
    let any = vec![i32::MAX, -1, i32::MIN, 0, 16_777_217, 1];
    let any = r.builder.constant(Tensor::i32([2, 3], any)).unwrap();
    let table = r.weight(&[7, 9]);
    let x = r.input(&[7, 4]);
    let rows = r.builder.gather(table, ids).unwrap();
    let given = r.builder.gather(x, ids).unwrap();
    let more = r.indices(&[2, 3], 9);
    let joined = r.builder.concat(&[any, more], 1).unwrap();
    let turned = r.builder.transpose(joined, &[1, 0]).unwrap();
    for value in [rows, given, any, joined, turned] {
        r.output(value);
    }
    check_case(&r.finish());
}

/// A mask that hides, a bias and the angles of positions: what families make of constants.
#[test]
fn constants_as_mask_bias_and_angles() {
    let mut r = Recipe::new(3);
    let x = r.input(&[2, 4, 12]);
    let angles = [floats(&[1, 4, 3]), floats(&[1, 4, 3])];
    let [cos, sin] = angles.map(|angle| r.builder.constant(angle).unwrap());
    let q = r.builder.rotary(x, [cos, sin], 2).unwrap();
    let mask = r.builder.constant(Tensor::i32([2, 4], vec![1, 0, 1, 1, 0, 0, 1, 0])).unwrap();
    let bias = r.builder.constant(floats(&[1, 2, 4, 4])).unwrap();
    let op =
        Op::Attention { heads: 2, kv_heads: 2, scale: 0.25, causal: false, mask: true, bias: true };
    let y = r.builder.push(op, &[q, x, x, mask, bias]).unwrap();
    r.output(y);
    check_case(&r.finish());
}
