//! What the end-to-end tests share: the built command line, and a fresh copy of the adopting workspace.

use assert_cmd::Command;
use proofmark::journal::written;
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Line, Metrics, Outcome, Purpose, Record, Samples,
};
use proofmark::{Fingerprint, Mark, Part};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The root of this workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The target folder that this test binary is in: the nested builds share it.
pub(crate) fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().to_owned()
}

fn cargo() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO"));
    command.env("CARGO_TARGET_DIR", target_dir());
    command
}

/// Builds a target once and gives the program that cargo reports.
fn build(folder: &Path, args: &[&str], name: &str) -> PathBuf {
    let output = cargo()
        .current_dir(folder)
        .args(args)
        .arg("--message-format=json-render-diagnostics")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages =
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut programs =
        messages.filter(|m| m["target"]["name"] == name && m["executable"].is_string());
    programs.next_back().unwrap()["executable"].as_str().unwrap().into()
}

/// The command line of Proofmark, built in the profile of these tests.
pub(crate) fn xtask_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build(root(), &["build", "--package", "xtask"], "xtask"))
}

/// The test program of the adopting workspace, as it is in the repository.
pub(crate) fn adopter_tests() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = root().join("tests/fixtures/adopter");
        build(&folder, &["test", "--no-run", "--test", "conformance"], "conformance")
    })
}

/// A copy of an adopting workspace with a state folder of its own. There is one of each at a time: to cargo, all copies
/// are one package, whose programs would take each other's place in the target folder.
pub(crate) struct Adopter {
    folder: TempDir,
    _alone: fs::File,
}

impl Adopter {
    /// A fresh copy of the workspace that most tests adopt with.
    pub(crate) fn new() -> Self {
        Self::of("adopter")
    }

    /// A fresh copy of this fixture; its dependency on Proofmark is made absolute.
    pub(crate) fn of(fixture: &str) -> Self {
        // Before the copy is made: cargo tells by their times that its files are newer than the last build.
        let alone = fs::File::create(target_dir().join(format!("{fixture}.lock"))).unwrap();
        alone.lock().unwrap();
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("tests/fixtures").join(fixture), folder.path());
        let adopter = Self { folder, _alone: alone };
        let core = root().join("harness/core");
        adopter.edit("Cargo.toml", "../../../harness/core", core.to_str().unwrap());
        adopter
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a piece of a file; the piece must be there.
    #[track_caller]
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} does not hold `{from}`");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// `cargo xtask …` in this workspace, in the dev profile.
    pub(crate) fn xtask(&self, args: &[&str]) -> Command {
        let mut command = xtask(args);
        command.current_dir(self.folder.path());
        command
    }

    /// Standard output of `cargo xtask … --format json`, parsed; the exit code must be `code`.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str], code: i32) -> serde_json::Value {
        let output = self.xtask(args).args(["--format", "json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"))
    }

    /// The record files.
    pub(crate) fn records(&self) -> Vec<PathBuf> {
        let folder = self.path(".proofmark/records");
        let mut files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// `cargo xtask …`, in the folder of the tests unless told otherwise.
pub(crate) fn xtask(args: &[&str]) -> Command {
    let mut command = Command::new(xtask_program());
    command
        .args(["--profile", "dev"])
        .args(args)
        .env("CARGO", env!("CARGO"))
        .env("CARGO_TARGET_DIR", target_dir())
        .env("NO_COLOR", "1")
        .env_remove("PROOFMARK_DB")
        .env_remove("PROOFMARK_DIR");
    command
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        let target = to.join(name);
        match path.is_dir() {
            true if name == "target" || name == ".proofmark" => {}
            true => {
                fs::create_dir(&target).unwrap();
                copy(&path, &target);
            }
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// A measured result of the adopting workspace with three samples around a latency, of a machine called `here`.
pub(crate) fn measured(case: &str, recorded_at: &str, latency_ns: f64) -> Record {
    let mark = Mark::Real;
    Record {
        format: FORMAT,
        id: format!("{case}-{recorded_at}"),
        run: "run".into(),
        recorded_at: recorded_at.parse().unwrap(),
        suite: "adopter".into(),
        case: case.parse().unwrap(),
        purpose: Purpose::Measure,
        outcome: Outcome::Passed,
        mark: Some(mark),
        device: Some(DeviceFacts::new(mark, "wood", "fingers")),
        message: None,
        samples: Samples::new(vec![0.99 * latency_ns, latency_ns, 1.01 * latency_ns], vec![1; 3]),
        metrics: Metrics::default(),
        op_times: Vec::new(),
        fallbacks: Vec::new(),
        outputs: Vec::new(),
        environment: Environment { machine: "here".into(), ..Environment::default() },
        fingerprint: Fingerprint::new([Part::text("same", "1")]),
    }
}

/// Writes a record file of a workspace and takes it in.
pub(crate) fn store(adopter: &Adopter, records: &[Record]) {
    let lines = records.iter().map(|record| written(&Line::Result(record.clone())));
    let text: String = lines.map(Result::unwrap).collect();
    fs::create_dir_all(adopter.path(".proofmark/records")).unwrap();
    fs::write(adopter.path(".proofmark/records/made.jsonl"), text).unwrap();
    adopter.xtask(&["rebuild"]).assert().success();
}
