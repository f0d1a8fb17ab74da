//! What a plan's buffers hold, as bytes: weights and inputs on their way to an adapter, outputs and reports on
//! their way back. The native device and the browsers share it.

use super::plan::{Content, PARAMETER_BYTES, Plan, Port, Status};
use crate::{Data, Error, Kind, Precision, Tensor, Weights};
use half::f16;

impl Content {
    /// Appends the bytes that the buffer holds before the first run. Fails if a weight is missing, is of another type,
    /// or does not fit the precision.
    pub fn encode(
        &self,
        weights: &Weights,
        precision: Precision,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match self {
            Self::Scalar(value) => encode(&Tensor::f32([], vec![*value]), precision, bytes),
            Self::Constant(tensor) => encode(tensor, precision, bytes),
            Self::Weight { name, of, transposed } => {
                let mut tensor = weights.tensor(name, of)?;
                check_fits(weights, name, &tensor, precision)?;
                if *transposed {
                    tensor = transpose(tensor);
                }
                encode(&tensor, precision, bytes);
            }
        }
        Ok(())
    }
}

impl Port {
    /// Reads an output from the beginning of `bytes`: floats become f32 whatever the precision.
    pub fn decode(&self, bytes: &[u8], precision: Precision, output: &mut Tensor) {
        decode(bytes, self.of.kind, precision, output);
    }
}

impl Status {
    /// Bytes of the reports.
    pub fn bytes(&self) -> usize {
        8 * self.rows.len()
    }

    /// What gathers reported: an error for the first index that its table does not have.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        let words: Vec<_> =
            bytes.as_chunks::<4>().0.iter().map(|&word| i32::from_le_bytes(word)).collect();
        for (report, rows) in words.as_chunks::<2>().0.iter().zip(&self.rows) {
            if report[0] != 0 {
                return Err(Error::bad_index(report[1], *rows));
            }
        }
        Ok(())
    }
}

impl Plan {
    /// The parameters of all dispatches: a block of [`PARAMETER_BYTES`] each, at least one block.
    pub fn parameter_bytes(&self) -> Vec<u8> {
        let block = usize::try_from(PARAMETER_BYTES).expect("a few bytes");
        let mut bytes = Vec::new();
        for dispatch in &self.dispatches {
            let start = bytes.len();
            dispatch.parameters.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes.resize(start + block, 0);
        }
        bytes.resize(bytes.len().max(block), 0);
        bytes
    }
}

/// Refuses a weight that would become infinite in the precision of the plan.
fn check_fits(
    weights: &Weights,
    name: &str,
    tensor: &Tensor,
    precision: Precision,
) -> Result<(), Error> {
    let (Data::F32(values), Precision::F16) = (tensor.data(), precision) else { return Ok(()) };
    match values.iter().position(|value| f16::from_f32(*value).is_infinite()) {
        None => Ok(()),
        Some(index) => Err(Error::WeightNotFinite {
            name: name.to_owned(),
            origin: weights.origin_name(),
            index,
            value: format!(
                "{}, which does not fit f16: its largest number is {}; run it in f32",
                values[index],
                f16::MAX
            ),
        }),
    }
}

/// `[n, k]` as `[k, n]`.
fn transpose(tensor: Tensor) -> Tensor {
    let (n, k) = (tensor.shape()[0], tensor.shape()[1]);
    let values = tensor.into_f32();
    let mut moved = vec![0.0; values.len()];
    for (row, line) in values.chunks(k).enumerate() {
        line.iter().enumerate().for_each(|(column, v)| moved[column * n + row] = *v);
    }
    Tensor::f32([k, n], moved)
}

/// The bytes of a tensor in a precision, ending at a whole word.
pub fn encode(tensor: &Tensor, precision: Precision, bytes: &mut Vec<u8>) {
    let half = precision == Precision::F16;
    match tensor.data() {
        Data::I32(values) => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Data::F32(values) if half => {
            values.iter().for_each(|v| bytes.extend(f16::from_f32(*v).to_le_bytes()));
        }
        Data::F32(values) => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Data::F16(values) if half => {
            values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        }
        Data::F16(values) => values.iter().for_each(|v| bytes.extend(v.to_f32().to_le_bytes())),
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Reads a tensor of a kind from the beginning of `bytes`: floats of a precision become f32.
pub fn decode(bytes: &[u8], kind: Kind, precision: Precision, output: &mut Tensor) {
    match (output.data_mut(), kind) {
        (Data::F32(values), Kind::Float) if precision == Precision::F16 => {
            let words = bytes.as_chunks::<2>().0;
            values.iter_mut().zip(words).for_each(|(v, w)| *v = f16::from_le_bytes(*w).to_f32());
        }
        (Data::F32(values), Kind::Float) => {
            let words = bytes.as_chunks::<4>().0;
            values.iter_mut().zip(words).for_each(|(v, w)| *v = f32::from_le_bytes(*w));
        }
        (Data::I32(values), Kind::Index) => {
            let words = bytes.as_chunks::<4>().0;
            values.iter_mut().zip(words).for_each(|(v, w)| *v = i32::from_le_bytes(*w));
        }
        _ => unreachable!("outputs are f32 and i32"),
    }
}
