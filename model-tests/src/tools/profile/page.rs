//! A profile as a page of HTML that needs nothing else: pictures and style are inside, and there is no script.

use super::super::table;
use super::analysis::{Profile, Row};
use super::chart::{self, colour, escape};
use super::text::{self, COLUMNS, LEGEND, cells, totals};
use std::fmt::Write as _;

/// Colours of kinds, from the palette of Okabe and Ito, which most readers can tell apart; lighter on dark.
const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fff;--faint:#8884;--roof:#b00020;
--k0:#0072b2;--k1:#e69f00;--k2:#009e73;--k3:#cc79a7;--k4:#d55e00;--k5:#56b4e9;--k6:#b8a500;--k7:#888}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#15171a;--faint:#8886;--roof:#ff6b81;
--k0:#4aa8e0;--k1:#f0b840;--k2:#33c79b;--k3:#e09cc4;--k4:#f08040;--k5:#8bd0f5;--k6:#e8dc50;--k7:#999}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}svg{width:100%;height:auto;display:block}
.mark{border:1px solid;border-radius:.3rem;padding:0 .4rem}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}.grid{stroke:var(--faint)}
.roof{stroke:var(--roof);stroke-width:2;fill:none}.roof.other{stroke-dasharray:6 4;stroke-width:1.2}
.op{fill-opacity:.75;stroke:var(--paper)}.memory{fill:var(--k0);fill-opacity:.7}
.k0{fill:var(--k0)}.k1{fill:var(--k1)}.k2{fill:var(--k2)}.k3{fill:var(--k3)}
.k4{fill:var(--k4)}.k5{fill:var(--k5)}.k6{fill:var(--k6)}.k7{fill:var(--k7)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{border:1px solid var(--faint);padding:.2rem .5rem;text-align:right}
th:first-child,td:first-child{text-align:left}td svg{width:.8rem;display:inline-block}
";

/// Says to the browser itself that nothing may be loaded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
pub(super) fn html(profile: &Profile) -> String {
    let (case, mark) = (escape(&profile.case.to_string()), profile.device.mark);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{case} · {mark}</title>\n<style>{STYLE}</style>\n\
         <h1>Profile of {case} <span class=\"mark\">{mark}</span></h1>\n"
    );
    paragraph(&mut page, &format!("Every number here is {}.", table::device(&profile.device)));
    paragraph(&mut page, &text::basis(profile));
    page.push_str("<h2>Roofline</h2>\n");
    page.push_str(&chart::roofline(profile));
    roofs(&mut page, profile);
    page.push_str("<h2>Kinds of ops</h2>\n");
    kinds(&mut page, profile);
    page.push_str("<h2>Timeline of one run</h2>\n");
    page.push_str(&chart::timeline(profile));
    page.push_str("<h2>Memory over time</h2>\n");
    page.push_str(&chart::memory(profile));
    paragraph(&mut page, &format!("{}.", text::memory(profile)));
    page.push_str("<h2>Ops in order</h2>\n");
    ops(&mut page, profile);
    paragraph(&mut page, LEGEND);
    page.push_str("</html>\n");
    page
}

fn paragraph(page: &mut String, text: &str) {
    let _ = writeln!(page, "<p>{}</p>", escape(text));
}

fn roofs(page: &mut String, profile: &Profile) {
    page.push_str("<ul>\n");
    for roof in &profile.roofs {
        let _ = writeln!(page, "<li>{}</li>", escape(&text::roof(roof)));
    }
    page.push_str("</ul>\n");
    let without = chart::without_place(profile);
    let others = if without == 0 {
        String::new()
    } else {
        format!(" {without} ops have no operations and so no place there.")
    };
    paragraph(
        page,
        &format!(
            "The line is the best test of each limit, dashed are the others, all run on this device. The larger a \
             disc, the more time its op takes.{others}"
        ),
    );
}

fn header(page: &mut String, first: &[&str]) {
    page.push_str("<div class=\"scroll\"><table>\n<tr>");
    for column in first.iter().chain(&COLUMNS) {
        let _ = write!(page, "<th>{}</th>", escape(column));
    }
    page.push_str("</tr>\n");
}

/// A row whose first cell begins with the colour of its kind.
fn row(page: &mut String, colour: Option<&str>, cells: &[String]) {
    page.push_str("<tr>");
    for (index, cell) in cells.iter().enumerate() {
        page.push_str("<td>");
        if let (0, Some(colour)) = (index, colour) {
            let _ = write!(
                page,
                "<svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{colour}\" width=\"10\" \
                 height=\"10\"/></svg> "
            );
        }
        let _ = write!(page, "{}</td>", escape(cell));
    }
    page.push_str("</tr>\n");
}

fn footer(page: &mut String, profile: &Profile) {
    for cells in totals(profile) {
        row(page, None, &cells);
    }
    page.push_str("</table></div>\n");
}

fn kinds(page: &mut String, profile: &Profile) {
    header(page, &["kind", "ops"]);
    for kind in &profile.kinds {
        let names = [kind.kind.clone(), kind.count.to_string()];
        let colour = colour(profile, &kind.kind);
        row(page, Some(&colour), &[&names[..], &cells(&kind.work)].concat());
    }
    footer(page, profile);
}

fn ops(page: &mut String, profile: &Profile) {
    header(page, &["op", "node"]);
    for op in &profile.ops {
        let Row { name, kind, nodes, work, .. } = op;
        let node = nodes.last().map_or("-".into(), ToString::to_string);
        let colour = colour(profile, kind);
        row(page, Some(&colour), &[&[name.clone(), node][..], &cells(work)].concat());
    }
    footer(page, profile);
}
