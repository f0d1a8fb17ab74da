//! What was migrated, as it is kept: JSON Lines in the state folder, appended and never changed. The database follows from them.
//!
//! A line is either a content, once for each SHA-256 and version of the rules, or says that a file had a content at some time.

use super::extract::{Extracted, Group, Naming, Outcome, Row};
use jiff::Timestamp;
use proofmark::Mark;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The version of the format.
pub const FORMAT: u32 = 1;
/// The file of a folder that lines are appended to.
pub const FILE: &str = "migrated.jsonl";

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// What is in a file.
    Content(Box<Content>),
    /// Which content a file had.
    Source(Source),
}

/// What is in a file, by its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// [`FORMAT`].
    pub format: u32,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// The version of the rules that read it.
    pub rules: u32,
    /// The file in which it was found first.
    pub source_file: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was read.
    pub read_at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// Why: the first of each code.
    pub reasons: Vec<String>,
    /// Where it contradicts itself.
    pub contradictions: Vec<String>,
    /// What was not understood.
    pub not_understood: Vec<String>,
    /// The names of its numbers.
    pub names: Vec<Naming>,
    /// Its numbers.
    pub groups: Vec<Group>,
}

/// A file and its content at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// [`FORMAT`].
    pub format: u32,
    /// The file: below the workspace relative to it, elsewhere absolute.
    pub source_file: String,
    /// Its content.
    pub sha256: String,
    /// When it had it.
    pub seen_at: Timestamp,
}

impl Content {
    /// What was found in a file, or why it was rejected, with where it comes from.
    pub fn new(
        found: Extracted,
        sha256: String,
        source_file: String,
        bytes: u64,
        read_at: Timestamp,
    ) -> Self {
        let Extracted { outcome, reasons, contradictions, not_understood, names, groups } = found;
        Self {
            format: FORMAT,
            sha256,
            rules: super::RULES,
            source_file,
            bytes,
            read_at,
            outcome,
            reasons,
            contradictions,
            not_understood,
            names,
            groups,
        }
    }

    /// How many of its numbers have this mark.
    pub fn count(&self, mark: Mark) -> usize {
        self.groups.iter().filter(|group| group.mark == mark).map(|group| group.rows.len()).sum()
    }
}

/// Appends lines to the file of a folder.
#[derive(Debug)]
pub struct Writer {
    file: File,
}

impl Writer {
    /// Opens the file of a folder; both are made if they are not there.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        // A line that a kill cut short must not swallow the first of ours.
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self { file })
    }

    /// Appends lines that [`text`] made.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn sync(self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A line as text, with its end.
///
/// # Errors
/// Never, for a line that this program made.
pub fn text(line: &Line) -> Result<String, serde_json::Error> {
    serde_json::to_string(line).map(|text| text + "\n")
}

/// The text of whole lines of a file, and the byte at which each begins.
#[derive(Debug)]
pub struct Reader {
    /// The file.
    pub path: PathBuf,
    file: BufReader<File>,
    /// Behind the last whole line that was read.
    pub offset: u64,
}

impl Reader {
    /// Reads the file of a folder from a byte on, or from its begin if it has become shorter. None if there is no file.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn open(folder: &Path, from: u64) -> io::Result<Option<Self>> {
        let path = folder.join(FILE);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let offset = if file.metadata()?.len() < from { 0 } else { from };
        let mut file = BufReader::with_capacity(1 << 20, file);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Some(Self { path, file, offset }))
    }

    /// The next whole lines, about as many bytes as are asked for; none at the end. A last line without an end is not yet whole.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, bytes: usize) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let (mut lines, mut total) = (Vec::new(), 0);
        while total < bytes {
            let mut line = Vec::new();
            self.file.read_until(b'\n', &mut line)?;
            if line.pop() != Some(b'\n') {
                break;
            }
            let begin = self.offset;
            self.offset += line.len() as u64 + 1;
            total += line.len() + 1;
            if !line.trim_ascii().is_empty() {
                lines.push((begin, line));
            }
        }
        Ok(lines)
    }
}

/// What a line says.
///
/// # Errors
/// It is no line, of a newer format, or claims what nothing migrated may.
pub fn parse(line: &[u8]) -> Result<Line, String> {
    let line: Line =
        serde_json::from_slice(line).map_err(|error| format!("is no migrated content: {error}"))?;
    let format = match &line {
        Line::Content(content) => content.format,
        Line::Source(source) => source.format,
    };
    if format != FORMAT {
        return Err(format!("is of format {format}, and this program knows {FORMAT}"));
    }
    if let Line::Content(content) = &line {
        check(content)?;
    }
    Ok(line)
}

fn check(content: &Content) -> Result<(), String> {
    let marks = [Mark::Simulated, Mark::Claimed];
    if let Some(group) = content.groups.iter().find(|group| !marks.contains(&group.mark)) {
        return Err(format!(
            "has numbers that are {}, and what is migrated is claimed or simulated",
            group.mark
        ));
    }
    let is_whole = |row: &&Row| match content.names.get(row.naming) {
        Some(naming) if row.value.is_some() => {
            let signed = naming.metric.as_deref() == Some("similarity");
            let is_possible = row.value.is_some_and(|value| signed || value >= 0.0);
            naming.unit.is_some() && naming.metric.is_some() && naming.note.is_none() && is_possible
        }
        Some(naming) => naming.unit.is_none() && naming.note.is_some(),
        None => false,
    };
    let mut rows = content.groups.iter().flat_map(|group| &group.rows);
    match rows.find(|row| row.path.is_empty() || !is_whole(row)) {
        Some(row) => Err(format!(
            "has a number at {:?} that is below zero, or without a name, a unit, a note or a path",
            row.path
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(mark: &str) -> Line {
        let text = serde_json::json!({"content": {
            "format": 1, "sha256": "ab", "rules": 1, "source_file": "a.json", "bytes": 3, "read_at": "2026-01-01T00:00:00Z",
            "outcome": "migrated", "reasons": ["flag: x"], "contradictions": [], "not_understood": [],
            "names": [{"name": "a_ms", "metric": "latency", "statistic": null, "unit": "ns", "note": null}],
            "groups": [{
                "model": null, "endpoint": "cpu", "precision": null, "batch_size": 1, "measured_at": null, "mark": mark, "reason": "flag: x",
                "rows": [[0, "$.a_ms", "1", 1e6]]
            }]
        }});
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn lines_come_back_and_damage_costs_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let source = Line::Source(Source {
            format: 1,
            source_file: "a.json".into(),
            sha256: "ab".into(),
            seen_at: Timestamp::UNIX_EPOCH,
        });
        let mut writer = Writer::open(folder.path()).unwrap();
        writer.append(&(text(&content("claimed")).unwrap() + "{\"content\": {")).unwrap();
        writer.sync().unwrap();
        let mut reader = Reader::open(folder.path(), 0).unwrap().unwrap();
        assert_eq!(reader.next(1 << 20).unwrap().len(), 1);
        let so_far = reader.offset;
        Writer::open(folder.path()).unwrap().append(&text(&source).unwrap()).unwrap();
        let mut reader = Reader::open(folder.path(), so_far).unwrap().unwrap();
        let lines = reader.next(1 << 20).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(parse(&lines[0].1).is_err());
        assert_eq!(parse(&lines[1].1).unwrap(), source);
        assert_eq!(Reader::open(folder.path(), 1 << 40).unwrap().unwrap().offset, 0);
    }

    #[test]
    fn nothing_that_is_migrated_is_real() {
        assert!(parse(text(&content("simulated")).unwrap().as_bytes()).is_ok());
        for mark in ["real", "software"] {
            let told = parse(text(&content(mark)).unwrap().as_bytes()).unwrap_err();
            assert!(told.contains(&format!("are {mark}")), "{told}");
        }
        let claimed = text(&content("claimed")).unwrap();
        for (from, to) in [
            ("\"unit\":\"ns\"", "\"unit\":null"),
            ("\"metric\":\"latency\"", "\"metric\":null"),
            ("\"note\":null", "\"note\":\"x\""),
            ("1000000.0]", "null]"),
            ("[[0,", "[[1,"),
            ("$.a_ms", ""),
        ] {
            let told = parse(claimed.replace(from, to).as_bytes()).unwrap_err();
            assert!(told.contains("has a number at"), "{from}: {told}");
        }
        assert!(
            parse(claimed.replace("\"format\":1", "\"format\":2").as_bytes())
                .unwrap_err()
                .contains("format 2")
        );
    }
}
