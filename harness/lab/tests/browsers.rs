//! The report on browsers over a made-up store: what each cell says, the mark beside each number, and that names and
//! messages stay text.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proofmark::journal::Journal;
use proofmark::protocol::Listed;
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Fallback, Line, Metrics, Outcome, Probe, Purpose, Record,
    Samples,
};
use proofmark::{Absence, Expectation, Finding, Fingerprint, Mark, Part};
use proofmark_lab::browsers::{Asked, Browsers, Cell, Column, Evidence, Status, browsers};
use proofmark_lab::report::browsers::pages;
use proofmark_lab::report::page::{Block, Links, Page, html, markdown};
use proofmark_lab::store::Store;

const SCRIPT: &str = "<script>alert('x')</script> | \"it\"\nis lost";
const NOW: &str = "code of now";

fn fingerprint(code: &str) -> Fingerprint {
    Fingerprint::new([Part::text("code", code)])
}

fn listed(id: &str, absence: Option<&str>) -> Listed {
    let absence = absence.map(|reason| Absence::Endpoint { reason: reason.into() });
    Listed { id: id.parse().unwrap(), fingerprint: fingerprint(NOW), absence }
}

struct World {
    folder: tempfile::TempDir,
    journal: Journal,
    second: i64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(&folder.path().join("records"));
        Self { folder, journal, second: 1_800_000_000 }
    }

    /// A test that passed on a software adapter, a second after the record before.
    fn record(&mut self, case: &str) -> Record {
        self.second += 1;
        Record {
            format: FORMAT,
            id: self.journal.next_id(),
            run: self.journal.run().to_owned(),
            recorded_at: jiff::Timestamp::from_second(self.second).unwrap(),
            suite: "s".into(),
            case: case.parse().unwrap(),
            purpose: Purpose::Test,
            outcome: Outcome::Passed,
            mark: Some(Mark::Software),
            device: Some(DeviceFacts::new(Mark::Software, "SwiftShader", "Chromium 156")),
            message: None,
            samples: Samples::default(),
            metrics: Metrics::default(),
            op_times: Vec::new(),
            fallbacks: Vec::new(),
            outputs: Vec::new(),
            environment: Environment { machine: "here".into(), ..Environment::default() },
            fingerprint: fingerprint(NOW),
        }
    }

    fn timed(&mut self, case: &str, latency_ns: &[f64]) -> Record {
        let samples = Samples::new(latency_ns.to_vec(), vec![1; latency_ns.len()]);
        Record { purpose: Purpose::Measure, samples, ..self.record(case) }
    }

    fn failed(&mut self, case: &str, outcome: Outcome, message: &str) -> Record {
        Record { outcome, message: Some(message.into()), ..self.record(case) }
    }

    fn write(&mut self, record: Record) -> String {
        let id = record.id.clone();
        self.journal.append(&Line::Result(record)).unwrap();
        id
    }

    fn probe(&mut self, finding: Finding) -> String {
        self.second += 1;
        let (id, suite, machine) = (self.journal.next_id(), "s".into(), "here".into());
        let recorded_at = jiff::Timestamp::from_second(self.second).unwrap();
        let probe = Probe { format: FORMAT, id, recorded_at, suite, machine, finding };
        let id = probe.id.clone();
        self.journal.append(&Line::Probe(probe)).unwrap();
        id
    }

    fn known(&self, listed: &[Listed], expectations: &[Expectation<String>]) -> Browsers {
        let store = Store::open(&self.folder.path().join("results.duckdb")).unwrap();
        store.ingest(&self.folder.path().join("records")).unwrap();
        let asked: Vec<_> = listed.iter().map(|listed| Asked { listed, expectations }).collect();
        browsers("here", &asked, &store.runs("here").unwrap(), &store.probes("here").unwrap())
    }
}

#[track_caller]
fn cell<'k>(known: &'k Browsers, model: &str, endpoint: &str) -> &'k Cell {
    let find = |cell: &&Cell| cell.model == model && cell.endpoint.as_str() == endpoint;
    known.cells.iter().find(find).unwrap()
}

#[track_caller]
fn check(known: &Browsers, model: &str, endpoint: &str, expected: &[(Status, &str, &str)]) {
    let evidence = |e: &Evidence| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (e.status, text(&e.record), text(&e.message))
    };
    let found: Vec<_> = cell(known, model, endpoint).evidence.iter().map(evidence).collect();
    let expected = expected.iter().map(|&(status, a, b)| (status, a.to_owned(), b.to_owned()));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn every_cell_has_its_evidence() {
    let mut world = World::new();
    let cases = ["b1", "b2", "b3", "b4"].map(|shape| format!("m/webgpu-chromium/f32/{shape}"));
    let lost = world.failed(&cases[0], Outcome::Failed, "device lost");
    let lost = world.write(lost);
    // What came before it, and a skip that comes after, say nothing.
    let earlier = world.record(&cases[1]);
    world.write(earlier);
    let late = world.failed(&cases[1], Outcome::TimedOut, "was killed");
    let late = world.write(late);
    let mut skip = world.failed(&cases[1], Outcome::Skipped, "not here");
    (skip.mark, skip.device) = (None, None);
    world.write(skip);
    let passed = world.record(&cases[2]);
    let passed = world.write(passed);
    let mut elsewhere = world.failed(&cases[3], Outcome::Failed, "of another machine");
    elsewhere.environment.machine = "there".into();
    world.write(elsewhere);
    let wrong = world.record("m/webgpu-firefox/f32/b1");
    let wrong = world.write(wrong);
    let no_webnn = world.probe(Finding::absent("webnn-edge".parse().unwrap(), "no Edge"));
    let mut listed: Vec<_> = cases.iter().map(|case| listed(case, None)).collect();
    listed.push(self::listed("m/webgpu-firefox/f32/b1", None));
    listed.push(self::listed("m/webgpu-edge/f32/b1", Some("Edge is not installed")));
    listed.push(self::listed("m/cpu/f32/b1", None));
    let expectation = |endpoint: &str, message: &str| Expectation {
        endpoint: endpoint.parse().unwrap(),
        model: "m".to_owned(),
        driver: "Chromium 15".to_owned(),
        message: message.to_owned(),
        link: "issue 7".to_owned(),
    };
    let expected =
        [expectation("webgpu-chromium", "device lost"), expectation("webgpu-firefox", "NaN")];
    let known = world.known(&listed, &expected[1..]);
    use Status::{
        Absent, Failed, FailedAsExpected, Passed, PassedUnexpectedly, TimedOut, Untested,
    };
    check(
        &known,
        "m",
        "webgpu-chromium",
        &[
            (Failed, &lost, "device lost"),
            (TimedOut, &late, "was killed"),
            (Passed, &passed, ""),
            (Untested, "", ""),
        ],
    );
    check(&known, "m", "webgpu-firefox", &[(PassedUnexpectedly, &wrong, "")]);
    check(&known, "m", "webgpu-edge", &[(Absent, "", "Edge is not installed")]);
    check(&known, "m", "webnn-edge", &[(Absent, &no_webnn, "no Edge")]);
    let none = "the suites make no case of this model there";
    check(&known, "m", "webnn-chromium", &[(Untested, "", none)]);
    assert!(known.cells.iter().all(|cell| cell.endpoint.as_str() != "cpu"), "no browser");
    let known = world.known(&listed[..1], &expected[..1]);
    check(&known, "m", "webgpu-chromium", &[(FailedAsExpected, &lost, "device lost")]);
    // It failed before its device had opened: its driver is the one that the probe found.
    let mut early = world.failed(&cases[0], Outcome::Failed, "device lost");
    (early.mark, early.device) = (None, None);
    let early = world.write(early);
    let known = world.known(&listed[..1], &expected[..1]);
    check(&known, "m", "webgpu-chromium", &[(Failed, &early, "device lost")]);
    let absent = Finding::absent("webgpu-chromium".parse().unwrap(), "");
    let (mark, driver) = (Some(Mark::Software), Some("Chromium 156".to_owned()));
    world.probe(Finding { mark, driver, reason: None, ..absent });
    let known = world.known(&listed[..1], &expected[..1]);
    check(&known, "m", "webgpu-chromium", &[(FailedAsExpected, &early, "device lost")]);
    let evidence = &cell(&known, "m", "webgpu-chromium").evidence[0];
    assert_eq!(evidence.link.as_deref(), Some("issue 7"));
}

#[test]
fn numbers_are_those_of_the_latest_timed_run() {
    let mut world = World::new();
    let case = "m/webgpu-chromium/f32/b1";
    let old = world.timed(case, &[9.0]);
    world.write(old);
    let mut timed = world.timed(case, &[1.0, 2.0, 3.0]);
    timed.fingerprint = fingerprint("code of then");
    let timed = world.write(timed);
    let failed = world.failed(case, Outcome::Failed, "device lost");
    let failed = world.write(failed);
    let only_cpu = [listed("n/cpu/f32/b1", None), listed("m/cpu/f32/b1", None)];
    let listed = [&[listed(case, None)], &only_cpu[..]].concat();
    let known = world.known(&listed, &[]);
    assert_eq!(known.comparisons.len(), 1, "a model without browsers is not compared");
    let [cpu, chromium] = known.comparisons[0].columns.as_slice() else { panic!("{known:#?}") };
    assert_eq!((cpu.endpoint.as_str(), &cpu.run), ("cpu", &None));
    let Column { evidence, run, .. } = chromium;
    let run = run.as_ref().unwrap();
    assert_eq!((&run.id, run.latency_ns.as_slice()), (&timed, &[1.0, 2.0, 3.0][..]));
    assert_eq!((evidence.record.as_ref(), evidence.stale), (Some(&failed), false));
}

/// A store with one model in three places: real, software with fallbacks, and a browser with a message to fear.
fn mixed() -> Browsers {
    let mut world = World::new();
    let mut cpu = world.timed("m<b>/cpu/f32/b1", &[1e6, 1e6]);
    let device = DeviceFacts::new(Mark::Real, "processor", "AVX2");
    (cpu.mark, cpu.device) = (Some(Mark::Real), Some(device));
    cpu.metrics.peak_memory_bytes = Some(3 << 20);
    world.write(cpu);
    let mut webnn = world.timed("m<b>/webnn-chromium/f32/b1", &[2e6, 2.1e6, 2.2e6]);
    webnn.metrics.first_run_ns = Some(5_000_000);
    webnn.metrics.stages.insert("start <of> browser".into(), 700_000_000);
    webnn.device.as_mut().unwrap().details.insert("flags".into(), SCRIPT.into());
    let (op, why, to) = ("topk".into(), SCRIPT.into(), "cpu".into());
    webnn.fallbacks.push(Fallback { op, why, to });
    world.write(webnn);
    let failed = world.failed("m<b>/webgpu-chromium/f32/b1", Outcome::Crashed, SCRIPT);
    world.write(failed);
    let endpoint = "webnn-chromium".parse().unwrap();
    let mut finding = Finding::absent(endpoint, "");
    (finding.mark, finding.reason) = (Some(Mark::Software), None);
    finding.limits.insert("max <size>".into(), 42);
    finding.features.push(SCRIPT.into());
    finding.details.insert("version".into(), "147".into());
    world.probe(finding);
    let ids = ["cpu", "webnn-chromium", "webgpu-chromium"].map(|e| format!("m<b>/{e}/f32/b1"));
    world.known(&ids.map(|id| listed(&id, None)), &[])
}

/// The texts of the row with this name, without its name.
#[track_caller]
fn row(page: &Page, name: &str) -> Vec<String> {
    let tables = page.blocks.iter().filter_map(|block| match block {
        Block::Table(rows) => Some(rows),
        Block::Heading(_) | Block::Text(_) | Block::Picture(_) => None,
    });
    let mut rows = tables.flatten();
    let row = rows.find(|row| row[0].lines.concat() == name);
    let row = row.unwrap_or_else(|| panic!("no row {name}: {page:#?}"));
    row[1..].iter().map(|cell| [&cell.lines[..], &cell.more].concat().join("; ")).collect()
}

#[test]
fn every_number_has_its_mark() {
    let pages = pages(&mixed(), Links::Files);
    let page = &pages[1];
    let latency = row(page, "latency");
    assert_eq!(latency[0], "1.00 ms ± 0.00 % · real; 1.00 ms to 1.00 ms, 2 samples");
    assert_eq!(latency[1], "");
    let expected = "2.10 ms ± 7.06 % · software with fallbacks; 2.00 ms to 2.20 ms, 3 samples";
    assert_eq!(latency[2], expected);
    assert_eq!(row(page, "peak memory"), ["3.00 MiB · real", "", ""]);
    assert_eq!(row(page, "first run"), ["", "", "5.00 ms · software with fallbacks"]);
    let stage = row(page, "stage: start <of> browser");
    assert_eq!(stage, ["", "", "700 ms · software with fallbacks"]);
    assert_eq!(row(page, "fallbacks")[2], format!("1; topk → cpu: {SCRIPT}"));
    let status = row(page, "status");
    assert!(status[1].starts_with("crashed · software; ") && status[1].ends_with(SCRIPT));
    assert_eq!(row(page, "limits"), ["1; max <size>: 42"]);
    let overview = row(&pages[0], "m<b>");
    let found = overview.iter().filter(|cell| cell.starts_with("1 passed · software with fall"));
    assert_eq!(found.count(), 1, "{overview:#?}");
}

#[test]
fn names_and_messages_are_text_everywhere() {
    let known = mixed();
    for links in [Links::Within, Links::Files] {
        let pages = pages(&known, links);
        let page = html(&pages, links);
        assert!(!page.contains("<script>") && !page.contains("m<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"), "{page}");
        assert!(!page.contains("://") && !page.contains("src="), "it needs something else");
        let text = markdown(&pages, links);
        assert!(!text.contains("<script>") && !text.contains("m<b>"), "{text}");
        for line in text.lines().filter(|line| line.contains("script")) {
            assert!(line.starts_with('|') && line.ends_with('|'), "a cell was torn: {line}");
        }
    }
}

#[test]
fn links_lead_to_pages() {
    let known = mixed();
    let pages = pages(&known, Links::Files);
    let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
    assert_eq!(names, ["index", "model-m_b_", "endpoints"]);
    let overview = html(&pages[..1], Links::Files);
    assert!(overview.contains("<a href=\"model-m_b_.html\">m&lt;b&gt;</a>"), "{overview}");
    let all = html(&pages, Links::Within);
    assert!(all.contains("href=\"#model-m_b_\"") && all.contains("id=\"model-m_b_\""), "{all}");
}
