//! Strided views of row-major tensors, with axes merged where every view allows it.

use super::plan::word;

/// The axes that one kernel can walk.
pub(super) const MAX_RANK: usize = 8;

/// A shape and, for each of `N` operands, how far it moves along every axis, in elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Views<const N: usize> {
    pub(super) shape: Vec<usize>,
    pub(super) strides: [Vec<usize>; N],
}

impl<const N: usize> Views<N> {
    /// The same walk with the fewest axes: those of size 1 go, neighbours that all operands walk as one merge.
    pub(super) fn merged(&self) -> Self {
        let mut merged = Self { shape: Vec::new(), strides: [const { Vec::new() }; N] };
        for axis in 0..self.shape.len() {
            let size = self.shape[axis];
            if size == 1 {
                continue;
            }
            let last = merged.shape.len().checked_sub(1);
            let joins = last.is_some_and(|last| {
                (0..N).all(|i| merged.strides[i][last] == self.strides[i][axis] * size)
            });
            if let (Some(last), true) = (last, joins) {
                merged.shape[last] *= size;
                (0..N).for_each(|i| merged.strides[i][last] = self.strides[i][axis]);
            } else {
                merged.shape.push(size);
                (0..N).for_each(|i| merged.strides[i].push(self.strides[i][axis]));
            }
        }
        merged
    }

    /// Shape and strides as kernels take them: blocks of eight words.
    pub(super) fn words(&self) -> Vec<u32> {
        let block = |sizes: &[usize], fill: u32| {
            let mut words: Vec<_> = sizes.iter().map(|&size| word(size)).collect();
            words.resize(MAX_RANK, fill);
            words
        };
        let mut words = block(&self.shape, 1);
        self.strides.iter().for_each(|strides| words.extend(block(strides, 0)));
        words
    }
}

/// Elements from one position of each axis to the next, row-major.
pub(super) fn row_major(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// How a tensor of shape `from` moves when it is broadcast to `to`.
pub(super) fn broadcast(from: &[usize], to: &[usize]) -> Vec<usize> {
    let own = row_major(from);
    let missing = to.len() - from.len();
    (0..to.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(axis) if from[axis] > 1 => own[axis],
            _ => 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: &[usize], from: &[usize], expected: (&[usize], &[usize])) {
        let strides = [row_major(shape), broadcast(from, shape)];
        let merged = Views { shape: shape.to_vec(), strides }.merged();
        assert_eq!((merged.shape.as_slice(), merged.strides[1].as_slice()), expected);
    }

    #[test]
    fn neighbours_merge_where_both_walk_them_as_one() {
        check(&[2, 3, 5], &[2, 3, 5], (&[30], &[1]));
        check(&[2, 3, 5], &[5], (&[6, 5], &[0, 1]));
        check(&[2, 3, 5], &[2, 1, 5], (&[2, 3, 5], &[5, 0, 1]));
        check(&[2, 3, 5], &[], (&[30], &[0]));
        check(&[1, 1], &[1], (&[], &[]));
    }
}
