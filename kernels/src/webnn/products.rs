//! Matrix products: the dense layer and the batched product.

use super::basic::broadcast;
use super::emit::{Emitter, Made, Source, call};
use super::script::Operand;
use crate::ops::{Activation, BinaryOp};

/// Products of a batch that are written out one by one where the browser has no product of batches.
const PRODUCTS_MAX: usize = 64;

impl Emitter<'_> {
    /// `activation(x · weightᵀ + bias)`: one `gemm` over all rows, which takes the weight as it is stored.
    pub(super) fn linear(&mut self, sources: &[Source], activation: Activation) -> Made {
        let x = self.operand(&sources[0])?;
        let mut shape = self.shape(x);
        let k = shape.pop().expect("x has a last axis");
        let rows = self.reshape(x, &[shape.iter().product(), k])?;
        let made = self.either(
            |e| e.linear_gemm(rows, sources),
            |e| {
                let weight = e.transposed(&sources[1], &[1, 0])?;
                let made = e.product(rows, weight)?;
                e.biased(made, sources.get(2))
            },
        )?;
        let made = self.activated(activation, made)?;
        shape.push(self.type_of(made).shape[1]);
        self.reshape(made, &shape)
    }

    fn linear_gemm(&mut self, rows: Operand, sources: &[Source]) -> Made {
        let weight = self.operand(&sources[1])?;
        let shape = [self.type_of(rows).shape[0], self.type_of(weight).shape[0]];
        let of = self.type_of(rows).shaped(shape);
        let calling = call("gemm").on("a", rows).on("b", weight).option("bTranspose", true);
        self.either(
            |e| match sources.get(2) {
                Some(bias) => {
                    let bias = e.operand(bias)?;
                    e.make(calling.clone().option_on("c", bias), of.clone())
                }
                None => e.make(calling.clone(), of.clone()),
            },
            |e| {
                let made = e.make(calling.clone(), of.clone())?;
                e.biased(made, sources.get(2))
            },
        )
    }

    fn biased(&mut self, x: Operand, bias: Option<&Source>) -> Made {
        let Some(bias) = bias else { return Ok(x) };
        let bias = self.operand(bias)?;
        self.binary(BinaryOp::Add, x, bias)
    }

    /// `[.., m, k] · [.., k, n]`, or with `transpose_right` `[.., m, k] · [.., n, k]`.
    pub(super) fn matmul(&mut self, a: &Source, b: &Source, transpose_right: bool) -> Made {
        let rank = self.source_type(b).shape.len();
        let b = if transpose_right {
            let mut order: Vec<_> = (0..rank).collect();
            order.swap(rank - 2, rank - 1);
            self.transposed(b, &order)?
        } else {
            self.operand(b)?
        };
        let a = self.operand(a)?;
        self.product(a, b)
    }

    /// `[.., m, k] · [.., k, n]`: with leading axes as they are, or merged to one, or one product after the other.
    pub(super) fn product(&mut self, a: Operand, b: Operand) -> Made {
        self.either(
            |e| e.matmul_native(a, b),
            |e| {
                let (a_shape, b_shape) = (e.shape(a), e.shape(b));
                let ([a_lead @ .., m, k], [b_lead @ .., _, n]) = (&*a_shape, &*b_shape) else {
                    return Err("a product of vectors".into());
                };
                let lead = broadcast(a_lead, b_lead);
                let batch = lead.iter().product();
                let flat = |e: &mut Self, x: Operand, tail: [usize; 2]| {
                    let full: Vec<_> = lead.iter().copied().chain(tail).collect();
                    // One matrix for all needs no copies where there are no batches.
                    let x = e.expand(x, &full)?;
                    e.reshape(x, &[batch, tail[0], tail[1]])
                };
                let (a, b) = (flat(e, a, [*m, *k])?, flat(e, b, [*k, *n])?);
                let made = e.either(|e| e.matmul_native(a, b), |e| e.one_by_one(a, b))?;
                let full: Vec<_> = lead.iter().copied().chain([*m, *n]).collect();
                e.reshape(made, &full)
            },
        )
    }

    fn matmul_native(&mut self, a: Operand, b: Operand) -> Made {
        let (a_shape, b_shape) = (self.shape(a), self.shape(b));
        let ([a_lead @ .., m, _], [b_lead @ .., _, n]) = (&*a_shape, &*b_shape) else {
            return Err("a product of vectors".into());
        };
        let mut shape = broadcast(a_lead, b_lead);
        shape.extend([*m, *n]);
        let of = self.type_of(a).shaped(shape);
        self.make(call("matmul").on("a", a).on("b", b), of)
    }

    /// `[batch, m, k] · [batch, k, n]` by one `gemm` for each of the batch.
    fn one_by_one(&mut self, a: Operand, b: Operand) -> Made {
        let (a_shape, b_shape) = (self.shape(a), self.shape(b));
        let (batch, m, n) = (a_shape[0], a_shape[1], b_shape[2]);
        if batch > PRODUCTS_MAX {
            return Err(format!("{batch} products one after the other are too many"));
        }
        let mut parts = Vec::new();
        for at in 0..batch {
            let matrix = |e: &mut Self, x: Operand, shape: &[usize]| {
                let x = e.slice(x, 0, &(at..at + 1))?;
                e.reshape(x, &shape[1..])
            };
            let (a, b) = (matrix(self, a, &a_shape)?, matrix(self, b, &b_shape)?);
            let of = self.type_of(a).shaped([m, n]);
            let made = self.make(call("gemm").on("a", a).on("b", b), of)?;
            parts.push(self.reshape(made, &[1, m, n])?);
        }
        self.concat(&parts, 0)
    }
}
