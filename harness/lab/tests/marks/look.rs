//! Looks at a rendered report: which numbers stand in it, and beside which marks; and whether text of results stayed text.

use crate::world::{HOSTILE, digit};
use proofmark::Mark;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;

const ALL: [Mark; 4] = [Mark::Real, Mark::Software, Mark::Simulated, Mark::Claimed];

/// A report in one of its forms.
pub(crate) struct Rendered {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
}

/// The form, with the text.
pub(crate) enum Form {
    Html(String),
    Markdown(String),
    /// Rows for a terminal, the first of them a header.
    Rows(Vec<Vec<String>>),
    /// Lines for a terminal or for other programs.
    Lines(String),
    Json(Value),
    Csv(String),
    Metrics(String),
    Xml(String),
}

/// A piece of a report that stands together, and what names the numbers in it if it does not do so itself.
struct Piece {
    text: String,
    /// The header of its column, the row that it is in.
    around: Vec<String>,
    /// Whether its numbers must have a mark even if they are not of this world.
    is_strict: bool,
}

/// The marks that a text names.
fn marks(text: &str) -> Vec<Mark> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = text.split(|c| !is_word(c)).collect();
    ALL.into_iter().filter(|mark| words.contains(&mark.name())).collect()
}

/// Numbers with a unit of time or size, in ns or bytes, and the text of each.
fn figures(text: &str) -> Vec<(f64, String)> {
    let units = [
        ("ns", 1.0),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("B", 1.0),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("MB", 1e6),
        ("GiB", 1_073_741_824.0),
    ];
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found = Vec::new();
    for pair in words.windows(2) {
        let number = pair[0].trim_start_matches(|c: char| !c.is_ascii_digit() && c != '-');
        let unit: String = pair[1].chars().take_while(|c| c.is_alphabetic()).collect();
        let unit = units.iter().find(|(name, _)| *name == unit);
        if let (Ok(number), Some((name, size))) = (number.parse::<f64>(), unit) {
            found.push((number * size, format!("{number} {name}")));
        }
    }
    found
}

/// The mark that a number of this world has, by its first digit.
fn mark_of(value: f64) -> Option<Mark> {
    let part = value / 1e6;
    ALL.into_iter().find(|mark| (digit(*mark) + 0.2..digit(*mark) + 0.9).contains(&part))
}

/// Counts the numbers of this world in a report. Fails if one does not stand beside its mark.
#[track_caller]
pub(crate) fn check_marks(rendered: &Rendered) -> usize {
    let name = rendered.name;
    match &rendered.form {
        Form::Json(value) => json(name, value, &[]),
        Form::Csv(text) => csv(name, text),
        Form::Metrics(text) => metrics(name, text),
        Form::Html(text) => check_pieces(name, &html(text)),
        Form::Markdown(text) => check_pieces(name, &markdown(text)),
        Form::Rows(rows) => check_pieces(name, &of_rows(rows)),
        Form::Lines(text) | Form::Xml(text) => {
            let piece =
                |line: &str| Piece { text: line.to_owned(), around: Vec::new(), is_strict: false };
            check_pieces(name, &text.lines().map(piece).collect::<Vec<_>>())
        }
    }
}

#[track_caller]
fn check_pieces(name: &str, pieces: &[Piece]) -> usize {
    let mut count = 0;
    for piece in pieces {
        for (value, shown) in figures(&piece.text) {
            // What names marks itself needs nothing around it.
            let scopes = std::iter::once(&piece.text).chain(&piece.around);
            let named = scopes.map(|text| marks(text)).find(|marks| !marks.is_empty());
            let named = named.unwrap_or_default();
            let told = format!("{name}: {shown} in {:?}, around {:?}", piece.text, piece.around);
            match mark_of(value) {
                Some(mark) => {
                    count += 1;
                    assert!(named.contains(&mark), "{told} does not stand beside {mark}");
                }
                None => assert!(!piece.is_strict || !named.is_empty(), "{told} has no mark"),
            }
        }
    }
    count
}

fn of_rows(rows: &[Vec<String>]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for row in rows.iter().skip(1) {
        for (column, cell) in row.iter().enumerate() {
            let header = rows[0].get(column).cloned().unwrap_or_default();
            let around = vec![header, row.join(" ")];
            pieces.push(Piece { text: cell.clone(), around, is_strict: true });
        }
    }
    pieces
}

/// Tables by their cells, everything else by blocks.
fn markdown(text: &str) -> Vec<Piece> {
    let (mut pieces, mut rows, mut row) = (Vec::new(), Vec::new(), Vec::new());
    let mut words = String::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Text(part) | Event::Code(part) => words.push_str(&part),
            Event::SoftBreak | Event::HardBreak | Event::InlineHtml(_) => words.push(' '),
            Event::End(TagEnd::TableCell) => row.push(std::mem::take(&mut words)),
            Event::End(TagEnd::TableRow | TagEnd::TableHead) => rows.push(std::mem::take(&mut row)),
            Event::End(TagEnd::Table) => pieces.extend(of_rows(&std::mem::take(&mut rows))),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item) => {
                let text = std::mem::take(&mut words);
                pieces.push(Piece { text, around: Vec::new(), is_strict: false });
            }
            _ => {}
        }
    }
    pieces
}

/// The texts between `<NAME` and `</NAME>`, each with the text of its tag.
fn elements<'t>(text: &'t str, name: &str) -> Vec<(&'t str, &'t str)> {
    let (begin, end) = (format!("<{name}"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(&begin) {
        rest = &rest[at + begin.len()..];
        if !rest.starts_with([' ', '>']) {
            continue;
        }
        let Some((tag, inside)) = rest.split_once('>') else { break };
        let Some(close) = inside.find(&end) else { break };
        found.push((tag, &inside[..close]));
        rest = &inside[close..];
    }
    found
}

/// Text without tags.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for (index, part) in html.split('<').enumerate() {
        let words =
            if index == 0 { part } else { part.split_once('>').map_or("", |(_, rest)| rest) };
        text.push_str(words);
        text.push(' ');
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'").replace("&amp;", "&")
}

fn html(page: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (_, table) in elements(page, "table") {
        let cells = |row: &str| -> Vec<String> {
            let row = row.replace("<th", "<td").replace("</th>", "</td>");
            elements(&row, "td").into_iter().map(|(_, cell)| plain(cell)).collect()
        };
        let rows: Vec<_> = elements(table, "tr").into_iter().map(|(_, row)| cells(row)).collect();
        pieces.extend(of_rows(&rows));
    }
    for name in ["p", "h1", "h2"] {
        let texts = elements(page, name).into_iter().map(|(_, text)| plain(text));
        pieces.extend(texts.map(|text| Piece { text, around: Vec::new(), is_strict: false }));
    }
    for (tag, picture) in elements(page, "svg") {
        for name in ["text", "title"] {
            let texts = elements(picture, name).into_iter().map(|(_, text)| plain(text));
            let around = vec![tag.to_owned()];
            pieces.extend(texts.map(|text| Piece {
                text,
                around: around.clone(),
                is_strict: true,
            }));
        }
    }
    pieces
}

/// The objects around a value, the outermost first, and the key that it has in the last one.
#[track_caller]
fn json<'v>(name: &str, value: &'v Value, path: &[(&'v Value, &'v str)]) -> usize {
    match value {
        Value::Array(list) => list.iter().map(|one| json(name, one, path)).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, one)| json(name, one, &[path, &[(value, key.as_str())]].concat()))
            .sum(),
        Value::Number(number) => {
            let Some((_, key)) = path.last() else { return 0 };
            let value = number.as_f64().unwrap();
            // In the units that the key says; without one it is ns.
            let scale = match *key {
                key if key.ends_with("_s") => 1e9,
                key if key.ends_with("_ms") => 1e6,
                "real" | "predicted" | "interval" => 1e6,
                _ => 1.0,
            };
            let scale =
                if matches!(*key, "real" | "predicted") && value > 1e3 { 1.0 } else { scale };
            let Some(mark) = mark_of(value * scale) else { return 0 };
            // What is predicted says so itself; it stands beside what is real in one object.
            let named = match *key {
                "predicted" | "interval" => Some("simulated"),
                _ => path.iter().rev().find_map(|(object, _)| {
                    ["mark", "reality"].iter().find_map(|key| object[key].as_str())
                }),
            };
            assert_eq!(
                named,
                Some(mark.name()),
                "{name}: {key} {value} in {}",
                path.last().unwrap().0
            );
            1
        }
        _ => 0,
    }
}

#[track_caller]
fn csv(name: &str, text: &str) -> usize {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let place = header.iter().position(|column| column == "mark");
    let mut count = 0;
    for row in reader.records() {
        let row = row.unwrap();
        for (column, cell) in header.iter().zip(&row) {
            let numbers: Vec<f64> = cell
                .trim_matches(['[', ']'])
                .split(',')
                .filter_map(|part| part.parse().ok())
                .collect();
            let scale = if column.ends_with("_ms") { 1e6 } else { 1.0 };
            for mark in numbers.iter().filter_map(|value| mark_of(value * scale)) {
                count += 1;
                assert_eq!(
                    place.map(|place| &row[place]),
                    Some(mark.name()),
                    "{name}: {column} {cell}"
                );
            }
        }
    }
    count
}

#[track_caller]
fn metrics(name: &str, text: &str) -> usize {
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (labels, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let scale = if labels.contains("_seconds{") { 1e9 } else { 1.0 };
        if let Some(mark) = mark_of(value * scale) {
            count += 1;
            assert!(labels.contains(&format!("mark=\"{mark}\"")), "{name}: {line}");
        }
    }
    count
}

/// Fails if text of results did something else than stand there.
#[track_caller]
pub(crate) fn check_text(rendered: &Rendered) {
    let name = rendered.name;
    let is_bidi = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let obeyed = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || is_bidi(c));
    match &rendered.form {
        // Their own printing escapes them: `output::print` and `printable_json`.
        Form::Json(_) | Form::Rows(_) => {}
        Form::Html(text) => {
            assert!(!obeyed(text), "{name}: a character does something unseen");
            for needle in ["<script>alert", "<img", "<script>x", "\"'>", "=cmd()|<"] {
                assert!(!text.contains(needle), "{name}: {needle}");
            }
        }
        Form::Xml(text) => {
            assert!(!obeyed(text), "{name}: a character does something unseen");
            assert!(!text.contains("<script") && !text.contains("<img"), "{name}");
        }
        Form::Markdown(text) => {
            assert!(!obeyed(text), "{name}: a character does something unseen");
            check_markdown(name, text);
        }
        Form::Lines(text) => {
            assert!(!obeyed(text), "{name}: a character does something unseen");
            assert!(text.lines().all(|line| line.starts_with("::")), "{name}: {text}");
        }
        Form::Csv(text) => {
            let mut reader =
                ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            for cell in reader
                .records()
                .flat_map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>())
            {
                let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
                assert!(!is_formula || cell.parse::<f64>().is_ok(), "{name}: {cell:?}");
            }
            assert!(text.contains("'=cmd()"), "{name}: no hostile text came here");
        }
        Form::Metrics(text) => {
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let (labels, value) = line.rsplit_once("} ").unwrap();
                assert!(value.parse::<f64>().is_ok() && labels.contains('{'), "{name}: {line}");
            }
        }
    }
}

/// What is not ours is text: no HTML, code, emphasis, link or picture, and each row has the cells of its header.
#[track_caller]
fn check_markdown(name: &str, text: &str) {
    let ours = ["<br>", "</a>"];
    let (mut width, mut cells) = (0, 0);
    let all = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    for event in Parser::new_ext(text, all) {
        match event {
            Event::Html(tag) | Event::InlineHtml(tag) => {
                let tag = tag.trim();
                let anchor = tag.strip_prefix("<a id=\"").and_then(|rest| rest.strip_suffix("\">"));
                let is_ours = ours.contains(&tag)
                    || anchor.is_some_and(|id| !id.contains(['"', '<', '>']))
                    || tag.strip_suffix("</a>").is_some_and(|tag| tag.starts_with("<a id=\""));
                assert!(is_ours, "{name}: HTML {tag:?}");
            }
            Event::Code(code) => assert!(!["code", "c"].contains(&&*code), "{name}: code {code:?}"),
            Event::Start(Tag::Emphasis | Tag::Strikethrough) => {
                panic!("{name}: emphasis in {text}")
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "#-_.".contains(c);
                assert!(
                    dest_url.chars().all(is_plain) && &*dest_url != "b",
                    "{name}: link {dest_url}"
                );
            }
            Event::Start(Tag::TableHead | Tag::TableRow) => cells = 0,
            Event::End(TagEnd::TableCell) => cells += 1,
            Event::End(TagEnd::TableHead) => width = cells,
            Event::End(TagEnd::TableRow) => {
                assert_eq!(cells, width, "{name}: a row of other cells")
            }
            _ => {}
        }
    }
    // The parser cuts rows that are too long, so they are counted by hand too.
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let pipes = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        assert!(pipes >= 2, "{name}: {line}");
    }
    assert!(!HOSTILE.is_empty());
}
