//! Graphs of several ops, as devices fuse them, alias them and plan their memory.

use crate::check::{Recipe, check_case};
use proofmark_kernels::{Activation, BinaryOp, Reduction, UnaryOp, Value};

/// Builds a graph, names its results as outputs and checks it.
#[track_caller]
fn chain(build: impl FnOnce(&mut Recipe) -> Vec<Value>) {
    let mut recipe = Recipe::new(11);
    let outputs = build(&mut recipe);
    outputs.into_iter().for_each(|value| recipe.output(value));
    check_case(&recipe.finish());
}

fn dense(r: &mut Recipe, x: Value, [n, k]: [usize; 2], activation: Activation) -> Value {
    let (weight, bias) = (r.weight(&[n, k]), r.weight(&[n]));
    r.builder.linear(x, weight, Some(bias), activation).expect("a dense layer")
}

fn norm(r: &mut Recipe, x: Value, width: usize) -> Value {
    let (weight, bias) = (r.weight(&[width]), r.weight(&[width]));
    r.builder.layer_norm(x, weight, bias, 1e-5).expect("a norm")
}

#[test]
fn dense_residual_norm() {
    for flipped in [false, true] {
        chain(|r| {
            let x = r.input(&[2, 5, 24]);
            let y = dense(r, x, [24, 24], Activation::Identity);
            let sum = if flipped { r.builder.add(x, y) } else { r.builder.add(y, x) }.unwrap();
            vec![norm(r, sum, 24)]
        });
    }
}

#[test]
fn a_residual_is_added_after_the_activation() {
    chain(|r| {
        let x = r.input(&[9, 17]);
        let y = dense(r, x, [17, 17], Activation::Gelu);
        vec![r.builder.add(x, y).unwrap()]
    });
}

#[test]
fn a_residual_that_is_broadcast_or_made_later() {
    chain(|r| {
        let x = r.input(&[9, 17]);
        let y = dense(r, x, [6, 17], Activation::Identity);
        let row = r.input(&[6]);
        let broadcast = r.builder.add(y, row).unwrap();
        let z = dense(r, x, [6, 17], Activation::Identity);
        let late = r.builder.unary(UnaryOp::Neg, broadcast).unwrap();
        vec![r.builder.add(z, late).unwrap()]
    });
}

#[test]
fn a_sum_of_two_dense_layers_and_of_one_with_itself() {
    chain(|r| {
        let x = r.input(&[7, 12]);
        let a = dense(r, x, [10, 12], Activation::Identity);
        let b = dense(r, x, [10, 12], Activation::Relu);
        let sum = r.builder.add(a, b).unwrap();
        let c = dense(r, sum, [10, 10], Activation::Identity);
        vec![r.builder.add(c, c).unwrap()]
    });
}

#[test]
fn activations_after_a_dense_layer() {
    for activation in Activation::ALL {
        chain(|r| {
            let x = r.input(&[6, 12]);
            let y = dense(r, x, [10, 12], Activation::Identity);
            let fused = r.builder.unary(UnaryOp::Activate(activation), y).unwrap();
            let z = dense(r, x, [10, 12], Activation::Tanh);
            vec![fused, r.builder.unary(UnaryOp::Activate(activation), z).unwrap()]
        });
    }
}

#[test]
fn an_output_that_is_also_used_inside() {
    chain(|r| {
        let x = r.input(&[2, 5, 24]);
        let y = dense(r, x, [24, 24], Activation::Identity);
        let sum = r.builder.add(y, x).unwrap();
        let activated = r.builder.unary(UnaryOp::Activate(Activation::Gelu), y).unwrap();
        vec![y, sum, activated, norm(r, sum, 24)]
    });
}

#[test]
fn a_value_that_is_used_twice() {
    chain(|r| {
        let x = r.input(&[13]);
        let square = r.builder.binary(BinaryOp::Mul, x, x).unwrap();
        let sum = r.builder.add(square, square).unwrap();
        vec![r.builder.add(sum, square).unwrap()]
    });
}

#[test]
fn outputs_that_nothing_computes() {
    chain(|r| {
        let (x, ids) = (r.input(&[3, 4]), r.indices(&[5], 9));
        let weight = r.weight(&[2, 6]);
        let reshaped = r.builder.reshape(x, &[2, 6]).unwrap();
        let slice = r.builder.slice(weight, 1, 2, 5).unwrap();
        let weight_view = r.builder.reshape(weight, &[12]).unwrap();
        vec![x, ids, reshaped, slice, weight_view, weight, x]
    });
}

#[test]
fn views_of_views() {
    chain(|r| {
        let x = r.input(&[2, 3, 4, 5]);
        let t = r.builder.transpose(x, &[0, 2, 1, 3]).unwrap();
        let flat = r.builder.reshape(t, &[2, 4, 15]).unwrap();
        let part = r.builder.slice(flat, 2, 3, 11).unwrap();
        let joined = r.builder.concat(&[part, part, flat], 2).unwrap();
        let back = r.builder.reshape(joined, &[8, 31]).unwrap();
        vec![r.builder.transpose(back, &[1, 0]).unwrap(), part]
    });
}

#[test]
fn weights_that_several_ops_want_in_several_layouts() {
    chain(|r| {
        let (x, weight) = (r.input(&[4, 6]), r.weight(&[6, 6]));
        let ids = r.indices(&[4], 6);
        let a = r.builder.linear(x, weight, None, Activation::Identity).unwrap();
        let b = r.builder.matmul(x, weight, false).unwrap();
        let c = r.builder.matmul(x, weight, true).unwrap();
        let d = r.builder.gather(weight, ids).unwrap();
        let e = r.builder.add(x, d).unwrap();
        let f = r.builder.linear(weight, weight, None, Activation::Relu).unwrap();
        vec![a, b, c, d, e, f]
    });
}

/// The same elements are matrices of other sizes to other ops: each wants them packed its own way.
#[test]
fn a_weight_that_is_a_matrix_of_several_sizes() {
    chain(|r| {
        let (wide, narrow) = (r.input(&[5, 8]), r.input(&[5, 1]));
        let column = r.weight(&[8, 1]);
        let a = r.builder.matmul(wide, column, false).unwrap();
        let b = r.builder.linear(narrow, column, None, Activation::Identity).unwrap();
        let weight = r.weight(&[6, 4]);
        let (x, y, z) = (r.input(&[3, 4]), r.input(&[3, 6]), r.input(&[3, 2]));
        let square = r.builder.reshape(weight, &[4, 6]).unwrap();
        let long = r.builder.reshape(weight, &[12, 2]).unwrap();
        let c = r.builder.linear(x, weight, None, Activation::Identity).unwrap();
        let d = r.builder.linear(y, square, None, Activation::Relu).unwrap();
        let e = r.builder.linear(z, long, None, Activation::Identity).unwrap();
        let f = r.builder.matmul(x, square, false).unwrap();
        vec![a, b, c, d, e, f]
    });
}

#[test]
fn a_mean_over_masked_tokens() {
    chain(|r| {
        let x = r.input(&[2, 5, 8]);
        let mask = r.indices(&[2, 5], 2);
        r.set_last_input(proofmark_kernels::Tensor::i32(
            [2, 5],
            vec![1, 1, 1, 0, 0, 1, 1, 1, 1, 1],
        ));
        let mask = r.builder.to_float(mask).unwrap();
        let mask = r.builder.reshape(mask, &[2, 5, 1]).unwrap();
        let kept = r.builder.binary(BinaryOp::Mul, x, mask).unwrap();
        let sum = r.builder.reduce(Reduction::Sum, kept, 1, false).unwrap();
        let count = r.builder.reduce(Reduction::Sum, mask, 1, false).unwrap();
        let mean = r.builder.binary(BinaryOp::Div, sum, count).unwrap();
        let square = r.builder.binary(BinaryOp::Mul, mean, mean).unwrap();
        let norm = r.builder.reduce(Reduction::Sum, square, 1, true).unwrap();
        let norm = r.builder.unary(UnaryOp::Sqrt, norm).unwrap();
        vec![r.builder.binary(BinaryOp::Div, mean, norm).unwrap()]
    });
}

/// Values that die at different times: memory that is reused too early shows here.
#[test]
fn long_chains_reuse_memory() {
    chain(|r| {
        let x = r.input(&[33, 7]);
        let mut kept = vec![x];
        for step in 0..12 {
            let last = kept[kept.len() - 1];
            let far = kept[kept.len() / 2];
            let half = r.builder.scalar(0.5);
            let sum = r.builder.add(last, far).unwrap();
            let next = r.builder.binary(BinaryOp::Mul, sum, half).unwrap();
            kept.push(if step % 3 == 0 {
                r.builder.unary(UnaryOp::Neg, next).unwrap()
            } else {
                next
            });
        }
        vec![kept[4], kept[kept.len() - 1]]
    });
}

#[test]
fn a_transformer_block() {
    chain(|r| {
        let (hidden, tokens) = (24, 9);
        let table = r.weight(&[50, hidden]);
        let ids = r.indices(&[2, tokens], 50);
        let mask = r.indices(&[2, tokens], 2);
        let x = r.builder.gather(table, ids).unwrap();
        let x = norm(r, x, hidden);
        let [q, k, v] = [(); 3].map(|()| dense(r, x, [hidden, hidden], Activation::Identity));
        let attend = proofmark_kernels::Op::Attention {
            heads: 4,
            kv_heads: 4,
            scale: 0.408,
            causal: false,
            mask: true,
            bias: false,
        };
        let scaled = |r: &mut Recipe, v: Value| {
            let tenth = r.builder.scalar(0.125);
            r.builder.binary(BinaryOp::Mul, v, tenth).unwrap()
        };
        let (q, k) = (scaled(r, q), scaled(r, k));
        let y = r.builder.push(attend, &[q, k, v, mask]).unwrap();
        let y = dense(r, y, [hidden, hidden], Activation::Identity);
        let sum = r.builder.add(y, x).unwrap();
        let x = norm(r, sum, hidden);
        let wide = dense(r, x, [40, hidden], Activation::Gelu);
        let y = dense(r, wide, [hidden, 40], Activation::Identity);
        let sum = r.builder.add(y, x).unwrap();
        vec![norm(r, sum, hidden)]
    });
}
