//! Random shapes and attributes per op; a failure is shrunk to the smallest one that fails.

use crate::attention::{Sizes, attention};
use crate::check::{Operand, float, index, try_op};
use crate::elementwise::range;
use crate::rotary::rotary;
use crate::windows;
use proofmark_kernels::{Activation, BinaryOp, Op, Reduction, UnaryOp, Window};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};

/// Cases per op; an adapter in software takes seconds for more.
const CASES: u32 = 24;

type Drawn = (Op, Vec<Operand>, u64);

#[track_caller]
fn random(strategy: impl Strategy<Value = (Op, Vec<Operand>)>) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let with_seed =
        (strategy, any::<u64>()).prop_map(|((op, operands), seed)| (op, operands, seed));
    let result = TestRunner::new(config).run(&with_seed, |(op, operands, seed): Drawn| {
        try_op(&op, &operands, seed).map_err(TestCaseError::fail)
    });
    result.unwrap_or_else(|why| panic!("{why}"));
}

fn shape(rank: std::ops::RangeInclusive<usize>, size: usize) -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1..=size, rank)
}

/// Two shapes that broadcast together: axes of one are made 1, leading ones are dropped.
fn pair() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    shape(0..=4, 9).prop_flat_map(|full| {
        let thin = |full: Vec<usize>| {
            let rank = full.len();
            (0..=rank, proptest::collection::vec(any::<bool>(), rank)).prop_map(
                move |(drop, ones)| {
                    let sizes = full.iter().zip(ones).map(|(&n, one)| if one { 1 } else { n });
                    sizes.skip(drop).collect::<Vec<_>>()
                },
            )
        };
        (thin(full.clone()), thin(full))
    })
}

#[test]
fn linear() {
    let sizes =
        (shape(0..=2, 9), 1..80usize, 1..150usize, any::<bool>(), select(&Activation::ALL[..]));
    random(sizes.prop_map(|(lead, n, k, bias, activation)| {
        let x: Vec<_> = lead.into_iter().chain([k]).collect();
        let operands = [float(x), Operand::Float(vec![n, k], (-0.5, 0.5)), float([n])];
        (Op::Linear { bias, activation }, operands[..2 + usize::from(bias)].to_vec())
    }));
}

#[test]
fn matmul() {
    let sizes = (pair(), [1..70usize, 1..70, 1..70], any::<bool>());
    random(sizes.prop_map(|((a, b), [m, n, k], transpose_right)| {
        let tail = if transpose_right { [n, k] } else { [k, n] };
        let cut = |lead: Vec<usize>| lead.into_iter().rev().take(2).rev().collect::<Vec<_>>();
        let left: Vec<_> = cut(a).into_iter().chain([m, k]).collect();
        let right: Vec<_> = cut(b).into_iter().chain(tail).collect();
        (Op::MatMul { transpose_right }, vec![float(left), float(right)])
    }));
}

#[test]
fn attentions() {
    let sizes = [1..5usize, 1..40, 1..80, 1..4, 1..4, 1..70];
    random((sizes, any::<[bool; 5]>()).prop_map(
        |([batch, queries, keys, kv_heads, group, width], [causal, mask, bias, all_b, all_h])| {
            let s = Sizes { batch, queries, keys, heads: kv_heads * group, kv_heads, width };
            let turns = if all_b { s.batch } else { s.batch.div_ceil(2) };
            let turns = if s.batch.is_multiple_of(turns) { turns } else { 1 };
            let bias = bias.then_some([turns, if all_h { s.heads } else { 1 }]);
            attention(s, causal, mask, bias)
        },
    ));
}

#[test]
fn layer_norm() {
    random(shape(1..=3, 40).prop_map(|shape| {
        let width = shape[shape.len() - 1];
        (Op::LayerNorm { epsilon: 1e-5 }, vec![float(shape), float([width]), float([width])])
    }));
}

#[test]
fn rms_norm() {
    random(shape(1..=3, 70).prop_map(|shape| {
        let width = shape[shape.len() - 1];
        (Op::RmsNorm { epsilon: 1e-5 }, vec![float(shape), float([width])])
    }));
}

#[test]
fn group_norm() {
    let sizes = (1..4usize, 1..6usize, 1..6usize, shape(0..=2, 20));
    random(sizes.prop_map(|(batch, groups, inner, rest)| {
        let channels = groups * inner;
        let x: Vec<_> = [batch, channels].into_iter().chain(rest).collect();
        let op = Op::GroupNorm { groups, epsilon: 1e-5 };
        (op, vec![float(x), float([channels]), float([channels])])
    }));
}

#[test]
fn rotations() {
    let sizes = ([1..4usize, 1..9, 1..5, 1..40], any::<bool>());
    random(sizes.prop_map(|(sizes, shared)| rotary(sizes, shared)));
}

/// Windows of up to five elements along each axis.
fn window() -> impl Strategy<Value = Window> {
    ([1..6usize, 1..6, 1..4, 1..4, 1..4, 1..4], [0..4usize, 0..4, 0..4, 0..4]).prop_map(
        |([h, w, y, x, dy, dx], [top, bottom, left, right])| Window {
            size: [h, w],
            stride: [y, x],
            dilation: [dy, dx],
            padding: [[top, bottom], [left, right]],
        },
    )
}

/// The least size of an axis that a window fits into.
fn least(window: &Window, axis: usize) -> usize {
    let span = (window.size[axis] - 1) * window.dilation[axis] + 1;
    span.saturating_sub(window.padding[axis].iter().sum()).max(1)
}

#[test]
fn convolutions() {
    let sizes = [1..3usize, 1..9, 1..20, 1..4, 0..12, 0..20];
    let drawn = (window(), sizes, any::<bool>(), select(&Activation::ALL[..]));
    random(drawn.prop_map(|(window, [batch, inner, out, groups, h, w], bias, activation)| {
        let plane = [least(&window, 0) + h, least(&window, 1) + w];
        let s = windows::Sizes { batch, channels: [inner, out], groups, plane };
        windows::conv(s, window, bias, activation)
    }));
}

#[test]
fn max_pools() {
    let drawn = (window(), [1..3usize, 1..5, 0..12, 0..20]);
    random(drawn.prop_map(|(mut window, [batch, channels, h, w])| {
        for (padding, size) in window.padding.iter_mut().zip(window.size) {
            *padding = padding.map(|padding| padding.min(size - 1));
        }
        // An input as long as its window is never stepped over.
        let span = |axis: usize| (window.size[axis] - 1) * window.dilation[axis] + 1;
        let shape = [batch, channels, span(0) + h, span(1) + w];
        (Op::MaxPool { window }, vec![float(shape)])
    }));
}

#[test]
fn softmax() {
    random(shape(1..=3, 60).prop_map(|shape| (Op::Softmax, vec![float(shape)])));
}

#[test]
fn unary() {
    let drawn = (select(UnaryOp::all()), shape(0..=4, 9));
    random(drawn.prop_map(|(op, shape)| (Op::Unary(op), vec![Operand::Float(shape, range(op))])));
}

#[test]
fn binary() {
    random((select(&BinaryOp::ALL[..]), pair()).prop_map(|(op, (a, b))| {
        let right = if op == BinaryOp::Div { (0.5, 2.0) } else { (-2.0, 2.0) };
        (Op::Binary(op), vec![float(a), Operand::Float(b, right)])
    }));
}

#[test]
fn reduce() {
    let drawn = (
        select(&Reduction::ALL[..]),
        shape(1..=4, 20),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    random(drawn.prop_map(|(op, shape, axis, keep)| {
        (Op::Reduce { op, axis: axis.index(shape.len()), keep }, vec![float(shape)])
    }));
}

#[test]
fn transpose() {
    let drawn = shape(1..=5, 9).prop_flat_map(|shape| {
        let axes: Vec<_> = (0..shape.len()).collect();
        (Just(shape), Just(axes).prop_shuffle())
    });
    random(drawn.prop_map(|(shape, order)| (Op::Transpose { order }, vec![float(shape)])));
}

#[test]
fn slice() {
    let drawn = (shape(1..=4, 9), any::<prop::sample::Index>()).prop_flat_map(|(shape, axis)| {
        let axis = axis.index(shape.len());
        let cuts: Vec<_> = (0..=shape[axis]).collect();
        (Just(shape), Just(axis), subsequence(cuts, 2))
    });
    random(drawn.prop_map(|(shape, axis, cuts)| {
        (Op::Slice { axis, start: cuts[0], end: cuts[1] }, vec![float(shape)])
    }));
}

#[test]
fn concat() {
    let sizes = proptest::collection::vec(1..6usize, 1..5);
    let drawn = (shape(1..=4, 6), any::<prop::sample::Index>(), sizes);
    random(drawn.prop_map(|(shape, axis, sizes)| {
        let axis = axis.index(shape.len());
        let part = |size: usize| {
            let mut part = shape.clone();
            part[axis] = size;
            float(part)
        };
        (Op::Concat { axis }, sizes.into_iter().map(part).collect())
    }));
}

#[test]
fn gather() {
    random(
        (1..50usize, 1..70usize, shape(0..=3, 6)).prop_map(|(rows, width, ids)| {
            (Op::Gather, vec![float([rows, width]), index(ids, rows)])
        }),
    );
}
