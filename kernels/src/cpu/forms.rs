//! In which form a program keeps a weight or a constant for an op: as it is, in panels, in tiles, as a table, and in
//! how many bits. Which forms a graph needs is collected in `constants`.

use super::bytes;
use super::filters::Filters;
use super::gemm::{self, Strides};
use super::level::Level;
use super::thin;
use crate::ops::broadcast_offsets;
use crate::{Graph, Node, Op, Precision};
use half::bf16;

/// The bits of a weight's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    F32,
    /// The upper half of an f32, rounded to nearest.
    Bf16,
    /// Integers in -127..=127 that share a factor: of each column of a right operand, of each row of a table.
    Int8,
}

impl Format {
    /// The format of an operand that is a weight or a constant: what multiplies activations and what is looked up is
    /// kept in the precision of the run, all else in f32.
    fn of(graph: &Graph, node: &Node, position: usize, precision: Precision) -> Self {
        let is_kept = node.op.kept_operand(precision) == Some(position);
        let shape = &graph.operand_types(node)[position].shape;
        match precision {
            Precision::Bf16 if is_kept => Self::Bf16,
            Precision::Int8 if is_kept && matches!(node.op, Op::Gather) => Self::Int8,
            Precision::Int8 if is_kept && bytes::holds(shape[1]) => Self::Int8,
            _ => Self::F32,
        }
    }
}

/// The sizes of a product, and how its right operand lies in memory.
#[derive(Clone, Debug)]
pub(super) struct Matrices {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) pairs: Vec<(usize, usize)>,
    /// Right operands, one after the other.
    pub(super) rights: usize,
    pub(super) strides: Strides,
}

impl Matrices {
    pub(super) fn of(graph: &Graph, node: &Node) -> Self {
        let types = graph.operand_types(node);
        let (a, b) = (&types[0].shape, &types[1].shape);
        let k = a[a.len() - 1];
        match node.op {
            Op::MatMul { transpose_right } => {
                let m = a[a.len() - 2];
                let n = node.output.shape[node.output.shape.len() - 1];
                let lead = &node.output.shape[..node.output.shape.len() - 2];
                let lefts = broadcast_offsets(&a[..a.len() - 2], lead);
                let rights = broadcast_offsets(&b[..b.len() - 2], lead);
                let strides = if transpose_right {
                    Strides { column: k, row: 1 }
                } else {
                    Strides { column: 1, row: n }
                };
                let count = b[..b.len() - 2].iter().product();
                let pairs = lefts.into_iter().zip(rights).collect();
                Self { m, n, k, pairs, rights: count, strides }
            }
            _ => {
                let strides = Strides { column: k, row: 1 };
                let (m, n) = (types[0].len() / k, b[0]);
                Self { m, n, k, pairs: vec![(0, 0)], rights: 1, strides }
            }
        }
    }

    /// Floats that the packed right operands take.
    pub(super) fn packed_len(&self, level: Level) -> usize {
        self.rights * gemm::packed_len(level, self.k, self.n, false)
    }
}

/// How an operand is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// Right operands of products, one after the other, in panels. The same elements may be several matrices, by a
    /// reshape or because two ops read them differently.
    Panels { k: usize, n: usize, count: usize, strides: Strides, format: Format },
    /// Filters in tiles.
    Filters { filters: Filters, format: Format },
    /// Rows to be looked up.
    Table { width: usize, format: Format },
}

impl Form {
    /// The form in which an op takes an operand that is a weight or a constant.
    pub(super) fn of(graph: &Graph, node: &Node, position: usize, precision: Precision) -> Self {
        let format = Format::of(graph, node, position, precision);
        match node.op {
            Op::Linear { .. } | Op::MatMul { .. } if position == 1 => {
                let Matrices { n, k, rights: count, strides, .. } = Matrices::of(graph, node);
                Self::Panels { k, n, count, strides, format }
            }
            Op::Conv { .. } if position == 1 && is_packed_conv(graph, node) => {
                Self::Filters { filters: Filters::of(graph, node), format }
            }
            Op::Gather if position == 0 && format != Format::F32 => {
                Self::Table { width: graph.operand_types(node)[0].shape[1], format }
            }
            _ => Self::Plain,
        }
    }

    /// The bits of the elements; none for what is kept as it is.
    pub(super) fn format(self) -> Option<Format> {
        match self {
            Self::Plain => None,
            Self::Panels { format, .. }
            | Self::Filters { format, .. }
            | Self::Table { format, .. } => Some(format),
        }
    }

    /// Floats that `len` elements take in this form.
    pub(super) fn len(self, level: Level, len: usize) -> usize {
        match self {
            Self::Plain | Self::Table { format: Format::F32, .. } => len,
            Self::Panels { k, n, format: Format::Int8, .. } => bytes::packed_len(k, n),
            Self::Panels { k, n, count, format, .. } => {
                count * gemm::packed_len(level, k, n, format == Format::Bf16)
            }
            Self::Filters { filters, format: Format::Bf16 } => {
                filters.packed_len(level).div_ceil(2)
            }
            Self::Filters { filters, .. } => filters.packed_len(level),
            Self::Table { format: Format::Bf16, .. } => len.div_ceil(2),
            Self::Table { width, format: Format::Int8 } => bytes::table_len(len / width, width),
        }
    }

    /// Writes elements in this form.
    pub(super) fn write(self, level: Level, from: &[f32], to: &mut [f32]) {
        match self {
            Self::Plain | Self::Table { format: Format::F32, .. } => to.copy_from_slice(from),
            Self::Panels { k, n, format: Format::Int8, .. } => bytes::pack(from, k, n, to),
            Self::Panels { k, n, strides, format, .. } => {
                let halves = format == Format::Bf16;
                let len = gemm::packed_len(level, k, n, halves);
                for (from, to) in from.chunks_exact(k * n).zip(to.chunks_exact_mut(len)) {
                    if halves {
                        gemm::pack_halves(level, from, strides, k, n, to);
                    } else {
                        gemm::pack(level, from, strides, k, n, to);
                    }
                }
            }
            Self::Filters { filters, format: Format::Bf16 } => {
                let mut packed = vec![0.0; filters.packed_len(level)];
                filters.pack(level, from, &mut packed);
                write_halves(&packed, to);
            }
            Self::Filters { filters, .. } => filters.pack(level, from, to),
            Self::Table { format: Format::Bf16, .. } => write_halves(from, to),
            Self::Table { width, format: Format::Int8 } => bytes::write_table(from, width, to),
        }
    }
}

/// Whether a node is a convolution that is computed as a product.
pub(super) fn is_packed_conv(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Conv { .. }) && Filters::of(graph, node).count > thin::MOST_FILTERS
}

/// Two neighbours in the place of one float, the first one at the lower address.
fn write_halves(from: &[f32], to: &mut [f32]) {
    for (pair, to) in from.chunks(2).zip(to) {
        let [a, b] = [0, 1].map(|i| bf16::from_f32(pair.get(i).copied().unwrap_or(0.0)));
        let ([a, b], [c, d]) = (a.to_ne_bytes(), b.to_ne_bytes());
        *to = f32::from_ne_bytes([a, b, c, d]);
    }
}
