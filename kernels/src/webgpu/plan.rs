//! The plan of a graph: buffers, uploads and dispatches as plain data, without an adapter.
//!
//! A plan can be run by the native device (`run`) or sent to a browser. What is fused and when values die
//! is decided in `schedule`; how one op becomes dispatches in `lower`.

use super::lower::Lowering;
use super::schedule::schedule;
use super::texts::Kernel;
use crate::{Error, Graph, Precision, Tensor, TensorType, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of the parameter block of one dispatch: the largest alignment that WebGPU lets an adapter ask for.
pub const PARAMETER_BYTES: u64 = 256;

/// What a plan must respect and may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The device's name in messages.
    pub device: String,
    /// `maxStorageBufferBindingSize`.
    pub binding_bytes_max: u64,
    /// `maxBufferSize`.
    pub buffer_bytes_max: u64,
    /// `maxComputeWorkgroupsPerDimension`.
    pub workgroups_max: u32,
    /// If the adapter is a program on the CPU: how many invocations it runs at once. It wants other tiles than a GPU.
    pub software: Option<Lanes>,
}

impl Target {
    /// No limits: for questions about a graph that no adapter has to answer.
    pub fn unlimited() -> Self {
        Self {
            device: "webgpu".into(),
            binding_bytes_max: u64::MAX,
            buffer_bytes_max: u64::MAX,
            workgroups_max: 65_535,
            software: None,
        }
    }
}

/// How many invocations a software adapter runs at once: the lanes of its vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lanes {
    /// SwiftShader.
    Four,
    /// lavapipe.
    Eight,
}

impl Lanes {
    /// Of the imitation that goes by this name.
    pub fn of(name: &str) -> Self {
        if name.to_lowercase().contains("swiftshader") { Self::Four } else { Self::Eight }
    }
}

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
}

/// One pipeline: the whole WGSL text with the entry point `main`, and what it binds from binding 1 on.
/// Binding 0 is the dispatch's block of parameters, a uniform.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shader {
    /// The text.
    pub text: String,
    /// Bindings 1, 2, ….
    pub access: Vec<Access>,
}

/// What a buffer is filled with once, before the first run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A weight in the precision of the plan; transposed, `[n, k]` becomes `[k, n]`.
    Weight {
        /// Its name in the checkpoint.
        name: String,
        /// Its type there.
        of: TensorType,
        /// Whether its two axes change places.
        transposed: bool,
    },
    /// One float in the precision of the plan.
    Scalar(f32),
    /// A tensor of the graph, its floats in the precision of the plan. It stands here whole, once however often it
    /// is used, so that a plan needs nothing of the graph that it was made from.
    Constant(Arc<Tensor>),
}

/// A buffer and what it holds in the beginning, if anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Buffer {
    /// Its size, a multiple of four.
    pub bytes: u64,
    /// What is uploaded once.
    pub content: Option<Content>,
}

/// A value that crosses between host and device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Its type.
    pub of: TensorType,
    /// The index of its buffer.
    pub buffer: usize,
}

/// One dispatch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The op, and the weight that it uses where it uses one.
    pub name: String,
    /// The nodes of the graph that its step computes.
    pub nodes: Vec<Value>,
    /// Bytes of the values that live meanwhile.
    pub live_bytes: u64,
    /// The kernel.
    pub kernel: Kernel,
    /// The index of its pipeline.
    pub shader: usize,
    /// Buffers by index, from binding 1 on.
    pub bindings: Vec<usize>,
    /// The block of parameters, in words; its block in the parameter buffer has the dispatch's index.
    pub parameters: Vec<u32>,
    /// Workgroups in x and y.
    pub workgroups: [u32; 2],
}

/// Where gathers report a bad index: per gather a flag and the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The index of the buffer of `i32`.
    pub buffer: usize,
    /// The number of rows that each gather's table has.
    pub rows: Vec<usize>,
}

/// Everything that a graph needs to run on WebGPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The format of floats.
    pub precision: Precision,
    /// Distinct pipelines.
    pub shaders: Vec<Shader>,
    /// All buffers but that of parameters.
    pub buffers: Vec<Buffer>,
    /// What is written before a run.
    pub inputs: Vec<Port>,
    /// What is done, in order.
    pub dispatches: Vec<Dispatch>,
    /// What is read after a run.
    pub outputs: Vec<Port>,
    /// Where gathers report.
    pub status: Option<Status>,
}

impl Plan {
    /// Plans a graph; an error if a tensor does not fit the target or an op is beyond the kernels.
    pub fn new(graph: &Graph, precision: Precision, target: &Target) -> Result<Self, Error> {
        if let Err(detail) = Self::check_precision(precision) {
            let device = target.device.clone();
            return Err(Error::Unsupported { device, op: "a graph", precision, detail });
        }
        let schedule = schedule(graph);
        let mut lowering = Lowering::new(graph, precision, target, &schedule);
        lowering.inputs()?;
        for (index, step) in schedule.steps.iter().enumerate() {
            lowering.step(index, step)?;
        }
        lowering.finish()
    }

    /// Whether WGSL has floats of this precision.
    pub(super) fn check_precision(precision: Precision) -> Result<(), String> {
        match [Precision::F32, Precision::F16].contains(&precision) {
            true => Ok(()),
            false => Err("WebGPU computes in f32 and f16".into()),
        }
    }

    /// The kernels that the plan runs, each once.
    pub fn kernels(&self) -> Vec<Kernel> {
        let mut kernels: Vec<_> = self.dispatches.iter().map(|dispatch| dispatch.kernel).collect();
        kernels.sort_unstable();
        kernels.dedup();
        kernels
    }

    /// Bytes of a value on the device: whole words, because copies move words.
    pub fn bytes(&self, of: &TensorType) -> u64 {
        of.bytes(self.precision).next_multiple_of(4)
    }
}

/// A size as kernels take it. Limits are checked before, so it fits.
pub(super) fn word(size: usize) -> u32 {
    u32::try_from(size).expect("a tensor of more than 2^32 elements was refused")
}
