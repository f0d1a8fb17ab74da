//! Pages of headings, text, tables and pictures, as HTML that needs nothing else and as Markdown.
//!
//! What stands on them is told by the reports, for instance `browsers`; a terminal shows the same tables. HTML has its
//! pictures inside, Markdown refers to files for them.

use super::{STYLE, chart, escape_html, escape_markdown};
use crate::basis::{BANNER, Basis};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A page, or a part of one long document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its name: of its file without the extension, and of its place in a long document.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What stands on it.
    pub blocks: Vec<Block>,
}

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading below the title.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A table: its first row and first column name the others.
    Table(Vec<Vec<Cell>>),
    /// A picture.
    Picture(Picture),
}

/// A picture as SVG, which we made: it goes into a page as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The name of its file, without the extension.
    pub name: String,
    /// What it shows.
    pub label: String,
    /// The element.
    pub svg: String,
}

impl Picture {
    /// What stands in a file of its own, which has to say that it is SVG.
    pub fn file(&self) -> String {
        self.svg.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
    }
}

/// The pictures on these pages.
pub fn pictures(pages: &[Page]) -> Vec<&Picture> {
    let mut found = Vec::new();
    for block in pages.iter().flat_map(|page| &page.blocks) {
        match block {
            Block::Heading(_) | Block::Text(_) => {}
            Block::Table(rows) => {
                found.extend(rows.iter().flatten().filter_map(|cell| cell.picture.as_ref()));
            }
            Block::Picture(picture) => found.push(picture),
        }
    }
    found
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its lines.
    pub lines: Vec<String>,
    /// What it says to those who ask for more.
    pub more: Vec<String>,
    /// The name of the page to which it leads.
    pub link: Option<String>,
    /// What it shows.
    pub picture: Option<Picture>,
}

impl Cell {
    /// A cell of these lines.
    pub fn lines(lines: Vec<String>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.more.is_empty() && self.picture.is_none()
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::lines(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] })
    }
}

/// A table whose first row is its header.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Vec<Vec<Cell>> {
    let mut table = vec![header.map(Cell::from).to_vec()];
    table.extend(rows.map(|row| row.map(|text| Cell::from(text.as_str())).to_vec()));
    table
}

/// A table with a row and a column for each name of lines; `corner` says what the rows are.
pub(super) fn matrix(
    corner: &str,
    lines: &BTreeMap<&str, BTreeMap<&str, Vec<String>>>,
) -> Vec<Vec<Cell>> {
    let columns: BTreeSet<&str> = lines.values().flat_map(|row| row.keys().copied()).collect();
    let header = std::iter::once(corner).chain(columns.iter().copied());
    let mut table = vec![header.map(Cell::from).collect::<Vec<_>>()];
    table.extend(lines.iter().map(|(name, row)| {
        let of = |column: &&str| Cell::lines(row.get(*column).cloned().unwrap_or_default());
        std::iter::once(Cell::from(*name)).chain(columns.iter().map(of)).collect()
    }));
    table
}

/// With what a report opens: a banner if some of it is made up, and what it rests on.
pub(super) fn opening(basis: &Basis, sentence: String) -> Vec<Block> {
    let banner = basis.has_fixture().then(|| BANNER.to_owned());
    banner.into_iter().chain([sentence]).map(Block::Text).collect()
}

/// Where the pages are beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// In one document.
    Within,
    /// Each in a file of its own.
    Files,
}

/// Says to the browser itself that nothing may be loaded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// The first column stays in view on a narrow screen.
const NARROW: &str = "td:first-child,th:first-child{position:sticky;left:0;background:Canvas}\
td,th{min-width:7rem;max-width:24rem;overflow-wrap:break-word}h1,h2{overflow-wrap:anywhere}.long{min-width:12rem}details{font-size:.85em}ul{margin:0;padding-left:1rem}\
@media(max-width:40rem){body{margin:1rem auto}h1{font-size:1.4rem}}";

/// A line with more bytes than this needs width.
const LONG: usize = 60;

/// One document of HTML with these pages.
pub fn html(pages: &[Page], links: Links) -> String {
    let title = escape_html(pages.first().map_or("", |page| &page.title));
    let pictures = if pictures(pages).is_empty() { "" } else { chart::STYLE };
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{title}</title>\n<style>{STYLE}{NARROW}{pictures}</style>\n"
    );
    for page in pages {
        let (name, title) = (escape_html(&page.name), escape_html(&page.title));
        let _ = writeln!(text, "<h1 id=\"{name}\">{title}</h1>");
        for block in &page.blocks {
            match block {
                Block::Heading(heading) => {
                    let _ = writeln!(text, "<h2>{}</h2>", escape_html(heading));
                }
                Block::Text(paragraph) => {
                    let _ = writeln!(text, "<p>{}</p>", escape_html(paragraph));
                }
                Block::Table(rows) => html_table(&mut text, rows, links, None),
                Block::Picture(picture) => text.push_str(&picture.svg),
            }
        }
    }
    text.push_str("</html>\n");
    text
}

/// A table of HTML whose first row and first column name the others, and the caption all of it. It may be wider than the
/// screen, so that the keyboard must be able to scroll it.
pub(super) fn html_table(
    text: &mut String,
    rows: &[Vec<Cell>],
    links: Links,
    caption: Option<&str>,
) {
    text.push_str("<div class=\"scroll\" tabindex=\"0\"><table>\n");
    if let Some(caption) = caption {
        let _ = writeln!(text, "<caption>{}</caption>", escape_html(caption));
    }
    for (index, row) in rows.iter().enumerate() {
        text.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let tag = match (index, column) {
                (0, _) => "th scope=\"col\"",
                (_, 0) => "th scope=\"row\"",
                _ => "td",
            };
            let end = if tag == "td" { "td" } else { "th" };
            // On a narrow screen, a long line would become a high tower.
            let is_long = cell.lines.iter().any(|line| line.len() > LONG);
            let class = if is_long { " class=\"long\"" } else { "" };
            let _ = write!(text, "<{tag}{class}>{}</{end}>", html_cell(cell, links));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
}

fn html_cell(cell: &Cell, links: Links) -> String {
    let lines: Vec<_> = cell.lines.iter().map(|line| escape_html(line)).collect();
    let mut text = lines.join("<br>");
    if let Some(page) = &cell.link {
        let page = escape_html(page);
        let target = match links {
            Links::Within => format!("#{page}"),
            Links::Files => format!("{page}.html"),
        };
        text = format!("<a href=\"{target}\">{text}</a>");
    }
    if let Some(picture) = &cell.picture {
        text.push_str(&picture.svg);
    }
    if !cell.more.is_empty() {
        text.push_str("<details><summary>more</summary><ul>");
        for line in &cell.more {
            let _ = write!(text, "<li>{}</li>", escape_html(line));
        }
        text.push_str("</ul></details>");
    }
    text
}

/// These pages as one document of Markdown.
pub fn markdown(pages: &[Page], links: Links) -> String {
    let mut text = String::new();
    for (index, page) in pages.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let name = escape_html(&page.name);
        let _ = writeln!(text, "{gap}<a id=\"{name}\"></a>\n\n# {}", escape_markdown(&page.title));
        for block in &page.blocks {
            match block {
                Block::Heading(heading) => {
                    let _ = writeln!(text, "\n## {}", escape_markdown(heading));
                }
                Block::Text(paragraph) => {
                    let _ = writeln!(text, "\n{}", escape_markdown(paragraph));
                }
                Block::Table(rows) => markdown_table(&mut text, rows, links),
                Block::Picture(picture) => {
                    let _ = writeln!(text, "\n{}", markdown_picture(picture));
                }
            }
        }
    }
    text
}

fn markdown_table(text: &mut String, rows: &[Vec<Cell>], links: Links) {
    text.push('\n');
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row.iter().map(|cell| markdown_cell(cell, links)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if index == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
}

fn markdown_cell(cell: &Cell, links: Links) -> String {
    let lines: Vec<_> = cell.lines.iter().map(|line| escape_markdown(line)).collect();
    let mut text = lines.join("<br>");
    if let Some(page) = &cell.link {
        text = match links {
            Links::Within => format!("[{text}](#{page})"),
            Links::Files => format!("[{text}]({page}.md)"),
        };
    }
    if let Some(picture) = &cell.picture {
        text.push_str(&markdown_picture(picture));
    }
    // A table of Markdown cannot fold, so that more stands where it would open.
    for line in &cell.more {
        let _ = write!(text, "<br>• {}", escape_markdown(line));
    }
    text
}

fn markdown_picture(picture: &Picture) -> String {
    format!("![{}]({}.svg)", escape_markdown(&picture.label), picture.name)
}
