//! Record files in blocks of whole lines, so that a file of any size is read in little memory and by several threads.
//!
//! A file whose name ends in `.zst` is a compressed one (zstd). It was written whole, so it is read whole.

use super::has_sum;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that are read at once, and what a block has at least unless the file ends.
const BLOCK: usize = 2 << 20;

/// Whether a record file is compressed.
pub fn is_compressed(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".jsonl.zst"))
}

/// The blocks of one file, in order.
pub struct Blocks {
    source: Box<dyn Read + Send>,
    /// Where the next block begins in the text.
    offset: u64,
    /// What was read after the last whole line.
    rest: Vec<u8>,
    has_ended: bool,
    /// The size of a compressed file.
    compressed: Option<u64>,
}

/// Some lines of a file.
#[derive(Debug)]
pub struct Block {
    /// Where it begins in the text of the file.
    pub offset: u64,
    bytes: Vec<u8>,
    /// Bytes of whole lines; what follows them ends without a newline.
    whole: usize,
    /// Why nothing can be read after these lines.
    damage: Option<String>,
}

impl Blocks {
    /// The blocks from `offset` on; of a compressed file that is 0, or its size if it was read before.
    ///
    /// # Errors
    /// The file cannot be opened, or begins like no compressed file.
    pub fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let compressed = is_compressed(path).then(|| file.metadata()).transpose()?;
        let compressed = compressed.map(|about| about.len());
        let source: Box<dyn Read + Send> = if compressed.is_some() {
            Box::new(zstd::Decoder::new(file)?)
        } else {
            file.seek(SeekFrom::Start(offset))?;
            Box::new(file)
        };
        let has_ended = compressed == Some(offset);
        let offset = if compressed.is_some() { 0 } else { offset };
        Ok(Self { source, offset, rest: Vec::new(), has_ended, compressed })
    }

    /// The next block; nothing at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self) -> io::Result<Option<Block>> {
        if self.has_ended {
            return Ok(None);
        }
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.reserve(BLOCK);
        loop {
            let filled = bytes.len();
            let read = (&mut self.source).take(BLOCK as u64).read_to_end(&mut bytes);
            // What cannot be decompressed costs itself and what follows it in its file, and nothing else.
            let damage = match (read, self.compressed) {
                (Err(error), Some(_)) => Some(format!("cannot be decompressed: {error}")),
                (read, _) => read.map(|_| None)?,
            };
            self.has_ended = damage.is_some() || bytes.len() == filled;
            let end = bytes[filled..].iter().rposition(|&byte| byte == b'\n');
            if let Some(end) = end.map(|end| filled + end + 1) {
                self.rest = bytes.split_off(end);
                return Ok(Some(self.block(bytes, end, damage)));
            }
            if self.has_ended {
                return Ok(Some(self.block(bytes, 0, damage)));
            }
        }
    }

    fn block(&mut self, bytes: Vec<u8>, whole: usize, damage: Option<String>) -> Block {
        let mut block = Block { offset: self.offset, bytes, whole, damage };
        // A whole last line that another byte than a newline ends is no line that is being written.
        let is_unended = block.unended().is_some();
        if self.has_ended && !is_unended && self.compressed.is_none() {
            block.bytes.truncate(whole);
        }
        self.offset += block.bytes.len() as u64;
        block
    }

    /// Where to go on, once all blocks were read: the byte after the last whole line.
    pub fn next_offset(&self) -> u64 {
        self.compressed.unwrap_or(self.offset)
    }
}

impl Block {
    /// How many bytes of the file it has.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The lines with their offsets. Blank ones are left out; one that another byte than a newline ends comes twice: as
    /// what it says, and as a fault.
    pub fn lines(&self) -> impl Iterator<Item = (u64, Result<&[u8], String>)> {
        let mut start = self.offset;
        let whole =
            self.bytes[..self.whole].split_inclusive(|&byte| byte == b'\n').map(move |line| {
                let offset = start;
                start += line.len() as u64;
                (offset, Ok(line))
            });
        let at = self.offset + self.whole as u64;
        let rest = self.unended().into_iter().flat_map(move |line| {
            let detail = "is not ended by a newline: the byte was changed after it was written";
            [(at, Ok(line)), (at, Err(detail.to_owned()))]
        });
        let is_said = |found: &Result<&[u8], String>| {
            found.as_ref().map_or(true, |line| !line.trim_ascii().is_empty())
        };
        let damage = self.damage.clone().map(|detail| (at, Err(detail)));
        whole.chain(rest).chain(damage).filter(move |(_, found)| is_said(found))
    }

    /// A last line that is whole but for its newline.
    fn unended(&self) -> Option<&[u8]> {
        let (_, line) = self.bytes[self.whole..].split_last()?;
        (has_sum(line) == Ok(true)).then_some(line)
    }
}
