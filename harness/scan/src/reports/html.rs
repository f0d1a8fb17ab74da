//! HTML as a page, scripts in it as code, and where it ends in the middle.

use super::page::{self, Block, Page, Table};
use crate::file::{File, Language};
use crate::rule::{Confidence, Finding, Rule};
use crate::rules::{self, finding};
use crate::syntax::{Span, Unit, each_node, parse_tree, text_of};
use tree_sitter::Node;

/// All findings in a page of HTML.
pub(super) fn check(file: &File<'_>) -> Vec<Finding> {
    let Some(tree) = parse_tree(Language::Html, file.text) else { return Vec::new() };
    let reader = Reader { text: file.text };
    let mut page = Page::default();
    reader.walk(tree.root_node(), &mut page);
    let mut found = page::check(file, &page);
    found.extend(scripts(file, tree.root_node()));
    if let Some(why) = open_end(file.text) {
        let line = file.text.trim_end().lines().count();
        let at = Span { line, column: 1, ..Span::default() };
        found.push(finding(file, Rule::TruncatedFile, Confidence::High, at, why.to_owned()));
    }
    found
}

struct Reader<'a> {
    text: &'a str,
}

/// Elements whose text is a block of its own.
const BLOCKS: [&str; 17] = [
    "p",
    "li",
    "div",
    "caption",
    "figcaption",
    "blockquote",
    "td",
    "th",
    "title",
    "footer",
    "header",
    "section",
    "article",
    "small",
    "dd",
    "dt",
    "summary",
];

impl Reader<'_> {
    /// Reads blocks in the order of the text, without recursion.
    fn walk(&self, root: Node<'_>, page: &mut Page) {
        let mut tables_until = 0;
        each_node(root, &mut |node| {
            if node.start_byte() < tables_until {
                return false;
            }
            if node.kind() == "attribute" {
                self.attribute(node, page);
            }
            let name = self.name(node);
            let line = node.start_position().row + 1;
            match name.as_str() {
                "table" => {
                    page.blocks.push(Block::Table(self.table(node)));
                    tables_until = node.end_byte();
                    let caption = self.texts(node, &["caption"]);
                    page.blocks.extend(caption.into_iter().map(|text| Block::Text(text, line)));
                    false
                }
                "script" | "style" | "pre" => false,
                "h1" | "h2" | "h3" | "h4" => {
                    let level = usize::from(name.as_bytes().get(1).copied().unwrap_or(b'1') - b'0');
                    page.blocks.push(Block::Heading(level, self.inner(node), line));
                    false
                }
                name if BLOCKS.contains(&name) => {
                    let text = self.own(node);
                    if !text.trim().is_empty() {
                        page.blocks.push(Block::Text(text, line));
                    }
                    true
                }
                _ => true,
            }
        });
    }

    /// `data-simulated="true"`, `class="simulated"`.
    fn attribute(&self, node: Node<'_>, page: &mut Page) {
        let text = text_of(node, self.text);
        let lower = text.to_lowercase();
        let flag =
            lower.starts_with("data-") && (lower.contains("simulat") || lower.contains("mock"));
        if flag && !lower.contains("false") {
            page.attributes.push((text.chars().take(60).collect(), node.start_position().row + 1));
        }
    }

    fn name(&self, node: Node<'_>) -> String {
        let tag =
            node.child(0).filter(|tag| matches!(tag.kind(), "start_tag" | "self_closing_tag"));
        let named = matches!(node.kind(), "element" | "script_element" | "style_element");
        let name = tag.filter(|_| named).and_then(|tag| tag.named_child(0));
        name.map(|name| text_of(name, self.text).to_lowercase()).unwrap_or_default()
    }

    /// All text inside an element.
    fn inner(&self, node: Node<'_>) -> String {
        let mut text = String::new();
        each_node(node, &mut |part| {
            if matches!(part.kind(), "text" | "entity") {
                text += text_of(part, self.text);
                text.push(' ');
            }
            !matches!(part.kind(), "script_element" | "style_element")
        });
        text.trim().to_owned()
    }

    /// The text of an element without that of blocks in it.
    fn own(&self, node: Node<'_>) -> String {
        let mut text = String::new();
        each_node(node, &mut |part| {
            if part.id() != node.id() {
                let name = self.name(part);
                if BLOCKS.contains(&name.as_str())
                    || matches!(
                        name.as_str(),
                        "table" | "h1" | "h2" | "h3" | "h4" | "script" | "style" | "pre"
                    )
                {
                    return false;
                }
            }
            if matches!(part.kind(), "text" | "entity") {
                text += text_of(part, self.text);
                text.push(' ');
            }
            true
        });
        text
    }

    fn texts(&self, node: Node<'_>, names: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        each_node(node, &mut |part| {
            let matches = names.contains(&self.name(part).as_str());
            if matches {
                found.push(self.inner(part));
            }
            !matches
        });
        found
    }

    fn table(&self, node: Node<'_>) -> Table {
        let mut table = Table { line: node.start_position().row + 1, ..Table::default() };
        each_node(node, &mut |part| {
            if self.name(part) != "tr" {
                return true;
            }
            let head = self.texts(part, &["th"]);
            let cells = self.texts(part, &["td", "th"]);
            let heads = head.len() == cells.len();
            match heads && table.header.is_empty() {
                true => table.header = cells,
                false => table.rows.push((cells, part.start_position().row + 1)),
            }
            false
        });
        // A table without header cells: its first row is the header.
        if table.header.is_empty() && table.rows.len() > 1 {
            table.header = table.rows.remove(0).0;
        }
        table
    }
}

/// Findings in scripts, as in JavaScript.
fn scripts(file: &File<'_>, root: Node<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    each_node(root, &mut |node| {
        if node.kind() != "script_element" {
            return true;
        }
        let tag = node.child(0).map(|tag| text_of(tag, file.text)).unwrap_or_default();
        let data = tag.contains("json") || tag.contains("text/template");
        let mut cursor = node.walk();
        let body = node.named_children(&mut cursor).find(|child| child.kind() == "raw_text");
        if let (Some(body), false) = (body, data) {
            let text = text_of(body, file.text);
            let first = body.start_position().row + 1;
            // Charts in a minified library are no code of this page.
            if text.len() < 200_000
                && let Some(mut unit) = Unit::parse(Language::JavaScript, text, first)
            {
                unit.open_end = false;
                let inner = rules::check(file, &unit);
                found.extend(inner);
            }
        }
        false
    });
    found
}

/// Whether the page ends before its elements are closed.
fn open_end(text: &str) -> Option<&'static str> {
    let trimmed = text.trim_end();
    let lower = trimmed.to_lowercase();
    let tail: String =
        lower.chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
    if tail.rfind('<').is_some_and(|open| !tail[open..].contains('>')) {
        return Some("the page ends inside of a tag");
    }
    for name in ["html", "table", "script", "style"] {
        let opened = lower.contains(&format!("<{name}>")) || lower.contains(&format!("<{name} "));
        if opened && !lower.contains(&format!("</{name}")) {
            return Some("an element is opened and never closed");
        }
    }
    let count = |tag: &str| lower.matches(tag).count();
    (count("<table") > count("</table")).then_some("a table is opened and never closed")
}
