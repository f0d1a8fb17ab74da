//! What the tests of this module share: the goldens of `model-tests/goldens/make_processors.py`.

use super::Inputs;
use crate::catalogue::package_path;
use proofmark_kernels::{Data, Tensor};
use safetensors::{Dtype, SafeTensors};
use std::path::PathBuf;

/// A path among the goldens.
pub(super) fn path(name: &str) -> PathBuf {
    package_path("goldens").join("processors").join(name)
}

/// A safetensors file of them.
pub(super) struct Golden(Vec<u8>);

impl Golden {
    pub(super) fn open(name: &str) -> Self {
        Self(std::fs::read(path(&format!("{name}.safetensors"))).unwrap())
    }

    fn parsed(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.parsed().names().into_iter().map(str::to_owned).collect()
    }

    /// Shape and elements of a tensor of bytes.
    pub(super) fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let parsed = self.parsed();
        let view = parsed.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::U8, "{name}");
        (view.shape().to_vec(), view.data().to_vec())
    }

    /// Shape and elements of a tensor of numbers.
    pub(super) fn floats(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let parsed = self.parsed();
        let view = parsed.tensor(name).unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "goldens hold small numbers, and features that are compared in f32"
        )]
        let values = match view.dtype() {
            Dtype::F32 => elements(view.data(), f32::from_le_bytes),
            Dtype::F64 => elements(view.data(), |b| f64::from_le_bytes(b) as f32),
            Dtype::I32 => elements(view.data(), |b| i32::from_le_bytes(b) as f32),
            other => panic!("{name} is {other:?}"),
        };
        (view.shape().to_vec(), values)
    }
}

fn elements<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
}

/// Every n-th of each dimension, as the golden keeps them.
fn kept(tensor: &Tensor, steps: &[usize]) -> (Vec<usize>, Vec<f32>) {
    let (shape, values) = (tensor.shape(), tensor.to_f32());
    let step = |axis: usize| steps.get(axis).copied().unwrap_or(1);
    let keeps = |mut flat: usize| {
        (0..shape.len()).rev().all(|axis| {
            let at = flat % shape[axis];
            flat /= shape[axis];
            at.is_multiple_of(step(axis))
        })
    };
    let values = values.iter().enumerate().filter(|(i, _)| keeps(*i)).map(|(_, v)| *v).collect();
    let shape = shape.iter().enumerate().map(|(axis, edge)| edge.div_ceil(step(axis)));
    (shape.collect(), values)
}

/// The largest difference of each tensor from those of the golden with this prefix; panics where names or shapes
/// differ, and where integers do.
#[track_caller]
pub(super) fn errors(
    inputs: &Inputs,
    golden: &Golden,
    prefix: &str,
    steps: impl Fn(&str) -> Vec<usize>,
) -> Vec<(String, f32)> {
    let expected: Vec<_> = golden.names();
    let mut expected: Vec<_> = expected.iter().filter_map(|n| n.strip_prefix(prefix)).collect();
    expected.sort_unstable();
    assert_eq!(inputs.tensors.keys().collect::<Vec<_>>(), expected);
    let compare = |(name, tensor): (&String, &Tensor)| {
        let (shape, expected) = golden.floats(&format!("{prefix}{name}"));
        let (found_shape, found) = kept(tensor, &steps(name));
        assert_eq!(found_shape, shape, "{name}");
        let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(!matches!(tensor.data(), Data::I32(_)) || error == 0.0, "{name}: {error}");
        assert!(found.iter().all(|v| v.is_finite()), "{name}");
        (name.clone(), error)
    };
    inputs.tensors.iter().map(compare).collect()
}
