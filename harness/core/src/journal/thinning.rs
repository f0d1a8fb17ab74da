//! Old record files written anew with some of their lines changed: what was bulky is dropped, what is known of it stays.
//!
//! As with `compaction`, whatever ends it half way loses nothing: the new file has its name before the old one goes, and
//! of lines that are in both one counts, by their ids.

use super::compaction::{Compacted, LEVEL, Old, named_by_text};
use super::{Blocks, line};
use crate::fingerprint::hex;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A line that takes the place of another: the id of its record, and its text.
pub type Change = (String, String);

/// What changing the lines of a file came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thinned {
    /// The ids of the records that were changed.
    pub ids: Vec<String>,
    /// Bytes of the file as it was, and of its text after the change, compressed.
    pub bytes: [u64; 2],
    /// The new file; nothing if no line was changed, or nothing was to be written.
    pub into: Option<Compacted>,
}

/// Writes a file anew, compressed, with those lines changed for which `change` has another line. The old one stays:
/// `compaction::remove` removes it. `before` is told the new file and the records that it changes, before it is there:
/// what is known of them otherwise must go. Without it nothing is written, and it is told what it would come to.
///
/// # Errors
/// A file cannot be read or written; a changed line is not sound; what is read back is not what was written. Then there
/// is no new file.
pub fn thin(
    file: &Old,
    mut change: impl FnMut(&[u8]) -> io::Result<Option<Change>>,
    before: Option<impl FnOnce(&Path, &[String]) -> io::Result<()>>,
) -> io::Result<Thinned> {
    let mut thinned = Thinned { bytes: [file.bytes, 0], ..Thinned::default() };
    let Some(before) = before else {
        let mut counted = Counted::default();
        thinned.ids = rewrite(&file.path, &mut counted, &mut change)?.1;
        thinned.bytes[1] = counted.bytes;
        return Ok(thinned);
    };
    let ids = RefCell::new(Vec::new());
    let write = |aside: &Path| {
        let mut to = File::create(aside)?;
        let (digest, changed) = rewrite(&file.path, &mut to, &mut change)?;
        to.sync_all()?;
        let is_other = !changed.is_empty();
        ids.replace(changed);
        Ok(is_other.then_some(digest))
    };
    thinned.into = named_by_text(&file.path, write, |into| before(into, &ids.borrow()))?;
    thinned.ids = ids.into_inner();
    thinned.bytes[1] = thinned.into.as_ref().map_or(file.bytes, |into| into.bytes);
    Ok(thinned)
}

/// The digest over the new text, and the ids of what was changed.
fn rewrite(
    path: &Path,
    to: &mut impl Write,
    change: &mut impl FnMut(&[u8]) -> io::Result<Option<Change>>,
) -> io::Result<(String, Vec<String>)> {
    let mut encoder = zstd::Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut hasher = Sha256::new();
    let mut ids = Vec::new();
    let mut put = |text: &[u8]| {
        hasher.update(text);
        encoder.write_all(text)
    };
    let mut blocks = Blocks::open(path, 0)?;
    while let Some(block) = blocks.read()? {
        for (_, found) in block.lines() {
            let text = found.map_err(io::Error::other)?;
            match change(text)? {
                Some((id, changed)) => {
                    line(changed.as_bytes()).map_err(|why| {
                        io::Error::other(format!("a line that would be written {why}"))
                    })?;
                    put(changed.as_bytes())?;
                    ids.push(id);
                }
                None => put(text)?,
            }
        }
    }
    encoder.finish()?;
    Ok((hex(&hasher.finalize()), ids))
}

/// Counts what is written.
#[derive(Default)]
struct Counted {
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
