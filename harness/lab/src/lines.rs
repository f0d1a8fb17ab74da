//! Files of one JSON object per line: appended whole, and read so that damage costs only its own line.

use proofmark::journal::Fault;
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Appends lines to a file of a folder; both are made if they are not there.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn append<T: Serialize>(folder: &Path, file: &str, lines: &[T]) -> io::Result<()> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line)?;
        text.push('\n');
    }
    fs::create_dir_all(folder)?;
    let mut file =
        OpenOptions::new().create(true).read(true).append(true).open(folder.join(file))?;
    // A line that a kill cut short must not swallow the first of ours.
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != [b'\n'] {
            text.insert(0, '\n');
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Reads the lines of a file, and tells of those that `parse` refuses. A file that is not there has none.
///
/// # Errors
/// The file is there and cannot be read.
pub(crate) fn read<T>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_short_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        append(folder.path(), "numbers.jsonl", &[1]).unwrap();
        let mut file =
            OpenOptions::new().append(true).open(folder.path().join("numbers.jsonl")).unwrap();
        file.write_all(b"\"cut").unwrap();
        append(folder.path(), "numbers.jsonl", &[2, 3]).unwrap();
        let parse = |line: &[u8]| serde_json::from_slice::<u32>(line).map_err(|e| e.to_string());
        let (lines, faults) = read(folder.path(), "numbers.jsonl", parse).unwrap();
        let places: Vec<_> = faults.iter().map(|fault| fault.offset).collect();
        assert_eq!((lines, places), (vec![1, 2, 3], vec![2]));
    }
}
