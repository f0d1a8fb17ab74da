//! `store backup`, `store restore` and `store check`, with what is damaged, lost, foreign or there already.

use crate::desk::Desk;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// A desk with records, a migrated file and an import, all taken in.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.fill(2, 30);
    fs::write(desk.path("legacy.json"), r#"[{"hardware": "cpu", "latency_ms": 3}]"#).unwrap();
    desk.said(&["migrate", "legacy.json"], 0);
    desk.ingest();
    assert!(desk.check_equal().is_empty());
    desk
}

fn file(desk: &Desk) -> PathBuf {
    desk.state().join("records/made-000.jsonl")
}

/// Flips a bit of a byte of a file; gives where the line of that byte begins.
fn flip(path: &Path, at: usize) -> usize {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, &bytes).unwrap();
    bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

#[test]
fn a_backup_comes_back_with_all_that_was_there() {
    let desk = desk();
    let (files, stored) = (desk.files(), desk.stored());
    fs::create_dir(desk.path("backups")).unwrap();
    let said = desk.said(&["store", "backup", "backups"], 0);
    assert!(said.contains("proofmark-") && said.contains("3 files"), "{said}");
    // All is there and the same.
    let said = desk.said(&["store", "restore", "backups"], 0);
    assert!(said.contains("0 were restored, 3 were there"), "{said}");
    fs::remove_dir_all(desk.state()).unwrap();
    desk.said(&["store", "restore", "backups"], 0);
    assert_eq!((desk.files(), desk.stored()), (files.clone(), stored.clone()));
    // What is missing is put beside what is there.
    fs::remove_file(file(&desk)).unwrap();
    let said = desk.said(&["store", "restore", "backups"], 0);
    assert!(said.contains("1 were restored, 2 were there"), "{said}");
    assert_eq!((desk.files(), desk.stored()), (files, stored));
    assert!(desk.check_equal().is_empty());
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let desk = desk();
    desk.said(&["store", "backup", "b.tar.gz"], 0);
    let said = desk.said(&["store", "backup", "b.tar.gz"], 2);
    assert!(said.contains("is there already"), "{said}");
    let (old, stored) = (desk.files(), desk.stored());
    desk.fill(3, 40);
    desk.ingest();
    let (files, now) = (desk.files(), desk.stored());
    let said = desk.said(&["store", "restore", "b.tar.gz"], 2);
    for says in ["2 files have other bytes", "1 files are not in it", "made-002", "--force"] {
        assert!(said.contains(says), "{said}");
    }
    assert_eq!((desk.files(), desk.stored()), (files.clone(), now.clone()));
    let said = desk.said(&["store", "restore", "b.tar.gz", "--force"], 0);
    assert!(said.contains("what was there is in "), "{said}");
    assert_eq!((desk.files(), desk.stored()), (old, stored));
    // What was there is there still, and can be put back by hand.
    let names = fs::read_dir(desk.path("")).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> =
        names.filter(|path| path.to_string_lossy().contains(".proofmark.")).collect();
    assert!(aside.len() == 1 && aside[0].to_string_lossy().contains("before-restore"), "{aside:?}");
    fs::remove_dir_all(desk.state()).unwrap();
    fs::rename(&aside[0], desk.state()).unwrap();
    assert_eq!((desk.files(), desk.stored()), (files, now));
}

#[test]
fn a_damaged_backup_changes_nothing() {
    let desk = desk();
    desk.said(&["store", "backup", "b.tar.gz"], 0);
    let whole = fs::read(desk.path("b.tar.gz")).unwrap();
    fs::remove_file(file(&desk)).unwrap();
    let files = desk.files();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for bytes in [&flipped[..], &whole[..whole.len() - 9], b"no archive", b""] {
        fs::write(desk.path("b.tar.gz"), bytes).unwrap();
        let said = desk.said(&["store", "restore", "b.tar.gz", "--force"], 2);
        assert!(
            said.contains("is no sound backup") && said.contains("nothing was changed"),
            "{said}"
        );
        assert_eq!(desk.files(), files);
    }
    let names = fs::read_dir(desk.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains("restor")).count(), 0);
    desk.said(&["store", "restore", "nowhere.tar.gz"], 3);
    desk.said(&["store", "restore", "src"], 3);
    fs::remove_dir_all(desk.state()).unwrap();
    desk.said(&["store", "backup", "c.tar.gz"], 3);
    desk.said(&["store", "check"], 3);
}

#[test]
fn a_flipped_byte_is_named_and_its_row_is_in_no_file() {
    let desk = desk();
    let length = usize::try_from(fs::metadata(file(&desk)).unwrap().len()).unwrap();
    let begin = flip(&file(&desk), length / 2);
    let found = desk.json(&["store", "check"], 1);
    let [damaged] = &found["damaged"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(damaged["path"], json!(file(&desk)));
    assert_eq!(damaged["byte"], json!(begin));
    // The database still has what the line said; a rebuild would lose it.
    assert_eq!(found["database"]["state"], "different");
    let differences = found["database"]["differences"].as_array().unwrap();
    let results = differences.iter().find(|one| one["table"] == "results").unwrap();
    assert_eq!((&results["only_in_database"], &results["only_in_files"]), (&1.into(), &0.into()));
    assert!(results["examples"][0].as_str().unwrap().contains("made-0-"), "{results}");
    let said = desk.said(&["store", "check"], 1);
    assert!(
        said.contains(&format!("the line at byte {begin}")) && said.contains("made-000"),
        "{said}"
    );
    flip(&file(&desk), length / 2);
    assert!(desk.check_equal().is_empty());
}

#[test]
fn a_database_that_says_something_else_or_nothing_is_told() {
    let desk = desk();
    // A file that is gone, and one that the database never saw.
    fs::rename(file(&desk), desk.path("aside")).unwrap();
    let found = desk.json(&["store", "check"], 1);
    let results = &found["database"]["differences"].as_array().unwrap().clone();
    let results = results.iter().find(|one| one["table"] == "results").unwrap();
    assert_eq!((&results["only_in_database"], &results["only_in_files"]), (&30.into(), &0.into()));
    fs::rename(desk.path("aside"), file(&desk)).unwrap();
    desk.fill(3, 30);
    assert!(desk.check_equal().is_empty(), "what is only new is no difference");
    // A predicted number that was changed by hand, which no checksum guards.
    let migrated = desk.state().join("migrated/migrated.jsonl");
    let text = fs::read_to_string(&migrated).unwrap();
    fs::write(&migrated, text.replace("3000000.0", "4000000.0")).unwrap();
    let found = desk.json(&["store", "check"], 1);
    assert_eq!(found["database"]["differences"][0]["table"], "migrated_results", "{found:#}");
    fs::write(&migrated, text).unwrap();
    let db = desk.state().join("results.duckdb");
    fs::remove_file(&db).unwrap();
    assert_eq!(desk.json(&["store", "check"], 0)["database"]["state"], "absent");
    fs::write(&db, "a letter to a friend").unwrap();
    let found = desk.json(&["store", "check"], 1);
    assert_eq!(found["database"]["state"], "unreadable", "{found}");
    assert_eq!(fs::read_to_string(&db).unwrap(), "a letter to a friend");
}
