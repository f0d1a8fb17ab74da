//! tract over an ONNX file behind the line protocol: `peer-tract THREADS ONNX INPUTS`.

use anyhow::{Context, Result, bail};
use peer_protocol::{Run, serve, timed};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    serve("tract 0.23.9", open(&args))
}

fn open(args: &[String]) -> Result<Run> {
    let [threads, onnx, inputs] = args else { bail!("use: peer-tract THREADS ONNX INPUTS") };
    set_default_executor(Executor::multithread(threads.parse()?));
    let file = std::fs::read(inputs).with_context(|| format!("read {inputs}"))?;
    let tensors = SafeTensors::deserialize(&file)?;
    let mut model = tract_onnx::onnx().model_for_path(Path::new(onnx))?;
    let mut given = Vec::new();
    for (i, outlet) in model.input_outlets()?.to_vec().into_iter().enumerate() {
        let name = model.node(outlet.node).name.clone();
        let view = tensors.tensor(&name).with_context(|| format!("find the input {name}"))?;
        let of = match view.dtype() {
            Dtype::I64 => i64::datum_type(),
            Dtype::F32 => f32::datum_type(),
            other => bail!("{name} is {other:?}: I64 and F32 are known"),
        };
        // SAFETY: the bytes are those of a tensor of this type and shape, as safetensors has checked.
        let tensor = unsafe { Tensor::from_raw_dt(of, view.shape(), view.data())? };
        model.set_input_fact(i, InferenceFact::dt_shape(of, view.shape()))?;
        given.push(tensor.into_tvalue());
    }
    let model = model.into_optimized()?.into_runnable()?;
    Ok(Box::new(move || {
        let (outputs, time) = timed(|| Ok(model.run(given.iter().cloned().collect())?))?;
        let first = outputs.first().context("it has no output")?;
        Ok((first.to_plain_array_view::<f32>()?.iter().copied().collect(), time))
    }))
}
