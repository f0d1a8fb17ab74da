//! The report on compatibility as pages: the matrix, each cell's evidence, and what changed since a time.
//!
//! What is known is `crate::compat`. A state stands beside the mark of what it rests on.

use super::page::{Block, Cell, Page, opening};
use super::time;
use crate::basis::{Basis, Kind};
use crate::compat::{self, Change, Fact, State, Told};
use jiff::Timestamp;
use proofmark::fingerprint::digest;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the words mean; below the matrix.
pub const LEGEND: &str = "full: every case that ran passed; partial: some did not, or ops ran elsewhere than on the \
device; failing: none passed; absent: the endpoint is nowhere there; simulated: nothing ran, and something was predicted; \
claimed: nothing ran here, and another program says that it did; untested: nothing is known. The mark in brackets is that \
of the evidence: real ran on the hardware it names, software on an adapter that imitates it, unopened ended before it \
opened a device. The strongest kind of evidence gives the state.";

/// Facts of a cell that its page shows.
const SHOWN: usize = 20;

/// What the report shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compat {
    /// Until when facts were taken.
    pub until: Timestamp,
    /// Facts by mark: what the report rests on.
    pub rests_on: Basis,
    /// The matrix.
    pub cells: Vec<compat::Cell>,
    /// Since when changes are told; nothing if nobody asked.
    pub since: Option<Timestamp>,
    /// What changed since.
    pub changes: Vec<Change>,
}

impl Compat {
    /// The report of what is known, and of what was known before.
    pub fn new(
        until: Timestamp,
        cells: Vec<compat::Cell>,
        before: Option<(Timestamp, Vec<compat::Cell>)>,
    ) -> Self {
        let facts = cells.iter().flat_map(|cell| cell.evidence.iter().chain(&cell.beside));
        let rests_on = Basis::of(facts.map(Fact::kind));
        let changes =
            before.as_ref().map_or_else(Vec::new, |(_, before)| compat::changes(before, &cells));
        Self { until, rests_on, cells, since: before.map(|(since, _)| since), changes }
    }
}

/// `full (real)`; a state without evidence stands alone.
pub fn state(told: Told) -> String {
    let Told { state, mark, fixture } = told;
    let name = state.name();
    match state {
        State::Full | State::Partial | State::Failing => {
            format!("{name} ({})", Kind { mark, fallbacks: false, fixture }.name())
        }
        State::Absent | State::Simulated | State::Claimed | State::Untested if fixture => {
            format!("{name} (fixture)")
        }
        State::Absent | State::Simulated | State::Claimed | State::Untested => name.to_owned(),
    }
}

/// What the report rests on, as a sentence.
pub fn basis(report: &Compat) -> String {
    format!("Until {} it rests on {}.", time(report.until), report.rests_on.sentence("facts"))
}

/// The matrix as rows of text: a header, then a row per model.
pub fn rows(report: &Compat) -> Vec<Vec<String>> {
    let endpoints: BTreeSet<&str> =
        report.cells.iter().map(|cell| cell.endpoint.as_str()).collect();
    let mut models: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for cell in &report.cells {
        let told = state(cell.told);
        models.entry(&cell.model).or_default().insert(&cell.endpoint, told);
    }
    let header = std::iter::once("model").chain(endpoints.iter().copied()).map(str::to_owned);
    let mut rows = vec![header.collect::<Vec<_>>()];
    rows.extend(models.into_iter().map(|(model, cells)| {
        let of = |endpoint: &&str| cells.get(*endpoint).cloned().unwrap_or_default();
        std::iter::once(model.to_owned()).chain(endpoints.iter().map(of)).collect()
    }));
    rows
}

/// The changes as rows of text: a header, then a row each.
pub fn changed(report: &Compat) -> Vec<Vec<String>> {
    let mut rows = vec![["model", "endpoint", "before", "now"].map(str::to_owned).to_vec()];
    rows.extend(report.changes.iter().map(|change| {
        vec![
            change.model.clone(),
            change.endpoint.clone(),
            state(change.before),
            state(change.after),
        ]
    }));
    rows
}

/// The pages: the matrix with the changes, then one per model with the evidence of its cells.
pub fn pages(report: &Compat) -> Vec<Page> {
    let mut blocks = opening(&report.rests_on, basis(report));
    blocks.extend([Block::Table(matrix(report)), Block::Text(LEGEND.to_owned())]);
    if let Some(since) = report.since {
        blocks.push(Block::Heading(format!("Changes since {}", time(since))));
        blocks.push(match report.changes.is_empty() {
            true => Block::Text("Nothing changed.".to_owned()),
            false => Block::Table(table(changed(report))),
        });
    }
    let first = Page { name: "compatibility".into(), title: "Compatibility".into(), blocks };
    let models: BTreeSet<&str> = report.cells.iter().map(|cell| cell.model.as_str()).collect();
    std::iter::once(first).chain(models.into_iter().map(|model| of_model(report, model))).collect()
}

fn table(rows: Vec<Vec<String>>) -> Vec<Vec<Cell>> {
    let cells = |row: Vec<String>| row.iter().map(|text| Cell::from(text.as_str())).collect();
    rows.into_iter().map(cells).collect()
}

/// The rows, each model leading to its page.
fn matrix(report: &Compat) -> Vec<Vec<Cell>> {
    let mut cells = table(rows(report));
    for row in cells.iter_mut().skip(1) {
        if let Some(model) = row.first_mut() {
            model.link = model.lines.first().map(|name| page_name(name));
        }
    }
    cells
}

/// The name of a model's page, which no other model has. Ids may hold more than the name of a file should.
fn page_name(model: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = model.chars().map(safe).collect();
    if name == model {
        return format!("model-{name}");
    }
    format!("model-{name}-{}", &digest(model)[..8])
}

fn of_model(report: &Compat, model: &str) -> Page {
    let mut blocks = Vec::new();
    for cell in report.cells.iter().filter(|cell| cell.model == model) {
        let told = state(cell.told);
        blocks.push(Block::Heading(format!("{}: {told}", cell.endpoint)));
        for absence in &cell.absences {
            let why = absence.absence.as_deref().unwrap_or_default();
            blocks.push(Block::Text(format!(
                "Absent on machine {} since the probe {} of {}: {why}",
                absence.machine,
                absence.record,
                time(absence.at)
            )));
        }
        for (what, facts) in [("rests on", &cell.evidence), ("also known", &cell.beside)] {
            if !facts.is_empty() {
                blocks.push(Block::Table(evidence(what, facts)));
            }
            if facts.len() > SHOWN {
                let more = facts.len() - SHOWN;
                blocks.push(Block::Text(format!("{more} older ones are not shown here.")));
            }
        }
    }
    Page { name: page_name(model), title: model.to_owned(), blocks }
}

fn evidence(what: &str, facts: &[Fact]) -> Vec<Vec<Cell>> {
    let header = [what, "mark", "outcome", "message", "machine", "when", "record"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(facts.iter().take(SHOWN).map(|fact| {
        let outcome = fact.outcome.map_or("not run", |outcome| outcome.name());
        let message = fact.message.as_deref().and_then(|text| text.lines().next());
        vec![
            fact.case.clone(),
            fact.kind().name(),
            outcome.to_owned(),
            message.unwrap_or_default().to_owned(),
            fact.machine.clone(),
            time(fact.at),
            fact.record.clone(),
        ]
    }));
    table(rows)
}

#[cfg(test)]
mod tests {
    use super::super::page::{Links, html, markdown};
    use super::*;
    use proofmark::Mark;
    use proofmark::record::Outcome;

    #[test]
    fn no_two_models_have_one_page() {
        assert_eq!(page_name("bert-tiny"), "model-bert-tiny");
        assert_ne!(page_name("acme/opt"), page_name("acme_opt"));
        assert_ne!(page_name("acme/opt"), page_name("acme:opt"));
    }

    fn fact(endpoint: &str, mark: Mark, outcome: Option<Outcome>) -> Fact {
        Fact {
            model: "m<1>".into(),
            endpoint: endpoint.into(),
            case: format!("m<1>/{endpoint}/f32/b1"),
            mark: Some(mark),
            outcome,
            fallbacks: false,
            message: Some("it | said\nmore".into()),
            at: Timestamp::UNIX_EPOCH,
            record: "r-1".into(),
            machine: "here".into(),
            fixture: false,
        }
    }

    fn report() -> Compat {
        let before = [fact("cpu", Mark::Real, Some(Outcome::Failed))];
        let after = [
            fact("cpu", Mark::Real, Some(Outcome::Passed)),
            fact("cuda", Mark::Simulated, None),
            fact("webgpu-native", Mark::Software, Some(Outcome::Failed)),
        ];
        let since = Some((Timestamp::UNIX_EPOCH, compat::matrix(&before, &[])));
        Compat::new(Timestamp::UNIX_EPOCH, compat::matrix(&after, &[]), since)
    }

    #[test]
    fn a_state_stands_beside_its_mark_and_its_evidence() {
        let report = report();
        assert_eq!(
            rows(&report),
            [
                ["model", "cpu", "cuda", "webgpu-native"],
                ["m<1>", "full (real)", "simulated", "failing (software)"]
            ]
        );
        assert!(
            basis(&report).contains("3 facts: 1 real, 1 software, 1 simulated, 0 claimed"),
            "{}",
            basis(&report)
        );
        assert_eq!(changed(&report)[1], ["m<1>", "cpu", "failing (real)", "full (real)"]);
        let text = markdown(&pages(&report), Links::Within);
        assert!(text.contains("r-1") && text.contains("it \\| said") && !text.contains("more |"));
        let text = html(&pages(&report), Links::Within);
        assert!(text.contains("m&lt;1&gt;") && !text.contains("m<1>"), "{text}");
        assert!(text.contains("default-src 'none'"));
    }

    #[test]
    fn what_was_made_up_says_so_at_the_head_and_beside_its_mark() {
        let made = Fact { fixture: true, ..fact("cpu", Mark::Real, Some(Outcome::Passed)) };
        let report = Compat::new(Timestamp::UNIX_EPOCH, compat::matrix(&[made], &[]), None);
        assert_eq!(rows(&report)[1][1], "full (fixture real)");
        let text = markdown(&pages(&report), Links::Within);
        assert!(text.contains("FIXTURE:") && text.contains("| fixture real |"), "{text}");
        assert!(!markdown(&pages(&self::report()), Links::Within).contains("FIXTURE"));
    }
}
