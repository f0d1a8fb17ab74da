//! One run of a checkpoint on an endpoint, outside of any case: what the tools share.

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::targets::{self, TARGETS, Target};
use proofmark::record::DeviceFacts;
use proofmark::{Endpoint, survey};
use proofmark_browser::Fallback;
use proofmark_kernels::{Fallback as Lacking, Graph, Precision, Tensor};

/// The outputs of one run by name, and the device that made them.
#[derive(Debug)]
pub struct Run {
    /// The opened device.
    pub device: DeviceFacts,
    /// What ran elsewhere.
    pub fallbacks: Vec<Lacking>,
    /// Outputs in the order of the graph's.
    pub outputs: Vec<(String, Tensor)>,
}

/// Opens the endpoint and runs once. What the device lacks is an error.
pub fn run(
    target: &Target,
    precision: Precision,
    checkpoint: &Checkpoint,
    graph: &Graph,
    inputs: &[Tensor],
) -> Result<Run, Error> {
    run_with(target, (precision, Fallback::Refused), checkpoint, graph, inputs)
}

/// Opens the endpoint and runs once, with what the device lacks done elsewhere if that is allowed.
pub fn run_with(
    target: &Target,
    (precision, fallback): (Precision, Fallback),
    checkpoint: &Checkpoint,
    graph: &Graph,
    inputs: &[Tensor],
) -> Result<Run, Error> {
    let device = (target.open)(fallback)?;
    for node in graph.nodes() {
        device.supports(&node.op, precision)?;
    }
    let mut program = device.prepare(graph, checkpoint.weights(), precision)?;
    let (found, _) = program.run(inputs)?;
    let names = graph.outputs().iter().map(|(name, _)| name.clone());
    let outputs = names.zip(found.iter().cloned()).collect();
    Ok(Run { device: targets::facts(&*device), fallbacks: program.fallbacks(), outputs })
}

/// The endpoint of this name; one that this suite does not drive is absent, with the reason.
pub fn target(name: &str) -> Result<&'static Target, Error> {
    let unknown = |detail: String| Error::Input { name: "--endpoint".into(), detail };
    let endpoint: Endpoint = name.parse().map_err(unknown)?;
    if let Some(target) = TARGETS.iter().find(|target| target.endpoint == endpoint) {
        return Ok(target);
    }
    if !Endpoint::KNOWN.contains(&endpoint) {
        let known: Vec<_> = Endpoint::KNOWN.iter().map(Endpoint::as_str).collect();
        return Err(unknown(format!("`{name}` is no endpoint: there are {}", known.join(", "))));
    }
    let reason = survey::survey(&endpoint).reason.unwrap_or_default();
    Err(Error::Absent(format!("{endpoint} is absent: {reason}")))
}
