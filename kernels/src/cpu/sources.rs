//! Which source texts a graph runs on the CPU: what its results depend on besides the crates below.

use crate::device::Source;
use crate::{Graph, Op, Precision};

/// Crates whose versions a result of this device depends on.
pub const CRATES: &[&str] = &["half", "pulp", "rayon", "safetensors"];

macro_rules! source {
    ($file:literal) => {
        Source { name: concat!("cpu/", $file), text: include_str!($file) }
    };
}

/// A source outside of this device that decides what it computes.
macro_rules! shared {
    ($file:literal) => {
        Source { name: $file, text: include_str!(concat!("../", $file)) }
    };
}

/// What every graph runs.
const COMMON: [Source; 16] = [
    shared!("ops/elementwise.rs"),
    shared!("ops/conv.rs"),
    shared!("tensor.rs"),
    shared!("weights.rs"),
    source!("bytes.rs"),
    source!("constants.rs"),
    source!("filters.rs"),
    source!("forms.rs"),
    source!("mod.rs"),
    source!("kernel.rs"),
    source!("level.rs"),
    source!("lower.rs"),
    source!("memory.rs"),
    source!("program.rs"),
    source!("schedule.rs"),
    source!("team.rs"),
];

/// The sources of the kernels that this graph runs here, each once, in the order of their names.
pub fn sources(graph: &Graph, _: Precision) -> Vec<Source> {
    let mut sources = COMMON.to_vec();
    for node in graph.nodes() {
        sources.extend_from_slice(of(&node.op));
    }
    sources.sort_unstable_by_key(|source| source.name);
    sources.dedup();
    sources
}

fn of(op: &Op) -> &'static [Source] {
    match op {
        Op::Input { .. }
        | Op::Weight { .. }
        | Op::Scalar { .. }
        | Op::Constant { .. }
        | Op::Reshape { .. } => &[],
        Op::Conv { .. } => {
            const {
                &[
                    source!("conv.rs"),
                    source!("gemm.rs"),
                    source!("panels.rs"),
                    source!("tile.rs"),
                    source!("elementary.rs"),
                    source!("math.rs"),
                    source!("windows.rs"),
                ]
            }
        }
        Op::MaxPool { .. } => {
            const {
                &[
                    source!("elementary.rs"),
                    source!("math.rs"),
                    source!("pool.rs"),
                    source!("windows.rs"),
                ]
            }
        }
        Op::Linear { .. } | Op::MatMul { .. } => {
            const {
                &[
                    source!("dense.rs"),
                    source!("gemm.rs"),
                    source!("panels.rs"),
                    source!("tile.rs"),
                    source!("elementary.rs"),
                    source!("math.rs"),
                ]
            }
        }
        Op::Attention { .. } => {
            const {
                &[
                    source!("attention.rs"),
                    source!("decode.rs"),
                    source!("gemm.rs"),
                    source!("panels.rs"),
                    source!("tile.rs"),
                    source!("elementary.rs"),
                    source!("math.rs"),
                ]
            }
        }
        Op::LayerNorm { .. }
        | Op::RmsNorm { .. }
        | Op::GroupNorm { .. }
        | Op::Rotary { .. }
        | Op::Softmax => {
            const { &[source!("elementary.rs"), source!("math.rs"), source!("rows.rs")] }
        }
        Op::Unary(_) | Op::Binary(_) | Op::Reduce { .. } | Op::ToFloat => {
            const { &[source!("elementwise.rs"), source!("elementary.rs"), source!("math.rs")] }
        }
        Op::Gather | Op::Transpose { .. } | Op::Slice { .. } | Op::Concat { .. } => {
            const { &[source!("movement.rs")] }
        }
    }
}
