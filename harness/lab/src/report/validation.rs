//! Real beside simulated: what predictions were worth, as a page of HTML that works without a network.
//!
//! Everything stands in the page before its script runs; the script only filters, sorts and points. Results of two marks
//! are never in one picture.

use super::page::{self, Cell};
use super::{STYLE, escape_html};
use crate::figures::{percent, three_digits};
use crate::simulate::grade::{Estimate, Grade};
use crate::simulate::reality::{Metric, Told, Worth};
use crate::trend::Analysed;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Says to the browser itself that nothing may be loaded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
const SCRIPT: &str = include_str!("validation.js");
const LOOK: &str = ":root{--real:#0072b2;--software:#009e73;--ideal:#8888}\
@media(prefers-color-scheme:dark){:root{--real:#56b4e9;--software:#33c79b}}\
svg{width:100%;max-width:44rem;height:auto;display:block}svg text{font:13px system-ui,sans-serif;fill:currentColor}\
.grid{stroke:#8884}.ideal{stroke:var(--ideal);stroke-width:2}.real{fill:var(--real);stroke:var(--real)}\
.software{fill:var(--software);stroke:var(--software)}.bar{stroke-opacity:.35}.off{display:none}\
.lit circle{stroke:currentColor;stroke-width:4;r:7px}tr.lit{outline:2px solid}[data-pair]{cursor:pointer}\
#filters{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}#filters[hidden]{display:none}\
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-decoration:underline dotted}\
th[aria-sort=ascending] button:after{content:' \\2191'}th[aria-sort=descending] button:after{content:' \\2193'}";

/// A part of one with its interval of 95 %.
pub fn estimate(estimate: &Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!("{} ({} to {})", percent(estimate.value), percent(low), percent(high))
        }
        _ => percent(estimate.value),
    }
}

/// A number with its interval of 95 %.
fn plain(estimate: &Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("{:.2} ({low:.2} to {high:.2})", estimate.value),
        _ => format!("{:.2}", estimate.value),
    }
}

/// The errors of each group as rows of text, the first of them a header.
pub fn groups(worth: &Worth) -> Vec<Vec<String>> {
    let header = ["results", "metric", "class", "device"].into_iter().chain(ERRORS);
    let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
    for (group, grade) in &worth.groups {
        let device = if group.device.is_empty() { "all" } else { &group.device };
        let names = [group.reality, group.metric.name(), group.class, device].map(str::to_owned);
        rows.push(names.into_iter().chain(errors(grade)).collect());
    }
    rows
}

/// What predictions said of themselves, and how they did.
pub fn confidences(worth: &Worth) -> Vec<Vec<String>> {
    let header = ["results", "confidence"].into_iter().chain(ERRORS);
    let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
    for (reality, confidence, grade) in &worth.by_confidence {
        let names = [(*reality).to_owned(), confidence.name().to_owned()];
        rows.push(names.into_iter().chain(errors(grade)).collect());
    }
    rows
}

const ERRORS: [&str; 9] = [
    "pairs",
    "mean error",
    "bias",
    "p90 error",
    "worst",
    "rank correlation",
    "in interval",
    "below, above",
    "slope",
];

fn errors(grade: &Grade) -> [String; 9] {
    let tails = grade.below.zip(grade.above);
    [
        grade.results.to_string(),
        estimate(&grade.mape),
        estimate(&grade.bias),
        percent(grade.p90),
        format!("{} {}", percent(grade.worst), grade.worst_case),
        grade.rank_correlation.as_ref().map(plain).unwrap_or_default(),
        grade.coverage.as_ref().map(estimate).unwrap_or_default(),
        tails.map(|(low, high)| format!("{}, {}", percent(low), percent(high))).unwrap_or_default(),
        grade.slope.map(|slope| format!("{slope:.2}")).unwrap_or_default(),
    ]
}

/// What the columns of the errors mean.
pub const LEGEND: &str = "Errors are |predicted − real| / real; bias is the median of predicted / real less 1; intervals of \
predictions should hold 90 % of results, with 5 % below and 5 % above; slope is that of log real over log predicted, 1 if \
what is long is not overstated. In brackets: 95 % by a bootstrap over model families. \
Real results grade predictions of hardware and software results those of software; no prediction is graded by what taught it.";

/// How the right device was chosen, in words.
pub fn choices(worth: &Worth) -> Vec<String> {
    let say = |(reality, choice): &(&'static str, crate::simulate::grade::Choice)| {
        format!(
            "Of {} models with {reality} results on several devices, the predicted choice is the quickest for {}; choosing by \
             prediction takes {} longer than the best on average.",
            choice.models,
            percent(choice.right),
            percent(choice.loss),
        )
    };
    worth.choices.iter().map(say).collect()
}

/// What was not graded, in words.
pub fn left(worth: &Worth) -> String {
    let left = &worth.left;
    let parts = [
        (left.learned, "cases taught all their predictions"),
        (left.other_mark, "cases have results of another mark than their predictions are about"),
        (left.fell_back, "cases ran in part elsewhere than on the device"),
        (left.without_result, "predictions have no result"),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if told.is_empty() {
        "Everything was graded.".to_owned()
    } else {
        format!("Not graded: {}.", told.join("; "))
    }
}

/// Where the error changed, in words.
pub fn drifts(analysed: &[Analysed]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in analysed {
        let kind = &one.trend.kind;
        for change in &one.change_points {
            let found = &change.found;
            let between: Vec<String> = change
                .attribution
                .environment
                .iter()
                .map(|d| format!("{}: {} → {}", d.name, d.before, d.after))
                .chain(change.attribution.commits.first().map(|suspect| {
                    format!(
                        "commit {} ({})",
                        crate::attribution::short(&suspect.commit.id),
                        suspect.commit.subject
                    )
                }))
                .chain((change.last_before.commit != change.first_after.commit).then(|| {
                    let [before, after] = [&change.last_before, &change.first_after]
                        .map(|point| crate::attribution::short(&point.commit));
                    format!("commits {before} to {after}")
                }))
                .collect();
            let between = if between.is_empty() {
                "nothing that is recorded".to_owned()
            } else {
                between.join("; ")
            };
            lines.push(format!(
                "{} on {} ({}): real / predicted went from {:.2} to {:.2} at {}; between: {between}",
                kind.case_id,
                kind.machine,
                kind.mark,
                found.before,
                found.after,
                change.first_after.recorded_at,
            ));
        }
        for drift in &one.drifts {
            lines.push(format!(
                "{} on {} ({}): real / predicted drifts from {:.2} to {:.2} over {} results",
                kind.case_id,
                kind.machine,
                kind.mark,
                drift.before,
                drift.after,
                drift.end - drift.start,
            ));
        }
    }
    lines
}

/// The page.
pub fn html(worth: &Worth, drift: &[Analysed]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>Real beside simulated</title>\n<style>{STYLE}{LOOK}</style>\n<h1>Real beside simulated</h1>\n"
    );
    paragraph(&mut text, &basis(worth));
    paragraph(&mut text, &left(worth));
    table(&mut text, "Errors", groups(worth));
    paragraph(&mut text, LEGEND);
    table(&mut text, "What predictions of latency said of themselves", confidences(worth));
    choices(worth).iter().for_each(|line| paragraph(&mut text, line));
    let _ = writeln!(text, "<h2>The error over time</h2>");
    let lines = drifts(drift);
    if lines.is_empty() {
        paragraph(&mut text, "No change of the error was found.");
    }
    lines.iter().for_each(|line| paragraph(&mut text, line));
    for reality in ["real", "software"] {
        picture(&mut text, worth, reality);
    }
    pairs(&mut text, worth);
    let _ = write!(text, "<script>\n{SCRIPT}</script>\n</html>\n");
    text
}

/// What everything rests on.
pub fn basis(worth: &Worth) -> String {
    let of = |reality: &str| worth.pairs.iter().filter(|t| t.group.reality == reality).count();
    let machines: BTreeSet<_> = worth.pairs.iter().map(|told| &told.machine).collect();
    format!(
        "{} simulated numbers beside {} real and {} software ones, of {} machines.",
        worth.pairs.len(),
        of("real"),
        of("software"),
        machines.len(),
    )
}

fn paragraph(text: &mut String, words: &str) {
    let _ = writeln!(text, "<p>{}</p>", escape_html(words));
}

fn table(text: &mut String, heading: &str, rows: Vec<Vec<String>>) {
    if rows.len() < 2 {
        return;
    }
    let _ = writeln!(text, "<h2>{}</h2>", escape_html(heading));
    let cells = |row: Vec<String>| row.iter().map(|cell| Cell::from(cell.as_str())).collect();
    page::html_table(
        text,
        &rows.into_iter().map(cells).collect::<Vec<_>>(),
        page::Links::Within,
        None,
    );
}

/// The side of the picture, and where it begins.
const SIZE: f64 = 520.0;
const LEFT: f64 = 80.0;

/// Real against predicted latency, both logarithmic, with the intervals of predictions.
fn picture(text: &mut String, worth: &Worth, reality: &str) {
    let shown: Vec<(usize, &Told)> = worth
        .pairs
        .iter()
        .enumerate()
        .filter(|(_, t)| t.group.metric == Metric::Latency && t.group.reality == reality)
        .collect();
    let values = shown.iter().flat_map(|(_, t)| [t.judged.real, t.judged.predicted]);
    let logs: Vec<f64> = values.map(f64::log10).filter(|log| log.is_finite()).collect();
    let (Some(low), Some(high)) = (
        logs.iter().copied().reduce(f64::min).map(f64::floor),
        logs.iter().copied().reduce(f64::max).map(|high| (high + 1e-9).ceil()),
    ) else {
        return;
    };
    let scale = |log: f64| (log.clamp(low, high) - low) / (high - low) * SIZE;
    let (x, y) = (|ms: f64| LEFT + scale(ms.log10()), |ms: f64| 10.0 + SIZE - scale(ms.log10()));
    let _ = writeln!(
        text,
        "<h2>Latency: {reality} against simulated</h2>\n<svg viewBox=\"0 0 {} {}\" role=\"img\" \
         aria-label=\"Each dot is a case: to the right what was measured ({reality}), upwards what was simulated, in ms; on \
         the line both are equal\">",
        LEFT + SIZE + 20.0,
        SIZE + 60.0
    );
    grid(text, low, high, x, y);
    let (near, far) = (10.0_f64.powf(low), 10.0_f64.powf(high));
    let _ = writeln!(
        text,
        "<path class=\"ideal\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{reality}, ms</text><text x=\"4\" y=\"24\">simulated, ms</text>",
        x(near),
        y(near),
        x(far),
        y(far),
        LEFT + SIZE,
        SIZE + 52.0
    );
    for (index, told) in shown {
        let judged = &told.judged;
        let (at_x, at_y) = (x(judged.real), y(judged.predicted));
        let bar = judged.interval.map_or_else(String::new, |[low, high]| {
            format!("<path class=\"bar {reality}\" d=\"M{at_x:.1} {:.1}V{:.1}\"/>", y(low), y(high))
        });
        let _ = writeln!(
            text,
            "<g data-pair=\"{index}\">{bar}<circle class=\"{reality}\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"4\">\
             <title>{}: {} ms ({reality}), {} ms (simulated)</title></circle></g>",
            escape_html(&judged.case),
            three_digits(judged.real),
            three_digits(judged.predicted)
        );
    }
    text.push_str("</svg>\n");
}

/// A line and its label for each power of ten, across and upwards.
fn grid(text: &mut String, low: f64, high: f64, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    let mut decade = low;
    while decade <= high {
        let ms = 10.0_f64.powf(decade);
        let (at_x, at_y, name) = (x(ms), y(ms), ms);
        let _ = writeln!(
            text,
            "<path class=\"grid\" d=\"M{at_x:.0} 10V{:.0}M{LEFT:.0} {at_y:.0}H{:.0}\"/>\
             <text x=\"{at_x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{name}</text>\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{name}</text>",
            10.0 + SIZE,
            LEFT + SIZE,
            SIZE + 28.0,
            LEFT - 6.0,
            at_y + 4.0
        );
        decade += 1.0;
    }
}

/// The table that the script filters and sorts.
fn pairs(text: &mut String, worth: &Worth) {
    text.push_str("<h2>Pairs</h2>\n<form id=\"filters\" hidden>\n<label>Find <input type=\"search\"></label>\n");
    type Of = fn(&Told) -> &str;
    let choices: [(&str, &str, Of); 5] = [
        ("reality", "results", |t| t.group.reality),
        ("metric", "metric", |t| t.group.metric.name()),
        ("endpoint", "endpoint", |t| &t.endpoint),
        ("family", "family", |t| &t.judged.family),
        ("confidence", "confidence", |t| t.confidence.name()),
    ];
    for (name, label, of) in choices {
        let values: BTreeSet<&str> = worth.pairs.iter().map(of).collect();
        let _ =
            write!(text, "<label>{label} <select name=\"{name}\"><option value=\"\">all</option>");
        for value in values {
            let _ = write!(text, "<option>{}</option>", escape_html(value));
        }
        text.push_str("</select></label>\n");
    }
    text.push_str(
        "</form>\n<p id=\"count\" role=\"status\"></p>\n<div class=\"scroll\"><table id=\"pairs\">\n<thead><tr>",
    );
    for name in
        ["case", "device", "metric", "measured", "simulated", "interval", "error", "confidence"]
    {
        let _ = write!(text, "<th scope=\"col\"><button type=\"button\">{name}</button></th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for (index, told) in worth.pairs.iter().enumerate() {
        let _ = write!(text, "<tr data-row=\"{index}\"");
        for (name, _, of) in choices {
            let _ = write!(text, " data-{name}=\"{}\"", escape_html(of(told)));
        }
        text.push('>');
        for (shown, value) in cells(told) {
            let key = value.map_or_else(String::new, |value| format!(" data-value=\"{value}\""));
            let _ = write!(text, "<td{key}>{}</td>", escape_html(&shown));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
}

/// What a pair says, and by what it is sorted where that is a number.
fn cells(told: &Told) -> [(String, Option<f64>); 8] {
    let judged = &told.judged;
    let unit = |value: f64| match told.group.metric {
        Metric::Latency => format!("{} ms", three_digits(value)),
        Metric::Memory => format!("{} MB", three_digits(value / 1e6)),
    };
    let interval =
        judged.interval.map(|[low, high]| format!("{} to {} (simulated)", unit(low), unit(high)));
    [
        (judged.case.clone(), None),
        (told.group.device.clone(), None),
        (told.group.metric.name().to_owned(), None),
        (format!("{} ({})", unit(judged.real), told.group.reality), Some(judged.real)),
        (format!("{} (simulated)", unit(judged.predicted)), Some(judged.predicted)),
        (interval.unwrap_or_else(|| "none".to_owned()), None),
        (percent(judged.error()), Some(judged.error())),
        (told.confidence.name().to_owned(), None),
    ]
}
