//! Scaled dot-product attention (Vaswani et al. 2017) with grouped key and value heads (Ainslie et al. 2023).
//!
//! Error bound: a score has the error of its dot product; softmax makes that a relative error of the
//! probabilities (`normalise`), which the weighted sum of the values carries on, beside its own error as a sum.

use super::linear::{dot, sum_error};
use super::normalise::{softmax_relative, softmax_row, tiny};
use super::{Array, Op, expect_kind};
use crate::{Error, Kind, TensorType};
use rayon::prelude::*;

/// A hidden score: far below all others, yet finite, so that a row of hidden keys stays defined.
const HIDDEN: f64 = f32::MIN as f64;

struct Shape {
    queries: usize,
    keys: usize,
    heads: usize,
    group: usize,
    width: usize,
    value_stride: usize,
    scale: f64,
    causal: bool,
}

/// Where the bias stands among the operands: after the mask, if there is one.
pub(crate) fn bias_operand(mask: bool) -> usize {
    3 + usize::from(mask)
}

pub(super) fn output_type(op: &Op, operands: &[&TensorType]) -> Result<TensorType, Error> {
    let Op::Attention { heads, kv_heads, mask, bias, .. } = *op else { unreachable!() };
    let fail = |detail: String| Err(Error::shape("attention", detail));
    let (q, k, v) = (operands[0], operands[1], operands[2]);
    for (name, operand) in [("the query", q), ("the key", k), ("the value", v)] {
        expect_kind("attention", name, operand, Kind::Float)?;
    }
    let (&[b, queries, wide], &[kb, keys, narrow]) = (q.shape.as_slice(), k.shape.as_slice())
    else {
        return fail(format!("query and key need three axes; they are {q} and {k}"));
    };
    if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) || !wide.is_multiple_of(heads)
    {
        return fail(format!("{heads} heads and {kv_heads} kv heads do not divide {q}"));
    }
    if kb != b || narrow != wide / heads * kv_heads || v.shape != k.shape {
        return fail(format!("key {k} and value {v} do not fit the query {q}"));
    }
    if mask {
        expect_kind("attention", "the mask", operands[3], Kind::Index)?;
        if operands[3].shape != [b, keys] {
            return fail(format!("the mask must be [{b}, {keys}], it is {}", operands[3]));
        }
    }
    if bias {
        let found = operands[bias_operand(mask)];
        expect_kind("attention", "the bias", found, Kind::Float)?;
        let fits = matches!(found.shape.as_slice(), &[x, h, i, j]
            if x > 0 && b.is_multiple_of(x) && (h == 1 || h == heads) && i == queries && j == keys);
        if !fits {
            return fail(format!(
                "the bias must be [{b}, {heads}, {queries}, {keys}], it is {found}"
            ));
        }
    }
    Ok(q.clone())
}

/// Two products per head, and the softmax between them.
pub(super) fn operations(operands: &[&TensorType], heads: usize, bias: bool) -> u64 {
    let (q, k) = (&operands[0].shape, &operands[1].shape);
    let scores = (q[0] * heads * q[1] * k[1]) as u64;
    scores * (4 * (q[2] / heads) as u64 + 12 + u64::from(bias))
}

fn shape_of(op: &Op, operands: &[&Array]) -> Shape {
    let Op::Attention { heads, kv_heads, scale, causal, .. } = *op else { unreachable!() };
    let (q, k) = (&operands[0].shape, &operands[1].shape);
    Shape {
        queries: q[1],
        keys: k[1],
        heads,
        group: heads / kv_heads,
        width: q[2] / heads,
        value_stride: k[2],
        scale: f64::from(scale),
        causal,
    }
}

impl Shape {
    fn key_row<'a>(&self, k: &'a Array, b: usize, head: usize, j: usize) -> &'a [f64] {
        let start = (b * self.keys + j) * self.value_stride + head / self.group * self.width;
        &k.data[start..][..self.width]
    }

    fn query_row<'a>(&self, q: &'a Array, b: usize, head: usize, i: usize) -> &'a [f64] {
        let start = ((b * self.queries + i) * self.heads + head) * self.width;
        &q.data[start..][..self.width]
    }

    /// Key `j` is seen by query `i`.
    fn sees(&self, i: usize, j: usize) -> bool {
        !self.causal || j + self.queries <= i + self.keys
    }

    fn bias(&self, bias: &Array, at: (usize, usize, usize, usize)) -> f64 {
        let (b, head, i, j) = at;
        let (b, head) = (b % bias.shape[0], head % bias.shape[1]);
        bias.data[((b * bias.shape[1] + head) * self.queries + i) * self.keys + j]
    }

    /// The scores of one query row, hidden ones included.
    fn scores(
        &self,
        op: &Op,
        operands: &[&Array],
        (b, head, i): (usize, usize, usize),
    ) -> Vec<f64> {
        let Op::Attention { mask, bias, .. } = *op else { unreachable!() };
        let mask_array = mask.then(|| operands[3]);
        let bias_array = bias.then(|| operands[bias_operand(mask)]);
        let query = self.query_row(operands[0], b, head, i);
        let score = |j: usize| {
            let hidden = mask_array.is_some_and(|m| m.data[b * self.keys + j] == 0.0);
            if hidden || !self.sees(i, j) {
                return HIDDEN;
            }
            let added = bias_array.map_or(0.0, |bias| self.bias(bias, (b, head, i, j)));
            dot(query, self.key_row(operands[1], b, head, j)) * self.scale + added
        };
        (0..self.keys).map(score).collect()
    }
}

pub(super) fn reference(op: &Op, operands: &[&Array], shape: Vec<usize>) -> Array {
    let s = shape_of(op, operands);
    let mut data = vec![0.0; shape.iter().product()];
    data.par_chunks_mut(s.width).enumerate().for_each(|(row, out)| {
        let (b, i, head) = (row / s.heads / s.queries, row / s.heads % s.queries, row % s.heads);
        let mut scores = s.scores(op, operands, (b, head, i));
        softmax_row(&mut scores);
        for (j, probability) in scores.iter().enumerate() {
            let value = s.key_row(operands[2], b, head, j);
            out.iter_mut().zip(value).for_each(|(out, v)| *out += probability * v);
        }
    });
    Array::new(shape, data)
}

pub(super) fn error_bound(op: &Op, operands: &[&Array], output: &Array, u: f64) -> Vec<f64> {
    let s = shape_of(op, operands);
    let absolute: Vec<_> = operands.iter().map(|operand| operand.map(f64::abs)).collect();
    let row_bound = |row: usize| {
        let (b, i, head) = (row / s.heads / s.queries, row / s.heads % s.queries, row % s.heads);
        let mut scores = s.scores(op, operands, (b, head, i));
        let query = s.query_row(&absolute[0], b, head, i);
        let seen = |score: f64| score > HIDDEN;
        let magnitude = (0..s.keys)
            .filter(|&j| seen(scores[j]))
            .map(|j| {
                dot(query, s.key_row(&absolute[1], b, head, j)) * s.scale.abs() + scores[j].abs()
            })
            .fold(0.0, f64::max);
        let score_error = sum_error(s.width + 2, magnitude, u);
        softmax_row(&mut scores);
        let relative = softmax_relative(s.keys, 2.0 * magnitude, score_error, u);
        (0..s.width)
            .map(|c| {
                let weighted =
                    |j: usize| (scores[j] + tiny(u)) * s.key_row(&absolute[2], b, head, j)[c];
                let magnitude: f64 = (0..s.keys).map(weighted).sum();
                sum_error(s.keys + 2, magnitude, u) + relative * magnitude + s.keys as f64 * tiny(u)
            })
            .collect::<Vec<_>>()
    };
    let rows = output.data.len() / s.width;
    (0..rows).into_par_iter().flat_map_iter(row_bound).collect()
}
