//! Steps that move elements and compute nothing: rows of a table by index, permuted axes, parts and joins.
//! They move four-byte elements, whatever these mean; only a table may be kept in fewer bytes.

use super::forms::Format;
use super::kernel::{Context, ELEMENTS, Kernel, chunk, chunks};
use super::memory::Slot;
use pulp::bytemuck::cast_slice;

/// Rows of a table by index.
pub(super) struct Gather {
    pub(super) table: Slot,
    /// The rows of the table, and the bits of its elements.
    pub(super) rows: usize,
    pub(super) format: Format,
    pub(super) indices: Slot,
    pub(super) to: Slot,
    pub(super) width: usize,
}

impl Gather {
    fn block(&self) -> usize {
        ELEMENTS / self.width
    }

    /// Writes one row of the table.
    fn copy(&self, table: &[f32], row: usize, out: &mut [f32]) {
        let own = row * self.width..(row + 1) * self.width;
        match self.format {
            Format::F32 => out.copy_from_slice(&table[own]),
            Format::Bf16 => {
                let halves: &[u16] = &cast_slice(table)[own];
                let wide = halves.iter().map(|&half| f32::from_bits(u32::from(half) << 16));
                out.iter_mut().zip(wide).for_each(|(out, value)| *out = value);
            }
            Format::Int8 => {
                let (factors, elements) = table.split_at(self.rows);
                let bytes: &[i8] = &cast_slice(elements)[own];
                let wide = bytes.iter().map(|&byte| f32::from(byte) * factors[row]);
                out.iter_mut().zip(wide).for_each(|(out, value)| *out = value);
            }
        }
    }
}

impl Kernel for Gather {
    fn tasks(&self) -> usize {
        chunks(self.indices.len, self.block())
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let rows = chunk(self.indices.len, self.block(), task);
        // SAFETY: operands are only read; every task has rows of its own.
        let (table, indices, to) = unsafe {
            let range = rows.start * self.width..rows.end * self.width;
            let memory = context.memory;
            (memory.floats(self.table), memory.indices(self.indices), memory.part(self.to, range))
        };
        for (&index, out) in indices[rows].iter().zip(to.chunks_exact_mut(self.width)) {
            match usize::try_from(index).ok().filter(|&row| row < self.rows) {
                Some(row) => self.copy(table, row, out),
                None => context.fault.report(index, self.rows),
            }
        }
    }
}

/// Rows of the result, each gathered with a stride: any permutation of axes.
pub(super) struct Permute {
    pub(super) from: Slot,
    pub(super) to: Slot,
    /// Elements of a row of the result.
    pub(super) width: usize,
    /// Their distance in the operand.
    pub(super) stride: usize,
    /// Where each row begins in the operand.
    pub(super) starts: Vec<usize>,
}

impl Permute {
    fn block(&self) -> usize {
        ELEMENTS / self.width
    }
}

impl Kernel for Permute {
    fn tasks(&self) -> usize {
        chunks(self.starts.len(), self.block())
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let rows = chunk(self.starts.len(), self.block(), task);
        // SAFETY: the operand is only read; every task has rows of its own.
        let (from, to) = unsafe {
            let range = rows.start * self.width..rows.end * self.width;
            (context.memory.floats(self.from), context.memory.part(self.to, range))
        };
        for (&start, out) in self.starts[rows].iter().zip(to.chunks_exact_mut(self.width)) {
            let from = &from[start..];
            if self.stride == 1 {
                out.copy_from_slice(&from[..self.width]);
            } else {
                out.iter_mut().zip(from.iter().step_by(self.stride)).for_each(|(o, i)| *o = *i);
            }
        }
    }
}

/// Blocks of equal length from one value into another: a slice, or one part of a join.
pub(super) struct Blocks {
    pub(super) from: Slot,
    pub(super) to: Slot,
    /// Elements per block.
    pub(super) len: usize,
    pub(super) count: usize,
    /// Where the first block begins, and how far apart blocks are: in the operand, then in the result.
    pub(super) from_start: usize,
    pub(super) from_stride: usize,
    pub(super) to_start: usize,
    pub(super) to_stride: usize,
}

impl Blocks {
    fn block(&self) -> usize {
        ELEMENTS / self.len
    }
}

impl Kernel for Blocks {
    fn tasks(&self) -> usize {
        chunks(self.count, self.block())
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        // SAFETY: the operand is only read.
        let from = unsafe { context.memory.floats(self.from) };
        for index in chunk(self.count, self.block(), task) {
            let start = self.to_start + index * self.to_stride;
            // SAFETY: every block of the result is written by one task.
            let to = unsafe { context.memory.part(self.to, start..start + self.len) };
            to.copy_from_slice(&from[self.from_start + index * self.from_stride..][..self.len]);
        }
    }
}
