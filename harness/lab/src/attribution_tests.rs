//! Attribution: the ranks of commits, their order, and what is said where git knows nothing.

use super::*;
use crate::trend::Facts;
use jiff::Timestamp;

fn point(record: &str, commit: &str) -> Point {
    Point {
        record: record.into(),
        recorded_at: Timestamp::UNIX_EPOCH,
        latency_ns_median: 1.0,
        latency_ns_spread: None,
        commit: commit.into(),
        fingerprint: "f".into(),
        facts: Facts { rustc: "rustc 1".into(), driver: "d 1".into(), ..Facts::default() },
    }
}

fn commit(id: &str, files: &[&str]) -> Commit {
    let files = files.iter().map(|file| (*file).to_owned()).collect();
    Commit { id: id.into(), files, ..Commit::default() }
}

fn parts(named: &[(&str, &str)]) -> Vec<Part> {
    named.iter().map(|(name, value)| Part::text(*name, *value)).collect()
}

/// Attributes the change from one list of parts to another to these commits, the newest first.
fn attributed(
    before: &[(&str, &str)],
    after: &[(&str, &str)],
    commits: Vec<Commit>,
) -> Attribution {
    let (a, b) = (point("a", "1111111"), point("b", "2222222"));
    let (before, after) = (parts(before), parts(after));
    let sides = Sides { before: (&a, &before), after: (&b, &after) };
    attribute(sides, &Between::Commits { commits, more: false })
}

#[track_caller]
fn check(before: &[(&str, &str)], after: &[(&str, &str)], expected: &[(&str, Rank)]) {
    let commits = vec![
        commit("docs", &["README.md", "docs/guide.md"]),
        commit("none", &[]),
        commit("other", &["harness/lab/src/plan.rs"]),
        commit("lock", &["Cargo.lock", "Cargo.toml"]),
        commit("family", &["model-tests/src/families/bert.rs", "README.md"]),
        commit("gemm", &["kernels/src/cpu/gemm.rs"]),
        commit("both", &["kernels/src/cpu/gemm.rs", "kernels/src/cpu/dense.rs"]),
        commit("alike", &["kernels/src/mycpu/gemm.rs", "kernels/src/cpu/gemm.rs.orig"]),
        commit("rustc", &["rust-toolchain.toml"]),
    ];
    let found = attributed(before, after, commits);
    let ranks: Vec<_> = found.commits.iter().map(|s| (s.commit.id.as_str(), s.rank)).collect();
    let rest =
        ranks.iter().rposition(|(_, rank)| *rank < Rank::OtherCode).map_or(0, |last| last + 1);
    assert_eq!(&ranks[..rest], expected, "{found:?}");
    assert_eq!(ranks.len(), 9, "no commit is left out");
    let last: Vec<_> = ranks[7..].iter().map(|(id, rank)| (*id, *rank)).collect();
    assert_eq!(last, [("docs", Rank::NoCode), ("none", Rank::NoCode)]);
}

const GEMM: &str = "kernel cpu/gemm.rs";
const DENSE: &str = "kernel cpu/dense.rs";

#[test]
fn the_source_of_what_differs_comes_first() {
    use Rank::{ChangedSource, SameSource};
    check(
        &[(GEMM, "1"), (DENSE, "1"), ("crate half", "1")],
        &[(GEMM, "2"), (DENSE, "1"), ("crate half", "1")],
        &[("gemm", ChangedSource), ("both", ChangedSource), ("lock", SameSource)],
    );
    // Who touches more of what differs is more suspect, though older.
    check(
        &[(GEMM, "1"), (DENSE, "1")],
        &[(GEMM, "2"), (DENSE, "2")],
        &[("both", ChangedSource), ("gemm", ChangedSource)],
    );
    check(&[("crate half", "1")], &[("crate half", "2")], &[("lock", ChangedSource)]);
    // A part that is new or gone differs as well.
    check(
        &[("rustc", "1")],
        &[("rustc", "1"), (DENSE, "1")],
        &[("both", ChangedSource), ("rustc", SameSource)],
    );
}

#[test]
fn a_part_without_a_file_makes_all_code_suspect_and_documents_never() {
    use Rank::{ChangedPart, ChangedSource};
    check(
        &[("graph", "1"), (GEMM, "1")],
        &[("graph", "2"), (GEMM, "2")],
        &[
            ("gemm", ChangedSource),
            ("both", ChangedSource),
            ("other", ChangedPart),
            ("lock", ChangedPart),
            ("family", ChangedPart),
            ("alike", ChangedPart),
            ("rustc", ChangedPart),
        ],
    );
}

#[test]
fn where_nothing_differs_that_is_said() {
    check(
        &[(GEMM, "1")],
        &[(GEMM, "1")],
        &[("gemm", Rank::SameSource), ("both", Rank::SameSource)],
    );
    let found = attributed(&[(GEMM, "1")], &[(GEMM, "1")], Vec::new());
    assert_eq!(found.notes, ["no part of the fingerprint differs: the cause is outside it"]);
    // A driver is in no file of the repository, whatever the files are called.
    let found = attributed(&[("driver", "1")], &[("driver", "2")], vec![commit("x", &["driver"])]);
    assert_eq!(
        (found.commits[0].rank, &found.parts[..]),
        (Rank::OtherCode, &["driver".into()][..])
    );
}

#[test]
fn reasons_name_files_and_parts() {
    let files = ["a/cpu/gemm.rs", "b/cpu/gemm.rs", "c/cpu/gemm.rs", "d/cpu/gemm.rs", "e.md"];
    let found = attributed(&[(GEMM, "1")], &[(GEMM, "2")], vec![commit("x", &files)]);
    let expected = "touches a/cpu/gemm.rs, b/cpu/gemm.rs, c/cpu/gemm.rs and 1 more files: \
                    `kernel cpu/gemm.rs` differs";
    assert_eq!(found.commits[0].why, expected);
}

#[test]
fn what_it_was_measured_with_is_named() {
    let (a, mut b) = (point("a", "1111111"), point("b", "2222222"));
    b.facts.driver = "d 2".into();
    let sides = Sides { before: (&a, &[]), after: (&b, &[]) };
    let found = attribute(sides, &Between::Unknown("git is away".into()));
    let driver = Difference { name: "driver", before: "d 1".into(), after: "d 2".into() };
    assert_eq!(found.environment, [driver]);
    assert_eq!(found.notes[0], "git is away");
}

#[track_caller]
fn check_range(before: &str, after: &str, expected: Result<(&str, &str), &str>) {
    let (before, after) = (point("a", before), point("b", after));
    match (range(&before, &after), expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected),
        (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
        (found, expected) => panic!("{found:?}, not {expected:?}"),
    }
}

#[test]
fn git_is_asked_only_what_it_can_know() {
    check_range("1111111", "2222222", Ok(("1111111", "2222222")));
    check_range("1111111-dirty", "2222222", Ok(("1111111", "2222222")));
    check_range("1111111", "1111111", Err("both results are of commit 1111111"));
    check_range("1111111", "1111111-dirty", Err("both results are of commit 1111111"));
    check_range("", "2222222", Err("record a names no commit"));
    check_range("1111111", "--output=/x", Err("record b names `--output=/x`, which is no commit"));
    check_range("main", "2222222", Err("which is no commit"));
}

#[test]
fn uncommitted_changes_are_told() {
    let said = |before: &str, after: &str| dirty(&point("a", before), &point("b", after));
    assert_eq!(said("1111111", "2222222"), None);
    assert!(said("1111111-dirty", "2222222").is_some_and(|s| s.starts_with("the earlier result")));
    assert!(said("1111111", "1111111-dirty").is_some_and(|s| s.starts_with("the later result")));
    assert!(said("1-dirty", "2-dirty").is_some_and(|s| s.starts_with("both results")));
}
