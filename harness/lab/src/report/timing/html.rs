//! The report on timing as one page of HTML: it loads nothing, and without scripts everything still stands in it.
//!
//! The script (`../timing.js`) filters, sorts, pages and exports what stands in the table, and switches the theme.

use super::super::page::{self, Cell, Links};
use super::super::{escape_html, time};
use super::{
    COLUMNS, LEGEND, SHOWN, basis, cited, families, fields, growth, look, rankings, rest, roofline,
    roofs, sure,
};
use crate::basis::BANNER;
use crate::export::printable_json;
use crate::timing::advice::Advice;
use crate::timing::{Row, Timing};
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

/// Says to the browser itself that nothing may be loaded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
const SCRIPT: &str = include_str!("../timing.js");

/// The page.
pub fn html(report: &Timing) -> String {
    let mut text = head();
    let _ = write!(
        text,
        "<header>\n<h1>Timing</h1>\n<p class=\"bar\" hidden><button type=\"button\" id=\"theme\" aria-pressed=\"false\">Dark \
         theme</button></p>\n</header>\n<main id=\"main\" tabindex=\"-1\">\n"
    );
    if report.rests_on.has_fixture() {
        let _ = writeln!(text, "<p class=\"banner\">{}</p>", escape_html(BANNER));
    }
    let _ = writeln!(text, "<p id=\"basis\">{}</p>", escape_html(&basis(report)));
    text.push_str("<details><summary>What the words mean</summary><p>");
    text.push_str(&escape_html(LEGEND));
    text.push_str("</p></details>\n");
    recommendations(&mut text, report);
    cases(&mut text, report);
    section(
        &mut text,
        "Families by endpoints",
        "How many cases each family has on each endpoint, by mark",
        &families(report),
        0,
    );
    text.push_str("<section>\n<h2>Rooflines</h2>\n");
    if report.roofs.is_empty() {
        text.push_str("<p>No roof was measured on any of these devices: cargo xtask profile does it. So nothing is said of what bounds a case.</p>\n");
    } else {
        page::html_table(
            &mut text,
            &roofs(report),
            Links::Within,
            Some("Roofs that were measured"),
        );
        text.push_str(&roofline::pictures(report));
    }
    text.push_str("</section>\n");
    section(
        &mut text,
        "Rankings",
        "What could be ranked, the quickest first",
        &rankings(&report.rankings),
        report.rankings.len(),
    );
    section(
        &mut text,
        "Growth with batch and sequence",
        "The exponent k of latency = c·size^k, with its interval of 95 %",
        &growth(&report.scaling),
        report.scaling.len(),
    );
    let _ = write!(
        text,
        "</main>\n<footer><p>Made {} by Proofmark. This page loads nothing from a network.</p></footer>\n<script>\n{SCRIPT}</script>\n\
         </body>\n</html>\n",
        time(report.made_at)
    );
    text
}

fn head() -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<title>Timing</title>\n<style>{}</style>\n\
         <script>document.documentElement.classList.add(\"js\")</script>\n</head>\n\
         <body>\n<a class=\"skip\" href=\"#main\">Skip to the report</a>\n<a class=\"skip\" href=\"#cases\">Skip to the cases</a>\n",
        look::style()
    )
}

/// A section with one table of at most [`SHOWN`] of so many rows.
fn section(text: &mut String, heading: &str, caption: &str, rows: &[Vec<Cell>], count: usize) {
    if rows.len() < 2 {
        return;
    }
    let _ = writeln!(text, "<section>\n<h2>{heading}</h2>");
    page::html_table(text, rows, Links::Within, Some(caption));
    if count > SHOWN {
        let _ = writeln!(text, "<p>{SHOWN} of {count} are shown; JSON has all.</p>");
    }
    text.push_str("</section>\n");
}

/// Recommendations that stand open; the others are behind one step, for each has links that the keyboard goes through.
const OPEN: usize = 20;

fn recommendations(text: &mut String, report: &Timing) {
    text.push_str("<section>\n<h2>Recommendations</h2>\n");
    let all = &report.recommendations;
    let (open, closed) = all.split_at(all.len().min(OPEN));
    if open.is_empty() {
        text.push_str("<p>None: nothing that is comparable is far enough apart.</p>\n");
    } else {
        recommended(text, open);
    }
    if !closed.is_empty() {
        let shown = &closed[..closed.len().min(SHOWN)];
        let (more, rest) = (shown.len(), closed.len() - shown.len());
        let _ = writeln!(
            text,
            "<details><summary>{more} more; {rest} others are in the JSON</summary>"
        );
        recommended(text, shown);
        text.push_str("</details>\n");
    }
    text.push_str("</section>\n");
}

fn recommended(text: &mut String, all: &[Advice]) {
    text.push_str("<ul>\n");
    for advice in all {
        let link = |record: &str| {
            let record = escape_html(record);
            format!("<a href=\"#r-{record}\" data-record=\"{record}\">{record}</a>")
        };
        let links: Vec<String> = cited(advice).into_iter().map(link).collect();
        let _ = writeln!(
            text,
            "<li>{} <em>{}</em>. Rests on {}{}.</li>",
            escape_html(&advice.says),
            escape_html(&sure(advice)),
            links.join(", "),
            rest(advice)
        );
    }
    text.push_str("</ul>\n");
}

fn cases(text: &mut String, report: &Timing) {
    text.push_str(
        "<section aria-labelledby=\"cases\">\n<h2 id=\"cases\" tabindex=\"-1\">Cases</h2>\n",
    );
    filters(text, report);
    let _ = write!(
        text,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"cases\">\n<table id=\"rows\">\n<caption>The newest \
         timed result of each case by machine, device and mark; every number has its mark beside it</caption>\n<thead><tr>"
    );
    let names: Vec<&str> =
        report.rows.first().map(fields).unwrap_or_default().iter().map(|(name, _)| *name).collect();
    for column in &COLUMNS {
        let key = sort_key(column.name).map_or(String::new(), |key| format!(" data-key=\"{key}\""));
        let _ = write!(
            text,
            "<th scope=\"col\"{key}><button type=\"button\">{}</button></th>",
            column.name
        );
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    let all: HashSet<&str> =
        report.recommendations.iter().take(OPEN + SHOWN).flat_map(cited).collect();
    for row in &report.rows {
        row_of(text, row, all.contains(row.record.as_str()));
    }
    text.push_str("</tbody></table></div>\n");
    let _ = writeln!(
        text,
        "<p class=\"bar\" hidden><button type=\"button\" id=\"back\">Previous rows</button><button type=\"button\" \
         id=\"on\">Next rows</button></p>\n<script type=\"application/json\" id=\"columns\">{}</script>\n</section>",
        json_in_html(&Value::from(names))
    );
}

/// The column for programs by whose values a column is sorted; the others are sorted by their text.
fn sort_key(column: &str) -> Option<&'static str> {
    Some(match column {
        "latency" => "latency_ns",
        "p95" => "latency_ns_p95",
        "noise" => "relative_noise",
        "throughput" => "items_per_s",
        "memory" => "peak_memory_bytes",
        "load" => "load_ns",
        "compile" => "compile_ns",
        "bound by" => "of_roof",
        "rank of endpoint" => "endpoint_place",
        "rank of model" => "model_place",
        "changed" => "changed_by",
        "samples" => "samples",
        "age" => "age_days",
        _ => return None,
    })
}

fn filters(text: &mut String, report: &Timing) {
    text.push_str(
        "<form class=\"bar\" id=\"filters\" hidden role=\"search\" aria-label=\"Cases\">\n<label>Find <input type=\"search\" \
         name=\"find\" autocomplete=\"off\"></label>\n",
    );
    type Of = fn(&Row) -> String;
    let choices: [(&str, Of); 4] = [
        ("family", |row| row.family.clone()),
        ("endpoint", |row| row.endpoint.clone()),
        ("mark", |row| row.kind.name()),
        ("class", |row| row.class.clone()),
    ];
    for (name, of) in choices {
        let label = if name == "class" { "machine class" } else { name };
        let _ =
            write!(text, "<label>{label} <select name=\"{name}\"><option value=\"\">all</option>");
        for value in report.rows.iter().map(of).collect::<BTreeSet<_>>() {
            let _ = write!(text, "<option>{}</option>", escape_html(&value));
        }
        text.push_str("</select></label>\n");
    }
    text.push_str(
        "<button type=\"reset\">Show all</button>\n<button type=\"button\" id=\"csv\">Export as CSV</button>\n\
         <button type=\"button\" id=\"json\">Export as JSON</button>\n</form>\n<p id=\"count\" role=\"status\"></p>\n",
    );
}

/// A row: what people read, and in `data-v` the values for programs.
fn row_of(text: &mut String, row: &Row, cited: bool) {
    let values: Vec<Value> = fields(row).into_iter().map(|(_, value)| value).collect();
    let id = if cited { format!(" id=\"r-{}\"", escape_html(&row.record)) } else { String::new() };
    let _ = write!(
        text,
        "<tr{id} data-family=\"{}\" data-endpoint=\"{}\" data-v='{}'>",
        escape_html(&row.family),
        escape_html(&row.endpoint),
        escape_json(&Value::from(values))
    );
    for (index, column) in COLUMNS.iter().enumerate() {
        let shown = escape_html(&(column.text)(row));
        let _ = match (index, column.number) {
            (0, _) => write!(text, "<th scope=\"row\">{shown}</th>"),
            (_, true) => write!(text, "<td class=\"n\">{shown}</td>"),
            (_, false) => write!(text, "<td>{shown}</td>"),
        };
    }
    text.push_str("</tr>\n");
}

/// JSON between apostrophes: its own quotes stay short.
fn escape_json(value: &Value) -> String {
    let json = printable_json(&value.to_string());
    json.replace('&', "&amp;").replace('\'', "&#39;").replace('<', "&lt;")
}

/// JSON in a script that is none.
fn json_in_html(value: &Value) -> String {
    printable_json(&value.to_string()).replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn the_page_needs_nothing_else_and_names_are_text() {
        let page = html(&report());
        for forbidden in ["http:", "https:", "src=", "@import", "url(", "bert-<b>"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("default-src 'none'") && page.contains("<html lang=\"en\">"));
        assert!(page.contains("<p class=\"banner\">FIXTURE:"), "{page}");
        assert!(page.contains("bert-&lt;b&gt;|c/webgpu-native/f32/b1"));
    }

    #[test]
    fn every_sorted_column_has_a_column_for_programs() {
        let report = report();
        let names: Vec<_> = fields(&report.rows[0]).into_iter().map(|(name, _)| name).collect();
        for column in COLUMNS {
            let key = sort_key(column.name);
            assert_eq!(key.is_some(), column.number, "{}", column.name);
            assert!(key.is_none_or(|key| names.contains(&key)), "{}", column.name);
        }
    }

    #[test]
    fn the_columns_on_which_the_script_relies_are_where_it_looks() {
        let names: Vec<&str> = COLUMNS.iter().take(3).map(|column| column.name).collect();
        assert_eq!(names, ["case", "mark", "machine class"]);
    }
}
