//! `operators`: the kernels that a model runs at a shape, as matrix products, rows and pointwise operators with their
//! sizes, and the memory that it takes; what predictions of its time on other devices are made from.

use super::{Format, table};
use crate::catalogue::{MODELS, Model, Origin, find};
use crate::error::Error;
use clap::Parser;
use proofmark_kernels::{
    Activation, BinaryOp, Binding, Graph, Node, Op, Precision, UnaryOp, Value,
};
use serde::Serialize;

/// Shows the kernels that a model runs at a shape, and the memory that it takes, in f32; without a model, which there are.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    /// The model, by name
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The shape, as it stands in case ids; the first that the model is measured at unless given
    #[arg(long, value_name = "SHAPE", requires = "model")]
    shape: Option<Binding>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A kernel with its sizes; those that it does not have are 0.
#[derive(Debug, PartialEq, Serialize)]
struct Kernel {
    /// The op of the graph that it is, or is part of.
    node: String,
    op: &'static str,
    b: usize,
    m: usize,
    n: usize,
    k: usize,
    h: usize,
}

/// A model at a shape.
#[derive(Debug, Serialize)]
struct Outline {
    model: &'static str,
    shape: String,
    parameters: usize,
    /// Of the weights.
    weight_bytes: u64,
    /// Of the values that are alive together, at most, in the order of the graph.
    value_bytes: u64,
    kernels: Vec<Kernel>,
}

/// A model that there is.
#[derive(Debug, PartialEq, Serialize)]
struct Known {
    model: &'static str,
    family: &'static str,
    /// Whether it has the sizes of a published one; others are small ones for tests.
    published: bool,
    /// At which it is shown unless another is asked for; nothing for one that needs to be told.
    shape: Option<String>,
}

fn first_shape(model: &Model) -> Option<Binding> {
    let first = model.shapes.first().map(|shape| crate::catalogue::binding(shape));
    first.or_else(|| model.goldens().next().map(|(_, binding)| binding))
}

fn known() -> Vec<Known> {
    let of = |model: &Model| Known {
        model: model.name,
        family: model.family(),
        published: !matches!(model.origin, Origin::Repository(_)),
        shape: first_shape(model).map(|shape| shape.to_string()),
    };
    MODELS.iter().map(of).collect()
}

fn list(format: Format) {
    let known = known();
    if format == Format::Json {
        println!("{}", serde_json::to_string(&known).expect("only plain data"));
        return;
    }
    let mut table = table::table(&["model", "family", "size", "shape"]);
    for model in known {
        let size = if model.published { "published" } else { "for tests" };
        table.add_row([model.model, model.family, size, model.shape.as_deref().unwrap_or("")]);
    }
    println!("{table}");
}

pub(super) fn run(args: &Args) -> Result<bool, Error> {
    let Some(name) = &args.model else {
        list(args.format);
        return Ok(true);
    };
    let model = find(name)?;
    let binding = args.shape.clone().or_else(|| first_shape(model));
    let binding = binding.ok_or_else(|| {
        Error::Case(format!("find a shape of {}: give one with --shape", model.name))
    })?;
    let checkpoint = model.open()?;
    let graph = checkpoint.graph(&binding)?;
    let outline = Outline {
        model: model.name,
        shape: binding.to_string(),
        parameters: checkpoint.parameters()?,
        weight_bytes: graph.weights().map(|(_, of)| of.bytes(Precision::F32)).sum(),
        value_bytes: value_bytes(&graph),
        kernels: kernels(&graph),
    };
    match args.format {
        Format::Json => {
            println!("{}", serde_json::to_string(&outline).expect("only plain data"));
        }
        Format::Text => print!("{}", text(&outline)),
    }
    Ok(true)
}

fn text(outline: &Outline) -> String {
    let mut table = table::table(&["node", "op", "b", "m", "n", "k", "h"]);
    for kernel in &outline.kernels {
        let size = |size: usize| if size == 0 { String::new() } else { size.to_string() };
        let sizes = [kernel.b, kernel.m, kernel.n, kernel.k, kernel.h].map(size);
        table.add_row([kernel.node.clone(), kernel.op.to_owned()].into_iter().chain(sizes));
    }
    format!(
        "{table}\n{} at {}: {} kernels, {} parameters, {:.1} MB of weights, {:.1} MB of values\n",
        outline.model,
        outline.shape,
        outline.kernels.len(),
        outline.parameters,
        megabytes(outline.weight_bytes),
        megabytes(outline.value_bytes),
    )
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The kernels of a run, in order. What depends on weights alone is computed before it.
fn kernels(graph: &Graph) -> Vec<Kernel> {
    let mut is_fixed: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    let mut kernels = Vec::new();
    for node in graph.nodes() {
        let all_fixed = node.operands.iter().all(|operand| is_fixed[operand.index()]);
        is_fixed.push(if node.op.is_leaf() { node.op.is_fixed() } else { all_fixed });
        if !node.op.is_leaf() && !all_fixed {
            kernels.extend(kernels_of(graph, node));
        }
    }
    kernels
}

/// What a node runs.
fn kernels_of(graph: &Graph, node: &Node) -> Vec<Kernel> {
    let operands = graph.operand_types(node);
    let shape = |place: usize| operands[place].shape.as_slice();
    let out = node.output.shape.as_slice();
    let kernel = |op, [b, m, n, k, h]: [usize; 5]| Kernel {
        node: node.op.name().to_owned(),
        op,
        b,
        m,
        n,
        k,
        h,
    };
    let product = |op, b, m, n, k| kernel(op, [b, m, n, k, 0]);
    let rows = |op, shape: &[usize]| {
        let h = shape.last().copied().unwrap_or(1).max(1);
        kernel(op, [shape.iter().product::<usize>() / h, 0, 0, 0, h])
    };
    match &node.op {
        Op::Input { .. } | Op::Weight { .. } | Op::Scalar { .. } | Op::Constant { .. } => {
            Vec::new()
        }
        Op::Reshape { .. } => Vec::new(),
        Op::Linear { .. } => {
            let [n, k] = [shape(1)[0], shape(1)[1]];
            vec![product("linear", 1, operands[0].len() / k, n, k)]
        }
        Op::MatMul { .. } => {
            let [m, n] = [out[out.len() - 2], out[out.len() - 1]];
            let k = shape(0)[shape(0).len() - 1];
            vec![product("bmm", node.output.len() / (m * n), m, n, k)]
        }
        Op::Conv { groups, .. } => {
            let k: usize = shape(1)[1..].iter().product();
            let (m, n) = (node.output.len() / out[1], out[1] / groups);
            vec![match groups {
                1 => product("linear", 1, m, n, k),
                _ => product("bmm", *groups, m, n, k),
            }]
        }
        Op::Attention { heads, kv_heads, .. } => {
            let (q, k) = (shape(0), shape(1));
            let (batch, query, keys) = (q[0], q[1], k[1]);
            let width = k[2] / kv_heads;
            vec![
                product("bmm", batch * heads, query, keys, width),
                rows("softmax", &[batch, *heads, query, keys]),
                product("bmm", batch * heads, query, width, keys),
            ]
        }
        Op::Softmax => vec![rows("softmax", out)],
        Op::LayerNorm { .. } | Op::RmsNorm { .. } | Op::GroupNorm { .. } => vec![rows("ln", out)],
        Op::Unary(op) => vec![rows(unary(*op), out)],
        Op::Binary(op) => {
            let same = operands.iter().all(|operand| operand.len() == node.output.len());
            vec![rows(binary(*op, same), out)]
        }
        Op::MaxPool { .. } | Op::Reduce { .. } => vec![rows("copy", shape(0))],
        Op::Gather
        | Op::Rotary { .. }
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::ToFloat => vec![rows("copy", out)],
    }
}

/// The nearest of the functions that were measured: memory is what limits them all.
fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Activate(Activation::Relu) => "relu",
        UnaryOp::Activate(_) => "gelu",
        _ => "tanh",
    }
}

/// The operator with a second operand as large as the result, or one that is broadcast.
fn binary(op: BinaryOp, same: bool) -> &'static str {
    match (op, same) {
        (BinaryOp::Mul, true) => "mul",
        (BinaryOp::Mul, false) => "mulu",
        (BinaryOp::Div, true) => "div",
        (BinaryOp::Div, false) => "divu",
        (_, true) => "add",
        (_, false) => "addu",
    }
}

/// The most bytes of values that are alive at once: each from the node that makes it to the last that reads it.
fn value_bytes(graph: &Graph) -> u64 {
    let mut last: Vec<usize> = (0..graph.nodes().len()).collect();
    for (place, node) in graph.nodes().iter().enumerate() {
        for operand in &node.operands {
            last[operand.index()] = place;
        }
    }
    for (_, output) in graph.outputs() {
        last[output.index()] = usize::MAX;
    }
    let bytes = |value: Value| {
        let node = graph.node(value);
        if node.op.is_fixed() { 0 } else { node.output.bytes(Precision::F32) }
    };
    let (mut alive, mut most) = (0, 0);
    for (place, (value, node)) in graph.values().enumerate() {
        alive += bytes(value);
        most = most.max(alive);
        let mut ending: Vec<Value> = node.operands.clone();
        ending.sort_unstable();
        ending.dedup();
        alive -= ending.iter().filter(|v| last[v.index()] == place).map(|v| bytes(*v)).sum::<u64>();
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofmark_kernels::{Builder, Kind};

    /// A dense layer, its ReLU and a sum of the two.
    fn graph() -> Graph {
        let mut b = Builder::new(Binding::default());
        let x = b.input("x", Kind::Float, &[4.into(), 8.into()]).unwrap();
        let weight = b.weight("weight", &[16, 8]).unwrap();
        let y = b.linear(x, weight, None, Activation::Identity).unwrap();
        let z = b.unary(UnaryOp::Activate(Activation::Relu), y).unwrap();
        let sum = b.add(y, z).unwrap();
        b.output("sum", sum).unwrap();
        b.finish().unwrap()
    }

    #[test]
    fn a_graph_is_told_in_kernels() {
        let kernels = kernels(&graph());
        let of = |node: &str, op, [b, m, n, k, h]: [usize; 5]| Kernel {
            node: node.to_owned(),
            op,
            b,
            m,
            n,
            k,
            h,
        };
        let relu = graph().nodes()[3].op.name();
        assert_eq!(
            kernels,
            [
                of("linear", "linear", [1, 4, 16, 8, 0]),
                of(relu, "relu", [4, 0, 0, 0, 16]),
                of("add", "add", [4, 0, 0, 0, 16]),
            ]
        );
    }

    #[test]
    fn models_of_every_family_are_known_by_their_published_sizes() {
        let known = known();
        let families = |published: bool| -> std::collections::BTreeSet<&str> {
            known.iter().filter(|m| !published || m.published).map(|m| m.family).collect()
        };
        assert_eq!(families(true), families(false));
        assert!(known.iter().filter(|m| m.published).all(|m| m.shape.is_some()), "{known:?}");
    }

    #[test]
    fn values_are_counted_while_they_live() {
        // The input is dead after the layer; the layer's result, its ReLU and the sum are alive together.
        assert_eq!(value_bytes(&graph()), 3 * 4 * 16 * 4);
    }

    #[test]
    fn every_model_of_a_published_size_has_kernels() {
        for model in crate::catalogue::MODELS.iter().filter(|model| model.is_seeded()) {
            let shape = crate::catalogue::binding(model.shapes[0]);
            let graph = model.open().unwrap().graph(&shape).unwrap();
            let kernels = kernels(&graph);
            assert!(kernels.iter().any(|kernel| kernel.k > 0), "{}", model.name);
            let sizes = |kernel: &Kernel| match kernel.op {
                "linear" | "bmm" => [kernel.b, kernel.m, kernel.n, kernel.k].iter().all(|s| *s > 0),
                _ => kernel.b > 0 && kernel.h > 0,
            };
            assert!(kernels.iter().all(sizes), "{}", model.name);
            assert!(value_bytes(&graph) > 0);
        }
    }
}
