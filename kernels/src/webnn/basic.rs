//! Functions of elements and of broadcast pairs, with what stands in for those that a browser lacks.
//!
//! A stand-in uses only methods that are there (`unary_native`, `binary_native`), never another stand-in of its own
//! kind, so that no two of them wait for each other.

use super::emit::{Emitter, Made, call};
use super::script::{DataType, Operand, Typed};
use crate::ops::{Activation, BinaryOp, UnaryOp};
use crate::{Op, TensorType};
use std::f64::consts::{E, FRAC_1_SQRT_2, PI};

impl Emitter<'_> {
    /// A method that gives one element for each; on a flat view where the browser takes fewer axes.
    pub(super) fn unary_native(&mut self, method: &'static str, x: Operand) -> Made {
        let of = self.type_of(x).clone();
        self.either(
            |e| e.make(call(method).on("input", x), of.clone()),
            |e| {
                let flat = e.reshape(x, &[of.len()])?;
                let made = e.make(call(method).on("input", flat), of.shaped([of.len()]))?;
                e.reshape(made, &of.shape)
            },
        )
    }

    /// A method of two operands that are broadcast; with neighbouring axes merged where the browser takes fewer, or
    /// with both operands repeated.
    pub(super) fn binary_native(&mut self, method: &'static str, a: Operand, b: Operand) -> Made {
        self.compared(method, (a, b), self.data_type(a))
    }

    /// Like `binary_native`, with a result of another format.
    fn compared(
        &mut self,
        method: &'static str,
        (a, b): (Operand, Operand),
        data_type: DataType,
    ) -> Made {
        let shapes = [self.shape(a), self.shape(b)];
        let of = Typed { data_type, shape: broadcast(&shapes[0], &shapes[1]) };
        self.either(
            |e| e.make(call(method).on("a", a).on("b", b), of.clone()),
            |e| {
                let merged = merged(&shapes[0], &shapes[1]);
                let flat = of.shaped(broadcast(&merged[0], &merged[1]));
                let made = e.either(
                    |e| {
                        let (a, b) = (e.reshape(a, &merged[0])?, e.reshape(b, &merged[1])?);
                        e.make(call(method).on("a", a).on("b", b), flat)
                    },
                    |e| {
                        let (a, b) = (e.expand(a, &of.shape)?, e.expand(b, &of.shape)?);
                        let flat = of.shaped([of.len()]);
                        let (a, b) = (e.reshape(a, &flat.shape)?, e.reshape(b, &flat.shape)?);
                        e.make(call(method).on("a", a).on("b", b), flat)
                    },
                )?;
                e.reshape(made, &of.shape)
            },
        )
    }

    /// A broadcast pair.
    pub(super) fn binary(&mut self, op: BinaryOp, a: Operand, b: Operand) -> Made {
        let name = op.name();
        match op {
            BinaryOp::Add => self.either(
                |e| e.binary_native(name, a, b),
                |e| {
                    let b = e.negated(b)?;
                    e.binary_native("sub", a, b)
                },
            ),
            BinaryOp::Sub => self.either(
                |e| e.binary_native(name, a, b),
                |e| {
                    let b = e.negated(b)?;
                    e.binary_native("add", a, b)
                },
            ),
            BinaryOp::Mul => self.binary_native(name, a, b),
            BinaryOp::Div => self.either(
                |e| e.binary_native(name, a, b),
                |e| {
                    let b = e.unary_native("reciprocal", b)?;
                    e.binary_native("mul", a, b)
                },
            ),
            BinaryOp::Max => self.extreme(["max", "min"], a, b),
            BinaryOp::Min => self.extreme(["min", "max"], a, b),
        }
    }

    /// `max(a, b)` is `-min(-a, -b)`.
    fn extreme(&mut self, [own, other]: [&'static str; 2], a: Operand, b: Operand) -> Made {
        self.either(
            |e| e.binary_native(own, a, b),
            |e| {
                let (a, b) = (e.negated(a)?, e.negated(b)?);
                let made = e.binary_native(other, a, b)?;
                e.negated(made)
            },
        )
    }

    /// `-x`.
    fn negated(&mut self, x: Operand) -> Made {
        self.either(|e| e.unary_native("neg", x), |e| e.scaled(x, -1.0))
    }

    /// `factor · x`.
    pub(super) fn scaled(&mut self, x: Operand, factor: f64) -> Made {
        let factor = self.scalar(factor, self.data_type(x))?;
        self.binary_native("mul", x, factor)
    }

    /// `x + term`.
    pub(super) fn shifted(&mut self, x: Operand, term: f64) -> Made {
        let term = self.scalar(term, self.data_type(x))?;
        self.binary(BinaryOp::Add, x, term)
    }

    /// `number ∘ x` of a native method.
    fn number_first(&mut self, method: &'static str, number: f64, x: Operand) -> Made {
        let number = self.scalar(number, self.data_type(x))?;
        self.binary_native(method, number, x)
    }

    /// A function of each element.
    pub(super) fn unary(&mut self, op: UnaryOp, x: Operand) -> Made {
        match op {
            UnaryOp::Neg => self.negated(x),
            UnaryOp::Abs => self.either(
                |e| e.unary_native("abs", x),
                |e| {
                    let other = e.negated(x)?;
                    e.binary(BinaryOp::Max, x, other)
                },
            ),
            UnaryOp::Sqrt => self.either(
                |e| e.unary_native("sqrt", x),
                |e| {
                    let half = e.scalar(0.5, e.data_type(x))?;
                    e.binary_native("pow", x, half)
                },
            ),
            UnaryOp::Exp => {
                self.either(|e| e.unary_native("exp", x), |e| e.number_first("pow", E, x))
            }
            UnaryOp::Reciprocal => {
                self.either(|e| e.unary_native("reciprocal", x), |e| e.number_first("div", 1.0, x))
            }
            UnaryOp::Sigmoid => self.sigmoid(x),
            UnaryOp::Activate(activation) => self.activated(activation, x),
        }
    }

    /// `1 / (1 + e⁻ˣ)`.
    fn sigmoid(&mut self, x: Operand) -> Made {
        self.either(
            |e| e.unary_native("sigmoid", x),
            |e| {
                let negated = e.negated(x)?;
                let power = e.unary(UnaryOp::Exp, negated)?;
                let sum = e.shifted(power, 1.0)?;
                e.unary(UnaryOp::Reciprocal, sum)
            },
        )
    }

    /// What a layer applies last.
    pub(super) fn activated(&mut self, activation: Activation, x: Operand) -> Made {
        match activation {
            Activation::Identity => Ok(x),
            Activation::Relu => self.either(
                |e| e.unary_native("relu", x),
                |e| {
                    let zero = e.scalar(0.0, e.data_type(x))?;
                    e.binary(BinaryOp::Max, x, zero)
                },
            ),
            Activation::Gelu => self.either(
                |e| e.unary_native("gelu", x),
                |e| {
                    let z = e.scaled(x, FRAC_1_SQRT_2)?;
                    let bell = e.unary_native("erf", z)?;
                    e.gated_half(x, bell)
                },
            ),
            Activation::GeluTanh => {
                let square = self.binary_native("mul", x, x)?;
                let factor = self.scaled(square, 0.044_715)?;
                let factor = self.shifted(factor, 1.0)?;
                let inner = self.binary_native("mul", x, factor)?;
                let inner = self.scaled(inner, (2.0 / PI).sqrt())?;
                let bell = self.tanh(inner)?;
                self.gated_half(x, bell)
            }
            Activation::QuickGelu => {
                let inner = self.scaled(x, 1.702)?;
                let gate = self.sigmoid(inner)?;
                self.binary_native("mul", x, gate)
            }
            Activation::Silu => {
                let gate = self.sigmoid(x)?;
                self.binary_native("mul", x, gate)
            }
            Activation::Tanh => self.tanh(x),
        }
    }

    /// `tanh x = 2·σ(2x) - 1`.
    fn tanh(&mut self, x: Operand) -> Made {
        self.either(
            |e| e.unary_native("tanh", x),
            |e| {
                let double = e.scaled(x, 2.0)?;
                let gate = e.sigmoid(double)?;
                let double = e.scaled(gate, 2.0)?;
                e.shifted(double, -1.0)
            },
        )
    }

    /// `½·x·(1 + bell)`.
    fn gated_half(&mut self, x: Operand, bell: Operand) -> Made {
        let half = self.scaled(x, 0.5)?;
        let gate = self.shifted(bell, 1.0)?;
        self.binary_native("mul", half, gate)
    }

    /// Where an index is not zero, as truth values of the browser.
    pub(super) fn not_zero(&mut self, x: Operand) -> Made {
        let zero = self.scalar(0.0, self.data_type(x))?;
        self.either(
            |e| e.compared("notEqual", (x, zero), DataType::Uint8),
            |e| {
                let hidden = e.compared("equal", (x, zero), DataType::Uint8)?;
                e.unary_native("logicalNot", hidden)
            },
        )
    }

    /// `yes` where the condition holds, `no` elsewhere, broadcast.
    pub(super) fn chosen(&mut self, condition: Operand, [yes, no]: [Operand; 2]) -> Made {
        let both = broadcast(&self.shape(yes), &self.shape(no));
        let of = self.type_of(yes).shaped(broadcast(&self.shape(condition), &both));
        let calling = call("where");
        let calling = calling.on("condition", condition).on("trueValue", yes);
        self.make(calling.on("falseValue", no), of)
    }
}

/// The shape that two shapes have in common under NumPy's rule, which is WebNN's as well. They have one.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let types = [TensorType::float(a), TensorType::float(b)];
    let of = Op::Binary(BinaryOp::Add).output_type(&types.each_ref());
    of.expect("the graph's shapes were checked").shape
}

/// Both shapes with the fewest axes that broadcast alike: neighbours merge where both walk them as one.
fn merged(a: &[usize], b: &[usize]) -> [Vec<usize>; 2] {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
    };
    let mut shapes = [Vec::new(), Vec::new()];
    let mut last = None;
    for axis in 0..rank {
        let sizes = [size(a, axis), size(b, axis)];
        let repeats = sizes.map(|n| n == 1);
        if repeats == [true; 2] {
            continue;
        }
        for (shape, n) in shapes.iter_mut().zip(sizes) {
            match shape.last_mut().filter(|_| last == Some(repeats)) {
                Some(size) => *size *= n,
                None => shape.push(n),
            }
        }
        last = Some(repeats);
    }
    if shapes[0].is_empty() { [vec![1], vec![1]] } else { shapes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_merge_where_both_are_walked_as_one() {
        let check = |a: &[usize], b: &[usize], expected: [&[usize]; 2]| {
            assert_eq!(merged(a, b), expected.map(<[usize]>::to_vec), "{a:?} {b:?}");
        };
        check(&[2, 3, 5], &[2, 3, 5], [&[30], &[30]]);
        check(&[2, 3, 5], &[5], [&[6, 5], &[1, 5]]);
        check(&[2, 3, 1, 5], &[2, 1, 1, 5], [&[2, 3, 5], &[2, 1, 5]]);
        check(&[4, 1, 1, 3], &[1, 2, 5, 3], [&[4, 1, 3], &[1, 10, 3]]);
        check(&[], &[2, 3], [&[1], &[6]]);
        check(&[1, 1], &[1], [&[1], &[1]]);
    }
}
