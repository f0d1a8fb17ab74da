//! What works per row: normalisations, softmax, and reductions of one axis.

use super::kernels::ELEMENTS;
use super::lower::Lowering;
use super::plan::{Lanes, word};
use super::schedule::Step;
use super::texts::{Kernel, reduction_code};
use crate::{Error, Op, Value};

/// The workgroup of a kernel that works per row: enough invocations for the row, and no more.
fn row_invocations(l: &Lowering<'_>, width: usize) -> u32 {
    // A barrier is dear where invocations are lanes of a CPU: one vector of them is best there.
    let (least, most) = match l.target.software {
        Some(Lanes::Four) => (4, 4),
        Some(Lanes::Eight) => (8, 16),
        None => (8, 256),
    };
    word(width.next_power_of_two().clamp(least, most))
}

/// A normalisation as `norm.wgsl` takes it.
struct Norm {
    rows: usize,
    width: usize,
    epsilon: f32,
    /// By the root mean square: no mean and no shift.
    rms: bool,
    /// Rows of one example and neighbours that share a scale, if not every row has the same scales.
    channels: Option<[usize; 2]>,
}

fn norm(l: &mut Lowering<'_>, norm: &Norm, operands: &[Value], output: usize) -> Result<(), Error> {
    let header = l
        .header()
        .number("WG", row_invocations(l, norm.width))
        .flag("RMS", norm.rms)
        .flag("CHANNELS", norm.channels.is_some());
    let mut parameters = vec![word(norm.rows), word(norm.width), norm.epsilon.to_bits()];
    parameters.extend(norm.channels.unwrap_or([1, 1]).map(word));
    let bindings = l.place_all(operands)?;
    // Without a shift its binding still needs a buffer: that of the scale.
    let (x, weight) = (bindings[0], bindings[1]);
    let bias = bindings.get(2).copied().unwrap_or(weight);
    l.dispatch(Kernel::Norm, header, vec![x, weight, bias, output], parameters, norm.rows);
    Ok(())
}

pub(super) fn layer_norm(
    l: &mut Lowering<'_>,
    operands: &[Value],
    epsilon: f32,
    output: usize,
) -> Result<(), Error> {
    let width = l.of(operands[1]).len();
    let rows = l.of(operands[0]).len() / width;
    norm(l, &Norm { rows, width, epsilon, rms: false, channels: None }, operands, output)
}

pub(super) fn rms_norm(
    l: &mut Lowering<'_>,
    operands: &[Value],
    epsilon: f32,
    output: usize,
) -> Result<(), Error> {
    let width = l.of(operands[1]).len();
    let rows = l.of(operands[0]).len() / width;
    norm(l, &Norm { rows, width, epsilon, rms: true, channels: None }, operands, output)
}

pub(super) fn group_norm(
    l: &mut Lowering<'_>,
    operands: &[Value],
    (groups, epsilon): (usize, f32),
    output: usize,
) -> Result<(), Error> {
    let x = l.of(operands[0]);
    let rows = x.shape[0] * groups;
    let width = x.len() / rows;
    let inner: usize = x.shape[2..].iter().product();
    let channels = Some([groups, inner]);
    norm(l, &Norm { rows, width, epsilon, rms: false, channels }, operands, output)
}

pub(super) fn softmax(l: &mut Lowering<'_>, x: Value, output: usize) -> Result<(), Error> {
    let of = l.of(x);
    let width = of.shape[of.shape.len() - 1];
    let rows = of.len() / width;
    let header = l.header().number("WG", row_invocations(l, width));
    let bindings = vec![l.place(x)?, output];
    l.dispatch(Kernel::Softmax, header, bindings, vec![word(rows), word(width)], rows);
    Ok(())
}

pub(super) fn reduce(l: &mut Lowering<'_>, step: &Step, output: usize) -> Result<(), Error> {
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
