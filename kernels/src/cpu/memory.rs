//! The memory of a program: an arena whose places are planned ahead, and constants that never change.
//! Elements are four bytes: floats, or indices under the same address.

use crate::Error;
#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::MmapMut;
use std::ops::Range;

/// Bytes of a cache line; every slot begins with one.
const LINE: usize = 64;
/// Elements of a cache line.
pub(super) const ALIGNMENT: usize = LINE / size_of::<f32>();

/// Zeroed floats that begin with a page.
#[derive(Debug)]
pub(super) struct Floats {
    map: MmapMut,
    len: usize,
}

impl Floats {
    /// So many zeros. That they do not fit is an error and no abort, because it is the caller's sizes that decide;
    /// `what` names them in it.
    pub(super) fn zeroed(len: usize, what: &str) -> Result<Self, Error> {
        let bytes =
            len.max(1).checked_mul(size_of::<f32>()).filter(|&b| isize::try_from(b).is_ok());
        let map = bytes.and_then(|bytes| MmapMut::map_anon(bytes).ok());
        let map = map.ok_or_else(|| too_large(len, what))?;
        // Large pages spare the processor most of its searches for addresses; a system without them does as well.
        #[cfg(target_os = "linux")]
        let _ = map.advise(Advice::HugePage);
        Ok(Self { map, len })
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: the block holds `len` floats, all of them initialised, and begins with a page.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().cast(), self.len) }
    }
}

fn too_large(len: usize, what: &str) -> Error {
    Error::TooLarge {
        device: "cpu".into(),
        what: what.to_owned(),
        needed: (len as u64).saturating_mul(size_of::<f32>() as u64),
        limit_name: "memory",
        limit: memory_bytes(),
    }
}

/// The machine's memory where the system tells it, otherwise the most that one block can have.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.map_or(isize::MAX as u64, |kibibytes| kibibytes.saturating_mul(1024))
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
        let (arena_len, constants) = (arena.len, constants.as_slice());
        Self { arena: arena.as_mut_slice().as_mut_ptr(), arena_len, constants }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_holds_is_an_error() {
        for len in [usize::MAX, usize::MAX / 4, usize::MAX / 16] {
            let error = Floats::zeroed(len, "the values").expect_err("more than there is");
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
            assert!(error.to_string().contains("the values"), "{error}");
        }
        assert_eq!(Floats::zeroed(3, "three floats").unwrap().as_slice(), [0.0; 3]);
    }
}
