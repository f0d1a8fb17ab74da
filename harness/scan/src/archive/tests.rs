//! Tests of moving reports aside and bringing them back.

use super::*;
use crate::rule::{Confidence, Rule};
use tempfile::TempDir;

/// A folder with reports.
struct Desk(TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn archive(&self, names: &[&str]) -> Option<(PathBuf, Manifest)> {
        let archived = self.archive_into("aside", names).unwrap();
        archived.map(|Archived { path, manifest, left }| {
            assert_eq!(left, []);
            (path, manifest)
        })
    }

    fn archive_into(&self, folder: &str, names: &[&str]) -> Result<Option<Archived>> {
        let findings: Vec<Finding> = names.iter().map(|name| finding(&self.path(name))).collect();
        archive(&findings, self.0.path(), &self.path(folder), Timestamp::UNIX_EPOCH)
    }

    /// Archives `r.json`, and gives its manifest after a change to what it says of it.
    fn archived(&self, change: impl FnOnce(&mut Moved)) -> PathBuf {
        let (path, mut manifest) = self.archive(&["r.json"]).unwrap();
        change(&mut manifest.moved[0]);
        fs::write(&path, serde_json::to_string(&manifest).unwrap()).unwrap();
        path
    }
}

/// Undoes a manifest of one report, which is left.
#[track_caller]
fn is_left(manifest: &Path, expect: &str) {
    let restored = undo(manifest).unwrap();
    assert!(
        matches!(&restored[..], [Restored::Left(_, why)] if why.contains(expect)),
        "{restored:?}"
    );
    assert!(manifest.exists());
}

fn finding(path: &Path) -> Finding {
    Finding {
        path: path.display().to_string(),
        line: 3,
        column: 1,
        rule: Rule::DeniedClaim,
        confidence: Confidence::High,
        message: "it is <denied>".to_owned(),
        evidence: String::new(),
        remedy: Rule::DeniedClaim.remedy(),
    }
}

#[test]
fn reports_are_moved_with_a_header_and_come_back_as_they_were() {
    let desk = Desk::new(&[
        ("a/r.md", "# R\n"),
        ("a/r.json", "{}"),
        ("r.html", "<p>x</p>"),
        ("code.py", "x = 1\n"),
    ]);
    let before = fs::metadata(desk.path("a/r.md")).unwrap().modified().unwrap();
    let names = ["a/r.md", "a/r.json", "r.html", "code.py"];
    let (manifest, _) = desk.archive(&names).unwrap();
    assert!(desk.path("code.py").exists(), "code was moved");
    assert!(!desk.path("a/r.md").exists() && !desk.path("a/r.json").exists());
    let archived = desk.read("aside/a/r.md");
    assert!(
        archived.starts_with("> **Misleading.**")
            && archived.ends_with("denied-claim: it is <denied>\n\n# R\n"),
        "{archived}"
    );
    assert!(desk.read("aside/r.html").contains("it is &lt;denied&gt;"));
    assert_eq!(desk.read("aside/a/r.json"), "{}", "JSON stays JSON");
    assert!(desk.read("aside/a/r.json.why.md").contains("line 3: denied-claim"));
    let restored = undo(&manifest).unwrap();
    assert!(restored.iter().all(|one| matches!(one, Restored::Back(_))), "{restored:?}");
    assert_eq!(
        (desk.read("a/r.md"), desk.read("a/r.json"), desk.read("r.html")),
        ("# R\n".into(), "{}".into(), "<p>x</p>".into())
    );
    assert_eq!(fs::metadata(desk.path("a/r.md")).unwrap().modified().unwrap(), before);
    assert!(!manifest.exists() && !desk.path("aside/a/r.json.why.md").exists());
}

#[test]
fn names_that_are_taken_get_a_number_and_nothing_is_overwritten() {
    let desk = Desk::new(&[
        ("r.json", "1"),
        ("aside/r.json", "other"),
        ("aside/r-2.json.why.md", "other"),
        ("aside/.proofmarkignore", IGNORE),
    ]);
    let (first, _) = desk.archive(&["r.json"]).unwrap();
    assert_eq!(
        (desk.read("aside/r.json"), desk.read("aside/r-2.json")),
        ("other".into(), "1".into())
    );
    // Somebody has written a new report in its place.
    fs::write(desk.path("r.json"), "2").unwrap();
    let (second, _) = desk.archive(&["r.json"]).unwrap();
    assert_ne!(first, second);
    fs::write(desk.path("r.json"), "3").unwrap();
    for manifest in [&first, &second] {
        let restored = undo(manifest).unwrap();
        assert!(
            matches!(&restored[..], [Restored::Left(_, why)] if why.contains("exists")),
            "{restored:?}"
        );
    }
    assert_eq!(desk.read("r.json"), "3");
    fs::remove_file(desk.path("r.json")).unwrap();
    undo(&second).unwrap();
    assert_eq!(desk.read("r.json"), "2");
    fs::remove_file(desk.path("r.json")).unwrap();
    undo(&first).unwrap();
    assert_eq!(desk.read("r.json"), "1");
    assert_eq!(desk.read("aside/r-2.json.why.md"), "other");
}

#[test]
fn what_has_changed_in_the_archive_is_left_there() {
    let desk = Desk::new(&[("r.md", "# R\n"), ("s.md", "# S\n")]);
    let (manifest, _) = desk.archive(&["r.md", "s.md"]).unwrap();
    fs::write(desk.path("aside/r.md"), "changed").unwrap();
    let restored = undo(&manifest).unwrap();
    assert!(
        matches!(&restored[0], Restored::Left(_, why) if why.contains("has changed")),
        "{restored:?}"
    );
    assert!(matches!(&restored[1], Restored::Back(_)));
    assert!(
        manifest.exists() && desk.read("aside/r.md") == "changed" && !desk.path("r.md").exists()
    );
}

#[test]
fn an_undo_that_was_stopped_goes_on() {
    let desk = Desk::new(&[("r.json", "1")]);
    let (manifest, _) = desk.archive(&["r.json"]).unwrap();
    // As if it had been stopped after the report was written and before the copy was removed.
    fs::write(desk.path("r.json"), "1").unwrap();
    assert!(matches!(&undo(&manifest).unwrap()[..], [Restored::Back(_)]));
    assert!(!desk.path("aside/r.json").exists() && !desk.path("aside/r.json.why.md").exists());
}

#[test]
fn links_are_not_followed() {
    let desk = Desk::new(&[("r.json", "1"), ("sub/s.json", "2"), ("elsewhere/x", "")]);
    std::os::unix::fs::symlink(desk.path("r.json"), desk.path("link.json")).unwrap();
    assert_eq!(desk.archive(&["link.json"]).map(|(path, _)| path), None);
    fs::create_dir(desk.path("aside")).unwrap();
    fs::write(desk.path("aside/.proofmarkignore"), IGNORE).unwrap();
    std::os::unix::fs::symlink(desk.path("elsewhere"), desk.path("aside/sub")).unwrap();
    let findings = [finding(&desk.path("sub/s.json"))];
    let error =
        archive(&findings, desk.0.path(), &desk.path("aside"), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(matches!(error, ArchiveError::Link(_)), "{error}");
    assert!(desk.path("sub/s.json").exists() && !desk.path("elsewhere/s.json").exists());
}

#[test]
fn a_newer_manifest_is_refused() {
    let desk = Desk::new(&[(
        "m.json",
        r#"{"format": 2, "archived_at": "2025-01-01T00:00:00Z", "moved": []}"#,
    )]);
    assert!(matches!(undo(&desk.path("m.json")), Err(ArchiveError::Manifest { .. })));
    assert!(desk.path("m.json").exists());
}

#[test]
fn a_folder_that_is_something_else_becomes_no_archive() {
    let desk = Desk::new(&[("r.json", "1"), ("docs/fine.md", "# Fine\n"), ("own/x.json", "2")]);
    fs::write(desk.path("own/.proofmarkignore"), "# our own reason\nx.json\n").unwrap();
    for (folder, names) in [
        (".", &[][..]),
        (".", &["r.json"]),
        ("..", &["r.json"]),
        ("new/..", &["r.json"]),
        ("docs", &["docs/fine.md"]),
        ("docs", &["r.json"]),
        ("own", &["r.json"]),
    ] {
        let error = desk.archive_into(folder, names).unwrap_err();
        assert!(matches!(error, ArchiveError::NotApart { .. }), "{folder}: {error}");
        assert!(error.to_string().contains("name a folder"), "{error}");
    }
    assert!(desk.path("r.json").exists() && desk.path("docs/fine.md").exists());
    assert!(
        !desk.path(".proofmarkignore").exists() && !desk.path("docs/.proofmarkignore").exists()
    );
    assert_eq!(desk.read("own/.proofmarkignore"), "# our own reason\nx.json\n");
}

#[test]
fn the_folder_that_one_is_in_becomes_no_archive_though_it_holds_nothing() {
    for files in [&[][..], &[(".proofmarkignore", IGNORE)]] {
        let desk = Desk::new(files);
        let error = desk.archive_into(".", &[]).unwrap_err();
        assert!(error.to_string().contains("you are in"), "{error}");
    }
}

#[test]
fn an_archive_is_made_only_if_something_moves() {
    let desk = Desk::new(&[("code.py", "x = 1\n"), ("r.json", "1")]);
    assert_eq!(desk.archive(&["code.py"]).map(|(path, _)| path), None);
    assert!(!desk.path("aside").exists());
    desk.archive(&["r.json"]).unwrap();
    // What is there already is not moved again.
    assert_eq!(desk.archive(&["aside/r.json"]).map(|(path, _)| path), None);
    assert_eq!(desk.read("aside/r.json"), "1");
}

#[test]
fn a_report_that_is_found_by_two_ways_is_moved_once() {
    let desk = Desk::new(&[("a/r.json", "1")]);
    std::os::unix::fs::symlink(desk.path("a"), desk.path("b")).unwrap();
    let (_, manifest) = desk.archive(&["a/r.json", "b/r.json"]).unwrap();
    assert_eq!(manifest.moved.len(), 1);
}

#[test]
fn what_cannot_be_listed_is_not_moved_and_its_copies_are_removed() {
    use std::os::unix::ffi::OsStrExt as _;
    let desk = Desk::new(&[]);
    let base = desk.0.path().join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&base).unwrap();
    fs::write(base.join("r.json"), "1").unwrap();
    let aside = desk.path("aside");
    let findings = [finding(Path::new("r.json"))];
    let error = archive(&findings, &base, &aside, Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(matches!(error, ArchiveError::Manifest { .. }), "{error}");
    assert_eq!(fs::read_to_string(base.join("r.json")).unwrap(), "1");
    let left: Vec<_> = fs::read_dir(&aside).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, [".proofmarkignore"]);
}

#[test]
fn a_report_that_changed_after_the_copy_is_not_removed_and_the_others_are() {
    let desk = Desk::new(&[("r.json", "1"), ("s.json", "2"), ("t.json", "3")]);
    let (_, manifest) = desk.archive(&["r.json", "s.json", "t.json"]).unwrap();
    fs::write(desk.path("r.json"), "new").unwrap();
    fs::write(desk.path("t.json"), "3").unwrap();
    let left = remove_all(&manifest);
    assert!(
        matches!(&left[..], [(_, changed), (_, gone)]
            if changed.contains("has changed") && gone.contains("cannot be removed")),
        "{left:?}"
    );
    assert!(desk.read("r.json") == "new" && !desk.path("t.json").exists());
}

#[test]
fn a_manifest_can_have_nothing_outside_of_its_folder_removed() {
    let files =
        [("r.json", "1"), ("other.json", "1"), ("other.why.md", "keep"), ("aside-2/x.json", "1")];
    for (name, inner) in [
        ("other.json", "other.json"),
        ("aside-2/x.json", "aside-2/x.json"),
        ("aside/../other.json", "other.json"),
    ] {
        let desk = Desk::new(&files);
        let manifest = desk.archived(|moved| moved.to = desk.path(name));
        is_left(&manifest, "not in the manifest's folder");
        assert_eq!(desk.read(inner), "1");
    }
    let desk = Desk::new(&files);
    let manifest = desk.archived(|moved| moved.note = Some(desk.path("other.why.md")));
    is_left(&manifest, "not in the manifest's folder");
    assert_eq!(desk.read("other.why.md"), "keep");
    let desk = Desk::new(&files);
    let manifest = desk.archived(|moved| moved.note = Some(desk.path("aside/.proofmarkignore")));
    is_left(&manifest, "no note");
    assert!(desk.path("aside/.proofmarkignore").exists());
    let desk = Desk::new(&files);
    let manifest = desk.archived(|moved| moved.to = desk.path("aside/link/other.json"));
    std::os::unix::fs::symlink(desk.0.path(), desk.path("aside/link")).unwrap();
    is_left(&manifest, "is a link");
    assert_eq!(desk.read("other.json"), "1");
}

#[test]
fn nothing_but_a_report_is_written() {
    let desk = Desk::new(&[("r.json", "1")]);
    let manifest = desk.archived(|moved| moved.from = desk.path("x.sh"));
    is_left(&manifest, "no path of a report");
    assert!(!desk.path("x.sh").exists() && desk.path("aside/r.json").exists());
}

#[test]
fn a_copy_that_was_edited_is_kept_though_the_report_is_back() {
    let desk = Desk::new(&[("r.json", "1")]);
    let manifest = desk.archived(|_| {});
    fs::write(desk.path("r.json"), "1").unwrap();
    fs::write(desk.path("aside/r.json"), "edited").unwrap();
    is_left(&manifest, "has changed");
    assert_eq!((desk.read("r.json"), desk.read("aside/r.json")), ("1".into(), "edited".into()));
}

#[test]
fn a_link_to_the_copy_is_no_report_that_is_back() {
    let desk = Desk::new(&[("r.json", "1")]);
    let manifest = desk.archived(|_| {});
    std::os::unix::fs::symlink(desk.path("aside/r.json"), desk.path("r.json")).unwrap();
    is_left(&manifest, "exists");
    assert_eq!(desk.read("aside/r.json"), "1");
    let names = fs::read_dir(desk.0.path()).unwrap().count();
    assert_eq!(names, 2, "something half written is left");
}
