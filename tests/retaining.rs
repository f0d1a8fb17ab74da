//! `store compact` and `store thin`: old record files get smaller, and what they said stays, whatever ends the commands.

use crate::desk::{Desk, timed};
use crate::kills::Aim;
use crate::support::measured;
use proofmark::record::Line;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

/// A desk with record files that were written years ago: the second has newer results of the cases of the first.
fn desk(files: usize) -> Desk {
    let desk = Desk::new();
    desk.fill(files, 100);
    age(&desk);
    desk.ingest();
    desk
}

fn age(desk: &Desk) {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_710_000_000);
    for path in proofmark::journal::files(&desk.state().join("records")).unwrap() {
        File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }
}

/// All that results say but their samples.
fn said(desk: &Desk) -> Value {
    let sql = "select * exclude (samples, iterations, dropped_samples) from results order by id";
    desk.json(&["query", sql], 0)
}

fn size(desk: &Desk) -> u64 {
    let files = proofmark::journal::files(&desk.state().join("records")).unwrap();
    files.iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

fn dropped(desk: &Desk) -> usize {
    let sql = "select id from results where dropped_samples = 3 and len(samples) = 0";
    desk.json(&["query", sql], 0).as_array().unwrap().len()
}

fn desk_without_records() {
    let desk = Desk::new();
    let said = desk.said(&["store", "thin", "--older-than", "30d"], 3);
    assert!(said.contains("no record files"), "{said}");
    assert!(!desk.state().exists());
}

#[test]
fn old_results_lose_their_samples_and_not_what_these_said() {
    let desk = desk(2);
    let (facts, files) = (said(&desk), desk.files());
    let trends = desk.json(&["history"], 0);
    desk_without_records();
    let refused = desk.said(&["store", "thin"], 2);
    assert!(refused.contains("--older-than"), "{refused}");
    let young = desk.json(&["store", "thin", "--older-than", "20000d"], 0);
    assert_eq!(young["thinned"], json!([]));
    assert!(young["kept"][0]["reason"].as_str().unwrap().contains("since"), "{young}");
    let db = desk.state().join("results.duckdb");
    fs::remove_file(&db).unwrap();
    let plan = desk.json(&["store", "thin", "--older-than", "30d", "--dry-run"], 0);
    assert_eq!(
        (plan["thinned"][0]["results"].as_u64(), &plan["thinned"][0]["into"]),
        (Some(100), &Value::Null)
    );
    assert!(!db.exists() && desk.files() == files, "a dry run changes nothing");
    desk.ingest();
    assert_eq!(dropped(&desk), 0);
    let before = size(&desk);
    let done = desk.json(&["store", "thin", "--older-than", "30d"], 0);
    assert_eq!(done["thinned"].as_array().unwrap().len(), 1, "{done}");
    assert_eq!(done["thinned"][0]["into_bytes"], plan["thinned"][0]["into_bytes"]);
    assert!(size(&desk) < before, "{} and not below {before}", size(&desk));
    // The newest of each case stay whole, and all others say what they said.
    assert_eq!(dropped(&desk), 100);
    assert_eq!((said(&desk), desk.json(&["history"], 0)), (facts.clone(), trends));
    let summaries = "select count(*) as n from summaries join results on id = result_id where summaries.samples = dropped_samples";
    assert_eq!(desk.json(&["query", summaries], 0), json!([{ "n": 100 }]));
    assert!(desk.check_equal().is_empty());
    let again = desk.json(&["store", "thin", "--older-than", "30d"], 0);
    assert_eq!(again["thinned"], json!([]));
    // What is newer than both makes the others old too.
    desk.fill(3, 100);
    age(&desk);
    desk.said(&["store", "thin", "--older-than", "30d"], 0);
    assert_eq!((dropped(&desk), desk.stored().len()), (200, 300));
    assert!(desk.check_equal().is_empty());
}

#[test]
fn compressed_files_are_thinned_and_a_file_that_a_kill_left_beside_its_successor_goes() {
    let desk = desk(2);
    let facts = said(&desk);
    let compacted = desk.json(&["store", "compact"], 0);
    let [one] = &compacted["compacted"].as_array().unwrap()[..] else { panic!("{compacted}") };
    assert!(one["into_bytes"].as_u64().unwrap() < one["bytes"].as_u64().unwrap() / 3, "{one}");
    let old = one["into"].as_str().unwrap();
    let bytes = fs::read(old).unwrap();
    desk.said(&["store", "thin", "--older-than", "30d"], 0);
    assert!(!fs::exists(old).unwrap());
    fs::write(old, bytes).unwrap();
    age(&desk);
    desk.ingest();
    assert_eq!((dropped(&desk), said(&desk)), (100, facts.clone()), "no record counts twice");
    desk.said(&["store", "thin", "--older-than", "30d"], 0);
    assert!(!fs::exists(old).unwrap());
    assert_eq!(desk.recorded().len(), 200);
    assert_eq!((dropped(&desk), said(&desk)), (100, facts));
    assert!(desk.check_equal().is_empty());
}

#[test]
fn what_is_not_understood_keeps_its_samples() {
    let desk = Desk::new();
    let lines = ["2023-01-01", "2023-01-02", "2023-01-03"].map(|day| {
        let record = measured("m/abacus/f64/b1", &format!("{day}T00:00:00Z"), 100.0);
        let mut line = serde_json::to_value(Line::Result(record)).unwrap();
        // Lines of that format have no checksum.
        line["format"] = json!(2);
        if day.ends_with("02") {
            line["metrics"]["energy_j"] = json!(4.5);
        }
        format!("{line}\n")
    });
    let folder = desk.state().join("records");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("made.jsonl"), lines.concat()).unwrap();
    age(&desk);
    let certificate = desk.state().join("certificates/m/abacus/f64/b1.json");
    fs::create_dir_all(certificate.parent().unwrap()).unwrap();
    fs::write(&certificate, "{}").unwrap();
    let files = desk.files();
    let said = desk.said(&["store", "thin", "--older-than", "30d"], 2);
    assert!(said.contains("b1.json") && said.contains("nothing was dropped"), "{said}");
    assert_eq!(desk.files(), files);
    fs::remove_file(certificate).unwrap();
    let done = desk.json(&["store", "thin", "--older-than", "30d"], 0);
    assert_eq!(done["thinned"][0]["results"], 1, "the newest and the one with more stay: {done}");
    assert!(desk.check_equal().is_empty());
}

#[test]
fn killed_compactions_and_thinnings_lose_nothing() {
    for args in [&["store", "thin", "--older-than", "30d"][..], &["store", "compact"]] {
        let first = desk(10);
        let mut aim = Aim::new(5, timed(|| drop(first.said(args, 0))));
        while aim.needs(3) {
            let desk = desk(10);
            let facts = said(&desk);
            aim.shoot(&mut desk.start(args));
            age(&desk);
            desk.ingest();
            assert_eq!(said(&desk), facts, "{args:?} killed");
            desk.said(args, 0);
            assert_eq!(said(&desk), facts, "{args:?} called again");
            assert_eq!(desk.recorded().len(), 1000);
            assert!(desk.check_equal().is_empty());
            let left = fs::read_dir(desk.state().join("records")).unwrap();
            let mut names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert!(names.all(|name| !name.ends_with(".tmp")));
        }
    }
}
