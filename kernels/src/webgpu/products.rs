//! Matrix products: dense layers and batched products, and how they are cut into tiles.

use super::lower::Lowering;
use super::plan::word;
use super::schedule::Step;
use super::strides::{Views, broadcast};
use super::texts::{Kernel, activation_code};
use crate::{Error, Op, Value};

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
    /// Applied before and behind the residual.
    functions: [u32; 2],
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
        .number("FUNCTION", p.functions[0])
        .number("AFTER", p.functions[1]);
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

pub(super) fn linear(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
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
        functions: [step.activation, step.after].map(activation_code),
        lead: Views { shape: Vec::new(), strides: [const { Vec::new() }; 2] },
    };
    product(l, &node.op, &product_of, output)
}

pub(super) fn matmul(
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
        functions: [0, 0],
        lead,
    };
    // One right matrix under many left ones: these are the rows of one product.
    if product_of.lead.strides[1] == [0] && product_of.lead.strides[0] == [1] {
        product_of.m *= product_of.lead.shape[0];
        product_of.lead = Views { shape: Vec::new(), strides: [const { Vec::new() }; 2] };
    }
    product(l, &node.op, &product_of, output)
}
