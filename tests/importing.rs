//! Imports as people do them: every tool at once, the same again, damage, other folders, a rebuild, hostile names.

use crate::support::{Adopter, root};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn fixtures() -> PathBuf {
    root().join("tests/fixtures/imports")
}

/// Of `import`'s answer how many sources had this outcome.
fn count(answer: &Value, outcome: &str) -> usize {
    let all = answer.as_array().unwrap().iter();
    all.filter(|one| one["outcome"] == outcome).count()
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_every_tool_wrote_is_taken_in_once_and_survives_the_database() {
    let adopter = Adopter::new();
    let folder = fixtures();
    let folder = folder.to_str().unwrap();
    // Nothing is written by a dry run.
    let dry = adopter.json(&["import", folder, "--dry-run"], 0);
    assert_eq!((count(&dry, "imported"), count(&dry, "failed")), (21, 0), "{dry}");
    let sources = dry.as_array().unwrap().iter().filter(|one| one["outcome"] == "imported");
    for values in sources.map(|one| one["values"].as_array().unwrap()) {
        assert!(!values.is_empty() && values.iter().all(|value| value["value"].is_number()));
    }
    assert!(
        !adopter.path(".proofmark/imports").exists()
            && !adopter.path(".proofmark/results.duckdb").exists()
    );
    let first = adopter.json(&["import", folder], 0);
    // The README is no tool's.
    assert_eq!((count(&first, "imported"), count(&first, "skipped")), (21, 1), "{first}");
    let all = first.as_array().unwrap().iter().filter(|one| one["outcome"] == "imported");
    for one in all {
        assert_eq!(one["mark"], "claimed");
        assert!(
            one["tool_version"].is_string()
                || one["tool_version_from"].as_str().unwrap().starts_with("unknown")
        );
    }
    let again = adopter.json(&["import", folder], 0);
    assert_eq!((count(&again, "imported"), count(&again, "known")), (0, 21));
    let sql = "select tool, count(*) as n, count(distinct file_id) as files, any_value(mark) as mark, \
               min(value) >= 0 as sound from imported_results group by tool order by tool";
    let before = adopter.json(&["query", sql], 0);
    let tools: Vec<_> =
        before.as_array().unwrap().iter().map(|row| row["tool"].as_str().unwrap()).collect();
    let expected = [
        "criterion",
        "go",
        "google-benchmark",
        "hyperfine",
        "mlperf",
        "onnx-runtime",
        "pytest-benchmark",
        "pytorch",
    ];
    assert_eq!(tools, expected);
    assert!(
        before
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["mark"] == "claimed" && row["sound"] == true)
    );
    fs::remove_file(adopter.path(".proofmark/results.duckdb")).unwrap();
    adopter.xtask(&["rebuild"]).assert().success();
    assert_eq!(adopter.json(&["query", sql], 0), before);
    // They are no results of ours.
    let own = adopter.json(&["query", "select count(*) as n from results"], 0);
    assert_eq!(own[0]["n"], 0);
}

#[test]
fn a_bad_file_costs_itself_and_says_where_it_is_bad() {
    let adopter = Adopter::new();
    let good = fs::read(fixtures().join("hyperfine/1.15.0/hyperfine.json")).unwrap();
    fs::write(adopter.path("good.json"), &good).unwrap();
    fs::write(adopter.path("cut.json"), &good[..good.len() - 40]).unwrap();
    fs::write(adopter.path("other.json"), "{\"a\": 1}").unwrap();
    let args = ["import", "cut.json", "missing.json", "other.json", "good.json"];
    let output = adopter.xtask(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains(
            "failed to import cut.json: it cannot be read as results of hyperfine, line "
        ),
        "{said}"
    );
    assert!(said.contains("failed to import missing.json: No such file"), "{said}");
    assert!(
        said.contains(
            "failed to import other.json: it looks like the results of none of the tools"
        ),
        "{said}"
    );
    let rows = adopter.json(&["query", "select count(*) as n from imported_results"], 0);
    assert_eq!(rows[0]["n"], 14);
    // As another tool's, the file is refused by that tool's reader.
    let forced = adopter.xtask(&["import", "other.json", "--tool", "pytorch"]).output().unwrap();
    assert!(stderr(&forced).contains("it holds no result of pytorch"), "{}", stderr(&forced));
    let unknown = adopter.xtask(&["import", "good.json", "--tool", "stopwatch"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("it is one of criterion, hyperfine"), "{}", stderr(&unknown));
    // A folder without any is not a success.
    fs::create_dir(adopter.path("empty")).unwrap();
    fs::write(adopter.path("empty/a.txt"), "hello").unwrap();
    assert_eq!(adopter.xtask(&["import", "empty"]).output().unwrap().status.code(), Some(3));
}

#[test]
fn folders_are_searched_within_limits() {
    let adopter = Adopter::new();
    let good = fs::read(fixtures().join("hyperfine/1.15.0/hyperfine.json")).unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let path = adopter.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put("in/a/same.json", &good);
    put("in/b/same.json", &good);
    put("in/.hidden/other.json", b"{}");
    put("in/.hidden.json", b"{}");
    put("outside/other.json", b"{}");
    #[cfg(unix)]
    std::os::unix::fs::symlink(adopter.path("outside"), adopter.path("in/link")).unwrap();
    // The bytes count, not the name.
    let answer = adopter.json(&["import", "in"], 0);
    let outcomes = ["imported", "known", "skipped", "failed"].map(|name| count(&answer, name));
    assert_eq!(outcomes, [1, 1, 0, 0], "{answer}");
    assert!(answer[1]["why"].as_str().unwrap().contains("as in/a/same.json"), "{answer}");
    put(&format!("deep/{}x.json", "d/".repeat(40)), &good);
    let deep = adopter.xtask(&["import", "deep"]).output().unwrap();
    assert_eq!(deep.status.code(), Some(2));
    assert!(stderr(&deep).contains("nested deeper than 32"), "{}", stderr(&deep));
    // A gibibyte and a byte, of which none is on the disk.
    fs::File::create(adopter.path("giant.json")).unwrap().set_len((1 << 30) + 1).unwrap();
    let giant = adopter.xtask(&["import", "giant.json"]).output().unwrap();
    assert_eq!(giant.status.code(), Some(2));
    assert!(stderr(&giant).contains("it has more than 1024 MiB"), "{}", stderr(&giant));
}

#[test]
fn names_of_other_tools_do_nothing_in_sql_and_in_a_terminal() {
    let adopter = Adopter::new();
    let hostile = "x'); DROP TABLE results; -- \u{1b}[2J\u{202e}=1+1";
    let file = serde_json::json!({"results": [{"command": hostile, "mean": 0.5, "times": [0.5]}]});
    fs::write(adopter.path("hostile.json"), file.to_string()).unwrap();
    let version = ["import", "hostile.json", "--tool-version", "'; DROP TABLE results; --"];
    for args in [
        &version[..],
        &["import", "hostile.json", "--dry-run"],
        &["query", "from imported_results"],
    ] {
        let output = adopter.xtask(args).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let printed = [&output.stdout[..], &output.stderr[..]].concat();
        assert!(!printed.contains(&0x1b), "{args:?}: {}", String::from_utf8_lossy(&printed));
        assert!(!String::from_utf8(printed).unwrap().contains('\u{202e}'), "{args:?}");
    }
    let rows =
        adopter.json(&["query", "select benchmark, tool_version, value from imported_results"], 0);
    assert_eq!(rows[0]["benchmark"], hostile);
    assert_eq!(
        (&rows[0]["tool_version"], &rows[0]["value"]),
        (&"'; DROP TABLE results; --".into(), &5e8.into())
    );
    adopter.json(&["query", "select count(*) from results"], 0);
}
