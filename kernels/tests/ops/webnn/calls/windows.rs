//! Convolution and pooling of a planar input, by the definitions of the standard.

use super::{Given, Held, indices};

/// How a window slides, from the options that convolution and pooling share.
struct Sliding {
    padding: [usize; 4],
    strides: [usize; 2],
    dilations: [usize; 2],
}

impl Sliding {
    fn of(g: &Given<'_>) -> Self {
        Self {
            padding: g.option("padding", [0; 4]),
            strides: g.option("strides", [1; 2]),
            dilations: g.option("dilations", [1; 2]),
        }
    }

    fn positions(&self, input: &[usize], window: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = input[axis] + self.padding[2 * axis] + self.padding[2 * axis + 1];
            (padded - ((window[axis] - 1) * self.dilations[axis] + 1)) / self.strides[axis] + 1
        })
    }

    /// Where an element of the window lies, none in the padding.
    fn at(&self, axis: usize, position: usize, element: usize, size: usize) -> Option<usize> {
        let padded = position * self.strides[axis] + element * self.dilations[axis];
        padded.checked_sub(self.padding[2 * axis]).filter(|&at| at < size)
    }
}

pub(super) fn conv2d(g: &Given<'_>) -> Held {
    let (x, filter) = (g.operand(0), g.operand(1));
    g.only_options(&["padding", "strides", "dilations", "groups", "bias"]);
    let s = Sliding::of(g);
    let groups: usize = g.option("groups", 1);
    let bias = g.operand_option("bias");
    let [out, inner, h, w] = filter.of.shape[..] else { panic!("a filter of four axes") };
    assert_eq!(inner * groups, x.of.shape[1], "{:?}", g.call);
    let [rows, columns] = s.positions(&x.of.shape[2..], [h, w]);
    Held::build(x.of.data_type, vec![x.of.shape[0], out, rows, columns], |i| {
        let first = i[1] / (out / groups) * inner;
        let mut sum = bias.map_or(0.0, |bias| bias.at(&[i[1]]));
        for k in indices(&[inner, h, w]) {
            let row = s.at(0, i[2], k[1], x.of.shape[2]);
            let column = s.at(1, i[3], k[2], x.of.shape[3]);
            if let (Some(row), Some(column)) = (row, column) {
                sum +=
                    x.at(&[i[0], first + k[0], row, column]) * filter.at(&[i[1], k[0], k[1], k[2]]);
            }
        }
        sum
    })
}

pub(super) fn max_pool(g: &Given<'_>) -> Held {
    let x = g.operand(0);
    g.only_options(&["windowDimensions", "padding", "strides", "dilations"]);
    let s = Sliding::of(g);
    let window: [usize; 2] = g.option("windowDimensions", [x.of.shape[2], x.of.shape[3]]);
    let [rows, columns] = s.positions(&x.of.shape[2..], window);
    Held::build(x.of.data_type, vec![x.of.shape[0], x.of.shape[1], rows, columns], |i| {
        let seen = indices(&window).into_iter().filter_map(|k| {
            let row = s.at(0, i[2], k[0], x.of.shape[2])?;
            let column = s.at(1, i[3], k[1], x.of.shape[3])?;
            Some(x.at(&[i[0], i[1], row, column]))
        });
        seen.fold(f64::NEG_INFINITY, f64::max)
    })
}
