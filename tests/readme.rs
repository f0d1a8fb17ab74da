//! What the README and the book say: the commands and flags exist, the links lead somewhere, the promised columns
//! are there.

use crate::support::{Adopter, root, xtask};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The README and the pages of the book.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let paths = docs.chain([root().join("README.md")]);
    let pages = paths.filter(|path| path.extension().is_some_and(|e| e == "md"));
    pages.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Lines of console blocks, without their prompt.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

pub(crate) fn help(command: &[&str]) -> String {
    let output = xtask(command).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_two_commands_come_first() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    assert_eq!(commands(&text)[..2], ["cargo xtask incremental", "cargo test"]);
    let gate = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(gate.lines().any(|line| line == "cargo test"), "the gate runs another test command");
}

#[test]
fn commands_and_flags_exist() {
    let manifest = fs::read_to_string(root().join("model-tests/Cargo.toml")).unwrap();
    let tools = manifest.lines().find(|line| line.starts_with("tools = ")).unwrap();
    let known = help(&[]);
    let mut checked = 0;
    for (path, text) in pages() {
        for command in commands(&text) {
            let Some(rest) = command.strip_prefix("cargo xtask ") else { continue };
            let words: Vec<_> = rest.split_whitespace().collect();
            checked += 1;
            if tools.contains(&format!("\"{}\"", words[0])) {
                continue;
            }
            let what = format!("{}: {command}", path.display());
            let listed = known.lines().any(|line| line.trim_start().starts_with(words[0]));
            assert!(listed, "{what}: there is no such command");
            let is_nested = ["report", "simulate", "store"].contains(&words[0]);
            let nested = if is_nested { &words[..2] } else { &words[..1] };
            let flags = help(nested);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(flags.contains(flag), "{what}: there is no flag {flag}");
            }
        }
    }
    assert!(
        checked >= 10,
        "only {checked} commands were found: this test looks at the wrong lines"
    );
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for (path, text) in pages() {
        for piece in text.split("](").skip(1) {
            let target = piece.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") {
                continue;
            }
            checked += 1;
            let folder = path.parent().unwrap_or(Path::new("."));
            assert!(folder.join(file).exists(), "{}: {target}", path.display());
        }
    }
    assert!(checked >= 20, "only {checked} links were found");
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    for (path, _) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let outside = ["README.md", "SUMMARY.md"].contains(&name.as_str());
        assert!(outside || summary.contains(&format!("({name})")), "{name} is not in the book");
    }
}

#[test]
fn the_promised_view_is_documented_column_by_column() {
    let adopter = Adopter::new();
    adopter.json(&["incremental", "--samples", "10", "--filter", "double*"], 0);
    let sql = "select column_name from (describe latest_results)";
    let rows = adopter.json(&["query", sql], 0);
    let columns: BTreeSet<_> =
        rows.as_array().unwrap().iter().map(|row| row["column_name"].as_str().unwrap()).collect();
    let text = fs::read_to_string(root().join("docs/schema.md")).unwrap();
    let section = text.split("### `latest_results`").nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let documented: BTreeSet<_> = names.collect();
    assert_eq!(columns, documented);
}
