//! A device that follows WebNN plans here, without a browser: every test of this binary runs through the planner.
//!
//! `calls` computes what each call means by the standard's definition, in f64, and rounds the result to the call's
//! format. `limits` has what one real browser said of itself, and poorer ones; `planner` looks at plans themselves.

mod calls;
mod limits;
mod planner;
mod splits;

pub(crate) use limits::{chromium, poor};

use calls::Held;
use proofmark_kernels::webnn::{Limits, Plan, Script};
use proofmark_kernels::{
    AdapterClass, Device, Error, Graph, Identity, Op, Precision, Program, Tensor, Timing, Weights,
    fold,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A browser that is none.
#[derive(Debug)]
pub(crate) struct PlanDevice {
    identity: Identity,
    limits: Limits,
}

impl PlanDevice {
    /// What follows plans within these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        let identity = Identity {
            device: "webnn".into(),
            adapter: "an interpreter of plans".into(),
            driver: "f64".into(),
            class: AdapterClass::Software,
            limits: BTreeMap::new(),
            features: Vec::new(),
            details: BTreeMap::new(),
        };
        Self { identity, limits }
    }
}

impl Device for PlanDevice {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn supports(&self, _: &Op, _: Precision) -> Result<(), Error> {
        Ok(())
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        let (graph, weights) = fold(graph, weights)?;
        let plan = Plan::new(&graph, precision, &self.limits)?;
        plan.check_constants(&weights)?;
        let contents = contents(&plan, &weights)?;
        Ok(Box::new(Followed { graph, weights, plan, contents, outputs: Vec::new() }))
    }
}

/// The bytes of every constant, as a page gets them.
pub(crate) fn contents(plan: &Plan, weights: &Weights) -> Result<Vec<Vec<u8>>, Error> {
    let bytes =
        |(index, constant): (usize, &proofmark_kernels::webnn::Constant)| match &constant.inline {
            Some(bytes) => Ok(bytes.clone()),
            None => plan.constant_bytes(index, weights),
        };
    plan.script.constants.iter().enumerate().map(bytes).collect()
}

struct Followed {
    graph: Graph,
    weights: Weights,
    plan: Plan,
    contents: Vec<Vec<u8>>,
    outputs: Vec<Tensor>,
}

impl Program for Followed {
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error> {
        let begin = Instant::now();
        self.graph.check_inputs(inputs)?;
        self.plan.check_indices(&self.weights, inputs)?;
        let inputs: Vec<_> = inputs.iter().map(|input| self.plan.input_bytes(input)).collect();
        let outputs = follow(&self.plan.script, &self.contents, &inputs);
        let outputs = outputs.iter().enumerate().map(|(at, bytes)| self.plan.output(at, bytes));
        self.outputs = outputs.collect::<Result<_, _>>()?;
        Ok((&self.outputs, begin.elapsed()))
    }

    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Timing, Error> {
        let (_, whole) = self.run(inputs)?;
        Ok(Timing { whole, ops: Vec::new() })
    }
}

/// Does what a page does with a script: the bytes of the outputs for those of the constants and inputs.
fn follow(script: &Script, contents: &[Vec<u8>], inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut held: BTreeMap<usize, Held> = BTreeMap::new();
    for (input, bytes) in script.inputs.iter().zip(inputs) {
        assert!(held.insert(input.operand, Held::read(&input.of, bytes)).is_none());
    }
    for (constant, bytes) in script.constants.iter().zip(contents) {
        assert!(held.insert(constant.operand, Held::read(&constant.of, bytes)).is_none());
    }
    for call in &script.calls {
        let results = calls::compute(call, &held);
        assert_eq!(results.len(), call.results.len(), "{call:?}");
        for (&operand, result) in call.results.iter().zip(results) {
            assert!(held.insert(operand, result).is_none(), "{operand} is made twice");
        }
    }
    let written = script.outputs.iter().map(|output| {
        let value = &held[&output.operand];
        assert_eq!(value.of, output.of, "{}", output.name);
        value.write()
    });
    written.collect()
}
