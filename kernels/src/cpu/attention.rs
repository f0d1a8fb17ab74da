//! Attention: one task per batch row, head and block of queries. Scores live in the scratch of a thread only.

use super::gemm::{self, Part, Start, Strides};
use super::kernel::{Context, Kernel};
use super::level::Level;
use super::math;
use super::memory::Slot;
use crate::Activation;
use pulp::{Simd, WithSimd};

/// Queries of one task: their scores stay in the second-level cache.
pub(super) const QUERY_BLOCK: usize = 128;
/// A hidden score, as in the reference: far below all others, yet finite.
const HIDDEN: f32 = f32::MIN;

/// Scaled dot-product attention; the layout of the operands is that of `Op::Attention`.
pub(super) struct Attention {
    pub(super) query: Slot,
    pub(super) key: Slot,
    pub(super) value: Slot,
    pub(super) out: Slot,
    /// Index `[batch, keys]`; 0 hides a key.
    pub(super) mask: Option<Slot>,
    /// `[n, 1 or heads, queries, keys]` and its first two sizes; examples take the `n` in turn.
    pub(super) bias: Option<(Slot, [usize; 2])>,
    pub(super) batch: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) heads: usize,
    /// Query heads per key head.
    pub(super) group: usize,
    /// The width of a head.
    pub(super) width: usize,
    pub(super) scale: f32,
    pub(super) causal: bool,
    pub(super) level: Level,
}

/// The scratch of one task.
struct Scratch<'a> {
    keys: &'a mut [f32],
    values: &'a mut [f32],
    caps: &'a mut [f32],
    scores: &'a mut [f32],
    inverses: &'a mut [f32],
}

impl Attention {
    fn blocks(&self) -> usize {
        self.queries.div_ceil(QUERY_BLOCK)
    }

    /// Elements from one key to the next, of all heads.
    pub(super) fn key_stride(&self) -> usize {
        self.heads / self.group * self.width
    }

    pub(super) fn padded_keys(&self) -> usize {
        self.keys.next_multiple_of(gemm::panel_width(self.level))
    }

    fn sizes(&self) -> [usize; 5] {
        let padded = self.padded_keys();
        [
            gemm::packed_len(self.level, self.width, self.keys, false),
            gemm::packed_len(self.level, self.keys, self.width, false),
            padded,
            QUERY_BLOCK.min(self.queries) * padded,
            QUERY_BLOCK.min(self.queries),
        ]
    }

    fn split<'a>(&self, scratch: &'a mut [f32]) -> Scratch<'a> {
        let [keys, values, caps, scores, inverses] = self.sizes();
        let (keys, rest) = scratch.split_at_mut(keys);
        let (values, rest) = rest.split_at_mut(values);
        let (caps, rest) = rest.split_at_mut(caps);
        let (scores, rest) = rest.split_at_mut(scores);
        Scratch { keys, values, caps, scores, inverses: &mut rest[..inverses] }
    }

    /// The bias `[queries, keys]` of one head of one example, if there is one.
    ///
    /// # Safety
    /// Nobody writes to the bias while the result lives.
    pub(super) unsafe fn bias_of<'a>(
        &self,
        context: &Context<'a>,
        batch: usize,
        head: usize,
    ) -> Option<&'a [f32]> {
        let (slot, sizes) = self.bias?;
        let matrix = batch % sizes[0] * sizes[1] + head % sizes[1];
        // SAFETY: passed on.
        let bias = unsafe { context.memory.floats(slot) };
        Some(&bias[matrix * self.queries * self.keys..][..self.queries * self.keys])
    }

    /// The largest score that each key may have: hidden keys are finite, the padding is not.
    pub(super) fn fill_caps(&self, mask: Option<&[i32]>, caps: &mut [f32]) {
        let (keys, padding) = caps.split_at_mut(self.keys);
        padding.fill(f32::NEG_INFINITY);
        match mask {
            None => keys.fill(f32::INFINITY),
            Some(mask) => {
                for (cap, &shown) in keys.iter_mut().zip(mask) {
                    *cap = if shown == 0 { HIDDEN } else { f32::INFINITY };
                }
            }
        }
    }
}

impl Kernel for Attention {
    fn tasks(&self) -> usize {
        self.batch * self.heads * self.blocks()
    }

    fn scratch(&self) -> usize {
        self.sizes().iter().sum()
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, scratch: &mut [f32]) {
        let (pair, block) = (task / self.blocks(), task % self.blocks());
        let (batch, head) = (pair / self.heads, pair % self.heads);
        let queries = block * QUERY_BLOCK..((block + 1) * QUERY_BLOCK).min(self.queries);
        let (stride, key_stride) = (self.heads * self.width, self.key_stride());
        let first_key = batch * self.keys * key_stride + head / self.group * self.width;
        let first = (batch * self.queries + queries.start) * stride + head * self.width;
        let own = self.split(scratch);
        // SAFETY: operands are only read in this step.
        let (query, key, value, mask) = unsafe {
            let mask = self.mask.map(|mask| context.memory.indices(mask));
            let floats = |slot| context.memory.floats(slot);
            (floats(self.query), floats(self.key), floats(self.value), mask)
        };
        let (key, value) = (&key[first_key..], &value[first_key..]);
        let key_strides = Strides { column: key_stride, row: 1 };
        gemm::pack(self.level, key, key_strides, self.width, self.keys, own.keys);
        let value_strides = Strides { column: 1, row: key_stride };
        gemm::pack(self.level, value, value_strides, self.keys, self.width, own.values);
        self.fill_caps(mask.map(|mask| &mask[batch * self.keys..][..self.keys]), own.caps);
        let padded = self.padded_keys();
        let part = |a, stride_a, k, packed, n: usize, c, stride_c| Part {
            a,
            stride_a,
            left_packed: false,
            rows: queries.len(),
            k,
            packed,
            halves: false,
            panels: 0..n.div_ceil(gemm::panel_width(self.level)),
            n,
            c,
            stride_c,
            start: Start::Zero,
            residual: None,
            activation: Activation::Identity,
        };
        let scores = own.scores.as_mut_ptr();
        // SAFETY: the scores are this task's.
        unsafe {
            part(&query[first..], stride, self.width, own.keys, padded, scores, padded)
                .run(self.level);
        }
        let rows = SoftmaxRows {
            op: self,
            first_query: queries.start,
            // SAFETY: operands are only read in this step.
            bias: unsafe { self.bias_of(context, batch, head) },
            caps: own.caps,
            scores: &mut own.scores[..queries.len() * padded],
            inverses: &mut own.inverses[..queries.len()],
        };
        self.level.run(rows);
        // SAFETY: the head's columns of these rows are this task's.
        unsafe {
            let out = context.memory.pointer(self.out).add(first);
            part(own.scores, padded, self.keys, own.values, self.width, out, stride)
                .run(self.level);
            let factors = &own.inverses[..queries.len()];
            self.level.run(ScaleRows { out, stride, width: self.width, factors });
        }
    }
}

/// Turns rows of products into rows of exponentials, and keeps the reciprocals of their sums.
pub(super) struct SoftmaxRows<'a> {
    pub(super) op: &'a Attention,
    /// The query of the first row.
    pub(super) first_query: usize,
    /// Of all queries.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) caps: &'a [f32],
    /// Rows of padded keys.
    pub(super) scores: &'a mut [f32],
    pub(super) inverses: &'a mut [f32],
}

impl WithSimd for SoftmaxRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let op = self.op;
        let rows = self.scores.chunks_exact_mut(self.caps.len()).zip(self.inverses);
        for (i, (row, inverse)) in rows.enumerate() {
            let query = self.first_query + i;
            let mut factor = op.scale;
            if let Some(bias) = self.bias {
                math::scale(simd, row, factor);
                math::add_assign(simd, &mut row[..op.keys], &bias[query * op.keys..][..op.keys]);
                factor = 1.0;
            }
            let mut largest = math::scores(simd, row, factor, self.caps);
            if op.causal {
                let seen = (query + 1 + op.keys).saturating_sub(op.queries).min(op.keys);
                row[seen..op.keys].fill(HIDDEN);
                largest = math::max(simd, row);
            }
            *inverse = 1.0 / math::exponentials(simd, row, largest);
        }
    }
}

/// Multiplies every row of a head's result by its factor.
struct ScaleRows<'a> {
    /// The first row; rows are `stride` apart and `width` long.
    out: *mut f32,
    stride: usize,
    width: usize,
    factors: &'a [f32],
}

impl WithSimd for ScaleRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (i, factor) in self.factors.iter().enumerate() {
            // SAFETY: who makes this value answers for the rows.
            let row = unsafe {
                std::slice::from_raw_parts_mut(self.out.add(i * self.stride), self.width)
            };
            math::scale(simd, row, *factor);
        }
    }
}
