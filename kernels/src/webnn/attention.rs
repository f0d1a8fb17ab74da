//! Attention as two products of batches and a softmax between them.
//!
//! Query heads that share a key head are rows of one product, so keys and values are never repeated.
//! Hidden scores: in f32 the lowest number is added to them, which is then what they are, since no score is large
//! enough to change it; so a row of hidden scores is one of equal scores, as the reference has it. f16 has no number
//! that is so far below its scores, so they are replaced there.

use super::constants::{Origin, hidden};
use super::emit::{Emitter, Fixed, Made, Source};
use super::script::{DataType, Operand, Typed};
use crate::Op;
use crate::ops::{BinaryOp, UnaryOp, bias_operand};

struct Sizes {
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    kv_heads: usize,
    width: usize,
}

impl Emitter<'_> {
    /// Scaled dot-product attention over heads that lie side by side in the last axis.
    pub(super) fn attention(&mut self, op: &Op, sources: &[Source]) -> Made {
        let Op::Attention { heads, kv_heads, scale, causal, mask, bias } = *op else {
            unreachable!("only attention is lowered here")
        };
        let [q, k, v] = [0, 1, 2].map(|at| self.operand(&sources[at]));
        let (q, k, v) = (q?, k?, v?);
        let (q_shape, k_shape) = (self.shape(q), self.shape(k));
        let width = q_shape[2] / heads;
        let (batch, queries, keys) = (q_shape[0], q_shape[1], k_shape[1]);
        let s = Sizes { batch, queries, keys, heads, kv_heads, width };
        let scaled = if scale == 1.0 { q } else { self.scaled(q, f64::from(scale))? };
        let q = self.by_heads(scaled, [s.batch, s.queries, s.heads, s.width], [0, 2, 1, 3])?;
        let k = self.by_heads(k, [s.batch, s.keys, s.kv_heads, s.width], [0, 2, 3, 1])?;
        let v = self.by_heads(v, [s.batch, s.keys, s.kv_heads, s.width], [0, 2, 1, 3])?;
        let rows = s.heads / s.kv_heads * s.queries;
        let q = self.reshape(q, &[s.batch, s.kv_heads, rows, s.width])?;
        let scores = self.product(q, k)?;
        let mut scores = self.reshape(scores, &[s.batch, s.heads, s.queries, s.keys])?;
        if bias {
            let bias = self.operand(&sources[bias_operand(mask)])?;
            scores = self.with_bias(scores, bias)?;
        }
        let mask = mask.then(|| self.operand(&sources[3])).transpose()?;
        let scores = self.masked(scores, (mask, causal), &s)?;
        let probabilities = self.softmax(scores)?;
        let probabilities = self.reshape(probabilities, &[s.batch, s.kv_heads, rows, s.keys])?;
        let sums = self.product(probabilities, v)?;
        let sums = self.reshape(sums, &[s.batch, s.heads, s.queries, s.width])?;
        let rows = self.transpose(sums, &[0, 2, 1, 3])?;
        self.reshape(rows, &q_shape)
    }

    fn by_heads(&mut self, x: Operand, shape: [usize; 4], order: [usize; 4]) -> Made {
        let heads = self.reshape(x, &shape)?;
        self.transpose(heads, &order)
    }

    /// Scores `[b, heads, q, k]` with a bias `[n, 1 or heads, q, k]`, whose examples are taken in turn.
    fn with_bias(&mut self, scores: Operand, bias: Operand) -> Made {
        let (shape, turns) = (self.shape(scores), self.type_of(bias).shape[0]);
        if turns == 1 || turns == shape[0] {
            return self.binary(BinaryOp::Add, scores, bias);
        }
        let in_turn = [&[shape[0] / turns, turns], &shape[1..]].concat();
        let scores = self.reshape(scores, &in_turn)?;
        let sums = self.binary(BinaryOp::Add, scores, bias)?;
        self.reshape(sums, &shape)
    }

    fn masked(
        &mut self,
        scores: Operand,
        (mask, causal): (Option<Operand>, bool),
        s: &Sizes,
    ) -> Made {
        // One query at the end sees every key.
        let causal = causal && s.queries > 1;
        if mask.is_none() && !causal {
            return Ok(scores);
        }
        match self.data_type(scores) {
            DataType::Float16 => self.either(
                |e| e.replaced(scores, (mask, causal), s),
                |e| e.wiped(scores, (mask, causal), s),
            ),
            _ => {
                let of = self.data_type(scores);
                let terms = self.terms((mask, causal), s, (of, [0.0, hidden(of)]))?;
                self.binary(BinaryOp::Add, scores, terms)
            }
        }
    }

    /// For mask and order together, one number where a key is seen, and a lower one where it is hidden:
    /// `[b or 1, 1, q or 1, k]`.
    fn terms(
        &mut self,
        (mask, causal): (Option<Operand>, bool),
        s: &Sizes,
        (of, values): (DataType, [f64; 2]),
    ) -> Made {
        let order = match causal {
            true => Some(self.order(s, of, values)?),
            false => None,
        };
        let Some(mask) = mask else { return order.ok_or_else(|| "nothing is hidden".into()) };
        let mask = self.reshape(mask, &[s.batch, 1, 1, s.keys])?;
        let seen = self.seen(mask, of)?;
        // From 1 and 0 to the numbers that are wanted.
        let terms = match values {
            [1.0, 0.0] => seen,
            _ => {
                let below = self.shifted(seen, -1.0)?;
                self.scaled(below, -values[1])?
            }
        };
        match order {
            None => Ok(terms),
            Some(order) => self.binary(BinaryOp::Min, terms, order),
        }
    }

    /// 1 where an index is not 0, and 0 where it is.
    fn seen(&mut self, mask: Operand, of: DataType) -> Made {
        self.either(
            |e| {
                let truth = e.not_zero(mask)?;
                e.cast(truth, of)
            },
            |e| {
                let number = e.cast(mask, of)?;
                let size = e.unary(UnaryOp::Abs, number)?;
                let one = e.scalar(1.0, of)?;
                e.binary(BinaryOp::Min, size, one)
            },
        )
    }

    /// The order of the queries and keys `[q, k]`, as a constant.
    fn order(&mut self, s: &Sizes, data_type: DataType, values: [f64; 2]) -> Made {
        #[expect(clippy::cast_possible_truncation, reason = "they come from f32 and f16")]
        let values = values.map(|value| value as f32);
        let origin = Origin::Causal { queries: s.queries, keys: s.keys, values };
        self.fixed(&Fixed { origin, of: Typed { data_type, shape: vec![s.queries, s.keys] } }, None)
    }

    /// Hidden scores replaced by the lowest number.
    fn replaced(
        &mut self,
        scores: Operand,
        (mask, causal): (Option<Operand>, bool),
        s: &Sizes,
    ) -> Made {
        let shown = match mask {
            Some(mask) => {
                let mask = self.reshape(mask, &[s.batch, 1, 1, s.keys])?;
                Some(self.not_zero(mask)?)
            }
            None => None,
        };
        let order = match causal {
            true => Some(self.order(s, DataType::Uint8, [1.0, 0.0])?),
            false => None,
        };
        let condition = match (shown, order) {
            (Some(shown), Some(order)) => self.binary_native("logicalAnd", shown, order)?,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Ok(scores),
        };
        let of = self.data_type(scores);
        let lowest = self.scalar(hidden(of), of)?;
        self.chosen(condition, [scores, lowest])
    }

    /// Hidden scores multiplied by 0, then the lowest number added to them.
    fn wiped(
        &mut self,
        scores: Operand,
        (mask, causal): (Option<Operand>, bool),
        s: &Sizes,
    ) -> Made {
        let of = self.data_type(scores);
        let seen = self.terms((mask, causal), s, (of, [1.0, 0.0]))?;
        let wiped = self.binary(BinaryOp::Mul, scores, seen)?;
        let below = self.shifted(seen, -1.0)?;
        let terms = self.scaled(below, -hidden(of))?;
        self.binary(BinaryOp::Add, wiped, terms)
    }
}
