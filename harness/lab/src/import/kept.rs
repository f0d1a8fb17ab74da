//! What was imported, as it is kept: a line per source in a file of its own, never among the records of runs.

use super::{Found, Measured, Tool, unit};
use crate::lines;
use jiff::Timestamp;
use proofmark::Mark;
use proofmark::journal::Fault;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The version of the format.
pub const FORMAT: u32 = 1;
/// The file of a folder that sources are appended to.
const FILE: &str = "imports.jsonl";

/// A source that was imported, with all its results: a line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// [`FORMAT`].
    pub format: u32,
    /// SHA-256 over the bytes of the source: the same bytes are imported once.
    pub id: String,
    /// When they were imported first.
    pub imported_at: Timestamp,
    /// What the source was called then.
    pub source: String,
    /// Who wrote it.
    pub tool: Tool,
    /// The version of the tool; null if it is not known.
    pub tool_version: Option<String>,
    /// Where the version comes from, or why it is not known.
    pub tool_version_from: String,
    /// When it was measured; null if the source does not say.
    pub measured_at: Option<Timestamp>,
    /// Always `claimed`.
    pub mark: Mark,
    /// What the source says of where it was measured.
    pub details: BTreeMap<String, String>,
    /// The numbers.
    pub results: Vec<Measured>,
    /// What was left out, and what a reader of the numbers must know.
    pub remarks: Vec<String>,
}

impl Imported {
    /// What is kept of a source. A version that the source says is more than one that somebody gives.
    pub(super) fn new(
        id: String,
        source: &str,
        tool: Tool,
        found: Found,
        given: Option<String>,
        now: Timestamp,
    ) -> Self {
        let mut remarks = found.remarks;
        let (tool_version, from) = match (found.version, given) {
            (Some(written), given) => {
                if let Some(given) = given.filter(|given| *given != written) {
                    remarks.push(format!(
                        "the source says version {written}, so --tool-version {given} was not taken"
                    ));
                }
                (Some(written), "the source".to_owned())
            }
            (None, Some(given)) => (Some(given), "--tool-version".to_owned()),
            (None, None) => (
                None,
                format!("unknown: {tool} did not write it, and --tool-version was not given"),
            ),
        };
        Self {
            format: FORMAT,
            id,
            imported_at: now,
            source: source.to_owned(),
            tool,
            tool_version,
            tool_version_from: from,
            measured_at: found.measured_at,
            mark: Mark::Claimed,
            details: found.details,
            results: found.results,
            remarks,
        }
    }
}

/// Appends sources to the file of a folder, which is made if it is not there.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn append(folder: &Path, sources: &[impl Borrow<Imported> + Serialize]) -> io::Result<()> {
    lines::append(folder, FILE, sources)
}

/// Reads the sources of a folder, and tells of lines that are none.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(folder: &Path) -> io::Result<(Vec<Imported>, Vec<Fault>)> {
    lines::read(folder, FILE, parse)
}

pub(super) fn parse(line: &[u8]) -> Result<Imported, String> {
    let read: Imported =
        serde_json::from_slice(line).map_err(|error| format!("is no import: {error}"))?;
    if read.format != FORMAT {
        return Err(format!("is of format {}, and this program knows {FORMAT}", read.format));
    }
    if read.mark != Mark::Claimed {
        return Err(format!("is marked {}, and what is imported is claimed", read.mark));
    }
    if read.id.is_empty() || read.tool_version_from.is_empty() {
        return Err("has no id, or does not say where its version comes from".to_owned());
    }
    read.results.iter().find_map(fault).map_or(Ok(read), Err)
}

/// What of a number cannot be, if anything: the table of imported numbers refuses the same.
fn fault(one: &Measured) -> Option<String> {
    let never_negative = one.unit.as_deref().is_some_and(unit::is_never_negative);
    let means_nothing = |value: &f64| !value.is_finite() || never_negative && *value < 0.0;
    if means_nothing(&one.value)
        || !one.raw_value.is_finite()
        || one.samples.iter().any(means_nothing)
    {
        return Some(format!("has a {} of {} that cannot be", one.metric, one.benchmark));
    }
    if !one.iterations.is_empty() && one.iterations.len() != one.samples.len() {
        return Some(format!("has samples of {} that do not fit their iterations", one.benchmark));
    }
    let names = [&one.metric, &one.statistic, &one.place];
    names.iter().any(|name| name.is_empty()).then(|| {
        format!("has a number of {} without a metric, a statistic or a place", one.benchmark)
    })
}
