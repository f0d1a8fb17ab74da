//! Elements on the move: reshape, transpose, slice, concat, expand, cast, gather, with what stands in for them where
//! a browser lacks one or takes fewer axes.

use super::constants::Origin;
use super::emit::{Emitter, Fixed, Made, Source, call};
use super::script::{DataType, Operand, Typed};
use crate::Tensor;
use std::ops::Range;
use std::sync::Arc;

impl Emitter<'_> {
    /// The same elements under another shape.
    pub(super) fn reshape(&mut self, x: Operand, shape: &[usize]) -> Made {
        if self.type_of(x).shape == shape {
            return Ok(x);
        }
        match self.origin_of_reshape(x) {
            Some(origin) => self.reshape(origin, shape),
            None => self.make_reshape(x, shape),
        }
    }

    /// Another format of the same numbers.
    pub(super) fn cast(&mut self, x: Operand, data_type: DataType) -> Made {
        if self.data_type(x) == data_type {
            return Ok(x);
        }
        let shape = self.shape(x);
        let rank_kept = |e: &mut Self, x: Operand| {
            let of = Typed { data_type, shape: e.shape(x) };
            e.make(call("cast").on("input", x).with(data_type.name()), of)
        };
        self.either(
            |e| rank_kept(e, x),
            |e| {
                let flat = e.reshape(x, &[shape.iter().product()])?;
                let made = rank_kept(e, flat)?;
                e.reshape(made, &shape)
            },
        )
    }

    /// Axis `i` of the result is axis `order[i]` of `x`.
    pub(super) fn transpose(&mut self, x: Operand, order: &[usize]) -> Made {
        let shape = self.shape(x);
        let result: Vec<_> = order.iter().map(|&axis| shape[axis]).collect();
        // Axes of size 1 move for nothing.
        let moving = order.iter().filter(|&&axis| shape[axis] > 1);
        if moving.is_sorted() {
            return self.reshape(x, &result);
        }
        self.either(
            |e| e.transpose_native(x, order),
            |e| {
                let (sizes, order) = merged(&shape, order);
                let made = e.either(
                    |e| {
                        let flat = e.reshape(x, &sizes)?;
                        e.transpose_native(flat, &order)
                    },
                    |e| e.rotated(x, &sizes, &order),
                )?;
                e.reshape(made, &result)
            },
        )
    }

    /// A transposition by ones of three axes, each of which swaps two blocks at the front: from the last place to
    /// the first, the axis that belongs there is brought to the end of those that have no place yet.
    fn rotated(&mut self, mut x: Operand, sizes: &[usize], order: &[usize]) -> Made {
        let mut axes: Vec<_> = (0..sizes.len()).collect();
        for place in (0..axes.len()).rev() {
            let at = axes.iter().position(|axis| *axis == order[place]).expect("it is an axis");
            if at == place {
                continue;
            }
            let len = |axes: &[usize]| axes.iter().map(|&axis| sizes[axis]).product();
            let blocks = [len(&axes[..=at]), len(&axes[at + 1..=place]), len(&axes[place + 1..])];
            let flat = self.reshape(x, &blocks)?;
            x = self.transpose_native(flat, &[1, 0, 2])?;
            axes[..=place].rotate_left(at + 1);
        }
        Ok(x)
    }

    fn transpose_native(&mut self, x: Operand, order: &[usize]) -> Made {
        let of = self.type_of(x);
        let of = of.shaped(order.iter().map(|&axis| of.shape[axis]).collect::<Vec<_>>());
        self.make(call("transpose").on("input", x).option("permutation", order), of)
    }

    /// A value of the graph with its axes in another order; what is fixed is moved before it becomes a constant.
    pub(super) fn transposed(&mut self, source: &Source, order: &[usize]) -> Made {
        match source {
            Source::Made(x) => self.transpose(*x, order),
            Source::Fixed(fixed) => self.fixed(fixed, Some(order)),
        }
    }

    /// A range of one axis.
    pub(super) fn slice(&mut self, x: Operand, axis: usize, range: &Range<usize>) -> Made {
        let of = self.type_of(x).clone();
        if *range == (0..of.shape[axis]) {
            return Ok(x);
        }
        let mut shape = of.shape.clone();
        shape[axis] = range.len();
        self.either(
            |e| e.slice_native(x, axis, range),
            |e| {
                let flat = e.reshape(x, &around(&of.shape, axis))?;
                let positions: Vec<_> = range.clone().collect();
                let made = e.either(
                    |e| e.slice_native(flat, 1, range),
                    |e| e.gather_positions(flat, 1, &positions),
                )?;
                e.reshape(made, &shape)
            },
        )
    }

    fn slice_native(&mut self, x: Operand, axis: usize, range: &Range<usize>) -> Made {
        let mut of = self.type_of(x).clone();
        let mut starts = vec![0; of.shape.len()];
        starts[axis] = range.start;
        of.shape[axis] = range.len();
        self.make(call("slice").on("input", x).with(starts).with(of.shape.clone()), of)
    }

    /// Every `stride`-th element of an axis from `start` on, `len` of them.
    pub(super) fn every(
        &mut self,
        x: Operand,
        axis: usize,
        (start, stride, len): (usize, usize, usize),
    ) -> Made {
        let range = start..start + (len - 1) * stride + 1;
        if stride == 1 {
            return self.slice(x, axis, &range);
        }
        let positions: Vec<_> = range.clone().step_by(stride).collect();
        self.either(
            |e| {
                let mut of = e.type_of(x).clone();
                let mut starts = vec![0; of.shape.len()];
                let mut strides = vec![1; of.shape.len()];
                (starts[axis], strides[axis]) = (start, stride);
                of.shape[axis] = range.len();
                let sizes = of.shape.clone();
                of.shape[axis] = len;
                let calling = call("slice").on("input", x).with(starts).with(sizes);
                e.make(calling.option("strides", strides), of)
            },
            |e| {
                let mut shape = e.shape(x);
                let flat = e.reshape(x, &around(&shape, axis))?;
                let made = e.gather_positions(flat, 1, &positions)?;
                shape[axis] = len;
                e.reshape(made, &shape)
            },
        )
    }

    /// Positions of an axis that are known beforehand.
    fn gather_positions(&mut self, x: Operand, axis: usize, positions: &[usize]) -> Made {
        let number = |&at: &usize| i32::try_from(at).map_err(|e| format!("position {at}: {e}"));
        let values = positions.iter().map(number).collect::<Made<Vec<_>>>()?;
        let origin = Origin::Tensor(Arc::new(Tensor::i32([values.len()], values)));
        let gather = |e: &mut Self, data_type: DataType| {
            let of = Typed { data_type, shape: vec![positions.len()] };
            let fixed = e.fixed(&Fixed { origin: origin.clone(), of }, None)?;
            let mut of = e.type_of(x).clone();
            of.shape[axis] = positions.len();
            let calling = call("gather").on("input", x).on("indices", fixed);
            e.make(calling.option("axis", axis), of)
        };
        self.either(|e| gather(e, DataType::Int32), |e| gather(e, DataType::Int64))
    }

    /// Rows of a table by index. WebNN takes the nearest row for an index that there is not; the host refuses it before.
    pub(super) fn gather(&mut self, table: Operand, indices: Operand) -> Made {
        let width = self.type_of(table).shape[1];
        let lead = self.shape(indices);
        let mut shape = lead.clone();
        shape.push(width);
        self.either(
            |e| e.gather_native(table, indices),
            |e| {
                let flat = e.reshape(indices, &[lead.iter().product()])?;
                let made = e.either(
                    |e| e.gather_native(table, flat),
                    |e| {
                        let mut of = e.type_of(table).clone();
                        of.shape[0] = e.type_of(flat).len();
                        let column = e.reshape(flat, &[of.shape[0], 1])?;
                        e.make(call("gatherND").on("input", table).on("indices", column), of)
                    },
                )?;
                e.reshape(made, &shape)
            },
        )
    }

    fn gather_native(&mut self, table: Operand, indices: Operand) -> Made {
        let mut shape = self.shape(indices);
        shape.push(self.type_of(table).shape[1]);
        let of = self.type_of(table).shaped(shape);
        let calling = call("gather").on("input", table).on("indices", indices);
        self.make(calling.option("axis", 0), of)
    }

    /// Values joined along an axis.
    pub(super) fn concat(&mut self, parts: &[Operand], axis: usize) -> Made {
        let [first, _, ..] = *parts else { return Ok(parts[0]) };
        let mut shape = self.shape(first);
        shape[axis] = parts.iter().map(|&part| self.type_of(part).shape[axis]).sum();
        self.either(
            |e| e.concat_native(parts, axis),
            |e| {
                let flatten = |e: &mut Self, part: &Operand| {
                    let sizes = around(&e.shape(*part), axis);
                    e.reshape(*part, &sizes)
                };
                let flat = parts.iter().map(|part| flatten(e, part)).collect::<Made<Vec<_>>>()?;
                let made = e.concat_native(&flat, 1)?;
                e.reshape(made, &shape)
            },
        )
    }

    fn concat_native(&mut self, parts: &[Operand], axis: usize) -> Made {
        let mut of = self.type_of(parts[0]).clone();
        of.shape[axis] = parts.iter().map(|&part| self.type_of(part).shape[axis]).sum();
        self.make(call("concat").on_all("inputs", parts).with(axis), of)
    }

    /// Axes of size 1 repeated, and axes of size 1 put before.
    pub(super) fn expand(&mut self, x: Operand, shape: &[usize]) -> Made {
        if self.type_of(x).shape == shape {
            return Ok(x);
        }
        let of = self.type_of(x).shaped(shape);
        if of.len() == self.type_of(x).len() {
            return self.reshape(x, shape);
        }
        self.make(call("expand").on("input", x).with(shape), of)
    }
}

/// The sizes before an axis, of the axis, and behind it.
fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

/// The same transposition of the fewest axes: those of size 1 go, those that stay neighbours merge.
fn merged(shape: &[usize], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let kept: Vec<_> = (0..shape.len()).filter(|&axis| shape[axis] > 1).collect();
    let place = |axis: usize| kept.iter().position(|&other| other == axis);
    let order: Vec<_> = order.iter().filter_map(|&axis| place(axis)).collect();
    // A block begins where the axis before it in the result is not the one before it in the operand.
    let begins = |at: usize| at == 0 || order[at - 1] + 1 != order[at];
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for (at, &axis) in order.iter().enumerate() {
        match blocks.last_mut() {
            Some(block) if !begins(at) => block.push(axis),
            _ => blocks.push(vec![axis]),
        }
    }
    let mut firsts: Vec<_> = blocks.iter().map(|block| block[0]).collect();
    firsts.sort_unstable();
    let mut sizes = vec![0; blocks.len()];
    let mut moved = Vec::new();
    for block in &blocks {
        let from = firsts.iter().position(|&first| first == block[0]).expect("each has its place");
        sizes[from] = block.iter().map(|&axis| shape[kept[axis]]).product();
        moved.push(from);
    }
    (sizes, moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposition_merges_what_stays_together() {
        let check = |shape: &[usize], order: &[usize], sizes: &[usize], moved: &[usize]| {
            assert_eq!(merged(shape, order), (sizes.to_vec(), moved.to_vec()));
        };
        check(&[2, 3, 5], &[1, 2, 0], &[2, 15], &[1, 0]);
        check(&[2, 3, 5, 7], &[0, 2, 1, 3], &[2, 3, 5, 7], &[0, 2, 1, 3]);
        check(&[2, 1, 5, 7], &[2, 3, 1, 0], &[2, 35], &[1, 0]);
        check(&[2, 3, 5, 7, 11], &[3, 4, 0, 1, 2], &[30, 77], &[1, 0]);
        check(&[4, 5], &[1, 0], &[4, 5], &[1, 0]);
    }
}
