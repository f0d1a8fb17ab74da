//! Record files as portions of parsed lines: several threads parse, and the portions come in the order of the files.

use super::columns::Columns;
use super::latest::Newest;
use proofmark::journal::lean::{Lean, Memory};
use proofmark::journal::{self, Block, Blocks, Fault};
use proofmark::record::{Line, Probe};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Bytes of lines that are parsed at once.
const PORTION: u64 = 2 << 20;
/// Portions that may wait for the one who writes them.
const WAITING: usize = 4;

/// A record file, and from where on it is to be read.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) from: u64,
    /// How far it was read before.
    pub(super) seen: u64,
}

/// What some lines say.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub(super) columns: Columns,
    /// Where it is asked for.
    pub(super) newest: Option<Newest>,
    pub(super) probes: Vec<Probe>,
    /// Each with the number of its file.
    pub(super) faults: Vec<(usize, Fault)>,
}

/// A file that could not be read.
pub(super) type Unreadable = (PathBuf, io::Error);

/// Where reading stands; one thread at a time goes on.
struct Place<'f> {
    files: &'f [Unread],
    /// How many files were begun.
    begun: usize,
    blocks: Option<Blocks>,
    /// How many portions were given out.
    given: usize,
    /// Of each file that was read to its end, where to go on another time.
    ended: Vec<u64>,
}

/// Reads files and hands their portions over in order, each with its newest results if these are asked for. Says of each
/// file where to go on another time.
///
/// # Errors
/// A file cannot be read, or `take` fails; then no more is read.
pub(super) fn read<E: From<Unreadable>>(
    files: &[Unread],
    newest: bool,
    mut take: impl FnMut(Portion) -> Result<(), E>,
) -> Result<Vec<u64>, E> {
    let place = Place { files, begun: 0, blocks: None, given: 0, ended: Vec::new() };
    let place = Mutex::new(place);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let (sender, portions) = mpsc::sync_channel(WAITING);
        for _ in 0..threads {
            let (sender, place) = (sender.clone(), &place);
            scope.spawn(move || {
                let mut memory = Memory::default();
                loop {
                    let next = place.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let found = match next {
                        Ok((_, blocks)) if blocks.is_empty() => break,
                        Ok((number, blocks)) => {
                            let newest = newest.then(Newest::default);
                            let portion = Portion { newest, ..Portion::default() };
                            Ok((number, parse(portion, &blocks, files, &mut memory)))
                        }
                        Err(unreadable) => Err(unreadable),
                    };
                    // Nobody receives after an error.
                    if sender.send(found).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        in_order(portions, &mut take)
    })?;
    Ok(place.into_inner().unwrap_or_else(PoisonError::into_inner).ended)
}

fn in_order<E: From<Unreadable>>(
    portions: Receiver<Result<(usize, Portion), Unreadable>>,
    take: &mut impl FnMut(Portion) -> Result<(), E>,
) -> Result<(), E> {
    let mut early = BTreeMap::new();
    let mut taken = 0;
    for found in portions {
        let (number, portion) = found?;
        early.insert(number, portion);
        while let Some(portion) = early.remove(&taken) {
            take(portion)?;
            taken += 1;
        }
    }
    Ok(())
}

impl Place<'_> {
    /// The number of the next portion, and its blocks with the numbers of their files; no blocks at the end.
    fn next(&mut self) -> Result<(usize, Vec<(usize, Block)>), Unreadable> {
        let mut found = Vec::new();
        let mut bytes = 0;
        while bytes < PORTION {
            let Some(blocks) = &mut self.blocks else {
                let Some(file) = self.files.get(self.begun) else { break };
                self.begun += 1;
                let opened = Blocks::open(&file.path, file.from);
                self.blocks = Some(opened.map_err(|error| (file.path.clone(), error))?);
                continue;
            };
            let file = self.begun - 1;
            match blocks.read().map_err(|error| (self.files[file].path.clone(), error))? {
                Some(block) => {
                    bytes += block.size();
                    found.push((file, block));
                }
                None => {
                    self.ended.push(blocks.next_offset());
                    self.blocks = None;
                }
            }
        }
        self.given += 1;
        Ok((self.given - 1, found))
    }
}

/// Adds what the lines of some blocks say.
fn parse(
    mut portion: Portion,
    blocks: &[(usize, Block)],
    files: &[Unread],
    memory: &mut Memory,
) -> Portion {
    for (file, block) in blocks {
        let mut lean = Lean::default();
        for (offset, line) in block.lines() {
            let found = line.and_then(|line| {
                if lean.read(line, memory) {
                    portion.push(&lean);
                    return Ok(());
                }
                portion.judge(line, memory)
            });
            if let Err(detail) = found {
                let path = files[*file].path.clone();
                portion.faults.push((*file, Fault { path, offset, detail }));
            }
        }
    }
    portion
}

impl Portion {
    fn push(&mut self, lean: &Lean<'_>) {
        if let Some(newest) = &mut self.newest {
            newest.see(lean);
        }
        self.columns.push(lean);
    }

    /// Takes a line that is not written as this version writes it, if it is a sound one.
    fn judge(&mut self, line: &[u8], memory: &mut Memory) -> Result<(), String> {
        match journal::line(line)? {
            Line::Probe(probe) => self.probes.push(probe),
            result @ Line::Result(_) => {
                let failed = |_| "cannot be written as a record".to_owned();
                let text = serde_json::to_string(&result).map_err(failed)?;
                let mut lean = Lean::default();
                if !lean.read_text(&text, memory) {
                    return Err("is a record that this version cannot read".into());
                }
                self.push(&lean);
            }
        }
        Ok(())
    }
}
