//! Reports that are older than what they cite: by the dates that stand in them, or by those of their files.

use crate::file::{File, Language};
use crate::rule::{Confidence, Finding, Rule};
use crate::rules::finding;
use crate::syntax::Span;
use jiff::civil::Date;
use jiff::{Timestamp, tz::Offset};
use std::path::{Path, PathBuf};

/// When files were last changed, as far as that is known.
#[derive(Clone, Copy)]
pub(crate) struct Ages<'a> {
    /// When a file was last changed by a commit; none: not known, or it is not committed.
    pub(crate) committed: &'a (dyn Fn(&Path) -> Option<Timestamp> + Sync),
}

impl std::fmt::Debug for Ages<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ages")
    }
}

/// Times of files closer than this tell no order: a copy or a checkout gives all files such times.
const CLOSE_S: i64 = 60;

/// Cited files beyond this are not read.
const MAX_BYTES: u64 = 1 << 20;
/// How many lines of a report are looked at.
const MAX_LINES: usize = 2_000;
/// How many lines of a report may state its date.
const HEAD_LINES: usize = 60;

/// Findings about the age of a report.
pub(crate) fn check(file: &File<'_>, roots: &[PathBuf], ages: Ages<'_>) -> Vec<Finding> {
    let lines = lower_lines(file.text, MAX_LINES);
    let own = stated(&lines, file.language);
    let within = own.and_then(|(date, line)| inside(file, &lines, date, line));
    let found = within.or_else(|| outside(file, &lines, own.map(|(date, _)| date), roots, ages));
    found.into_iter().collect()
}

/// The first lines of a text, in small letters.
fn lower_lines(text: &str, most: usize) -> Vec<String> {
    text.lines().take(most).map(str::to_lowercase).collect()
}

/// The date that a report states of itself, and its line.
fn stated(lines: &[String], language: Language) -> Option<(Date, usize)> {
    const KEYS: [&str; 16] = [
        "generated",
        "date",
        "created",
        "report date",
        "last updated",
        "published",
        "as of",
        "updated",
        "run date",
        "timestamp",
        "compiled on",
        "written on",
        "produced on",
        "reported",
        "recorded at",
        "built on",
    ];
    for (at, lower) in lines.iter().take(HEAD_LINES).enumerate() {
        if is_of_source(lower) {
            continue;
        }
        let key = KEYS.iter().find_map(|key| lower.find(key).map(|at| at + key.len()));
        let Some(after) = key else { continue };
        // A date further on in prose is of something else.
        let near = lower.get(after..).unwrap_or_default();
        let near: String =
            near.chars().take(if language == Language::Json { 60 } else { 40 }).collect();
        if let Some(date) = first_date(&near) {
            return Some((date, at + 1));
        }
    }
    None
}

/// Whether a line is about what a report was made from.
fn is_of_source(lower: &str) -> bool {
    let source = [
        "source",
        "data",
        "input",
        "dataset",
        "code",
        "commit",
        "weights",
        "checkpoint",
        "kernel",
        "driver",
        "results file",
        "results.",
        "script",
        "measurements",
        "benchmark run",
        "raw",
        "model",
    ]
    .iter()
    .any(|word| lower.contains(word));
    let changed = [
        "modified",
        "changed",
        "last change",
        "updated",
        "mtime",
        "committed",
        "commit date",
        "commit_date",
        "recorded",
        "re-recorded",
        "regenerated",
        "collected",
        "dated",
        "refreshed",
        "rewritten",
    ]
    .iter()
    .any(|word| lower.contains(word));
    source && changed
}

/// A later date of a source that the same text names.
fn inside(file: &File<'_>, lines: &[String], own: Date, own_line: usize) -> Option<Finding> {
    const CHANGED: [&str; 5] = ["modified", "changed", "mtime", "updated", "committed"];
    const SOURCES: [&str; 6] = ["\"source", "\"data", "\"input", "\"code", "\"dataset", "\"script"];
    let has = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    for (at, lower) in lines.iter().enumerate() {
        // In JSON the key of the object around may say that this is a source.
        let around = || {
            file.language == Language::Json
                && has(lower, &CHANGED)
                && lines[at.saturating_sub(4)..at].iter().any(|line| has(line, &SOURCES))
        };
        if at + 1 == own_line || !(is_of_source(lower) || around()) {
            continue;
        }
        if let Some(date) = first_date(lower).filter(|date| *date > own) {
            let message = format!(
                "the report says that it is of {own}, and that what it is made from is of {date}"
            );
            let span = Span { line: at + 1, column: 1, ..Span::default() };
            return Some(finding(file, Rule::StaleReport, Confidence::High, span, message));
        }
    }
    None
}

/// A cited file that is newer.
fn outside(
    file: &File<'_>,
    lines: &[String],
    own: Option<Date>,
    roots: &[PathBuf],
    ages: Ages<'_>,
) -> Option<Finding> {
    for (line, cited, named) in citations(file, lines, roots) {
        let dates = own.and_then(|own| Some((own, stated_in(&cited)?)));
        let newer = match dates {
            Some((own, theirs)) => (theirs > own)
                .then(|| format!("says that it is of {own}, and `{named}` that it is of {theirs}")),
            None => by_files(file.path, &cited, ages)
                .map(|(own, theirs)| format!("was last changed {own}, and `{named}` {theirs}")),
        };
        if let Some(newer) = newer {
            let span = Span { line, column: 1, ..Span::default() };
            let message = format!("the report {newer}");
            return Some(finding(file, Rule::StaleReport, Confidence::Medium, span, message));
        }
    }
    None
}

/// The date that a cited report states of itself. Nothing else is read: data may be of any size.
fn stated_in(cited: &Path) -> Option<Date> {
    let language = Language::of(cited).filter(|language| language.is_report())?;
    if std::fs::metadata(cited).ok()?.len() >= MAX_BYTES {
        return None;
    }
    let text = std::fs::read_to_string(cited).ok()?;
    stated(&lower_lines(&text, HEAD_LINES), language).map(|(date, _)| date)
}

/// The days of both files, where the cited one is newer: by commits if both are committed, by times of files if neither is.
fn by_files(report: &Path, cited: &Path, ages: Ages<'_>) -> Option<(Date, Date)> {
    let day = |time: Timestamp| Offset::UTC.to_datetime(time).date();
    let modified =
        |path: &Path| Timestamp::try_from(std::fs::metadata(path).ok()?.modified().ok()?).ok();
    let (own, theirs) = match ((ages.committed)(report), (ages.committed)(cited)) {
        (Some(own), Some(theirs)) => (own, theirs),
        (None, None) => (modified(report)?, modified(cited)?),
        _ => return None,
    };
    let apart = theirs.as_second() - own.as_second();
    (apart > CLOSE_S).then(|| (day(own), day(theirs)))
}

/// Files that exist and that a report names as what it was made from: the line, the path, and how it is named.
fn citations(
    file: &File<'_>,
    lines: &[String],
    roots: &[PathBuf],
) -> Vec<(usize, PathBuf, String)> {
    const SAYS: [&str; 26] = [
        "generated from",
        "generated by",
        "generated with",
        "source:",
        "source data",
        "data:",
        "data in",
        "data is in",
        "data from",
        "based on",
        "produced by",
        "produced with",
        "computed from",
        "computed by",
        "derived from",
        "measured by",
        "measured with",
        "results in",
        "results:",
        "numbers in",
        "from [",
        "raw data",
        "\"source",
        "\"data",
        "\"input",
        "\"generated",
    ];
    const KINDS: [&str; 14] = [
        "json", "jsonl", "csv", "py", "rs", "js", "mjs", "ts", "toml", "yaml", "yml", "parquet",
        "ipynb", "cu",
    ];
    let folder = file.path.parent().unwrap_or(Path::new("."));
    let mut fenced = false;
    let mut found = Vec::new();
    for (at, (line, lower)) in file.text.lines().zip(lines).enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let loads = lower.contains("<script") || lower.contains("<link");
        if fenced || loads || !SAYS.iter().any(|word| lower.contains(word)) || found.len() > 20 {
            continue;
        }
        for token in line.split(|c: char| c.is_whitespace() || "()[]{}\"'<>`,;=".contains(c)) {
            let token = token.trim_end_matches(['.', ':']);
            let path = Path::new(token);
            let kind =
                path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if token.contains("://") || !KINDS.contains(&kind) || token.len() > 300 {
                continue;
            }
            let places = std::iter::once(folder).chain(roots.iter().map(PathBuf::as_path));
            let cited = places.map(|place| place.join(path)).find(|place| place.is_file());
            if let Some(cited) = cited.filter(|cited| cited != file.path) {
                found.push((at + 1, cited, token.to_owned()));
            }
        }
    }
    found
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The first date in a text: `2025-03-01`, `20250301`, `March 1, 2025`, `1 March 2025`.
fn first_date(lower: &str) -> Option<Date> {
    let words: Vec<&str> = lower
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '/'))
        .filter(|word| !word.is_empty())
        .collect();
    for (at, word) in words.iter().enumerate() {
        let day = word.split('t').next().unwrap_or_default();
        let parts: Vec<_> = day.split(['-', '/']).map(str::parse::<i16>).collect();
        let date = match parts.as_slice() {
            [Ok(year), Ok(month), Ok(day)] if *year > 1990 => date(*year, *month, *day),
            [Ok(day), Ok(month), Ok(year)] if *year > 1990 => date(*year, *month, *day),
            _ => compact(day).or_else(|| written(&words, at)),
        };
        if date.is_some() {
            return date;
        }
    }
    None
}

fn date(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `20250301`, perhaps with a time behind it.
fn compact(word: &str) -> Option<Date> {
    let digits = word.split(['_', '-']).next()?;
    let all =
        digits.len() == 8 && digits.chars().all(|c| c.is_ascii_digit()) && digits.starts_with("20");
    all.then(|| {
        date(digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?)
    })
    .flatten()
}

/// A date with the name of its month at this word.
fn written(words: &[&str], at: usize) -> Option<Date> {
    let word = words.get(at)?;
    let month = MONTHS
        .iter()
        .position(|month| *month == *word || word.len() == 3 && month.starts_with(word))?;
    let month = i16::try_from(month + 1).ok()?;
    let number = |at: usize| {
        words.get(at)?.trim_end_matches(['s', 't', 'n', 'd', 'r', 'h']).parse::<i16>().ok()
    };
    let before = at.checked_sub(1).and_then(number);
    let (after, later) = (number(at + 1), number(at + 2));
    match (before, after, later) {
        (_, Some(day), Some(year)) if day <= 31 && year > 1990 => date(year, month, day),
        (Some(day), Some(year), _) if day <= 31 && year > 1990 => date(year, month, day),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_people_write_them() {
        let first = Some(Date::new(2025, 3, 1).unwrap());
        for text in [
            "on 2025-03-01",
            "2025-03-01t10:00:00z",
            "20250301",
            "march 1, 2025",
            "1 march 2025",
            "mar 1st 2025",
            "2025/03/01",
        ] {
            assert_eq!(first_date(text), first, "{text}");
        }
        assert_eq!(first_date("version 1.2-3 of 12 runs in may"), None);
    }

    #[test]
    fn a_report_states_its_own_date_and_not_that_of_its_source() {
        let text = "# Report\nSource data last modified: 2025-05-01\nGenerated: 2025-03-01\n";
        let stated = stated(&lower_lines(text, HEAD_LINES), Language::Markdown)
            .map(|(date, line)| (date.to_string(), line));
        assert_eq!(stated, Some(("2025-03-01".to_owned(), 3)));
    }

    #[test]
    fn only_reports_of_a_size_that_people_read_are_asked_for_their_date() {
        let folder = tempfile::tempdir().unwrap();
        let text = "Generated: 2025-03-01\n";
        let date = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            stated_in(&path).map(|date| date.to_string())
        };
        assert_eq!(date("r.md", text).as_deref(), Some("2025-03-01"));
        assert_eq!(date("r.csv", text), None);
        assert_eq!(date("large.md", &(text.to_owned() + &" ".repeat(1 << 20))), None);
        assert_eq!(stated_in(&folder.path().join("gone.md")), None);
    }

    #[test]
    fn a_source_in_json_may_be_named_around_its_date() {
        let text = "{\n\"generated\": \"2025-03-01\",\n\"SOURCE\": {\n\"Modified\": \"2025-05-01\"\n}\n}\n";
        let path = Path::new("r.json");
        let file = File::new(path, path, Language::Json, text);
        let found = check(&file, &[], Ages { committed: &|_| None });
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [4]);
    }
}
