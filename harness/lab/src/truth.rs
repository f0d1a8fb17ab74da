//! Reads every file that holds what cannot be made again, and tells which lines of it are damaged.
//!
//! What a command keeps for itself, such as what it has told, it reads itself.

use crate::certify::certificate::Certificate;
use crate::import::kept;
use crate::migrate::lines::{self, Reader};
use crate::simulate::{learned, recorded};
use crate::store::Folders;
use proofmark::journal::{self, Fault};
use proofmark::roof;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of migrated lines that are read at a time.
const BATCH: usize = 16 << 20;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// How many files there are.
    pub files: usize,
    /// How many sound lines they have; a certificate counts as one.
    pub lines: usize,
    /// What could not be read.
    pub damaged: Vec<Fault>,
    /// Ends of record files without a newline: of a line that is being written, or whose writer was killed.
    pub unfinished: Vec<Fault>,
}

/// Reads the files of a state.
///
/// # Errors
/// A file or folder is there and cannot be read at all.
pub fn read(state: &Path) -> io::Result<Truth> {
    let folders = Folders::below(state);
    let mut truth = Truth::default();
    // Those of processes under an artificial load are apart.
    for folder in [folders.records.clone(), state.join("certify/records")] {
        truth.records(&folder)?;
    }
    truth.add(recorded::read(&folders.predictions)?);
    truth.add(learned::read(&folders.predictions)?);
    truth.add(kept::read(&folders.imports)?);
    truth.add(roof::read(state)?);
    truth.migrated(&folders.migrated)?;
    truth.certificates(&state.join("certificates"))?;
    for folder in [&folders.predictions, &folders.imports, &folders.migrated, &state.join("roofs")]
    {
        truth.files += journal::files(folder)?.len();
    }
    Ok(truth)
}

impl Truth {
    fn add<T>(&mut self, (sound, damaged): (Vec<T>, Vec<Fault>)) {
        self.lines += sound.len();
        self.damaged.extend(damaged);
    }

    fn records(&mut self, folder: &Path) -> io::Result<()> {
        for path in journal::files(folder)? {
            let chunk = journal::read(&path, 0)?;
            self.files += 1;
            self.lines += chunk.lines.len();
            self.damaged.extend(chunk.faults);
            let rest = fs::metadata(&path)?.len().saturating_sub(chunk.next_offset);
            if rest > 0 {
                let detail = format!(
                    "has {rest} bytes and no end: it is being written, or its writer was killed"
                );
                self.unfinished.push(Fault { path, offset: chunk.next_offset, detail });
            }
        }
        Ok(())
    }

    fn migrated(&mut self, folder: &Path) -> io::Result<()> {
        let Some(mut reader) = Reader::open(folder, 0)? else { return Ok(()) };
        loop {
            let some = reader.next(BATCH)?;
            if some.is_empty() {
                break;
            }
            for (offset, line) in some {
                match lines::parse(&line) {
                    Ok(_) => self.lines += 1,
                    Err(detail) => {
                        let path = reader.path.clone();
                        self.damaged.push(Fault { path, offset, detail });
                    }
                }
            }
        }
        Ok(())
    }

    fn certificates(&mut self, folder: &Path) -> io::Result<()> {
        for path in below(folder)? {
            self.files += 1;
            let text = String::from_utf8(fs::read(&path)?).map_err(|e| e.to_string());
            match text.and_then(|text| Certificate::read(&text).map_err(|e| e.to_string())) {
                Ok(_) => self.lines += 1,
                Err(detail) => {
                    let detail = format!("is no certificate: {detail}");
                    self.damaged.push(Fault { path, offset: 0, detail });
                }
            }
        }
        Ok(())
    }
}

/// The JSON files of a folder and those in it, in the order of their names.
fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    let mut found = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => found.extend(below(&path)?),
            false if path.extension().is_some_and(|extension| extension == "json") => {
                found.push(path);
            }
            false => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofmark::finding::Finding;
    use proofmark::journal::written;
    use proofmark::record::{FORMAT, Line, Probe};

    #[test]
    fn each_damaged_line_is_named_with_its_byte() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        let put = |path: &str, text: &[u8]| {
            let path = state.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(read(state).unwrap(), Truth::default());
        let probe = |id: &str| {
            let finding = Finding::absent("cpu".parse().unwrap(), "away");
            let (suite, machine, recorded_at) =
                ("s".into(), "m".into(), jiff::Timestamp::UNIX_EPOCH);
            let (format, id) = (FORMAT, id.to_owned());
            written(&Line::Probe(Probe { format, id, recorded_at, suite, machine, finding }))
                .unwrap()
        };
        let (one, two) = (probe("one"), probe("two"));
        let flipped = two.replace("\"m\"", "\"n\"");
        put("records/a.jsonl", format!("{one}{flipped}{one}{{\"kin").as_bytes());
        put("certify/records/b.jsonl", b"nonsense\n");
        put("predictions/predictions.jsonl", b"{}\n");
        put("predictions/lessons.jsonl", b"\n{}\n");
        put("imports/imports.jsonl", b"{}\n");
        put("roofs/roofs.jsonl", b"{}\n");
        put("migrated/migrated.jsonl", b"\n{}\n");
        put("certificates/m/cpu/f32/b1.json", b"\xff");
        let truth = read(state).unwrap();
        assert_eq!((truth.files, truth.lines), (8, 2));
        let told: Vec<_> = truth
            .damaged
            .iter()
            .map(|fault| (fault.path.strip_prefix(state).unwrap().to_str().unwrap(), fault.offset))
            .collect();
        let expected = [
            ("records/a.jsonl", one.len() as u64),
            ("certify/records/b.jsonl", 0),
            ("predictions/predictions.jsonl", 0),
            ("predictions/lessons.jsonl", 1),
            ("imports/imports.jsonl", 0),
            ("roofs/roofs.jsonl", 0),
            ("migrated/migrated.jsonl", 1),
            ("certificates/m/cpu/f32/b1.json", 0),
        ];
        assert_eq!(told, expected);
        assert!(truth.damaged[0].detail.contains("checksum"), "{:?}", truth.damaged[0]);
        let ends: Vec<_> = truth.unfinished.iter().map(|fault| fault.offset).collect();
        assert_eq!(ends, [2 * one.len() as u64 + two.len() as u64]);
    }
}
