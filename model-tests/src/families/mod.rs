//! The families of models: one file each, one variant each. Which one a folder holds is read from its `config.json`.
//!
//! A family says which arguments its forward function takes and builds the graph; nothing else knows it. A new one
//! is a file here, an entry of `READERS`, and a variant of [`Family`], whose matches the compiler then asks for.

mod activations;
mod bert;

pub use bert::Bert;

use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Binding, Graph, Kind, Size, TensorType, Weights};

/// A model of a family with its sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum Family {
    /// Encoders with absolute positions (Devlin et al. 2019).
    Bert(Bert),
}

/// How a configuration names a family, and who reads it.
struct Reader {
    /// The `model_type` that Hugging Face gives it.
    model_type: &'static str,
    /// The beginning of its architectures' names.
    architecture: &'static str,
    read: fn(&mut Config, &[String]) -> Result<Family, Error>,
}

const READERS: [Reader; 1] = [Reader {
    model_type: "bert",
    architecture: "Bert",
    read: |config, architectures| Bert::read(config, architectures).map(Family::Bert),
}];

impl Family {
    /// The model that a configuration describes.
    pub fn read(config: &mut Config) -> Result<Self, Error> {
        let architectures = config.texts("architectures")?.unwrap_or_default();
        let model_type = config.text("model_type")?;
        let known = |names: fn(&Reader) -> &'static str| READERS.each_ref().map(names).join(", ");
        let reader = match (&model_type, architectures.first()) {
            (Some(name), _) => {
                READERS.iter().find(|reader| reader.model_type == name).ok_or_else(|| {
                    let known = known(|reader| reader.model_type);
                    let detail =
                        format!("is \"{name}\", an unknown architecture: known are {known}");
                    config.fault("model_type", detail)
                })
            }
            // The first checkpoints have no `model_type`; their architecture tells.
            (None, Some(name)) => READERS
                .iter()
                .find(|reader| name.starts_with(reader.architecture))
                .ok_or_else(|| {
                    let known = known(|reader| reader.architecture);
                    let detail =
                        format!("is \"{name}\", an unknown architecture: known are {known}…");
                    config.fault("architectures", detail)
                }),
            (None, None) => {
                let known = known(|reader| reader.model_type);
                Err(config.fault("model_type", format!("is missing: known are {known}")))
            }
        }?;
        (reader.read)(config, &architectures)
    }

    /// The family's name, with which the names of its models begin.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bert(_) => "bert",
        }
    }

    /// The arguments of its forward function.
    pub fn arguments(&self) -> Vec<Argument> {
        match self {
            Self::Bert(bert) => bert.arguments(),
        }
    }

    /// Arguments of the forward function that count the positions of a row from 0, as the graph does by itself.
    ///
    /// They may be given, and then must hold just that.
    pub const fn positions(&self) -> &'static [&'static str] {
        match self {
            Self::Bert(_) => &["position_ids"],
        }
    }

    /// Why an output that the graph does not have cannot be had.
    pub const fn unsupported_outputs(&self) -> &'static str {
        match self {
            Self::Bert(_) => {
                "heads of BertFor… classes are not run; last_hidden_state is possible, and \
                 pooler_output where the checkpoint has a pooler"
            }
        }
    }

    /// The graph for one binding; `weights` tells which names and which optional parts the checkpoint has.
    pub fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        match self {
            Self::Bert(bert) => bert.graph(weights, binding),
        }
    }

    /// The longest sequence that it can take.
    pub const fn max_sequence(&self) -> usize {
        match self {
            Self::Bert(bert) => bert.max_positions,
        }
    }
}

/// One argument of a forward function.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Its name, as the model class has it.
    pub name: &'static str,
    /// Its sizes; symbols are bound by what is given.
    pub sizes: Vec<Size>,
    /// What its values are.
    pub values: Values,
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
    /// 1 where a position is seen and 0 where it is hidden; all seen when the argument is not given.
    Mask,
}

impl Values {
    /// The value that fills an argument that is not given.
    pub const fn default(self) -> Option<i32> {
        match self {
            Self::Ids { default, .. } => default,
            Self::Mask => Some(1),
        }
    }
}

impl Values {
    /// A number as the model class takes it: every number but 0 shows a position, an id is a row of its table.
    pub fn take(self, v: f64) -> Result<i32, String> {
        match self {
            Self::Mask if v.is_nan() => Err("is not a number".into()),
            Self::Mask => Ok(i32::from(v != 0.0)),
            Self::Ids { below, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "tables have fewer than 2^53 rows")]
                if v.fract() != 0.0 || v < 0.0 || v >= below as f64 {
                    return Err(format!("is {v}: whole numbers in 0..{below} are possible"));
                }
                #[expect(clippy::cast_possible_truncation, reason = "checked above")]
                Ok(v as i32)
            }
        }
    }
}

impl Argument {
    /// Its type for one binding.
    pub fn tensor_type(&self, binding: &Binding) -> Result<TensorType, Error> {
        let size = |size: &Size| match size {
            Size::Symbol(symbol) => binding.get(symbol),
            Size::Fixed(n) => Ok(*n),
        };
        let shape = self.sizes.iter().map(size).collect::<Result<_, _>>()?;
        Ok(TensorType { shape, kind: Kind::Index })
    }
}

/// The binding that the shapes of what is given have in common.
pub fn bind<'a>(
    arguments: &[Argument],
    shape_of: impl Fn(&str) -> Option<&'a [usize]>,
) -> Result<Binding, Error> {
    let mut binding = Binding::default();
    for argument in arguments {
        let Some(shape) = shape_of(argument.name) else { continue };
        let fail = |detail: String| Err(Error::Input { name: argument.name.into(), detail });
        if shape.len() != argument.sizes.len() {
            let axes = argument.sizes.len();
            return fail(format!("its shape is {shape:?}, {axes} axes are needed"));
        }
        if shape.contains(&0) {
            return fail(format!("its shape is {shape:?}: nothing is in it"));
        }
        for (size, &found) in argument.sizes.iter().zip(shape) {
            let expected = match size {
                Size::Fixed(n) => Some(*n),
                Size::Symbol(symbol) => binding.get(symbol).ok(),
            };
            if expected.is_some_and(|expected| expected != found) {
                return fail(format!(
                    "its shape is {shape:?}, which does not fit the inputs before it ({binding})"
                ));
            }
            if let Size::Symbol(symbol) = size {
                binding = binding.with(symbol.clone(), found);
            }
        }
    }
    Ok(binding)
}
