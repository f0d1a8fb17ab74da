//! The report on timing as pages, as rows for programs, and (in `html`) as one page that works without a network.
//!
//! What is known is `crate::timing`. Every number stands beside its kind: in the text of its cell, or in its row's column
//! `mark` where the row is for programs.

pub mod html;
mod look;
mod roofline;

use super::page::{Block, Cell, Page, matrix, opening, table};
use super::time;
use crate::basis::{Kind, is_fixture};
use crate::figures::{bytes, duration_ns, percent, three_digits};
use crate::store::Answer;
use crate::timing::advice::Advice;
use crate::timing::ranking::{Among, Ranking};
use crate::timing::scaling::Scaling;
use crate::timing::{Row, Timing};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the words mean.
pub const LEGEND: &str = "Every number has its mark: real ran on the hardware that it names, software on an adapter that \
imitates it, simulated did not run, claimed cannot show it; fixture was made up to try this report out. The latency is the \
median of the newest result's samples, p95 the 95th percentile of at least 20 of them, noise their scaled median absolute \
deviation divided by the median. Ranks are only among results of one mark, on machines of one class, of one precision and \
shape, without fallbacks; those whose intervals of 95 % overlap are too close to call and share a place. Bound is told \
only where the roof of the very device was measured (cargo xtask profile). Operations and bytes follow from shapes.";

/// Rankings, growths and recommendations that a page shows; JSON has all.
const SHOWN: usize = 200;
/// Rows that a recommendation names.
const CITED: usize = 3;

/// What the report rests on, as a sentence.
pub fn basis(report: &Timing) -> String {
    format!("Made {}, it rests on {}.", time(report.made_at), report.rests_on.sentence("latencies"))
}

/// A column of the table of rows.
struct Column {
    name: &'static str,
    /// Whether its cells are numbers, by which it is sorted.
    number: bool,
    /// Whether a terminal has room for it.
    narrow: bool,
    text: fn(&Row) -> String,
}

const fn column(
    name: &'static str,
    number: bool,
    narrow: bool,
    text: fn(&Row) -> String,
) -> Column {
    Column { name, number, narrow, text }
}

/// The columns, in order.
const COLUMNS: [Column; 18] = [
    column("case", false, true, |row| row.case.clone()),
    column("mark", false, true, |row| row.kind.name()),
    column("machine class", false, true, |row| row.class.clone()),
    column("device", false, false, |row| row.device.clone()),
    column("latency", true, true, latency),
    column("p95", true, false, |row| marked(row.latency_ns_p95.map(duration_ns), row.kind)),
    column("noise", true, true, |row| marked(row.relative_noise.map(percent), row.kind)),
    column("throughput", true, true, |row| {
        let rate = |per_s: f64| format!("{} items/s", three_digits(per_s));
        marked(row.items_per_s.map(rate), row.kind)
    }),
    column("memory", true, true, |row| marked(row.peak_memory_bytes.map(bytes), row.kind)),
    column("load", true, false, |row| marked(row.load_ns.map(ns), row.kind)),
    column("compile", true, false, |row| marked(row.compile_ns.map(ns), row.kind)),
    column("bound by", true, true, bound),
    column("rank of endpoint", true, true, |row| place(row, Among::Endpoints)),
    column("rank of model", true, false, |row| place(row, Among::Models)),
    column("changed", true, false, changed),
    column("samples", true, false, |row| match row.samples {
        0 => String::new(),
        count => marked(Some(format!("{count} of {} processes", row.processes)), row.kind),
    }),
    column("age", true, true, |row| marked(Some(days(row.age_days)), row.kind)),
    column("record", false, false, |row| row.record.clone()),
];

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn ns(ns: u64) -> String {
    duration_ns(ns as f64)
}

/// A number with its kind; nothing where it is not known.
fn marked(number: Option<String>, kind: Kind) -> String {
    number.map(|number| format!("{number} {}", kind.name())).unwrap_or_default()
}

fn latency(row: &Row) -> String {
    let statistic = if row.statistic == "median" { "" } else { &format!("{} ", row.statistic) };
    marked(Some(format!("{statistic}{}", duration_ns(row.latency_ns))), row.kind)
}

fn bound(row: &Row) -> String {
    let below = row.below.as_ref();
    marked(
        below.map(|b| format!("{}, {} of the roof", b.bound.name(), percent(b.of_roof))),
        row.kind,
    )
}

fn place(row: &Row, among: Among) -> String {
    let place = row.places.iter().find(|place| place.among == among);
    let told = place.map(|place| {
        let close = if place.too_close { ", too close to call" } else { "" };
        format!("{} of {}{close}", place.place, place.of)
    });
    marked(told, row.kind)
}

fn changed(row: &Row) -> String {
    let told = row
        .change
        .map(|(relative, at)| format!("{:+.1} % on {}", 100.0 * relative, at.strftime("%Y-%m-%d")));
    marked(told, row.kind)
}

/// An age in whole days, or hours below two days.
pub(super) fn days(days: f64) -> String {
    if days < 2.0 { format!("{:.0} h", 24.0 * days) } else { format!("{days:.0} d") }
}

/// The pages for Markdown, or with fewer columns for a terminal.
pub fn pages(report: &Timing, narrow: bool) -> Vec<Page> {
    let mut blocks = opening(&report.rests_on, basis(report));
    blocks.push(Block::Text(LEGEND.to_owned()));
    blocks.push(Block::Heading("Recommendations".to_owned()));
    blocks.push(Block::Table(recommended(report)));
    blocks.extend(more(report.recommendations.len()));
    for (heading, rows) in [
        ("Families by endpoints", families(report)),
        ("Roofs", roofs(report)),
        ("Rankings", rankings(&report.rankings)),
        ("Growth with batch and sequence", growth(&report.scaling)),
    ] {
        blocks.push(Block::Heading(heading.to_owned()));
        blocks.push(Block::Table(rows));
    }
    blocks.extend(more(report.rankings.len().max(report.scaling.len())));
    blocks.push(Block::Heading("Cases".to_owned()));
    blocks.push(Block::Table(rows(report, narrow)));
    vec![Page { name: "timing".into(), title: "Timing".into(), blocks }]
}

/// Says that a table does not show all.
fn more(count: usize) -> Option<Block> {
    (count > SHOWN).then(|| Block::Text(format!("Only the first {SHOWN} are shown; JSON has all.")))
}

fn rows(report: &Timing, narrow: bool) -> Vec<Vec<Cell>> {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|c| c.narrow || !narrow).collect();
    let mut rows = vec![columns.iter().map(|column| Cell::from(column.name)).collect::<Vec<_>>()];
    rows.extend(
        report.rows.iter().map(|row| {
            columns.iter().map(|column| Cell::from((column.text)(row).as_str())).collect()
        }),
    );
    rows
}

fn recommended(report: &Timing) -> Vec<Vec<Cell>> {
    table(
        ["recommendation", "how sure", "rests on"],
        report.recommendations.iter().take(SHOWN).map(|advice| {
            [advice.says.clone(), sure(advice), cited(advice).join(", ") + &rest(advice)]
        }),
    )
}

fn sure(advice: &Advice) -> String {
    format!("{}: {}", advice.sureness.name(), advice.because)
}

/// The rows that are named.
fn cited(advice: &Advice) -> Vec<&str> {
    advice.rests_on.iter().take(CITED).map(String::as_str).collect()
}

/// How many are not named.
fn rest(advice: &Advice) -> String {
    match advice.rests_on.len().saturating_sub(CITED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

/// How many rows of each kind each family has on each endpoint.
fn families(report: &Timing) -> Vec<Vec<Cell>> {
    let mut counts: BTreeMap<(&str, &str, Kind), usize> = BTreeMap::new();
    for row in &report.rows {
        *counts.entry((&row.family, &row.endpoint, row.kind)).or_default() += 1;
    }
    let mut lines: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for ((family, endpoint, kind), count) in counts {
        let of = lines.entry(family).or_default().entry(endpoint).or_default();
        of.push(format!("{count} {}", kind.name()));
    }
    matrix("family", &lines)
}

fn roofs(report: &Timing) -> Vec<Vec<Cell>> {
    let kind = |line: &proofmark::roof::Roofs| Kind {
        mark: Some(line.mark),
        fallbacks: false,
        fixture: is_fixture(&line.suite),
    };
    table(
        ["device", "mark", "bandwidth", "arithmetic", "ridge", "measured"],
        report.roofs.iter().map(|line| {
            let giga = |limit, unit: &str| {
                let per_s = line.best(limit);
                marked(per_s.map(|v| format!("{} {unit}", three_digits(v / 1e9))), kind(line))
            };
            let ridge = crate::timing::roofline::ridge(line);
            let ridge = ridge.map(|ridge| format!("{} operations/byte", three_digits(ridge)));
            [
                format!(
                    "{} ({}) in {} on machine {}",
                    line.endpoint, line.adapter, line.precision, line.machine
                ),
                kind(line).name(),
                giga(proofmark::roof::Limit::Bandwidth, "GB/s"),
                giga(proofmark::roof::Limit::Arithmetic, "Gop/s"),
                marked(ridge, kind(line)),
                format!("{} ({})", time(line.recorded_at), line.id),
            ]
        }),
    )
}

fn rankings(rankings: &[Ranking]) -> Vec<Vec<Cell>> {
    let mut rows = vec![
        ["of", "among", "mark", "machine class", "precision and shape", "order"]
            .map(Cell::from)
            .to_vec(),
    ];
    rows.extend(rankings.iter().take(SHOWN).map(|ranking| {
        let entry = |entry: &crate::timing::ranking::Entry| {
            let close = if entry.too_close { ", too close to call" } else { "" };
            let latency = marked(Some(duration_ns(entry.latency_ns)), ranking.kind);
            format!("{}. {}: {latency}{close}", entry.place, entry.name)
        };
        let shape = format!("{}, {}", ranking.precision, ranking.shape);
        let mark = ranking.kind.name();
        let of = [&ranking.of, ranking.among.name(), &mark, &ranking.class, &shape];
        let order = Cell::lines(ranking.entries.iter().map(entry).collect());
        of.map(Cell::from).into_iter().chain([order]).collect()
    }));
    rows
}

fn growth(scaling: &[Scaling]) -> Vec<Vec<Cell>> {
    table(
        ["model", "mark", "where", "shape", "size", "exponent", "sizes"],
        scaling.iter().take(SHOWN).map(|one| {
            let [low, high] = one.interval;
            let size = match one.size.as_str() {
                "b" => "batch".to_owned(),
                "s" => "sequence".to_owned(),
                other => other.to_owned(),
            };
            let exponent = format!("{:.2} ({low:.2} to {high:.2})", one.exponent);
            let sizes: Vec<_> = one.points.iter().map(|(size, ..)| size.to_string()).collect();
            [
                format!("{} in {}", one.model, one.precision),
                one.kind.name(),
                format!("{} ({}), {}", one.endpoint, one.device, one.class),
                one.shape.clone(),
                size,
                marked(Some(exponent), one.kind),
                sizes.join(", "),
            ]
        }),
    )
}

/// The columns of rows for programs, with their values; the first eight are text.
fn fields(row: &Row) -> Vec<(&'static str, Value)> {
    let [low, high] = row.latency_ns_interval.map_or([None; 2], |both| both.map(Some));
    let place = |among| row.places.iter().find(|place| place.among == among);
    let (endpoints, models) = (place(Among::Endpoints), place(Among::Models));
    let below = row.below.as_ref();
    vec![
        ("case", json!(row.case)),
        ("mark", json!(row.kind.mark)),
        ("fixture", json!(row.kind.fixture)),
        ("fallbacks", json!(row.kind.fallbacks)),
        ("machine_class", json!(row.class)),
        ("machine", json!(row.machine)),
        ("device", json!(row.device)),
        ("statistic", json!(row.statistic)),
        ("latency_ns", json!(row.latency_ns)),
        ("latency_ns_low", json!(low)),
        ("latency_ns_high", json!(high)),
        ("latency_ns_p95", json!(row.latency_ns_p95)),
        ("relative_noise", json!(row.relative_noise)),
        ("samples", json!(row.samples)),
        ("processes", json!(row.processes)),
        ("items_per_s", json!(row.items_per_s)),
        ("peak_memory_bytes", json!(row.peak_memory_bytes)),
        ("load_ns", json!(row.load_ns)),
        ("compile_ns", json!(row.compile_ns)),
        ("operations_per_byte", json!(below.map(|below| below.intensity))),
        ("bound", json!(below.map(|below| below.bound.name()))),
        ("of_roof", json!(below.map(|below| below.of_roof))),
        ("endpoint_place", json!(endpoints.map(|place| place.place))),
        ("endpoint_places", json!(endpoints.map(|place| place.of))),
        ("model_place", json!(models.map(|place| place.place))),
        ("model_places", json!(models.map(|place| place.of))),
        ("changed_by", json!(row.change.map(|(relative, _)| relative))),
        ("changed_at", json!(row.change.map(|(_, at)| at.to_string()))),
        ("recorded_at", json!(row.recorded_at.to_string())),
        ("age_days", json!(row.age_days)),
        ("record", json!(row.record)),
    ]
}

/// The rows as a table for programs, each with its mark.
pub fn answer(report: &Timing) -> Answer {
    let columns = report.rows.first().map(fields).unwrap_or_default();
    Answer {
        columns: columns.into_iter().map(|(name, _)| name.to_owned()).collect(),
        rows: report
            .rows
            .iter()
            .map(|row| fields(row).into_iter().map(|(_, value)| value).collect())
            .collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::page::{Links, markdown};
    use super::*;
    use crate::timing::testing::measured;
    use crate::timing::{Measurement, timing};
    use proofmark::Mark;

    /// Two endpoints that can be told apart, one of software, one made up, one claimed.
    pub(crate) fn report() -> Timing {
        let claimed = Measurement {
            samples: Vec::new(),
            statistic: "mean".into(),
            ..measured("bert-a/qnn/f32/b1", Mark::Claimed, 7e6)
        };
        let mut made = measured("bert-a/cpu/f32/b1", Mark::Real, 9e6);
        made.kind.fixture = true;
        made.machine = "elsewhere".into();
        let all = [
            measured("bert-a/cpu/f32/b1", Mark::Real, 3e6),
            measured("bert-a/cuda/f32/b1", Mark::Real, 1e6),
            measured("bert-<b>|c/webgpu-native/f32/b1", Mark::Software, 2e6),
            claimed,
            made,
        ];
        timing(&all, &[], &[], "2026-01-11T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn every_cell_with_a_number_says_what_it_is() {
        let report = report();
        for row in &report.rows {
            for column in COLUMNS.iter().filter(|column| column.number) {
                let text = (column.text)(row);
                assert!(
                    text.is_empty() || text.ends_with(&row.kind.name()),
                    "{}: {text}",
                    column.name
                );
            }
        }
        let text = markdown(&pages(&report, false), Links::Within);
        for expected in [
            "FIXTURE:",
            "it rests on 4 latencies: 2 real, 1 software, 0 simulated, 1 claimed; and on 1 of a fixture: 1 real (fixture).",
            "| mean 7.00 ms claimed |",
            "| 9.00 ms fixture real |",
            "1. cuda (wood): 1.00 ms real<br>2. cpu (wood): 3.00 ms real",
            "bert-&lt;b>\\|c/webgpu-native/f32/b1",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn rows_for_programs_have_their_mark() {
        let answer = answer(&report());
        let at = |name: &str| answer.columns.iter().position(|column| column == name).unwrap();
        let told: Vec<_> =
            answer.rows.iter().map(|row| (&row[at("mark")], &row[at("fixture")])).collect();
        assert!(told.iter().all(|(mark, _)| mark.is_string()), "{told:?}");
        assert_eq!(told.iter().filter(|(_, fixture)| **fixture == true).count(), 1);
        assert_eq!(answer.rows[0].len(), answer.columns.len());
    }
}
