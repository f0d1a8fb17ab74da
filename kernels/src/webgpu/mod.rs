//! The native WebGPU device (wgpu).
//!
//! `plan` turns a graph into plain data: buffers, uploads, dispatches. `run` executes a plan. The kernels are WGSL
//! texts in `shaders/`, in the core language only, so that browsers run the same ones.

mod adapter;
mod bytes;
mod context;
mod kernels;
mod lower;
mod plan;
mod products;
mod rows;
mod run;
mod schedule;
mod strides;
mod texts;
#[cfg(test)]
mod tiles;
mod timer;
#[cfg(test)]
mod validity;
mod windows;

pub use adapter::imitates;
pub use bytes::{decode, encode};
pub use plan::{
    Access, Buffer, Content, Dispatch, Lanes, PARAMETER_BYTES, Plan, Port, Shader, Status, Target,
};
pub use texts::Kernel;

use crate::device::{Device, Identity, Program, Source};
use crate::{Error, Graph, Op, Precision, Weights, fold};
use context::Context;
use run::WgpuProgram;
use std::sync::Arc;

/// The device's name in messages: the endpoint that it is.
const NAME: &str = "webgpu-native";

/// Crates whose versions a result of this device depends on.
pub const CRATES: &[&str] = &["half", "safetensors", "wgpu"];

macro_rules! own_source {
    ($name:literal) => {
        Source { name: concat!("webgpu/", $name), text: include_str!($name) }
    };
}

macro_rules! shared_source {
    ($name:literal) => {
        Source { name: $name, text: include_str!(concat!("../", $name)) }
    };
}

/// The Rust sources that decide what is run, and with which parameters.
const PLANNING: [Source; 14] = [
    shared_source!("bytes.rs"),
    shared_source!("tensor.rs"),
    shared_source!("weights.rs"),
    own_source!("bytes.rs"),
    own_source!("kernels.rs"),
    own_source!("lower.rs"),
    own_source!("mod.rs"),
    own_source!("plan.rs"),
    own_source!("products.rs"),
    own_source!("rows.rs"),
    own_source!("schedule.rs"),
    own_source!("strides.rs"),
    own_source!("texts.rs"),
    own_source!("windows.rs"),
];

/// Those that run it with wgpu.
const RUNNING: [Source; 4] = [
    own_source!("adapter.rs"),
    own_source!("context.rs"),
    own_source!("run.rs"),
    own_source!("timer.rs"),
];

/// The sources of the kernels that this graph runs here, and of the planner that chooses them.
/// For a graph that cannot be planned: all of them.
pub fn sources(graph: &Graph, precision: Precision) -> Vec<Source> {
    let mut sources = plan_sources(graph, precision);
    sources.extend(RUNNING);
    sources.sort_unstable_by_key(|source| source.name);
    sources
}

/// What [`sources`] gives, without what is wgpu's: what a plan that is run elsewhere depends on.
pub fn plan_sources(graph: &Graph, precision: Precision) -> Vec<Source> {
    let planned = Plan::new(graph, precision, &Target::unlimited());
    let kernels = planned.map_or_else(|_| Kernel::ALL.to_vec(), |plan| plan.kernels());
    let mut sources: Vec<_> = kernels.into_iter().flat_map(Kernel::sources).collect();
    sources.extend(PLANNING);
    sources.sort_unstable_by_key(|source| source.name);
    sources.dedup();
    sources
}

/// The first WebGPU adapter of the machine.
#[derive(Debug)]
pub struct WgpuDevice {
    identity: Identity,
    target: Target,
    context: Arc<Context>,
}

impl WgpuDevice {
    /// Opens the adapter, or says why there is none.
    pub fn open() -> Result<Self, Error> {
        let (context, identity, target) = adapter::open()?;
        Ok(Self { identity, target, context: Arc::new(context) })
    }

    /// What plans for this device respect.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

impl Device for WgpuDevice {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn supports(&self, op: &Op, precision: Precision) -> Result<(), Error> {
        let half = || self.identity.features.iter().any(|feature| feature == "shader-f16");
        let detail = match Plan::check_precision(precision) {
            Err(detail) => detail,
            Ok(()) if precision == Precision::F16 && !half() => {
                format!("the adapter `{}` lacks shader-f16", self.identity.adapter)
            }
            Ok(()) => return Ok(()),
        };
        Err(Error::Unsupported { device: NAME.into(), op: op.name(), precision, detail })
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        let (graph, weights) = fold(graph, weights)?;
        graph.nodes().iter().try_for_each(|node| self.supports(&node.op, precision))?;
        graph.weights().try_for_each(|(name, of)| weights.check(name, of))?;
        let plan = Plan::new(&graph, precision, &self.target)?;
        let program = WgpuProgram::new(Arc::clone(&self.context), &graph, &weights, plan)?;
        Ok(Box::new(program))
    }
}
