//! What is computed in which order: ops that are fused into one step, and when values die.

use crate::{Activation, BinaryOp, Graph, Node, Op, UnaryOp, Value};

/// One op with what is fused behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// The node that is computed.
    pub(super) node: Value,
    /// It and what is fused behind it, in order.
    pub(super) covers: Vec<Value>,
    /// What a dense layer or a convolution applies to its sums.
    pub(super) activation: Activation,
    /// What is added after the activation.
    pub(super) residual: Option<Value>,
    /// What is applied after the residual, if there is one.
    pub(super) after: Activation,
    /// The value that comes out: the node's own, or that of the last fused one.
    pub(super) result: Value,
}

/// The steps of a graph, and what becomes of each value.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) steps: Vec<Step>,
    /// For each value the value whose memory it is: itself, or what a reshape looks at.
    pub(super) root: Vec<Value>,
    /// For each root the last step that reads it; `usize::MAX` for outputs.
    pub(super) last_use: Vec<usize>,
}

/// Orders and fuses the nodes of a graph.
pub(super) fn schedule(graph: &Graph) -> Schedule {
    let users = users(graph);
    let mut fused_into: Vec<Option<Step>> = vec![None; graph.nodes().len()];
    let mut absorbed = vec![false; graph.nodes().len()];
    for (value, node) in graph.values() {
        if matches!(node.op, Op::Linear { .. } | Op::Conv { .. }) && !absorbed[value.index()] {
            let step = fuse(graph, &users, &absorbed, value, node);
            let mut last = value;
            // The chain from the layer to the step's result: all but the result are absorbed.
            while last != step.result {
                absorbed[last.index()] = true;
                last = users[last.index()][0];
            }
            let result = step.result.index();
            fused_into[result] = Some(step);
        }
    }
    let mut steps = Vec::new();
    let mut root: Vec<Value> = Vec::new();
    for (value, node) in graph.values() {
        let alias = matches!(node.op, Op::Reshape { .. });
        root.push(if alias { root[node.operands[0].index()] } else { value });
        if node.op.is_leaf() || alias || absorbed[value.index()] {
            continue;
        }
        let plain = || Step {
            node: value,
            covers: vec![value],
            activation: own_activation(node),
            residual: None,
            after: Activation::Identity,
            result: value,
        };
        steps.push(fused_into[value.index()].take().unwrap_or_else(plain));
    }
    let last_use = last_uses(graph, &steps, &root);
    Schedule { steps, root, last_use }
}

fn own_activation(node: &Node) -> Activation {
    match node.op {
        Op::Linear { activation, .. } | Op::Conv { activation, .. } => activation,
        _ => Activation::Identity,
    }
}

/// For each value the nodes that take it, once per operand; an output counts as one more that is itself.
fn users(graph: &Graph) -> Vec<Vec<Value>> {
    let mut users = vec![Vec::new(); graph.nodes().len()];
    for (value, node) in graph.values() {
        node.operands.iter().for_each(|operand| users[operand.index()].push(value));
    }
    graph.outputs().iter().for_each(|(_, value)| users[value.index()].push(*value));
    users
}

/// A dense layer or a convolution with the activation, the residual and the activation behind it that alone follow it.
fn fuse(graph: &Graph, users: &[Vec<Value>], absorbed: &[bool], value: Value, node: &Node) -> Step {
    let activation = own_activation(node);
    let after = Activation::Identity;
    let covers = vec![value];
    let mut step = Step { node: value, covers, activation, residual: None, after, result: value };
    while let &[user] = users[step.result.index()].as_slice() {
        if user == step.result {
            break;
        }
        let next = graph.node(user);
        match next.op {
            Op::Unary(UnaryOp::Activate(activation)) if step.residual.is_some() => {
                step.after = activation;
                step.covers.push(user);
                step.result = user;
                break;
            }
            Op::Unary(UnaryOp::Activate(activation)) if step.activation == Activation::Identity => {
                step.activation = activation;
            }
            Op::Binary(BinaryOp::Add)
                if step.residual.is_none() && next.output == graph.node(step.result).output =>
            {
                let other = next.operands.iter().find(|operand| **operand != step.result);
                // The other operand is whole memory of the same shape, and no layer that is fused here as well.
                let fits = |other: &&Value| {
                    graph.node(**other).output.shape == next.output.shape
                        && !absorbed[other.index()]
                };
                match other.filter(fits) {
                    Some(&other) => step.residual = Some(other),
                    None => break,
                }
            }
            _ => break,
        }
        step.covers.push(user);
        step.result = user;
    }
    step
}

fn last_uses(graph: &Graph, steps: &[Step], root: &[Value]) -> Vec<usize> {
    let mut last_use = vec![0; root.len()];
    for (index, step) in steps.iter().enumerate() {
        for operand in graph.node(step.node).operands.iter().chain(&step.residual) {
            last_use[root[operand.index()].index()] = index;
        }
    }
    graph.outputs().iter().for_each(|(_, v)| last_use[root[v.index()].index()] = usize::MAX);
    last_use
}
