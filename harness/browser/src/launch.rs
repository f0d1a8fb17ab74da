//! A browser from its start to its end: its processes, its window, and the promise that nothing of it stays.

use crate::browsers::Kind;
use crate::clock;
use crate::env;
use crate::error::Error;
use crate::flags;
use crate::installed::Installed;
use crate::process::{self, Child};
use crate::running::{Running, free};
use crate::session::{Fault, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For one command to a driver.
const COMMAND: Duration = Duration::from_secs(10);
/// For a session to end by itself; what does not is killed.
const END: Duration = Duration::from_secs(3);
/// For a page that was opened before to arrive: it may never.
const ARRIVAL: Duration = Duration::from_secs(2);
/// The page that is nothing.
const BLANK: &str = "about:blank";
/// How many dialogs in a row are closed before a page is given up.
const DIALOGS: usize = 5;
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
    /// What dialogs said that were dismissed and are not told yet.
    dialogs: Vec<String>,
    /// Where the window was sent, until it is known to have arrived there.
    awaited: Option<String>,
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
        let mut browser =
            Browser { facts, session: Some(session), running, dialogs: Vec::new(), awaited: None };
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
        // With two pages on their way at once Firefox may keep the first.
        if self.facts.kind == Kind::Firefox {
            self.arrival(ARRIVAL);
        }
        let mut dialogs = std::mem::take(&mut self.dialogs);
        let mut tries = 0;
        let why = loop {
            tries += 1;
            let Some(session) = &self.session else { break "it was closed".to_owned() };
            match session.go(url, COMMAND) {
                Ok(()) => {
                    self.awaited = Some(address_of(url));
                    let took_ns = clock::nanoseconds(begin.elapsed());
                    return Ok(Opened { dialogs, took_ns });
                }
                Err(Fault::Dialog(text)) if tries <= DIALOGS => dialogs.push(text),
                Err(Fault::Dialog(text)) => break format!("dialogs do not end, the last: {text}"),
                Err(Fault::TimedOut) => break no_answer(),
                Err(Fault::Refused(said)) => break said,
            }
        };
        // A browser that is gone is the better reason.
        self.alive()?;
        Err(Error::Open { browser: self.facts.name.clone(), url: url.to_owned(), why })
    }

    /// Leaves the page, so that what it held can be given back, and waits until it is left.
    pub fn leave(&mut self) -> Result<(), Error> {
        // What dialogs said is for the next page to tell.
        self.dialogs = self.open(BLANK)?.dialogs;
        let Some(why) = self.arrival(COMMAND) else { return Ok(()) };
        self.alive()?;
        Err(Error::Open { browser: self.facts.name.clone(), url: BLANK.to_owned(), why })
    }

    /// Waits until the window is where the last command sent it; otherwise says why it is not.
    fn arrival(&mut self, limit: Duration) -> Option<String> {
        let (begin, session) = (clock::start(), self.session.as_ref()?);
        while let Some(awaited) = &self.awaited {
            match session.address(COMMAND) {
                Ok(address) if address == *awaited => self.awaited = None,
                Ok(address) if begin.elapsed() > limit => {
                    return Some(format!("it is still at {address}"));
                }
                Ok(_) => std::thread::sleep(process::PAUSE),
                Err(Fault::Dialog(text)) => self.dialogs.push(text),
                Err(Fault::TimedOut) => return Some(no_answer()),
                Err(Fault::Refused(said)) => return Some(said),
            }
        }
        None
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
            Ok(1..) => Ok(()),
            // A dialog is no reason to call it gone.
            Err(Fault::Dialog(text)) => {
                self.dialogs.push(text);
                Ok(())
            }
            Ok(0) => Err(gone("it has no window any more".to_owned())),
            Err(Fault::TimedOut) => Err(gone("its driver does not answer".to_owned())),
            Err(Fault::Refused(said)) => Err(gone(said)),
        }
    }

    /// The ids of all of its processes, the driver among them.
    pub fn processes(&self) -> Vec<u32> {
        process::all(&self.running.home.folder)
    }

    /// The memory that its processes hold together, in bytes, without its driver and its display; nothing where the
    /// system does not tell.
    pub fn memory(&self) -> Option<u64> {
        let main = self.main_process();
        let helpers: Vec<_> = self.running.children.iter().map(Child::pid).collect();
        let is_own = |pid: &u32| !helpers.contains(pid) || Some(*pid) == main;
        let own: Vec<_> = self.processes().into_iter().filter(is_own).collect();
        process::memory_of(&own)
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

fn no_answer() -> String {
    format!("no answer within {} s", COMMAND.as_secs())
}

/// As a browser would write this address.
fn address_of(url: &str) -> String {
    reqwest::Url::parse(url).map_or_else(|_| url.to_owned(), |address| address.to_string())
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
