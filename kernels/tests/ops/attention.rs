//! Attention: grouped heads, masks, biases, causal order, widths that fit no vector.

use crate::check::{Operand, Recipe, check, check_case, float, index};
use proofmark_kernels::{Op, Tensor};

/// The sizes of one attention; the head's width last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) width: usize,
}

const fn sizes([batch, queries, keys]: [usize; 3], [heads, kv_heads, width]: [usize; 3]) -> Sizes {
    Sizes { batch, queries, keys, heads, kv_heads, width }
}

/// An attention of these sizes with its operands.
pub(crate) fn attention(
    s: Sizes,
    causal: bool,
    mask: bool,
    bias: Option<[usize; 2]>,
) -> (Op, Vec<Operand>) {
    let scale = 1.0 / (s.width as f32).sqrt();
    let (heads, kv_heads) = (s.heads, s.kv_heads);
    let op = Op::Attention { heads, kv_heads, scale, causal, mask, bias: bias.is_some() };
    let kv = [s.batch, s.keys, s.kv_heads * s.width];
    let mut operands = vec![float([s.batch, s.queries, s.heads * s.width]), float(kv), float(kv)];
    if mask {
        operands.push(index([s.batch, s.keys], 2));
    }
    if let Some([b, h]) = bias {
        operands.push(float([b, h, s.queries, s.keys]));
    }
    (op, operands)
}

#[test]
fn attention_over_sizes_and_options() {
    let all = [
        sizes([1, 1, 1], [1, 1, 1]),
        sizes([2, 7, 13], [3, 3, 5]),
        sizes([1, 17, 17], [4, 2, 12]),
        sizes([2, 1, 33], [4, 1, 7]),
        sizes([1, 33, 5], [2, 1, 31]),
        sizes([2, 16, 64], [2, 2, 32]),
        sizes([1, 65, 129], [6, 3, 65]),
        sizes([1, 3, 200], [1, 1, 129]),
    ];
    for s in all {
        for causal in [false, true] {
            for mask in [false, true] {
                let biases = [None, Some([1, s.heads]), Some([s.batch, 1])];
                for bias in biases {
                    let (op, operands) = attention(s, causal, mask, bias);
                    check(&op, &operands);
                }
            }
        }
    }
}

/// Fewer biases than examples: they are taken in turn, as the windows of several images do.
#[test]
fn biases_in_turn() {
    for [n, h] in [[1, 1], [2, 1], [2, 4], [3, 4], [6, 4]] {
        for (causal, mask) in [(false, false), (true, true)] {
            let (op, operands) = attention(sizes([6, 5, 7], [4, 2, 8]), causal, mask, Some([n, h]));
            check(&op, &operands);
        }
    }
}

/// One query over many keys, as a decoder's step: several query heads read one key head.
#[test]
fn one_query_over_a_cache() {
    for [heads, kv_heads, width] in [[14, 2, 16], [8, 8, 12], [6, 1, 33], [4, 2, 64]] {
        for (keys, causal) in [(1, true), (65, true), (257, false)] {
            for bias in [None, Some([1, heads])] {
                let s = sizes([2, 1, keys], [heads, kv_heads, width]);
                let (op, operands) = attention(s, causal, keys > 1, bias);
                check(&op, &operands);
            }
        }
    }
}

/// A row that sees no key attends to all alike; it must not be NaN.
#[test]
fn fully_hidden_rows_attend_to_all_alike() {
    for (queries, keys, causal) in [(3, 5, false), (7, 3, true), (17, 70, false)] {
        let s = sizes([2, queries, keys], [2, 2, 6]);
        let (op, operands) = attention(s, causal, true, None);
        let mut recipe = Recipe::new(5);
        let q = recipe.input(&[2, queries, 12]);
        let k = recipe.input(&[2, keys, 12]);
        let v = recipe.input(&[2, keys, 12]);
        let mask = recipe.indices(&[2, keys], 2);
        // The first example is all padding, the second keeps its first key only.
        let mut seen = vec![0; 2 * keys];
        seen[keys] = 1;
        recipe.set_last_input(Tensor::i32([2, keys], seen));
        assert_eq!(operands.len(), 4);
        let y = recipe.builder.push(op, &[q, k, v, mask]).unwrap();
        recipe.output(y);
        check_case(&recipe.finish());
    }
}

/// Scores that are far apart: the running maximum of a blocked softmax has to move.
#[test]
fn large_scores() {
    let (op, mut operands) = attention(sizes([1, 9, 150], [2, 2, 16]), false, true, None);
    operands[0] = Operand::Float(vec![1, 9, 32], (-9.0, 9.0));
    operands[1] = Operand::Float(vec![1, 150, 32], (-9.0, 9.0));
    check(&op, &operands);
}

/// Any number but zero shows the key.
#[test]
fn a_mask_is_not_only_zero_and_one() {
    let (op, mut operands) = attention(sizes([2, 4, 9], [1, 1, 8]), false, true, None);
    operands[3] = index([2, 9], 5);
    check(&op, &operands);
}
