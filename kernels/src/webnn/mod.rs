//! Plans for WebNN: the calls of a browser's `MLGraphBuilder` that compute a graph, within what the browser says that
//! it can do. Nothing here runs anything: a page follows the script of a [`Plan`]
//! (`harness/browser/page/mlgraph.js`).
//!
//! `lower` says how each op becomes calls; `emit` holds calls to the browser's [`Limits`] and tries other ways, which
//! stand with what they stand in for: `basic`, `movement`, `products`, `windows`, `norms`, `attention`.

mod attention;
mod basic;
mod constants;
mod emit;
mod indices;
mod limits;
mod lower;
mod movement;
mod norms;
mod plan;
mod products;
mod script;
mod windows;

pub use constants::{Content, Origin, Permutation};
pub use limits::Limits;
pub use plan::{Plan, supports};
pub use script::{Argument, Call, Constant, DataType, Input, Operand, Output, Script, Typed};

use crate::device::Source;
use crate::{Graph, Op, Precision};

/// The name in messages.
const NAME: &str = "webnn";

/// Crates whose versions a plan depends on.
pub const CRATES: &[&str] = &["half", "safetensors"];

/// Every method of `MLGraphBuilder` that plans call.
pub const OPERATORS: [&str; 42] = [
    "abs",
    "add",
    "cast",
    "concat",
    "conv2d",
    "div",
    "equal",
    "erf",
    "exp",
    "expand",
    "gather",
    "gatherND",
    "gelu",
    "gemm",
    "identity",
    "layerNormalization",
    "logicalAnd",
    "logicalNot",
    "matmul",
    "max",
    "maxPool2d",
    "min",
    "mul",
    "neg",
    "notEqual",
    "pad",
    "pow",
    "reciprocal",
    "reduceMax",
    "reduceMean",
    "reduceMin",
    "reduceSum",
    "relu",
    "reshape",
    "sigmoid",
    "slice",
    "softmax",
    "sqrt",
    "sub",
    "tanh",
    "transpose",
    "where",
];

macro_rules! own_source {
    ($name:literal) => {
        Source { name: concat!("webnn/", $name), text: include_str!($name) }
    };
}

macro_rules! shared_source {
    ($name:literal) => {
        Source { name: $name, text: include_str!(concat!("../", $name)) }
    };
}

/// The Rust sources that decide what is called, and with what, whatever the graph.
const COMMON: [Source; 14] = [
    shared_source!("bytes.rs"),
    shared_source!("tensor.rs"),
    shared_source!("weights.rs"),
    own_source!("basic.rs"),
    own_source!("constants.rs"),
    own_source!("emit.rs"),
    own_source!("indices.rs"),
    own_source!("limits.rs"),
    own_source!("lower.rs"),
    own_source!("mod.rs"),
    own_source!("movement.rs"),
    own_source!("plan.rs"),
    own_source!("products.rs"),
    own_source!("script.rs"),
];

/// The sources that a plan of this graph depends on, besides the page that follows it. Files of ops that the graph has
/// not are left out.
pub fn sources(graph: &Graph, _: Precision) -> Vec<Source> {
    let mut sources = COMMON.to_vec();
    for node in graph.nodes() {
        match &node.op {
            Op::Attention { .. } => {
                sources.extend([own_source!("attention.rs"), own_source!("norms.rs")]);
            }
            Op::Conv { .. } | Op::MaxPool { .. } => sources.push(own_source!("windows.rs")),
            Op::LayerNorm { .. }
            | Op::RmsNorm { .. }
            | Op::GroupNorm { .. }
            | Op::Softmax
            | Op::Reduce { .. } => sources.push(own_source!("norms.rs")),
            _ => {}
        }
    }
    sources.sort_unstable_by_key(|source| source.name);
    sources.dedup();
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Binding, Builder, Kind};

    #[test]
    fn the_sources_of_all_ops_are_all_files_and_those_of_few_are_fewer() {
        let mut b = Builder::new(Binding::default());
        let x = b.input("x", Kind::Float, &[1.into(), 2.into(), 4.into()]).unwrap();
        let soft = b.softmax(x).unwrap();
        let window = crate::Window::new([1, 1]);
        let plane = b.reshape(soft, &[1, 2, 2, 2]).unwrap();
        let pool = b.max_pool(plane, window).unwrap();
        let attention = Op::Attention {
            heads: 1,
            kv_heads: 1,
            scale: 1.0,
            causal: false,
            mask: false,
            bias: false,
        };
        let attended = b.push(attention, &[x, x, x]).unwrap();
        for (name, value) in [("soft", soft), ("pool", pool), ("attended", attended)] {
            b.output(name, value).unwrap();
        }
        let graph = b.finish().unwrap();
        let names = |graph: &Graph| -> Vec<_> {
            let sources = sources(graph, Precision::F32);
            sources.iter().filter_map(|source| source.name.strip_prefix("webnn/")).collect()
        };
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/webnn");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort_unstable();
        assert_eq!(names(&graph), files);
        let few = names(&graph.with_outputs(&["soft"]).unwrap());
        assert!(!few.contains(&"attention.rs") && few.contains(&"norms.rs"), "{few:?}");
    }
}
