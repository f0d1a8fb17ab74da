//! A tensor in f64: what the reference computes with. Indices are held exactly, as f64 as well.

use crate::Tensor;

/// Row-major values in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<f64>,
}

impl Array {
    /// An array. Panics if the shape does not hold `data.len()` elements.
    #[track_caller]
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f64>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), data.len(), "elements of {shape:?}");
        Self { shape, data }
    }

    /// The size of the last axis; 1 for a scalar.
    pub(crate) fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The largest magnitude; 0 when empty.
    pub fn max_abs(&self) -> f64 {
        self.data.iter().fold(0.0, |max, v| v.abs().max(max))
    }

    /// The same shape with every element mapped.
    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&v| f(v)).collect() }
    }
}

impl From<&Tensor> for Array {
    fn from(tensor: &Tensor) -> Self {
        Self { shape: tensor.shape().to_vec(), data: tensor.to_f64() }
    }
}
