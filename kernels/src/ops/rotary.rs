//! Rotary position embedding (Su et al. 2021) in the layout of two halves, as LLaMA has it.
//!
//! Error bound: two products and their sum, each rounded once, for operands that are exact.

use super::{Array, expect_kind};
use crate::{Error, Kind, TensorType};

pub(super) fn output_type(operands: &[&TensorType], heads: usize) -> Result<TensorType, Error> {
    let names = ["x", "the cosines", "the sines"];
    for (name, operand) in names.iter().zip(operands) {
        expect_kind("rotary", name, operand, Kind::Float)?;
    }
    let (x, cos, sin) = (operands[0], operands[1], operands[2]);
    let &[batch, sequence, wide] = x.shape.as_slice() else {
        return Err(Error::shape("rotary", format!("x must be [b, s, heads·d], it is {x}")));
    };
    if heads == 0 || !wide.is_multiple_of(2 * heads) {
        return Err(Error::shape(
            "rotary",
            format!("{heads} heads of two halves do not divide {x}"),
        ));
    }
    let half = wide / heads / 2;
    let fits = cos.shape == [batch, sequence, half] || cos.shape == [1, sequence, half];
    if !fits || sin.shape != cos.shape {
        let detail = format!(
            "cosines and sines must be [1 or {batch}, {sequence}, {half}]; they are {cos} and {sin}"
        );
        return Err(Error::shape("rotary", detail));
    }
    Ok(x.clone())
}

/// Three operations for each element of the result.
pub(super) fn operations(output: &TensorType) -> u64 {
    3 * output.len() as u64
}

/// Calls `f` with both elements of a pair and the cosine and sine of its angle; it gives what takes their place.
fn rotate(operands: &[&Array], heads: usize, f: impl Fn([f64; 2], f64, f64) -> [f64; 2]) -> Array {
    let (x, cos, sin) = (operands[0], operands[1], operands[2]);
    let half = cos.last();
    let mut result = x.clone();
    for (head, out) in result.data.chunks_mut(2 * half).enumerate() {
        let row = head / heads * half % cos.data.len();
        for i in 0..half {
            let (c, s) = (cos.data[row + i], sin.data[row + i]);
            [out[i], out[half + i]] = f([out[i], out[half + i]], c, s);
        }
    }
    result
}

pub(super) fn reference(operands: &[&Array], heads: usize) -> Array {
    rotate(operands, heads, |[a, b], cos, sin| [a * cos - b * sin, b * cos + a * sin])
}

pub(super) fn error_bound(operands: &[&Array], heads: usize, u: f64) -> Vec<f64> {
    let bound = |[a, b]: [f64; 2], cos: f64, sin: f64| {
        let (a, b, cos, sin) = (a.abs(), b.abs(), cos.abs(), sin.abs());
        // Of each product one rounding and of their sum another; a fused multiply-add makes one less.
        [4.0 * u * (a * cos + b * sin), 4.0 * u * (b * cos + a * sin)]
    };
    rotate(operands, heads, bound).data
}
