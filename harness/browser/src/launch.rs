//! A browser from its start to its end: its processes, its window, and the promise that nothing of it stays.

use crate::browsers::Kind;
use crate::clock;
use crate::env;
use crate::error::Error;
use crate::flags;
use crate::home::{self, Home};
use crate::installed::Installed;
use crate::process::{self, Child};
use crate::session::{Fault, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From the start to a window that is ready.
const START: Duration = Duration::from_secs(30);
/// For one command to a driver.
const COMMAND: Duration = Duration::from_secs(10);
/// For a session to end by itself; what does not is killed.
const END: Duration = Duration::from_secs(3);
/// The page that is nothing.
const BLANK: &str = "about:blank";
/// How many dialogs in a row are closed before a page is given up.
const DIALOGS: usize = 5;
/// How often another port is tried, when another program was faster to take the one that was free.
const PORTS: usize = 3;
/// What drivers say when they cannot have their port.
const TAKEN: [&str; 2] = ["port not available", "address already in use"];

/// How a browser is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether WebNN is switched on where a flag does that.
    pub webnn: bool,
    /// Whether a software adapter is asked for. If nothing is said, only on a machine without a GPU of its own.
    pub software: Option<bool>,
    /// More flags for the browser's command line.
    pub flags: Vec<String>,
    /// The driver's port; any free one if nothing is said.
    pub port: Option<u16>,
}

/// What is known of a browser that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Which browser.
    pub kind: Kind,
    /// Its own name, as its driver tells it.
    pub name: String,
    /// Its engine.
    pub engine: String,
    /// Its version, as its driver tells it.
    pub version: String,
    /// Its program.
    pub executable: PathBuf,
    /// The driver's program.
    pub driver: PathBuf,
    /// The driver's version, if it tells one.
    pub driver_version: Option<String>,
    /// The flags on its command line.
    pub flags: Vec<String>,
    /// The preferences that were set.
    pub preferences: BTreeMap<String, Value>,
    /// The variables that were set for it.
    pub variables: BTreeMap<String, String>,
    /// Whether a software adapter was asked for.
    pub software: bool,
    /// From the call to the window, in nanoseconds.
    pub start_ns: u64,
}

/// A page that was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// What the dialogs said that were open and were dismissed.
    pub dialogs: Vec<String>,
    /// How long the command took, in nanoseconds.
    pub took_ns: u64,
}

/// A browser that runs, with one window. Dropping it ends all of its processes and removes its folder.
#[derive(Debug)]
pub struct Browser {
    facts: Facts,
    session: Option<Session>,
    running: Running,
}

impl Browser {
    /// Starts a browser in `folder`, which must hold no other, and gives it back once its window is ready.
    pub fn start(
        installed: &Installed,
        folder: &Path,
        options: &Options,
    ) -> Result<Browser, Error> {
        let begin = clock::start();
        if let Some(port) = options.port {
            free(port)?;
        }
        let versions = installed.versions()?;
        let mut running = Running::new(installed, folder, begin)?;
        let mut facts = Facts {
            kind: installed.kind,
            name: installed.name.clone(),
            engine: installed.kind.engine().to_owned(),
            version: String::new(),
            executable: installed.browser.clone(),
            driver: versions.driver,
            driver_version: None,
            flags: Vec::new(),
            preferences: BTreeMap::new(),
            variables: versions.variables,
            software: installed.kind.is_chromium() && flags::is_software(options),
            start_ns: 0,
        };
        let session = match installed.kind {
            Kind::Chromium | Kind::Edge => start_chromium(&mut running, &mut facts, options)?,
            Kind::Firefox => start_firefox(&mut running, &mut facts, options)?,
            Kind::WebKit => start_webkit(&mut running, &mut facts, options)?,
        };
        complete(&mut facts, &session);
        let mut browser = Browser { facts, session: Some(session), running };
        browser.alive()?;
        browser.facts.start_ns = clock::nanoseconds(begin.elapsed());
        Ok(browser)
    }

    /// What is known of it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Opens a page in the browser's window in the place of the one before, and does not wait until it is loaded.
    /// Dialogs of the page before are dismissed and told.
    pub fn open(&mut self, url: &str) -> Result<Opened, Error> {
        let begin = clock::start();
        let mut dialogs = Vec::new();
        let why = loop {
            let Some(session) = &self.session else { break "it was closed".to_owned() };
            match session.go(url, COMMAND) {
                Ok(()) => {
                    let took_ns = clock::nanoseconds(begin.elapsed());
                    return Ok(Opened { dialogs, took_ns });
                }
                Err(Fault::Dialog(text)) if dialogs.len() < DIALOGS => dialogs.push(text),
                Err(Fault::Dialog(text)) => break format!("dialogs do not end, the last: {text}"),
                Err(Fault::TimedOut) => break format!("no answer within {} s", COMMAND.as_secs()),
                Err(Fault::Refused(said)) => break said,
            }
        };
        // A browser that is gone is the better reason.
        self.alive()?;
        Err(Error::Open { browser: self.facts.name.clone(), url: url.to_owned(), why })
    }

    /// Leaves the page, so that what it held can be given back, and waits until it is left: an empty page that is
    /// still on its way may take the place of the one that is opened next.
    pub fn leave(&mut self) -> Result<(), Error> {
        let begin = clock::start();
        self.open(BLANK)?;
        let why = loop {
            let Some(session) = &self.session else { break "it was closed".to_owned() };
            match session.address(COMMAND) {
                Ok(address) if address == BLANK => return Ok(()),
                Ok(address) if begin.elapsed() > COMMAND => {
                    break format!("it is still at {address}");
                }
                Ok(_) | Err(Fault::Dialog(_)) => std::thread::sleep(process::PAUSE),
                Err(Fault::TimedOut) => break format!("no answer within {} s", COMMAND.as_secs()),
                Err(Fault::Refused(said)) => break said,
            }
        };
        self.alive()?;
        Err(Error::Open { browser: self.facts.name.clone(), url: BLANK.to_owned(), why })
    }

    /// Whether all that is needed to drive it still runs and answers; the error says what does not.
    pub fn alive(&mut self) -> Result<(), Error> {
        let gone = |why: String| Error::Gone { browser: self.facts.name.clone(), why };
        for child in &mut self.running.children {
            if let Some(status) = child.ended() {
                return Err(gone(format!("{} ended ({status})", child.name())));
            }
        }
        let Some(session) = &self.session else { return Err(gone("it was closed".to_owned())) };
        match session.windows(COMMAND) {
            // A dialog is no reason to call it gone; the next page tells it.
            Ok(1..) | Err(Fault::Dialog(_)) => Ok(()),
            Ok(0) => Err(gone("it has no window any more".to_owned())),
            Err(Fault::TimedOut) => Err(gone("its driver does not answer".to_owned())),
            Err(Fault::Refused(said)) => Err(gone(said)),
        }
    }

    /// The ids of all of its processes, the driver among them.
    pub fn processes(&self) -> Vec<u32> {
        process::all(&self.running.home.folder)
    }

    /// The id of the browser's main process, if it can be told.
    pub fn main_process(&self) -> Option<u32> {
        let (driver, others) = self.running.children.split_last()?;
        if self.facts.kind.is_chromium() {
            return others.first().map(Child::pid);
        }
        let told = self.session.as_ref().and_then(|s| s.said(&["moz:processID"])?.as_u64());
        let told = told.and_then(|pid| u32::try_from(pid).ok());
        told.or_else(|| process::children(&self.running.home.folder, driver.pid()).first().copied())
    }

    /// The folder for sockets: its path is short.
    pub(crate) fn short_folder(&self) -> &Path {
        &self.running.home.short
    }

    /// Ends it in good order. Whatever does not end so is killed.
    pub fn close(mut self) -> Result<(), Error> {
        let Some(session) = self.session.take() else { return Ok(()) };
        match session.quit(END) {
            Ok(()) | Err(Fault::Dialog(_)) => Ok(()),
            Err(Fault::TimedOut) => Err(self.ended_badly("its driver does not answer")),
            Err(Fault::Refused(said)) => Err(self.ended_badly(&said)),
        }
    }

    fn ended_badly(&self, why: &str) -> Error {
        Error::Gone { browser: self.facts.name.clone(), why: format!("it had to be killed: {why}") }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Safari is not a child of its driver: only the driver can end it.
        if let Some(session) = self.session.take()
            && cfg!(target_os = "macos")
            && self.facts.kind == Kind::WebKit
        {
            let _ = session.quit(END);
        }
    }
}

/// What the driver says of the browser and of itself.
fn complete(facts: &mut Facts, session: &Session) {
    let text = |path: &[&str]| session.said(path)?.as_str().map(str::to_owned);
    if facts.kind.is_chromium() || facts.kind == Kind::WebKit {
        facts.name = text(&["browserName"]).unwrap_or_else(|| facts.name.clone());
    }
    facts.version = text(&["browserVersion"]).unwrap_or_default();
    let driver = match facts.kind {
        Kind::Chromium => text(&["chrome", "chromedriverVersion"]),
        Kind::Edge => text(&["msedge", "msedgedriverVersion"]),
        Kind::Firefox => text(&["moz:geckodriverVersion"]),
        Kind::WebKit => None,
    };
    // The revision behind the number says no more than the number.
    facts.driver_version = driver.map(|v| v.split(' ').next().unwrap_or_default().to_owned());
}

fn start_chromium(
    running: &mut Running,
    facts: &mut Facts,
    options: &Options,
) -> Result<Session, Error> {
    facts.flags = flags::chromium(&running.home, options);
    let mut args = facts.flags.clone();
    args.push("about:blank".to_owned());
    running.start(&facts.executable, &args, &facts.variables)?;
    let address = running.wait("the start of the browser", |words| {
        let (_, after) = words.split_once("DevTools listening on ws://")?;
        after.split_once('/').map(|(address, _)| address.to_owned())
    })?;
    let port = running.start_driver(facts, options, |port| vec![format!("--port={port}")])?;
    running.session(facts, port, flags::attach(facts.kind, &address))
}

fn start_firefox(
    running: &mut Running,
    facts: &mut Facts,
    options: &Options,
) -> Result<Session, Error> {
    let profile = running.home.folder.join("profile");
    std::fs::create_dir(&profile).map_err(Error::io("making the folder", &profile))?;
    facts.flags = ["-headless", "-profile", &profile.to_string_lossy()].map(str::to_owned).into();
    facts.flags.extend(options.flags.iter().cloned());
    facts.preferences = flags::firefox();
    let port = running.start_driver(facts, options, |port| {
        // Its second port is 9222 otherwise, for which two of them would fight.
        ["--port", &port.to_string(), "--websocket-port", "0"].map(str::to_owned).into()
    })?;
    let wanted = flags::start_firefox(&facts.executable, &facts.flags, &facts.preferences);
    running.session(facts, port, wanted)
}

fn start_webkit(
    running: &mut Running,
    facts: &mut Facts,
    options: &Options,
) -> Result<Session, Error> {
    if !cfg!(target_os = "macos") {
        facts.flags = vec!["--automation".to_owned()];
        facts.flags.extend(options.flags.iter().cloned());
        if env::DISPLAYS.iter().all(|name| env::var(name).is_none()) {
            let display = running.start_display(&facts.name)?;
            facts.variables.insert("DISPLAY".to_owned(), display);
        }
    }
    let port = running
        .start_driver(facts, options, |port| ["-p", &port.to_string()].map(str::to_owned).into())?;
    running.session(facts, port, flags::start_webkit(&facts.executable, &facts.flags))
}

/// Fails if a program listens at this port.
fn free(port: u16) -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|_| Error::PortTaken { port })
}

/// The processes of a browser and where they live. Dropping it ends and removes all.
#[derive(Debug)]
struct Running {
    browser: String,
    home: Home,
    /// In the order of their start: a display, a browser, the driver.
    children: Vec<Child>,
    begin: Instant,
}

impl Running {
    fn new(installed: &Installed, folder: &Path, begin: Instant) -> Result<Running, Error> {
        let home = Home::make(folder)?;
        Ok(Running { browser: installed.name.clone(), home, children: Vec::new(), begin })
    }

    fn start(
        &mut self,
        program: &Path,
        args: &[String],
        variables: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        self.children.push(process::start(program, args, variables, &self.home)?);
        Ok(())
    }

    /// Waits until `ready` finds in the words of the child that was started last what it looks for.
    fn wait<T>(&mut self, step: &str, ready: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        loop {
            let Some(child) = self.children.last_mut() else { return Err(self.late(step)) };
            let ended = child.ended();
            // Looked at after the question whether it runs, so that nothing that it said is missed.
            let words = child.words();
            if let Some(found) = ready(&words) {
                return Ok(found);
            }
            if let Some(status) = ended {
                return Err(ended_at(child, status, &format!("during {step}")));
            }
            if self.begin.elapsed() > START {
                return Err(self.late(step));
            }
            std::thread::sleep(process::PAUSE);
        }
    }

    fn late(&self, step: &str) -> Error {
        let words = self.children.iter().map(|c| format!("{} said: {}", c.name(), c.last_words()));
        let said = words.collect::<Vec<_>>().join("; ");
        Error::TimedOut { step: step.to_owned(), after: START, said }
    }

    /// A virtual display of our own, with a number that nobody else has.
    fn start_display(&mut self, browser: &str) -> Result<String, Error> {
        let server =
            env::path().into_iter().map(|folder| folder.join("Xvfb")).find(|f| f.is_file());
        let server = server.ok_or_else(|| Error::NoDisplay {
            browser: browser.to_owned(),
            remedy: "set one, or install a virtual one: `apt install xvfb`".to_owned(),
        })?;
        let args = ["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"];
        self.start(&server, &args.map(str::to_owned), &BTreeMap::new())?;
        let number = self.wait("the start of a virtual display", |words| {
            let mut lines = words.lines();
            lines
                .find(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_digit()))
                .map(str::to_owned)
        })?;
        Ok(format!(":{number}"))
    }

    /// Starts the driver and waits until it listens.
    fn start_driver(
        &mut self,
        facts: &Facts,
        options: &Options,
        args: impl Fn(u16) -> Vec<String>,
    ) -> Result<u16, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free(options.port.unwrap_or(0))?;
            self.start(&facts.driver, &args(port), &facts.variables)?;
            let listens = |_: &str| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
            match self.wait("the start of the driver", listens) {
                Ok(_) => return Ok(port),
                Err(Error::Ended { said, .. }) if is_taken(&said) => {}
                Err(other) => return Err(other),
            }
            // It has ended.
            self.children.pop();
            if options.port.is_some() || tries == PORTS {
                return Err(Error::PortTaken { port });
            }
        }
    }

    /// A session with the driver, which was started last.
    fn session(
        &mut self,
        facts: &Facts,
        port: u16,
        wanted: serde_json::Map<String, Value>,
    ) -> Result<Session, Error> {
        let left = START.saturating_sub(self.begin.elapsed());
        let said = match Session::new(port, wanted, left) {
            Ok(session) => return Ok(session),
            Err(Fault::TimedOut) => return Err(self.late("making a session")),
            Err(Fault::Refused(said)) => said,
            Err(Fault::Dialog(text)) => format!("a dialog is open: {text}"),
        };
        for child in &mut self.children {
            if let Some(status) = child.ended() {
                return Err(ended_at(child, status, "while a session was made"));
            }
        }
        let driver = facts.driver.display().to_string();
        Err(Error::Session { driver, browser: self.browser.clone(), said })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        home::sweep(&self.home.folder);
        self.children.iter_mut().for_each(Child::reap);
    }
}

fn is_taken(said: &str) -> bool {
    let said = said.to_lowercase();
    TAKEN.iter().any(|words| said.contains(words))
}

fn ended_at(child: &Child, status: String, when: &str) -> Error {
    let said = child.last_words();
    let hint = hint(&said);
    Error::Ended { program: child.name().to_owned(), status, when: when.to_owned(), said, hint }
}

/// What to do about words that are known.
fn hint(said: &str) -> String {
    let remedies = [
        (
            "sandbox",
            format!(
                "; allow its sandbox (on Ubuntu: an AppArmor profile), or set {}",
                env::NO_SANDBOX
            ),
        ),
        ("error while loading shared libraries", "; install the library that it names".to_owned()),
        ("cannot open display", "; set DISPLAY, or install a virtual display: xvfb".to_owned()),
    ];
    let found = remedies.into_iter().find(|(words, _)| said.to_lowercase().contains(words));
    found.map(|(_, remedy)| remedy).unwrap_or_default()
}
