//! What a page needs to run one model, as files, for a comparison with other engines in the same browser
//! (docs/peers/browser).
//!
//! `export FOLDER GOLDEN PROBE OUT OUTPUT…` plans the part of a checkpoint's graph that makes these outputs for the
//! inputs of a golden file, for the adapter that PROBE tells of, and for its WebNN if there is one. OUT gets a folder
//! of each interface: the headers of the page's commands as JSON, what comes with them, and what the page fetches.

use anyhow::{Context, Result, bail};
use proofmark_browser::{AdapterInfo, Evidence, classify, page_opening, page_plan};
use proofmark_kernels::webgpu::{Lanes, Plan, Target, encode};
use proofmark_kernels::{AdapterClass, Graph, Precision, Tensor, Weights, fold, webnn};
use proofmark_models::checkpoint::Checkpoint;
use proofmark_models::golden::Golden;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const PRECISION: Precision = Precision::F32;

/// What the comparison found in a browser.
#[derive(Deserialize)]
struct Probe {
    info: Option<AdapterInfo>,
    fallback: Option<bool>,
    renderer: Option<String>,
    limits: BTreeMap<String, f64>,
    webnn: Option<Value>,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, golden, probe, out, outputs @ ..] = args.as_slice() else {
        bail!("use: export FOLDER GOLDEN PROBE OUT OUTPUT…");
    };
    let text = fs::read(probe).with_context(|| format!("read {probe}"))?;
    let probe: Probe = serde_json::from_slice(&text).with_context(|| format!("parse {probe}"))?;
    let checkpoint = Checkpoint::open(Path::new(folder))?;
    let (binding, given) = Golden::open(Path::new(golden))?.inputs(checkpoint.family())?;
    let outputs: Vec<_> = outputs.iter().map(String::as_str).collect();
    let graph = checkpoint.graph(&binding)?.with_outputs(&outputs)?;
    let inputs = checkpoint.tensors(&graph, &binding, &given)?;
    let (graph, weights) = fold(&graph, checkpoint.weights())?;
    let out = Path::new(out);
    if let Some(info) = &probe.info {
        write_webgpu(&out.join("webgpu"), &graph, &weights, &inputs, &target(&probe, info))?;
    }
    if let Some(limits) = &probe.webnn {
        let limits = webnn::Limits::deserialize(limits).context("read opSupportLimits()")?;
        write_webnn(&out.join("webnn"), &graph, &weights, &inputs, &limits)?;
    }
    Ok(())
}

/// What the device of a browser plans for on this adapter, if it is what it claims to be.
fn target(probe: &Probe, info: &AdapterInfo) -> Target {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes below 2^53")]
    let limit = |name: &str| probe.limits.get(name).map_or(0, |value| *value as u64);
    let (info, renderer) = (info.clone(), probe.renderer.clone());
    let named = Some(info.name()).filter(|name| !name.is_empty()).or_else(|| renderer.clone());
    let (class, _) = classify(&Evidence { info, fallback: probe.fallback, renderer, rates: None });
    let is_software = class == AdapterClass::Software;
    Target {
        device: "webgpu".into(),
        binding_bytes_max: limit("maxStorageBufferBindingSize"),
        buffer_bytes_max: limit("maxBufferSize"),
        workgroups_max: u32::try_from(limit("maxComputeWorkgroupsPerDimension"))
            .unwrap_or(u32::MAX),
        software: is_software.then(|| Lanes::of(named.as_deref().unwrap_or_default())),
    }
}

fn write_webgpu(
    out: &Path,
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor],
    target: &Target,
) -> Result<()> {
    let plan = Plan::new(graph, PRECISION, target)?;
    let mut content = Vec::new();
    for held in plan.buffers.iter().filter_map(|buffer| buffer.content.as_ref()) {
        held.encode(weights, PRECISION, &mut content)?;
    }
    let bytes = |input: &Tensor| {
        let mut bytes = Vec::new();
        encode(input, PRECISION, &mut bytes);
        bytes
    };
    let inputs: Vec<_> = inputs.iter().map(bytes).collect();
    let prepare = json!({"plan": page_plan(&plan)});
    let headers = json!({"open": page_opening(), "prepare": prepare, "inputs": inputs.len()});
    write(out, &headers, &plan.parameter_bytes(), &content, &inputs)
}

fn write_webnn(
    out: &Path,
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor],
    limits: &webnn::Limits,
) -> Result<()> {
    let plan = webnn::Plan::new(graph, PRECISION, limits)?;
    let (mut content, mut places) = (Vec::new(), Vec::new());
    for index in 0..plan.script.constants.len() {
        let begin = content.len();
        if plan.script.constants[index].inline.is_none() {
            content.extend(plan.constant_bytes(index, weights)?);
        }
        places.push([begin, content.len()]);
    }
    let inputs: Vec<_> = inputs.iter().map(|input| plan.input_bytes(input)).collect();
    let prepare = json!({"context": 0, "script": plan.script, "places": places});
    let open = json!({"device_type": "cpu"});
    let headers = json!({"open": open, "prepare": prepare, "inputs": inputs.len()});
    write(out, &headers, &[], &content, &inputs)
}

/// The files of one interface.
fn write(
    out: &Path,
    headers: &Value,
    parameters: &[u8],
    content: &[u8],
    inputs: &[Vec<u8>],
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        fs::write(out.join(name), bytes).with_context(|| format!("write {name}"))
    };
    write("headers.json", headers.to_string().as_bytes())?;
    write("parameters.bin", parameters)?;
    write("content.bin", content)?;
    inputs.iter().enumerate().try_for_each(|(i, bytes)| write(&format!("input-{i}.bin"), bytes))
}
