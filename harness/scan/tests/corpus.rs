//! The corpus with known answers: precision and recall by rule, for the half on which the rules were developed and for
//! the half that was held out.
//!
//! `corpus/README.md` says how the cases are written. `cargo test -p proofmark-scan --test corpus -- --nocapture` prints
//! the rows of the table of `docs/scan.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proofmark_scan::{Confidence, Options, Rule, scan};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A case: files, and the rules that should find something in them.
struct Case {
    name: String,
    /// `python`, `javascript`, `rust` or `reports`.
    group: String,
    files: Vec<(String, String)>,
    expected: BTreeSet<Rule>,
}

impl Case {
    /// By a hash of the name, so that nobody chooses.
    fn is_held_out(&self) -> bool {
        Sha256::digest(self.name.as_bytes())[0] & 1 == 1
    }

    /// The rules that find something.
    fn found(&self) -> BTreeSet<Rule> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in &self.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let options = Options {
            min_confidence: Confidence::Medium,
            base: folder.path(),
            committed: &|_| None,
        };
        let scan = scan(&[folder.path().to_owned()], &options).unwrap();
        scan.findings.iter().map(|finding| finding.rule).collect()
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let group = path.file_stem().unwrap().to_str().unwrap().split('-').next().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("==== ") {
            let parts: Vec<_> = head.split('|').map(str::trim).collect();
            let [name, file, answer] = parts[..] else {
                panic!("{head}: a name, a path and an answer are needed")
            };
            let rules = answer.split(',').map(str::trim).filter(|rule| *rule != "honest");
            let expected = rules
                .map(|rule| rule.parse().unwrap_or_else(|()| panic!("{head}: {rule} is no rule")))
                .collect();
            let files = vec![(file.to_owned(), String::new())];
            cases.push(Case { name: name.to_owned(), group: group.to_owned(), files, expected });
        } else if let Some(file) = line.strip_prefix("---- ") {
            cases.last_mut().unwrap().files.push((file.to_owned(), String::new()));
        } else {
            let text = &mut cases.last_mut().unwrap().files.last_mut().unwrap().1;
            *text += line;
            text.push('\n');
        }
    }
    // The newline of the last line of a file that is cut off is not the file's.
    for case in &mut cases {
        if case.expected.contains(&Rule::TruncatedFile) {
            for (_, text) in &mut case.files {
                text.truncate(text.trim_end().len());
            }
        }
    }
    cases
}

/// Right, wrong and missed findings.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn precision(self) -> f64 {
        ratio(self.right, self.right + self.wrong)
    }

    fn recall(self) -> f64 {
        ratio(self.right, self.right + self.missed)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Findings that are known to be missed, by case; a finding more or less is a change to be looked at.
const MISSED: [(&str, Rule); 1] = [("require-fallback", Rule::FabricatedFallback)];

/// By rule and case, and by case alone: is a fake case flagged, is an honest one left alone?
#[derive(Default)]
struct Scores {
    cases: usize,
    rules: BTreeMap<Rule, Score>,
    whole: Score,
    missed: BTreeSet<(String, Rule)>,
}

impl Scores {
    fn add(&mut self, case: &Case) {
        self.cases += 1;
        let found = case.found();
        for rule in found.union(&case.expected) {
            let score = self.rules.entry(*rule).or_default();
            match (found.contains(rule), case.expected.contains(rule)) {
                (true, true) => score.right += 1,
                (true, false) => score.wrong += 1,
                _ => {
                    score.missed += 1;
                    self.missed.insert((case.name.clone(), *rule));
                }
            }
        }
        match (found.is_empty(), case.expected.is_empty()) {
            (false, false) => self.whole.right += 1,
            (false, true) => self.whole.wrong += 1,
            (true, false) => self.whole.missed += 1,
            (true, true) => {}
        }
        if found != case.expected && !case.is_held_out() {
            println!("{}/{}: expected {:?}, found {found:?}", case.group, case.name, case.expected);
        }
    }
}

/// The rows of the table of `docs/scan.md`.
fn rows(own: &Scores, held: &Scores) -> Vec<String> {
    let counts = |score: Option<&Score>| match score {
        Some(Score { right, wrong, missed }) => format!("{right}, {wrong}, {missed}"),
        None => "none".to_owned(),
    };
    let row = |name: &str, own: Option<&Score>, held: Option<&Score>| {
        let last = held.map_or_else(
            || "none".to_owned(),
            |score| format!("{:.0} %, {:.0} %", score.precision() * 100.0, score.recall() * 100.0),
        );
        format!("| {name} | {} | {} | {last} |", counts(own), counts(held))
    };
    let rules = Rule::ALL.into_iter();
    let rules = rules.filter(|rule| own.rules.contains_key(rule) || held.rules.contains_key(rule));
    let rows = rules.map(|rule| row(rule.name(), own.rules.get(&rule), held.rules.get(&rule)));
    rows.chain([row("a file is flagged or not", Some(&own.whole), Some(&held.whole))]).collect()
}

#[test]
fn the_corpus_is_large_and_balanced() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "names are not unique");
    let code: Vec<_> = cases.iter().filter(|case| case.group != "reports").collect();
    assert!(code.len() >= 120, "{} cases of code", code.len());
    let honest = code.iter().filter(|case| case.expected.is_empty()).count();
    assert!(honest * 2 >= code.len() - 2, "{honest} of {} are honest", code.len());
    for group in ["python", "javascript", "rust"] {
        assert!(code.iter().filter(|case| case.group == group).count() >= 38, "{group}");
    }
    let expected: BTreeSet<_> =
        cases.iter().flat_map(|case| case.expected.iter().copied()).collect();
    let rules = Rule::ALL.into_iter().filter(|rule| *rule != Rule::BareSuppression).collect();
    assert_eq!(expected, rules, "rules without a case");
}

#[test]
fn nothing_wrong_is_found_and_what_is_missed_is_known() {
    let (mut own, mut held) = (Scores::default(), Scores::default());
    for case in cases() {
        if case.is_held_out() { held.add(&case) } else { own.add(&case) }
    }
    let rows = rows(&own, &held);
    println!(
        "Developed on are {} cases, held out {}.\n\n{}",
        own.cases,
        held.cases,
        rows.join("\n")
    );
    for scores in [&own, &held] {
        assert_eq!(scores.whole.wrong, 0);
        assert!(scores.rules.values().all(|score| score.wrong == 0), "{:?}", scores.rules);
    }
    let missed: BTreeSet<_> = own.missed.union(&held.missed).cloned().collect();
    let known = MISSED.into_iter().map(|(case, rule)| (case.to_owned(), rule)).collect();
    assert_eq!(missed, known);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scan.md");
    let docs = fs::read_to_string(path).unwrap();
    for row in rows {
        assert!(docs.lines().any(|line| line.trim_end() == row), "docs/scan.md lacks {row}");
    }
}
