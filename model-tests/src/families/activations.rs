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
    /// `x·min(max(x + 3, 0), 6)/6` (Howard et al. 2019).
    HardSwish,
    /// `x·tanh(ln(1 + eˣ))` (Misra 2019).
    Mish,
}

/// `x·σ(x)`, which many classes have where nothing else is said.
pub(super) const SILU: Function = Function::of(Activation::Silu);

/// Activations by the names of transformers' `ACT2FN`. Its several spellings of the tanh approximation differ by
/// less than a rounding; its clip of `gelu_10` at -10 is below anything that GELU gives.
pub(super) const ACTIVATIONS: [(&str, Function); 20] = [
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
    ("hardswish", Function::new(Activation::Identity, Tail::HardSwish)),
    ("mish", Function::new(Activation::Identity, Tail::Mish)),
    ("gelu_10", Function::new(Activation::Gelu, Tail::AtMost(10.0))),
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
            Some(Tail::HardSwish) => hard_swish(builder, x)?,
            Some(Tail::Mish) => mish(builder, x)?,
        };
        Ok(done)
    }
}

fn hard_swish(builder: &mut Builder, x: Value) -> Result<Value, Error> {
    let [three, six] = [3.0, 6.0].map(|number| builder.scalar(number));
    let gate = builder.add(x, three)?;
    let gate = builder.unary(UnaryOp::Activate(Activation::Relu), gate)?;
    let gate = builder.binary(BinaryOp::Min, gate, six)?;
    let gate = builder.binary(BinaryOp::Div, gate, six)?;
    Ok(builder.binary(BinaryOp::Mul, x, gate)?)
}

/// With `n = e^min(x, 0)` and `m = e^-max(x, 0)`, one of which is 1, the hyperbolic tangent of `ln(1 + eˣ)` is
/// `n(n + 2m)/(n(n + 2m) + 2m²)`: nothing in it is above 5, and no difference of near numbers is taken.
fn mish(builder: &mut Builder, x: Value) -> Result<Value, Error> {
    let [zero, two] = [0.0, 2.0].map(|number| builder.scalar(number));
    let n = builder.binary(BinaryOp::Min, x, zero)?;
    let n = builder.unary(UnaryOp::Exp, n)?;
    let m = builder.unary(UnaryOp::Activate(Activation::Relu), x)?;
    let m = builder.unary(UnaryOp::Neg, m)?;
    let m = builder.unary(UnaryOp::Exp, m)?;
    let twice = builder.binary(BinaryOp::Mul, m, two)?;
    let over = builder.add(n, twice)?;
    let over = builder.binary(BinaryOp::Mul, n, over)?;
    let under = builder.binary(BinaryOp::Mul, m, twice)?;
    let under = builder.add(over, under)?;
    let gate = builder.binary(BinaryOp::Div, over, under)?;
    Ok(builder.binary(BinaryOp::Mul, x, gate)?)
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
        let expected: [(&str, [f64; 4]); 7] = [
            ("hardswish", [0.0, 0.0, 1.666_666_666_666_666_7, 40.0]),
            ("mish", [-0.145_647_461_275_624_6, 0.0, 1.943_958_959_533_994_6, 40.0]),
            ("sigmoid", [0.047_425_873_177_566_78, 0.5, 0.880_797_077_977_882_3, 1.0]),
            ("relu6", [0.0, 0.0, 2.0, 6.0]),
            ("relu2", [0.0, 0.0, 4.0, 1600.0]),
            ("leaky_relu", [-0.03, 0.0, 2.0, 40.0]),
            ("gelu_10", [-0.004_049_694_094_890_287, 0.0, 1.954_499_736_103_641_6, 10.0]),
        ];
        for (name, expected) in expected {
            let found = activated(name, &[-3.0, 0.0, 2.0, 40.0]);
            let differences = expected.iter().zip(&found).map(|(e, f)| (e - f).abs());
            // The slope of `leaky_relu` is an f32.
            assert!(differences.fold(0.0, f64::max) < 1e-8, "{name}: {found:?}");
        }
    }
}
