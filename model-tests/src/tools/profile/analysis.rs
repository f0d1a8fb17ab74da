//! From timed runs to a profile: steps become ops with their cost, their speed and their distance from the roof.
//!
//! A profile is also the JSON that is printed; its fields are documented in `docs/profile.md`.

use super::measure::{Runs, ns};
use super::roofs;
use proofmark::CaseId;
use proofmark::record::DeviceFacts;
use proofmark_kernels::{Cost, Graph, OpTime, Precision, Roof, Timing, Value};
use serde::Serialize;

/// The version of the JSON.
pub(super) const FORMAT: u32 = 1;
/// The part of the whole that the ops may leave unexplained, on a device that times all of a run.
pub(super) const REMAINDER_MAX: f64 = 0.05;

/// Where the time of a case goes.
#[derive(Debug, Serialize)]
pub(super) struct Profile {
    pub(super) format: u32,
    pub(super) case: CaseId,
    /// The opened device; its mark is the mark of every number here.
    pub(super) device: DeviceFacts,
    /// Timed runs.
    pub(super) runs: usize,
    /// A timed run from inputs to outputs in host memory: the mean of the runs between the quartiles.
    pub(super) whole_ns: u64,
    /// The median of the timed runs.
    pub(super) whole_median_ns: u64,
    /// The median of the runs without timestamps.
    pub(super) plain_median_ns: u64,
    /// The sum of the ops' times.
    pub(super) ops_ns: u64,
    /// The whole less that sum.
    pub(super) remainder_ns: i64,
    pub(super) roofs: Vec<Roof>,
    /// In the order in which they run.
    pub(super) ops: Vec<Row>,
    /// The ops of a kind together, those with most time first.
    pub(super) kinds: Vec<Kind>,
    /// One run, in the middle of all.
    pub(super) timeline: Vec<Span>,
    pub(super) memory: Memory,
}

/// One op, or several that are fused; or work that is no op's.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// The op, and the weight that it uses.
    pub(super) name: String,
    /// The ops of its nodes: `linear+add`.
    pub(super) kind: String,
    /// Indices of its nodes in the graph.
    pub(super) nodes: Vec<usize>,
    /// Steps of the device.
    pub(super) steps: usize,
    #[serde(flatten)]
    pub(super) work: Work,
}

/// All ops of a kind.
#[derive(Debug, Serialize)]
pub(super) struct Kind {
    pub(super) kind: String,
    /// How many.
    pub(super) count: usize,
    #[serde(flatten)]
    pub(super) work: Work,
}

/// Time, what was done in it, and how far that is from the roof.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Work {
    /// The mean of the same runs as the whole's.
    pub(super) time_ns: u64,
    /// The median over all runs; smaller than the mean where something disturbed some of them.
    pub(super) median_ns: u64,
    /// Of the whole.
    pub(super) share: f64,
    /// Floating-point operations; a multiply-add counts as two.
    pub(super) operations: u64,
    /// Bytes if every operand is read once and the result is written once.
    pub(super) bytes: u64,
    /// Attained, by the median; null where that is zero.
    pub(super) operations_per_s: Option<f64>,
    pub(super) bytes_per_s: Option<f64>,
    /// The time that it would take at the roof.
    pub(super) roof_ns: f64,
    /// The roof above it; null if there is nothing to do.
    pub(super) bound: Option<Bound>,
    /// The time at the roof by the median. Above 1 where operands come from a cache.
    pub(super) of_roof: Option<f64>,
}

/// The roof above an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bound {
    /// Its bytes take longer at the roof than its operations.
    Memory,
    /// Its operations do.
    Compute,
}

/// One step of one run.
#[derive(Debug, Serialize)]
pub(super) struct Span {
    pub(super) name: String,
    /// The index of its op in `ops`.
    pub(super) op: usize,
    /// The sum of the steps before it.
    pub(super) start_ns: u64,
    pub(super) time_ns: u64,
    /// Bytes of the values that live meanwhile.
    pub(super) live_bytes: u64,
}

/// Bytes of the plan, and of this process. Null where the system does not tell.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    /// Of the weights that the graph names, in the precision of the case.
    pub(super) weights_bytes: u64,
    /// The most that lives in one step.
    pub(super) live_bytes_max: u64,
    /// The resident set before the device was opened.
    pub(super) resident_before_bytes: Option<u64>,
    /// When the program was ready.
    pub(super) resident_prepared_bytes: Option<u64>,
    /// After the runs.
    pub(super) resident_after_bytes: Option<u64>,
}

/// Steps of one op: their indices.
struct Group<'a> {
    first: &'a OpTime,
    steps: Vec<usize>,
}

impl Profile {
    /// Puts together what was measured. `resident` is before opening, before the runs and after them.
    pub(super) fn new(
        case: &CaseId,
        device: DeviceFacts,
        graph: &Graph,
        precision: Precision,
        runs: &Runs,
        roofs: Vec<Roof>,
        resident: [Option<u64>; 3],
    ) -> Self {
        let steps = runs.typical().map_or(&[][..], |timing| &timing.ops);
        let groups = groups(steps);
        let whole_ns = runs.mean_ns(|timing| ns(timing.whole));
        let best = roofs::best(&roofs);
        let row = |group: &Group<'_>| {
            let time = |timing: &Timing| group.steps.iter().map(|&i| timing.ops[i].time_ns).sum();
            let times = [runs.mean_ns(time), runs.median_ns(time)];
            let cost = cost(graph, &group.first.nodes, precision);
            let work = Work::new(times, whole_ns, cost, best);
            Row::new(group, steps, graph, work)
        };
        let ops: Vec<_> = groups.iter().map(row).collect();
        let ops_ns: u64 = ops.iter().map(|row| row.work.time_ns).sum();
        let weights = graph.weights().map(|(_, of)| of.bytes(precision));
        Self {
            format: FORMAT,
            case: case.clone(),
            device,
            runs: runs.timed.len(),
            whole_ns,
            whole_median_ns: runs.median_ns(|timing| ns(timing.whole)),
            plain_median_ns: runs.plain_median_ns(),
            ops_ns,
            remainder_ns: whole_ns.cast_signed() - ops_ns.cast_signed(),
            roofs,
            kinds: kinds(&ops, whole_ns),
            timeline: timeline(steps, &groups),
            memory: Memory {
                weights_bytes: weights.sum(),
                live_bytes_max: steps.iter().map(|step| step.live_bytes).max().unwrap_or(0),
                resident_before_bytes: resident[0],
                resident_prepared_bytes: resident[1],
                resident_after_bytes: resident[2],
            },
            ops,
        }
    }

    /// The part of the whole that no op explains; negative if the ops sum to more.
    pub(super) fn remainder_share(&self) -> f64 {
        self.remainder_ns as f64 / (self.whole_ns as f64).max(1.0)
    }
}

/// Steps with the same nodes are of one op; those without nodes each stand for themselves.
fn groups(steps: &[OpTime]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let same = |g: &&mut Group<'_>| !step.nodes.is_empty() && g.first.nodes == step.nodes;
        match groups.iter_mut().find(same) {
            Some(group) => group.steps.push(index),
            None => groups.push(Group { first: step, steps: vec![index] }),
        }
    }
    groups
}

/// The cost of nodes that are computed as one: what passes between them is neither written nor read.
fn cost(graph: &Graph, nodes: &[Value], precision: Precision) -> Cost {
    let mut cost: Cost =
        nodes.iter().map(|value| graph.node_cost(graph.node(*value), precision)).sum();
    for value in nodes.iter().rev().skip(1) {
        let bytes = graph.node(*value).output.bytes(precision);
        cost.bytes_written = cost.bytes_written.saturating_sub(bytes);
        cost.bytes_read = cost.bytes_read.saturating_sub(bytes);
    }
    cost
}

impl Row {
    fn new(group: &Group<'_>, steps: &[OpTime], graph: &Graph, work: Work) -> Self {
        // The last step is the op itself; those before it prepare.
        let name = group.steps.last().map_or(&group.first.name, |&step| &steps[step].name);
        let nodes = &group.first.nodes;
        let ops: Vec<_> = nodes.iter().map(|value| graph.node(*value).op.name()).collect();
        Self {
            name: name.clone(),
            kind: if ops.is_empty() { name.clone() } else { ops.join("+") },
            nodes: nodes.iter().map(|value| value.index()).collect(),
            steps: group.steps.len(),
            work,
        }
    }
}

impl Work {
    fn new(
        [time_ns, median_ns]: [u64; 2],
        whole_ns: u64,
        cost: Cost,
        (bandwidth, arithmetic): (f64, f64),
    ) -> Self {
        let bytes = cost.bytes_read + cost.bytes_written;
        let [memory_ns, compute_ns] =
            [bytes as f64 / bandwidth, cost.operations as f64 / arithmetic].map(|s| s * 1e9);
        let bound = if memory_ns > compute_ns { Bound::Memory } else { Bound::Compute };
        Self {
            time_ns,
            median_ns,
            operations: cost.operations,
            bytes,
            roof_ns: memory_ns.max(compute_ns),
            bound: (bytes > 0 || cost.operations > 0).then_some(bound),
            ..Self::default()
        }
        .with_rates(whole_ns)
    }

    /// What follows from the sums.
    fn with_rates(self, whole_ns: u64) -> Self {
        let per_s = |n: f64| (self.median_ns > 0).then(|| n / self.median_ns as f64 * 1e9);
        Self {
            share: self.time_ns as f64 / (whole_ns as f64).max(1.0),
            operations_per_s: per_s(self.operations as f64),
            bytes_per_s: per_s(self.bytes as f64),
            of_roof: self.bound.and(per_s(self.roof_ns * 1e-9)),
            ..self
        }
    }
}

/// Ops of a kind together. Which roof is above a kind is decided by the greater part of its time at the roof.
fn kinds(ops: &[Row], whole_ns: u64) -> Vec<Kind> {
    let mut kinds: Vec<(Kind, f64)> = Vec::new();
    for row in ops {
        let position = kinds.iter().position(|(kind, _)| kind.kind == row.kind);
        let position = position.unwrap_or_else(|| {
            let new = Kind { kind: row.kind.clone(), count: 0, work: Work::default() };
            kinds.push((new, 0.0));
            kinds.len() - 1
        });
        let (kind, memory_ns) = &mut kinds[position];
        kind.count += 1;
        kind.work.time_ns += row.work.time_ns;
        kind.work.median_ns += row.work.median_ns;
        kind.work.operations += row.work.operations;
        kind.work.bytes += row.work.bytes;
        kind.work.roof_ns += row.work.roof_ns;
        if row.work.bound == Some(Bound::Memory) {
            *memory_ns += row.work.roof_ns;
        }
        let more =
            if 2.0 * *memory_ns > kind.work.roof_ns { Bound::Memory } else { Bound::Compute };
        kind.work.bound = kind.work.bound.or(row.work.bound).map(|_| more);
    }
    let finished = |(kind, _): (Kind, f64)| Kind { work: kind.work.with_rates(whole_ns), ..kind };
    let mut kinds: Vec<_> = kinds.into_iter().map(finished).collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.work.time_ns));
    kinds
}

fn timeline(steps: &[OpTime], groups: &[Group<'_>]) -> Vec<Span> {
    let mut start_ns = 0;
    let span = |(index, step): (usize, &OpTime)| {
        let op = groups.iter().position(|group| group.steps.contains(&index)).unwrap_or(0);
        let span = Span {
            name: step.name.clone(),
            op,
            start_ns,
            time_ns: step.time_ns,
            live_bytes: step.live_bytes,
        };
        start_ns += step.time_ns;
        span
    };
    steps.iter().enumerate().map(span).collect()
}
