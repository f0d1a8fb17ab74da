//! Dense layers, matrix products and gathers.

use crate::check::{Operand, check, float, index};
use proofmark_kernels::{Activation, Op};

/// `[m, n, k]` at the edges of tiles of every usual size.
const SIZES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [7, 13, 5],
    [1, 17, 31],
    [31, 1, 33],
    [33, 65, 1],
    [2, 3, 1025],
    [17, 31, 65],
    [65, 129, 127],
    [127, 33, 17],
    [129, 127, 7],
    [64, 64, 64],
    [63, 67, 129],
    [4, 300, 8],
    [131, 4, 16],
];

#[test]
fn linear_over_edge_sizes() {
    for [m, n, k] in SIZES {
        for bias in [false, true] {
            let op = Op::Linear { bias, activation: Activation::Identity };
            let operands = [float([m, k]), float([n, k]), float([n])];
            check(&op, &operands[..2 + usize::from(bias)]);
        }
    }
}

/// Few rows and a long weight, as a decoder's step has them: the weight is read once and nothing else counts.
#[test]
fn linear_of_few_rows() {
    for m in 1..=5 {
        for [n, k] in [[301, 130], [1030, 37], [17, 2050]] {
            let op = Op::Linear { bias: true, activation: Activation::Silu };
            let weight = Operand::Float(vec![n, k], (-0.25, 0.25));
            check(&op, &[float([m, k]), weight, float([n])]);
        }
    }
}

#[test]
fn linear_with_every_activation() {
    for activation in Activation::ALL {
        for bias in [false, true] {
            let op = Op::Linear { bias, activation };
            let weight = Operand::Float(vec![19, 37], (-0.5, 0.5));
            let operands = [float([2, 9, 37]), weight, float([19])];
            check(&op, &operands[..2 + usize::from(bias)]);
        }
    }
}

#[test]
fn linear_of_every_rank() {
    for lead in [vec![], vec![3], vec![2, 3], vec![2, 3, 5]] {
        let shape: Vec<_> = lead.into_iter().chain([11]).collect();
        let op = Op::Linear { bias: true, activation: Activation::Relu };
        check(&op, &[float(shape), float([6, 11]), float([6])]);
    }
}

#[test]
fn matmul_over_edge_sizes() {
    for [m, n, k] in SIZES {
        check(&Op::MatMul { transpose_right: false }, &[float([m, k]), float([k, n])]);
        check(&Op::MatMul { transpose_right: true }, &[float([m, k]), float([n, k])]);
    }
}

#[test]
fn matmul_broadcasts_leading_sizes() {
    let leads: [(&[usize], &[usize]); 9] = [
        (&[3], &[3]),
        (&[3], &[]),
        (&[], &[3]),
        (&[1], &[3]),
        (&[3], &[1]),
        (&[2, 3], &[3]),
        (&[2, 1], &[1, 3]),
        (&[1, 3], &[2, 1]),
        (&[2, 1, 3], &[1, 2, 3]),
    ];
    for (a, b) in leads {
        for transpose_right in [false, true] {
            let tail = if transpose_right { [5, 9] } else { [9, 5] };
            let left: Vec<_> = a.iter().copied().chain([7, 9]).collect();
            let right: Vec<_> = b.iter().copied().chain(tail).collect();
            check(&Op::MatMul { transpose_right }, &[float(left), float(right)]);
        }
    }
}

#[test]
fn gather_takes_rows() {
    for (rows, width, ids) in [
        (1, 1, vec![1]),
        (5, 1, vec![7]),
        (7, 13, vec![]),
        (100, 129, vec![3, 5]),
        (31, 64, vec![2, 1, 9]),
    ] {
        check(&Op::Gather, &[float([rows, width]), index(ids, rows)]);
    }
}
