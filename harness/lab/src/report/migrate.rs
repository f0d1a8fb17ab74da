//! What a migration found, as Markdown and as a page of HTML. JSON is its own serialisation.

use super::page::{self, Block, Cell, Links, Page};
use crate::migrate::Outcome;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the report.
pub const FORMAT: u32 = 1;

/// What the words mean; on every report.
const LEGEND: &str = "Migrated: all results of the file were understood. Partly: some were not, and are kept as the file has them. \
No results: nothing in it is a result of a run. Rejected: it could not be read. \
Simulated: the file says that the number was not measured, or contradicts itself. Claimed: it may say that it was measured, and cannot show it.";

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// As it was named, or found below what was named.
    pub file: String,
    /// As the database has it.
    pub source_file: String,
    /// Of its bytes; null if they could not be read.
    pub sha256: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why: the first of each code.
    pub reasons: Vec<String>,
    /// Where it contradicts itself.
    pub contradictions: Vec<String>,
    /// Names and values that were not understood.
    pub not_understood: Vec<String>,
    /// How many of its numbers are simulated.
    pub simulated: usize,
    /// How many are claimed.
    pub claimed: usize,
    /// Another file with the same bytes, whose numbers are kept; null if there is none.
    pub duplicate_of: Option<String>,
    /// Whether it was known before, with these bytes.
    pub known: bool,
}

/// What a migration found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// When.
    pub migrated_at: Timestamp,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Counts over all files.
    pub counts: Counts,
    /// The files, by their names.
    pub files: Vec<FileReport>,
}

/// Counts over all files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files.
    pub files: usize,
    /// Files by outcome.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// Files by the code of a reason; a file may have more than one.
    pub reasons: BTreeMap<String, usize>,
    /// Numbers by mark, each content once.
    pub numbers: BTreeMap<&'static str, usize>,
    /// Files that contradict themselves.
    pub contradictory: usize,
    /// Files with the bytes of another one.
    pub duplicates: usize,
}

impl Report {
    /// Counts what became of files.
    pub fn new(files: Vec<FileReport>, migrated_at: Timestamp, dry_run: bool) -> Self {
        let mut counts = Counts { files: files.len(), ..Counts::default() };
        for outcome in [Outcome::Migrated, Outcome::Partly, Outcome::NoResults, Outcome::Rejected] {
            counts.outcomes.insert(outcome.name(), 0);
        }
        for file in &files {
            *counts.outcomes.entry(file.outcome.name()).or_default() += 1;
            for reason in &file.reasons {
                *counts.reasons.entry(code(reason).to_owned()).or_default() += 1;
            }
            counts.contradictory += usize::from(!file.contradictions.is_empty());
            counts.duplicates += usize::from(file.duplicate_of.is_some());
            if file.duplicate_of.is_none() {
                *counts.numbers.entry("simulated").or_default() += file.simulated;
                *counts.numbers.entry("claimed").or_default() += file.claimed;
            }
        }
        Self { format: FORMAT, migrated_at, dry_run, counts, files }
    }
}

/// The code of a reason: what stands before its colon.
pub fn code(reason: &str) -> &str {
    reason.split(':').next().unwrap_or_default()
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    page::markdown(&[page(report)], Links::Within)
}

/// The report as HTML that needs nothing else.
pub fn html(report: &Report) -> String {
    page::html(&[page(report)], Links::Within)
}

fn page(report: &Report) -> Page {
    let counts = &report.counts;
    let written = if report.dry_run {
        "Nothing was written."
    } else {
        "The numbers are in the table migrated_results."
    };
    let mut blocks = vec![
        Block::Text(format!("{} files at {}. {written}", counts.files, report.migrated_at)),
        Block::Text(LEGEND.to_owned()),
        table(
            &["outcome", "files"],
            counts.outcomes.iter().map(|(name, count)| vec![cell(name), cell(count)]),
        ),
        table(
            &["mark", "numbers"],
            counts.numbers.iter().map(|(name, count)| vec![cell(name), cell(count)]),
        ),
        Block::Heading("Reasons".to_owned()),
        table(
            &["reason", "files"],
            counts.reasons.iter().map(|(name, count)| vec![cell(name), cell(count)]),
        ),
    ];
    section(&mut blocks, "Contradictions", report, |file| file.contradictions.clone());
    section(&mut blocks, "Duplicates", report, |file| {
        file.duplicate_of.iter().map(|other| format!("has the bytes of {other}")).collect()
    });
    section(&mut blocks, "Not understood", report, |file| file.not_understood.clone());
    blocks.push(Block::Heading("Files".to_owned()));
    let rows = report.files.iter().map(|file| {
        let numbers = format!("{} simulated, {} claimed", file.simulated, file.claimed);
        vec![
            cell(&file.file),
            cell(file.outcome.name()),
            cell(numbers),
            Cell::lines(file.reasons.clone()),
        ]
    });
    blocks.push(table(&["file", "outcome", "numbers", "reasons"], rows));
    Page { name: "migrated".to_owned(), title: "Migrated results".to_owned(), blocks }
}

fn cell(text: impl ToString) -> Cell {
    Cell::from(text.to_string().as_str())
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<Cell>>) -> Block {
    let header = header.iter().map(cell).collect();
    Block::Table(std::iter::once(header).chain(rows).collect())
}

/// A part of the report with the files of which there is something to say; none if there is none.
fn section(
    blocks: &mut Vec<Block>,
    title: &str,
    report: &Report,
    lines: impl Fn(&FileReport) -> Vec<String>,
) {
    let said =
        report.files.iter().map(|file| (file, lines(file))).filter(|(_, lines)| !lines.is_empty());
    let rows: Vec<_> =
        said.map(|(file, lines)| vec![cell(&file.file), Cell::lines(lines)]).collect();
    if !rows.is_empty() {
        blocks.push(Block::Heading(title.to_owned()));
        blocks.push(table(&["file", "what"], rows.into_iter()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, outcome: Outcome, reason: &str) -> FileReport {
        FileReport {
            file: name.into(),
            source_file: format!("/{name}"),
            sha256: Some("ab".into()),
            outcome,
            reasons: vec![reason.into()],
            contradictions: Vec::new(),
            not_understood: Vec::new(),
            simulated: 1,
            claimed: 2,
            duplicate_of: None,
            known: false,
        }
    }

    fn report() -> Report {
        let contradictory = FileReport {
            contradictions: vec!["$.a is true, $.b is \"REAL\"".into()],
            ..file("a|<b>.json", Outcome::Migrated, "contradiction: $.a")
        };
        let double = FileReport {
            duplicate_of: Some("a|<b>.json".into()),
            ..file("c.json", Outcome::Partly, "flag: $.a")
        };
        Report::new(
            vec![contradictory, double, file("d.json", Outcome::NoResults, "flag: $.b")],
            Timestamp::UNIX_EPOCH,
            false,
        )
    }

    #[test]
    fn counts_are_by_outcome_reason_and_mark() {
        let counts = report().counts;
        assert_eq!(
            counts.outcomes,
            [("migrated", 1), ("partly", 1), ("no results", 1), ("rejected", 0)].into()
        );
        assert_eq!(
            counts.reasons,
            [("contradiction".to_owned(), 1), ("flag".to_owned(), 2)].into()
        );
        // What is a duplicate is not counted twice.
        assert_eq!(counts.numbers, [("simulated", 2), ("claimed", 4)].into());
        assert_eq!((counts.files, counts.contradictory, counts.duplicates), (3, 1, 1));
    }

    #[test]
    fn names_of_files_are_text_and_nothing_else() {
        let (markdown, html) = (markdown(&report()), html(&report()));
        assert!(markdown.contains("## Contradictions") && markdown.contains("a\\|"), "{markdown}");
        assert!(html.contains("a|&lt;b&gt;.json") && !html.contains("<b>"), "{html}");
        assert!(html.contains("has the bytes of") && !html.contains("Not understood"), "{html}");
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["files"][2]["outcome"], "no results");
    }
}
