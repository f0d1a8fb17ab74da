//! Sums of products: dense layers, batched matrix products, and how they are cut into tiles. Convolutions come here
//! as the products that they are (`windows`).

use super::lower::Lowering;
use super::plan::{Lanes, word};
use super::schedule::Step;
use super::strides::{Views, broadcast};
use super::texts::{Header, Kernel, activation_code};
use crate::{Error, Op, Value};

/// How a product is cut: the constants of `tiles.wgsl` or `gemv.wgsl`.
enum Tile {
    /// `WX` by `WY` invocations with blocks of four by four results, eight by eight if large; `TK` deep.
    Blocks { wx: usize, wy: usize, tk: usize, large: bool },
    /// `WX` by `PARTS` invocations with `ROWS` by `COLUMNS` results.
    Rows { rows: usize, columns: usize, wx: usize, parts: usize },
}

impl Tile {
    fn choose(l: &Lowering<'_>, p: &Product) -> Self {
        let (m, n) = (p.m, p.n);
        if m <= 4 && p.window.is_none() {
            let rows = if m == 1 { 1 } else { 4 };
            // Lanes of a CPU read one by one: four columns share the read of the left operand, and no barrier is
            // the best. A GPU wants many invocations, each of which waits for its reads.
            let (columns, wx, parts) = match l.target.software {
                Some(Lanes::Four) => (4, 4, 1),
                Some(Lanes::Eight) => (4, 8, 1),
                None => (1, 32, 8),
            };
            return Self::Rows { rows, columns, wx, parts };
        }
        if l.target.software == Some(Lanes::Four) {
            // SwiftShader compiles what lies between barriers once per vector of a workgroup, and larger tiles longer
            // yet. Measured in Chromium 156 on [128, 384] · [384, 384] and [384, 1536]: a workgroup of two vectors
            // compiles in 0.6 to 0.9 s and makes 1.4 to 1.6 GFLOP/s, the tile of lavapipe in 2.4 to 2.9 s and 0.8.
            return Self::Blocks { wx: 4, wy: 2, tk: 16, large: true };
        }
        if l.target.software.is_some() {
            // One vector of invocations wide, because that is what a CPU does at once; large blocks, because
            // a read of workgroup memory costs lavapipe a scalar read per lane. A tile of 32 rows that would be half
            // empty is halved where that saves more than it costs to compile one more text.
            let wy = if m <= 16 && n * p.k >= 128 * 1024 { 2 } else { 4 };
            return Self::Blocks { wx: 8, wy, tk: 32, large: true };
        }
        if m * n < 512 * 512 {
            // Few tiles: smaller ones, so that there is work for every core of the GPU.
            return Self::Blocks { wx: 8, wy: 8, tk: 16, large: false };
        }
        Self::Blocks { wx: 16, wy: 8, tk: 16, large: true }
    }

    /// Rows and columns of a tile.
    fn size(&self) -> (usize, usize) {
        match *self {
            Self::Blocks { wx, wy, large, .. } => {
                let block = if large { 8 } else { 4 };
                (wy * block, wx * block)
            }
            Self::Rows { rows, columns, wx, .. } => (rows, columns * wx),
        }
    }

    fn header(&self, header: Header) -> Header {
        match *self {
            Self::Blocks { wx, wy, tk, large } => header
                .number("WX", word(wx))
                .number("WY", word(wy))
                .number("TK", word(tk))
                .flag("LARGE", large),
            Self::Rows { rows, columns, wx, parts } => header
                .number("ROWS", word(rows))
                .number("COLUMNS", word(columns))
                .number("WX", word(wx))
                .number("PARTS", word(parts)),
        }
    }
}

/// A product `[m, k] · [k, n]`, or many, as `product.wgsl` takes it. The left operand is row-major.
pub(super) struct Product {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) left: usize,
    pub(super) right: usize,
    /// How far the right operand moves from one row and from one column to the next.
    pub(super) right_steps: [usize; 2],
    /// The buffer, and how far it moves from one row and from one column of the result to the next.
    pub(super) bias: Option<(usize, [usize; 2])>,
    /// Batches take turns with as many parts of the bias.
    pub(super) groups: usize,
    pub(super) residual: Option<usize>,
    /// Applied before and behind the residual.
    pub(super) functions: [u32; 2],
    /// The batches, and how far both operands move along them, in multiples of `sizes`.
    pub(super) lead: Views<2>,
    pub(super) sizes: [usize; 2],
    /// For a convolution the words that `product.wgsl` has for it; the right operand is its input.
    pub(super) window: Option<Vec<u32>>,
}

pub(super) fn product(
    l: &mut Lowering<'_>,
    op: &Op,
    p: Product,
    output: usize,
) -> Result<(), Error> {
    let tile = Tile::choose(l, &p);
    let rank = p.lead.shape.len();
    if rank > 4 {
        let detail = format!("its leading sizes broadcast over {rank} axes, 4 are supported");
        return Err(l.unsupported(op, detail));
    }
    let header =
        tile.header(l.header()).number("FUNCTION", p.functions[0]).number("AFTER", p.functions[1]);
    let (rows, columns) = tile.size();
    let (tiles_m, tiles_n) = (p.m.div_ceil(rows), p.n.div_ceil(columns));
    let batches: usize = p.lead.shape.iter().product();
    let has = [p.bias.is_some(), p.residual.is_some()].map(usize::from);
    // A binding that is not read still needs a buffer: the left operand's.
    let (bias, bias_steps) = p.bias.unwrap_or((p.left, [0, 0]));
    let sizes = [p.m, p.n, p.k, tiles_m, tiles_n, batches];
    let steps = [p.right_steps, has, bias_steps].into_iter().flatten();
    let mut parameters: Vec<_> =
        sizes.into_iter().chain(steps).chain([p.groups, 0, 0, 0]).map(word).collect();
    let four = |sizes: &[usize], fill: usize, unit: usize| {
        let missing = std::iter::repeat_n(fill, 4 - rank);
        missing.chain(sizes.iter().map(|size| size * unit)).map(word).collect::<Vec<_>>()
    };
    parameters.extend(four(&p.lead.shape, 1, 1));
    parameters.extend(four(&p.lead.strides[0], 0, p.sizes[0]));
    parameters.extend(four(&p.lead.strides[1], 0, p.sizes[1]));
    let kernel = match (&tile, &p.window) {
        (Tile::Rows { .. }, _) => Kernel::Gemv,
        (Tile::Blocks { .. }, None) => Kernel::Matmul,
        (Tile::Blocks { .. }, Some(_)) => Kernel::Conv,
    };
    parameters.extend(p.window.unwrap_or_default());
    let bindings = vec![p.left, p.right, bias, p.residual.unwrap_or(p.left), output];
    l.dispatch(kernel, header, bindings, parameters, tiles_m * tiles_n * batches);
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
        right_steps: if packed.is_some() { [n, 1] } else { [1, k] },
        bias: match node.operands.get(2) {
            Some(&bias) => Some((l.place(bias)?, [0, 1])),
            None => None,
        },
        groups: 1,
        residual: step.residual.map(|residual| l.place(residual)).transpose()?,
        functions: [step.activation, step.after].map(activation_code),
        lead: Views { shape: Vec::new(), strides: [const { Vec::new() }; 2] },
        sizes: [0, 0],
        window: None,
    };
    product(l, &node.op, product_of, output)
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
    let (m, n, k) = (shape[rank - 2], shape[rank - 1], a_shape[a_shape.len() - 1]);
    let mut product_of = Product {
        m,
        n,
        k,
        left: l.place(a)?,
        right: l.place(b)?,
        right_steps: if transpose_right { [1, k] } else { [n, 1] },
        bias: None,
        groups: 1,
        residual: None,
        functions: [0, 0],
        lead,
        sizes: [m * k, k * n],
        window: None,
    };
    // One right matrix under many left ones: these are the rows of one product.
    if product_of.lead.strides[1] == [0] && product_of.lead.strides[0] == [1] {
        product_of.m *= product_of.lead.shape[0];
        product_of.lead = Views { shape: Vec::new(), strides: [const { Vec::new() }; 2] };
    }
    product(l, &node.op, product_of, output)
}
