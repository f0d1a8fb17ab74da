//! Files of one JSON object per line: appended whole, and read so that damage costs only its own line.

use proofmark::journal::Fault;
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Appends lines to a file of a folder; both are made if they are not there.
///
/// # Errors
/// The folder or the file cannot be written.
pub(super) fn append<T: Serialize>(folder: &Path, file: &str, lines: &[T]) -> io::Result<()> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line)?;
        text.push('\n');
    }
    fs::create_dir_all(folder)?;
    let path = folder.join(file);
    // A line that a kill cut short must not swallow the first of ours.
    let cut = fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(if cut { format!("\n{text}") } else { text }.as_bytes())?;
    file.sync_data()
}

/// Reads the lines of a file, and tells of those that `parse` refuses. A file that is not there has none.
///
/// # Errors
/// The file is there and cannot be read.
pub(super) fn read<T>(
    folder: &Path,
    file: &str,
    parse: impl Fn(&[u8]) -> Result<T, String>,
) -> io::Result<(Vec<T>, Vec<Fault>)> {
    let path = folder.join(file);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        read => read?,
    };
    let (mut lines, mut faults, mut offset) = (Vec::new(), Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match parse(line.trim_ascii()) {
            _ if line.trim_ascii().is_empty() => {}
            Ok(read) => lines.push(read),
            Err(detail) => faults.push(Fault { path: path.clone(), offset, detail }),
        }
        offset += line.len() as u64;
    }
    Ok((lines, faults))
}
