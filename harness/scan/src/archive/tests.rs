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
        let findings: Vec<Finding> = names.iter().map(|name| finding(&self.path(name))).collect();
        archive(&findings, self.0.path(), &self.path("aside"), Timestamp::UNIX_EPOCH).unwrap()
    }
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
    let desk = Desk::new(&[("r.json", "1"), ("aside/r.json", "other")]);
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
