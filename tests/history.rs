//! `history` over a store and a real git repository: which results are compared, where they changed, which commits are
//! suspected, what is said where git knows nothing, and the pages.

use crate::support::{Adopter, measured, store};
use proofmark::journal::written;
use proofmark::record::{DeviceFacts, Environment, Line, Record, Samples};
use proofmark::{Fingerprint, Mark, Part};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs git in a folder, as nobody in particular; gives what it printed.
#[track_caller]
fn git(folder: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").current_dir(folder).args(who).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Commits a file with this content; gives the commit's id.
fn commit(adopter: &Adopter, file: &str, subject: &str) -> String {
    let path = adopter.path(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, subject).unwrap();
    git(&adopter.path(""), &["add", "--all"]);
    git(&adopter.path(""), &["commit", "--quiet", "--message", subject]);
    git(&adopter.path(""), &["rev-parse", "HEAD"])
}

/// The workspace as a repository with one commit, whose id is given too.
fn repository() -> (Adopter, String) {
    let adopter = Adopter::new();
    git(&adopter.path(""), &["init", "--quiet"]);
    fs::write(adopter.path(".gitignore"), ".proofmark\ntarget\n").unwrap();
    let first = commit(&adopter, "README.md", "Begin");
    (adopter, first)
}

const KERNEL: &str = "kernel cells/dot.rs";

/// The result of hour `hour`: around 100 ns before a step, 130 ns after it.
fn result(case: &str, commit: &str, hour: i64, is_after: bool) -> Record {
    let noise = (hour * 37 % 11) as f64 / 10.0;
    let latency = if is_after { 130.0 } else { 100.0 } + noise;
    let version = if is_after { "2" } else { "1" };
    let at = format!("2026-01-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
    Record {
        id: format!("{case}-{hour}"),
        samples: Samples::new(vec![latency - 1.0, latency, latency + 1.0], vec![1; 3]),
        environment: Environment {
            machine: "here".into(),
            commit: commit.into(),
            ..Environment::default()
        },
        fingerprint: Fingerprint::new([Part::text(KERNEL, version), Part::text("same", "1")]),
        ..measured(case, &at, latency)
    }
}

/// Twenty results of one commit, then twenty of another, in the order of time.
fn step(case: &str, before: &str, after: &str) -> Vec<Record> {
    let at = |hour| result(case, if hour < 20 { before } else { after }, hour, hour >= 20);
    (0..40).map(at).collect()
}

const CASE: &str = "double-exact/abacus/f64/b1";

#[test]
fn a_step_is_found_and_its_commits_are_ranked() {
    let (adopter, first) = repository();
    let docs = commit(&adopter, "GUIDE.md", "Say more");
    let kernel = commit(&adopter, "src/cells/dot.rs", "Multiply otherwise");
    let other = commit(&adopter, "src/remark.rs", "Remark");
    let last = commit(&adopter, "README.md", "Say less");
    let mut records = step(CASE, &first, &last);
    // In files, results are in no order.
    records.rotate_left(7);
    // Of another kind, these would be steps if they were joined with the others.
    for (hour, mark, machine) in [(1, Mark::Software, "here"), (2, Mark::Real, "there")] {
        let plain = result(CASE, &first, hour, true);
        let environment = Environment { machine: machine.into(), ..plain.environment.clone() };
        let device = Some(DeviceFacts::new(mark, "wood", "fingers"));
        let id = format!("other-{hour}");
        records.push(Record { id, mark: Some(mark), device, environment, ..plain });
    }
    store(&adopter, &records);
    let found = adopter.json(&["history"], 0);
    let lengths: Vec<_> = found.as_array().unwrap().iter().map(shape).collect();
    assert_eq!(
        lengths,
        [("here/real", 40, false), ("here/software", 1, true), ("there/real", 1, true)]
            .map(|(kind, count, short)| (kind.to_owned(), count, short))
    );
    let trend = &found[0];
    assert_eq!(trend["case_id"], CASE);
    assert_eq!(trend["points"][3]["record"], format!("{CASE}-3"));
    assert_eq!(trend["points"][3]["latency_ns_median"], 100.1);
    let [change] = &trend["change_points"].as_array().unwrap()[..] else { panic!("{trend}") };
    assert_eq!((&change["index"], &change["time"]), (&20.into(), &"2026-01-01T20:00:00Z".into()));
    assert!((change["relative"].as_f64().unwrap() - 0.3).abs() < 0.01, "{change}");
    assert_eq!(change["last_before"]["commit"], *first);
    assert_eq!(change["first_after"]["commit"], *last);
    assert_eq!(change["attribution"]["parts"], serde_json::json!([KERNEL]));
    let suspects = change["attribution"]["commits"].as_array().unwrap().iter();
    let suspects: Vec<_> =
        suspects.map(|s| (s["id"].as_str().unwrap(), s["rank"].as_str().unwrap())).collect();
    let expected = [
        (&*kernel, "changed-source"),
        (&*other, "other-code"),
        (&*last, "no-code"),
        (&*docs, "no-code"),
    ];
    assert_eq!(suspects, expected);
    let why = change["attribution"]["commits"][0]["why"].as_str().unwrap();
    assert_eq!(why, "touches src/cells/dot.rs: `kernel cells/dot.rs` differs");
}

/// `machine/mark`, the number of points, and whether they are too few.
fn shape(trend: &Value) -> (String, usize, bool) {
    let kind =
        format!("{}/{}", trend["machine"].as_str().unwrap(), trend["mark"].as_str().unwrap());
    (kind, trend["points"].as_array().unwrap().len(), trend["too_short"].as_bool().unwrap())
}

/// What is said of the commits at the only change point of a case.
#[track_caller]
fn notes(found: &Value, case: &str) -> String {
    let trends = found.as_array().unwrap();
    let trend = trends.iter().find(|trend| trend["case_id"] == case).unwrap();
    let attribution = &trend["change_points"][0]["attribution"];
    let notes = attribution["notes"].as_array().unwrap_or_else(|| panic!("no change in {trend}"));
    let count = attribution["commits"].as_array().unwrap().len();
    let notes: Vec<_> = notes.iter().map(|note| note.as_str().unwrap()).collect();
    format!("{count} commits; {}", notes.join("; "))
}

#[test]
fn what_git_cannot_know_is_said_in_words() {
    let (adopter, first) = repository();
    let last = commit(&adopter, "src/cells/dot.rs", "Multiply otherwise");
    let lost = "d".repeat(40);
    let dirty = format!("{last}-dirty");
    let cases = [
        ("same/abacus/f64/b1", &*first, &*first),
        ("dirty/abacus/f64/b1", &first, &dirty),
        ("both/abacus/f64/b1", &dirty, &dirty),
        ("lost/abacus/f64/b1", &lost, &last),
        ("none/abacus/f64/b1", "", &last),
        ("option/abacus/f64/b1", &first, "--output=stolen"),
        ("back/abacus/f64/b1", &last, &first),
    ];
    let records: Vec<_> = cases.iter().flat_map(|(case, a, b)| step(case, a, b)).collect();
    store(&adopter, &records);
    let found = adopter.json(&["history"], 0);
    let check = |name: &str, expected: &str| {
        let said = notes(&found, &format!("{name}/abacus/f64/b1"));
        assert!(said.contains(expected), "{name}: {said}, not {expected}");
    };
    check("same", &format!("0 commits; both results are of commit {}: no commit", &first[..10]));
    check("dirty", "1 commits; the later result was measured with uncommitted changes");
    check(
        "both",
        "no commit lies between them; both results were measured with uncommitted changes",
    );
    check("lost", "0 commits; git does not know the commit dddddddddd: it is not in this clone");
    check("none", "0 commits; record none/abacus/f64/b1-19 names no commit: it was not measured");
    check("option", "names `--output=stolen`, which is no commit");
    assert!(!adopter.path("stolen").exists());
    check("back", "1 commits");
    let trends = found.as_array().unwrap();
    let back = trends.iter().find(|trend| trend["case_id"] == "back/abacus/f64/b1").unwrap();
    let undone = &back["change_points"][0]["attribution"]["commits"][0];
    assert_eq!((&undone["id"], &undone["undone"]), (&(*last).into(), &true.into()));
    // A clone that is cut off does not have the first commit.
    let clone = adopter.path(".proofmark/clone");
    let source = format!("file://{}", adopter.path("").display());
    git(&adopter.path(""), &["clone", "--quiet", "--depth", "1", &source, clone.to_str().unwrap()]);
    let db = adopter.path(".proofmark/results.duckdb");
    let there = ["--workspace", clone.to_str().unwrap(), "--db", db.to_str().unwrap()];
    let found = adopter.json(&[&["history", "--case", "dirty/*"], &there[..]].concat(), 0);
    let said = notes(&found, "dirty/abacus/f64/b1");
    assert!(said.contains("this clone is shallow, `git fetch --unshallow`"), "{said}");
}

#[test]
fn without_git_there_is_still_a_history() {
    let adopter = Adopter::new();
    let (before, after) = ("a".repeat(40), "b".repeat(40));
    store(&adopter, &step(CASE, &before, &after));
    let mut command = adopter.xtask(&["history", "--format", "json"]);
    // Whatever is around the folder of the tests is not the repository of this workspace.
    command.env("GIT_CEILING_DIRECTORIES", adopter.path("").parent().unwrap());
    let output = command.assert().success();
    let found: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let said = notes(&found, CASE);
    assert!(
        said.starts_with("0 commits; git ") && said.contains("fatal: not a git repository"),
        "{said}"
    );
}

#[track_caller]
fn check_refused(adopter: &Adopter, args: &[&str], code: i32, says: &str) {
    let assert = adopter.xtask(&[&["history"], args].concat()).assert().code(code);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains(says), "{args:?}: {said}");
}

#[test]
fn what_is_not_there_is_told() {
    let adopter = Adopter::new();
    check_refused(&adopter, &[], 3, "there is no database");
    assert!(!adopter.path(".proofmark/results.duckdb").exists());
    adopter.xtask(&["rebuild"]).assert().success();
    check_refused(&adopter, &[], 3, "was timed");
    store(&adopter, &step(CASE, "", "")[..5]);
    check_refused(&adopter, &["--case", "double-[*"], 2, "the glob `double-[*`");
    check_refused(&adopter, &["--case", "quadruple*"], 2, "`quadruple*`");
    check_refused(&adopter, &["--endpoint", "cuda"], 2, "there are some of abacus");
    check_refused(&adopter, &["--case", "double*", "--input", "x.json"], 2, "cannot be used with");
    let found = adopter.json(&["history", "--case", "double*", "--endpoint", "abacus"], 0);
    assert_eq!(shape(&found[0]), ("here/real".into(), 5, true));
    // What came in since is taken in first.
    let file = adopter.path(".proofmark/records/more.jsonl");
    let line = Line::Result(result(CASE, "", 6, false));
    fs::write(file, written(&line).unwrap()).unwrap();
    let found = adopter.json(&["history"], 0);
    assert_eq!(shape(&found[0]), ("here/real".into(), 6, false));
}

/// Every element that is opened is closed in its turn, and nothing would be loaded from elsewhere.
#[track_caller]
fn check_page(text: &str) {
    let mut open = Vec::new();
    // Elements that HTML closes by itself.
    let alone = ["!doctype", "meta", "br"];
    for piece in text.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("no end: <{piece}"));
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "near <{piece}"),
            None if tag.ends_with('/') || alone.contains(&name) => {}
            None => open.push(name),
        }
        assert!(!["script", "link", "img", "iframe", "image"].contains(&name), "<{piece}");
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    for foreign in ["src=", "url(", "@import", "href=\"http", "NaN", " inf", "\"inf"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
}

#[test]
fn pages_stand_alone_and_what_others_wrote_is_text_in_them() {
    let (adopter, first) = repository();
    let hostile = "<script src=x>alert('x')</script> | & \"q\" ![p](u)";
    let last = commit(&adopter, "src/cells/dot.rs", hostile);
    let mut records = step(CASE, &first, &last);
    let other = step("triple-exact/abacus/f64/b1", &first, &last);
    records.extend(other.into_iter().map(|r| Record { suite: "<b>&".into(), ..r }));
    store(&adopter, &records);
    let out = adopter.path("pages");
    let folder = out.to_str().unwrap();
    adopter.xtask(&["history", "--format", "html", "--out", folder]).assert().success();
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    for name in ["index.html", "suite-adopter.html", "suite-_b__.html"] {
        let page = read(name).replace("&lt;script src=x&gt;", "");
        check_page(&page);
        assert!(page.contains("name=\"viewport\"") && page.contains("light dark"), "{name}");
    }
    assert!(read("index.html").contains("href=\"suite-_b__.html\">&lt;b&gt;&amp;</a>"));
    let page = read("suite-adopter.html");
    assert!(
        page.contains(&format!("{} &lt;script src=x&gt;alert(&#39;x&#39;)", &last[..10])),
        "{page}"
    );
    assert_eq!(page.matches("<line class=\"change\"").count(), 1);
    // Every result says what it is, with its commit.
    assert_eq!(page.matches("<circle class=").count(), 40);
    assert!(page.contains(&format!("commit {}, record {CASE}-39</title>", &last[..10])));
    let anchor = "double-exact_abacus_f64_b1-real-here";
    assert!(
        page.contains(&format!("href=\"#{anchor}\"")) && page.contains(&format!("id=\"{anchor}\""))
    );
    adopter.xtask(&["history", "--format", "markdown", "--out", folder]).assert().success();
    let text = read("history.md");
    let pictures: Vec<_> = text.split("](").filter_map(|rest| rest.split_once(".svg)")).collect();
    assert_eq!(pictures.len(), 2, "{text}");
    for (name, _) in pictures {
        let picture = read(&format!("{name}.svg"));
        check_page(&picture);
        assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" "), "{picture}");
    }
    assert!(!text.contains("<script") && text.contains("\\| &amp; \"q\" !\\[p\\](u)"), "{text}");
}
