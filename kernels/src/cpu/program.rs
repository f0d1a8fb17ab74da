//! A prepared graph on the CPU: its memory, its steps, and a run of them.

use super::kernel::{Context, Fault};
use super::level::Level;
use super::lower::{Lowered, lower};
use super::memory::{ALIGNMENT, Floats, Memory, Place, Slot};
use super::team::{Steps, Team};
use crate::device::{OpTime, Program, Timing};
use crate::{Data, Error, Graph, Precision, Tensor, Weights, clock};
use std::sync::Arc;
use std::time::Duration;

/// A graph with its weights, packed and placed.
pub(super) struct CpuProgram {
    graph: Graph,
    team: Arc<Team>,
    level: Level,
    lowered: Lowered,
    steps: Steps,
    /// The threads' own parts, and the length of each.
    scratch: Floats,
    scratch_len: usize,
    outputs: Vec<Tensor>,
    fault: Fault,
}

impl CpuProgram {
    pub(super) fn new(
        graph: &Graph,
        weights: &Weights,
        team: Arc<Team>,
        (level, precision): (Level, Precision),
    ) -> Result<Self, Error> {
        let lowered = lower(graph, weights, level, precision)?;
        let steps = Steps::new(lowered.kernels.iter().map(|kernel| kernel.tasks()).collect());
        let most = lowered.kernels.iter().map(|kernel| kernel.scratch()).max().unwrap_or(0);
        let scratch_len = most.next_multiple_of(ALIGNMENT);
        let scratch = team.threads().saturating_mul(scratch_len);
        let scratch = Floats::zeroed(scratch, "what the threads keep for themselves")?;
        let outputs = graph.outputs().iter().map(|(_, v)| Tensor::zeros(&graph.node(*v).output));
        Ok(Self {
            graph: graph.clone(),
            level,
            steps,
            scratch,
            scratch_len,
            outputs: outputs.collect(),
            fault: Fault::default(),
            team,
            lowered,
        })
    }

    fn execute(&mut self, inputs: &[Tensor]) -> Result<(), Error> {
        self.graph.check_inputs(inputs)?;
        let memory = Memory::new(&mut self.lowered.arena, &self.lowered.constants);
        let scratch = Memory::new(&mut self.scratch, &self.lowered.constants);
        for (tensor, slot) in inputs.iter().zip(&self.lowered.inputs) {
            // SAFETY: no thread of the team runs yet.
            let place = unsafe { memory.part(*slot, 0..slot.len) };
            place_input(tensor, place);
        }
        let context = Context { memory, level: self.level, fault: &self.fault };
        let (kernels, len) = (&self.lowered.kernels, self.scratch_len);
        self.team.run(&mut self.steps, |thread, step, task| {
            let own = Slot { place: Place::Arena, offset: thread * len, len };
            // SAFETY: the scratch is this thread's; the schedule keeps reads and writes apart, and the team
            // runs each task once and no two steps at a time.
            unsafe { kernels[step].run(&context, task, scratch.part(own, 0..len)) };
        });
        if let Some((index, rows)) = self.fault.take() {
            return Err(Error::bad_index(index, rows));
        }
        for (tensor, slot) in self.outputs.iter_mut().zip(&self.lowered.outputs) {
            // SAFETY: the team has finished.
            unsafe {
                match tensor.data_mut() {
                    Data::F32(values) => values.copy_from_slice(memory.floats(*slot)),
                    Data::I32(values) => values.copy_from_slice(memory.indices(*slot)),
                    Data::F16(_) => unreachable!("outputs are made as f32"),
                }
            }
        }
        Ok(())
    }
}

impl CpuProgram {
    /// The times between the marks of a run: reading the inputs, waking the threads, every step, giving the outputs.
    fn times(&self, marks: &[u64]) -> Vec<OpTime> {
        let steps = &self.lowered.steps;
        // What is no step has the values beside it: the first ones before, the last ones after.
        let first = steps.first().map_or(0, |step| step.live_bytes);
        let last = steps.last().map_or(0, |step| step.live_bytes);
        let other = |name: &str, live_bytes| (name.to_owned(), Vec::new(), live_bytes);
        let before = [other("read the inputs", first), other("wake the threads", first)];
        let steps = steps.iter().map(|s| (s.name.clone(), s.nodes.clone(), s.live_bytes));
        let all = before.into_iter().chain(steps).chain([other("give the outputs", last)]);
        let starts = std::iter::once(0).chain(marks.iter().copied());
        let times = marks.iter().zip(starts).map(|(end, start)| end - start);
        all.zip(times)
            .map(|((name, nodes, live_bytes), time_ns)| OpTime { name, nodes, time_ns, live_bytes })
            .collect()
    }
}

/// Indices keep their bits; halves are widened.
fn place_input(tensor: &Tensor, place: &mut [f32]) {
    match tensor.data() {
        Data::F32(values) => place.copy_from_slice(values),
        Data::F16(values) => {
            place.iter_mut().zip(values).for_each(|(to, from)| *to = from.to_f32());
        }
        Data::I32(values) => {
            place.iter_mut().zip(values).for_each(|(to, &from)| {
                *to = f32::from_bits(from.cast_unsigned());
            });
        }
    }
}

impl Program for CpuProgram {
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error> {
        let (result, time) = clock::timed(|| self.execute(inputs));
        result?;
        Ok((&self.outputs, time))
    }

    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Timing, Error> {
        let ((result, end), whole) = clock::timed(|| {
            let watch = clock::start();
            self.steps.watch = Some(watch);
            (self.execute(inputs), watch.nanoseconds())
        });
        self.steps.watch = None;
        result?;
        let marks: Vec<_> = self.steps.marks().chain([end]).collect();
        Ok(Timing { whole, ops: self.times(&marks) })
    }
}
