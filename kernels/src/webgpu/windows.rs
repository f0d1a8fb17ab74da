//! Windows that slide over the last two axes: convolutions and maxima.

use super::kernels::ELEMENTS;
use super::lower::Lowering;
use super::plan::word;
use super::products::{Product, product};
use super::schedule::Step;
use super::strides::Views;
use super::texts::{Kernel, activation_code};
use crate::{Error, Op, Window};

/// What `struct Params` of every kernel of windows ends with: positions, the plane, and how the window slides.
fn slide(window: &Window, input: &[usize], output: &[usize]) -> Vec<u32> {
    let Window { size, stride, dilation, padding } = window;
    let pairs = [[output[2], output[3]], [input[2], input[3]], *size, *stride, *dilation];
    let before = [padding[0][0], padding[1][0]];
    pairs.into_iter().chain([before]).flatten().map(word).collect()
}

/// What a convolution reads and writes.
struct Conv<'a> {
    window: &'a Window,
    groups: usize,
    /// Shapes of the input, the filters and the result.
    x: &'a [usize],
    filters: &'a [usize],
    result: &'a [usize],
    /// Buffers of the input and the filters.
    from: [usize; 2],
    bias: Option<usize>,
    residual: Option<usize>,
    functions: [u32; 2],
}

/// Up to here `conv.wgsl` divides exactly.
const QUOTIENT_MAX: usize = (1 << 22) - 8;

pub(super) fn conv(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let Op::Conv { window, groups, .. } = &node.op else { unreachable!("a convolution") };
    let operands = l.place_all(&node.operands)?;
    let conv = Conv {
        window,
        groups: *groups,
        x: &l.of(node.operands[0]).shape,
        filters: &l.of(node.operands[1]).shape,
        result: &node.output.shape,
        from: [operands[0], operands[1]],
        bias: operands.get(2).copied(),
        residual: step.residual.map(|residual| l.place(residual)).transpose()?,
        functions: [step.activation, step.after].map(activation_code),
    };
    let m = conv.filters[0] / groups;
    let k: usize = conv.filters[1..].iter().product();
    let n = conv.result[2] * conv.result[3];
    if m < 4 || k.max(n) > QUOTIENT_MAX {
        direct(l, &conv, output);
        return Ok(());
    }
    product(l, &node.op, tiled(&conv, [m, n, k]), output)
}

/// For each image and group the product of the filters `[m, k]` and of what they see `[k, n]`.
fn tiled(conv: &Conv<'_>, [m, n, k]: [usize; 3]) -> Product {
    let Window { size, stride, dilation, padding } = *conv.window;
    let groups = conv.groups;
    // One tap at every position: what the filters see is the input as it lies there.
    let plain = size == [1, 1] && stride == [1, 1] && padding == [[0, 0]; 2];
    let columns = conv.result[3];
    let window = [columns, conv.x[2], conv.x[3], size[0] * size[1], size[1]];
    let slide = [stride, dilation, [padding[0][0], padding[1][0]]].into_iter().flatten();
    let mut window: Vec<_> = window.into_iter().chain(slide).map(word).collect();
    #[expect(clippy::cast_precision_loss, reason = "they are below 2^22")]
    let inverse = |size: usize| (1.0 / size as f32).to_bits();
    window.extend([columns, size[0] * size[1], size[1]].map(inverse));
    Product {
        m,
        n,
        k,
        left: conv.from[1],
        right: conv.from[0],
        right_steps: [n, 1],
        bias: conv.bias.map(|bias| (bias, [1, 0])),
        groups,
        residual: conv.residual,
        functions: conv.functions,
        lead: Views { shape: vec![conv.x[0], groups], strides: [vec![0, 1], vec![groups, 1]] }
            .merged(),
        sizes: [m * k, conv.filters[1] * conv.x[2] * conv.x[3]],
        window: (!plain).then_some(window),
    }
}

fn direct(l: &mut Lowering<'_>, conv: &Conv<'_>, output: usize) {
    let header = l
        .header()
        .number("WG", word(ELEMENTS))
        .flag("HAS_BIAS", conv.bias.is_some())
        .flag("HAS_RESIDUAL", conv.residual.is_some())
        .number("FUNCTION", conv.functions[0])
        .number("AFTER", conv.functions[1]);
    let total: usize = conv.result.iter().product();
    let out = conv.filters[0];
    let sizes = [total, out, out / conv.groups, conv.filters[1], conv.x[1]];
    let mut parameters: Vec<_> = sizes.into_iter().map(word).collect();
    parameters.extend(slide(conv.window, conv.x, conv.result));
    let [x, filters] = conv.from;
    // A binding that the variant does not read still needs a buffer: the input's.
    let bindings = vec![x, filters, conv.bias.unwrap_or(x), conv.residual.unwrap_or(x), output];
    l.dispatch(Kernel::ConvDirect, header, bindings, parameters, total.div_ceil(ELEMENTS));
}

pub(super) fn max_pool(
    l: &mut Lowering<'_>,
    step: &Step,
    window: &Window,
    output: usize,
) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let x = node.operands[0];
    let total = node.output.len();
    let header = l.header().number("WG", word(ELEMENTS));
    let mut parameters = vec![word(total)];
    parameters.extend(slide(window, &l.of(x).shape, &node.output.shape));
    let bindings = vec![l.place(x)?, output];
    l.dispatch(Kernel::MaxPool, header, bindings, parameters, total.div_ceil(ELEMENTS));
    Ok(())
}
