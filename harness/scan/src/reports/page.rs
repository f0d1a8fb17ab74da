//! A page of text and tables, whichever format it was written in, and the rules over it.

use super::prose::{self, Sentence};
use crate::file::File;
use crate::rule::{Confidence, Finding, Rule};
use crate::rules::finding;
use crate::syntax::Span;
use crate::words;

/// A page, in the order of its text.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) blocks: Vec<Block>,
    /// Whether it contains a script or an element that says so itself; only HTML has one.
    pub(crate) attributes: Vec<(String, usize)>,
}

/// A part of a page.
#[derive(Debug)]
pub(crate) enum Block {
    /// A heading of this level.
    Heading(usize, String, usize),
    /// A paragraph, an item of a list, a caption.
    Text(String, usize),
    Table(Table),
    /// Code, which is no statement of the page.
    Code,
}

/// A table as text.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<(Vec<String>, usize)>,
    pub(crate) line: usize,
}

/// Findings about claims and tables.
pub(crate) fn check(file: &File<'_>, page: &Page) -> Vec<Finding> {
    let mut found = Vec::new();
    claims(file, page, &mut found);
    tables(file, page, &mut found);
    found
}

fn at(line: usize) -> Span {
    Span { line, column: 1, ..Span::default() }
}

/// The sentences of a page.
fn sentences(page: &Page) -> Vec<Sentence> {
    let of_block = |block: &Block| match block {
        Block::Heading(_, text, line) | Block::Text(text, line) => prose::sentences(text, *line),
        Block::Table(_) | Block::Code => Vec::new(),
    };
    page.blocks.iter().flat_map(of_block).collect()
}

/// Real hardware is claimed in one place and denied in another.
fn claims(file: &File<'_>, page: &Page, found: &mut Vec<Finding>) {
    let sentences = sentences(page);
    let marks_rows = page
        .blocks
        .iter()
        .any(|block| matches!(block, Block::Table(table) if table.mark_column().is_some()));
    let claim = sentences.iter().find(|sentence| prose::claims(&sentence.text));
    let denial = sentences
        .iter()
        .find(|sentence| prose::denies(&sentence.text) && !prose::is_partial(&sentence.text));
    let flag = page.attributes.first();
    if let (Some(claim), false) = (claim, marks_rows) {
        if let Some(denial) = denial {
            let message = format!(
                "real hardware is claimed, and line {} says: {}",
                denial.line,
                cut(&denial.text)
            );
            found.push(finding(file, Rule::DeniedClaim, Confidence::High, at(claim.line), message));
        } else if let Some((flag, line)) = flag {
            let message = format!("real hardware is claimed, and line {line} has {flag}");
            found.push(finding(
                file,
                Rule::DeniedClaim,
                Confidence::Medium,
                at(claim.line),
                message,
            ));
        }
    }
    let tables = page.blocks.iter().filter_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    });
    found.extend(tables.flat_map(contradictions).map(|line| {
        let message = "the row says both that it is real and that it is not".to_owned();
        finding(file, Rule::DeniedClaim, Confidence::Medium, at(line), message)
    }));
}

/// The lines of rows of results that say both that they are real and that they are not.
fn contradictions(table: &Table) -> Vec<usize> {
    const REAL: [&str; 2] = ["real", "measured"];
    const OTHER: [&str; 5] = ["simulated", "mock", "mocked", "emulated", "estimated"];
    let contradicts = |row: &[String]| {
        let words: Vec<String> =
            row.iter().filter(|cell| cell.len() < 60).flat_map(|cell| words::split(cell)).collect();
        let says = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        says(&REAL) && says(&OTHER)
    };
    let numbered = |row: &[String]| row.iter().any(|cell| cell.chars().any(|c| c.is_ascii_digit()));
    let rows = table.rows.iter().filter(|(row, _)| numbered(row) && contradicts(row));
    let lines: Vec<usize> = rows.map(|(_, line)| *line).collect();
    let compares = || table.header.iter().filter(|cell| prose::states_origin(cell)).count() > 1;
    if lines.is_empty() || compares() || !table.is_of_results() { Vec::new() } else { lines }
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

/// Tables of results without a statement how they came about.
fn tables(file: &File<'_>, page: &Page, found: &mut Vec<Finding>) {
    // What stands before the second heading introduces the whole page.
    let mut lead = Lead::default();
    let mut section = "";
    let mut headings = 0;
    for (block, whole) in page.blocks.iter().zip(stated_sections(page)) {
        match block {
            Block::Heading(level, text, _) => {
                headings += 1;
                section = text;
                if headings == 1 || *level == 1 {
                    lead.add(text);
                }
            }
            Block::Text(text, _) if headings <= 1 => lead.add(text),
            Block::Table(table) if table.mark_column().is_none() => {
                if !(table.is_of_results() || table.is_of_devices() && is_about_speed(section)) {
                    continue;
                }
                let cells = table.header.iter().chain(table.rows.iter().flat_map(|(row, _)| row));
                let in_cells = cells.into_iter().any(|cell| prose::states_origin(cell));
                if !whole && !lead.stated && !in_cells {
                    let message =
                        "neither a column nor the text around it says how these results came about"
                            .to_owned();
                    found.push(finding(
                        file,
                        Rule::UnmarkedTable,
                        Confidence::Medium,
                        at(table.line),
                        message,
                    ));
                }
            }
            _ => {}
        }
    }
}

/// A text that grows, and whether it says how results came about.
#[derive(Default)]
struct Lead {
    /// Its end.
    end: String,
    stated: bool,
}

impl Lead {
    fn add(&mut self, text: &str) {
        // Longer than any phrase that tells it, so that none is missed between two parts.
        const KEPT: usize = 60;
        self.end.push(' ');
        self.end.push_str(text);
        self.stated |= prose::states_origin(&self.end);
        let spaces = self.end.char_indices().rev().filter(|(_, c)| c.is_whitespace());
        let cut = spaces.map(|(at, _)| at).find(|at| self.end.len() - at >= KEPT);
        self.end.drain(..cut.unwrap_or_default());
    }
}

/// Whether a heading is about how fast something is.
fn is_about_speed(heading: &str) -> bool {
    words::split(heading).iter().any(|word| {
        matches!(
            word.as_str(),
            "latency"
                | "throughput"
                | "speed"
                | "performance"
                | "benchmark"
                | "benchmarks"
                | "timing"
                | "timings"
                | "inference"
        )
    })
}

/// For each block, whether its section says how results came about.
fn stated_sections(page: &Page) -> Vec<bool> {
    let mut numbers = Vec::new();
    let mut texts: Vec<String> = vec![String::new()];
    for block in &page.blocks {
        match block {
            Block::Heading(_, text, _) => texts.push(text.clone()),
            Block::Text(text, _) => {
                if let Some(last) = texts.last_mut() {
                    last.push(' ');
                    last.push_str(text);
                }
            }
            _ => {}
        }
        numbers.push(texts.len() - 1);
    }
    let stated: Vec<bool> = texts.iter().map(|text| prose::states_origin(text)).collect();
    numbers.into_iter().map(|number| stated[number]).collect()
}

impl Table {
    /// The column that says for each row how it came about.
    pub(crate) fn mark_column(&self) -> Option<usize> {
        self.header.iter().position(|cell| {
            let words = words::split(cell);
            let named = words.iter().any(|word| {
                matches!(
                    word.as_str(),
                    "mark"
                        | "marks"
                        | "provenance"
                        | "simulated"
                        | "real"
                        | "source"
                        | "origin"
                        | "measured"
                        | "evidence"
                        | "basis"
                        | "kind"
                )
            });
            named && words.len() <= 4 && words::quantity(cell).is_none()
        })
    }

    /// Whether its columns are of devices and hold numbers.
    fn is_of_devices(&self) -> bool {
        const DEVICES: [&str; 16] = [
            "cpu", "gpu", "cuda", "rocm", "webgpu", "webnn", "openvino", "mps", "qnn", "npu",
            "tpu", "metal", "vulkan", "directml", "onnx", "tensorrt",
        ];
        let names =
            |cell: &String| words::split(cell).iter().any(|word| DEVICES.contains(&word.as_str()));
        let number = |cell: &String| {
            cell.contains('.') && cell.trim().trim_end_matches("ms").trim().parse::<f64>().is_ok()
        };
        let numbers = self.rows.iter().flat_map(|(row, _)| row).filter(|cell| number(cell)).count();
        self.header.iter().filter(|cell| names(cell)).count() >= 2
            && numbers >= self.rows.len()
            && numbers > 0
    }

    /// Whether it has measured quantities in it: by its header or its cells.
    pub(crate) fn is_of_results(&self) -> bool {
        let is_setting = |cell: &String| {
            words::is_setting(cell)
                || words::split(cell).iter().any(|word| {
                    matches!(
                        word.as_str(),
                        "parameter"
                            | "setting"
                            | "flag"
                            | "description"
                            | "meaning"
                            | "variable"
                            | "goal"
                            | "objective"
                            | "allowed"
                            | "cost"
                            | "price"
                    )
                })
        };
        if self.header.iter().any(is_setting) || self.rows.is_empty() {
            return false;
        }
        let digits = |cell: &str| cell.chars().any(|c| c.is_ascii_digit());
        let column = |at: usize| {
            let cells: Vec<_> = self.rows.iter().filter_map(|(row, _)| row.get(at)).collect();
            let numbers = cells.iter().filter(|cell| digits(cell) && cell.len() < 40).count();
            numbers > 0 && numbers * 2 >= cells.len()
        };
        let by_header =
            self.header.iter().enumerate().any(|(at, cell)| is_quantity(cell) && column(at));
        let first = |(row, _): &(Vec<String>, usize)| {
            row.first().is_some_and(|cell| is_quantity(cell))
                && row.iter().skip(1).any(|cell| digits(cell))
        };
        let by_rows =
            self.rows.iter().filter(|row| first(row)).count() * 2 >= self.rows.len().max(1);
        let units = self
            .rows
            .iter()
            .filter(|(row, _)| row.iter().skip(1).any(|cell| has_unit(cell)))
            .count();
        by_header || by_rows || units * 2 > self.rows.len()
    }
}

/// Whether the name of a column or a row is that of a time, a rate or memory.
fn is_quantity(cell: &str) -> bool {
    let lower = cell.to_lowercase();
    let unit = [
        "(ms)",
        "(s)",
        "(us)",
        "(µs)",
        "(ns)",
        "tok/s",
        "tokens/s",
        "img/s",
        "images/s",
        "req/s",
        "samples/s",
        "it/s",
        "gb/s",
        " ms",
        "ms/",
        "items/s",
        "[ms]",
        "ops/s",
    ]
    .iter()
    .any(|unit| lower.contains(unit));
    let short = words::split(cell).len() <= 6;
    short
        && (unit
            || matches!(words::quantity(cell), Some(words::Quantity::Time | words::Quantity::Rate)))
}

/// Whether a cell is a number with the unit of a time or a rate: `12.3 ms`, `45 tok/s`.
fn has_unit(cell: &str) -> bool {
    let cell = cell.trim();
    let number = cell
        .chars()
        .take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '~' | '±' | ' '))
        .count();
    let rest: String = cell.chars().skip(number).collect();
    let unit = rest.trim().to_lowercase();
    number > 0
        && cell.chars().any(|c| c.is_ascii_digit())
        && [
            "ms",
            "us",
            "µs",
            "ns",
            "s",
            "fps",
            "qps",
            "tok/s",
            "tokens/s",
            "img/s",
            "images/s",
            "req/s",
            "tflops",
            "gflops",
            "gb/s",
            "samples/s",
        ]
        .contains(&unit.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rules(text: &str) -> Vec<Rule> {
        crate::scan_text(Path::new("r.md"), text).into_iter().map(|found| found.rule).collect()
    }

    const TABLE: &str = "\n| model | latency (ms) |\n|---|---|\n| a | 1.5 |\n";

    #[test]
    fn a_long_list_is_read_once() {
        let items = "- an item of a list that is long enough to matter\n".repeat(20_000);
        assert_eq!(rules(&format!("# A\n\n## B\n\n{items}{TABLE}")), [Rule::UnmarkedTable]);
        assert_eq!(rules(&format!("# A\n\n## B\n\n{items}- measured\n{TABLE}")), []);
    }

    #[test]
    fn many_tables_do_not_have_the_page_read_again() {
        let pairs = format!("A paragraph between.\n{TABLE}\n").repeat(300);
        assert_eq!(rules(&format!("# A\n\n{pairs}")).len(), 300);
    }

    #[test]
    fn what_introduces_a_page_may_be_told_in_parts() {
        for (parts, stated) in [
            (&["They ran", "on the desk"][..], true),
            (&["A", "measurement"], true),
            (&["They ran on", "a desk"], true),
            (&["They ran", "off"], false),
            (&["surreal", &"word ".repeat(40), "real"], true),
            (&["surreal things", &"word ".repeat(40)], false),
            (&["measured", &"word ".repeat(40)], true),
        ] {
            let mut lead = Lead::default();
            parts.iter().for_each(|part| lead.add(part));
            assert_eq!(lead.stated, stated, "{parts:?}");
            assert_eq!(prose::states_origin(&parts.join(" ")), stated, "{parts:?}");
            assert!(lead.end.len() < 80);
        }
    }

    #[test]
    fn a_row_that_says_both_is_found_unless_the_columns_compare() {
        let row = |header: &str| {
            format!("# A\n\n{header}\n|---|---|---|\n| real | simulated | 1.5 ms |\n")
        };
        assert_eq!(rules(&row("| mark | kind | latency (ms) |")), [Rule::DeniedClaim]);
        assert_eq!(rules(&row("| real run | simulated run | latency (ms) |")), []);
    }
}
