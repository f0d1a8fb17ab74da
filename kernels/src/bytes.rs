//! Tensors as bytes on their way to a device and back, little-endian, in the precision of a plan.

use crate::{Data, Error, Kind, Precision, Tensor, Weights};
use half::f16;

/// Refuses a weight that would become infinite in the precision of the plan.
pub(crate) fn check_fits(
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

/// Appends the bytes of a tensor in a precision.
pub(crate) fn append(tensor: &Tensor, precision: Precision, bytes: &mut Vec<u8>) {
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
