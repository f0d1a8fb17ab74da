//! Golden files: safetensors with `input.<forward argument>` and `output.<name>`, as an independent implementation
//! made them; and the inputs that a model takes, completed with the defaults of its class.

use crate::error::Error;
use crate::families::{Family, Given, bind, complete};
use half::{bf16, f16};
use proofmark::record::OutputCheck;
use proofmark_kernels::{BATCH, Binding, SEQUENCE, Symbol, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Numbers of a golden file, whatever format they had.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The elements, row-major; exact for every format but integers beyond 2^53.
    pub values: Vec<f64>,
}

/// What a golden file holds.
#[derive(Clone, Debug)]
pub struct Golden {
    path: PathBuf,
    inputs: BTreeMap<String, Numbers>,
    /// Expected outputs by name.
    pub outputs: BTreeMap<String, Numbers>,
}

impl Golden {
    /// Reads a file. A tensor that is neither input nor output is an error, as is a file without outputs.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
        let parsed = SafeTensors::deserialize(&bytes).map_err(|e| {
            Error::content(
                path,
                format!("{e}; it is no safetensors file, or is damaged or incomplete"),
            )
        })?;
        let mut golden =
            Self { path: path.to_owned(), inputs: BTreeMap::new(), outputs: BTreeMap::new() };
        for (name, view) in parsed.tensors() {
            let numbers = numbers(&view)
                .map_err(|detail| Error::content(path, format!("`{name}` {detail}")))?;
            match name.split_once('.') {
                Some(("input", argument)) => golden.inputs.insert(argument.into(), numbers),
                Some(("output", output)) => golden.outputs.insert(output.into(), numbers),
                _ => {
                    let detail = format!("`{name}` is neither `input.…` nor `output.…`");
                    return Err(Error::content(path, detail));
                }
            };
        }
        if golden.outputs.is_empty() {
            let detail = "it holds no `output.…`: there is nothing to compare with";
            return Err(Error::content(path, detail));
        }
        Ok(golden)
    }

    /// The binding and all arguments, those that are not given by their defaults.
    pub fn inputs(&self, family: &Family) -> Result<(Binding, Given), Error> {
        let architecture = family.architecture();
        let arguments = architecture.arguments();
        let mut names: Vec<_> = arguments.iter().map(|argument| &*argument.name).collect();
        names.extend(architecture.positions());
        if let Some(other) = self.inputs.keys().find(|name| !names.contains(&name.as_str())) {
            let possible = names.join(", ");
            let detail = format!(
                "`input.{other}` is not supported: the inputs of {} are {possible}",
                family.name()
            );
            return Err(Error::content(&self.path, detail));
        }
        let shape_of = |name: &str| self.inputs.get(name).map(|numbers| numbers.shape.as_slice());
        let binding = bind(&arguments, shape_of)?;
        let mut given = Given::new();
        for argument in &arguments {
            let Some(numbers) = self.inputs.get(&*argument.name) else { continue };
            let tensor = argument.values.tensor(&numbers.shape, &numbers.values);
            let tensor = tensor.map_err(|detail| self.fail(&argument.name, &detail))?;
            given.insert(argument.name.clone().into_owned(), tensor);
        }
        let about_it = |error| match error {
            Error::Input { name, detail } => self.fail(&name, &detail),
            other => other,
        };
        let given = complete(&arguments, &binding, given).map_err(about_it)?;
        let binding = architecture.measure(binding, &given).map_err(about_it)?;
        for &name in architecture.positions() {
            if let Some(numbers) = self.inputs.get(name) {
                let checked = check_positions(numbers, &binding);
                checked.map_err(|detail| self.fail(name, &detail))?;
            }
        }
        Ok((binding, given))
    }

    fn fail(&self, input: &str, detail: &str) -> Error {
        Error::content(&self.path, format!("`input.{input}` {detail}"))
    }

    /// An error if an output is expected that is not among the `possible`, which the graph has.
    pub fn check_outputs(&self, family: &Family, possible: &[&str]) -> Result<(), Error> {
        match self.outputs.keys().find(|name| !possible.contains(&name.as_str())) {
            None => Ok(()),
            Some(other) => {
                let possible = possible.join(", ");
                let detail = format!(
                    "`output.{other}` is not supported: this checkpoint's outputs are {possible} ({})",
                    family.architecture().unsupported_outputs()
                );
                Err(Error::content(&self.path, detail))
            }
        }
    }
}

/// Positions that are given must be what the graph has by itself: every row counts from 0.
fn check_positions(given: &Numbers, binding: &Binding) -> Result<(), String> {
    let size = |symbol: &Symbol| binding.get(symbol).map_err(|e| e.to_string());
    let (batch, sequence) = (size(&BATCH)?, size(&SEQUENCE)?);
    let shapes = [vec![sequence], vec![1, sequence], vec![batch, sequence]];
    if !shapes.contains(&given.shape) {
        let [row, one, all] = &shapes;
        return Err(format!(
            "has the shape {:?}: possible are {row:?}, {one:?}, {all:?}",
            given.shape
        ));
    }
    let counted = (0u32..).map(f64::from).take(sequence).cycle();
    match given.values.iter().zip(counted).position(|(found, expected)| *found != expected) {
        None => Ok(()),
        Some(i) => Err(format!(
            "is {} at element {i}: positions other than counting from 0 in every row are not supported",
            given.values[i]
        )),
    }
}

/// Compares an output with what is expected of it; another shape is an error without a size.
pub fn compare(name: &str, found: &Tensor, expected: &Numbers, tolerance: f64) -> OutputCheck {
    let same = found.shape() == expected.shape;
    let reference = if same { expected.values.as_slice() } else { &[] };
    OutputCheck::compare(name, found.shape(), &found.to_f64(), reference, tolerance)
}

fn numbers(view: &TensorView<'_>) -> Result<Numbers, String> {
    let bytes = view.data();
    #[expect(clippy::cast_precision_loss, reason = "ids and masks are far below 2^53")]
    let values = match view.dtype() {
        Dtype::F64 => elements(bytes, f64::from_le_bytes),
        Dtype::F32 => elements(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::F16 => elements(bytes, |b| f16::from_le_bytes(b).to_f64()),
        Dtype::BF16 => elements(bytes, |b| bf16::from_le_bytes(b).to_f64()),
        Dtype::I64 => elements(bytes, |b| i64::from_le_bytes(b) as f64),
        Dtype::U64 => elements(bytes, |b| u64::from_le_bytes(b) as f64),
        Dtype::I32 => elements(bytes, |b| f64::from(i32::from_le_bytes(b))),
        Dtype::U32 => elements(bytes, |b| f64::from(u32::from_le_bytes(b))),
        Dtype::I16 => elements(bytes, |b| f64::from(i16::from_le_bytes(b))),
        Dtype::U16 => elements(bytes, |b| f64::from(u16::from_le_bytes(b))),
        Dtype::I8 => elements(bytes, |b| f64::from(i8::from_le_bytes(b))),
        Dtype::U8 | Dtype::BOOL => elements(bytes, |[b]: [u8; 1]| f64::from(b)),
        other => return Err(format!("is {other:?}: floats, integers and booleans can be read")),
    };
    Ok(Numbers { shape: view.shape().to_vec(), values })
}

fn elements<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
}
