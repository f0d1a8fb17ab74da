//! The f64 reference of a graph for given inputs, remembered on disk: a real model takes seconds.
//!
//! The key holds everything that the numbers depend on: graph, weights, inputs, and the sources of the reference
//! itself. A file that is damaged is computed again.

use crate::error::Error;
use crate::files;
use proofmark_kernels::{Array, Data, Graph, Tensor, Weights, evaluate, reference_version};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Bytes of the checksum that opens a file.
const CHECKSUM: usize = 32;

/// A digest over shapes and elements of inputs.
pub(crate) fn inputs_digest(inputs: &[Tensor]) -> String {
    let mut hasher = Sha256::new();
    for tensor in inputs {
        hasher.update(format!("{:?}", tensor.shape()));
        match tensor.data() {
            Data::I32(values) => values.iter().for_each(|v| hasher.update(v.to_le_bytes())),
            Data::F32(_) | Data::F16(_) => {
                tensor.to_f64().iter().for_each(|v| hasher.update(v.to_le_bytes()));
            }
        }
    }
    files::hex(&hasher.finalize())
}

/// The outputs of a graph in f64, in the order of the graph's outputs, from `folder` or computed.
pub(crate) fn outputs(
    graph: &Graph,
    weights: &Weights,
    weights_digest: &str,
    inputs: &[Tensor],
    folder: &Path,
) -> Result<Vec<Array>, Error> {
    let parts = [graph.digest(), weights_digest.into(), inputs_digest(inputs), reference_version()];
    let key = files::hex(&Sha256::digest(parts.join("|")));
    let path = folder.join(format!("{}.f64", &key[..32]));
    if let Some(arrays) = read(&path).filter(|arrays| fit(graph, arrays)) {
        return Ok(arrays);
    }
    let arrays = evaluate(graph, weights, inputs)?;
    if let Err(error) = write(&path, &arrays) {
        eprintln!("note: the reference will be computed again next time: failed to {error}");
    }
    Ok(arrays)
}

fn fit(graph: &Graph, arrays: &[Array]) -> bool {
    let shapes = graph.outputs().iter().map(|(_, value)| &graph.node(*value).output.shape);
    shapes.eq(arrays.iter().map(|array| &array.shape))
}

fn write(path: &Path, arrays: &[Array]) -> Result<(), Error> {
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|a| a.data.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = arrays.iter().zip(&bytes).enumerate().map(|(i, (array, bytes))| {
        let view = TensorView::new(Dtype::F64, array.shape.clone(), bytes);
        view.map(|view| (i.to_string(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|e| Error::content(path, e))?;
    let payload = safetensors::serialize(views, None).map_err(|e| Error::content(path, e))?;
    let mut content = Sha256::digest(&payload).to_vec();
    content.extend(payload);
    files::write(path, &content)
}

/// What a file holds; nothing if it is not there or not whole.
fn read(path: &Path) -> Option<Vec<Array>> {
    let content = std::fs::read(path).ok()?;
    let (checksum, payload) = content.split_at_checked(CHECKSUM)?;
    if Sha256::digest(payload)[..] != *checksum {
        return None;
    }
    let parsed = SafeTensors::deserialize(payload).ok()?;
    let array = |i: usize| {
        let view = parsed.tensor(&i.to_string()).ok()?;
        let values = view.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes));
        Some(Array::new(view.shape(), values.collect()))
    };
    (0..parsed.len()).map(array).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofmark_kernels::{Binding, Builder, Kind};

    #[test]
    fn a_file_is_used_while_it_is_whole_and_computed_again_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = Builder::new(Binding::default());
        let x = builder.input("x", Kind::Float, &[2.into()]).unwrap();
        let y = builder.add(x, x).unwrap();
        builder.output("y", y).unwrap();
        let graph = builder.finish().unwrap();
        let outputs = |x: f32| {
            let inputs = [Tensor::f32([2], vec![x, 1.0])];
            outputs(&graph, &Weights::seeded(0), "w", &inputs, folder.path()).unwrap()
        };
        let doubled = Array::new([2], vec![6.0, 2.0]);
        assert_eq!(outputs(3.0)[0], doubled);
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        let path = files[0].as_ref().unwrap().path();
        // Only a file that is read can give numbers that are wrong.
        let wrong = Array::new([2], vec![0.0, 9.0]);
        write(&path, std::slice::from_ref(&wrong)).unwrap();
        assert_eq!(outputs(3.0), [wrong]);
        assert_ne!(outputs(4.0), outputs(3.0));
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(outputs(3.0), [doubled]);
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert_eq!(outputs(3.0)[0].data, [6.0, 2.0]);
    }
}
