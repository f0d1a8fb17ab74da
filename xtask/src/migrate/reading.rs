//! Files are read in parallel, some at a time, and what is new in them is kept as lines.

use super::inputs::Input;
use crate::context::Context;
use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use proofmark::Mark;
use proofmark::fingerprint::digest;
use proofmark_lab::migrate::lines::{self, Content, FORMAT, Line, Source, Writer};
use proofmark_lab::migrate::{self, Extracted, Fault, Outcome};
use proofmark_lab::report::migrate::FileReport;
use proofmark_lab::store::{self, Store};
use rayon::prelude::*;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Files that are in memory at a time.
const AT_A_TIME: usize = 256;

/// What the store knows already.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Contents, by SHA-256.
    contents: HashMap<String, store::Known>,
    /// The last content of each file.
    sources: HashMap<String, String>,
}

impl Known {
    pub(super) fn of(store: &Store) -> Result<Self> {
        Ok(Self { contents: store.known_contents()?, sources: store.latest_sources()? })
    }
}

/// Reads files and says what became of each.
#[derive(Debug)]
pub(super) struct Reading<'c> {
    context: &'c Context,
    now: Timestamp,
    known: Known,
    /// Contents of this reading, and the file that each was found in.
    new: HashMap<String, (String, store::Known)>,
}

/// What was read of a file.
enum Read {
    Refused(String),
    Content { sha256: String, new: Option<(Box<Content>, String)> },
}

impl<'c> Reading<'c> {
    pub(super) fn new(context: &'c Context, now: Timestamp, known: Known) -> Self {
        Self { context, now, known, new: HashMap::new() }
    }

    /// What became of all files, in their order. What is new is appended, if there is something to append to.
    pub(super) fn all(
        mut self,
        inputs: Vec<Input>,
        mut writer: Option<&mut Writer>,
    ) -> Result<Vec<FileReport>> {
        let bar = progress_bar(inputs.len());
        let mut told = Vec::with_capacity(inputs.len());
        for some in inputs.chunks(AT_A_TIME) {
            let read = some.par_iter().map(|input| {
                let read = self.read(input);
                bar.inc(1);
                read
            });
            let read = read.collect::<Result<Vec<_>>>()?;
            let mut text = String::new();
            for (input, read) in some.iter().zip(read) {
                told.push(self.tell(input, read, &mut text)?);
            }
            if let Some(writer) = &mut writer {
                writer.append(&text).with_context(|| {
                    format!("failed to write into {}", self.context.folders.migrated.display())
                })?;
            }
        }
        bar.finish_and_clear();
        Ok(told)
    }

    fn read(&self, input: &Input) -> Result<Read> {
        if let Some(why) = &input.refused {
            return Ok(Read::Refused(why.clone()));
        }
        let bytes = match bytes(&input.path()) {
            Ok(bytes) => bytes,
            Err(why) => return Ok(Read::Refused(why)),
        };
        let sha256 = digest(&bytes);
        if self.known.contents.contains_key(&sha256) || self.new.contains_key(&sha256) {
            return Ok(Read::Content { sha256, new: None });
        }
        let found = find(&bytes, &input.file);
        let length = bytes.len() as u64;
        let content =
            Content::new(found, sha256.clone(), input.source_file.clone(), length, self.now);
        let line = Line::Content(Box::new(content));
        let text = lines::text(&line)?;
        let Line::Content(content) = line else { unreachable!("made above") };
        Ok(Read::Content { sha256, new: Some((content, text)) })
    }

    /// Says what became of a file, and adds to the text what is to be kept of it.
    fn tell(&mut self, input: &Input, read: Read, text: &mut String) -> Result<FileReport> {
        let (sha256, new) = match read {
            Read::Refused(why) => return Ok(refused(input, why)),
            Read::Content { sha256, new } => (sha256, new),
        };
        if self.known.sources.get(&input.source_file) != Some(&sha256) {
            let source = Source {
                format: FORMAT,
                source_file: input.source_file.clone(),
                sha256: sha256.clone(),
                seen_at: self.now,
            };
            text.push_str(&lines::text(&Line::Source(source))?);
        }
        let of_before = self.known.contents.get(&sha256);
        let mut duplicate_of = None;
        let known = match (of_before, new) {
            (Some(known), _) => {
                let is_other = known.source_file != input.source_file
                    && self.known.sources.get(&known.source_file) == Some(&sha256);
                duplicate_of = is_other.then(|| known.source_file.clone());
                known.clone()
            }
            (None, new) => match self.new.get(&sha256) {
                Some((first, known)) => {
                    duplicate_of = Some(first.clone());
                    known.clone()
                }
                None => {
                    let (content, line) = new.context("a content was neither known nor read")?;
                    text.push_str(&line);
                    let known = known_of(*content);
                    self.new.insert(sha256.clone(), (input.source_file.clone(), known.clone()));
                    known
                }
            },
        };
        Ok(FileReport {
            file: input.shown.clone(),
            source_file: input.source_file.clone(),
            sha256: Some(sha256),
            outcome: known.outcome,
            reasons: known.reasons,
            contradictions: known.contradictions,
            not_understood: known.not_understood,
            simulated: known.simulated,
            claimed: known.claimed,
            duplicate_of,
            known: of_before.is_some(),
        })
    }
}

/// What is in a file; or why it could not be read, as the same.
pub(super) fn find(bytes: &[u8], file: &Path) -> Extracted {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    migrate::read(bytes, &name).unwrap_or_else(|fault| Extracted {
        outcome: Outcome::Rejected,
        reasons: vec![told(&fault)],
        contradictions: Vec::new(),
        not_understood: Vec::new(),
        names: Vec::new(),
        groups: Vec::new(),
    })
}

fn told(fault: &Fault) -> String {
    format!("{}: {fault}", fault.code())
}

/// The bytes of a plain file that is not too large.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("unreadable: {error}");
    let found = fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err("unreadable: it is no plain file".to_owned());
    }
    if found.len() > migrate::json::MAX_BYTES {
        return Err(told(&Fault::Large(found.len())));
    }
    fs::read(path).map_err(unreadable)
}

fn refused(input: &Input, why: String) -> FileReport {
    FileReport {
        file: input.shown.clone(),
        source_file: input.source_file.clone(),
        sha256: None,
        outcome: Outcome::Rejected,
        reasons: vec![why],
        contradictions: Vec::new(),
        not_understood: Vec::new(),
        simulated: 0,
        claimed: 0,
        duplicate_of: None,
        known: false,
    }
}

fn known_of(content: Content) -> store::Known {
    store::Known {
        simulated: content.count(Mark::Simulated),
        claimed: content.count(Mark::Claimed),
        source_file: content.source_file,
        outcome: content.outcome,
        reasons: content.reasons,
        contradictions: content.contradictions,
        not_understood: content.not_understood,
    }
}

/// On the error output, and only if that is a terminal.
fn progress_bar(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} files {elapsed}") {
        bar.set_style(style);
    }
    bar
}
