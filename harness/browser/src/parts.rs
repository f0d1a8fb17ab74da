//! A program in parts on two devices, one after the other: what one of them lacks runs on the other, and is told.

use proofmark_kernels::{Error, Fallback, Graph, Part, Program, Tensor, Timing, run_parts};
use std::time::Duration;

/// Parts of a graph with a program for each.
pub(crate) struct PartsProgram {
    graph: Graph,
    parts: Vec<Part>,
    programs: Vec<Box<dyn Program>>,
    fallbacks: Vec<Fallback>,
    outputs: Vec<Tensor>,
}

impl PartsProgram {
    /// The programs are those of the parts, in their order.
    pub(crate) fn new(
        graph: Graph,
        parts: Vec<Part>,
        programs: Vec<Box<dyn Program>>,
        fallbacks: Vec<Fallback>,
    ) -> Self {
        Self { graph, parts, programs, fallbacks, outputs: Vec::new() }
    }
}

impl Program for PartsProgram {
    /// The time is the sum over the parts: what crosses between them waits in host memory meanwhile.
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error> {
        let mut whole = Duration::ZERO;
        let programs = &mut self.programs;
        self.outputs = run_parts(&self.graph, &self.parts, inputs, |part, inputs| {
            let (outputs, time) = programs[part].run(inputs)?;
            whole += time;
            Ok(outputs.to_vec())
        })?;
        Ok((&self.outputs, whole))
    }

    fn stages(&self) -> Vec<(String, Duration)> {
        let stages = self.programs.iter().enumerate().flat_map(|(part, program)| {
            let named = program.stages().into_iter();
            named.map(move |(name, time)| (format!("part-{part}-{name}"), time))
        });
        stages.collect()
    }

    fn peak_memory_bytes(&self) -> Option<u64> {
        self.programs.iter().filter_map(|program| program.peak_memory_bytes()).max()
    }

    fn fallbacks(&self) -> Vec<Fallback> {
        self.fallbacks.clone()
    }

    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Timing, Error> {
        let (_, whole) = self.run(inputs)?;
        Ok(Timing { whole, ops: Vec::new() })
    }
}
