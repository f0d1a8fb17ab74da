//! What the buffers of a program hold in the beginning, served by ranges: encoded when it is first asked for, and
//! forgotten when all of it was given.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Gives the bytes of one piece.
pub(crate) type Encode = Box<dyn Fn(usize) -> Result<Vec<u8>, String> + Send + Sync>;

/// One body of bytes made of pieces.
pub(crate) struct Content {
    /// Where each piece ends.
    ends: Vec<u64>,
    encode: Encode,
    /// Pieces that were encoded and not yet given whole, with the bytes still to give.
    open: Mutex<HashMap<usize, (Vec<u8>, usize)>>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

impl Content {
    /// Pieces of these sizes.
    pub(crate) fn new(sizes: impl IntoIterator<Item = u64>, encode: Encode) -> Self {
        let ends = sizes.into_iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        });
        Self { ends: ends.collect(), encode, open: Mutex::default() }
    }

    /// All bytes.
    pub(crate) fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The bytes of a range, which must lie within.
    pub(crate) fn read(&self, range: &Range<u64>) -> Result<Vec<u8>, String> {
        let size = |length: u64| usize::try_from(length).map_err(|e| e.to_string());
        let mut bytes = Vec::with_capacity(size(range.end - range.start)?);
        let first = self.ends.partition_point(|end| *end <= range.start);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in first..self.ends.len() {
            let begin = if piece == 0 { 0 } else { self.ends[piece - 1] };
            if begin >= range.end {
                break;
            }
            let from = size(range.start.max(begin) - begin)?;
            let to = size(range.end.min(self.ends[piece]) - begin)?;
            if from == to {
                continue;
            }
            let (data, left) = match open.remove(&piece) {
                Some(known) => known,
                None => self.encoded(piece, size(self.ends[piece] - begin)?)?,
            };
            bytes.extend(&data[from..to]);
            let left = left.saturating_sub(to - from);
            if left > 0 {
                open.insert(piece, (data, left));
            }
        }
        Ok(bytes)
    }

    fn encoded(&self, piece: usize, size: usize) -> Result<(Vec<u8>, usize), String> {
        let data = (self.encode)(piece)?;
        if data.len() != size {
            return Err(format!("piece {piece} has {} bytes, planned were {size}", data.len()));
        }
        Ok((data, size))
    }
}

/// Reads `bytes=A-B` (both included) for a body of `len` bytes.
pub(crate) fn parse_range(header: &str, len: u64) -> Option<Range<u64>> {
    let (start, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let (start, last) = (start.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    (start <= last && last < len).then(|| start..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cross_pieces_and_each_piece_is_made_once() {
        let made = std::sync::Arc::new(Mutex::new(Vec::new()));
        let log = std::sync::Arc::clone(&made);
        let encode = move |piece: usize| {
            log.lock().unwrap().push(piece);
            Ok(vec![u8::try_from(piece).unwrap(); [3, 0, 5][piece]])
        };
        let content = Content::new([3, 0, 5], Box::new(encode));
        assert_eq!(content.len(), 8);
        assert_eq!(content.read(&(0..2)).unwrap(), [0, 0]);
        assert_eq!(content.read(&(2..6)).unwrap(), [0, 2, 2, 2]);
        assert_eq!(content.read(&(6..8)).unwrap(), [2, 2]);
        assert_eq!(*made.lock().unwrap(), [0, 2]);
        assert!(content.open.lock().unwrap().is_empty(), "what was given is forgotten");
    }

    #[test]
    fn only_ranges_within_the_body_are_ranges() {
        assert_eq!(parse_range("bytes=0-3", 4), Some(0..4));
        for bad in ["bytes=0-4", "bytes=3-2", "bytes=-2", "bytes=1-", "items=0-1", "bytes=0-x"] {
            assert_eq!(parse_range(bad, 4), None, "{bad}");
        }
        assert_eq!(parse_range("bytes=0-18446744073709551615", u64::MAX), None);
    }
}
