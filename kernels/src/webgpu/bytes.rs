//! What a plan's buffers hold, as bytes: weights and inputs on their way to an adapter, outputs and reports on
//! their way back. The native device and the browsers share it.

use super::plan::{Content, PARAMETER_BYTES, Plan, Port, Status};
use crate::bytes::{append, check_fits};
use crate::{Error, Precision, Tensor, Weights};

pub use crate::bytes::decode;

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
    append(tensor, precision, bytes);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
