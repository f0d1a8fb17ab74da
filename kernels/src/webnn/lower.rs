//! The calls of each op. A node that the browser cannot do in its own formats is tried in wider ones.

use super::emit::{Emitter, Made, Source, call};
use super::script::{DataType, Operand, Typed};
use crate::ops::BinaryOp;
use crate::{Node, Op};

/// Formats and wider ones that hold all their numbers, in the order in which they are tried.
const WIDER: [&[(DataType, DataType)]; 3] = [
    &[(DataType::Float16, DataType::Float32)],
    &[(DataType::Int32, DataType::Int64)],
    &[(DataType::Float16, DataType::Float32), (DataType::Int32, DataType::Int64)],
];

/// Emits a node that is not given, on the values that it takes.
pub(super) fn lower(e: &mut Emitter<'_>, node: &Node, sources: &[Source]) -> Made {
    let made = e.either(|e| op(e, node, sources), |e| widened(e, node, sources, &WIDER))?;
    debug_assert_eq!(*e.type_of(made), Typed::of(&node.output, e.precision), "{:?}", node.op);
    Ok(made)
}

fn widened(
    e: &mut Emitter<'_>,
    node: &Node,
    sources: &[Source],
    ways: &[&[(DataType, DataType)]],
) -> Made {
    let Some((formats, others)) = ways.split_first() else {
        return Err(String::new());
    };
    let wide = |of: DataType| formats.iter().find(|(from, _)| *from == of).map(|(_, to)| *to);
    e.either(
        |e| {
            let mut changed = false;
            let mut converted = Vec::new();
            for source in sources {
                let Some(to) = wide(e.source_type(source).data_type) else {
                    converted.push(source.clone());
                    continue;
                };
                changed = true;
                converted.push(match source {
                    Source::Made(x) => Source::Made(e.cast(*x, to)?),
                    Source::Fixed(fixed) => {
                        let mut fixed = fixed.clone();
                        fixed.of.data_type = to;
                        Source::Fixed(fixed)
                    }
                });
            }
            if !changed {
                return Err(String::new());
            }
            let made = op(e, node, &converted)?;
            e.cast(made, Typed::of(&node.output, e.precision).data_type)
        },
        |e| widened(e, node, sources, others),
    )
}

fn op(e: &mut Emitter<'_>, node: &Node, sources: &[Source]) -> Made {
    match &node.op {
        Op::Input { .. } | Op::Weight { .. } | Op::Scalar { .. } | Op::Constant { .. } => {
            unreachable!("{} is given", node.op.name())
        }
        Op::Linear { activation, .. } => e.linear(sources, *activation),
        Op::MatMul { transpose_right } => e.matmul(&sources[0], &sources[1], *transpose_right),
        Op::Conv { window, groups, activation, .. } => {
            e.conv(sources, (window, *groups), *activation, &node.output.shape)
        }
        Op::Attention { .. } => e.attention(&node.op, sources),
        Op::Gather => {
            let table = e.operand(&sources[0])?;
            let indices = e.operand(&sources[1])?;
            e.gather(table, indices)
        }
        Op::Rotary { heads } => rotary(e, sources, *heads),
        Op::Binary(op) => {
            let a = e.operand(&sources[0])?;
            let b = e.operand(&sources[1])?;
            e.binary(*op, a, b)
        }
        Op::Concat { axis } => {
            let parts = sources.iter().map(|source| e.operand(source)).collect::<Made<Vec<_>>>()?;
            e.concat(&parts, *axis)
        }
        Op::Transpose { order } => e.transposed(&sources[0], order),
        _ => {
            let x = e.operand(&sources[0])?;
            of_one(e, node, x, &sources[1..])
        }
    }
}

/// What works on one value, with what belongs to it.
fn of_one(e: &mut Emitter<'_>, node: &Node, x: Operand, others: &[Source]) -> Made {
    match &node.op {
        Op::MaxPool { window } => e.max_pool(x, window, &node.output.shape),
        Op::LayerNorm { epsilon } => e.layer_norm(x, others, *epsilon),
        Op::RmsNorm { epsilon } => e.rms_norm(x, others, *epsilon),
        Op::GroupNorm { groups, epsilon } => e.group_norm(x, others, (*groups, *epsilon)),
        Op::Softmax => e.softmax(x),
        Op::Unary(op) => e.unary(*op, x),
        Op::Reduce { op, axis, keep } => e.reduced(*op, x, *axis, *keep),
        Op::Reshape { shape } => e.reshape(x, shape),
        Op::Slice { axis, start, end } => e.slice(x, *axis, &(*start..*end)),
        Op::ToFloat => {
            let to = Typed::of(&node.output, e.precision).data_type;
            e.cast(x, to)
        }
        other => unreachable!("{} takes more than one value", other.name()),
    }
}

/// Both halves of every head of `[b, s, heads·d]`, turned by the angles of `[1 or b, s, d/2]`.
fn rotary(e: &mut Emitter<'_>, sources: &[Source], heads: usize) -> Made {
    let x = e.operand(&sources[0])?;
    let shape = e.shape(x);
    let half = shape[2] / heads / 2;
    let by_heads = e.reshape(x, &[shape[0], shape[1], heads, 2 * half])?;
    let a = e.slice(by_heads, 3, &(0..half))?;
    let b = e.slice(by_heads, 3, &(half..2 * half))?;
    let angles = |e: &mut Emitter<'_>, source: &Source| {
        let x = e.operand(source)?;
        let turns = e.type_of(x).shape[0];
        e.reshape(x, &[turns, shape[1], 1, half])
    };
    let (cos, sin) = (angles(e, &sources[1])?, angles(e, &sources[2])?);
    let mut turned = |first: Operand, second: Operand, op: BinaryOp| {
        let first = e.binary(BinaryOp::Mul, first, cos)?;
        let second = e.binary(BinaryOp::Mul, second, sin)?;
        e.binary(op, first, second)
    };
    let left = turned(a, b, BinaryOp::Sub)?;
    let right = turned(b, a, BinaryOp::Add)?;
    let joined = e.concat(&[left, right], 3)?;
    e.reshape(joined, &shape)
}

/// A value under a number of its own that a call makes: what a browser asks of outputs.
pub(super) fn renamed(e: &mut Emitter<'_>, x: Operand) -> Made {
    let of = e.type_of(x).clone();
    e.either(
        |e| e.make(call("identity").on("input", x), of.clone()),
        |e| e.make(call("reshape").on("input", x).with(&*of.shape), of.clone()),
    )
}
