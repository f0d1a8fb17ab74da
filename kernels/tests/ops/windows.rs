//! Convolutions and maxima of windows: every option of a window, groups, the shapes that devices have fast paths
//! for, and what is fused after a convolution.

use crate::check::{Operand, Recipe, check, check_case, float};
use proofmark_kernels::{Activation, BinaryOp, Op, UnaryOp, Value, Window};

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    /// Channels of the input and of the result, for each group.
    pub(crate) channels: [usize; 2],
    pub(crate) groups: usize,
    /// Height and width of the input.
    pub(crate) plane: [usize; 2],
}

const fn sizes(batch: usize, channels: [usize; 2], groups: usize, plane: [usize; 2]) -> Sizes {
    Sizes { batch, channels, groups, plane }
}

/// A convolution of these sizes with its operands.
pub(crate) fn conv(
    s: Sizes,
    window: Window,
    bias: bool,
    activation: Activation,
) -> (Op, Vec<Operand>) {
    let op = Op::Conv { window, groups: s.groups, bias, activation };
    let [inner, per_group] = s.channels;
    let out = per_group * s.groups;
    let mut operands = vec![
        float([s.batch, inner * s.groups, s.plane[0], s.plane[1]]),
        Operand::Float(vec![out, inner, window.size[0], window.size[1]], (-0.5, 0.5)),
    ];
    if bias {
        operands.push(float([out]));
    }
    (op, operands)
}

#[track_caller]
fn check_conv(s: Sizes, window: Window) {
    for bias in [false, true] {
        let (op, operands) = conv(s, window, bias, Activation::Identity);
        check(&op, &operands);
    }
}

/// A window with every option that differs between the axes and the sides.
const fn lopsided() -> Window {
    Window { size: [3, 2], stride: [2, 1], dilation: [1, 2], padding: [[0, 2], [3, 1]] }
}

#[test]
fn conv_over_windows() {
    let windows = [
        Window::new([1, 1]),
        Window::new([1, 1]).stride([2, 2]),
        Window::new([1, 1]).padding([1, 2]),
        Window::new([3, 3]),
        Window::new([3, 3]).padding([1, 1]),
        Window::new([3, 3]).padding([1, 1]).stride([2, 2]),
        Window::new([7, 7]).padding([3, 3]).stride([2, 2]),
        Window::new([2, 5]).padding([4, 0]),
        Window { dilation: [2, 3], ..Window::new([3, 3]) }.padding([2, 3]),
        // A step beyond the window leaves elements out.
        Window::new([2, 2]).stride([3, 5]),
        lopsided(),
    ];
    for window in windows {
        check_conv(sizes(2, [3, 5], 1, [9, 11]), window);
    }
}

#[test]
fn conv_over_edge_sizes() {
    let window = Window::new([3, 3]).padding([1, 1]);
    let all = [
        sizes(1, [1, 1], 1, [1, 1]),
        sizes(1, [17, 33], 1, [1, 7]),
        sizes(3, [5, 1], 1, [4, 4]),
        sizes(1, [8, 16], 1, [16, 16]),
        sizes(1, [2, 65], 1, [13, 31]),
        sizes(2, [33, 7], 1, [5, 3]),
        sizes(1, [65, 13], 1, [6, 65]),
    ];
    for s in all {
        check_conv(s, window);
    }
}

/// A window that is as large as its padded input, and positions that see nothing but padding.
#[test]
fn conv_of_one_position_and_of_padding_alone() {
    check_conv(sizes(2, [3, 4], 1, [5, 7]), Window::new([5, 7]));
    check_conv(sizes(1, [3, 4], 1, [2, 2]), Window::new([6, 6]).padding([2, 2]));
    check_conv(sizes(1, [2, 3], 1, [2, 2]), Window::new([2, 2]).padding([4, 5]));
}

#[test]
fn conv_in_groups() {
    let windows = [Window::new([1, 1]), Window::new([3, 3]).padding([1, 1]), lopsided()];
    for window in windows {
        for s in [
            // Depthwise, with and without several results for each channel; thin and thick groups.
            sizes(2, [1, 1], 6, [9, 10]),
            sizes(1, [1, 3], 5, [9, 10]),
            sizes(1, [3, 2], 4, [8, 9]),
            sizes(2, [12, 17], 2, [7, 10]),
        ] {
            check_conv(s, window);
        }
    }
}

/// One axis is a height of 1: sound and its positions.
#[test]
fn conv_along_one_axis() {
    let line = |size, stride: usize, padding| {
        Window::new([1, size]).stride([1, stride]).padding([0, padding])
    };
    check_conv(sizes(1, [1, 24], 1, [1, 211]), line(10, 5, 0));
    check_conv(sizes(2, [24, 20], 1, [1, 67]), line(3, 2, 0));
    check_conv(sizes(1, [16, 40], 1, [1, 100]), line(3, 1, 1));
    check_conv(sizes(1, [16, 40], 1, [1, 101]), line(3, 2, 1));
    // An even window that is padded on both sides, as a position embedding has it.
    check_conv(sizes(2, [6, 6], 4, [1, 41]), line(16, 1, 8));
    check_conv(sizes(1, [48, 48], 2, [1, 23]), line(128, 1, 64));
}

/// Windows side by side are a matrix product; a rest that no window covers is left out.
#[test]
fn conv_of_patches() {
    for (size, plane) in [([4, 4], [16, 20]), ([5, 3], [12, 10]), ([2, 7], [5, 7])] {
        check_conv(sizes(2, [3, 21], 1, plane), Window::new(size).stride(size));
    }
}

#[test]
fn conv_with_every_activation() {
    let window = Window::new([3, 3]).padding([1, 1]);
    for activation in Activation::ALL {
        for (s, window) in [
            (sizes(2, [3, 9], 1, [6, 7]), window),
            (sizes(1, [2, 2], 3, [6, 7]), window),
            (sizes(1, [7, 19], 1, [3, 5]), Window::new([1, 1])),
        ] {
            for bias in [false, true] {
                let (op, operands) = conv(s, window, bias, activation);
                check(&op, &operands);
            }
        }
    }
}

#[test]
fn max_pool_over_windows() {
    let windows = [
        Window::new([1, 1]),
        Window::new([2, 2]).stride([2, 2]),
        Window::new([3, 3]).stride([2, 2]).padding([1, 1]),
        Window::new([3, 2]).stride([1, 3]),
        Window { dilation: [2, 1], ..Window::new([3, 3]) }.padding([1, 2]),
        Window { size: [2, 4], stride: [2, 1], dilation: [1, 2], padding: [[0, 1], [3, 0]] },
    ];
    for window in windows {
        for plane in [[9, 11], [8, 40], [5, 7]] {
            // Below zero, so that a padding of zeros would be chosen.
            check(
                &Op::MaxPool { window },
                &[Operand::Float(vec![2, 3, plane[0], plane[1]], (-9.0, -1.0))],
            );
        }
    }
    check(&Op::MaxPool { window: Window::new([1, 3]) }, &[float([1, 1, 1, 3])]);
}

fn push_conv(
    r: &mut Recipe,
    x: Value,
    channels: [usize; 2],
    window: Window,
    then: Activation,
) -> Value {
    let weight = r.weight(&[channels[1], channels[0], window.size[0], window.size[1]]);
    let bias = r.weight(&[channels[1]]);
    r.builder.conv([x, weight], Some(bias), window, 1, then).expect("a convolution")
}

/// Narrow, widen, add and bend: what a residual network is made of. The sum comes from either side, and the
/// activation stands alone, or the sum is needed as it is, too.
#[test]
fn a_bottleneck() {
    let (one, three) = (Window::new([1, 1]), Window::new([3, 3]).padding([1, 1]));
    for (flipped, kept) in [(false, false), (true, false), (false, true)] {
        let mut r = Recipe::new(3);
        let scale = r.builder.scalar(0.125);
        let x = r.input(&[2, 12, 7, 9]);
        let y = push_conv(&mut r, x, [12, 5], one, Activation::Relu);
        let y = r.builder.binary(BinaryOp::Mul, y, scale).unwrap();
        let y = push_conv(&mut r, y, [5, 5], three, Activation::Relu);
        let y = r.builder.binary(BinaryOp::Mul, y, scale).unwrap();
        let y = push_conv(&mut r, y, [5, 12], one, Activation::Identity);
        let sum = if flipped { r.builder.add(x, y) } else { r.builder.add(y, x) }.unwrap();
        let bent = r.builder.unary(UnaryOp::Activate(Activation::Relu), sum).unwrap();
        r.output(bent);
        if kept {
            r.output(sum);
        }
        check_case(&r.finish());
    }
}

/// A sum that must not be fused: of a broadcast operand, of a convolution with itself, after an activation.
#[test]
fn sums_after_a_convolution() {
    let window = Window::new([3, 3]).padding([1, 1]).stride([2, 2]);
    let mut r = Recipe::new(4);
    let x = r.input(&[2, 4, 9, 7]);
    let a = push_conv(&mut r, x, [4, 6], window, Activation::Identity);
    let channel = r.input(&[6, 1, 1]);
    let broadcast = r.builder.add(a, channel).unwrap();
    let b = push_conv(&mut r, x, [4, 6], window, Activation::Identity);
    let twice = r.builder.add(b, b).unwrap();
    let c = push_conv(&mut r, x, [4, 6], window, Activation::Gelu);
    let after = r.builder.add(c, twice).unwrap();
    for value in [broadcast, twice, after] {
        r.output(value);
    }
    check_case(&r.finish());
}

/// A filter that is only known at run time, one of another shape by a reshape, and one that two ops share.
#[test]
fn filters_of_every_origin() {
    let mut r = Recipe::new(5);
    let x = r.input(&[1, 4, 6, 5]);
    let weight = r.weight(&[8, 2, 3, 3]);
    let tripled = r.builder.reshape(weight, &[4, 4, 3, 3]).unwrap();
    let window = Window::new([3, 3]);
    let a = r.builder.conv([x, tripled], None, window, 1, Activation::Identity).unwrap();
    let b = r.builder.conv([x, weight], None, window, 2, Activation::Identity).unwrap();
    let given = r.input(&[3, 4, 1, 1]);
    let c = r.builder.conv([x, given], None, Window::new([1, 1]), 1, Activation::Identity).unwrap();
    let dense = r.builder.reshape(weight, &[36, 4]).unwrap();
    let rows = r.input(&[3, 4]);
    let d = r.builder.linear(rows, dense, None, Activation::Identity).unwrap();
    for value in [a, b, c, d] {
        r.output(value);
    }
    check_case(&r.finish());
}
