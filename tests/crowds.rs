//! Many processes at once in one state: writers of records, commands that take them in, readers, backups. Nothing is lost,
//! nothing doubled, and who cannot have the database says so.

use crate::desk::{Desk, acknowledged, recorded, writer};
use std::collections::BTreeSet;
use std::process::{Child, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const WRITERS: usize = 10;
const EACH: usize = 150;
/// So many other processes are started while they write, of each kind.
const OTHERS: usize = 8;

/// A command may be refused, but only by a lock, and in words that say so.
#[track_caller]
fn check_others(output: &Output, refusals: &[&str]) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    let refused = output.status.code() == Some(2) && refusals.iter().any(|r| said.contains(r));
    assert!(output.status.success() || refused, "{:?}: {said}", output.status);
    !refused
}

const IN_USE: &str = "is in use by another process: wait for it to end";
const UNDER_WAY: &str = "another run of this workspace is under way";

#[test]
fn ten_writers_at_once_lose_nothing_and_double_nothing() {
    let desk = Desk::new();
    desk.fill(1, 20);
    desk.ingest();
    let said: Vec<_> = (0..WRITERS).map(|n| desk.path(&format!("acknowledged-{n}"))).collect();
    let mut writers: Vec<Child> =
        said.iter().map(|said| writer(&desk.state(), EACH, said)).collect();
    let writing = AtomicBool::new(true);
    let (desk, writing) = (&desk, &writing);
    let served = thread::scope(|scope| {
        let kinds: [(&[&str], &[&str]); 3] = [
            (&["report", "compat", "--format", "json"], &[IN_USE]),
            (
                &[
                    "query",
                    "select count(*) as n, count(distinct id) as d from results",
                    "--format",
                    "json",
                ],
                &[IN_USE],
            ),
            (&["rebuild"], &[IN_USE, UNDER_WAY]),
        ];
        let others = kinds.map(|(args, refusals)| {
            scope.spawn(move || {
                let mut served = 0;
                for _ in 0..OTHERS {
                    let output = desk.xtask(args).output().unwrap();
                    served += usize::from(check_others(&output, refusals));
                    if args[0] == "query" && output.status.success() {
                        let rows: serde_json::Value =
                            serde_json::from_slice(&output.stdout).unwrap();
                        assert_eq!(rows[0]["n"], rows[0]["d"], "a record is there twice");
                        assert!(rows[0]["n"].as_u64().unwrap() >= 20, "{rows}");
                    }
                }
                served
            })
        });
        let backups = scope.spawn(move || {
            let mut made = 0;
            while writing.load(Ordering::Relaxed) || made == 0 {
                desk.said(&["store", "backup", &format!("backup-{made}.tar.gz")], 0);
                made += 1;
            }
            made
        });
        for writer in &mut writers {
            assert!(writer.wait().unwrap().success(), "a writer failed");
        }
        writing.store(false, Ordering::Relaxed);
        let made: usize = backups.join().unwrap();
        assert!(made > 0);
        others.map(|other| other.join().unwrap())
    });
    assert!(served.iter().all(|served| *served > 0), "some were never served: {served:?}");
    desk.ingest();
    let stored = desk.stored();
    assert_eq!(stored.len(), 20 + WRITERS * EACH);
    assert_eq!(stored, desk.recorded());
    let told: BTreeSet<_> = said.iter().flat_map(|said| acknowledged(said)).collect();
    assert_eq!(told.len(), WRITERS * EACH, "an id was given twice");
    assert!(told.is_subset(&stored));
    assert!(desk.check_equal().is_empty());
    // A backup of that time is sound, and holds a part of what is there now.
    let other = Desk::new();
    let backup = desk.path("backup-0.tar.gz");
    other.said(&["store", "restore", backup.to_str().unwrap()], 0);
    assert!(recorded(&other.state()).is_subset(&stored));
    assert!(other.check_equal().is_empty());
}
