//! Windows that slide over the last two axes: convolutions and maxima.

use super::kernels::ELEMENTS;
use super::lower::Lowering;
use super::plan::word;
use super::schedule::Step;
use super::texts::{Kernel, activation_code};
use crate::{Error, Op, Window};

/// What `struct Params` of every kernel of windows ends with: positions, the plane, and how the window slides.
fn slide(window: &Window, input: &[usize], output: &[usize]) -> Vec<u32> {
    let Window { size, stride, dilation, padding } = window;
    let pairs = [[output[2], output[3]], [input[2], input[3]], *size, *stride, *dilation];
    let before = [padding[0][0], padding[1][0]];
    pairs.into_iter().chain([before]).flatten().map(word).collect()
}

pub(super) fn conv(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
    let node = l.graph.node(step.node);
    let Op::Conv { window, groups, .. } = &node.op else { unreachable!("a convolution") };
    let (x, weight) = (&l.of(node.operands[0]).shape, &l.of(node.operands[1]).shape);
    let header = l
        .header()
        .number("WG", word(ELEMENTS))
        .flag("HAS_BIAS", node.operands.len() > 2)
        .flag("HAS_RESIDUAL", step.residual.is_some())
        .number("FUNCTION", activation_code(step.activation))
        .number("AFTER", activation_code(step.after));
    let total = node.output.len();
    let sizes = [total, weight[0], weight[0] / groups, weight[1], x[1]];
    let mut parameters: Vec<_> = sizes.into_iter().map(word).collect();
    parameters.extend(slide(window, x, &node.output.shape));
    let operands = l.place_all(&node.operands)?;
    let residual = step.residual.map(|residual| l.place(residual)).transpose()?;
    // A binding that the variant does not read still needs a buffer: the input's.
    let or_input = |buffer: Option<usize>| buffer.unwrap_or(operands[0]);
    let (bias, residual) = (or_input(operands.get(2).copied()), or_input(residual));
    let bindings = vec![operands[0], operands[1], bias, residual, output];
    l.dispatch(Kernel::ConvDirect, header, bindings, parameters, total.div_ceil(ELEMENTS));
    Ok(())
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
