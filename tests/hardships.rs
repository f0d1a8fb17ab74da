//! Disks that are full, folders that cannot be written, clocks that jump back: what failed is said, nothing that is stored
//! is lost, and the next call goes on.
//!
//! A full disk and a read-only folder are mounts in a namespace of their own, where the system lets a user make one;
//! everywhere a limit on the size of files stands for the one, and permissions for the other where they bind this user.

use crate::desk::{Desk, writer};
use crate::support::{measured, xtask_program};
use proofmark::journal::written;
use proofmark::record::{Line, Record};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a script of `sh -eu` whose `$0` is the command line of Proofmark and whose `$1` the state, in the desk's folder.
fn script(desk: &Desk, around: &[&str], text: &str) -> Output {
    let mut command = match around {
        [] => Command::new("sh"),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg("sh");
            command
        }
    };
    command.args(["-euc", text]).arg(xtask_program()).arg(desk.state());
    command.current_dir(desk.path("")).env("CARGO", env!("CARGO"));
    command.env_remove("PROOFMARK_DB").env_remove("PROOFMARK_DIR");
    command.output().unwrap()
}

/// In a namespace in which this user may mount.
const APART: [&str; 2] = ["unshare", "-rm"];

/// Whether there are such namespaces; why not is told.
fn can_mount(desk: &Desk) -> bool {
    let output =
        Command::new("unshare").args(["-rm", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    let why = match output {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("not checked with mounts in {}: {why}", desk.path("").display());
    false
}

#[track_caller]
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[track_caller]
fn check_ran(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {said}", output.status);
}

/// In the script, `try N COMMAND …` keeps the exit code and the error output of a command in `rc-N` and `said-N`.
const TRY: &str =
    "try() { n=$1; shift; rc=0; \"$@\" >out-$n 2>said-$n || rc=$?; echo $rc >rc-$n; }\n";

#[track_caller]
fn check_said(desk: &Desk, number: u32, code: i32, says: &[&str]) {
    let said = text(&desk.path(&format!("said-{number}")));
    assert_eq!(text(&desk.path(&format!("rc-{number}"))).trim(), code.to_string(), "{said}");
    for says in says {
        assert!(said.contains(says), "{number}: {said}");
    }
}

#[test]
fn a_full_disk_is_said_and_costs_nothing_that_is_stored() {
    let desk = Desk::new();
    if !can_mount(&desk) {
        return;
    }
    desk.fill(4, 200);
    desk.ingest();
    let (files, stored) = (desk.files(), desk.stored());
    let steps = "mv \"$1\" before; mkdir \"$1\"; mount -t tmpfs -o size=64m none \"$1\"; cp -a before/. \"$1\"\n\
        cat /dev/zero >\"$1\"/filler 2>/dev/null || true\n\
        try 1 \"$0\" rebuild\n\
        try 2 \"$0\" query 'select count(*) as n from results' --format csv\n\
        try 3 \"$0\" store backup \"$1\"/b.tar.gz\n\
        rm \"$1\"/filler\n\
        try 4 \"$0\" rebuild\n\
        try 5 \"$0\" store check\n\
        rm -r before; mkdir after; cp -a \"$1\"/. after; umount \"$1\"; rmdir \"$1\"; mv after \"$1\"\n";
    check_ran(&script(&desk, &APART, &(TRY.to_owned() + steps)));
    check_said(&desk, 1, 2, &["results.", "No space left on device"]);
    check_said(&desk, 2, 0, &[]);
    assert_eq!(text(&desk.path("out-2")).trim_end(), "n\r\n800");
    check_said(&desk, 3, 2, &["failed to back up", "No space left on device"]);
    check_said(&desk, 4, 0, &[]);
    check_said(&desk, 5, 0, &[]);
    assert_eq!(desk.files(), files, "something else was left or is lost");
    assert_eq!(desk.stored(), stored);
}

#[test]
fn files_that_cannot_grow_lose_no_record_that_was_acknowledged() {
    let desk = Desk::new();
    desk.fill(2, 100);
    desk.ingest();
    let stored = desk.stored();
    // Files of 4 KiB at most: a journal of some lines, and no database.
    let test = std::env::current_exe().unwrap();
    let said = desk.path("acknowledged");
    let told = serde_json::json!([desk.state().join("records"), 100, said]).to_string();
    let steps = format!(
        "trap '' XFSZ; ulimit -f 8\n\
         export PROOFMARK_E2E_WRITER='{told}'\n\
         try 1 '{}' desk::a_writer --exact --ignored --nocapture\n\
         try 2 \"$0\" rebuild\n\
         try 3 \"$0\" report compat\n",
        test.display()
    );
    check_ran(&script(&desk, &[], &format!("{TRY}{steps}")));
    check_said(&desk, 1, 101, &["failed to write the record file", "File too large"]);
    check_said(&desk, 2, 2, &["results."]);
    check_said(&desk, 3, 2, &["results.duckdb"]);
    let acknowledged: BTreeSet<_> = crate::desk::acknowledged(&said).into_iter().collect();
    assert!(!acknowledged.is_empty());
    desk.ingest();
    let now = desk.stored();
    let new: BTreeSet<_> = now.difference(&stored).cloned().collect();
    assert!(now.is_superset(&stored));
    assert_eq!(new, acknowledged, "a record is lost, or there without its writer knowing");
    assert!(desk.check_equal().is_empty());
}

#[test]
fn an_output_that_is_full_is_said() {
    let desk = Desk::new();
    desk.fill(1, 3);
    desk.ingest();
    let steps =
        "rc=0; \"$0\" query 'select * from results' >/dev/full 2>said-1 || rc=$?; echo $rc >rc-1";
    check_ran(&script(&desk, &[], steps));
    check_said(&desk, 1, 2, &["failed to write to the standard output", "No space left"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_read() {
    let desk = Desk::new();
    desk.fill(2, 50);
    desk.ingest();
    desk.fill(3, 50);
    let (files, stored) = (desk.files(), desk.stored());
    let steps = "try 1 \"$0\" rebuild\n\
        try 2 \"$0\" query 'select count(*) as n from results' --format csv\n\
        try 3 \"$0\" report compat\n\
        try 4 \"$0\" store backup b.tar.gz\n\
        try 5 \"$0\" store check\n";
    let says = if can_mount(&desk) {
        let bind = "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"\n";
        check_ran(&script(&desk, &APART, &(TRY.to_owned() + bind + steps)));
        "Read-only file system"
    } else {
        // Permissions bind everybody but the superuser.
        let bind =
            "chmod -R a-w \"$1\"; touch \"$1\"/x 2>/dev/null && echo superuser >&2 && exit 1\n";
        let back = "chmod -R u+w \"$1\"\n";
        let output = script(&desk, &[], &(TRY.to_owned() + bind + steps + back));
        if String::from_utf8_lossy(&output.stderr).contains("superuser") {
            eprintln!("not checked: this user can write everywhere and may not mount");
            return;
        }
        check_ran(&output);
        "ermission denied"
    };
    check_said(&desk, 1, 2, &[".proofmark", says]);
    check_said(&desk, 2, 0, &[]);
    assert_eq!(text(&desk.path("out-2")).trim_end(), "n\r\n100");
    check_said(&desk, 3, 2, &["results.duckdb"]);
    check_said(&desk, 4, 0, &[]);
    check_said(&desk, 5, 2, &[".proofmark"]);
    assert_eq!((desk.files(), desk.stored()), (files, stored));
    desk.ingest();
    assert_eq!(desk.stored().len(), 150);
    assert!(desk.check_equal().is_empty());
}

/// There is no seam for the clock of a process but the system's, so earlier runs are written as if the clock had been
/// ahead: with later times, and in files whose names sort behind those of now.
#[test]
fn a_clock_that_jumps_back_loses_and_doubles_nothing() {
    let desk = Desk::new();
    let case = "m/abacus/f64/b1";
    let ahead = |number: u32| Record {
        id: format!("29991231T235959999-1-{number}"),
        ..measured(case, &format!("2999-12-31T23:59:5{number}Z"), 1e6)
    };
    let lines: String = (0..3).map(|n| written(&Line::Result(ahead(n))).unwrap()).collect();
    let folder = desk.state().join("records");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("29991231T235959999-1-00000000.jsonl"), lines).unwrap();
    desk.said(&["rebuild"], 0);
    for round in 0..3 {
        let said = desk.path(&format!("acknowledged-{round}"));
        assert!(writer(&desk.state(), 5, &said).wait().unwrap().success());
        desk.ingest();
        assert_eq!(desk.stored().len(), 3 + 5 * (round + 1));
    }
    assert_eq!(desk.stored(), desk.recorded());
    // What is the latest is said by the time of the record, which nothing else can tell.
    let query = "select id from latest_results where case_id = 'm/abacus/f64/b1'";
    assert_eq!(desk.json(&["query", query], 0)[0]["id"], ahead(2).id);
    desk.said(&["history", "--case", case], 0);
    assert!(desk.check_equal().is_empty());
}
