//! The WebGPU device of a browser: the plans and the kernels of the native one, run by a page.

use crate::content::Content;
use crate::mark::{AdapterInfo, Evidence, Rates, classify};
use crate::program::{Codec, PageProgram, Stages, Step};
use crate::tab::{Browsing, Opens, Page, Stand};
use crate::{clock, page};
use proofmark_kernels::webgpu::{
    Access, Buffer, Lanes, PARAMETER_BYTES, Plan, Port, Status, Target, decode, encode,
};
use proofmark_kernels::{
    Activation, AdapterClass, Binding, Builder, Device, Error, Graph, Identity, Kind, Op,
    Precision, Program, Tensor, TensorType, Weights, fold,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Features that plans use.
const FEATURES: [&str; 2] = ["shader-f16", "timestamp-query"];

/// Limits that kernels depend on. The device is opened with the adapter's own.
const LIMITS: [&str; 9] = [
    "maxBufferSize",
    "maxStorageBufferBindingSize",
    "maxStorageBuffersPerShaderStage",
    "maxComputeWorkgroupStorageSize",
    "maxComputeInvocationsPerWorkgroup",
    "maxComputeWorkgroupSizeX",
    "maxComputeWorkgroupSizeY",
    "maxComputeWorkgroupSizeZ",
    "maxComputeWorkgroupsPerDimension",
];

/// Rows and columns of the product by which an adapter that claims to be hardware is timed.
const TRIAL: usize = 1024;
/// Times that it is run; the best counts.
const TRIALS: usize = 3;

/// What compiling a plan's shaders took in a page, in milliseconds.
#[derive(Clone, Debug, Deserialize)]
pub struct CompileTimes {
    /// All of them.
    pub whole_ms: f64,
    /// Each, in the order of the plan's shaders; only where they are compiled one after the other.
    pub each_ms: Vec<f64>,
}

/// Whether reading back is quicker when the queue is asked again and again, and the times that decided it.
#[derive(Deserialize)]
struct Nudge {
    nudged: bool,
    nudged_ms: f64,
    alone_ms: f64,
}

/// What a page answers when it has opened its adapter.
#[derive(Deserialize)]
struct Opened {
    nudge: Nudge,
    info: AdapterInfo,
    fallback: Option<bool>,
    features: Vec<String>,
    opened: Vec<String>,
    limits: BTreeMap<String, f64>,
}

/// A browser's WebGPU.
#[derive(Debug)]
pub struct WebGpuDevice {
    page: Arc<Page>,
    identity: Identity,
    target: Target,
    stages: Vec<(String, Duration)>,
}

impl WebGpuDevice {
    /// Opens a page in a browser and its adapter there. `name` is the endpoint, for messages.
    pub fn open(name: &str, browser: Browsing, opener: Box<dyn Opens>) -> Result<Self, Error> {
        let page = Arc::new(Page::open(name, opener)?);
        Self::on(page, name, browser)
    }

    /// Serves a page for a browser that somebody opens by hand, and opens its adapter. `opener` shows the link. What
    /// the browser is, only the page says.
    pub fn by_hand(name: &str, stand: &Stand, opener: Box<dyn Opens>) -> Result<Self, Error> {
        let page = Arc::new(Page::by_hand(name, stand, opener)?);
        let label = format!("opened by hand, by its own words {}", page.facts().user_agent);
        Self::on(page, name, Browsing { label, ..Browsing::default() })
    }

    /// Shows a text in the page, for the person who looks at it.
    pub fn say(&self, text: &str, done: bool) -> Result<(), Error> {
        let header = json!({"text": text, "done": done});
        self.page.call::<IgnoredAny>("say", header, &[]).map(drop)
    }

    /// Opens the adapter in a page that is open.
    pub(crate) fn on(page: Arc<Page>, name: &str, browser: Browsing) -> Result<Self, Error> {
        if !page.facts().webgpu {
            let detail = format!("{} has no navigator.gpu", browser.label);
            return Err(Error::Absent { device: name.into(), detail });
        }
        let header = page_opening();
        let (opened, took) = clock::timed(|| page.call::<Opened>("webgpu.open", header, &[]));
        let opened = opened?.0;
        let mut evidence = Evidence {
            info: opened.info,
            fallback: opened.fallback,
            renderer: page.facts().renderer.clone(),
            rates: None,
        };
        let (class, mut why) = classify(&evidence);
        let stages = page.stages(&browser, took);
        let limit = |name: &str| opened.limits.get(name).copied().unwrap_or(0.0);
        let target = Target {
            device: name.into(),
            binding_bytes_max: whole(limit("maxStorageBufferBindingSize")),
            buffer_bytes_max: whole(limit("maxBufferSize")),
            workgroups_max: u32::try_from(whole(limit("maxComputeWorkgroupsPerDimension")))
                .unwrap_or(u32::MAX),
            software: None,
        };
        let mut details = browser.details;
        let mut named = evidence.info.name();
        if named.is_empty() {
            // Firefox tells no names; the renderer is the next best witness.
            named = evidence.renderer.clone().unwrap_or_else(|| "an adapter without a name".into());
        }
        let limits = opened.limits.iter().filter(|(name, _)| LIMITS.contains(&name.as_str()));
        let identity = Identity {
            device: "webgpu".into(),
            adapter: named,
            driver: browser.label,
            class,
            limits: limits.map(|(name, value)| (name.clone(), whole(*value))).collect(),
            features: opened.features.clone(),
            details: BTreeMap::new(),
        };
        let mut device = Self { page, identity, target, stages };
        if class == AdapterClass::Hardware {
            evidence.rates = Some(device.rates()?);
            (device.identity.class, why) = classify(&evidence);
        }
        if device.identity.class == AdapterClass::Software {
            device.target.software = Some(Lanes::of(&device.identity.adapter));
        }
        let Nudge { nudged, nudged_ms, alone_ms } = opened.nudge;
        let told = format!("{nudged}: {nudged_ms:.2} ms with it, {alone_ms:.2} ms without");
        details.insert("nudged-read-back".into(), told);
        describe(&mut details, &device.page, &evidence, &why, &opened.opened)?;
        device.identity.details = details;
        Ok(device)
    }

    /// What plans for this device respect.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Lets the browser read WGSL texts; for each, what it says against it, if it does.
    pub fn check(&self, texts: &[&str]) -> Result<Vec<Option<String>>, Error> {
        #[derive(Deserialize)]
        struct Checked {
            faults: Vec<Option<String>>,
        }
        Ok(self.page.call::<Checked>("webgpu.check", json!({"texts": texts}), &[])?.0.faults)
    }

    /// Compiles the shaders of a plan, all at once or one after the other, and forgets them.
    pub fn compile(&self, plan: &Plan, parallel: bool) -> Result<CompileTimes, Error> {
        let header = json!({"plan": page_plan(plan), "parallel": parallel});
        Ok(self.page.call("webgpu.compile", header, &[])?.0)
    }

    /// A matrix that nobody could know before.
    fn drawn(&self) -> Result<Tensor, Error> {
        let mut bytes = vec![0; TRIAL * TRIAL];
        getrandom::fill(&mut bytes).map_err(|e| self.page.failed(e.to_string()))?;
        let values = bytes.iter().map(|byte| f32::from(*byte) / 128.0 - 1.0).collect();
        Ok(Tensor::f32([TRIAL, TRIAL], values))
    }

    /// Times a large product on the adapter and a small one in plain code.
    fn rates(&self) -> Result<Rates, Error> {
        #[derive(Deserialize)]
        struct Rate {
            operations_per_s: f64,
        }
        let (rate, _) = self.page.call::<Rate>("rate", json!({}), &[])?;
        let mut builder = Builder::new(Binding::default());
        let x = builder.input("x", Kind::Float, &[TRIAL.into(), TRIAL.into()])?;
        let weight = builder.weight("w", &[TRIAL, TRIAL])?;
        let y = builder.linear(x, weight, None, Activation::Identity)?;
        builder.output("y", y)?;
        let graph = builder.finish()?;
        let weights = Weights::seeded(1);
        let mut program = self.prepare(&graph, &weights, Precision::F32)?;
        let inputs = [self.drawn()?];
        let product = program.run(&inputs)?.0[0].to_f64();
        let weight = weights.tensor("w", &TensorType::float([TRIAL, TRIAL]))?.to_f64();
        if let Some(wrong) = wrong_element(&inputs[0].to_f64(), &weight, &product) {
            return Err(self.page.failed(format!(
                "the page gave a product of random matrices that is wrong at {wrong}: nothing was computed, so \
                 nothing of it is believed"
            )));
        }
        let times = (0..TRIALS).map(|_| program.run_times(&inputs, 1));
        let best = times.collect::<Result<Vec<_>, _>>()?.into_iter().min().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let operations = 2.0 * (TRIAL as f64).powi(3);
        Ok(Rates {
            adapter: operations / best.as_secs_f64(),
            scalar: rate.operations_per_s,
            threads: self.page.facts().threads,
        })
    }
}

/// The first of some elements of `x · wᵀ` that is not what these matrices give.
fn wrong_element(x: &[f64], w: &[f64], y: &[f64]) -> Option<usize> {
    let elements = (0..TRIAL * TRIAL).step_by(65_521);
    elements.into_iter().find(|&at| {
        let (row, column) = (at / TRIAL * TRIAL, at % TRIAL * TRIAL);
        let terms = x[row..row + TRIAL].iter().zip(&w[column..column + TRIAL]);
        let (sum, size) =
            terms.fold((0.0, 0.0), |(sum, size), (a, b)| (sum + a * b, size + (a * b).abs()));
        // A sum in f32 is off by the number of its terms times 2⁻²⁴ of their size at most.
        let error = (y[at] - sum).abs();
        error.is_nan() || error > size * TRIAL as f64 / f64::from(1 << 24)
    })
}

/// A number that JavaScript gave, as a size.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes below 2^53")]
fn whole(value: f64) -> u64 {
    value.clamp(0.0, 9e15) as u64
}

/// What the page adds to the details of the browser.
fn describe(
    details: &mut BTreeMap<String, String>,
    page: &Page,
    evidence: &Evidence,
    why: &str,
    opened: &[String],
) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Clock {
        resolution_ms: f64,
    }
    let (clock, _) = page.call::<Clock>("clock", json!({}), &[])?;
    let facts = page.facts();
    let mut put = |name: &str, value: String| details.insert(name.into(), value);
    put("user-agent", facts.user_agent.clone());
    put("renderer", evidence.renderer.clone().unwrap_or_default());
    put("adapter-vendor", evidence.info.vendor.clone());
    put("adapter-architecture", evidence.info.architecture.clone());
    put("fallback-adapter", evidence.fallback.map_or("unknown".into(), |is| is.to_string()));
    put("class-because", why.to_owned());
    put("opened-features", opened.join(" "));
    put("clock-resolution-us", format!("{:.1}", clock.resolution_ms * 1e3));
    put("cross-origin-isolated", facts.isolated.to_string());
    put("wasm-simd", facts.wasm_simd.to_string());
    put("shared-memory", facts.shared_memory.to_string());
    put("page-threads", facts.threads.to_string());
    put("page", page::page_digest());
    Ok(())
}

impl Device for WebGpuDevice {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn supports(&self, op: &Op, precision: Precision) -> Result<(), Error> {
        let half = self.identity.features.iter().any(|feature| feature == "shader-f16");
        let detail = match precision {
            Precision::F32 => return Ok(()),
            Precision::F16 if half => return Ok(()),
            Precision::F16 => format!("the adapter `{}` lacks shader-f16", self.identity.adapter),
            Precision::Bf16 | Precision::Int8 => "WebGPU computes in f32 and f16".into(),
        };
        let device = self.target.device.clone();
        Err(Error::Unsupported { device, op: op.name(), precision, detail })
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        #[derive(Deserialize)]
        struct Prepared {
            stages: Stages,
        }
        let (graph, weights) = fold(graph, weights)?;
        graph.nodes().iter().try_for_each(|node| self.supports(&node.op, precision))?;
        graph.weights().try_for_each(|(name, of)| weights.check(name, of))?;
        let plan = Plan::new(&graph, precision, &self.target)?;
        let parameters = plan.parameter_bytes();
        let program = self.page.offer(content(&plan, weights));
        let header = json!({"program": program, "plan": page_plan(&plan)});
        let prepared = self.page.call::<Prepared>("webgpu.prepare", header, &[&parameters]);
        self.page.withdraw(program);
        let stages = prepared?.0.stages;
        let steps = plan.dispatches.iter().map(|dispatch| Step {
            name: dispatch.name.clone(),
            nodes: dispatch.nodes.clone(),
            live_bytes: dispatch.live_bytes,
        });
        let steps = steps.collect();
        let page = Arc::clone(&self.page);
        let device = self.target.device.clone();
        let codec = Box::new(PlanCodec { device, graph, precision, status: plan.status });
        Ok(Box::new(PageProgram::new(page, ("webgpu", program), codec, steps, &stages)))
    }

    fn stages(&self) -> Vec<(String, Duration)> {
        self.stages.clone()
    }
}

/// Tensors as a plan's buffers hold them.
struct PlanCodec {
    device: String,
    graph: Graph,
    precision: Precision,
    status: Option<Status>,
}

impl Codec for PlanCodec {
    fn encode(&self, inputs: &[Tensor]) -> Result<Vec<Vec<u8>>, Error> {
        self.graph.check_inputs(inputs)?;
        let bytes = |input: &Tensor| {
            let mut bytes = Vec::new();
            encode(input, self.precision, &mut bytes);
            bytes
        };
        Ok(inputs.iter().map(bytes).collect())
    }

    fn decode(&self, parts: &[Vec<u8>]) -> Result<Vec<Tensor>, Error> {
        let broken = |detail: String| Error::Device { device: self.device.clone(), detail };
        let outputs = self.graph.outputs();
        let (count, status) = (outputs.len(), usize::from(self.status.is_some()));
        if parts.len() != count + status {
            return Err(broken(format!("the page gave {} outputs of {count}", parts.len())));
        }
        let mut tensors = Vec::with_capacity(count);
        for ((name, value), bytes) in outputs.iter().zip(parts) {
            let of = &self.graph.node(*value).output;
            if (bytes.len() as u64) < of.bytes(self.precision) {
                let given = bytes.len();
                return Err(broken(format!(
                    "the page gave {given} bytes of the output {name} ({of})"
                )));
            }
            let mut tensor = Tensor::zeros(of);
            decode(bytes, of.kind, self.precision, &mut tensor);
            tensors.push(tensor);
        }
        match &self.status {
            Some(status) if parts[count].len() < status.bytes() => {
                Err(broken("the page gave less than the gathers' reports".into()))
            }
            Some(status) => status.check(&parts[count]).map(|()| tensors),
            None => Ok(tensors),
        }
    }
}

/// The content of the buffers that have one, in their order.
fn content(plan: &Plan, weights: Weights) -> Content {
    let filled: Vec<Buffer> =
        plan.buffers.iter().filter(|buffer| buffer.content.is_some()).cloned().collect();
    let sizes: Vec<_> = filled.iter().map(|buffer| buffer.bytes).collect();
    let precision = plan.precision;
    let encode = move |piece: usize| {
        let mut bytes = Vec::new();
        if let Some(content) = &filled[piece].content {
            content
                .encode(&weights, precision, &mut bytes)
                .map_err(|e| format!("failed to {e}"))?;
        }
        Ok(bytes)
    };
    Content::new(sizes, Box::new(encode))
}

/// What the page opens its adapter with.
pub fn page_opening() -> Value {
    json!({"features": FEATURES, "limits": LIMITS})
}

/// The plan as the page takes it: without content, which it fetches, and parameters, which come as bytes.
pub fn page_plan(plan: &Plan) -> Value {
    let port = |port: &Port| json!({"buffer": port.buffer, "bytes": plan.bytes(&port.of)});
    let shaders = plan.shaders.iter().map(|shader| {
        let writes: Vec<_> = shader.access.iter().map(|a| *a == Access::Write).collect();
        json!({"text": shader.text, "writes": writes})
    });
    let buffers = plan
        .buffers
        .iter()
        .map(|buffer| json!({"bytes": buffer.bytes, "content": buffer.content.is_some()}));
    let dispatches = plan.dispatches.iter().map(|dispatch| {
        json!({
            "shader": dispatch.shader,
            "bindings": dispatch.bindings,
            "workgroups": dispatch.workgroups,
        })
    });
    let status = plan.status.as_ref();
    json!({
        "parameter_block": PARAMETER_BYTES,
        "shaders": shaders.collect::<Vec<_>>(),
        "buffers": buffers.collect::<Vec<_>>(),
        "inputs": plan.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": plan.outputs.iter().map(port).collect::<Vec<_>>(),
        "status": status.map(|s| json!({"buffer": s.buffer, "bytes": s.bytes()})),
        "dispatches": dispatches.collect::<Vec<_>>(),
    })
}
