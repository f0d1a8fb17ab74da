//! The WebNN device of a browser: a graph becomes calls of MLGraphBuilder, planned here and made by a page.

use crate::content::Content;
use crate::parts::PartsProgram;
use crate::program::{Codec, PageProgram, Stages};
use crate::tab::{Browsing, Opens, Page};
use crate::webgpu::WebGpuDevice;
use crate::{clock, page};
use proofmark_kernels::cpu::CpuDevice;
use proofmark_kernels::webnn::{Limits, Plan, supports};
use proofmark_kernels::{
    Activation, AdapterClass, Binding, Builder, Device, Error, Fallback as Lacking, Graph,
    Identity, Kind, Op, Precision, Program, Tensor, Value, Weights, fold, split,
};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// What a WebNN context is asked to run on. Each is an adapter of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceType {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics processor.
    Gpu,
    /// A processor for neural networks.
    Npu,
}

impl DeviceType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Gpu, Self::Npu];

    /// WebNN's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Npu => "npu",
        }
    }
}

impl fmt::Display for DeviceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DeviceType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| format!("`{text}` is not a device type of WebNN: use cpu, gpu or npu"))
    }
}

/// Rows and columns of the product by which contexts are compared.
const TRIAL: usize = 256;
/// Runs of it; the best counts.
const TRIALS: usize = 5;
/// A context that is at most so many times as fast as the processor's is taken for the processor.
const ANOTHER_DEVICE: f64 = 1.5;

/// A browser's WebNN.
#[derive(Debug)]
pub struct WebNnDevice {
    page: Arc<Page>,
    context: usize,
    identity: Identity,
    limits: Limits,
    fallback: Fallback,
    stages: Vec<(String, Duration)>,
}

/// What happens with a node that the browser's WebNN cannot compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// The graph is refused.
    #[default]
    Refused,
    /// It runs elsewhere, which is told: on WebGPU of the same page, or on the processor by this program.
    Allowed,
}

/// What a page answers when it has opened a context.
#[derive(Deserialize)]
struct Opened {
    context: usize,
    limits: Json,
    accelerated: Option<bool>,
}

impl WebNnDevice {
    /// Opens a page in a browser and a context of a device type there. `name` is the endpoint, for messages.
    pub fn open(
        name: &str,
        (asked, fallback): (DeviceType, Fallback),
        browser: Browsing,
        opener: Box<dyn Opens>,
    ) -> Result<Self, Error> {
        let page = Arc::new(Page::open(name, opener)?);
        let absent = |detail: String| Error::Absent { device: name.into(), detail };
        if !page.facts().webnn {
            return Err(absent(format!("{} has no navigator.ml", browser.label)));
        }
        let (opened, took) = clock::timed(|| open_context(&page, asked));
        // The browser has the interface and no backend behind it: the device is not there.
        let opened = opened
            .map_err(|e| absent(format!("{} gives no {asked} context: {e}", browser.label)))?;
        let limits = Limits::deserialize(&opened.limits);
        let limits =
            limits.map_err(|e| page.failed(format!("opSupportLimits() is broken: {e}")))?;
        let stages = page.stages(&browser, took);
        let facts = page.facts();
        let mut details = browser.details;
        for (name, value) in [
            ("user-agent", facts.user_agent.clone()),
            ("device-type-asked", asked.to_string()),
            ("op-support-limits", opened.limits.to_string()),
            ("cross-origin-isolated", facts.isolated.to_string()),
            ("page-threads", facts.threads.to_string()),
            ("page", page::page_digest()),
        ] {
            details.insert(name.into(), value);
        }
        if let Some(accelerated) = opened.accelerated {
            details.insert("accelerated".into(), accelerated.to_string());
        }
        let identity = Identity {
            device: "webnn".into(),
            adapter: format!("WebNN {asked}"),
            driver: browser.label,
            class: AdapterClass::Software,
            limits: BTreeMap::new(),
            features: Vec::new(),
            details,
        };
        let context = opened.context;
        let mut device = Self { page, context, identity, limits, fallback, stages };
        device.settle(asked, opened.accelerated)?;
        Ok(device)
    }

    /// Finds out what runs the context, which a browser may choose against what was asked, and so its class.
    fn settle(&mut self, asked: DeviceType, accelerated: Option<bool>) -> Result<(), Error> {
        let (got, class, why) = match (asked, accelerated) {
            (DeviceType::Cpu, _) => {
                let why = "a context for the processor runs on the processor of this machine";
                ("cpu".to_owned(), AdapterClass::Hardware, why.to_owned())
            }
            (_, Some(false)) => {
                let why = "the browser says that the context is not accelerated";
                ("cpu".to_owned(), AdapterClass::Software, why.to_owned())
            }
            _ => self.compare_with_processor(asked)?,
        };
        self.identity.class = class;
        self.identity.adapter = format!("WebNN {asked}, got {got}");
        self.identity.details.insert("device-type-got".into(), got);
        self.identity.details.insert("class-because".into(), why);
        Ok(())
    }

    fn compare_with_processor(
        &self,
        asked: DeviceType,
    ) -> Result<(String, AdapterClass, String), Error> {
        let processor = open_context(&self.page, DeviceType::Cpu)?.context;
        let (own, other) = (self.time_product(self.context)?, self.time_product(processor)?);
        let factor = other.as_secs_f64() / own.as_secs_f64().max(1e-9);
        let measured =
            format!("a matrix product ran {factor:.2} times as fast as on the processor");
        Ok(if factor > ANOTHER_DEVICE {
            (asked.to_string(), AdapterClass::Hardware, measured)
        } else {
            let why = format!("{measured}, so that nothing shows another device");
            ("cpu".to_owned(), AdapterClass::Software, why)
        })
    }

    fn time_product(&self, context: usize) -> Result<Duration, Error> {
        let mut builder = Builder::new(Binding::default());
        let x = builder.input("x", Kind::Float, &[TRIAL.into(), TRIAL.into()])?;
        let weight = builder.weight("w", &[TRIAL, TRIAL])?;
        let y = builder.linear(x, weight, None, Activation::Identity)?;
        builder.output("y", y)?;
        let graph = builder.finish()?;
        let mut program = self.prepare_in(context, graph, Weights::seeded(1), Precision::F32)?;
        let inputs = [Tensor::f32([TRIAL, TRIAL], vec![0.5; TRIAL * TRIAL])];
        let times = (0..=TRIALS).map(|_| program.run_times(&inputs, 1));
        Ok(times.collect::<Result<Vec<_>, _>>()?.into_iter().min().unwrap_or_default())
    }

    /// What the browser says that it can do.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn prepare_in(
        &self,
        context: usize,
        graph: Graph,
        weights: Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        #[derive(Deserialize)]
        struct Prepared {
            stages: Stages,
        }
        graph.weights().try_for_each(|(name, of)| weights.check(name, of))?;
        let plan = Plan::new(&graph, precision, &self.limits)?;
        plan.check_constants(&weights)?;
        let sizes: Vec<_> = plan.script.constants.iter().map(|c| c.of.bytes()).collect();
        let places = sizes.iter().scan(0, |end, size| {
            let begin = *end;
            *end += size;
            Some([begin, *end])
        });
        let places: Vec<_> = places.collect();
        let script =
            serde_json::to_value(&plan.script).map_err(|e| self.page.failed(e.to_string()))?;
        let (contents, held) = (plan.clone(), weights.clone());
        let encode = move |piece: usize| {
            contents.constant_bytes(piece, &held).map_err(|e| format!("failed to {e}"))
        };
        let program = self.page.offer(Content::new(sizes, Box::new(encode)));
        let header =
            json!({"program": program, "context": context, "script": script, "places": places});
        let prepared = self.page.call::<Prepared>("webnn.prepare", header, &[]);
        self.page.withdraw(program);
        let stages = prepared?.0.stages;
        let page = Arc::clone(&self.page);
        let codec = Box::new(PlanCodec { graph, plan, weights });
        Ok(Box::new(PageProgram::new(page, ("webnn", program), codec, Vec::new(), &stages)))
    }
}

impl WebNnDevice {
    /// Prepares what the browser can compute there, and the rest on another device.
    fn prepare_parts(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        let other = self.other()?;
        let able = |value: Value| supports(graph, value, precision, &self.limits);
        let parts = split(graph, |value| able(value).is_ok());
        let mut programs = Vec::new();
        for part in &parts {
            programs.push(if part.supported {
                self.prepare_in(self.context, part.graph.clone(), weights.clone(), precision)?
            } else {
                other.prepare(&part.graph, weights, precision)?
            });
        }
        let to = other.identity().device.clone();
        let lacking = graph.values().filter(|(_, node)| !node.op.is_leaf());
        let fallbacks = lacking.filter_map(|(value, node)| {
            let why = able(value).err()?.to_string();
            Some(Lacking { op: node.op.name().to_owned(), why, to: to.clone() })
        });
        let fallbacks = fallbacks.collect();
        Ok(Box::new(PartsProgram::new(graph.clone(), parts, programs, fallbacks)))
    }

    /// Where the rest runs.
    fn other(&self) -> Result<Box<dyn Device>, Error> {
        let page = Arc::clone(&self.page);
        if page.facts().webgpu
            && let Ok(device) = WebGpuDevice::on(page, "webgpu", Browsing::default())
        {
            return Ok(Box::new(device));
        }
        Ok(Box::new(CpuDevice::open(None)?))
    }
}

fn open_context(page: &Page, asked: DeviceType) -> Result<Opened, Error> {
    Ok(page.call("webnn.open", json!({"device_type": asked.name()}), &[])?.0)
}

impl Device for WebNnDevice {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Only the precision: what an op needs of the browser depends on its shapes too, and [`Device::prepare`] says it.
    fn supports(&self, op: &Op, precision: Precision) -> Result<(), Error> {
        if [Precision::F32, Precision::F16].contains(&precision) {
            return Ok(());
        }
        let (device, detail) = ("webnn".into(), "WebNN computes in f32 and f16".into());
        Err(Error::Unsupported { device, op: op.name(), precision, detail })
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        let (graph, weights) = fold(graph, weights)?;
        let able = |value: Value| supports(&graph, value, precision, &self.limits);
        let unable = || graph.values().any(|(v, n)| !n.op.is_leaf() && able(v).is_err());
        match self.fallback {
            Fallback::Allowed if unable() => self.prepare_parts(&graph, &weights, precision),
            _ => self.prepare_in(self.context, graph, weights, precision),
        }
    }

    fn stages(&self) -> Vec<(String, Duration)> {
        self.stages.clone()
    }
}

/// Tensors as the plan's operands take them.
struct PlanCodec {
    graph: Graph,
    plan: Plan,
    weights: Weights,
}

impl Codec for PlanCodec {
    fn encode(&self, inputs: &[Tensor]) -> Result<Vec<Vec<u8>>, Error> {
        self.graph.check_inputs(inputs)?;
        self.plan.check_indices(&self.weights, inputs)?;
        Ok(inputs.iter().map(|input| self.plan.input_bytes(input)).collect())
    }

    fn decode(&self, parts: &[Vec<u8>]) -> Result<Vec<Tensor>, Error> {
        let count = self.plan.script.outputs.len();
        if parts.len() != count {
            let detail = format!("the page gave {} outputs of {count}", parts.len());
            return Err(Error::Device { device: "webnn".into(), detail });
        }
        parts.iter().enumerate().map(|(index, bytes)| self.plan.output(index, bytes)).collect()
    }
}
