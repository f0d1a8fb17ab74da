//! Record files: one per process, appended and synced line by line, so that a kill loses at most one line.
//!
//! A damaged line costs itself only: it is reported with its file and offset, and reading goes on after it. Each line
//! ends with a checksum of what stands before, so that a byte that has changed since is damage and not another number.

mod blocks;
pub mod compaction;
mod cursor;
pub mod lean;
pub mod thinning;

pub use blocks::{Block, Blocks, is_compressed};

use crate::clock;
use crate::record::{FORMAT, Line};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Lines of this format and newer ones have a checksum.
const SUMMED: u32 = 3;

/// The record file of this process. It is made when the first line is written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    run: String,
    next: u64,
    file: Option<File>,
    /// The last line may be incomplete: its writing failed.
    torn: bool,
}

impl Journal {
    /// A journal in the records folder `folder`.
    pub fn new(folder: &Path) -> Self {
        let run = clock::unique_id();
        Self { path: folder.join(format!("{run}.jsonl")), run, next: 0, file: None, torn: false }
    }

    /// The id that all lines of this process share.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// An id for the next line, unique among all lines of all processes.
    pub fn next_id(&mut self) -> String {
        self.next += 1;
        format!("{}-{}", self.run, self.next)
    }

    /// Appends one line and waits until it is on the disk.
    pub fn append(&mut self, line: &Line) -> io::Result<()> {
        let context = |e: io::Error| {
            let path = self.path.display();
            io::Error::new(e.kind(), format!("failed to write the record file {path}: {e}"))
        };
        let mut text = written(line)?;
        if self.file.is_none() {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).map_err(context)?;
            let mut options = OpenOptions::new();
            let file = options.create_new(true).append(true).open(&self.path).map_err(context)?;
            // So that nobody puts it away meanwhile. Where files cannot be locked, their age must do.
            let _ = file.try_lock_shared();
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { unreachable!("opened above") };
        if self.torn {
            text.insert(0, '\n');
        }
        self.torn = true;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(context)?;
        self.torn = false;
        Ok(())
    }
}

/// A line as it is written: with its checksum, and a newline.
///
/// # Errors
/// It cannot be JSON.
pub fn written(line: &Line) -> io::Result<String> {
    let mut text = serde_json::to_string(line)?;
    text.pop();
    let sum = crc32fast::hash(text.as_bytes());
    let _ = writeln!(text, "{SUM}{sum:08x}{END}");
    Ok(text)
}

/// The last key of a line, and what follows its eight digits.
const SUM: &str = ",\"crc32\":\"";
const END: &str = "\"}";

/// Whether a line has a checksum; that it is another's is an error.
fn has_sum(line: &[u8]) -> Result<bool, String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let Some(at) = line.len().checked_sub(SUM.len() + 8 + END.len()) else { return Ok(false) };
    let (before, sum) = line.split_at(at);
    let sum = sum.strip_prefix(SUM.as_bytes()).and_then(|rest| rest.strip_suffix(END.as_bytes()));
    let is_right = |sum: &[u8]| {
        let found = crc32fast::hash(before);
        let digit = |place: usize| b"0123456789abcdef"[(found >> (28 - 4 * place) & 15) as usize];
        sum.iter().enumerate().all(|(place, byte)| *byte == digit(place))
    };
    match sum {
        None => Ok(false),
        Some(sum) if is_right(sum) => Ok(true),
        Some(_) => Err("was changed after it was written: its checksum is another".to_owned()),
    }
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The record file.
    pub path: PathBuf,
    /// The byte at which the line begins.
    pub offset: u64,
    /// What was wrong with it.
    pub detail: String,
}

/// What a record file holds from some byte on.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// The lines that could not be read.
    pub faults: Vec<Fault>,
    /// The byte after the last complete line: where to go on.
    pub next_offset: u64,
}

/// Reads the complete lines of a file from `offset` on. A last line without its newline is still being
/// written, or its writer was killed: it is left for the next call.
pub fn read(path: &Path, offset: u64) -> io::Result<Chunk> {
    let mut blocks = Blocks::open(path, offset)?;
    let mut chunk = Chunk::default();
    while let Some(block) = blocks.read()? {
        for (offset, found) in block.lines() {
            match found.and_then(line) {
                Ok(line) => chunk.lines.push(line),
                Err(detail) => chunk.faults.push(Fault { path: path.to_owned(), offset, detail }),
            }
        }
    }
    chunk.next_offset = blocks.next_offset();
    Ok(chunk)
}

/// One line, if it is a sound line of a format that this version knows; else why it is not.
///
/// # Errors
/// It is damaged, or of a newer format, or holds numbers without a mark.
pub fn line(line: &[u8]) -> Result<Line, String> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    let has_sum = has_sum(line)?;
    let head: Head = serde_json::from_slice(line).map_err(|e| format!("is not a record: {e}"))?;
    if head.format > FORMAT {
        let found = head.format;
        return Err(format!(
            "is of format {found}, this version reads up to {FORMAT}: use a newer Proofmark"
        ));
    }
    if head.format >= SUMMED && !has_sum {
        return Err(format!("has no checksum at its end, which lines of format {SUMMED} have"));
    }
    let line: Line = serde_json::from_slice(line).map_err(|e| format!("is not a record: {e}"))?;
    let fault = match &line {
        Line::Result(record) => record.fault(),
        Line::Probe(probe) => probe.fault(),
    };
    fault.map_or(Ok(line), Err)
}

/// The record files of a folder, oldest first; none if the folder does not exist.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.ends_with(b".jsonl") || is_compressed(path)
    });
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;
    use crate::record::Probe;

    fn probe(number: u64) -> Line {
        Line::Probe(Probe {
            format: FORMAT,
            id: format!("p-{number}"),
            recorded_at: jiff::Timestamp::UNIX_EPOCH,
            suite: "s".into(),
            machine: "m".into(),
            finding: Finding::absent("cpu".parse().unwrap(), "away"),
        })
    }

    fn check(bytes: &[u8]) -> Chunk {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, bytes).unwrap();
        read(&path, 0).unwrap()
    }

    #[test]
    fn any_byte_that_changes_is_found_and_costs_what_it_touches() {
        let lines: Vec<String> = (0..3).map(|number| written(&probe(number)).unwrap()).collect();
        let sound = lines.concat().into_bytes();
        let whole = check(&sound);
        assert!(whole.faults.is_empty() && whole.lines == [probe(0), probe(1), probe(2)]);
        for at in 0..sound.len() {
            for bits in [1, 0x80] {
                let mut bytes = sound.clone();
                bytes[at] ^= bits;
                let found = check(&bytes);
                let fault = found.faults.first().unwrap_or_else(|| panic!("byte {at} ^ {bits}"));
                // The place is that of the line, or, where the end of one was lost, of the one before.
                let begins =
                    |line: usize| lines[..line].iter().map(String::len).sum::<usize>() as u64;
                let touched = (0..3).rev().find(|line| begins(*line) <= at as u64).unwrap();
                assert_eq!(fault.offset, begins(touched), "byte {at}");
                assert!(!found.lines.is_empty(), "byte {at}");
                let is_sound = |line: &Line| whole.lines.contains(line);
                assert!(found.lines.iter().all(is_sound), "byte {at}: {:?}", found.lines);
            }
        }
    }

    #[test]
    fn a_line_that_is_being_written_waits_and_one_of_an_older_format_needs_no_checksum() {
        let line = written(&probe(0)).unwrap();
        for end in 0..line.len() {
            let found = check(&line.as_bytes()[..end]);
            assert!(found.lines.is_empty() && found.faults.is_empty(), "{end}");
            assert_eq!(found.next_offset, 0);
        }
        let old = serde_json::to_string(&probe(0)).unwrap();
        assert!(check(format!("{old}\n").as_bytes()).faults[0].detail.contains("no checksum"));
        let old = old.replace(&format!("\"format\":{FORMAT}"), "\"format\":2") + "\n";
        assert_eq!(check(old.as_bytes()).lines.len(), 1);
    }
}
