//! The dispatches of each op: which variant of which kernel, with which parameters. The order of the
//! parameters is that of `struct Params` in the kernel's text.
//!
//! Matrix products are in `products`, sliding windows in `windows`, what works per row in `rows`; the rest is here.

use super::lower::Lowering;
use super::plan::{Lanes, word};
use super::schedule::Step;
use super::strides::{MAX_RANK, Views, broadcast, row_major};
use super::texts::{Kernel, binary_code, unary_code};
use super::{products, rows, windows};
use crate::ops::bias_operand;
use crate::{Error, Kind, Op, Value};

/// Invocations of a workgroup of the kernels that work per element.
pub(super) const ELEMENTS: usize = 64;

/// Plans one step whose operands and result have their buffers.
pub(super) fn lower(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let operands = node.operands.as_slice();
    match &node.op {
        Op::Input { .. }
        | Op::Weight { .. }
        | Op::Scalar { .. }
        | Op::Constant { .. }
        | Op::Reshape { .. } => unreachable!("{} makes no step", node.op.name()),
        Op::Linear { .. } => products::linear(l, step, output),
        Op::MatMul { transpose_right } => products::matmul(l, step, *transpose_right, output),
        Op::Conv { .. } => windows::conv(l, step, output),
        Op::MaxPool { window } => windows::max_pool(l, step, window, output),
        Op::Attention { .. } => attention(l, step, output),
        Op::Gather => gather(l, operands, output),
        Op::Rotary { heads } => rotary(l, operands, *heads, output),
        Op::LayerNorm { epsilon } => rows::layer_norm(l, operands, *epsilon, output),
        Op::RmsNorm { epsilon } => rows::rms_norm(l, operands, *epsilon, output),
        Op::GroupNorm { groups, epsilon } => {
            rows::group_norm(l, operands, (*groups, *epsilon), output)
        }
        Op::Softmax => rows::softmax(l, operands[0], output),
        Op::Unary(op) => {
            let total = node.output.len();
            let header =
                l.header().number("WG", word(ELEMENTS)).number("FUNCTION", unary_code(*op));
            let bindings = vec![l.place(operands[0])?, output];
            let groups = total.div_ceil(ELEMENTS);
            l.dispatch(Kernel::Unary, header, bindings, vec![word(total)], groups);
            Ok(())
        }
        Op::Binary(_) => binary(l, step, output),
        Op::Reduce { .. } => rows::reduce(l, step, output),
        Op::Transpose { order } => {
            let from = row_major(&l.of(operands[0]).shape);
            let from = order.iter().map(|&axis| from[axis]).collect();
            copy(l, step, operands[0], (from, 0), (row_major(&node.output.shape), 0), output)
        }
        Op::Slice { axis, start, .. } => {
            let from = row_major(&l.of(operands[0]).shape);
            let first = start * from[*axis];
            copy(l, step, operands[0], (from, first), (row_major(&node.output.shape), 0), output)
        }
        Op::Concat { axis } => {
            let to = row_major(&node.output.shape);
            let mut start = 0;
            for &part in operands {
                let shape = &l.of(part).shape;
                copy(l, step, part, (row_major(shape), 0), (to.clone(), start), output)?;
                start += shape[*axis] * to[*axis];
            }
            Ok(())
        }
        Op::ToFloat => {
            let strides = row_major(&node.output.shape);
            copy(l, step, operands[0], (strides.clone(), 0), (strides, 0), output)
        }
    }
}

fn attention(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let Op::Attention { heads, kv_heads, scale, causal, mask, bias } = node.op else {
        unreachable!("an attention")
    };
    let (q, k) = (l.of(node.operands[0]), l.of(node.operands[1]));
    let (batch, queries, keys, width) = (q.shape[0], q.shape[1], k.shape[1], q.shape[2] / heads);
    let wk: usize = if width <= 32 || l.target.software == Some(Lanes::Four) { 8 } else { 16 };
    // SwiftShader compiles what lies between barriers once per vector of a workgroup: few vectors, short loops.
    let narrow = l.target.software == Some(Lanes::Four);
    // One row of invocations for a step of a decoder; else as many as a workgroup holds.
    let wq = if queries <= 4 || narrow { 1 } else { 64 / wk };
    let depth = if narrow { 8 } else { 16 };
    let header = l
        .header()
        .number("WK", word(wk))
        .number("WQ", word(wq))
        .number("DC", word(depth))
        .flag("ROLLED", l.target.software.is_some());
    let operands = l.place_all(&node.operands)?;
    let mask_buffer = if mask { operands[3] } else { operands[0] };
    let bias_at = bias_operand(mask);
    let bias_buffer = if bias { operands[bias_at] } else { operands[0] };
    let bias_walk = match bias.then(|| &l.of(node.operands[bias_at]).shape) {
        Some(shape) => {
            let strides = row_major(shape);
            [shape[0], strides[0], if shape[1] == 1 { 0 } else { strides[1] }]
        }
        None => [1, 0, 0],
    };
    let (query_tiles, column_tiles) = (queries.div_ceil(4 * wq), width.div_ceil(4 * wk));
    let total = batch * heads * query_tiles * column_tiles;
    let sizes = [batch, queries, keys, heads, heads / kv_heads, width, query_tiles, column_tiles];
    let mut parameters: Vec<_> = sizes.into_iter().map(word).collect();
    parameters.push(scale.to_bits());
    let flags = [mask, bias, causal].map(usize::from);
    let bounds = [depth, wk, 4];
    parameters.extend(bias_walk.into_iter().chain([total]).chain(flags).chain(bounds).map(word));
    let bindings = vec![operands[0], operands[1], operands[2], mask_buffer, bias_buffer, output];
    l.dispatch(Kernel::Attention, header, bindings, parameters, total);
    Ok(())
}

fn gather(l: &mut Lowering<'_>, operands: &[Value], output: usize) -> Result<(), Error> {
    let (table, indices) = (l.of(operands[0]), l.of(operands[1]));
    let (rows, width) = (table.shape[0], table.shape[1]);
    let total = indices.len() * width;
    let slot = l.status_slot(rows);
    let header = l.header().number("WG", word(ELEMENTS));
    let parameters = vec![word(total), word(width), word(rows), slot];
    let bindings = vec![l.place(operands[0])?, l.place(operands[1])?, output];
    l.dispatch(Kernel::Gather, header, bindings, parameters, total.div_ceil(ELEMENTS));
    Ok(())
}

fn rotary(
    l: &mut Lowering<'_>,
    operands: &[Value],
    heads: usize,
    output: usize,
) -> Result<(), Error> {
    let angles = &l.of(operands[1]).shape;
    let (half, rows) = (angles[2], angles[0] * angles[1]);
    let total = l.of(operands[0]).len() / 2;
    let header = l.header().number("WG", word(ELEMENTS));
    let parameters = [total, half, heads, rows].into_iter().map(word).collect();
    let mut bindings = l.place_all(operands)?;
    bindings.push(output);
    l.dispatch(Kernel::Rotary, header, bindings, parameters, total.div_ceil(ELEMENTS));
    Ok(())
}

fn binary(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let Op::Binary(op) = node.op else { unreachable!("a binary op") };
    let (a, b) = (node.operands[0], node.operands[1]);
    let shape = &node.output.shape;
    let strides = [broadcast(&l.of(a).shape, shape), broadcast(&l.of(b).shape, shape)];
    let views = Views { shape: shape.clone(), strides }.merged();
    check_rank(l, &node.op, views.shape.len())?;
    let total = node.output.len();
    let mut parameters = vec![word(total), word(views.shape.len()), 0, 0];
    parameters.extend(views.words());
    let header = l.header().number("WG", word(ELEMENTS)).number("FUNCTION", binary_code(op));
    let bindings = vec![l.place(a)?, l.place(b)?, output];
    l.dispatch(Kernel::Binary, header, bindings, parameters, total.div_ceil(ELEMENTS));
    Ok(())
}

fn check_rank(l: &Lowering<'_>, op: &Op, rank: usize) -> Result<(), Error> {
    if rank <= MAX_RANK {
        return Ok(());
    }
    Err(l.unsupported(op, format!("it walks {rank} axes, {MAX_RANK} are supported")))
}

/// Moves the elements of `x`, or of its part that the result of the step has, from one view to another.
fn copy(
    l: &mut Lowering<'_>,
    step: &Step,
    x: Value,
    (from, from_start): (Vec<usize>, usize),
    (to, to_start): (Vec<usize>, usize),
    output: usize,
) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let shape = match node.op {
        Op::Concat { .. } => l.of(x).shape.clone(),
        _ => node.output.shape.clone(),
    };
    let total: usize = shape.iter().product();
    let views = Views { shape, strides: [from, to] }.merged();
    check_rank(l, &node.op, views.shape.len())?;
    let mut parameters: Vec<_> =
        [total, views.shape.len(), from_start, to_start].into_iter().map(word).collect();
    parameters.extend(views.words());
    let (from_kind, to_kind): (Kind, Kind) = (l.of(x).kind, node.output.kind);
    let header = l
        .header()
        .alias("S", l.element(from_kind))
        .alias("D", l.element(to_kind))
        .number("WG", word(ELEMENTS));
    let bindings = vec![l.place(x)?, output];
    l.dispatch(Kernel::Copy, header, bindings, parameters, total.div_ceil(ELEMENTS));
    Ok(())
}
