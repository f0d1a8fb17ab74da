//! The CPU device: multi-threaded, with vector instructions that are found at run time.
//!
//! A graph is scheduled (`schedule`: order, fusion, memory), lowered to kernels (`lower`) and run by a team of
//! threads (`team`). Kernels are written once over `pulp` and run at every [`Level`].

mod attention;
mod bytes;
mod constants;
mod conv;
mod decode;
mod dense;
mod elementary;
mod elementwise;
mod filters;
mod forms;
mod gemm;
mod kernel;
mod level;
mod lower;
mod math;
mod memory;
mod movement;
mod panels;
mod patches;
mod pool;
mod program;
mod roof;
mod rows;
mod schedule;
mod sources;
mod team;
mod thin;
mod tile;
mod windows;

pub use level::Level;
pub use sources::{CRATES, sources};

use crate::device::{AdapterClass, Device, Identity, Program, Roof};
use crate::{Error, Graph, Op, Precision, Weights, fold};
use program::CpuProgram;
use std::collections::BTreeMap;
use std::sync::Arc;
use team::Team;

/// The machine's own processor.
#[derive(Debug)]
pub struct CpuDevice {
    identity: Identity,
    team: Arc<Team>,
    level: Level,
}

impl CpuDevice {
    /// Opens the processor with this many threads (all that the process may use if none is given) and the
    /// best instructions that it has.
    pub fn open(threads: Option<usize>) -> Result<Self, Error> {
        Self::open_at(Level::best(), threads)
    }

    /// What [`CpuDevice::open`] would open, without starting a thread.
    pub fn identify(threads: Option<usize>) -> Identity {
        identity(Level::best(), thread_count(threads))
    }

    /// Opens the processor with the instructions of one level; it is an error if they are not here.
    pub fn open_at(level: Level, threads: Option<usize>) -> Result<Self, Error> {
        if !level.is_here() {
            let detail = format!("this processor has no {}", level.name());
            return Err(Error::Absent { device: "cpu".into(), detail });
        }
        let threads = thread_count(threads);
        let team = Arc::new(Team::new(threads)?);
        let identity = identity(level, threads);
        Ok(Self { identity, team, level })
    }
}

fn thread_count(threads: Option<usize>) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    threads.unwrap_or_else(available).max(1)
}

fn identity(level: Level, threads: usize) -> Identity {
    Identity {
        device: "cpu".into(),
        adapter: processor(),
        driver: format!("{} with {threads} threads", level.name()),
        class: AdapterClass::Hardware,
        limits: BTreeMap::from([("threads".to_owned(), threads as u64)]),
        features: Level::ALL.iter().filter(|l| l.is_here()).map(|l| l.name().into()).collect(),
        details: BTreeMap::new(),
    }
}

/// The processor's own name where the system tells it, otherwise its architecture.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

impl Device for CpuDevice {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn supports(&self, op: &Op, precision: Precision) -> Result<(), Error> {
        match precision {
            Precision::F32 | Precision::Bf16 | Precision::Int8 => Ok(()),
            Precision::F16 => Err(Error::Unsupported {
                device: "cpu".into(),
                op: op.name(),
                precision,
                detail: "the CPU device computes in f32, with weights in f32, bf16 or int8".into(),
            }),
        }
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        let (graph, weights) = fold(graph, weights)?;
        for node in graph.nodes() {
            self.supports(&node.op, precision)?;
        }
        let program =
            CpuProgram::new(&graph, &weights, Arc::clone(&self.team), (self.level, precision))?;
        Ok(Box::new(program))
    }

    fn roofs(&self) -> Result<Vec<Roof>, Error> {
        Ok(vec![roof::bandwidth(&self.team, self.level)?, roof::arithmetic(&self.team, self.level)])
    }
}
