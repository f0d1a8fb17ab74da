//! Activation functions by name: what a product does by itself, and what is composed behind it.

use crate::error::Error;
use proofmark_kernels::{Activation, BinaryOp, Builder, UnaryOp, Value};

/// An activation function as ops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Function {
    fused: Activation,
    tail: Option<Tail>,
}

/// Ops behind an activation, for functions that no product does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tail {
    /// `1/(1 + e⁻ˣ)`.
    Sigmoid,
    /// `min(x, limit)`.
    AtMost(f32),
    /// `x²`.
    Square,
    /// `max(x, slope·x)`.
    Leak(f32),
    /// `x·tanh(ln(1 + eˣ))` (Misra 2019).
    Mish,
    /// `x·min(max(x + 3, 0), 6)/6` (Howard et al. 2019).
    HardSwish,
    /// `Φ((x - 0.707107)/0.282095)` (Ma et al. 2022).
    Laplace,
}

/// `x·σ(x)`, which many classes have where nothing else is said.
pub(super) const SILU: Function = Function::of(Activation::Silu);

/// Activations by the names of transformers' `ACT2FN`. Its several spellings of the tanh approximation differ by
/// less than a rounding; its clip of `gelu_10` at -10 is below anything that GELU gives.
pub(super) const ACTIVATIONS: [(&str, Function); 21] = [
    ("gelu", Function::of(Activation::Gelu)),
    ("gelu_python", Function::of(Activation::Gelu)),
    ("gelu_new", Function::of(Activation::GeluTanh)),
    ("gelu_fast", Function::of(Activation::GeluTanh)),
    ("gelu_accurate", Function::of(Activation::GeluTanh)),
    ("gelu_pytorch_tanh", Function::of(Activation::GeluTanh)),
    ("gelu_python_tanh", Function::of(Activation::GeluTanh)),
    ("quick_gelu", Function::of(Activation::QuickGelu)),
    ("relu", Function::of(Activation::Relu)),
    ("silu", Function::of(Activation::Silu)),
    ("swish", Function::of(Activation::Silu)),
    ("tanh", Function::of(Activation::Tanh)),
    ("linear", Function::of(Activation::Identity)),
    ("sigmoid", Function::new(Activation::Identity, Tail::Sigmoid)),
    ("relu6", Function::new(Activation::Relu, Tail::AtMost(6.0))),
    ("relu2", Function::new(Activation::Relu, Tail::Square)),
    ("leaky_relu", Function::new(Activation::Identity, Tail::Leak(0.01))),
    ("gelu_10", Function::new(Activation::Gelu, Tail::AtMost(10.0))),
    ("mish", Function::new(Activation::Identity, Tail::Mish)),
    ("hardswish", Function::new(Activation::Identity, Tail::HardSwish)),
    ("laplace", Function::new(Activation::Identity, Tail::Laplace)),
];

impl From<Activation> for Function {
    fn from(activation: Activation) -> Self {
        Self::of(activation)
    }
}

impl Function {
    const fn of(fused: Activation) -> Self {
        Self { fused, tail: None }
    }

    const fn new(fused: Activation, tail: Tail) -> Self {
        Self { fused, tail: Some(tail) }
    }

    /// The function of `x · weightᵀ + bias`.
    pub(super) fn linear(
        self,
        builder: &mut Builder,
        x: Value,
        weight: Value,
        bias: Option<Value>,
    ) -> Result<Value, Error> {
        let x = builder.linear(x, weight, bias, self.fused)?;
        self.finish(builder, x)
    }

    /// The function of `x`, where no product comes before it.
    pub(super) fn apply(self, builder: &mut Builder, x: Value) -> Result<Value, Error> {
        let x = match self.fused {
            Activation::Identity => x,
            fused => builder.unary(UnaryOp::Activate(fused), x)?,
        };
        self.finish(builder, x)
    }

    /// The part that a product or a convolution applies by itself.
    pub(super) const fn fused(self) -> Activation {
        self.fused
    }

    /// The function of `x`, to which the fused part is applied already.
    pub(super) fn finish(self, builder: &mut Builder, x: Value) -> Result<Value, Error> {
        let done = match self.tail {
            None => x,
            Some(Tail::Sigmoid) => builder.unary(UnaryOp::Sigmoid, x)?,
            Some(Tail::Square) => builder.binary(BinaryOp::Mul, x, x)?,
            Some(Tail::AtMost(limit)) => {
                let limit = builder.scalar(limit);
                builder.binary(BinaryOp::Min, x, limit)?
            }
            Some(Tail::Leak(slope)) => {
                let slope = builder.scalar(slope);
                let leak = builder.binary(BinaryOp::Mul, x, slope)?;
                builder.binary(BinaryOp::Max, x, leak)?
            }
            Some(Tail::Mish) => mish(builder, x)?,
            Some(Tail::HardSwish) => hard_swish(builder, x)?,
            Some(Tail::Laplace) => laplace(builder, x)?,
        };
        Ok(done)
    }
}

/// With `q = 1/(1 + eˣ)` it is `x·(1 - q²)/(1 + q²)`, and `1 - q` is `σ(x)`: nothing overflows or cancels.
fn mish(builder: &mut Builder, x: Value) -> Result<Value, Error> {
    let one = builder.scalar(1.0);
    let silu = builder.unary(UnaryOp::Activate(Activation::Silu), x)?;
    let negative = builder.unary(UnaryOp::Neg, x)?;
    let q = builder.unary(UnaryOp::Sigmoid, negative)?;
    let above = builder.add(q, one)?;
    let above = builder.binary(BinaryOp::Mul, silu, above)?;
    let square = builder.binary(BinaryOp::Mul, q, q)?;
    let below = builder.add(square, one)?;
    Ok(builder.binary(BinaryOp::Div, above, below)?)
}

fn hard_swish(builder: &mut Builder, x: Value) -> Result<Value, Error> {
    let (three, six) = (builder.scalar(3.0), builder.scalar(6.0));
    let moved = builder.add(x, three)?;
    let cut = builder.unary(UnaryOp::Activate(Activation::Relu), moved)?;
    let cut = builder.binary(BinaryOp::Min, cut, six)?;
    let gate = builder.binary(BinaryOp::Div, cut, six)?;
    Ok(builder.binary(BinaryOp::Mul, x, gate)?)
}

/// `Φ(a)` for `a > 0` is GELU over its argument, and `Φ(z) - ½` is odd. So near 0 that no quotient is of zeros, it is
/// a straight line to within 1e-10.
#[expect(clippy::approx_constant, reason = "the class rounds 1/√2 to six digits")]
fn laplace(builder: &mut Builder, x: Value) -> Result<Value, Error> {
    let [mean, deviation] = [0.707_107, 0.282_095].map(|value| builder.scalar(value));
    let (half, least) = (builder.scalar(0.5), builder.scalar(1e-3));
    let moved = builder.binary(BinaryOp::Sub, x, mean)?;
    let z = builder.binary(BinaryOp::Div, moved, deviation)?;
    let size = builder.unary(UnaryOp::Abs, z)?;
    let size = builder.binary(BinaryOp::Max, size, least)?;
    let gelu = builder.unary(UnaryOp::Activate(Activation::Gelu), size)?;
    let phi = builder.binary(BinaryOp::Div, gelu, size)?;
    let above = builder.binary(BinaryOp::Sub, phi, half)?;
    let sign = builder.binary(BinaryOp::Div, z, size)?;
    let signed = builder.binary(BinaryOp::Mul, above, sign)?;
    Ok(builder.add(signed, half)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofmark_kernels::{Binding, Kind, Tensor, Weights, evaluate};

    /// An activation of some numbers, behind a product that changes nothing.
    fn activated(name: &str, x: &[f32]) -> Vec<f64> {
        let (_, function) = *ACTIVATIONS.iter().find(|(known, _)| *known == name).unwrap();
        let weights = Weights::given([
            ("weight".into(), Tensor::f32([1, 1], vec![1.0])),
            ("bias".into(), Tensor::f32([1], vec![0.0])),
        ]);
        let mut builder = Builder::new(Binding::default());
        let input = builder.input("x", Kind::Float, &[x.len().into(), 1.into()]).unwrap();
        let weight = builder.weight("weight", &[1, 1]).unwrap();
        let bias = builder.weight("bias", &[1]).unwrap();
        let output = function.linear(&mut builder, input, weight, Some(bias)).unwrap();
        builder.output("y", output).unwrap();
        let graph = builder.finish().unwrap();
        let inputs = [Tensor::f32([x.len(), 1], x.to_vec())];
        evaluate(&graph, &weights, &inputs).unwrap().remove(0).data
    }

    #[test]
    fn activations_that_are_composed_have_their_values() {
        let expected: [(&str, [f64; 4]); 8] = [
            ("sigmoid", [0.047_425_873_177_566_78, 0.5, 0.880_797_077_977_882_3, 1.0]),
            ("relu6", [0.0, 0.0, 2.0, 6.0]),
            ("relu2", [0.0, 0.0, 4.0, 1600.0]),
            ("leaky_relu", [-0.03, 0.0, 2.0, 40.0]),
            ("gelu_10", [-0.004_049_694_094_890_287, 0.0, 1.954_499_736_103_641_6, 10.0]),
            ("mish", [-0.145_647_461_275_625, 0.0, 1.943_958_959_533_995, 40.0]),
            ("hardswish", [-0.0, 0.0, 1.666_666_666_666_667, 40.0]),
            ("laplace", [0.0, 0.006_094_459_617_936, 0.999_997_710_245_065, 1.0]),
        ];
        for (name, expected) in expected {
            let found = activated(name, &[-3.0, 0.0, 2.0, 40.0]);
            let differences = expected.iter().zip(&found).map(|(e, f)| (e - f).abs());
            // The constants are f32.
            assert!(differences.fold(0.0, f64::max) < 1e-7, "{name}: {found:?}");
        }
    }
}
