//! The plan of a graph for one browser: a script for a page, what its constants hold, and which indices the host
//! must look at.

use super::constants::{Content, Origin};
use super::emit::{Emitter, Fixed, Source};
use super::indices::IndexCheck;
use super::limits::Limits;
use super::lower::{lower, renamed};
use super::script::{Input, Operand, Output, Script, Typed};
use crate::bytes::{append, decode};
use crate::{Error, Graph, Node, Op, Precision, Tensor, TensorType, Value, Weights};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything that a graph needs to run on WebNN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What a page follows.
    pub script: Script,
    /// What the script's constants hold, in their order; it stays on the host.
    pub contents: Vec<Content>,
    /// One for each gather.
    checks: Vec<IndexCheck>,
    /// In the order of the graph's outputs.
    outputs: Vec<TensorType>,
}

impl Plan {
    /// Plans a graph within a browser's limits; an error names the first node that cannot be done and what is lacking.
    /// What depends on constants alone is best folded before ([`crate::fold`]): it is computed in every run otherwise.
    pub fn new(graph: &Graph, precision: Precision, limits: &Limits) -> Result<Self, Error> {
        check_precision(precision)?;
        let mut e = Emitter::new(limits, precision);
        let mut sources: Vec<Source> = Vec::with_capacity(graph.nodes().len());
        let mut inputs = Vec::new();
        for (value, node) in graph.values() {
            let label = label(graph, value);
            e.begin(Some(value), label);
            let refused = |why: String| unsupported(graph, value, precision, &why);
            let source = match (fixed(node, precision), &node.op) {
                (Some(fixed), _) => Source::Fixed(fixed),
                (None, Op::Input { name }) => {
                    let of = Typed::of(&node.output, precision);
                    let operand = e.input(of.clone()).map_err(refused)?;
                    inputs.push(Input { name: name.clone(), operand, of, used: false });
                    Source::Made(operand)
                }
                (None, op) => {
                    let own: Vec<_> =
                        node.operands.iter().map(|v| sources[v.index()].clone()).collect();
                    match (op, own.as_slice()) {
                        (Op::Reshape { shape }, [Source::Fixed(fixed)]) => {
                            Source::Fixed(Fixed { of: fixed.of.shaped(&**shape), ..fixed.clone() })
                        }
                        _ => Source::Made(lower(&mut e, node, &own).map_err(refused)?),
                    }
                }
            };
            sources.push(source);
        }
        inputs.sort_by_key(|input| {
            graph.inputs().position(|(name, _)| name == input.name).unwrap_or(usize::MAX)
        });
        let outputs = outputs(&mut e, graph, &sources)?;
        let (script, contents) = finished(e, inputs, outputs);
        Ok(Self {
            script,
            contents,
            checks: IndexCheck::all(graph),
            outputs: graph.outputs().iter().map(|(_, v)| graph.node(*v).output.clone()).collect(),
        })
    }

    /// The bytes of a constant that does not stand in the script, by its index there: little-endian, as many as its
    /// type has. Fails if a weight is missing, is of another type, or does not fit the precision.
    pub fn constant_bytes(&self, index: usize, weights: &Weights) -> Result<Vec<u8>, Error> {
        let of = &self.script.constants[index].of;
        self.contents[index].encode(weights, (of.data_type, self.script.precision))
    }

    /// Looks at the indices of gathers that are the same in every run.
    pub fn check_constants(&self, weights: &Weights) -> Result<(), Error> {
        self.checks.iter().filter(|c| c.is_fixed()).try_for_each(|c| c.check(weights, &[]))
    }

    /// Looks at the indices of gathers that inputs give, which must be those of the graph. A browser would not: it takes
    /// the nearest row that there is.
    pub fn check_indices(&self, weights: &Weights, inputs: &[Tensor]) -> Result<(), Error> {
        self.checks.iter().filter(|c| !c.is_fixed()).try_for_each(|c| c.check(weights, inputs))
    }

    /// The bytes of an input as the page takes them, in the format of its type.
    pub fn input_bytes(&self, input: &Tensor) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(input, self.script.precision, &mut bytes);
        bytes
    }

    /// An output by its index, from the bytes that the page gave: floats as f32 whatever the precision.
    pub fn output(&self, index: usize, bytes: &[u8]) -> Result<Tensor, Error> {
        let (of, needed) = (&self.outputs[index], self.script.outputs[index].of.bytes());
        if bytes.len() as u64 != needed {
            let name = &self.script.outputs[index].name;
            let detail = format!("the output `{name}` has {needed} bytes, {} came", bytes.len());
            return Err(Error::Device { device: super::NAME.into(), detail });
        }
        let mut tensor = Tensor::zeros(of);
        decode(bytes, of.kind, self.script.precision, &mut tensor);
        Ok(tensor)
    }
}

/// Whether one node of a graph can be done within a browser's limits, on operands that are given at run time or fixed
/// as they are in the graph; the error says what is lacking.
pub fn supports(
    graph: &Graph,
    value: Value,
    precision: Precision,
    limits: &Limits,
) -> Result<(), Error> {
    check_precision(precision)?;
    let node = graph.node(value);
    let refused = |why: String| unsupported(graph, value, precision, &why);
    let mut e = Emitter::new(limits, precision);
    let made = if node.op.is_leaf() {
        let of = Typed::of(&node.output, precision);
        let role = if node.op.is_fixed() { "constant" } else { "input" };
        return limits.check_tensor(role, &of).map_err(refused);
    } else {
        let own = node.operands.iter().map(|&operand| stub(&mut e, graph, operand));
        let own = own.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        match own.as_slice() {
            [Source::Fixed(_)] if matches!(node.op, Op::Reshape { .. }) => return Ok(()),
            own => lower(&mut e, node, own).map_err(refused)?,
        }
    };
    // It may have to leave the browser here, if its neighbours are done elsewhere.
    limits.check_tensor("output", e.type_of(made)).map_err(refused)
}

/// An operand of a node that is looked at alone.
fn stub(e: &mut Emitter<'_>, graph: &Graph, value: Value) -> Result<Source, String> {
    let node = graph.node(value);
    if let Some(fixed) = fixed(node, e.precision) {
        return Ok(Source::Fixed(fixed));
    }
    if let (Op::Reshape { shape }, &[from]) = (&node.op, &*node.operands)
        && let Source::Fixed(fixed) = stub(e, graph, from)?
    {
        return Ok(Source::Fixed(Fixed { of: fixed.of.shaped(&**shape), ..fixed }));
    }
    Ok(Source::Made(e.input(Typed::of(&node.output, e.precision))?))
}

/// What is the same in every run.
fn fixed(node: &Node, precision: Precision) -> Option<Fixed> {
    let origin = match &node.op {
        Op::Weight { name } => Origin::Weight { name: name.clone(), of: node.output.clone() },
        Op::Scalar { value } => Origin::Tensor(Arc::new(Tensor::f32([], vec![*value]))),
        Op::Constant { tensor } => Origin::Tensor(Arc::clone(tensor)),
        _ => return None,
    };
    Some(Fixed { origin, of: Typed::of(&node.output, precision) })
}

/// The outputs as a browser takes them: each made by a call, none twice.
fn outputs(e: &mut Emitter<'_>, graph: &Graph, sources: &[Source]) -> Result<Vec<Output>, Error> {
    let mut outputs: Vec<Output> = Vec::new();
    for (name, value) in graph.outputs() {
        let precision = e.precision;
        let refused = |why: String| unsupported(graph, *value, precision, &why);
        e.begin(None, format!("output {name}"));
        let mut operand = e.operand(&sources[value.index()]).map_err(refused)?;
        let is_made = e.calls.iter().any(|call| call.results.contains(&operand));
        let is_taken = outputs.iter().any(|other| other.operand == operand);
        if !is_made || is_taken {
            operand = renamed(e, operand).map_err(refused)?;
        }
        let of = e.type_of(operand).clone();
        e.limits.check_tensor("output", &of).map_err(refused)?;
        outputs.push(Output { name: name.clone(), operand, of });
    }
    Ok(outputs)
}

/// The script without calls and constants that no output needs.
fn finished(
    e: Emitter<'_>,
    mut inputs: Vec<Input>,
    outputs: Vec<Output>,
) -> (Script, Vec<Content>) {
    let mut needed: Vec<bool> = Vec::new();
    let mut need = |operand: Operand, is: bool| {
        if needed.len() <= operand {
            needed.resize(operand + 1, false);
        }
        needed[operand] |= is;
        needed[operand]
    };
    outputs.iter().for_each(|output| _ = need(output.operand, true));
    let mut calls = Vec::new();
    for call in e.calls.into_iter().rev() {
        if call.results.iter().any(|&result| need(result, false)) {
            call.operands().for_each(|operand| _ = need(operand, true));
            calls.push(call);
        }
    }
    calls.reverse();
    inputs.iter_mut().for_each(|input| input.used = need(input.operand, false));
    let kept = e.constants.into_iter().zip(e.contents);
    let (constants, contents) = kept.filter(|(constant, _)| need(constant.operand, false)).unzip();
    (Script { precision: e.precision, inputs, constants, calls, outputs }, contents)
}

fn check_precision(precision: Precision) -> Result<(), Error> {
    if [Precision::F32, Precision::F16].contains(&precision) {
        return Ok(());
    }
    let detail = "WebNN computes in f32 and f16".into();
    Err(Error::Unsupported { device: super::NAME.into(), op: "a graph", precision, detail })
}

fn unsupported(graph: &Graph, value: Value, precision: Precision, why: &str) -> Error {
    let op = graph.node(value).op.name();
    let detail = format!("node {}: {}", value.index(), why);
    Error::Unsupported { device: super::NAME.into(), op, precision, detail }
}

/// The op, and the weight that it uses where it uses one.
fn label(graph: &Graph, value: Value) -> String {
    let node = graph.node(value);
    let mut weights = node.operands.iter().filter_map(|&operand| match &graph.node(operand).op {
        Op::Weight { name } => Some(name),
        _ => None,
    });
    let name = node.op.name();
    weights.next_back().map_or_else(|| name.to_owned(), |weight| format!("{name} {weight}"))
}
