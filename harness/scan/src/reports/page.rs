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
    for block in &page.blocks {
        let Block::Table(table) = block else { continue };
        for (row, line) in &table.rows {
            let text = row.join(" ; ");
            let says = |list: &[&str]| {
                row.iter().any(|cell| {
                    words::split(cell).iter().any(|word| list.contains(&word.as_str()))
                        && cell.len() < 60
                })
            };
            let contradicts = says(&["real", "measured"])
                && says(&["simulated", "mock", "mocked", "emulated", "estimated"]);
            let compares =
                table.header.iter().filter(|cell| prose::states_origin(cell)).count() > 1;
            if contradicts
                && !compares
                && text.chars().any(|c| c.is_ascii_digit())
                && table.is_of_results()
            {
                let message = "the row says both that it is real and that it is not".to_owned();
                found.push(finding(
                    file,
                    Rule::DeniedClaim,
                    Confidence::Medium,
                    at(*line),
                    message,
                ));
            }
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

/// Tables of results without a statement how they came about.
fn tables(file: &File<'_>, page: &Page, found: &mut Vec<Finding>) {
    // What stands before the second heading introduces the whole page.
    let mut lead = String::new();
    let mut section = String::new();
    let mut headings = 0;
    let sections = sections(page);
    for (index, block) in page.blocks.iter().enumerate() {
        match block {
            Block::Heading(level, text, _) => {
                headings += 1;
                section = text.clone();
                if headings == 1 || *level == 1 {
                    lead += &format!(" {text}");
                }
            }
            Block::Text(text, _) if headings <= 1 => lead += &format!(" {text}"),
            Block::Table(table) if table.mark_column().is_none() => {
                let whole = sections.get(index).map(String::as_str).unwrap_or_default();
                if !(table.is_of_results() || table.is_of_devices() && is_about_speed(&section)) {
                    continue;
                }
                let stated = [lead.as_str(), section.as_str(), whole]
                    .iter()
                    .any(|text| prose::states_origin(text));
                let cells = table.header.iter().chain(table.rows.iter().flat_map(|(row, _)| row));
                let in_cells = cells.into_iter().any(|cell| prose::states_origin(cell));
                if !stated && !in_cells {
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

/// For each block, the text of its section.
fn sections(page: &Page) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut texts: Vec<String> = vec![String::new()];
    for block in &page.blocks {
        match block {
            Block::Heading(_, text, _) => texts.push(text.clone()),
            Block::Text(text, _) => {
                if let Some(last) = texts.last_mut() {
                    *last += &format!(" {text}");
                }
            }
            _ => {}
        }
        numbers.push(texts.len() - 1);
    }
    numbers.into_iter().map(|number| texts[number].clone()).collect()
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
