//! The memory of a program: an arena whose places are planned ahead, and constants that never change.
//! Elements are four bytes: floats, or indices under the same address.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::Range;

/// Bytes of a cache line; every slot begins with one.
const LINE: usize = 64;
/// Elements of a cache line.
pub(super) const ALIGNMENT: usize = LINE / size_of::<f32>();

/// Zeroed floats that begin with a cache line.
#[derive(Debug)]
pub(super) struct Floats {
    start: *mut f32,
    len: usize,
}

// SAFETY: the block belongs to this value alone; who shares it answers for the accesses.
unsafe impl Send for Floats {}
// SAFETY: as above.
unsafe impl Sync for Floats {}

impl Floats {
    pub(super) fn zeroed(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout is never of size zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        Self { start: start.cast(), len }
    }

    fn layout(len: usize) -> Layout {
        let bytes = len.max(1) * size_of::<f32>();
        Layout::from_size_align(bytes, LINE).expect("a power of two, and less than the memory")
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: the block holds `len` floats, all of them initialised.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for Floats {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout.
        unsafe { dealloc(self.start.cast(), Self::layout(self.len)) }
    }
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// Which block a slot is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Arena,
    Constants,
}

impl Slot {
    fn range(self) -> Range<usize> {
        self.offset..self.offset + self.len
    }
}

/// Both blocks of a program, as the threads of one run see them.
///
/// The plan gives every step slots to read that do not overlap the slots it writes, and every task of a step
/// its own part of these. That is what makes the unsafe methods sound.
#[derive(Clone, Copy)]
pub(super) struct Memory<'a> {
    arena: *mut f32,
    arena_len: usize,
    constants: &'a [f32],
}

// SAFETY: see the type: threads touch disjoint parts between two barriers.
unsafe impl Sync for Memory<'_> {}

impl<'a> Memory<'a> {
    pub(super) fn new(arena: &'a mut Floats, constants: &'a Floats) -> Self {
        Self { arena: arena.start, arena_len: arena.len, constants: constants.as_slice() }
    }

    /// The floats of a slot.
    ///
    /// # Safety
    /// Nobody writes to the slot while the result lives.
    pub(super) unsafe fn floats(&self, slot: Slot) -> &'a [f32] {
        match slot.place {
            Place::Constants => &self.constants[slot.range()],
            Place::Arena => {
                assert!(slot.offset + slot.len <= self.arena_len);
                // SAFETY: within the arena; the caller answers for writers.
                unsafe { std::slice::from_raw_parts(self.arena.add(slot.offset), slot.len) }
            }
        }
    }

    /// The indices of a slot.
    ///
    /// # Safety
    /// Nobody writes to the slot while the result lives.
    pub(super) unsafe fn indices(&self, slot: Slot) -> &'a [i32] {
        // SAFETY: passed on; floats and indices have one size and alignment, and every bit pattern is valid.
        unsafe {
            let floats = self.floats(slot);
            std::slice::from_raw_parts(floats.as_ptr().cast(), floats.len())
        }
    }

    /// A part of a slot, to be written.
    ///
    /// # Safety
    /// Nobody else touches that part while the result lives.
    pub(super) unsafe fn part(&self, slot: Slot, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= slot.len);
        // SAFETY: within the slot; the caller answers for others.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(slot).add(range.start), range.len()) }
    }

    /// The first element of a slot that is written in interleaved parts.
    pub(super) fn pointer(&self, slot: Slot) -> *mut f32 {
        assert!(slot.place == Place::Arena && slot.offset + slot.len <= self.arena_len);
        // SAFETY: within the arena.
        unsafe { self.arena.add(slot.offset) }
    }
}
