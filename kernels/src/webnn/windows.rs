//! Windows that slide: convolution, and the maximum of a window.

use super::constants::hidden;
use super::emit::{Emitter, Made, Source, call};
use super::script::Operand;
use crate::ops::{Activation, BinaryOp, Window};

/// Top, bottom, left, right, as the standard has it.
fn sides(window: &Window) -> Vec<usize> {
    window.padding.concat()
}

impl Emitter<'_> {
    /// `activation(x ∗ weight + bias)` of `[b, c, h, w]`.
    pub(super) fn conv(
        &mut self,
        sources: &[Source],
        (window, groups): (&Window, usize),
        activation: Activation,
        shape: &[usize],
    ) -> Made {
        let x = self.operand(&sources[0])?;
        let weight = self.operand(&sources[1])?;
        let of = self.type_of(x).shaped(shape);
        let calling = call("conv2d")
            .on("input", x)
            .on("filter", weight)
            .option("padding", sides(window))
            .option("strides", window.stride.to_vec())
            .option("dilations", window.dilation.to_vec())
            .option("groups", groups);
        let made = match sources.get(2) {
            None => self.make(calling, of)?,
            Some(bias) => {
                let bias = self.operand(bias)?;
                self.either(
                    |e| e.make(calling.clone().option_on("bias", bias), of.clone()),
                    |e| {
                        let sums = e.make(calling.clone(), of.clone())?;
                        let bias = e.reshape(bias, &[shape[1], 1, 1])?;
                        e.binary(BinaryOp::Add, sums, bias)
                    },
                )?
            }
        };
        self.activated(activation, made)
    }

    /// The maximum of every window of `[b, c, h, w]`. The operand is padded before: Chromium 147 pads with zeros in
    /// `maxPool2d`, which are then the maximum of what is negative.
    pub(super) fn max_pool(&mut self, x: Operand, window: &Window, shape: &[usize]) -> Made {
        self.either(
            |e| {
                let padded = e.padded(x, window)?;
                let inner = Window { padding: [[0, 0]; 2], ..*window };
                e.either(
                    |e| e.max_pool_native(padded, &inner, shape),
                    |e| {
                        let tall = e.max_along(padded, 2, window, shape[2])?;
                        e.max_along(tall, 3, window, shape[3])
                    },
                )
            },
            |e| e.max_pool_native(x, window, shape),
        )
    }

    fn max_pool_native(&mut self, x: Operand, window: &Window, shape: &[usize]) -> Made {
        if window.dilation != [1, 1] {
            // The limits do not tell, but Chromium 147 refuses it when it builds a graph.
            return Err("`maxPool2d` has no dilation everywhere".into());
        }
        let of = self.type_of(x).shaped(shape);
        let calling = call("maxPool2d")
            .on("input", x)
            .option("windowDimensions", window.size.to_vec())
            .option("padding", sides(window))
            .option("strides", window.stride.to_vec());
        self.make(calling, of)
    }

    /// With the lowest number around, which no maximum chooses.
    fn padded(&mut self, x: Operand, window: &Window) -> Made {
        let [[top, bottom], [left, right]] = window.padding;
        if window.padding == [[0, 0]; 2] {
            return Ok(x);
        }
        let mut of = self.type_of(x).clone();
        of.shape[2] += top + bottom;
        of.shape[3] += left + right;
        let calling = call("pad").on("input", x);
        let calling = calling.with(vec![0, 0, top, left]).with(vec![0, 0, bottom, right]);
        let lowest = hidden(of.data_type);
        self.make(calling.option("mode", "constant").option("value", lowest), of)
    }

    /// The maximum of a window along one axis: of as many views of the operand as it has elements.
    fn max_along(&mut self, x: Operand, axis: usize, window: &Window, positions: usize) -> Made {
        let (size, stride, dilation) =
            (window.size[axis - 2], window.stride[axis - 2], window.dilation[axis - 2]);
        let mut max = self.every(x, axis, (0, stride, positions))?;
        for element in 1..size {
            let view = self.every(x, axis, (element * dilation, stride, positions))?;
            max = self.binary(BinaryOp::Max, max, view)?;
        }
        Ok(max)
    }
}
