//! The boundary between graphs and hardware: what a device says of itself, and what it does.

use crate::{Error, Graph, Op, Precision, Tensor, Value, Weights};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether an adapter is the hardware that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterClass {
    /// The hardware itself.
    Hardware,
    /// A program on the CPU that imitates it (lavapipe, SwiftShader, WARP).
    Software,
}

/// What an opened device says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The device kind: `cpu`, `webgpu`.
    pub device: String,
    /// The adapter's own name: the CPU's model, the GPU's name.
    pub adapter: String,
    /// The driver and its version; what a result depends on below us.
    pub driver: String,
    /// Whether the adapter is the hardware.
    pub class: AdapterClass,
    /// Limits and sizes by the adapter's own names, in its own units.
    pub limits: BTreeMap<String, u64>,
    /// Capabilities by the adapter's own names, in order.
    pub features: Vec<String>,
    /// What else is known of where graphs run, by name: a browser and its version, flags, evidence for the class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// One source text that a prepared graph runs: its digest is part of the fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's name below `kernels/src`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The device time of one step in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpTime {
    /// Op name, and the weight it uses where it uses one.
    pub name: String,
    /// The nodes that it computes, in order: one, or several that are fused. Steps of one op (the packing before a
    /// product, the parts of a join) have the same nodes. None: work that is no op's, such as reading the inputs.
    pub nodes: Vec<Value>,
    /// Time on the device.
    pub time_ns: u64,
    /// Bytes of the values that live during the step: inputs, results, packed operands. Constants are not counted.
    pub live_bytes: u64,
}

/// What a device can do at most, as a test on that device attained it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roof {
    /// What is limited.
    pub limit: Limit,
    /// The test, with its sizes.
    pub test: String,
    /// The best of its rounds: bytes or operations per second.
    pub per_s: f64,
}

/// What a [`Roof`] limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// Bytes between memory and the processor.
    Bandwidth,
    /// Floating-point operations; a multiply-add counts as two.
    Arithmetic,
}

/// What one run took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timing {
    /// From the inputs in host memory to the outputs in host memory.
    pub whole: Duration,
    /// Device time per step in order, where the device can tell; empty where it cannot.
    pub ops: Vec<OpTime>,
}

/// A node that the device could not compute and that another place computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The op, and the weight it uses where it uses one.
    pub op: String,
    /// What the device lacks for it.
    pub why: String,
    /// Where it ran: a device's name.
    pub to: String,
}

/// Hardware (or its imitation) that can run graphs.
pub trait Device {
    /// Who this is. Known once the device is open; never a guess.
    fn identity(&self) -> &Identity;

    /// Whether one op can be computed here in this precision; the error says what is lacking.
    fn supports(&self, op: &Op, precision: Precision) -> Result<(), Error>;

    /// Compiles `graph` and places its weights, so that only inputs move afterwards.
    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error>;

    /// Measures what the device can do at most, by tests below its graphs. Takes about a second.
    /// Empty where the device has no such tests; graphs show then what it attains.
    fn roofs(&self) -> Result<Vec<Roof>, Error> {
        Ok(Vec::new())
    }

    /// What opening the device took, stage by stage, where it has stages (a browser has: start, page, adapter).
    fn stages(&self) -> Vec<(String, Duration)> {
        Vec::new()
    }
}

/// A device that several hold.
impl<D: Device + ?Sized> Device for Arc<D> {
    fn identity(&self) -> &Identity {
        (**self).identity()
    }

    fn supports(&self, op: &Op, precision: Precision) -> Result<(), Error> {
        (**self).supports(op, precision)
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        (**self).prepare(graph, weights, precision)
    }

    fn roofs(&self) -> Result<Vec<Roof>, Error> {
        (**self).roofs()
    }

    fn stages(&self) -> Vec<(String, Duration)> {
        (**self).stages()
    }
}

/// A graph with its weights, ready to run on one device.
pub trait Program {
    /// Runs once. `inputs` are in the order of [`Graph::inputs`]; the result is in the order of
    /// [`Graph::outputs`], floats as f32 whatever the precision.
    /// The output tensors belong to the program and are overwritten by the next run.
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error>;

    /// Runs `count` times, one after the other, and says how long all of them took.
    /// A device whose clock is coarse, or far away, takes one time around all.
    fn run_times(&mut self, inputs: &[Tensor], count: u64) -> Result<Duration, Error> {
        (0..count).map(|_| self.run(inputs).map(|(_, time)| time)).sum()
    }

    /// What preparing the program, its first run and its latest runs took, stage by stage, where it can tell.
    fn stages(&self) -> Vec<(String, Duration)> {
        Vec::new()
    }

    /// The most memory that was seen to be held where the work is done, in bytes, if that is not this process.
    fn peak_memory_bytes(&self) -> Option<u64> {
        None
    }

    /// Parts of the graph that ran elsewhere, because they were allowed to: each names its op.
    fn fallbacks(&self) -> Vec<Fallback> {
        Vec::new()
    }

    /// Runs once with a timestamp around every step; slower. Empty times where the device cannot.
    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Timing, Error>;
}
