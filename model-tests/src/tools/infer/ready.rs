//! A call that is checked and ready to run, and what comes of it.

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::{self, Run};
use crate::families::{Given, bind, complete};
use crate::targets::Target;
use proofmark_kernels::{Graph, Precision, Tensor};

/// One call of a checkpoint.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    checkpoint: &'a Checkpoint,
    graph: Graph,
    inputs: Vec<Tensor>,
}

impl<'a> Ready<'a> {
    /// Checks what is given; nothing runs.
    pub(super) fn new(checkpoint: &'a Checkpoint, given: Given) -> Result<Self, Error> {
        let architecture = checkpoint.family().architecture();
        let arguments = architecture.arguments();
        let binding = bind(&arguments, |name| given.get(name).map(Tensor::shape))?;
        let given = complete(&arguments, &binding, given)?;
        let binding = architecture.measure(binding, &given)?;
        let graph = checkpoint.graph(&binding)?;
        let inputs = checkpoint.tensors(&graph, &binding, &given)?;
        Ok(Self { checkpoint, graph, inputs })
    }

    /// An error if the model has no output of this name.
    pub(super) fn expect(&self, output: &str, what: &str) -> Result<(), Error> {
        if self.graph.outputs().iter().any(|(name, _)| name == output) {
            return Ok(());
        }
        let detail = format!("this checkpoint has no `{output}`, so it does not tell {what}");
        Err(Error::Input { name: "--model".into(), detail })
    }

    pub(super) fn run(&self, target: &Target, precision: Precision) -> Result<Run, Error> {
        execution::run(target, precision, self.checkpoint, &self.graph, &self.inputs)
    }
}

/// An output by name: its shape and its values.
pub(super) fn output(run: &Run, name: &str) -> Result<(Vec<usize>, Vec<f64>), Error> {
    let found = run.outputs.iter().find(|(other, _)| other == name);
    let (_, tensor) = found.ok_or_else(|| Error::Input {
        name: "--model".into(),
        detail: format!("this checkpoint has no `{name}`"),
    })?;
    let values = tensor.to_f64();
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let detail = format!("element {at} of its `{name}` is {}", values[at]);
        return Err(Error::Input { name: "--model".into(), detail });
    }
    Ok((tensor.shape().to_vec(), values))
}

/// Probabilities of numbers, whose largest is taken away before they are raised, so that nothing overflows.
pub(super) fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<_> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.iter().map(|value| value / sum).collect()
}

/// The index of the largest number, of equals the first.
pub(super) fn likeliest(values: &[f64]) -> usize {
    let larger = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (1..values.len()).fold(0, larger)
}
