//! Tensors in host memory: their kinds, precisions and shapes. How devices store them is the devices' affair.

use half::f16;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the values of a graph are, independent of the precision they are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Real numbers, in the precision of the run.
    Float,
    /// Integers that select or mask: token ids, token types, attention masks. 32 bits, signed.
    Index,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Index => "index",
        })
    }
}

/// The format in which a device stores and multiplies the float values of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE binary32.
    F32,
    /// IEEE binary16 storage; sums may be kept in binary32.
    F16,
    /// Weights that multiply activations or are looked up are rounded to bf16, the upper half of a binary32; values,
    /// products and sums are binary32.
    Bf16,
    /// Weights of dense layers and tables are 8-bit integers with a factor for each row, the activations that they
    /// multiply are quantised for each row when they are there, and their sums are integers; all else is binary32.
    Int8,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Int8];

    /// Bytes of one float value that is computed.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::Bf16 | Self::Int8 => 4,
            Self::F16 => 2,
        }
    }

    /// Bytes of one element of a weight that is kept in this precision, without the factors of its rows.
    pub const fn weight_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int8 => 1,
        }
    }

    /// The unit roundoff *u* of computed values: half the distance from 1 to the next number. What rounding the
    /// weights costs beside that is no matter of *u*.
    pub const fn unit_roundoff(self) -> f64 {
        match self {
            Self::F32 | Self::Bf16 | Self::Int8 => 5.960_464_477_539_063e-8,
            Self::F16 => 4.882_812_5e-4,
        }
    }

    /// `f32`, `f16`, `bf16` or `int8`, as it stands in a case id.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|precision| precision.name() == text);
        found.ok_or_else(|| {
            format!("`{text}` is not a precision; there are f32, f16, bf16 and int8")
        })
    }
}

/// Shape and kind of a value of a graph. Row-major; a scalar has the empty shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorType {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// What the elements are.
    pub kind: Kind,
}

impl TensorType {
    /// Float values of this shape.
    pub fn float(shape: impl Into<Vec<usize>>) -> Self {
        Self { shape: shape.into(), kind: Kind::Float }
    }

    /// Index values of this shape.
    pub fn index(shape: impl Into<Vec<usize>>) -> Self {
        Self { shape: shape.into(), kind: Kind::Index }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements. A validated graph has no such value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in a precision; index values take four.
    pub fn bytes(&self, precision: Precision) -> u64 {
        let element = match self.kind {
            Kind::Float => precision.bytes(),
            Kind::Index => 4,
        };
        (self.len() * element) as u64
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.kind, self.shape)
    }
}

/// The elements of a [`Tensor`], row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Data {
    /// binary32.
    F32(Vec<f32>),
    /// binary16.
    F16(Vec<f16>),
    /// 32-bit indices.
    I32(Vec<i32>),
}

/// A tensor in host memory: what goes into a program and comes out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

impl Tensor {
    /// Float values. Panics if the shape does not hold `data.len()` elements.
    #[track_caller]
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Self::new(shape.into(), data.len(), Data::F32(data))
    }

    /// Half-precision values. Panics if the shape does not hold `data.len()` elements.
    #[track_caller]
    pub fn f16(shape: impl Into<Vec<usize>>, data: Vec<f16>) -> Self {
        Self::new(shape.into(), data.len(), Data::F16(data))
    }

    /// Index values. Panics if the shape does not hold `data.len()` elements.
    #[track_caller]
    pub fn i32(shape: impl Into<Vec<usize>>, data: Vec<i32>) -> Self {
        Self::new(shape.into(), data.len(), Data::I32(data))
    }

    #[track_caller]
    fn new(shape: Vec<usize>, len: usize, data: Data) -> Self {
        assert_eq!(shape.iter().product::<usize>(), len, "shape {shape:?} for {len} elements");
        Self { shape, data }
    }

    /// Zeros of a type; floats as binary32.
    pub fn zeros(of: &TensorType) -> Self {
        match of.kind {
            Kind::Float => Self::f32(of.shape.clone(), vec![0.0; of.len()]),
            Kind::Index => Self::i32(of.shape.clone(), vec![0; of.len()]),
        }
    }

    /// Sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements, to be overwritten in place.
    pub fn data_mut(&mut self) -> &mut Data {
        &mut self.data
    }

    /// What the elements are.
    pub fn kind(&self) -> Kind {
        match self.data {
            Data::F32(_) | Data::F16(_) => Kind::Float,
            Data::I32(_) => Kind::Index,
        }
    }

    /// Shape and kind.
    pub fn tensor_type(&self) -> TensorType {
        TensorType { shape: self.shape.clone(), kind: self.kind() }
    }

    /// The elements as f64; exact for every element format.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::F32(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Data::F16(values) => values.iter().map(|&v| v.to_f64()).collect(),
            Data::I32(values) => values.iter().map(|&v| f64::from(v)).collect(),
        }
    }

    /// The elements as f32; indices become floats.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(values) => values.clone(),
            Data::F16(values) => values.iter().map(|v| v.to_f32()).collect(),
            #[expect(clippy::cast_precision_loss, reason = "masks and ids are small")]
            Data::I32(values) => values.iter().map(|&v| v as f32).collect(),
        }
    }

    /// The elements as f32, without a copy if that is what they are.
    pub fn into_f32(self) -> Vec<f32> {
        match self.data {
            Data::F32(values) => values,
            Data::F16(_) | Data::I32(_) => self.to_f32(),
        }
    }

    /// The elements, if they are indices.
    pub fn indices(&self) -> Option<&[i32]> {
        match &self.data {
            Data::I32(values) => Some(values),
            Data::F32(_) | Data::F16(_) => None,
        }
    }
}
