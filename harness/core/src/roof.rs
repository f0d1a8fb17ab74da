//! Roofs: what a device attained in tests that do little but move bytes or multiply, kept by machine and endpoint.
//!
//! One JSON object per line in `roofs/roofs.jsonl` of a workspace's state, appended and never changed. A profile
//! measures them; reports say by them what bounds a case.

use crate::clock;
use crate::endpoint::Endpoint;
use crate::journal::Fault;
use crate::mark::Mark;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The version of a line; another one is refused.
pub const FORMAT: u32 = 1;

/// What the tests on a device attained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roofs {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Unique among all lines.
    pub id: String,
    /// When they were measured.
    pub recorded_at: Timestamp,
    /// The suite that measured.
    pub suite: String,
    /// The machine.
    pub machine: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What the numbers prove.
    pub mark: Mark,
    /// The adapter's own name.
    pub adapter: String,
    /// The precision of those tests that are graphs.
    pub precision: String,
    /// The tests.
    pub roofs: Vec<Roof>,
}

/// What one test attained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roof {
    /// What the test is limited by.
    pub limit: Limit,
    /// What it did.
    pub test: String,
    /// Bytes or operations per second.
    pub per_s: f64,
}

/// What a test is limited by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// Bytes between memory and the processor.
    Bandwidth,
    /// Floating-point operations; a multiply-add counts as two.
    Arithmetic,
}

impl Roofs {
    /// The best test of a limit, which is the roof; nothing if no test is of it.
    pub fn best(&self, limit: Limit) -> Option<f64> {
        let of = self.roofs.iter().filter(|roof| roof.limit == limit).map(|roof| roof.per_s);
        of.filter(|per_s| per_s.is_finite() && *per_s > 0.0).reduce(f64::max)
    }
}

/// An id for a line that is about to be written.
pub fn new_id() -> String {
    format!("roof-{}", clock::unique_id())
}

/// The file of a state folder.
pub fn file(state: &Path) -> PathBuf {
    state.join("roofs").join("roofs.jsonl")
}

/// Appends a line and waits until it is on the disk.
///
/// # Errors
/// The file cannot be written.
pub fn append(state: &Path, roofs: &Roofs) -> io::Result<()> {
    let path = file(state);
    fs::create_dir_all(state.join("roofs"))?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    // A line whose writer was killed must not take this one with it.
    let is_torn = fs::read(&path)?.last().is_some_and(|last| *last != b'\n');
    let begin = if is_torn { "\n" } else { "" };
    let text = format!("{begin}{}\n", serde_json::to_string(roofs)?);
    file.write_all(text.as_bytes()).and_then(|()| file.sync_data())
}

/// All lines of a state folder, and what is wrong with those that are none; none where there is no file.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(state: &Path) -> io::Result<(Vec<Roofs>, Vec<Fault>)> {
    let path = file(state);
    let bytes = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        bytes => bytes?,
    };
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    let mut next = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let offset = next;
        next += line.len() as u64;
        let detail = match serde_json::from_slice::<Roofs>(line) {
            Ok(roofs) if roofs.format == FORMAT => {
                found.push(roofs);
                continue;
            }
            Ok(roofs) => format!("is of format {}, this version reads {FORMAT}", roofs.format),
            Err(error) => format!("is no line of roofs: {error}"),
        };
        faults.push(Fault { path: path.clone(), offset, detail });
    }
    Ok((found, faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roofs(id: &str) -> Roofs {
        let roof = |limit, per_s| Roof { limit, test: "a test".into(), per_s };
        Roofs {
            format: FORMAT,
            id: id.into(),
            recorded_at: Timestamp::UNIX_EPOCH,
            suite: "s".into(),
            machine: "m".into(),
            endpoint: Endpoint::CPU,
            mark: Mark::Real,
            adapter: "a".into(),
            precision: "f32".into(),
            roofs: vec![roof(Limit::Bandwidth, 1e9), roof(Limit::Bandwidth, 3e9)],
        }
    }

    #[test]
    fn what_is_appended_is_read_and_a_line_that_is_none_costs_itself() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), (Vec::new(), Vec::new()));
        append(folder.path(), &roofs("1")).unwrap();
        let newer = Roofs { format: FORMAT + 1, ..roofs("2") };
        append(folder.path(), &newer).unwrap();
        let path = file(folder.path());
        let text = fs::read_to_string(&path).unwrap() + "{\"id\":";
        fs::write(&path, text).unwrap();
        append(folder.path(), &roofs("3")).unwrap();
        let (found, faults) = read(folder.path()).unwrap();
        assert_eq!(found, [roofs("1"), roofs("3")]);
        let length = serde_json::to_string(&roofs("1")).unwrap().len() as u64 + 1;
        assert!(faults.len() == 2 && faults[0].detail.contains("is of format 2"), "{faults:?}");
        assert!(faults[1].detail.contains("is no line of roofs"), "{faults:?}");
        assert_eq!([faults[0].offset, faults[1].offset], [length, 2 * length]);
    }

    #[test]
    fn the_best_test_is_the_roof() {
        assert_eq!(roofs("1").best(Limit::Bandwidth), Some(3e9));
        assert_eq!(roofs("1").best(Limit::Arithmetic), None);
    }
}
