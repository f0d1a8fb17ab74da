//! The report on browsers as pages: what runs where, then a page per model with its endpoints side by side.
//!
//! What is known is `crate::browsers`. Every number stands beside the mark of its record.

use super::page::{Block, Cell, Links, Page};
use super::{kind, time};
use crate::browsers::{Browsers, Column, Comparison, Evidence, Run};
use crate::figures::{bytes, duration_ns, percent};
use crate::stats;
use proofmark::record::Probe;
use std::collections::{BTreeMap, BTreeSet};

/// What the words mean; on every page.
const LEGEND: &str = "Each number has its mark: real ran on the hardware it names, software on an adapter that \
imitates it, simulated did not run, claimed cannot show it; with fallbacks means that ops ran elsewhere than on the \
device. Numbers of different marks are not comparable, nor are those with and those without fallbacks. Stale \
results are of other code, weights, drivers or tools than those of now.";

/// The pages: the overview, one per model, and what the probes found.
pub fn pages(browsers: &Browsers, links: Links) -> Vec<Page> {
    let models: BTreeSet<_> = browsers.comparisons.iter().map(|c| c.model.as_str()).collect();
    let mut pages = vec![overview(browsers, &models)];
    pages.extend(models.iter().map(|model| model_page(browsers, model, links)));
    pages.push(endpoints(browsers));
    pages
}

/// The name of a model's page. Ids may hold more than the name of a file should.
fn page_name(model: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("model-{}", model.chars().map(safe).collect::<String>())
}

const INDEX: &str = "index";
const ENDPOINTS: &str = "endpoints";

fn overview(browsers: &Browsers, with_page: &BTreeSet<&str>) -> Page {
    let mut header = vec![Cell::from("model")];
    header.extend(browsers.endpoints.iter().map(|endpoint| Cell {
        link: Some(ENDPOINTS.to_owned()),
        ..Cell::from(endpoint.as_str())
    }));
    let mut rows = vec![header];
    for row in browsers.cells.chunk_by(|a, b| a.model == b.model) {
        let model = row[0].model.as_str();
        let link = with_page.contains(model).then(|| page_name(model));
        let mut cells = vec![Cell { link, ..Cell::from(model) }];
        cells.extend(row.iter().map(|cell| {
            let lines = summary(&cell.evidence);
            let all = cell.evidence.iter().filter(|_| cell.evidence.len() > 1);
            Cell { lines, more: all.map(describe).collect(), ..Cell::default() }
        }));
        rows.push(cells);
    }
    let machine = format!("Machine {}. {LEGEND}", browsers.machine);
    let what = "Each count is of cases: a precision and a shape of the model. Below it stands the evidence of the \
                gravest, and under more that of all: precision and shape, record, time and message.";
    let title = "Models in browsers".to_owned();
    let blocks = vec![Block::Text(machine), Block::Text(what.to_owned()), Block::Table(rows)];
    Page { name: INDEX.to_owned(), title, blocks }
}

/// `3 passed · software`, for each kind of result; then the evidence of the first, which is the gravest.
fn summary(evidence: &[Evidence]) -> Vec<String> {
    if let [Evidence { case: None, .. }] = evidence {
        return evidence.iter().flat_map(|e| [what(e), proof(e)]).collect();
    }
    let mut counts: Vec<(String, usize)> = Vec::new();
    for one in evidence {
        let what = what(one);
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let mut lines: Vec<_> = counts.into_iter().map(|(what, n)| format!("{n} {what}")).collect();
    lines.extend(evidence.first().map(|first| of_shape(first, proof(first))));
    lines
}

/// `passed · software`, `failed · real with fallbacks, stale`, `absent`.
fn what(evidence: &Evidence) -> String {
    let mark = evidence.mark.map(|mark| format!(" · {}", kind(Some(mark), evidence.fell_back)));
    let stale = if evidence.stale { ", stale" } else { "" };
    format!("{}{}{stale}", evidence.status.name(), mark.unwrap_or_default())
}

/// Record, time and message.
fn proof(evidence: &Evidence) -> String {
    let record = evidence.record.as_deref().unwrap_or("no record");
    let time = evidence.recorded_at.map(|at| format!(", {}", time(at))).unwrap_or_default();
    let message = evidence.message.as_ref().map(|m| format!(": {m}")).unwrap_or_default();
    let link = evidence.link.as_ref().map(|link| format!(" ({link})")).unwrap_or_default();
    format!("{record}{time}{message}{link}")
}

/// What is known of a case, and why.
fn describe(evidence: &Evidence) -> String {
    of_shape(evidence, format!("{}; {}", what(evidence), proof(evidence)))
}

/// `f32 b1: …`: which case of its model and endpoint is meant.
fn of_shape(evidence: &Evidence, text: String) -> String {
    let case = evidence.case.as_ref();
    case.map_or(text.clone(), |case| format!("{} {}: {text}", case.precision, case.shape))
}

fn model_page(browsers: &Browsers, model: &str, links: Links) -> Page {
    let mut blocks = vec![Block::Text(format!("Machine {}. {LEGEND}", browsers.machine))];
    let mut shown = BTreeSet::new();
    for comparison in browsers.comparisons.iter().filter(|c| c.model == model) {
        let Comparison { precision, shape, columns, .. } = comparison;
        blocks.push(Block::Heading(format!("{precision}, {shape}")));
        blocks.push(Block::Table(compare(columns)));
        shown.extend(columns.iter().map(|column| column.endpoint.as_str()));
    }
    // In one document the last part has it once for all.
    let probes = browsers.probes.iter().filter(|p| shown.contains(p.finding.endpoint.as_str()));
    let probes: Vec<_> = probes.filter(|_| links == Links::Files).collect();
    if !probes.is_empty() {
        blocks.push(Block::Heading("As probed".to_owned()));
        blocks.push(Block::Table(probed(&probes)));
    }
    Page { name: page_name(model), title: format!("{model} in browsers"), blocks }
}

/// What each column has under a name.
type Row<'a, T> = (String, Box<dyn Fn(&T) -> Cell + 'a>);

/// A row per name that some column has something for, below a row of headers. Its corner leads back.
fn table<T>(header: impl Fn(&T) -> Cell, columns: &[T], rows: Vec<Row<'_, T>>) -> Vec<Vec<Cell>> {
    let back = Cell { link: Some(INDEX.to_owned()), ..Cell::from("all models") };
    let corner = std::iter::once(back);
    let mut table = vec![corner.chain(columns.iter().map(header)).collect::<Vec<_>>()];
    for (name, cell) in rows {
        let cells: Vec<_> = columns.iter().map(cell).collect();
        if !cells.iter().all(Cell::is_empty) {
            table.push(std::iter::once(Cell::from(name.as_str())).chain(cells).collect());
        }
    }
    table
}

/// A row of the runs of all columns; a column without a run has an empty cell.
fn of_runs<'a>(name: &str, cell: impl Fn(&Run) -> Cell + 'a) -> Row<'a, Column> {
    let cell = move |column: &Column| column.run.as_ref().map(&cell).unwrap_or_default();
    (name.to_owned(), Box::new(cell))
}

fn compare(columns: &[Column]) -> Vec<Vec<Cell>> {
    let status =
        |column: &Column| Cell::lines(vec![what(&column.evidence), proof(&column.evidence)]);
    let mut rows: Vec<Row<'_, Column>> = vec![
        ("status".to_owned(), Box::new(status)),
        of_runs("latency", latency),
        of_runs("first run", |run| duration(run, run.metrics.first_run_ns)),
        of_runs("load", |run| duration(run, run.metrics.load_ns)),
        of_runs("compile", |run| duration(run, run.metrics.compile_ns)),
    ];
    let runs = columns.iter().filter_map(|column| column.run.as_ref());
    let stages: BTreeSet<_> = runs.flat_map(|run| run.metrics.stages.keys()).collect();
    rows.extend(stages.into_iter().map(|stage| {
        let cell = move |run: &Run| duration(run, run.metrics.stages.get(stage).copied());
        of_runs(&format!("stage: {stage}"), cell)
    }));
    let memory = |run: &Run| number(run, run.metrics.peak_memory_bytes.map(bytes));
    let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
    rows.extend([
        of_runs("peak memory", memory),
        of_runs("fallbacks", fallbacks),
        of_runs("adapter", move |run| text(&run.adapter)),
        of_runs("driver", move |run| text(&run.driver)),
        of_runs("details", |run| folded("", named(&run.details))),
        of_runs("record", |run| Cell::lines(vec![run.id.clone(), time(run.recorded_at)])),
    ]);
    table(|column: &Column| Cell::from(column.endpoint.as_str()), columns, rows)
}

/// A figure beside its mark.
fn number(run: &Run, figure: Option<String>) -> Cell {
    let kind = kind(run.mark, !run.fallbacks.is_empty());
    figure.map(|figure| Cell::lines(vec![format!("{figure} · {kind}")])).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn duration(run: &Run, ns: Option<u64>) -> Cell {
    number(run, ns.map(|ns| duration_ns(ns as f64)))
}

/// Median and spread; then the range and how many samples there are.
fn latency(run: &Run) -> Cell {
    let samples = &run.latency_ns;
    let Some(median) = stats::median(samples) else { return Cell::default() };
    let noise = stats::relative_noise(samples).map(|noise| format!(" ± {}", percent(noise)));
    let mut cell =
        number(run, Some(format!("{}{}", duration_ns(median), noise.unwrap_or_default())));
    let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let most = samples.iter().copied().fold(0.0, f64::max);
    let range = format!("{} to {}", duration_ns(least), duration_ns(most));
    cell.lines.push(format!("{range}, {} samples", samples.len()));
    cell
}

fn fallbacks(run: &Run) -> Cell {
    let line = |f: &proofmark::record::Fallback| format!("{} → {}: {}", f.op, f.to, f.why);
    match run.fallbacks.len() {
        0 => Cell::default(),
        count => folded(&count.to_string(), run.fallbacks.iter().map(line).collect()),
    }
}

/// How many there are, and each of them for those who ask.
fn folded(count: &str, more: Vec<String>) -> Cell {
    Cell { more, ..Cell::from(count) }
}

fn named<T: std::fmt::Display>(values: &BTreeMap<String, T>) -> Vec<String> {
    values.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

fn endpoints(browsers: &Browsers) -> Page {
    let probes: Vec<_> = browsers.probes.iter().collect();
    let what =
        format!("What the latest probe of each endpoint found on machine {}.", browsers.machine);
    let mut blocks = vec![Block::Text(what)];
    blocks.push(if probes.is_empty() {
        Block::Text("None was probed: cargo xtask doctor does it.".to_owned())
    } else {
        Block::Table(probed(&probes))
    });
    Page { name: ENDPOINTS.to_owned(), title: "Endpoints as probed".to_owned(), blocks }
}

fn probed(probes: &[&Probe]) -> Vec<Vec<Cell>> {
    let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
    let count = |more: Vec<String>| match more.len() {
        0 => Cell::default(),
        count => folded(&count.to_string(), more),
    };
    let proof = |probe: &&Probe| Cell::lines(vec![probe.id.clone(), time(probe.recorded_at)]);
    let rows: Vec<Row<'_, &Probe>> = vec![
        ("absent".to_owned(), Box::new(|p| Cell::from(p.finding.absence().unwrap_or_default()))),
        ("adapter".to_owned(), Box::new(move |p| text(&p.finding.adapter))),
        ("driver".to_owned(), Box::new(move |p| text(&p.finding.driver))),
        ("details".to_owned(), Box::new(|p| folded("", named(&p.finding.details)))),
        ("features".to_owned(), Box::new(move |p| count(p.finding.features.clone()))),
        ("limits".to_owned(), Box::new(move |p| count(named(&p.finding.limits)))),
        ("probe".to_owned(), Box::new(proof)),
    ];
    // The mark is in the header: all that stands below is of one device.
    let header = |probe: &&Probe| {
        let mark = probe.finding.mark.map_or("absent", proofmark::Mark::name);
        Cell::lines(vec![probe.finding.endpoint.to_string(), mark.to_owned()])
    };
    table(header, probes, rows)
}
