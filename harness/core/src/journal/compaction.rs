//! Old record files put together into few compressed ones, byte for byte as they are.
//!
//! Whatever ends this half way, nothing is lost: a compressed file gets its name after it was written, synced and read
//! back, and the files that it holds are removed after that. Lines that are in both are one, by their ids.

use super::lean::{Lean, Memory};
use super::{Blocks, is_compressed, line};
use crate::fingerprint::hex;
use crate::record::Line;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of text that one compressed file holds, if there are so many.
const TEXT: u64 = 256 << 20;
/// Levels above take much longer and save little.
pub(super) const LEVEL: i32 = 9;
/// Where a compressed file is written before it has its name.
const ASIDE: &str = ".compact.tmp";
/// Digits of the digest over its text that a compressed file has in its name.
const NAMED: usize = 12;

/// A record file that may be put away: its writer has ended, and nobody writes on in the file of another.
#[derive(Debug)]
pub struct Old {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// The files that may be put away, in the order of their names.
    pub old: Vec<Old>,
    /// The others, each with the reason why it stays as it is.
    pub kept: Vec<(PathBuf, String)>,
}

/// A compressed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Looks which record files of a folder may be put away: all that hold nothing newer than `until`, whose writer has
/// ended, and every line of which can be read. Compressed ones are only looked at where they are asked for.
///
/// What a killed call left half written is removed: nobody else may put files of this folder together meanwhile.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn find(folder: &Path, until: Timestamp, compressed: bool) -> io::Result<Found> {
    match fs::remove_file(folder.join(ASIDE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut found = Found::default();
    for path in super::files(folder)? {
        if is_compressed(&path) && !compressed {
            continue;
        }
        match judge(&path, until)? {
            Ok(old) => found.old.push(old),
            Err(reason) => found.kept.push((path, reason)),
        }
    }
    Ok(found)
}

/// A file that may be put away, or why it may not.
fn judge(path: &Path, until: Timestamp) -> io::Result<Result<Old, String>> {
    let lock = File::open(path)?;
    let about = lock.metadata()?;
    let is_newer = Timestamp::try_from(about.modified()?).is_ok_and(|changed| changed > until);
    // A writer locks its file right after it has made it. A compressed one is written once, by us.
    if is_newer && !is_compressed(path) {
        return Ok(Err("was written to since".into()));
    }
    if lock.try_lock().is_err() {
        return Ok(Err("is still being written".into()));
    }
    let mut blocks = Blocks::open(path, 0)?;
    let mut memory = Memory::default();
    while let Some(block) = blocks.read()? {
        let mut lean = Lean::default();
        for (offset, text) in block.lines() {
            let newest = text.and_then(|text| {
                if lean.read(text, &mut memory) {
                    return Ok(lean.recorded_at_us);
                }
                let recorded_at = |line| match line {
                    Line::Result(record) => record.recorded_at,
                    Line::Probe(probe) => probe.recorded_at,
                };
                line(text).map(|line| recorded_at(line).as_microsecond())
            });
            match newest {
                Ok(newest) if newest <= until.as_microsecond() => {}
                Ok(_) => return Ok(Err("holds newer records".into())),
                Err(detail) => {
                    return Ok(Err(format!("has a line at byte {offset} that {detail}")));
                }
            }
        }
    }
    if blocks.next_offset() != about.len() {
        return Ok(Err("ends within a line, whose writer was killed".into()));
    }
    Ok(Ok(Old { path: path.to_owned(), bytes: about.len() }))
}

/// The files that become one: neighbours, until there is enough text.
pub fn groups(old: Vec<Old>) -> Vec<Vec<Old>> {
    let mut groups: Vec<Vec<Old>> = Vec::new();
    let mut bytes = TEXT;
    for file in old {
        if bytes >= TEXT {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += file.bytes;
        groups.last_mut().expect("one was begun").push(file);
    }
    groups
}

/// Writes files into one compressed file beside them, and reads it back. They stay: [`remove`] removes them.
///
/// # Errors
/// A file cannot be read or written, or what is read back is not what was written; then there is no new file.
pub fn compact(files: &[Old]) -> io::Result<Compacted> {
    let Some(first) = files.first() else { return Err(io::Error::other("there are no files")) };
    let made = named_by_text(&first.path, |aside| write(files, aside).map(Some), |_| Ok(()))?;
    Ok(made.unwrap_or_else(|| unreachable!("the text of files is always written")))
}

/// Makes a compressed file beside `path`: `write` writes it aside and gives the digest over its text, or nothing where
/// there shall be no file. What was written is read back, and `before` is done, before it gets its name.
pub(super) fn named_by_text(
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<Option<String>>,
    before: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<Option<Compacted>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let aside = folder.join(ASIDE);
    let made = write(&aside).and_then(|digest| {
        let Some(digest) = digest else { return Ok(None) };
        let read = digest_of(&mut zstd::Decoder::new(File::open(&aside)?)?)?;
        if read != digest {
            return Err(io::Error::other(
                "what was written is not what is read back: the disk may be damaged",
            ));
        }
        let path = folder.join(format!("{}-{}.jsonl.zst", stem(path), &digest[..NAMED]));
        before(&path)?;
        fs::rename(&aside, &path)?;
        File::open(folder)?.sync_all()?;
        Ok(Some(Compacted { bytes: fs::metadata(&path)?.len(), path }))
    });
    if !matches!(made, Ok(Some(_))) {
        let _ = fs::remove_file(&aside);
    }
    made
}

/// The name of a record file without its endings; of a compressed one also without the digest.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_suffix(".jsonl.zst") {
        Some(stem) => stem.rsplit_once('-').map_or(stem, |(before, _)| before).to_owned(),
        None => name.strip_suffix(".jsonl").unwrap_or(&name).to_owned(),
    }
}

/// Removes files that a compressed one holds.
///
/// # Errors
/// One cannot be removed.
pub fn remove(files: Vec<Old>) -> io::Result<()> {
    files.into_iter().try_for_each(|file| fs::remove_file(&file.path))
}

/// Writes the files one after another; the digest over their text.
fn write(files: &[Old], to: &Path) -> io::Result<String> {
    let mut encoder = zstd::Encoder::new(File::create(to)?, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut hasher = Sha256::new();
    for file in files {
        let mut text = File::open(&file.path)?;
        each_piece(&mut text, |piece| {
            hasher.update(piece);
            encoder.write_all(piece)
        })?;
    }
    encoder.finish()?.sync_all()?;
    Ok(hex(&hasher.finalize()))
}

fn digest_of(text: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    each_piece(text, |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok(hex(&hasher.finalize()))
}

fn each_piece(
    text: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = vec![0; 1 << 20];
    loop {
        match text.read(&mut piece)? {
            0 => return Ok(()),
            length => take(&piece[..length])?,
        }
    }
}
