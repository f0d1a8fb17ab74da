//! The arguments of a forward function: their sizes, what their values are, and what is filled in where one is not
//! given. Where values come from (a golden, a text, a picture, the suite itself) is not here.

use super::PAST;
use crate::error::Error;
use proofmark_kernels::{Binding, Kind, Size, Tensor, TensorType};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Tensors by the names of arguments.
pub type Given = BTreeMap<String, Tensor>;

/// One argument of a forward function.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Its name, as the model class has it.
    pub name: Cow<'static, str>,
    /// Its sizes; symbols are bound by what is given.
    pub sizes: Vec<Size>,
    /// Sizes on another number of axes that it may have instead, with symbols of their own; empty if there are none.
    pub other: Vec<Size>,
    /// What its values are.
    pub values: Values,
    /// Whether the model runs without it although nothing is filled in.
    pub optional: bool,
}

/// What the values of an argument are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Whole numbers in `0..below`; filled with `default` when the argument is not given, if it has one.
    Ids {
        /// One more than the largest.
        below: usize,
        /// What the model class fills in.
        default: Option<i32>,
    },
    /// Positions in `0..below`: when not given they count along the last axis, from `first` or, behind a cache, from
    /// as many more as it holds, unless the argument is optional. Axes of size 1 are repeated, and leading ones may be
    /// missing.
    Positions {
        /// One more than the largest.
        below: usize,
        /// Where counting begins.
        first: usize,
    },
    /// 1 where a position is seen and 0 where it is hidden; all seen when the argument is not given.
    Mask,
    /// Finite real numbers.
    Real,
}

impl Values {
    /// What the elements of a tensor of such values are.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Real => Kind::Float,
            Self::Ids { .. } | Self::Positions { .. } | Self::Mask => Kind::Index,
        }
    }

    /// An index as the model class takes it: every number but 0 shows a position, an id is a row of its table.
    fn index(self, v: f64) -> Result<i32, String> {
        match self {
            Self::Mask if v.is_nan() => Err("is not a number".into()),
            Self::Mask => Ok(i32::from(v != 0.0)),
            Self::Ids { below, .. } | Self::Positions { below, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "tables have fewer than 2^53 rows")]
                if v.fract() != 0.0 || v < 0.0 || v >= below as f64 {
                    return Err(format!("is {v}: whole numbers in 0..{below} are possible"));
                }
                #[expect(clippy::cast_possible_truncation, reason = "checked above")]
                Ok(v as i32)
            }
            Self::Real => unreachable!("real numbers are no indices"),
        }
    }

    /// Numbers as a tensor of this shape; the message names the first element that is not possible.
    pub fn tensor(self, shape: &[usize], values: &[f64]) -> Result<Tensor, String> {
        let element = |i: usize, detail: String| format!("element {i} {detail}");
        if self == Self::Real {
            #[expect(clippy::cast_possible_truncation, reason = "devices take inputs as f32")]
            let floats: Vec<_> = values.iter().map(|&v| v as f32).collect();
            return match floats.iter().position(|v| !v.is_finite()) {
                Some(i) => Err(element(i, format!("is {}: a finite f32 is needed", values[i]))),
                None => Ok(Tensor::f32(shape, floats)),
            };
        }
        let indices = values.iter().enumerate();
        let indices = indices.map(|(i, &v)| self.index(v).map_err(|detail| element(i, detail)));
        Ok(Tensor::i32(shape, indices.collect::<Result<_, _>>()?))
    }

    /// What is filled in for an argument of this type that is not given.
    fn default(self, of: &TensorType, binding: &Binding) -> Option<Tensor> {
        let filled = |value| Tensor::i32(of.shape.clone(), vec![value; of.len()]);
        match self {
            Self::Ids { default, .. } => default.map(filled),
            Self::Mask => Some(filled(1)),
            Self::Positions { first, .. } => {
                let width = of.shape.last().copied().unwrap_or(1);
                let first = first + binding.get(&PAST).unwrap_or(0);
                let count = (0..of.len()).map(|i| i32::try_from(first + i % width));
                Some(Tensor::i32(of.shape.clone(), count.collect::<Result<_, _>>().ok()?))
            }
            Self::Real => None,
        }
    }
}

impl Argument {
    /// An argument that must be given unless its values have a default.
    pub fn new(name: impl Into<Cow<'static, str>>, sizes: Vec<Size>, values: Values) -> Self {
        Self { name: name.into(), sizes, other: Vec::new(), values, optional: false }
    }

    /// An argument without which another graph is built.
    pub fn optional(name: impl Into<Cow<'static, str>>, sizes: Vec<Size>, values: Values) -> Self {
        Self { optional: true, ..Self::new(name, sizes, values) }
    }

    /// The same argument, which may have these sizes instead.
    #[must_use]
    pub fn or(self, other: Vec<Size>) -> Self {
        Self { other, ..self }
    }

    /// Its type for one binding; an error if a symbol of it is not bound.
    pub fn tensor_type(&self, binding: &Binding) -> Result<TensorType, Error> {
        let size = |size: &Size| match size {
            Size::Symbol(symbol) => binding.get(symbol),
            Size::Fixed(n) => Ok(*n),
        };
        let shape = |sizes: &[Size]| sizes.iter().map(size).collect::<Result<Vec<_>, _>>();
        let shape = match shape(&self.sizes) {
            Err(error) if self.other.is_empty() => Err(error),
            Err(error) => shape(&self.other).map_err(|_| error),
            own => own,
        }?;
        Ok(TensorType { shape, kind: self.values.kind() })
    }

    /// What is filled in when it is not given. Positions without which the model runs are derived from other values.
    fn default(&self, of: &TensorType, binding: &Binding) -> Option<Tensor> {
        let derived = self.optional && matches!(self.values, Values::Positions { .. });
        if derived { None } else { self.values.default(of, binding) }
    }

    fn fail(&self, detail: impl Into<String>) -> Error {
        Error::Input { name: self.name.clone().into_owned(), detail: detail.into() }
    }

    /// Binds the symbols of its sizes to a shape that is given.
    fn bind(&self, binding: &mut Binding, shape: &[usize]) -> Result<(), Error> {
        let repeats = matches!(self.values, Values::Positions { .. });
        let is_other = !self.other.is_empty() && shape.len() == self.other.len();
        let sizes = if is_other { &self.other } else { &self.sizes };
        let missing = sizes.len().saturating_sub(shape.len());
        if shape.len() != sizes.len() && !(repeats && shape.len() < sizes.len()) {
            let axes = sizes.len();
            return Err(self.fail(format!("its shape is {shape:?}, {axes} axes are needed")));
        }
        if shape.contains(&0) {
            return Err(self.fail(format!("its shape is {shape:?}: nothing is in it")));
        }
        for (size, &found) in sizes[missing..].iter().zip(shape) {
            let expected = match size {
                Size::Fixed(n) => Some(*n),
                Size::Symbol(symbol) => binding.get(symbol).ok(),
            };
            if expected.is_some_and(|expected| expected != found && !(repeats && found == 1)) {
                return Err(self.fail(format!(
                    "its shape is {shape:?}, which does not fit {} ({binding})",
                    described(sizes)
                )));
            }
            if let (Size::Symbol(symbol), None) = (size, expected) {
                *binding = std::mem::take(binding).with(symbol.clone(), found);
            }
        }
        Ok(())
    }

    /// A given tensor in the shape of the argument: positions may be repeated.
    fn expand(&self, tensor: Tensor, of: &TensorType) -> Result<Tensor, Error> {
        if tensor.kind() != of.kind {
            return Err(self.fail(format!("it is {}, {of} is needed", tensor.tensor_type())));
        }
        if tensor.shape() == of.shape {
            return Ok(tensor);
        }
        let Some(indices) = tensor.indices() else {
            return Err(self.fail(format!("it is {}, {of} is needed", tensor.tensor_type())));
        };
        let data = indices.iter().copied().cycle().take(of.len()).collect();
        Ok(Tensor::i32(of.shape.clone(), data))
    }
}

/// Sizes for people: `[b, 3, 30, 30]`.
fn described(sizes: &[Size]) -> String {
    let sizes = sizes.iter().map(|size| match size {
        Size::Symbol(symbol) => symbol.to_string(),
        Size::Fixed(n) => n.to_string(),
    });
    format!("[{}]", sizes.collect::<Vec<_>>().join(", "))
}

/// The symbols that the shapes of what is given bind.
pub fn bind<'a>(
    arguments: &[Argument],
    shape_of: impl Fn(&str) -> Option<&'a [usize]>,
) -> Result<Binding, Error> {
    let mut binding = Binding::default();
    for argument in arguments {
        if let Some(shape) = shape_of(&argument.name) {
            argument.bind(&mut binding, shape)?;
        }
    }
    Ok(binding)
}

/// All arguments of a call: what is given, checked against the binding, and the defaults of what is not.
pub fn complete(
    arguments: &[Argument],
    binding: &Binding,
    mut given: Given,
) -> Result<Given, Error> {
    let mut complete = Given::new();
    for argument in arguments {
        let name = argument.name.clone().into_owned();
        let of = argument.tensor_type(binding);
        let tensor = match (given.remove(&name), of) {
            (Some(tensor), of) => Some(argument.expand(tensor, &of?)?),
            (None, Ok(of)) => argument.default(&of, binding),
            (None, Err(_)) => None,
        };
        match tensor {
            Some(tensor) => drop(complete.insert(name, tensor)),
            None if argument.optional => {}
            None if argument.values.default(&TensorType::index([]), binding).is_some() => {
                return Err(argument.fail("is missing, as is every input that tells its size"));
            }
            None => return Err(argument.fail("is missing and has no default")),
        }
    }
    match given.keys().next() {
        None => Ok(complete),
        Some(other) => {
            let names: Vec<_> = arguments.iter().map(|argument| &*argument.name).collect();
            let detail = format!("there is no such input: there are {}", names.join(", "));
            Err(Error::Input { name: other.clone(), detail })
        }
    }
}
