//! A workspace without suites, for commands that build nothing; and processes that write records into it, or are killed.

use crate::support::{measured, xtask, xtask_program};
use proofmark::journal::{Journal, written};
use proofmark::record::{Line, Record};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The workspace and its state.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "[package]\nname = \"desk\"\nedition = \"2024\"\n[workspace]\n";
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/lib.rs"), "").unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path(".proofmark")
    }

    pub(crate) fn xtask(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = xtask(args);
        command.current_dir(self.0.path());
        command
    }

    /// What a command says on both outputs, if it ends with this code.
    #[track_caller]
    pub(crate) fn said(&self, args: &[&str], code: i32) -> String {
        let output = self.xtask(args).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str], code: i32) -> Value {
        let output = self.xtask(args).args(["--format", "json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"))
    }

    /// `cargo xtask …` as a process group of its own.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        start(Command::new(xtask_program()).args(args).current_dir(self.0.path()))
    }

    /// Takes in what is new in the record files, by a command that does not build.
    #[track_caller]
    pub(crate) fn ingest(&self) {
        self.json(&["report", "compat"], 0);
    }

    /// Compares the database with the files; the lines that are damaged.
    #[track_caller]
    pub(crate) fn check_equal(&self) -> Vec<Value> {
        let output = self.xtask(&["store", "check", "--format", "json"]).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["database"]["state"], "equal", "{found:#}");
        let damaged = found["damaged"].as_array().unwrap().clone();
        assert_eq!(output.status.code(), Some(i32::from(!damaged.is_empty())));
        damaged
    }

    /// The ids of all stored results. None is there twice, for the database has one row for each.
    #[track_caller]
    pub(crate) fn stored(&self) -> BTreeSet<String> {
        ids(&self.json(&["query", "select id from results"], 0))
    }

    /// The ids of all whole lines of the record files, which must be there once each.
    #[track_caller]
    pub(crate) fn recorded(&self) -> BTreeSet<String> {
        recorded(&self.state())
    }

    /// Writes record files, each with so many results of machine `here`.
    pub(crate) fn fill(&self, files: usize, each: usize) {
        let folder = self.state().join("records");
        fs::create_dir_all(&folder).unwrap();
        for file in 0..files {
            let lines = (0..each).map(|number| {
                let made = result(&format!("made-{file}-{number}"), number);
                written(&Line::Result(made)).unwrap()
            });
            fs::write(folder.join(format!("made-{file:03}.jsonl")), lines.collect::<String>())
                .unwrap();
        }
    }

    /// Every file of the state but those of the database and the lock, with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        walk(&self.state(), &mut found);
        found.retain(|(path, _)| {
            let name = path.file_name().unwrap().to_string_lossy();
            !name.starts_with("results.") && name != "lock"
        });
        found.sort();
        found
    }
}

fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, found),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
}

fn ids(rows: &Value) -> BTreeSet<String> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of all whole lines of the record files of a state, which must be there once each.
#[track_caller]
pub(crate) fn recorded(state: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for path in proofmark::journal::files(&state.join("records")).unwrap() {
        let chunk = proofmark::journal::read(&path, 0).unwrap();
        assert!(chunk.faults.is_empty(), "{:?}", chunk.faults);
        for line in chunk.lines {
            if let Line::Result(record) = line {
                assert!(ids.insert(record.id), "a record is there twice");
            }
        }
    }
    ids
}

/// A result with this id, of one of some cases.
fn result(id: &str, number: usize) -> Record {
    let case = format!("m{}/abacus/f64/b{}", number % 7, number % 50);
    let second = i64::try_from(number).unwrap();
    let at = jiff::Timestamp::from_second(1_700_000_000 + second).unwrap().to_string();
    Record { id: id.to_owned(), ..measured(&case, &at, 1e6 + number as f64) }
}

/// Starts a command in a process group of its own, without outputs.
pub(crate) fn start(command: &mut Command) -> Child {
    command
        .env("CARGO", env!("CARGO"))
        .env_remove("PROOFMARK_DB")
        .env_remove("PROOFMARK_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// Kills a process group that was started here, after this time; whether it was still at work.
pub(crate) fn kill_after(child: &mut Child, time: Duration) -> bool {
    sleep(time);
    let at_work = child.try_wait().unwrap().is_none();
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    child.wait().unwrap();
    at_work
}

/// How long something takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// Where a writer writes, how often, and where it says what is on the disk.
const WRITER: &str = "PROOFMARK_E2E_WRITER";

/// A process that writes so many records through a journal of its own, and each id, once it is on the disk, into a file.
pub(crate) fn writer(state: &Path, count: usize, acknowledged: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["desk::a_writer", "--exact", "--ignored", "--test-threads", "1"]);
    let told = serde_json::json!([state.join("records"), count, acknowledged]);
    start(command.env(WRITER, told.to_string()))
}

/// The ids that a writer has acknowledged: whole lines, for it may have been killed in one.
pub(crate) fn acknowledged(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .map(str::to_owned)
        .collect()
}

#[test]
#[ignore = "the process of a writer, which other tests start"]
fn a_writer() {
    let Ok(told) = std::env::var(WRITER) else { return };
    let (folder, count, acknowledged): (PathBuf, usize, PathBuf) =
        serde_json::from_str(&told).unwrap();
    let mut journal = Journal::new(&folder);
    let mut said: File = OpenOptions::new().create(true).append(true).open(acknowledged).unwrap();
    for number in 0..count {
        let id = journal.next_id();
        let record = Record { run: journal.run().to_owned(), ..result(&id, number) };
        journal.append(&Line::Result(record)).unwrap();
        said.write_all(format!("{id}\n").as_bytes()).unwrap();
    }
}
