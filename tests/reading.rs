//! The page of `report timing` as a person uses it, in a real Chromium: from the disk and offline, by keyboard, in both
//! themes; what is exported is read, and axe-core finds no violation of WCAG. Its results are a fixture at full size.

use crate::fixture_store;
use crate::support::{root, xtask};
use proofmark_browser::{Error, Kind, installed};
use serde_json::{Value, json};
use std::fs;
use std::future::Future;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use thirtyfour::{By, Key, WebDriver};
use tokio::runtime::{Builder, Runtime};

/// Cases of the fixture: as many as a large store has.
const CASES: usize = 10_000;
/// For anything that a browser does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Chromium with one window, and what ends it.
struct Reader {
    runtime: Runtime,
    driver: WebDriver,
    process: Child,
    folder: TempDir,
}

impl Reader {
    /// Starts it; nothing where it is absent and nobody requires it.
    fn start() -> Option<Self> {
        let found = match installed(Kind::Chromium) {
            Ok(found) => found,
            Err(error @ Error::Absent { .. }) => return absent(&error.to_string()),
            Err(error) => panic!("{error}"),
        };
        // A driver cannot launch the headless shell that can be fetched.
        let Some(chromium) = found.iter().find(|found| found.spare_libraries.is_none()) else {
            return absent("only the headless shell is here");
        };
        let folder = tempfile::tempdir().unwrap();
        let words = fs::File::create(folder.path().join("driver.log")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(&chromium.drivers[0])
            .arg(format!("--port={port}"))
            .stdout(words.try_clone().unwrap())
            .stderr(words)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "the driver does not listen");
            sleep(Duration::from_millis(20));
        }
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let wanted = wanted(&chromium.browser, folder.path());
        let wanted = thirtyfour::Capabilities::from(wanted.as_object().unwrap().clone());
        let session = WebDriver::builder(format!("http://127.0.0.1:{port}"), wanted).client(client);
        let driver = within(&runtime, session.connect());
        Some(Self { runtime, driver, process, folder })
    }

    fn run(&self, script: &str) -> Value {
        let ran = within(&self.runtime, self.driver.execute(script, Vec::new()));
        ran.json().clone()
    }

    fn text(&self, selector: &str) -> String {
        self.run(&format!("return document.querySelector({selector:?}).textContent"))
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Presses keys where the focus is.
    fn press(&self, keys: impl Into<thirtyfour::common::keys::TypingData>) {
        let focused = within(&self.runtime, self.driver.active_element());
        within(&self.runtime, focused.send_keys(keys));
    }

    /// Goes on with the tab key until the focus is on what a selector finds; it must be reached.
    #[track_caller]
    fn tab_to(&self, selector: &str) {
        for _ in 0..400 {
            self.press(Key::Tab);
            let script = format!("return document.activeElement.matches({selector:?})");
            if self.run(&script) == true {
                return;
            }
        }
        panic!("the tab key never comes to {selector}");
    }

    /// Waits for a file to be downloaded whole.
    fn downloaded(&self, name: &str) -> String {
        let path = self.folder.path().join("downloads").join(name);
        let begin = Instant::now();
        while !path.exists() {
            assert!(begin.elapsed() < PATIENCE, "{name} was not exported");
            sleep(Duration::from_millis(50));
        }
        fs::read_to_string(path).unwrap()
    }

    fn log(&self, kind: &str) -> Vec<String> {
        let entries = within(&self.runtime, self.driver.get_log(kind));
        entries.into_iter().map(|entry| entry.message).collect()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let quit = self.driver.clone().quit();
        let _ = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, quit).await });
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn absent(why: &str) -> Option<Reader> {
    let required = std::env::var("PROOFMARK_REQUIRE_BROWSERS").unwrap_or_default();
    assert!(!required.contains("chromium"), "Chromium is required: {why}");
    println!("not tested: {why}");
    None
}

#[track_caller]
fn within<T>(
    runtime: &Runtime,
    command: impl Future<Output = thirtyfour::error::WebDriverResult<T>>,
) -> T {
    runtime.block_on(async { tokio::time::timeout(PATIENCE, command).await }).unwrap().unwrap()
}

/// A profile of its own, no network, files into a folder of ours, and logs of the console and of every request.
fn wanted(browser: &Path, folder: &Path) -> Value {
    let args = [
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--window-size=1280,900".to_owned(),
        // Whatever is asked of a network fails.
        "--proxy-server=127.0.0.1:9".to_owned(),
        format!("--user-data-dir={}", folder.join("profile").display()),
    ];
    let downloads = folder.join("downloads");
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": {
            "binary": browser,
            "args": args,
            "prefs": {"download.default_directory": downloads, "download.prompt_for_download": false},
        },
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    })
}

/// The page over a fixture of so many cases.
fn page(folder: &Path, cases: usize) -> PathBuf {
    let state = folder.join("state");
    fixture_store::write(&state, cases).unwrap();
    let page = folder.join("timing.html");
    let args = ["report", "timing", "--format", "html", "--out", page.to_str().unwrap()];
    xtask(&args).env("PROOFMARK_DIR", &state).assert().success();
    page
}

#[test]
fn a_person_reads_the_timing_of_ten_thousand_cases() {
    let Some(reader) = Reader::start() else { return };
    let made = tempfile::tempdir().unwrap();
    let page = page(made.path(), CASES);
    let begin = Instant::now();
    within(&reader.runtime, reader.driver.goto(format!("file://{}", page.display())));
    let ready =
        reader.run("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd");
    println!(
        "{} bytes, ready after {} ms by the page's clock, {} ms by ours",
        fs::metadata(&page).unwrap().len(),
        ready,
        begin.elapsed().as_millis()
    );
    // Generous: a crowded machine of two processors took 17 s before rows were left out of the first layout.
    assert!(ready.as_f64().unwrap() < 30_000.0, "{ready}");
    let took = reader.run(
        "const time = (work) => { const begin = performance.now(); work(); document.body.offsetHeight; return performance.now() - begin; };\
         return [time(filter), time(() => sort(headers[4])), time(() => turn(SHOWN))]",
    );
    println!("filter, sort, next rows: {took} ms");
    assert!(took.as_array().unwrap().iter().all(|took| took.as_f64().unwrap() < 5000.0), "{took}");
    reader.run("headers.forEach((header) => header.removeAttribute('aria-sort')); all.sort((a, b) => a.place - b.place); filter()");
    it_says_what_it_rests_on(&reader);
    it_is_filtered_and_sorted_by_keyboard(&reader);
    it_is_exported_with_its_marks(&reader);
    the_theme_is_switched(&reader);
    axe_finds_nothing(&reader);
    nothing_was_asked_of_a_network(&reader);
}

fn it_says_what_it_rests_on(reader: &Reader) {
    assert!(reader.text(".banner").starts_with("FIXTURE:"));
    let basis = reader.text("#basis");
    assert!(
        basis.contains("0 latencies: 0 real, 0 software, 0 simulated, 0 claimed; and on "),
        "{basis}"
    );
    // The first key leads past what is on every page.
    reader.press(Key::Tab);
    assert_eq!(reader.run("return document.activeElement.textContent"), "Skip to the report");
    reader.press(Key::Tab);
    reader.press(Key::Enter);
    assert_eq!(reader.run("return document.activeElement.id"), "cases");
    let marks = reader.run(
        "return [...document.querySelectorAll('#rows tbody tr')].flatMap((row) => [...row.querySelectorAll('td.n')]\
         .filter((cell) => cell.textContent && !cell.textContent.endsWith(row.cells[1].textContent)).map((c) => c.textContent))",
    );
    assert_eq!(marks, json!([]), "numbers without their mark");
    let all = reader
        .run("return [...new Set(all.map((one) => one.row.cells[1].textContent.split(' ')[0]))]");
    assert_eq!(all, json!(["fixture"]), "something made up does not say so");
}

fn it_is_filtered_and_sorted_by_keyboard(reader: &Reader) {
    let count = || reader.text("#count");
    let before = count();
    reader.tab_to("#filters [name=find]");
    reader.press("whisper cuda");
    assert_ne!(count(), before);
    reader.tab_to("#filters [name=mark]");
    reader.press("fixture real");
    let rows = || {
        reader.run("return [...document.querySelectorAll('#rows tbody tr')].map((row) => [row.cells[0].textContent, row.cells[1].textContent])")
    };
    let shown = rows();
    let shown = shown.as_array().unwrap();
    assert!(!shown.is_empty(), "{}", count());
    for row in shown {
        let case = row[0].as_str().unwrap();
        assert!(case.starts_with("whisper-") && case.contains("/cuda/"), "{row}");
        assert_eq!(row[1], "fixture real");
    }
    reader.tab_to("#rows th:nth-child(5) button");
    let latencies = || {
        let read =
            reader.run("return chosen.map((one) => values(one)[columns.indexOf('latency_ns')])");
        read.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>()
    };
    for (order, rising) in [("ascending", true), ("descending", false)] {
        reader.press(Key::Enter);
        let said = reader.run("return document.querySelector('#rows th:nth-child(5)').ariaSort ?? document.querySelector('#rows th:nth-child(5)').getAttribute('aria-sort')");
        assert_eq!(said, order);
        let found = latencies();
        assert!(found.len() > 1 && found.is_sorted_by(|a, b| if rising { a <= b } else { a >= b }));
    }
    // What a person reads of the first row is what stands behind it.
    let read = reader.text("#rows tbody tr:first-child td:nth-child(5)");
    assert!(read.ends_with(" fixture real"), "{read}");
    let told: f64 = read.split(' ').next().unwrap().parse().unwrap();
    let unit = match read.split(' ').nth(1).unwrap() {
        "ns" => 1.0,
        "µs" => 1e3,
        "ms" => 1e6,
        _ => 1e9,
    };
    let exact = latencies()[0];
    assert!((told * unit / exact - 1.0).abs() < 0.006, "{read} is not {exact} ns");
}

fn it_is_exported_with_its_marks(reader: &Reader) {
    let shown = reader.run("return chosen.length").as_u64().unwrap();
    // Back to the buttons before the table.
    reader.run("document.querySelector('#filters [name=class]').focus()");
    reader.tab_to("#csv");
    reader.press(Key::Enter);
    let table = reader.downloaded("timing.csv");
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let header = rows.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let records: Vec<_> = rows.records().map(Result::unwrap).collect();
    assert_eq!(records.len() as u64, shown);
    for record in &records {
        assert_eq!((&record[at("mark")], &record[at("fixture")]), ("real", "true"));
        assert!(record[at("case")].starts_with("whisper-"));
        record[at("latency_ns")].parse::<f64>().unwrap();
    }
    reader.tab_to("#json");
    reader.press(Key::Enter);
    let list: Value = serde_json::from_str(&reader.downloaded("timing.json")).unwrap();
    assert_eq!(list.as_array().unwrap().len() as u64, shown);
    assert_eq!(list[0]["record"], &records[0][at("record")]);
    assert!(
        list.as_array().unwrap().iter().all(|row| row["mark"] == "real" && row["fixture"] == true)
    );
    // All again, page by page.
    reader.run("document.querySelector('#filters').reset()");
    sleep(Duration::from_millis(200));
    assert!(reader.run("return chosen.length === all.length && all.length > 5000") == true);
    reader.tab_to("#on");
    reader.press(Key::Enter);
    assert!(reader.text("#count").ends_with("shown: 201 to 400"), "{}", reader.text("#count"));
}

fn the_theme_is_switched(reader: &Reader) {
    let paper = || reader.run("return getComputedStyle(document.body).backgroundColor");
    reader.run("document.querySelector('#theme').focus()");
    let begin = paper();
    let pressed =
        || reader.run("return document.querySelector('#theme').getAttribute('aria-pressed')");
    let was = pressed();
    reader.press(Key::Enter);
    assert_ne!(paper(), begin);
    assert_ne!(pressed(), was);
    reader.press(" ");
    assert_eq!(paper(), begin);
}

/// In both themes, by the rules of WCAG 2.2 A and AA.
fn axe_finds_nothing(reader: &Reader) {
    let path = root().join("harness/browser/node_modules/axe-core/axe.min.js");
    let Ok(axe) = fs::read_to_string(&path) else {
        let required = std::env::var("PROOFMARK_REQUIRE_BROWSERS").unwrap_or_default();
        assert!(
            !required.contains("chromium"),
            "run npm ci in harness/browser: {}",
            path.display()
        );
        println!(
            "not tested: axe-core is not at {}: run npm ci in harness/browser",
            path.display()
        );
        return;
    };
    reader.run(&axe);
    let run = "const done = arguments[0]; axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})\
               .then((found) => done([found.passes.length, found.violations.map((v) => \
               [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 300))])]))";
    for theme in ["light", "dark"] {
        reader.run(&format!("document.documentElement.dataset.theme = '{theme}'"));
        let found = within(&reader.runtime, reader.driver.execute_async(run, Vec::new()));
        let found = found.json().clone();
        assert!(found[0].as_u64() > Some(10), "axe looked at nothing: {found}");
        assert_eq!(found[1], json!([]), "{theme}");
    }
}

fn nothing_was_asked_of_a_network(reader: &Reader) {
    assert_eq!(reader.log("browser"), Vec::<String>::new(), "the console");
    let mut pages = 0;
    for entry in reader.log("performance") {
        let entry: Value = serde_json::from_str(&entry).unwrap();
        if entry["message"]["method"] == "Network.requestWillBeSent" {
            let params = &entry["message"]["params"];
            // The browser's own first page is no affair of ours.
            if params["documentURL"].as_str().unwrap().starts_with("chrome://") {
                continue;
            }
            let url = params["request"]["url"].as_str().unwrap();
            let is_local = ["file://", "blob:", "data:"].iter().any(|start| url.starts_with(start));
            assert!(is_local, "{url} was asked for");
            pages += u32::from(url.ends_with("timing.html"));
        }
    }
    assert_eq!(pages, 1, "the log has not even the page: it proves nothing");
}

#[test]
fn without_scripts_the_table_is_there() {
    let Some(reader) = Reader::start() else { return };
    let made = tempfile::tempdir().unwrap();
    let page = page(made.path(), 200);
    // A browser that takes no script sees the page as it is written.
    let text = fs::read_to_string(&page).unwrap();
    let scriptless = text.replace("script-src 'unsafe-inline'", "script-src 'none'");
    assert_ne!(text, scriptless);
    fs::write(&page, scriptless).unwrap();
    within(&reader.runtime, reader.driver.goto(format!("file://{}", page.display())));
    let rows = within(&reader.runtime, reader.driver.find_all(By::Css("#rows tbody tr")));
    assert!(rows.len() > 100, "{}", rows.len());
    let controls = within(&reader.runtime, reader.driver.find(By::Css("#filters")));
    assert!(
        !within(&reader.runtime, controls.is_displayed()),
        "controls that do nothing are shown"
    );
    assert!(within(&reader.runtime, rows[0].is_displayed()));
}
