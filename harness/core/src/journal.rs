//! Record files: one per process, appended and synced line by line, so that a kill loses at most one line.
//!
//! A damaged line costs itself only: it is reported with its file and number, and reading goes on after it.

use crate::clock;
use crate::record::{FORMAT, Line};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

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
        let mut text = serde_json::to_string(line).map_err(io::Error::from)?;
        text.push('\n');
        if self.file.is_none() {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).map_err(context)?;
            let mut options = OpenOptions::new();
            self.file =
                Some(options.create_new(true).append(true).open(&self.path).map_err(context)?);
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
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let complete = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    let mut chunk = Chunk { next_offset: offset + complete as u64, ..Chunk::default() };
    let mut start = offset;
    for line in bytes[..complete].split_inclusive(|&b| b == b'\n') {
        if !line.trim_ascii().is_empty() {
            match parse(line) {
                Ok(line) => chunk.lines.push(line),
                Err(detail) => {
                    chunk.faults.push(Fault { path: path.to_owned(), offset: start, detail });
                }
            }
        }
        start += line.len() as u64;
    }
    Ok(chunk)
}

/// One line, if it is a sound line of a format that this version knows.
fn parse(line: &[u8]) -> Result<Line, String> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_slice(line).map_err(|e| format!("is not a record: {e}"))?;
    if head.format > FORMAT {
        let found = head.format;
        return Err(format!(
            "is of format {found}, this version reads up to {FORMAT}: use a newer Proofmark"
        ));
    }
    let line: Line = serde_json::from_slice(line).map_err(|e| format!("is not a record: {e}"))?;
    match &line {
        Line::Result(record) => record.fault().map_or(Ok(()), Err)?,
        Line::Probe(_) => {}
    }
    Ok(line)
}

/// The record files of a folder, oldest first; none if the folder does not exist.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort_unstable();
    Ok(paths)
}
