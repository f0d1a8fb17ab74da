//! Tidiness is a test: file headers, lengths, crate edges, and who may touch the clock, processes, the
//! environment and the database.

use crate::support::root;
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 500;

/// Source files of the workspace with this extension, relative to its root.
fn sources(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in ["kernels", "harness", "model-tests", "xtask", "tests"] {
        walk(&root().join(top), &mut found);
    }
    found.retain(|path| path.extension().is_some_and(|e| e == extension));
    assert!(!found.is_empty(), "no {extension} files: this test looks in the wrong place");
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            walk(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// Fails with every path and line for which `fault` says something.
#[track_caller]
fn check_lines(extension: &str, fault: impl Fn(&Path, &str) -> Option<&'static str>) {
    let mut faults = Vec::new();
    for path in sources(extension) {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if let Some(what) = fault(&path, line) {
                faults.push(format!("{}:{}: {what}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut faults = Vec::new();
    for (extension, header) in [("rs", "//! "), ("wgsl", "// "), ("py", "\"\"\"")] {
        for path in sources(extension) {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.strip_prefix("#!/usr/bin/env python3\n").unwrap_or(&text);
            if !text.starts_with(header) || text.lines().next().is_none_or(|l| l.len() < 16) {
                faults.push(format!(
                    "{} does not open with `{header}` and a purpose",
                    path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Functions are held to 70 lines by clippy (`too_many_lines`, clippy.toml).
#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for path in sources("rs") {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > MAX_FILE_LINES {
            long.push(format!(
                "{} has {lines} lines, {MAX_FILE_LINES} are allowed",
                path.display()
            ));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    let clippy = fs::read_to_string(root().join("clippy.toml")).unwrap();
    assert!(clippy.contains("too-many-lines-threshold = 70"));
}

/// Whether `path` is a file of this name (or below a folder of it), a build script, a test or a bench.
fn is_exempt(path: &Path, stem: &str) -> bool {
    let path = path.strip_prefix(root()).unwrap_or(path);
    let named = |part: &str| path.components().any(|c| c.as_os_str() == part);
    named("tests")
        || named("benches")
        || named("examples")
        || named("build.rs")
        || named(stem)
        || path.file_stem().is_some_and(|s| s == stem)
}

#[test]
fn one_file_per_crate_touches_each_part_of_the_world() {
    let rules: [(&str, &[&str], &'static str); 4] = [
        ("store", &["duckdb::", "use duckdb"], "only `store` opens DuckDB"),
        (
            "clock",
            &["Instant::now", "SystemTime::now", "Timestamp::now"],
            "only `clock` reads the clock",
        ),
        (
            "process",
            &["Command::new(", "process::Command", ".exec()"],
            "only `process` starts processes",
        ),
        (
            "env",
            &["env::var", "env::args", "env::current_", "env::temp_dir"],
            "only `env` reads the environment",
        ),
    ];
    let held = sources("rs").iter().filter(|path| !is_exempt(path, "clock")).count();
    assert!(held > 50, "only {held} files are held to these rules: this test exempts too much");
    check_lines("rs", |path, line| {
        let code = line.split("//").next().unwrap_or_default();
        let broken = rules.iter().find(|(stem, words, _)| {
            let uses =
                |word: &&str| code.contains(*word) && !code.contains(&format!("crate::{word}"));
            !is_exempt(path, stem) && words.iter().any(uses) && is_std(code, stem)
        });
        broken.map(|(_, _, what)| *what)
    });
}

/// A crate's own `env::state_dir` is the allowed way; `std::env::…` elsewhere is not.
fn is_std(code: &str, stem: &str) -> bool {
    stem != "env" || code.contains("std::env::")
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    let forbidden = concat!("#[", "allow(");
    check_lines("rs", |_, line| line.contains(forbidden).then_some("use #[expect(…, reason = …)]"));
}

/// What comes from results must not speak to the terminal, so one file escapes it for all others.
#[test]
fn the_command_line_prints_in_one_place() {
    let words = ["println!(", "eprintln!(", "print!(", "eprint!("];
    check_lines("rs", |path, line| {
        let is_ours = path.starts_with(root().join("xtask/src")) && !path.ends_with("output.rs");
        let prints = words.iter().any(|word| line.contains(word));
        (is_ours && prints).then_some("use `output::print` or `tell!`, which escape")
    });
}

#[test]
fn the_crate_edges_are_those_of_the_design() {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    let names: BTreeSet<_> = metadata.packages.iter().map(|p| p.name.to_string()).collect();
    let mut found = BTreeSet::new();
    for package in &metadata.packages {
        let edges = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        for edge in edges.filter(|d| names.contains(&d.name)) {
            found.insert(format!("{} -> {}", package.name, edge.name));
        }
    }
    let expected = [
        "proofmark-browser -> proofmark-kernels",
        "proofmark-lab -> proofmark",
        "proofmark-models -> proofmark",
        "proofmark-models -> proofmark-browser",
        "proofmark-models -> proofmark-kernels",
        "xtask -> proofmark",
        "xtask -> proofmark-lab",
        "xtask -> proofmark-scan",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn versions_are_named_once() {
    for path in sources("toml") {
        if path.components().any(|c| c.as_os_str() == "fixtures" || c.as_os_str() == "checkpoints")
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for table in text.split("dependencies]").skip(1) {
            let table = table.split("\n[").next().unwrap_or_default();
            for line in table.lines().filter(|line| line.contains('=')) {
                assert!(line.contains("workspace = true"), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn records_and_stores_are_not_committed() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    for name in ["/.proofmark", "*.snap.new", "/target"] {
        assert!(ignored.lines().any(|line| line == name), "{name} is not in .gitignore");
    }
    let mut files = Vec::new();
    walk(&root().join("snapshots"), &mut files);
    let stale: Vec<_> =
        files.iter().filter(|f| f.extension().is_some_and(|e| e == "new")).collect();
    assert!(stale.is_empty(), "review or remove {stale:?}");
}
