//! Markdown as a page, and where it ends in the middle.

use super::page::{self, Block, Page, Table};
use crate::file::File;
use crate::rule::{Confidence, Finding, Rule};
use crate::rules::finding;
use crate::syntax::Span;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// All findings in a page of Markdown.
pub(super) fn check(file: &File<'_>) -> Vec<Finding> {
    let page = read(file.text);
    let mut found = page::check(file, &page);
    if let Some((line, confidence, why)) = open_end(file.text) {
        let at = Span { line, column: 1, ..Span::default() };
        found.push(finding(file, Rule::TruncatedFile, confidence, at, why.to_owned()));
    }
    found
}

/// Line numbers of byte offsets.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

fn read(text: &str) -> Page {
    let lines = Lines::of(text);
    let mut page = Page::default();
    let options = Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut current = String::new();
    let mut start = 0;
    let mut table: Option<Table> = None;
    let mut row: Vec<String> = Vec::new();
    let mut code = false;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Table(_)) => {
                table = Some(Table { line: lines.at(range.start), ..Table::default() });
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented)) => {
                code = true
            }
            Event::End(TagEnd::CodeBlock) => {
                code = false;
                page.blocks.push(Block::Code);
            }
            Event::Start(Tag::TableCell) => current.clear(),
            Event::End(TagEnd::TableCell) => {
                row.push(std::mem::take(&mut current).trim().to_owned())
            }
            Event::End(TagEnd::TableHead) => {
                if let Some(table) = &mut table {
                    table.header = std::mem::take(&mut row);
                }
            }
            Event::End(TagEnd::TableRow) => {
                if let Some(table) = &mut table {
                    table.rows.push((std::mem::take(&mut row), lines.at(range.start)));
                }
            }
            Event::End(TagEnd::Table) => page.blocks.extend(table.take().map(Block::Table)),
            Event::Start(
                Tag::Paragraph | Tag::Heading { .. } | Tag::Item | Tag::MetadataBlock(_),
            ) if table.is_none() => {
                flush(&mut page, &mut current, lines.at(start));
                start = range.start;
            }
            Event::End(TagEnd::Heading(level)) => {
                let text = std::mem::take(&mut current);
                page.blocks.push(Block::Heading(
                    level as usize,
                    text.trim().to_owned(),
                    lines.at(start),
                ));
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::MetadataBlock(_))
                if table.is_none() =>
            {
                flush(&mut page, &mut current, lines.at(start));
            }
            Event::Text(inner) if !code => current += &inner,
            Event::Code(inner) => current += &inner,
            Event::SoftBreak | Event::HardBreak => current.push('\n'),
            Event::InlineHtml(inner) | Event::Html(inner) if !inner.starts_with("<!--") => {
                current.push(' ');
            }
            _ => {}
        }
    }
    flush(&mut page, &mut current, lines.at(start));
    page
}

fn flush(page: &mut Page, current: &mut String, line: usize) {
    let text = std::mem::take(current);
    if !text.trim().is_empty() {
        page.blocks.push(Block::Text(text, line));
    }
}

/// Where the text ends in the middle, and why that is thought.
fn open_end(text: &str) -> Option<(usize, Confidence, &'static str)> {
    let trimmed = text.trim_end();
    let line = trimmed.lines().count();
    let last = trimmed.lines().last()?.trim();
    if let Some(opened) = open_fence(text) {
        return Some((opened, Confidence::High, "a block of code is opened and never closed"));
    }
    if last.starts_with('|') {
        let before = trimmed.lines().rev().nth(1).unwrap_or_default().trim();
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        if before.starts_with('|')
            && before.ends_with('|')
            && (!last.ends_with('|') || cells(last) < cells(before))
        {
            return Some((line, Confidence::High, "the last row of a table is not whole"));
        }
        let header_only = cells(last) > 1 && !before.starts_with('|') && last.ends_with('|');
        let ruled = last.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
        if header_only || ruled {
            return Some((line, Confidence::Medium, "a table has a header and nothing below it"));
        }
        return None;
    }
    ends_in_sentence(text, last).map(|(confidence, why)| (line, confidence, why))
}

/// The line of a fence that is open at the end.
fn open_fence(text: &str) -> Option<usize> {
    let mut open: Option<(char, usize, usize)> = None;
    for (at, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        if line.len() - inner.len() > 3 && open.is_none() {
            continue;
        }
        let Some(mark) = inner.chars().next().filter(|c| matches!(c, '`' | '~')) else { continue };
        let count = inner.chars().take_while(|c| *c == mark).count();
        if count < 3 {
            continue;
        }
        let rest = inner.get(count..).unwrap_or_default().trim();
        match open {
            Some((opened, least, _)) if opened == mark && count >= least && rest.is_empty() => {
                open = None
            }
            None if !rest.contains('`') => open = Some((mark, count, at + 1)),
            _ => {}
        }
    }
    open.map(|(_, _, line)| line)
}

/// Whether the last sentence is not whole. A file that ends with a newline was at least ended on purpose.
fn ends_in_sentence(text: &str, last: &str) -> Option<(Confidence, &'static str)> {
    let word = last.split_whitespace().last().unwrap_or_default().to_lowercase();
    let dangling = matches!(
        word.as_str(),
        "the"
            | "a"
            | "an"
            | "and"
            | "or"
            | "of"
            | "with"
            | "to"
            | "for"
            | "in"
            | "on"
            | "by"
            | "from"
            | "that"
            | "which"
            | "is"
            | "are"
            | "was"
            | "were"
            | "than"
            | "at"
            | "as"
    );
    let prose = !last.starts_with(['#', '<', '[', '!', '`', '=']) && last.contains(' ');
    if prose && (dangling || last.ends_with(',')) {
        return Some((Confidence::Medium, "the last sentence is not whole"));
    }
    let odd = |mark: &str| last.matches(mark).count() % 2 == 1;
    let open = odd("**")
        || odd("`") && !last.starts_with("```")
        || last.rfind("](").is_some_and(|at| !last[at..].contains(')'));
    if !text.ends_with('\n') && open {
        return Some((Confidence::Medium, "the last line opens something and does not close it"));
    }
    let ended =
        last.ends_with(['.', '!', '?', ':', ')', '*', '_', '|', '`', '>', '"', ']', '-', '%']);
    let short = last.split_whitespace().count() < 6;
    (prose && !text.ends_with('\n') && !ended && !short && !last.starts_with(['-', '*', '+']))
        .then_some((Confidence::Low, "the last sentence has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_end(text: &str, truncated: bool) {
        assert_eq!(
            open_end(text).is_some_and(|(_, confidence, _)| confidence > Confidence::Low),
            truncated,
            "{text}"
        );
    }

    #[test]
    fn ends_in_the_middle_are_found() {
        check_end("# A\n\n```text\nx\n```\n", false);
        check_end("# A\n\n```text\nx\n", true);
        check_end("| a | b |\n|---|---|\n| 1 | 2 |\n", false);
        check_end("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 ", true);
        check_end("It was measured on the", true);
        check_end("It was measured here.", false);
        check_end("- one\n- two\n", false);
    }
}
