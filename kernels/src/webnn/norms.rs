//! Normalisations and reductions. Where they are written out, their moments are f32 even for f16, whose squares end
//! at 255².

use super::emit::{Emitter, Made, Source, call};
use super::script::{DataType, Operand};
use crate::ops::{BinaryOp, Reduction, UnaryOp};

impl Emitter<'_> {
    /// The same numbers in f32, if the browser converts them.
    fn wide(&mut self, x: Operand) -> Made {
        match self.data_type(x) {
            DataType::Float16 => self.either(|e| e.cast(x, DataType::Float32), |_| Ok(x)),
            _ => Ok(x),
        }
    }

    /// Layer normalisation of the last axis, with scale and shift where they are given.
    pub(super) fn layer_norm(&mut self, x: Operand, affine: &[Source], epsilon: f32) -> Made {
        let shape = self.shape(x);
        let width = shape[shape.len() - 1];
        self.either(
            |e| e.layer_norm_native(x, affine, epsilon),
            |e| {
                let rows = e.reshape(x, &[shape.iter().product::<usize>() / width, width])?;
                let made = e.either(
                    |e| e.layer_norm_native(rows, affine, epsilon),
                    |e| e.layer_norm_written_out(rows, affine, epsilon),
                )?;
                e.reshape(made, &shape)
            },
        )
    }

    fn layer_norm_native(&mut self, x: Operand, affine: &[Source], epsilon: f32) -> Made {
        let of = self.type_of(x).clone();
        let mut calling = call("layerNormalization")
            .on("input", x)
            .option("axes", vec![of.shape.len() - 1])
            .option("epsilon", f64::from(epsilon));
        for (name, source) in ["scale", "bias"].into_iter().zip(affine) {
            let operand = self.operand(source)?;
            calling = calling.option_on(name, operand);
        }
        self.make(calling, of)
    }

    fn layer_norm_written_out(&mut self, x: Operand, affine: &[Source], epsilon: f32) -> Made {
        let data_type = self.data_type(x);
        let wide = self.wide(x)?;
        let mean = self.reduced(Reduction::Mean, wide, 1, true)?;
        let centred = self.binary(BinaryOp::Sub, wide, mean)?;
        let normalised = self.over_root_mean_square(centred, epsilon)?;
        let normalised = self.cast(normalised, data_type)?;
        self.affine(normalised, affine)
    }

    /// Every row of `[rows, width]` over the root of its mean square and `epsilon`.
    fn over_root_mean_square(&mut self, x: Operand, epsilon: f32) -> Made {
        let square = self.binary(BinaryOp::Mul, x, x)?;
        let mean = self.reduced(Reduction::Mean, square, 1, true)?;
        let sum = self.shifted(mean, f64::from(epsilon))?;
        let root = self.unary(UnaryOp::Sqrt, sum)?;
        self.binary(BinaryOp::Div, x, root)
    }

    /// `x · scale + shift`, broadcast, as far as they are given.
    fn affine(&mut self, mut x: Operand, affine: &[Source]) -> Made {
        for (op, source) in [BinaryOp::Mul, BinaryOp::Add].into_iter().zip(affine) {
            let operand = self.operand(source)?;
            x = self.binary(op, x, operand)?;
        }
        Ok(x)
    }

    /// Normalisation of the last axis by its root mean square, and scale.
    pub(super) fn rms_norm(&mut self, x: Operand, scale: &[Source], epsilon: f32) -> Made {
        let (data_type, shape) = (self.data_type(x), self.shape(x));
        let width = shape[shape.len() - 1];
        let wide = self.wide(x)?;
        let rows = self.reshape(wide, &[shape.iter().product::<usize>() / width, width])?;
        let normalised = self.over_root_mean_square(rows, epsilon)?;
        let normalised = self.cast(normalised, data_type)?;
        let scaled = self.affine(normalised, scale)?;
        self.reshape(scaled, &shape)
    }

    /// Normalisation of groups of the channels of `[b, c, ..]`, then scale and shift of each channel.
    pub(super) fn group_norm(
        &mut self,
        x: Operand,
        affine: &[Source],
        (groups, epsilon): (usize, f32),
    ) -> Made {
        let shape = self.shape(x);
        let (batch, channels) = (shape[0], shape[1]);
        let inner: usize = shape[2..].iter().product();
        let rows = self.reshape(x, &[batch * groups, channels / groups * inner])?;
        let normalised = self.layer_norm(rows, &[], epsilon)?;
        let mut made = self.reshape(normalised, &[batch, channels, inner])?;
        for (op, source) in [BinaryOp::Mul, BinaryOp::Add].into_iter().zip(affine) {
            let operand = self.operand(source)?;
            let operand = self.reshape(operand, &[channels, 1])?;
            made = self.binary(op, made, operand)?;
        }
        self.reshape(made, &shape)
    }

    /// Softmax over the last axis.
    pub(super) fn softmax(&mut self, x: Operand) -> Made {
        let shape = self.shape(x);
        let width = shape[shape.len() - 1];
        self.either(
            |e| e.softmax_native(x),
            |e| {
                let rows = e.reshape(x, &[shape.iter().product::<usize>() / width, width])?;
                let made = e.either(
                    |e| e.softmax_native(rows),
                    |e| {
                        let max = e.reduced(Reduction::Max, rows, 1, true)?;
                        let below = e.binary(BinaryOp::Sub, rows, max)?;
                        let powers = e.unary(UnaryOp::Exp, below)?;
                        let sum = e.reduced(Reduction::Sum, powers, 1, true)?;
                        e.binary(BinaryOp::Div, powers, sum)
                    },
                )?;
                e.reshape(made, &shape)
            },
        )
    }

    fn softmax_native(&mut self, x: Operand) -> Made {
        let of = self.type_of(x).clone();
        let axis = of.shape.len() - 1;
        self.make(call("softmax").on("input", x).with(axis), of)
    }

    /// Reduces one axis; `keep` leaves it with size 1.
    pub(super) fn reduced(&mut self, op: Reduction, x: Operand, axis: usize, keep: bool) -> Made {
        let (method, other) = match op {
            Reduction::Sum => ("reduceSum", "reduceMean"),
            Reduction::Mean => ("reduceMean", "reduceSum"),
            Reduction::Max => ("reduceMax", "reduceMin"),
        };
        self.either(
            |e| e.reduced_native(method, x, axis, keep),
            |e| {
                let n = e.type_of(x).shape[axis] as f64;
                match op {
                    Reduction::Sum => {
                        let mean = e.reduced_native(other, x, axis, keep)?;
                        e.scaled(mean, n)
                    }
                    Reduction::Mean => {
                        let sum = e.reduced_native(other, x, axis, keep)?;
                        e.scaled(sum, 1.0 / n)
                    }
                    Reduction::Max => {
                        let negated = e.unary(UnaryOp::Neg, x)?;
                        let least = e.reduced_native(other, negated, axis, keep)?;
                        e.unary(UnaryOp::Neg, least)
                    }
                }
            },
        )
    }

    fn reduced_native(
        &mut self,
        method: &'static str,
        x: Operand,
        axis: usize,
        keep: bool,
    ) -> Made {
        let of = self.type_of(x).clone();
        let reduce = |e: &mut Self, x: Operand, axis: usize, keep: bool| {
            let mut of = e.type_of(x).clone();
            if keep {
                of.shape[axis] = 1;
            } else {
                of.shape.remove(axis);
            }
            let calling = call(method).on("input", x).option("axes", vec![axis]);
            e.make(calling.option("keepDimensions", keep), of)
        };
        self.either(
            |e| reduce(e, x, axis, keep),
            |e| {
                let mut shape = of.shape.clone();
                let sizes = [
                    shape[..axis].iter().product(),
                    shape[axis],
                    shape[axis + 1..].iter().product(),
                ];
                let flat = e.reshape(x, &sizes)?;
                let made = reduce(e, flat, 1, true)?;
                if keep {
                    shape[axis] = 1;
                } else {
                    shape.remove(axis);
                }
                e.reshape(made, &shape)
            },
        )
    }
}
