//! Every report over random stores: no number stands without its mark, and no text of a result does anything but stand
//! there.
//!
//! All reports are in [`REPORTS`]. A file of `src/report` or `src/export` that is not there fails a test; a new report is a
//! line and a function that renders it in all its forms.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod look;
mod world;

use look::{Form, Rendered, check_marks, check_text};
use proofmark::Mark;
use proofmark_lab::browsers::{Asked, browsers};
use proofmark_lab::certify::{self, records::Kind};
use proofmark_lab::gate::{
    self, Affected, Family, Gate, Pairing, Revision, Setup, Side, Trial, result,
};
use proofmark_lab::history::Options;
use proofmark_lab::migrate::Outcome;
use proofmark_lab::report::page::{Block, Cell, Links, Page, html, markdown, pictures};
use proofmark_lab::report::trends::Medium;
use proofmark_lab::simulate::reality::{self, pair};
use proofmark_lab::trend::{Analysed, analyse, trends};
use proofmark_lab::{compat, coverage, export, history, quality, report, timing};
use proptest::prelude::{ProptestConfig, any, proptest};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;
use world::{MARKS, World};

/// Renders a report in all its forms.
type Render = fn(&mut World) -> Vec<Form>;

/// The file of each report, and the least count of numbers with marks that it must show.
const REPORTS: &[(&str, usize, Render)] = &[
    ("report/browsers", 100, of_browsers),
    ("report/certify", 4, of_certify),
    ("report/compat", 0, of_compat),
    ("report", 0, of_coverage),
    ("report/gate", 4, of_gate),
    ("report/gate_exchange", 0, of_exchange),
    ("report/history", 0, of_history),
    ("report/migrate", 0, of_migrate),
    ("report/quality", 4, of_quality),
    ("report/timing", 40, of_timing),
    ("report/trends", 60, of_trends),
    ("report/validation", 8, of_validation),
    ("export", 100, of_tables),
];

/// What reports and exports are made of, which shows nothing by itself.
const PARTS: &[&str] = &["report/page", "report/chart", "export/csv", "export/openmetrics"];

fn to_json<T: Serialize>(value: &T) -> Form {
    Form::Json(serde_json::to_value(value).unwrap())
}

fn of_coverage(world: &mut World) -> Vec<Form> {
    let past = world.store().past(&world.machine(), &world.listed, 0.0).unwrap();
    let cells = coverage::coverage(&world.listed, &past);
    vec![
        Form::Markdown(report::markdown(&cells)),
        Form::Html(report::html(&cells)),
        Form::Rows(report::matrix(&cells)),
        to_json(&cells),
    ]
}

fn of_browsers(world: &mut World) -> Vec<Form> {
    let (store, machine) = (world.store(), world.machine());
    let asked: Vec<_> =
        world.listed.iter().map(|listed| Asked { listed, expectations: &[] }).collect();
    let (runs, probes) = (store.runs(&machine).unwrap(), store.probes(&machine).unwrap());
    let known = browsers(&machine, &asked, &runs, &probes);
    let of = |links| report::browsers::pages(&known, links);
    vec![
        Form::Markdown(markdown(&of(Links::Within), Links::Within)),
        Form::Markdown(markdown(&of(Links::Files), Links::Files)),
        Form::Html(html(&of(Links::Within), Links::Within)),
        Form::Html(html(&of(Links::Files), Links::Files)),
        to_json(&known),
    ]
}

fn of_compat(world: &mut World) -> Vec<Form> {
    let store = world.store();
    let at = |time: jiff::Timestamp| {
        let (facts, probes) = store.compatibility(time).unwrap();
        compat::matrix(&facts, &probes)
    };
    let [since, until] = [world.records[30].recorded_at, jiff::Timestamp::MAX];
    let until = until.min(now());
    let known = report::compat::Compat::new(until, at(until), Some((since, at(since))));
    let pages = report::compat::pages(&known);
    vec![
        Form::Markdown(markdown(&pages, Links::Within)),
        Form::Html(html(&pages, Links::Within)),
        Form::Rows(report::compat::rows(&known)),
        Form::Rows(report::compat::changed(&known)),
        to_json(&known),
    ]
}

fn analysed(world: &World) -> Vec<Analysed> {
    let store = world.store();
    let cases: BTreeSet<_> = store.timed_cases().unwrap().iter().map(ToString::to_string).collect();
    let all = analyse(trends(store.timed(&cases).unwrap()), &Options::default()).unwrap();
    let changed = all.iter().filter(|trend| !trend.change_points.is_empty()).count();
    assert!(changed >= 2, "{changed} trends have the step that was put in");
    all
}

fn of_timing(world: &mut World) -> Vec<Form> {
    use report::timing::{answer, html::html as whole, pages};
    let trends = analysed(world);
    let measurements = world.store().measurements().unwrap();
    let known = timing::timing(&measurements, &[], &trends, now());
    let mut forms = vec![
        Form::Markdown(markdown(&pages(&known, false), Links::Within)),
        Form::Html(whole(&known)),
        Form::Csv(export::csv(&answer(&known))),
        to_json(&known),
    ];
    forms.extend(tables(&pages(&known, true)));
    forms
}

fn of_quality(world: &mut World) -> Vec<Form> {
    use report::quality::{answer, pages};
    let facts = world.store().quality_facts(now()).unwrap();
    let known = quality::quality(&facts, &world.listed, now());
    let pages = pages(&known);
    let mut forms = vec![
        Form::Markdown(markdown(&pages, Links::Within)),
        Form::Html(html(&pages, Links::Within)),
        Form::Csv(export::csv(&answer(&known))),
        to_json(&known),
    ];
    forms.extend(tables(&pages));
    forms
}

/// After all results.
fn now() -> jiff::Timestamp {
    "2100-01-01T00:00:00Z".parse().unwrap()
}

/// The tables of pages as a terminal has them.
fn tables(pages: &[Page]) -> Vec<Form> {
    let rows = pages.iter().flat_map(|page| &page.blocks).filter_map(|block| {
        let Block::Table(rows) = block else { return None };
        let lines = |cell: &Cell| cell.lines.join("\n");
        Some(rows.iter().map(|row| row.iter().map(lines).collect()).collect())
    });
    rows.map(Form::Rows).collect()
}

fn of_trends(world: &mut World) -> Vec<Form> {
    let all = analysed(world);
    let of = |medium| {
        let suites = report::trends::suites(&all, medium);
        let index = report::trends::index(&suites);
        std::iter::once(index).chain(suites.into_iter().flat_map(|s| s.pages)).collect::<Vec<_>>()
    };
    let with_pictures = of(Medium::Markdown);
    let mut forms = vec![
        Form::Markdown(markdown(&of(Medium::Text), Links::Within)),
        Form::Markdown(markdown(&with_pictures, Links::Within)),
        Form::Html(html(&of(Medium::Html), Links::Within)),
        to_json(&all),
    ];
    forms.extend(pictures(&with_pictures).iter().map(|picture| Form::Html(picture.file())));
    forms
}

fn of_validation(world: &mut World) -> Vec<Form> {
    use report::validation::{choices, confidences, drifts, groups, left};
    let facts = world.store().facts().unwrap();
    let pairing = pair(&world.predictions, &[], &facts);
    let worth = reality::judge(&pairing);
    assert!(worth.pairs.len() >= 2, "predictions are graded: {:?}", worth.left);
    let drift = analyse(trends(reality::drift(&pairing.pairs)), &Options::default()).unwrap();
    let mut lines = choices(&worth);
    lines.extend(drifts(&drift));
    lines.push(left(&worth));
    let rows = |text: String| vec![vec![String::new()], vec![text]];
    let mut forms = vec![
        Form::Html(report::validation::html(&worth, &drift)),
        Form::Rows(groups(&worth)),
        Form::Rows(confidences(&worth)),
        Form::Rows(rows(report::validation::basis(&worth))),
        to_json(&worth),
    ];
    forms.extend(lines.into_iter().map(|line| Form::Rows(rows(line))));
    forms
}

fn of_certify(world: &mut World) -> Vec<Form> {
    let told: Vec<_> = MARKS
        .iter()
        .map(|(mark, _)| {
            let record = world.records.iter().find(|record| record.mark == Some(*mark)).unwrap();
            let (machine, digest) = (world.machine(), &record.fingerprint.digest);
            let kind = Kind { case: &record.case, machine: &machine, fingerprint: digest };
            let gathered = kind.gather(&world.records, &[]);
            let found = certify::judge(&gathered.benchmark);
            assert!(found.estimate.is_some());
            let told = report::certify::Told::judged(found);
            report::certify::Told { mark: gathered.mark, ..told }
        })
        .collect();
    let header = [""; 7].map(str::to_owned).to_vec();
    let rows = told.iter().map(|told| told.row().to_vec());
    vec![
        Form::Markdown(report::certify::markdown(&told)),
        Form::Rows(std::iter::once(header).chain(rows).collect()),
        to_json(&told),
    ]
}

/// A gate of a case of each mark, whose heads are as fast as their bases.
fn gate_of(world: &mut World) -> Gate {
    let cases: HashMap<String, (Mark, f64)> = MARKS
        .iter()
        .map(|(mark, _)| {
            let mut of_mark = world.records.iter().filter(|record| record.mark == Some(*mark));
            let case = of_mark.next().unwrap().case.to_string();
            (case, (*mark, 1e6 * (world::digit(*mark) + 0.5)))
        })
        .collect();
    let affected = |case: &String| Affected {
        id: case.parse().unwrap(),
        changed: vec![world::HOSTILE.into()],
    };
    let pairing = Pairing { affected: cases.keys().map(affected).collect(), settled: Vec::new() };
    let options = gate::Options { family: Family::All, ..gate::Options::new(0.01, 0.05).unwrap() };
    let mut trial = Trial::new(options, pairing);
    loop {
        let tasks = trial.next_round();
        if tasks.is_empty() {
            break;
        }
        for task in tasks {
            if trial.wants(task) {
                let (affected, side) = trial.program(task);
                let case = affected.id.to_string();
                let (mark, level) = cases[&case];
                let slower = if side == Side::Head && mark == Mark::Real { 1.2 } else { 1.0 };
                let record = world.record(mark, &case, level * slower);
                trial.add(task, record, Duration::from_secs(1));
            }
        }
        trial.end_round();
    }
    let found = trial.conclude();
    let outcome = result::outcome(&found, false);
    let commit = world.records[0].environment.commit.clone();
    let revision = Revision { revision: Some(commit.clone()), commit, dirty: true };
    Gate {
        format: result::FORMAT,
        id: world::HOSTILE.into(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        took_s: 1.5,
        base: revision.clone(),
        head: revision,
        environment: None,
        options: Setup::new(&options, 600.0, 7, false),
        control: found.control,
        unfit: found.unfit,
        calibration: None,
        outcome,
        exit_code: 0,
        cases: found.findings,
        order: Vec::new(),
    }
}

fn of_gate(world: &mut World) -> Vec<Form> {
    let gate = gate_of(world);
    let replay = json!({ "cases": [{
        "id": world::HOSTILE, "base": vec![vec![4.5e-3; 9]; 5], "head": vec![vec![4.6e-3; 9]; 5]
    }]});
    let cases = gate::read(&replay.to_string()).unwrap();
    let options = gate::Options::new(0.01, 0.05).unwrap();
    let judged = gate::judge(&cases, &options);
    let replay = report::gate::markdown(&judged, &options);
    assert!(replay.contains("| claimed | "), "{replay}");
    let live = report::gate::live(&gate);
    for row in live.lines().filter(|line| line.contains(" % |")) {
        let named = MARKS.iter().filter(|(mark, _)| row.contains(&format!(" {mark} ")));
        assert!(named.count() == 1, "a row of effects without a mark: {row}");
    }
    vec![Form::Markdown(live), Form::Markdown(replay), to_json(&gate)]
}

fn of_exchange(world: &mut World) -> Vec<Form> {
    use report::gate_exchange::{annotations, junit, sarif};
    let gate = gate_of(world);
    let text = annotations(&gate);
    for line in text.lines().filter(|line| line.contains(" %25")) {
        let named = MARKS.iter().any(|(mark, _)| line.contains(mark.name()));
        assert!(named, "an effect without its mark: {line}");
    }
    vec![Form::Lines(text), Form::Xml(junit(&gate)), Form::Json(sarif(&gate))]
}

fn of_history(_: &mut World) -> Vec<Form> {
    let values: Vec<_> =
        (0..40).map(|i| if i < 20 { 4.3 } else { 4.7 } + 1e-3 * f64::from(i % 7)).collect();
    let found = history::analyse(&values, &Options::default()).unwrap();
    assert!(!found.change_points.is_empty());
    let text = report::history::markdown(world::HOSTILE, &found);
    assert!(text.contains("40 points, claimed: "), "{text}");
    vec![Form::Markdown(text)]
}

fn of_migrate(_: &mut World) -> Vec<Form> {
    let file = report::migrate::FileReport {
        file: world::HOSTILE.into(),
        source_file: world::HOSTILE.into(),
        sha256: Some("ab".into()),
        outcome: Outcome::Partly,
        reasons: vec![world::HOSTILE.into()],
        contradictions: vec![world::HOSTILE.into()],
        not_understood: vec![world::HOSTILE.into()],
        simulated: 3,
        claimed: 4,
        duplicate_of: Some(world::HOSTILE.into()),
        known: false,
    };
    let report = report::migrate::Report::new(vec![file], jiff::Timestamp::UNIX_EPOCH, false);
    vec![
        Form::Markdown(report::migrate::markdown(&report)),
        Form::Html(report::migrate::html(&report)),
        to_json(&report),
    ]
}

/// Tables and views of what this world has nothing of: certificates, devices that were asked, readings, times of ops, other
/// machines.
const EMPTY: [&str; 6] = [
    "certifications",
    "device_facts",
    "device_readings",
    "op_profile",
    "platform_relations",
    "readings",
];

/// Every table and view that has marks, in every form of text.
fn of_tables(world: &mut World) -> Vec<Form> {
    let store = world.store();
    let tables = store.marked_tables().unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    let mut forms = Vec::new();
    for table in tables {
        let answer = store.query(&format!("SELECT * FROM {table}")).unwrap();
        if EMPTY.contains(&&*table) {
            continue;
        }
        assert!(!answer.rows.is_empty(), "{table} is empty");
        let numbers = answer.rows.iter().flatten().any(serde_json::Value::is_number);
        if numbers && table != "migrated_results" && table != "latest_migrated" {
            forms.push(Form::Metrics(export::openmetrics(&answer).unwrap()));
        }
        forms.push(Form::Csv(export::csv(&answer)));
        forms.push(Form::Json(json!(answer.objects())));
    }
    forms
}

/// The files of reports and exports below `src`.
fn files() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::from(["report".to_owned(), "export".to_owned()]);
    for folder in ["report", "export"] {
        for entry in std::fs::read_dir(source.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(name) = name.strip_suffix(".rs").filter(|name| *name != "mod") {
                found.insert(format!("{folder}/{name}"));
            }
        }
    }
    found
}

#[test]
fn every_report_is_looked_at() {
    let listed: BTreeSet<_> = REPORTS
        .iter()
        .map(|(file, ..)| *file)
        .chain(PARTS.iter().copied())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, files(), "a report or export is not in REPORTS, or is there no more");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn no_number_stands_without_its_mark(seed in any::<u64>()) {
        let mut world = World::new(seed, false);
        for (name, least, render) in REPORTS {
            let forms = render(&mut world).into_iter();
            let count: usize = forms.map(|form| check_marks(&Rendered { name, form })).sum();
            assert!(count >= *least, "{name}: {count} numbers were looked at, {least} are there");
        }
    }
}

#[test]
fn text_of_results_is_text_in_every_report() {
    let mut world = World::new(7, true);
    for (name, _, render) in REPORTS {
        for form in render(&mut world) {
            check_text(&Rendered { name, form });
        }
    }
}
