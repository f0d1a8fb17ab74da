//! The models of candle-transformers behind the line protocol: `peer-candle MODEL FOLDER INPUTS`.
//! RAYON_NUM_THREADS says how many threads it has.

use anyhow::{Context, Result, bail};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use candle_transformers::models::{bert, clip, qwen2, t5, vit, whisper};
use peer_protocol::{Run, serve, timed};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

const CPU: Device = Device::Cpu;

/// The tensors of the inputs' file.
type Inputs = HashMap<String, Tensor>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    serve("candle 0.11.1", open(&args))
}

fn open(args: &[String]) -> Result<Run> {
    let [model, folder, inputs] = args else { bail!("use: peer-candle MODEL FOLDER INPUTS") };
    let folder = Path::new(folder);
    let weights = folder.join("model.safetensors");
    // SAFETY: nobody changes the file while this program runs.
    let weights = unsafe { VarBuilder::from_mmaped_safetensors(&[weights], DType::F32, &CPU)? };
    let inputs = candle_core::safetensors::load(inputs, &CPU)?;
    let config = std::fs::read_to_string(folder.join("config.json"))?;
    let config: Value = serde_json::from_str(&config)?;
    match &**model {
        "bert" => open_bert(weights, config, &inputs),
        "vit" => open_vit(weights, &inputs),
        "whisper" => open_whisper(weights, config, &inputs),
        "t5" => open_t5(weights, config, &inputs),
        "clip" => open_clip(weights, &inputs),
        "qwen2" => open_qwen2(weights, config, &inputs),
        other => bail!("candle-transformers has no {other}"),
    }
}

fn get(inputs: &Inputs, name: &str) -> Result<Tensor> {
    inputs.get(name).cloned().with_context(|| format!("find the input {name}"))
}

/// A run that computes one tensor and copies it out.
fn runs(mut forward: impl FnMut() -> Result<Tensor> + 'static) -> Result<Run> {
    Ok(Box::new(move || timed(|| Ok(forward()?.flatten_all()?.to_vec1()?))))
}

fn open_bert(weights: VarBuilder<'_>, config: Value, inputs: &Inputs) -> Result<Run> {
    let model = bert::BertModel::load(weights, &serde_json::from_value(config)?)?;
    let (ids, mask) = (get(inputs, "input_ids")?, get(inputs, "attention_mask")?);
    let types = get(inputs, "token_type_ids")?;
    runs(move || Ok(model.forward(&ids, &types, Some(&mask))?))
}

fn open_vit(weights: VarBuilder<'_>, inputs: &Inputs) -> Result<Run> {
    let model = vit::Model::new(&vit::Config::vit_base_patch16_224(), 1000, weights)?;
    let pixels = get(inputs, "pixel_values")?;
    runs(move || Ok(model.forward(&pixels)?))
}

fn open_whisper(weights: VarBuilder<'_>, config: Value, inputs: &Inputs) -> Result<Run> {
    let config = serde_json::from_value(config)?;
    let mut model = whisper::model::Whisper::load(&weights, config)?;
    let features = get(inputs, "input_features")?;
    runs(move || Ok(model.encoder.forward(&features, true)?))
}

fn open_t5(weights: VarBuilder<'_>, config: Value, inputs: &Inputs) -> Result<Run> {
    let mut model = t5::T5EncoderModel::load(weights, &serde_json::from_value(config)?)?;
    let ids = get(inputs, "input_ids")?;
    runs(move || Ok(model.forward(&ids)?))
}

fn open_clip(weights: VarBuilder<'_>, inputs: &Inputs) -> Result<Run> {
    let config = clip::vision_model::ClipVisionConfig::vit_base_patch32();
    let tower = clip::vision_model::ClipVisionTransformer::new(weights.pp("vision_model"), &config)?;
    let (from, to) = (config.embed_dim, config.projection_dim);
    let projection = candle_nn::linear_no_bias(from, to, weights.pp("visual_projection"))?;
    let pixels = get(inputs, "pixel_values")?;
    runs(move || {
        let features = projection.forward(&tower.forward(&pixels)?)?;
        let length = features.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        Ok(features.broadcast_div(&length)?)
    })
}

/// One step behind a cache, which a clone of the model has: a clone shares the weights.
fn open_qwen2(weights: VarBuilder<'_>, config: Value, inputs: &Inputs) -> Result<Run> {
    let mut model = qwen2::ModelForCausalLM::new(&serde_json::from_value(config)?, weights)?;
    let (past, ids) = (get(inputs, "past_ids")?, get(inputs, "input_ids")?);
    model.forward(&past, 0)?;
    let offset = past.dim(1)?;
    Ok(Box::new(move || {
        let mut model = model.clone();
        timed(|| Ok(model.forward(&ids, offset)?.flatten_all()?.to_vec1()?))
    }))
}
