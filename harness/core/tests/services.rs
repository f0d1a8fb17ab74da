//! Services as a runner keeps them: this program is the suite, in the role of a child, and what tests it.
//!
//! The service of the endpoint `shop` keeps a process in a group of its own, as browsers are, and writes down what
//! happens to it. How it behaves is said by a variable, how a case behaves by the name of its model.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use libtest_mimic::{Arguments, Trial};
use proofmark::record::{DeviceFacts, Line, Metrics, Outcome, OutputCheck, Record};
use proofmark::{Case, CaseId, Driver, Endpoint, Finding, Fingerprint, Isolation, Mark, Part};
use proofmark::{Request, Service, Session, Started, Subject, Suite};
use rustix::process::{Pid, Signal};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How the service behaves. A process without it is the one that tests.
const MANNER: &str = "SHOP_MANNER";
/// The folder of one test.
const FOLDER: &str = "SHOP_FOLDER";

fn folder() -> PathBuf {
    std::env::var_os(FOLDER).unwrap().into()
}

fn shop() -> Endpoint {
    "shop".parse().unwrap()
}

/// Adds a line to what has happened.
fn note(line: &str) {
    let mut log = OpenOptions::new().append(true).create(true).open(folder().join("log")).unwrap();
    log.write_all(format!("{line}\n").as_bytes()).unwrap();
}

// The service.

struct Open {
    keeper: Child,
    stuck: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.stuck {
            sleep(Duration::from_secs(600));
        }
        self.keeper.kill().unwrap();
        self.keeper.wait().unwrap();
        note("closed");
    }
}

#[expect(
    clippy::zombie_processes,
    reason = "what a start that fails leaves is what a sweep is for"
)]
fn open_shop(folder: &Path) -> Result<Started, String> {
    note(&format!("start {}", std::process::id()));
    let manner = std::env::var(MANNER).unwrap();
    // It leaves the group, so that only a sweep finds it.
    let keeper = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    note(&format!("keeper {}", keeper.id()));
    fs::write(folder.join("keeper"), keeper.id().to_string()).unwrap();
    match manner.as_str() {
        "refuses" => return Err("there is no room".into()),
        "hangs" => sleep(Duration::from_secs(600)),
        "panics" => panic!("the shop has burnt down"),
        _ => {}
    }
    if manner == "dies" {
        std::thread::spawn(|| {
            sleep(Duration::from_millis(300));
            eprintln!("bankrupt");
            std::process::exit(9);
        });
    }
    let address = std::process::id().to_string();
    Ok((address, Box::new(Open { keeper, stuck: manner == "stuck" })))
}

fn sweep_shop(folder: &Path) {
    if let Ok(keeper) = fs::read_to_string(folder.join("keeper")) {
        kill(keeper.parse().unwrap());
        note("swept");
    }
    let _ = fs::remove_dir_all(folder);
}

fn kill(pid: i32) {
    let _ = rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

// The cases.

#[derive(Clone)]
struct Customer {
    manner: String,
    facts: DeviceFacts,
}

impl Subject for Customer {
    fn fingerprint(&self) -> Result<Fingerprint, String> {
        Ok(Fingerprint::new([Part::text("code", "1")]))
    }

    fn open(&self) -> Result<Box<dyn Session>, String> {
        let mut customer = self.clone();
        let address = proofmark::env::service().unwrap_or_else(|| "none".into());
        customer.facts.details.insert("shop".into(), address);
        Ok(Box::new(customer))
    }
}

impl Session for Customer {
    fn device(&self) -> &DeviceFacts {
        &self.facts
    }

    fn verify(&mut self) -> Result<Vec<OutputCheck>, String> {
        let alone = folder().join("customer");
        let other = folder().join("other");
        match self.manner.split('-').next().unwrap() {
            "hang" => sleep(Duration::from_secs(600)),
            "crash" => std::process::abort(),
            "fail" => return Err("the till is empty".into()),
            // Passes only while a case of another endpoint goes on beside it.
            "meet" => wait_until("the other endpoint's case is there", || other.exists()),
            "alone" => {
                fs::create_dir(&alone).map_err(|_| "somebody else is in the shop")?;
                sleep(Duration::from_millis(100));
                fs::remove_dir(&alone).map_err(|e| e.to_string())?;
            }
            "other" => fs::write(&other, "").unwrap(),
            _ => {}
        }
        Ok(vec![OutputCheck::compare("y", &[1], &[1.0], &[1.0], 0.0)])
    }

    fn run(&mut self) -> Result<Duration, String> {
        Ok(Duration::from_micros(10))
    }

    fn metrics(&self) -> Metrics {
        let start = proofmark::env::service_start();
        let start = start.map(|start| ("start".to_owned(), start.as_nanos().try_into().unwrap()));
        Metrics { stages: start.into_iter().collect(), ..Metrics::default() }
    }
}

fn cases(_: &Request<'_>) -> Result<Vec<Case>, String> {
    let facts = DeviceFacts::new(Mark::Software, "shop", "1");
    let case = |(manner, endpoint): (&str, Endpoint)| -> Result<Case, String> {
        Ok(Case {
            id: CaseId::new(manner, endpoint, "f32", "b1")?,
            isolation: Isolation::Process,
            absence: None,
            snapshot: None,
            subject: Arc::new(Customer { manner: manner.into(), facts: facts.clone() }),
        })
    };
    let names = [
        "pass-1", "pass-2", "pass-3", "hang-4", "pass-5", "crash-6", "pass-7", "fail-8", "pass-9",
        "alone-1", "alone-2", "alone-3", "alone-4", "meet-1",
    ];
    let cases = names.into_iter().map(|name| (name, shop()));
    cases.chain([("other-1", Endpoint::CPU)]).map(case).collect()
}

fn suite() -> Suite {
    let driver = |endpoint, probe, service| Driver {
        endpoint,
        isolation: Isolation::InProcess,
        probe,
        signals: String::new,
        service,
    };
    let here = || Finding { mark: Some(Mark::Software), ..Finding::absent(shop(), "") };
    let cpu = || Finding { mark: Some(Mark::Real), ..Finding::absent(Endpoint::CPU, "") };
    let patience = Duration::from_millis(1500);
    let service = Service { start: open_shop, sweep: sweep_shop, patience };
    Suite::new("shop", env!("CARGO_MANIFEST_DIR"), cases)
        .driver(driver(shop(), here, Some(service)))
        .driver(driver(Endpoint::CPU, cpu, None))
}

// What tests them.

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, manner: &str, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(args).env(MANNER, manner).env(FOLDER, self.0.path());
        command.env("PROOFMARK_DIR", self.0.path().join("state")).env("PROOFMARK_TIMEOUT", "5s");
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        command
    }

    /// Runs the cases whose models these globs match, one after the other, and gives their records.
    fn run(&self, manner: &str, models: &str, flags: &[&str]) -> Vec<Record> {
        let filter = format!("{{{models}}}/*");
        let args = ["--filter", &filter, "--test-threads", "1"];
        self.command(manner, &[&args, flags].concat()).status().unwrap();
        self.records()
    }

    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for path in proofmark::journal::files(&self.0.path().join("state/records")).unwrap() {
            let chunk = proofmark::journal::read(&path, 0).unwrap();
            assert_eq!(chunk.faults, []);
            records.extend(chunk.lines.into_iter().filter_map(|line| match line {
                Line::Result(record) => Some(record),
                Line::Probe(_) => None,
            }));
        }
        records
    }

    /// The lines of the log that begin with this word; what follows it.
    fn noted(&self, word: &str) -> Vec<String> {
        let log = fs::read_to_string(self.0.path().join("log")).unwrap_or_default();
        let lines = log.lines().filter_map(|line| line.strip_prefix(word));
        lines.map(|rest| rest.trim().to_owned()).collect()
    }

    /// Nothing is left: no process, no folder.
    #[track_caller]
    fn check_swept(&self) {
        for pid in [self.noted("start"), self.noted("keeper")].concat() {
            assert!(!lives(&pid), "the process {pid} is left: {:?}", self.noted(""));
        }
        let services = fs::read_dir(self.0.path().join("state/services")).unwrap();
        let left: Vec<_> = services.map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Whether a process is there and is not only waited for.
fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        sleep(Duration::from_millis(10));
    }
}

fn address(record: &Record) -> &str {
    &record.device.as_ref().unwrap().details["shop"]
}

fn has_start(record: &Record) -> bool {
    record.metrics.stages.get("start").is_some_and(|ns| *ns > 0)
}

fn cases_share_one() {
    let world = World::new();
    let records = world.run("stays", "pass-1,pass-2,pass-3,other-1", &[]);
    let shared = world.noted("start");
    assert_eq!(shared.len(), 1);
    let addresses: Vec<_> = records.iter().map(address).collect();
    let expected = [&shared[0], &shared[0], &shared[0], "none"];
    assert_eq!(addresses, expected);
    let starts: Vec<_> = records.iter().map(has_start).collect();
    assert_eq!(starts, [true, false, false, false], "only the first waited for the start");
    // Of the case's own process nothing is known that matters; of a case without a service it is.
    let memory = records.iter().map(|record| record.metrics.peak_memory_bytes.is_some());
    assert_eq!(memory.collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(world.noted("closed").len(), 1, "it did not end well");
    world.check_swept();
}

fn the_run_of_xtask_shares_one() {
    let world = World::new();
    let ids = ["pass-1/shop/f32/b1", "pass-2/shop/f32/b1"];
    let args = [&["proofmark", "run", "--samples", "10", "--"][..], &ids].concat();
    // It ends with its standard input.
    let mut child = world.command("stays", &args).stdin(Stdio::piped()).spawn().unwrap();
    wait_until("it has ended", || child.try_wait().unwrap().is_some());
    let records = world.records();
    assert_eq!(records.iter().map(|r| r.samples.latency_ns.len()).collect::<Vec<_>>(), [10, 10]);
    assert_eq!((world.noted("start").len(), world.noted("closed").len()), (1, 1));
    world.check_swept();
}

fn a_case_that_does_not_pass_gets_the_next_a_fresh_one() {
    let world = World::new();
    let models = "pass-1,hang-4,pass-5,crash-6,pass-7,fail-8,pass-9";
    let records = world.run("stays", models, &["--timeout", "1s"]);
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    let passed = Outcome::Passed;
    let bad = [Outcome::TimedOut, Outcome::Crashed, Outcome::Failed];
    assert_eq!(outcomes, [passed, bad[0], passed, bad[1], passed, bad[2], passed]);
    let starts = world.noted("start");
    let addresses: Vec<_> = records.iter().map(address).collect();
    let [a, b, c, d] = starts.as_slice() else { panic!("{} starts", starts.len()) };
    assert_eq!(addresses, [a, a, b, b, c, c, d]);
    world.check_swept();
}

fn one_case_at_a_time_and_others_go_on() {
    let world = World::new();
    let args = ["--test-threads", "4", "--filter", "{alone-*,meet-1,other-1}/*"];
    let status = world.command("stays", &args).status().unwrap();
    let failures: Vec<_> = world.records().into_iter().filter_map(|r| r.message).collect();
    assert!(status.success(), "{failures:?}");
    assert_eq!(world.noted("start").len(), 1);
}

fn a_killed_runner_leaves_nothing() {
    let world = World::new();
    let mut runner = world.command("stays", &["--filter", "hang-4/*"]).spawn().unwrap();
    wait_until("the service is there", || world.noted("keeper").len() == 1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until("it has ended", || !lives(&world.noted("start")[0]));
    world.check_swept();
}

fn what_a_killed_service_leaves_is_swept_by_the_next() {
    let world = World::new();
    let mut runner = world.command("stays", &["--filter", "hang-4/*"]).spawn().unwrap();
    wait_until("the service is there", || world.noted("keeper").len() == 1);
    kill(world.noted("start")[0].parse().unwrap());
    runner.kill().unwrap();
    runner.wait().unwrap();
    assert!(lives(&world.noted("keeper")[0]), "nothing is left to be swept");
    world.run("stays", "pass-1", &[]);
    assert_eq!(world.noted("start").len(), 2);
    world.check_swept();
}

fn a_start_that_fails_says_why_and_is_not_tried_for_ever() {
    let world = World::new();
    let records = world.run("refuses", "pass-*", &[]);
    let messages: Vec<_> = records.iter().map(|r| r.message.as_deref().unwrap()).collect();
    let why = "failed to start the service of shop: there is no room";
    assert_eq!(messages[..3], [why, why, why]);
    assert!(messages[3].starts_with(why) && messages[3].contains("not tried again"));
    assert_eq!((records[0].outcome, records[0].mark), (Outcome::Failed, None));
    assert_eq!((records.len(), world.noted("start").len()), (6, 3));
    world.check_swept();
}

fn a_start_that_panics_says_why() {
    let world = World::new();
    let records = world.run("panics", "pass-1", &[]);
    let message = records[0].message.as_deref().unwrap();
    assert!(message.contains("exit code 101") && message.contains("burnt down"), "{message}");
    world.check_swept();
}

fn a_start_that_hangs_is_ended() {
    let world = World::new();
    let records = world.run("hangs", "pass-1", &[]);
    let message = records[0].message.as_deref().unwrap();
    assert!(message.contains("gave no address within 1.5s"), "{message}");
    world.check_swept();
}

fn a_runner_killed_during_a_start_leaves_nothing() {
    let world = World::new();
    let mut runner = world.command("hangs", &["--filter", "pass-1/*"]).spawn().unwrap();
    wait_until("the service is there", || world.noted("keeper").len() == 1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until("it has ended", || !lives(&world.noted("start")[0]));
    world.check_swept();
}

fn a_service_that_does_not_end_is_ended() {
    let world = World::new();
    let records = world.run("stuck", "pass-1", &[]);
    assert_eq!(records[0].outcome, Outcome::Passed);
    world.check_swept();
}

fn a_service_that_dies_is_named_by_the_case_it_cost() {
    let world = World::new();
    let records = world.run("dies", "hang-4,pass-5", &["--timeout", "1s"]);
    let message = records[0].message.as_deref().unwrap();
    let says = "killed at its timeout of 1s\nthe service of shop ended with exit code 9";
    assert!(message.contains(says) && message.contains("bankrupt"), "{message}");
    assert_eq!((records[1].outcome, world.noted("start").len()), (Outcome::Passed, 2));
    world.check_swept();
}

macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        vec![$(Trial::test(stringify!($name), || { $name(); Ok(()) })),*]
    };
}

fn main() -> ExitCode {
    if std::env::var_os(MANNER).is_some() {
        return proofmark::conformance(suite());
    }
    let trials = trials![
        cases_share_one,
        the_run_of_xtask_shares_one,
        a_case_that_does_not_pass_gets_the_next_a_fresh_one,
        one_case_at_a_time_and_others_go_on,
        a_killed_runner_leaves_nothing,
        what_a_killed_service_leaves_is_swept_by_the_next,
        a_start_that_fails_says_why_and_is_not_tried_for_ever,
        a_start_that_panics_says_why,
        a_start_that_hangs_is_ended,
        a_runner_killed_during_a_start_leaves_nothing,
        a_service_that_does_not_end_is_ended,
        a_service_that_dies_is_named_by_the_case_it_cost,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
