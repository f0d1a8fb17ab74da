//! Attention of few queries, as a decoder's step has it: keys and values are read once where they are, because
//! packing them for a product would take longer than all else.

use super::attention::{Attention, SoftmaxRows};
use super::kernel::{Context, Kernel};
use super::math;
use pulp::{Simd, WithSimd};

/// Queries, up to which this is faster than a product.
pub(super) const MOST_QUERIES: usize = 8;

/// The attention of one head of one example in each task.
pub(super) struct FewQueries(pub(super) Attention);

impl Kernel for FewQueries {
    fn tasks(&self) -> usize {
        self.0.batch * self.0.heads
    }

    fn scratch(&self) -> usize {
        2 * self.0.padded_keys()
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, scratch: &mut [f32]) {
        let op = &self.0;
        let (batch, head) = (task / op.heads, task % op.heads);
        let first_key = batch * op.keys * op.key_stride() + head / op.group * op.width;
        let (scores, rest) = scratch.split_at_mut(op.padded_keys());
        let caps = &mut rest[..op.padded_keys()];
        // SAFETY: operands are only read in this step.
        unsafe {
            let floats = |slot| context.memory.floats(slot);
            let mask = op.mask.map(|mask| context.memory.indices(mask));
            op.fill_caps(mask.map(|mask| &mask[batch * op.keys..][..op.keys]), caps);
            for query in 0..op.queries {
                let row = ((batch * op.queries + query) * op.heads + head) * op.width;
                context.level.run(Query {
                    op,
                    index: query,
                    query: &floats(op.query)[row..row + op.width],
                    keys: &floats(op.key)[first_key..],
                    values: &floats(op.value)[first_key..],
                    bias: op.bias_of(context, batch, head),
                    caps,
                    scores,
                    // SAFETY: the head's columns of these rows are this task's.
                    out: context.memory.part(op.out, row..row + op.width),
                });
            }
        }
    }
}

/// One query of one head.
struct Query<'a> {
    op: &'a Attention,
    index: usize,
    query: &'a [f32],
    /// From the head's first key on; keys are a stride apart, as values are.
    keys: &'a [f32],
    values: &'a [f32],
    bias: Option<&'a [f32]>,
    caps: &'a [f32],
    scores: &'a mut [f32],
    out: &'a mut [f32],
}

impl WithSimd for Query<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (op, stride) = (self.op, self.op.key_stride());
        let (scores, padding) = self.scores.split_at_mut(op.keys);
        padding.fill(0.0);
        for (score, key) in scores.iter_mut().zip(self.keys.chunks(stride)) {
            *score = math::dot(simd, self.query, &key[..op.width]);
        }
        let mut inverse = [0.0];
        let rows = SoftmaxRows {
            op,
            first_query: self.index,
            bias: self.bias,
            caps: self.caps,
            scores: &mut *self.scores,
            inverses: &mut inverse,
        };
        rows.with_simd(simd);
        self.out.fill(0.0);
        for (score, value) in self.scores[..op.keys].iter().zip(self.values.chunks(stride)) {
            math::add_scaled(simd, self.out, *score, &value[..op.width]);
        }
        math::scale(simd, self.out, inverse[0]);
    }
}
