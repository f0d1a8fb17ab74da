//! Windows that slide over the last two axes: convolution (cross-correlation, as PyTorch's `conv2d`) and the
//! maximum of a window. One axis is the same with a height of 1.
//!
//! Error bound of a convolution: that of a sum of products (see `linear`). A maximum is exact.

use super::elementwise::activation_lipschitz;
use super::linear::sum_error;
use super::{Activation, Array, Op, expect_kind};
use crate::{Error, Kind, TensorType};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How a window slides over the last two axes, height first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its elements along each axis.
    pub size: [usize; 2],
    /// The step from one position to the next.
    pub stride: [usize; 2],
    /// The distance between its elements: 1 if they are neighbours.
    pub dilation: [usize; 2],
    /// Elements before the first and after the last of each axis: zeros for a convolution, never chosen for a maximum.
    pub padding: [[usize; 2]; 2],
}

impl Window {
    /// A window of this size with step 1, no dilation and no padding.
    pub const fn new(size: [usize; 2]) -> Self {
        Self { size, stride: [1, 1], dilation: [1, 1], padding: [[0, 0]; 2] }
    }

    /// The same window with this step.
    #[must_use]
    pub const fn stride(mut self, stride: [usize; 2]) -> Self {
        self.stride = stride;
        self
    }

    /// The same window with as much padding before as after each axis.
    #[must_use]
    pub const fn padding(mut self, [height, width]: [usize; 2]) -> Self {
        self.padding = [[height, height], [width, width]];
        self
    }

    /// The number of positions along both axes of an `input` of these sizes.
    pub(crate) fn positions(
        &self,
        op: &'static str,
        input: [usize; 2],
    ) -> Result<[usize; 2], Error> {
        let mut positions = [0; 2];
        for axis in 0..2 {
            let (size, stride, dilation) =
                (self.size[axis], self.stride[axis], self.dilation[axis]);
            let [before, after] = self.padding[axis];
            if size == 0 || stride == 0 || dilation == 0 {
                return Err(Error::shape(op, format!("{self:?} has a size of zero")));
            }
            let span = (size - 1).checked_mul(dilation).and_then(|span| span.checked_add(1));
            let room = input[axis].checked_add(before).and_then(|room| room.checked_add(after));
            match span.zip(room).and_then(|(span, room)| room.checked_sub(span)) {
                Some(free) => positions[axis] = free / stride + 1,
                None => {
                    let detail = format!("{self:?} is larger than its padded input {input:?}");
                    return Err(Error::shape(op, detail));
                }
            }
        }
        Ok(positions)
    }

    /// The input position under element `k` of the window at `position`; none in the padding.
    fn at(&self, axis: usize, position: usize, k: usize, size: usize) -> Option<usize> {
        let padded = position * self.stride[axis] + k * self.dilation[axis];
        padded.checked_sub(self.padding[axis][0]).filter(|&at| at < size)
    }

    /// Calls `f` with the offset in the window and in the input plane of every element that is not padding.
    fn visit(&self, at: [usize; 2], plane: [usize; 2], mut f: impl FnMut(usize, usize)) {
        for i in 0..self.size[0] {
            let Some(y) = self.at(0, at[0], i, plane[0]) else { continue };
            for j in 0..self.size[1] {
                if let Some(x) = self.at(1, at[1], j, plane[1]) {
                    f(i * self.size[1] + j, y * plane[1] + x);
                }
            }
        }
    }
}

fn four<'a>(op: &'static str, x: &'a TensorType) -> Result<&'a [usize; 4], Error> {
    let shape = x.shape.as_slice();
    shape.try_into().map_err(|_| Error::shape(op, format!("x must be [b, c, h, w], it is {x}")))
}

pub(super) fn conv_type(
    operands: &[&TensorType],
    window: &Window,
    groups: usize,
) -> Result<TensorType, Error> {
    for (name, operand) in ["x", "the weight", "the bias"].iter().zip(operands) {
        expect_kind("conv", name, operand, Kind::Float)?;
    }
    let &[batch, channels, height, width] = four("conv", operands[0])?;
    let weight = operands[1];
    let &[out, inner, ..] = four("conv", weight)?;
    let divides = |n: usize| groups != 0 && n.is_multiple_of(groups);
    if !divides(channels) || !divides(out) || weight.shape[2..] != window.size {
        let detail =
            format!("{groups} groups and {window:?} do not fit x {} and {weight}", operands[0]);
        return Err(Error::shape("conv", detail));
    }
    if inner != channels / groups {
        let detail = format!(
            "the weight {weight} takes {inner} channels of a group, x {} has {}",
            operands[0],
            channels / groups
        );
        return Err(Error::shape("conv", detail));
    }
    if let Some(bias) = operands.get(2).filter(|bias| bias.shape != [out]) {
        return Err(Error::shape("conv", format!("the bias must be [{out}], it is {bias}")));
    }
    let [rows, columns] = window.positions("conv", [height, width])?;
    Ok(TensorType::float([batch, out, rows, columns]))
}

pub(super) fn max_pool_type(
    operands: &[&TensorType],
    window: &Window,
) -> Result<TensorType, Error> {
    expect_kind("max_pool", "x", operands[0], Kind::Float)?;
    let &[batch, channels, height, width] = four("max_pool", operands[0])?;
    for axis in 0..2 {
        // So that no window lies in the padding alone, where there is no maximum.
        if window.padding[axis].iter().any(|&padding| padding >= window.size[axis]) {
            let detail = format!("{window:?} has a padding that is not smaller than its size");
            return Err(Error::shape("max_pool", detail));
        }
    }
    let [rows, columns] = window.positions("max_pool", [height, width])?;
    let shape = [batch, channels, rows, columns];
    // A dilated window may step over the last element with all that it has.
    let ends = [(0, rows, height), (1, columns, width)];
    let seen = ends.iter().all(|&(axis, positions, size)| {
        (0..positions)
            .all(|p| (0..window.size[axis]).any(|k| window.at(axis, p, k, size).is_some()))
    });
    if !seen {
        return Err(Error::shape(
            "max_pool",
            format!("{window:?} sees nothing of {}", operands[0]),
        ));
    }
    Ok(TensorType::float(shape))
}

pub(super) fn conv_operations(
    operands: &[&TensorType],
    output: &TensorType,
    bias: bool,
    activation: Activation,
) -> u64 {
    let products: usize = operands[1].shape[1..].iter().product();
    output.len() as u64 * (2 * products as u64 + u64::from(bias) + activation.operations())
}

pub(super) fn max_pool_operations(output: &TensorType, window: &Window) -> u64 {
    (output.len() * window.size[0] * window.size[1]) as u64
}

/// Calls `f` for every element of the result, in parallel over planes: image, channel, position.
fn planes(shape: Vec<usize>, f: impl Fn(usize, usize, [usize; 2]) -> f64 + Sync) -> Array {
    let (channels, rows, columns) = (shape[1], shape[2], shape[3]);
    let mut data = vec![0.0; shape.iter().product()];
    data.par_chunks_mut(rows * columns).enumerate().for_each(|(plane, out)| {
        let (image, channel) = (plane / channels, plane % channels);
        for (index, out) in out.iter_mut().enumerate() {
            *out = f(image, channel, [index / columns, index % columns]);
        }
    });
    Array::new(shape, data)
}

/// The sums before the activation.
fn sums(op: &Op, operands: &[&Array], shape: Vec<usize>) -> Array {
    let Op::Conv { window, groups, .. } = op else { unreachable!() };
    let (x, weight) = (operands[0], operands[1]);
    let (channels, plane) = (x.shape[1], [x.shape[2], x.shape[3]]);
    let (inner, taps) = (weight.shape[1], window.size[0] * window.size[1]);
    let per_group = shape[1] / groups;
    planes(shape, |image, out, at| {
        let first = image * channels + out / per_group * inner;
        let mut sum = operands.get(2).map_or(0.0, |bias| bias.data[out]);
        for c in 0..inner {
            let from = &x.data[(first + c) * plane[0] * plane[1]..][..plane[0] * plane[1]];
            let taps = &weight.data[(out * inner + c) * taps..][..taps];
            window.visit(at, plane, |tap, offset| sum += taps[tap] * from[offset]);
        }
        sum
    })
}

pub(super) fn conv(op: &Op, operands: &[&Array], shape: Vec<usize>) -> Array {
    let Op::Conv { activation, .. } = op else { unreachable!() };
    sums(op, operands, shape).map(|v| activation.apply(v))
}

pub(super) fn max_pool(operands: &[&Array], window: &Window, shape: Vec<usize>) -> Array {
    let x = operands[0];
    let (channels, plane) = (x.shape[1], [x.shape[2], x.shape[3]]);
    planes(shape, |image, channel, at| {
        let from = &x.data[(image * channels + channel) * plane[0] * plane[1]..];
        let mut max = f64::NEG_INFINITY;
        window.visit(at, plane, |_, offset| max = max.max(from[offset]));
        max
    })
}

pub(super) fn conv_error(op: &Op, operands: &[&Array], output: &Array, u: f64) -> Vec<f64> {
    let Op::Conv { activation, .. } = op else { unreachable!() };
    let magnitudes: Vec<_> = operands.iter().map(|operand| operand.map(f64::abs)).collect();
    let products: usize = operands[1].shape[1..].iter().product();
    let magnitude = sums(op, &magnitudes.iter().collect::<Vec<_>>(), output.shape.clone());
    let slope = activation_lipschitz(*activation);
    let bound = |(magnitude, value): (&f64, &f64)| {
        slope * sum_error(products + 1, *magnitude, u) + activation.rounding(*value, *magnitude, u)
    };
    magnitude.data.iter().zip(&output.data).map(bound).collect()
}
