//! Ops that move elements.

use crate::check::{check, float, index};
use proofmark_kernels::Op;

/// Every order of this many axes.
fn orders(rank: usize) -> Vec<Vec<usize>> {
    if rank == 0 {
        return vec![vec![]];
    }
    let insert = |shorter: Vec<usize>| {
        (0..rank).map(move |at| {
            let mut order = shorter.clone();
            order.insert(at, rank - 1);
            order
        })
    };
    orders(rank - 1).into_iter().flat_map(insert).collect()
}

#[test]
fn transposes_of_every_order() {
    for shape in [vec![33, 65], vec![1, 7], vec![3, 5, 17], vec![2, 3, 5, 7], vec![2, 1, 3, 2, 5]] {
        for order in orders(shape.len()) {
            check(&Op::Transpose { order: order.clone() }, &[float(shape.clone())]);
            check(&Op::Transpose { order }, &[index(shape.clone(), 1000)]);
        }
    }
}

#[test]
fn reshapes() {
    let shapes = [(vec![12], vec![3, 4]), (vec![2, 3, 5], vec![5, 6]), (vec![1, 1], vec![])];
    for (from, to) in shapes {
        check(&Op::Reshape { shape: to.clone() }, &[float(from.clone())]);
        check(&Op::Reshape { shape: to }, &[index(from, 9)]);
    }
}

#[test]
fn slices_of_every_axis() {
    for shape in [vec![13], vec![7, 5], vec![3, 7, 5], vec![2, 3, 5, 7]] {
        for axis in 0..shape.len() {
            let size = shape[axis];
            for (start, end) in [(0, 1), (0, size), (size - 1, size), (1, size.max(2))] {
                let end = end.min(size);
                if start < end {
                    check(&Op::Slice { axis, start, end }, &[float(shape.clone())]);
                    check(&Op::Slice { axis, start, end }, &[index(shape.clone(), 77)]);
                }
            }
        }
    }
}

#[test]
fn concats_on_every_axis() {
    for shape in [vec![3], vec![3, 5], vec![2, 3, 5], vec![2, 3, 5, 7]] {
        for axis in 0..shape.len() {
            let part = |size: usize| {
                let mut part = shape.clone();
                part[axis] = size;
                part
            };
            let floats: Vec<_> = [1, 4, 2].into_iter().map(|size| float(part(size))).collect();
            for count in 1..=3 {
                check(&Op::Concat { axis }, &floats[..count]);
            }
            check(&Op::Concat { axis }, &[index(part(2), 5), index(part(3), 50)]);
        }
    }
}

#[test]
fn a_concat_of_more_parts_than_a_kernel_has_bindings() {
    let parts: Vec<_> = (0..11).map(|i| float([2, i % 3 + 1])).collect();
    check(&Op::Concat { axis: 1 }, &parts);
}
