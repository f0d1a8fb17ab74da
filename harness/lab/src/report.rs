//! The coverage matrix as Markdown and as a page of HTML that needs nothing else.
//!
//! What is counted is `coverage`; JSON is its own serialisation. Other reports are below: `browsers`, made of the
//! pages of `page`, `certify`, `gate`, `history`, `migrate`, `quality`, `timing`, `trends` with the pictures of `chart`, and
//! `validation`.

pub mod browsers;
pub mod certify;
pub mod chart;
pub mod compat;
pub mod gate;
pub mod gate_exchange;
pub mod history;
pub mod migrate;
pub mod page;
pub mod quality;
pub mod timing;
pub mod trends;
pub mod validation;

use crate::basis::Kind;
use crate::coverage::{Cell, Counts};
use crate::export::{is_obeyed, printable};
use jiff::Timestamp;
use proofmark::Mark;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What the numbers mean; below every report.
pub const LEGEND: &str = "Each count of results has its mark: real ran on the hardware it names, software on an \
adapter that imitates it, simulated did not run, claimed cannot show it; unopened opened no device; with fallbacks means that ops \
ran elsewhere than on the device. \
Passed and failed results are of this code, stale ones of other code, weights, drivers or tools.";

/// The matrix as rows of text: a header, then a row per model. A cell without cases is empty.
pub fn matrix(cells: &[Cell]) -> Vec<Vec<String>> {
    let models: BTreeSet<_> = cells.iter().map(|cell| &cell.model).collect();
    let endpoints: BTreeSet<_> = cells.iter().map(|cell| &cell.endpoint).collect();
    let header = std::iter::once("model".to_owned());
    let mut rows = vec![header.chain(endpoints.iter().map(|e| (*e).clone())).collect::<Vec<_>>()];
    for model in models {
        let at = |endpoint: &&String| {
            let cell = cells.iter().find(|c| c.model == *model && c.endpoint == **endpoint);
            cell.map(describe).unwrap_or_default()
        };
        rows.push(std::iter::once(model.clone()).chain(endpoints.iter().map(at)).collect());
    }
    rows
}

/// `5 known; real: 2 measured, 1 passed, 1 stale; 1 unmeasured`.
fn describe(cell: &Cell) -> String {
    let mut text = format!("{} known", cell.known);
    for counts in &cell.results {
        let mark = kind(counts.mark, counts.fallback);
        let Counts { measured, passed, failed, stale, .. } = *counts;
        let _ = write!(text, "; {mark}: {measured} measured");
        for (count, what) in [(passed, "passed"), (failed, "failed"), (stale, "stale")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
    }
    for (count, what) in [(cell.unmeasured, "unmeasured"), (cell.absent, "absent")] {
        if count > 0 {
            let _ = write!(text, "; {count} {what}");
        }
    }
    text
}

/// What kind of thing a number is: its mark, and whether ops ran elsewhere than on the device. Only numbers of one
/// kind are comparable.
pub fn kind(mark: Option<Mark>, fell_back: bool) -> String {
    Kind { mark, fallbacks: fell_back, fixture: false }.name()
}

/// Endpoint and reason of everything that is absent, each once.
pub fn absences(cells: &[Cell]) -> BTreeSet<(String, String)> {
    let each = |cell: &Cell| {
        let endpoint = cell.endpoint.clone();
        cell.reasons
            .iter()
            .map(move |reason| (endpoint.clone(), reason.clone()))
            .collect::<Vec<_>>()
    };
    cells.iter().flat_map(each).collect()
}

/// The matrix as Markdown.
pub fn markdown(cells: &[Cell]) -> String {
    let mut text = String::from("# Coverage\n\n");
    for (index, row) in matrix(cells).into_iter().enumerate() {
        let columns = row.len();
        let row: Vec<_> = row.iter().map(|cell| escape_markdown(cell)).collect();
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if index == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(columns));
        }
    }
    let _ = writeln!(text, "\n{LEGEND}");
    let absences = absences(cells);
    if !absences.is_empty() {
        let _ = writeln!(text, "\n## Absent\n\n| endpoint | why |\n|---|---|");
        for (endpoint, reason) in absences {
            let (endpoint, reason) = (escape_markdown(&endpoint), escape_markdown(&reason));
            let _ = writeln!(text, "| {endpoint} | {reason} |");
        }
    }
    text
}

/// A time as people read it.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A cell must stay one cell on one line, must not become HTML, a link, code or emphasis, and shows what would turn the
/// direction of text or do something else unseen.
fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' | '|' | '[' | ']' | '`' | '*' | '~' => escaped.extend(['\\', c]),
            // Within a word it is no emphasis, and names are full of them.
            '_' if !(before.is_alphanumeric()
                && rest.peek().is_some_and(|c| c.is_alphanumeric())) =>
            {
                escaped.push_str("\\_");
            }
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '\n' | '\r' => escaped.push(' '),
            c if is_obeyed(c) => escaped.push_str(&printable(&c.to_string()).replace('\\', "\\\\")),
            c => escaped.push(c),
        }
        before = c;
    }
    escaped
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
table{border-collapse:collapse}th,td{border:1px solid #8888;padding:.4rem .6rem;text-align:left;\
vertical-align:top}th{background:#8882}.scroll{overflow-x:auto}:root{color-scheme:light dark}";

/// The matrix as a page of HTML with its style inside.
pub fn html(cells: &[Cell]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Coverage</title>\n<style>{STYLE}</style>\n<h1>Coverage</h1>\n"
    );
    let lines = |row: Vec<String>| row.iter().map(|cell| cell.replace("; ", "\n")).collect();
    let rows: Vec<Vec<String>> = matrix(cells).into_iter().map(lines).collect();
    write_table(&mut text, &rows);
    let _ = writeln!(text, "<p>{}</p>", escape_html(LEGEND));
    let absences = absences(cells);
    if !absences.is_empty() {
        text.push_str("<h2>Absent</h2>\n");
        let header = vec!["endpoint".to_owned(), "why".to_owned()];
        let rows = absences.into_iter().map(|(endpoint, reason)| vec![endpoint, reason]);
        write_table(&mut text, &std::iter::once(header).chain(rows).collect::<Vec<_>>());
    }
    text.push_str("</html>\n");
    text
}

fn write_table(text: &mut String, rows: &[Vec<String>]) {
    text.push_str("<div class=\"scroll\"><table>\n");
    for (index, row) in rows.iter().enumerate() {
        text.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let tag = if index == 0 || column == 0 { "th" } else { "td" };
            let cell = escape_html(cell).replace('\n', "<br>");
            let _ = write!(text, "<{tag}>{cell}</{tag}>");
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
}

/// As text or attribute of HTML; what would turn the direction of text or do something else unseen is shown. Ends of lines
/// stay.
fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c != '\n' && is_obeyed(c) => escaped.push_str(&printable(&c.to_string())),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Cell {
        let real = Counts { mark: Some(Mark::Real), measured: 3, passed: 2, ..Counts::default() };
        let real = Counts { stale: 1, ..real };
        let none = Counts { measured: 1, failed: 1, ..Counts::default() };
        let mixed = Counts { mark: Some(Mark::Software), fallback: true, ..none };
        Cell {
            model: "m<b>|x".into(),
            endpoint: "cpu".into(),
            known: 6,
            absent: 1,
            unmeasured: 1,
            results: vec![real, none, mixed],
            reasons: BTreeSet::from(["<script>alert('x')</script> | it\nis \"gone\"".to_owned()]),
        }
    }

    #[test]
    fn every_number_has_its_mark() {
        let expected = "6 known; real: 3 measured, 2 passed, 1 stale; unopened: 1 measured, 1 failed; \
                        software with fallbacks: 1 measured, 1 failed; \
                        1 unmeasured; 1 absent";
        assert_eq!(describe(&cell()), expected);
    }

    #[test]
    fn names_and_reasons_are_text_everywhere() {
        let page = html(&[cell()]);
        assert!(!page.contains("<script>") && !page.contains("m<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"), "{page}");
        let table = markdown(&[cell()]);
        assert!(!table.contains("<script>") && table.contains("m&lt;b>\\|x"), "{table}");
        let row = table.lines().find(|line| line.contains("script")).unwrap();
        assert!(row.ends_with("it is \"gone\" |"), "{row}");
    }

    #[test]
    fn a_page_needs_nothing_else() {
        let page = html(&[cell()]);
        assert!(!page.contains("http") && !page.contains("src="), "{page}");
        assert!(page.contains("<style>") && page.starts_with("<!doctype html>"));
    }
}
