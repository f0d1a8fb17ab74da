//! The workflows: what they promise stands in them, and the scripts that they call are run, with recorders in the
//! place of cargo and with real git.

use crate::readme::help;
use crate::support::root;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The text of each job of a workflow.
fn jobs(text: &str) -> Vec<String> {
    let (_, jobs) = text.split_once("\njobs:\n").unwrap();
    let mut found: Vec<String> = Vec::new();
    for line in jobs.lines() {
        let begins = line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
        match found.last_mut() {
            Some(job) if !begins => *job += &format!("{line}\n"),
            _ => found.push(format!("{line}\n")),
        }
    }
    found
}

#[test]
fn workflows_have_few_rights_and_an_end() {
    let workflows = files(".github/workflows");
    assert!(workflows.len() >= 4, "{workflows:?}");
    for (path, text) in workflows {
        let path = path.display();
        assert!(text.contains("\npermissions: {}\n"), "{path} gives rights to all jobs");
        assert!(text.contains("\nconcurrency:\n"), "{path}");
        assert!(!text.contains("pull_request_target"), "{path} gives rights to code of strangers");
        assert!(!text.contains("run: |"), "{path}: more than one line is a script");
        for job in jobs(&text) {
            for part in ["    permissions:\n", "    timeout-minutes: ", "    runs-on: "] {
                assert!(job.contains(part), "{path} has a job without {part}: {job}");
            }
            // What may write runs no code of a pull request.
            let foreign = text.contains("pull_request:")
                && !job.contains("ref: ${{ github.event.pull_request.base.sha }}");
            assert!(!(foreign && job.contains(": write")), "{path}: {job}");
            assert!(!(foreign && job.contains("secrets.")), "{path}: {job}");
        }
        for line in text.lines().filter(|line| line.contains("uses: ")) {
            let version = line.rsplit_once("@v").map(|(_, version)| version.parse::<u32>());
            assert!(matches!(version, Some(Ok(_))), "{path}: {line} names no major version");
        }
        for (_, script) in text.match_indices(".github/scripts/").map(|(at, _)| text.split_at(at)) {
            let script = root().join(script.split_whitespace().next().unwrap());
            let mode = fs::metadata(&script).unwrap().permissions().mode();
            assert!(mode & 0o111 != 0, "{} cannot be run", script.display());
        }
    }
}

#[test]
fn commands_of_workflows_exist() {
    let mut checked = BTreeSet::new();
    for (path, text) in [files(".github/workflows"), files(".github/scripts")].concat() {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let Some((_, command)) = line.split_once("cargo xtask ") else { continue };
            let words: Vec<_> = command.split_whitespace().collect();
            if words[0] == "browsers" {
                continue;
            }
            let nested = if words[0] == "report" { &words[..2] } else { &words[..1] };
            let flags = help(nested);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    flags.contains(flag),
                    "{}: {line}: there is no flag {flag}",
                    path.display()
                );
            }
            checked.insert(words[0].to_owned());
        }
    }
    let expected = ["gate", "history", "incremental", "notify", "rebuild", "report"];
    assert_eq!(checked, expected.map(str::to_owned).into());
}

/// A folder with a bare repository `origin` and clones of it.
struct Runs(TempDir);

impl Runs {
    fn new() -> Self {
        let runs = Self(tempfile::tempdir().unwrap());
        runs.git("", &["init", "--quiet", "--bare", "origin"]);
        runs.git("", &["init", "--quiet", "first"]);
        runs.write("first/README", "the code\n");
        runs.git("first", &["add", "README"]);
        runs.git("first", &["commit", "--quiet", "-m", "code"]);
        runs.git("first", &["push", "--quiet", "../origin", "HEAD:main"]);
        runs.git("first", &["remote", "add", "origin", "../origin"]);
        runs.git("", &["clone", "--quiet", "--branch", "main", "origin", "second"]);
        runs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    #[track_caller]
    fn git(&self, folder: &str, args: &[&str]) -> String {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let output = Command::new("git")
            .args(identity)
            .args(args)
            .current_dir(self.path(folder))
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `records pull` or `records push` in a clone; what it said.
    #[track_caller]
    fn records(&self, clone: &str, what: &str) -> String {
        let output = run("records", &[what], &self.path(clone), None);
        assert!(self.git(clone, &["status", "--porcelain", "--untracked-files=no"]).is_empty());
        output
    }

    /// The files on the branch.
    fn kept(&self) -> BTreeSet<String> {
        let listed = self.git("origin", &["ls-tree", "-r", "--name-only", "proofmark-records"]);
        listed.lines().map(str::to_owned).collect()
    }

    fn show(&self, file: &str) -> String {
        self.git("origin", &["show", &format!("proofmark-records:{file}")])
    }
}

/// Runs a script of the workflows; it must end well. With `path`, programs there come first.
#[track_caller]
fn run(script: &str, args: &[&str], folder: &Path, path: Option<&Path>) -> String {
    let mut command = Command::new(root().join(".github/scripts").join(script));
    command.args(args).current_dir(folder);
    for name in
        ["PROOFMARK_DIR", "PROOFMARK_RECORDS_BRANCH", "PROOFMARK_SMTP_URL", "PROOFMARK_WEBHOOK_URL"]
    {
        command.env_remove(name);
    }
    if let Some(path) = path {
        let paths = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
        command.env("PATH", paths).env("PROOFMARK_SMTP_URL", "smtp://localhost");
        command.env("PROOFMARK_EMAIL", "ann@example.org bob@example.org");
    }
    let output = command.output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "{script} {args:?}: {said}");
    said
}

#[test]
fn records_of_two_runs_are_all_kept() {
    let runs = Runs::new();
    // There is no branch yet.
    runs.records("first", "pull");
    runs.write("first/.proofmark/records/a.jsonl", "{\"a\":1}\n");
    runs.write("first/.proofmark/notified.jsonl", "{\"told\":\"a\"}\n");
    runs.write("second/.proofmark/records/b.jsonl", "{\"b\":1}\n");
    runs.write("second/.proofmark/notified.jsonl", "{\"told\":\"b\"}\n");
    runs.records("first", "push");
    runs.records("second", "push");
    let all = ["notified.jsonl", "records/a.jsonl", "records/b.jsonl"].map(str::to_owned);
    assert_eq!(runs.kept(), all.clone().into());
    assert_eq!(runs.show("notified.jsonl"), "{\"told\":\"a\"}\n{\"told\":\"b\"}\n");
    assert!(runs.records("second", "push").contains("has all of them"));
    runs.records("first", "pull");
    assert_eq!(runs.read("first/.proofmark/records/b.jsonl"), "{\"b\":1}\n");
    assert_eq!(runs.read("first/.proofmark/notified.jsonl").lines().count(), 2);
    // A file that grew here is taken, one that is shorter here takes nothing away.
    runs.write("first/.proofmark/records/a.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    runs.records("first", "push");
    runs.write("second/.proofmark/records/a.jsonl", "{\"a\":1}\n{\"a\"");
    runs.records("second", "push");
    assert_eq!(runs.show("records/a.jsonl"), "{\"a\":1}\n{\"a\":2}\n");
    // Two files of one name are both kept, in either direction, and once.
    runs.write("second/.proofmark/records/a.jsonl", "{\"other\":1}\n");
    runs.records("second", "push");
    runs.records("second", "push");
    let kept = runs.kept();
    let texts: Vec<_> =
        kept.iter().filter(|name| name.contains("/a")).map(|name| runs.show(name)).collect();
    assert_eq!(texts.len(), 2, "{kept:?}");
    assert!(
        texts.contains(&"{\"other\":1}\n".into())
            && texts.contains(&"{\"a\":1}\n{\"a\":2}\n".into())
    );
    runs.records("second", "pull");
    assert_eq!(runs.read("second/.proofmark/records/a.jsonl"), "{\"other\":1}\n");
    // The branch has nothing of the code, and its commits follow each other.
    assert_eq!(runs.git("origin", &["rev-list", "--count", "proofmark-records"]).trim(), "4");
}

#[test]
fn a_push_that_another_run_was_faster_than_is_tried_again() {
    let runs = Runs::new();
    runs.write("first/.proofmark/records/a.jsonl", "{\"a\":1}\n");
    runs.write("second/.proofmark/records/b.jsonl", "{\"b\":1}\n");
    // Between the first run's look at the branch and its push, the second run pushes.
    let hook = runs.path("first/.git/hooks/pre-push");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = root().join(".github/scripts/records");
    let second = runs.path("second");
    let text = format!(
        "#!/bin/sh\n[ -e once ] && exit 0\ntouch once\ncd {} && env -u GIT_DIR -u GIT_INDEX_FILE {} push >&2\n",
        second.display(),
        script.display()
    );
    fs::write(&hook, text).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let said = runs.records("first", "push");
    assert!(said.contains("another run was faster"), "{said}");
    assert_eq!(runs.kept(), ["records/a.jsonl", "records/b.jsonl"].map(str::to_owned).into());
}

/// A folder with a `cargo` and a `sudo` that note how they are called.
fn recorder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cargo", "sudo"] {
        let path = folder.path().join(name);
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >> \"$(dirname \"$0\")/calls\"\ncase \"$*\" in *json) echo '[]' ;; esac\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// How a script calls other programs.
#[track_caller]
fn check(script: &str, args: &[&str], expected: &[&str]) -> TempDir {
    let (programs, folder) = (recorder(), tempfile::tempdir().unwrap());
    run(script, args, folder.path(), Some(programs.path()));
    let calls = fs::read_to_string(programs.path().join("calls")).unwrap_or_default();
    assert_eq!(calls.lines().collect::<Vec<_>>(), expected);
    folder
}

#[test]
fn the_history_is_told_on_the_channels_that_are_set_up() {
    let notify = "cargo xtask notify --history out/history.json --github-issue --email ann@example.org --email bob@example.org";
    let folder =
        check("tell", &["out/history.json"], &["cargo xtask history --format json", notify]);
    assert_eq!(fs::read_to_string(folder.path().join("out/history.json")).unwrap(), "[]\n");
}

#[test]
fn the_site_has_every_report() {
    let folder = check(
        "site",
        &["out/site"],
        &[
            "cargo xtask history --format html --out out/site/history",
            "cargo xtask report coverage --format html --out out/site/coverage.html",
            "cargo xtask report browsers --out out/site/browsers",
        ],
    );
    fs::create_dir_all(folder.path().join("out/site/history")).unwrap();
    fs::write(folder.path().join("out/site/history/suite-models.html"), "").unwrap();
    let programs = recorder();
    run("site", &["out/site"], folder.path(), Some(programs.path()));
    let page = fs::read_to_string(folder.path().join("out/site/index.html")).unwrap();
    assert!(
        page.contains("href=\"coverage.html\"")
            && page.contains("href=\"history/suite-models.html\""),
        "{page}"
    );
}

#[test]
fn every_endpoint_of_the_matrix_can_be_prepared() {
    let text = fs::read_to_string(root().join(".github/workflows/matrix.yml")).unwrap();
    let names = text.lines().filter_map(|line| line.split_once("endpoint: ")?.1.strip_suffix(" }"));
    let names: BTreeSet<_> = names.collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let programs = recorder();
        run("endpoint", &[name], programs.path(), Some(programs.path()));
    }
    check("endpoint", &["cpu"], &[]);
    check("endpoint", &["webnn-chromium"], &["cargo xtask browsers fetch chromium-shell"]);
    let native = recorder();
    run("endpoint", &["webgpu-native"], native.path(), Some(native.path()));
    let calls = fs::read_to_string(native.path().join("calls")).unwrap();
    assert!(calls.contains("install") && calls.contains("mesa-vulkan-drivers"), "{calls}");
}
