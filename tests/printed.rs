//! What each command prints, as accepted snapshots. Figures, times and the width of columns are left out.

use crate::support::{Adopter, root};
use proofmark::environment::machine;

/// Compares with the accepted text in `snapshots/`.
fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("xtask-{name}"), redact(text)));
}

/// Words of each line, numbers as `#`; units follow the size of a number and frames its width, so both go.
fn redact(text: &str) -> String {
    let frame = |c: char| ('\u{2500}'..='\u{257f}').contains(&c);
    let lines = text.lines().map(|line| {
        let mut words: Vec<&str> = Vec::new();
        for word in line.split(|c: char| c.is_whitespace() || frame(c)).filter(|w| !w.is_empty()) {
            let number = word.parse::<f64>().is_ok();
            let unit = ["ns", "µs", "ms", "s"].contains(&word) && words.last() == Some(&"#");
            match (number, unit) {
                (true, _) => words.push("#"),
                (_, true) => {}
                _ => words.push(word),
            }
        }
        words.join(" ")
    });
    lines.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

#[track_caller]
fn stdout(adopter: &Adopter, args: &[&str]) -> String {
    let assert = adopter.xtask(args).assert().success();
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    text.replace(adopter.path("").to_str().unwrap(), "[workspace]/")
}

#[test]
fn commands_print_what_was_accepted() {
    let adopter = Adopter::new();
    check("incremental-dry-run", &stdout(&adopter, &["incremental", "--dry-run", "--explain"]));
    check("coverage-before", &stdout(&adopter, &["report", "coverage"]));
    let measured = stdout(&adopter, &["incremental", "--samples", "10"]);
    check("incremental", &measured);
    check("incremental-nothing", &stdout(&adopter, &["incremental"]));
    let sql = "select case_id, mark, outcome, len(samples) as n from latest_results order by 1";
    for format in ["table", "json", "csv"] {
        let name = format!("query-{format}");
        check(&name, &stdout(&adopter, &["query", sql, "--format", format]));
    }
    for format in ["markdown", "html", "json", "table"] {
        let name = format!("coverage-{format}");
        check(&name, &stdout(&adopter, &["report", "coverage", "--format", format]));
    }
    let browsers = stdout(&adopter, &["report", "browsers", "--format", "markdown"]);
    check("browsers-markdown", &browsers.replace(&machine().machine, "[machine]"));
    check("rebuild", &stdout(&adopter, &["rebuild"]));
    let doctor = stdout(&adopter, &["doctor"]);
    assert!(doctor.starts_with("machine "), "{doctor}");
    // Why an endpoint is absent depends on the machine; that each has its line does not.
    let names = doctor.lines().filter_map(|line| line.strip_prefix('│'));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> =
        names.filter(|w| w.chars().all(|c| c.is_ascii_lowercase() || c == '-')).collect();
    check("doctor-endpoints", &names.join("\n"));
}

#[test]
fn helps_are_what_was_accepted() {
    let adopter = Adopter::new();
    for command in [
        "",
        "incremental",
        "query",
        "report",
        "report browsers",
        "report compat",
        "report timing",
        "report quality",
        "rebuild",
        "store",
        "store backup",
        "store restore",
        "store check",
        "store compact",
        "store thin",
        "doctor",
        "gate",
        "bisect",
        "certify",
        "validate",
        "simulate fit",
        "simulate case",
        "simulate calibrate",
        "history",
        "import",
        "export",
        "notify",
        "scan",
        "migrate",
    ] {
        let args: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let name = if command.is_empty() { "xtask" } else { &command.replace(' ', "-") };
        check(&format!("help-{name}"), &stdout(&adopter, &args));
    }
}
