//! What has been told already: a file of one line each in the state folder, appended to and held by one command at a
//! time.

use super::news::News;
use crate::clock;
use crate::output::tell;
use anyhow::{Context as _, Result, bail};
use proofmark::journal::Fault;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const FORMAT: u64 = 1;
/// Its name in the state folder.
const FILE: &str = "notified.jsonl";

/// The open ledger. It is locked for as long as it is open, so that two commands never tell the same.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
    /// The last line has no end: its writer was killed.
    torn: bool,
}

/// One thing told on one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    format: u64,
    channel: String,
    case: String,
    metric: String,
    series: Option<String>,
    points: Vec<String>,
    told_at: jiff::Timestamp,
}

impl Ledger {
    /// Opens the ledger of a state folder, waiting for whoever has it. Lines that cannot be read are told and passed.
    ///
    /// # Errors
    /// A line of a newer format: what it says was told would be told again.
    pub(super) fn open(state: &Path) -> Result<Self> {
        let path = state.join(FILE);
        let opened = std::fs::create_dir_all(state).and_then(|()| {
            let file = File::options().create(true).read(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        });
        let mut file = opened.with_context(|| format!("failed to open {}", path.display()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let entries = parse(&bytes, &path)?;
        let torn = bytes.last().is_some_and(|&last| last != b'\n');
        Ok(Self { path, file, entries, torn })
    }

    /// Whether this was told on this channel: a change point that moved a little shares a commit with what it was.
    pub(super) fn knows(&self, channel: &str, news: &News) -> bool {
        self.entries.iter().any(|entry| {
            entry.channel == channel
                && (&entry.case, &entry.metric, &entry.series)
                    == (&news.case, &news.metric, &news.series)
                && entry.points.iter().any(|point| news.points.contains(point))
        })
    }

    /// Keeps that this was told, on the disk.
    pub(super) fn keep(&mut self, channel: &str, told: &[&News]) -> Result<()> {
        let told_at = clock::now();
        let entry = |news: &&News| Entry {
            format: FORMAT,
            channel: channel.to_owned(),
            case: news.case.clone(),
            metric: news.metric.clone(),
            series: news.series.clone(),
            points: news.points.clone(),
            told_at,
        };
        let entries: Vec<_> = told.iter().map(entry).collect();
        let mut text = if self.torn { "\n".to_owned() } else { String::new() };
        for entry in &entries {
            text += &(serde_json::to_string(entry)? + "\n");
        }
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        self.torn = written.is_err();
        written.with_context(|| {
            format!("it was told, but will be told again: failed to write {}", self.path.display())
        })?;
        self.entries.extend(entries);
        Ok(())
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Entry>> {
    #[derive(Deserialize)]
    struct Head {
        format: u64,
    }
    let mut entries = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (path, number) = (path.display(), index + 1);
        if let Ok(Head { format }) = serde_json::from_slice(line)
            && format > FORMAT
        {
            bail!(
                "line {number} of {path} is of format {format}, this version reads up to {FORMAT}: \
                 use a newer Proofmark"
            );
        }
        match serde_json::from_slice(line) {
            Ok(entry) => entries.push(entry),
            Err(e) => tell!("warning: line {number} of {path} is passed over: {e}"),
        }
    }
    Ok(entries)
}

/// The lines of the ledger of a state folder that are damaged. A ledger that is not there has none.
///
/// # Errors
/// It cannot be read.
pub(crate) fn damaged(state: &Path) -> std::io::Result<Vec<Fault>> {
    let path = state.join(FILE);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let (mut damaged, mut offset) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if !line.trim_ascii().is_empty()
            && let Err(error) = serde_json::from_slice::<Entry>(line)
        {
            let detail = format!("says nothing of what was told: {error}");
            damaged.push(Fault { path: path.clone(), offset, detail });
        }
        offset += line.len() as u64;
    }
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::news::Kind;

    fn news(point: &str) -> News {
        News {
            kind: Kind::Broken,
            case: "a".into(),
            metric: "latency".into(),
            series: None,
            points: vec![point.into(), format!("{point}-parent")],
            before: None,
            after: None,
            unit: None,
            effect: None,
            low: None,
            high: None,
            p: None,
            severity: None,
            reason: None,
        }
    }

    #[test]
    fn what_is_kept_is_known_again_after_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.keep("webhook", &[&news("one")]).unwrap();
        drop(ledger);
        let path = folder.path().join("notified.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + "{\"format\":1,\"chan").unwrap();
        let torn = std::fs::read(&path).unwrap().len() - "{\"format\":1,\"chan".len();
        Ledger::open(folder.path()).unwrap().keep("webhook", &[&news("two")]).unwrap();
        let places: Vec<_> = damaged(folder.path()).unwrap().iter().map(|f| f.offset).collect();
        assert_eq!(places, [torn as u64]);
        let ledger = Ledger::open(folder.path()).unwrap();
        assert!(ledger.knows("webhook", &news("one")) && ledger.knows("webhook", &news("two")));
        assert!(!ledger.knows("email", &news("one")) && !ledger.knows("webhook", &news("three")));
        let moved = News { points: vec!["one-parent".into()], ..news("x") };
        assert!(ledger.knows("webhook", &moved), "a shared commit is the same change");
        assert!(!ledger.knows("webhook", &News { metric: "bytes".into(), ..news("one") }));
    }

    #[test]
    fn a_newer_ledger_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notified.jsonl"), "{\"format\":2}\n").unwrap();
        let said = format!("{:#}", Ledger::open(folder.path()).unwrap_err());
        assert!(said.contains("line 1") && said.contains("format 2"), "{said}");
    }
}
