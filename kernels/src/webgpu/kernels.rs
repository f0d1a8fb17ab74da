//! The dispatches of each op: which variant of which kernel, with which parameters. The order of the
//! parameters is that of `struct Params` in the kernel's text.

use super::lower::Lowering;
use super::plan::word;
use super::schedule::Step;
use super::strides::{MAX_RANK, Views, broadcast, row_major};
use super::texts::{Kernel, activation_code, binary_code, reduction_code, unary_code};
use crate::ops::bias_operand;
use crate::{Error, Kind, Op, Value};

/// Invocations of a workgroup of the kernels that work per element.
const ELEMENTS: usize = 64;

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
        // NEW-OPS: refused by `supports` for now.
        Op::Conv { .. }
        | Op::MaxPool { .. }
        | Op::RmsNorm { .. }
        | Op::GroupNorm { .. }
        | Op::Rotary { .. } => unreachable!("refused by `supports`"),
        Op::Linear { .. } => linear(l, step, output),
        Op::MatMul { transpose_right } => matmul(l, step, *transpose_right, output),
        Op::Attention { .. } => attention(l, step, output),
        Op::Gather => gather(l, operands, output),
        Op::LayerNorm { epsilon } => layer_norm(l, operands, *epsilon, output),
        Op::Softmax => softmax(l, operands[0], output),
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
        Op::Reduce { .. } => reduce(l, step, output),
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

/// The workgroup of a kernel that works per row: enough invocations for the row, and no more.
fn row_invocations(l: &Lowering<'_>, width: usize) -> u32 {
    // A barrier is dear where invocations are lanes of a CPU: one vector of them is best there.
    let most = if l.target.software { 16 } else { 256 };
    word(width.next_power_of_two().clamp(8, most))
}

/// How a matrix product is cut: the constants of `matmul.wgsl`.
struct Tile {
    wx: usize,
    wy: usize,
    tk: usize,
    large: bool,
}

impl Tile {
    fn choose(l: &Lowering<'_>, m: usize, n: usize) -> Self {
        if l.target.software {
            // One vector of invocations wide, because that is what a CPU does at once; large blocks, because
            // a read of workgroup memory costs lavapipe a scalar read per lane; up to 32 rows share a tile.
            let wy = m.div_ceil(8).next_power_of_two().min(4);
            return Self { wx: 8, wy, tk: 32, large: m > 4 };
        }
        if m <= 4 {
            // Few rows: the weight is read once whatever the tile, so spread its columns.
            return Self { wx: 64, wy: 1, tk: 8, large: false };
        }
        if m * n < 512 * 512 {
            // Few tiles: smaller ones, so that there is work for every core of the GPU.
            return Self { wx: 8, wy: 8, tk: 16, large: false };
        }
        Self { wx: 16, wy: 8, tk: 16, large: true }
    }

    /// Rows and columns of a tile.
    fn size(&self) -> (usize, usize) {
        let block = if self.large { 8 } else { 4 };
        (self.wy * block, self.wx * block)
    }
}

/// A matrix product as `matmul.wgsl` takes it.
struct Product {
    m: usize,
    n: usize,
    k: usize,
    left: usize,
    right: usize,
    right_transposed: bool,
    bias: Option<usize>,
    residual: Option<usize>,
    function: u32,
    lead: Views<2>,
}

fn product(l: &mut Lowering<'_>, op: &Op, p: &Product, output: usize) -> Result<(), Error> {
    let tile = Tile::choose(l, p.m, p.n);
    let rank = p.lead.shape.len();
    if rank > 4 {
        let detail = format!("its leading sizes broadcast over {rank} axes, 4 are supported");
        return Err(l.unsupported(op, detail));
    }
    let header = l
        .header()
        .number("WX", word(tile.wx))
        .number("WY", word(tile.wy))
        .number("TK", word(tile.tk))
        .flag("LARGE", tile.large)
        .flag("RIGHT_TRANSPOSED", p.right_transposed)
        .flag("HAS_BIAS", p.bias.is_some())
        .flag("HAS_RESIDUAL", p.residual.is_some())
        .number("FUNCTION", p.function);
    let (rows, columns) = tile.size();
    let (tiles_m, tiles_n) = (p.m.div_ceil(rows), p.n.div_ceil(columns));
    let batches: usize = p.lead.shape.iter().product();
    let sizes = [p.m, p.n, p.k, tiles_m, tiles_n, batches, 0, 0];
    let mut parameters: Vec<_> = sizes.into_iter().map(word).collect();
    let four = |sizes: &[usize], fill: usize| {
        let missing = std::iter::repeat_n(fill, 4 - rank);
        missing.chain(sizes.iter().copied()).map(word).collect::<Vec<_>>()
    };
    parameters.extend(four(&p.lead.shape, 1));
    parameters.extend(four(&p.lead.strides[0], 0));
    parameters.extend(four(&p.lead.strides[1], 0));
    // A binding that the variant does not read still needs a buffer: the left operand's.
    let (bias, residual) = (p.bias.unwrap_or(p.left), p.residual.unwrap_or(p.left));
    let bindings = vec![p.left, p.right, bias, residual, output];
    l.dispatch(Kernel::Matmul, header, bindings, parameters, tiles_m * tiles_n * batches);
    Ok(())
}

fn linear(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let (x, weight) = (node.operands[0], node.operands[1]);
    let (n, k) = (l.of(weight).shape[0], l.of(weight).shape[1]);
    let packed = l.transposed(weight)?;
    let product_of = Product {
        m: l.of(x).len() / k,
        n,
        k,
        left: l.place(x)?,
        right: packed.map_or_else(|| l.place(weight), Ok)?,
        right_transposed: packed.is_none(),
        bias: node.operands.get(2).map(|&bias| l.place(bias)).transpose()?,
        residual: step.residual.map(|residual| l.place(residual)).transpose()?,
        function: activation_code(step.activation),
        lead: Views { shape: Vec::new(), strides: [const { Vec::new() }; 2] },
    };
    product(l, &node.op, &product_of, output)
}

fn matmul(
    l: &mut Lowering<'_>,
    step: &Step,
    transpose_right: bool,
    output: usize,
) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let (a, b) = (node.operands[0], node.operands[1]);
    let shape = &node.output.shape;
    let rank = shape.len();
    let lead = &shape[..rank - 2];
    let own = |value: Value| {
        let own = &l.of(value).shape;
        broadcast(&own[..own.len() - 2], lead)
    };
    let lead = Views { shape: lead.to_vec(), strides: [own(a), own(b)] }.merged();
    let a_shape = &l.of(a).shape;
    let mut product_of = Product {
        m: shape[rank - 2],
        n: shape[rank - 1],
        k: a_shape[a_shape.len() - 1],
        left: l.place(a)?,
        right: l.place(b)?,
        right_transposed: transpose_right,
        bias: None,
        residual: None,
        function: 0,
        lead,
    };
    // One right matrix under many left ones: these are the rows of one product.
    if product_of.lead.strides[1] == [0] && product_of.lead.strides[0] == [1] {
        product_of.m *= product_of.lead.shape[0];
        product_of.lead = Views { shape: Vec::new(), strides: [const { Vec::new() }; 2] };
    }
    product(l, &node.op, &product_of, output)
}

fn attention(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let Op::Attention { heads, kv_heads, scale, causal, mask, bias } = node.op else {
        unreachable!("an attention")
    };
    let (q, k) = (l.of(node.operands[0]), l.of(node.operands[1]));
    let (batch, queries, keys, width) = (q.shape[0], q.shape[1], k.shape[1], q.shape[2] / heads);
    let wk: usize = if width <= 32 { 8 } else { 16 };
    let wq = (64 / wk).min(queries.div_ceil(4).next_power_of_two());
    let header = l
        .header()
        .number("WK", word(wk))
        .number("WQ", word(wq))
        .number("DC", 16)
        .flag("MASK", mask)
        .flag("BIAS", bias)
        .flag("CAUSAL", causal);
    let mut operands = Vec::new();
    for &operand in &node.operands {
        operands.push(l.place(operand)?);
    }
    let mask_buffer = if mask { operands[3] } else { operands[0] };
    let bias_at = bias_operand(mask);
    let bias_buffer = if bias { operands[bias_at] } else { operands[0] };
    let (bias_batch, bias_head) = match bias.then(|| &l.of(node.operands[bias_at]).shape) {
        Some(shape) => {
            let strides = row_major(shape);
            let step = |axis: usize| if shape[axis] == 1 { 0 } else { strides[axis] };
            (step(0), step(1))
        }
        None => (0, 0),
    };
    let (query_tiles, column_tiles) = (queries.div_ceil(4 * wq), width.div_ceil(4 * wk));
    let total = batch * heads * query_tiles * column_tiles;
    let sizes = [batch, queries, keys, heads, heads / kv_heads, width, query_tiles, column_tiles];
    let mut parameters: Vec<_> = sizes.into_iter().map(word).collect();
    parameters.extend([scale.to_bits(), word(bias_batch), word(bias_head), word(total)]);
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

fn layer_norm(
    l: &mut Lowering<'_>,
    operands: &[Value],
    epsilon: f32,
    output: usize,
) -> Result<(), Error> {
    let width = l.of(operands[1]).len();
    let rows = l.of(operands[0]).len() / width;
    let header = l.header().number("WG", row_invocations(l, width));
    let parameters = vec![word(rows), word(width), epsilon.to_bits()];
    let bindings =
        vec![l.place(operands[0])?, l.place(operands[1])?, l.place(operands[2])?, output];
    l.dispatch(Kernel::LayerNorm, header, bindings, parameters, rows);
    Ok(())
}

fn softmax(l: &mut Lowering<'_>, x: Value, output: usize) -> Result<(), Error> {
    let of = l.of(x);
    let width = of.shape[of.shape.len() - 1];
    let rows = of.len() / width;
    let header = l.header().number("WG", row_invocations(l, width));
    let bindings = vec![l.place(x)?, output];
    l.dispatch(Kernel::Softmax, header, bindings, vec![word(rows), word(width)], rows);
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

fn reduce(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let Op::Reduce { op, axis, .. } = node.op else { unreachable!("a reduction") };
    let of = l.of(node.operands[0]);
    let size = of.shape[axis];
    let inner: usize = of.shape[axis + 1..].iter().product();
    let lines = of.len() / size;
    let contiguous = inner == 1 && size >= 32;
    let invocations = if contiguous { row_invocations(l, size) as usize } else { ELEMENTS };
    let header = l
        .header()
        .number("WG", word(invocations))
        .number("FUNCTION", reduction_code(op))
        .flag("CONTIGUOUS", contiguous);
    let parameters = vec![word(lines), word(size), word(inner)];
    let bindings = vec![l.place(node.operands[0])?, output];
    let groups = if contiguous { lines } else { lines.div_ceil(invocations) };
    l.dispatch(Kernel::Reduce, header, bindings, parameters, groups);
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
