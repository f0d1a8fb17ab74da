//! The processes of one browser: started in order, each waited for until it is ready, and ended all together.

use crate::env;
use crate::error::Error;
use crate::home::{self, Home};
use crate::installed::Installed;
use crate::launch::{Facts, Options};
use crate::process::{self, Child};
use crate::session::{Fault, Session};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// From the start to a window that is ready.
const START: Duration = Duration::from_secs(30);
/// How often another port is tried, when another program was faster to take the one that was free.
const PORTS: usize = 3;
/// What drivers say when they cannot have their port.
const TAKEN: [&str; 2] = ["port not available", "address already in use"];

/// Fails if a program listens at this port.
pub(crate) fn free(port: u16) -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|_| Error::PortTaken { port })
}

/// The processes of a browser and where they live. Dropping it ends and removes all.
#[derive(Debug)]
pub(crate) struct Running {
    browser: String,
    pub(crate) home: Home,
    /// In the order of their start: a display, a browser, the driver.
    pub(crate) children: Vec<Child>,
    begin: Instant,
}

impl Running {
    pub(crate) fn new(
        installed: &Installed,
        folder: &Path,
        begin: Instant,
    ) -> Result<Running, Error> {
        let home = Home::make(folder)?;
        Ok(Running { browser: installed.name.clone(), home, children: Vec::new(), begin })
    }

    pub(crate) fn start(
        &mut self,
        program: &Path,
        args: &[String],
        variables: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        self.children.push(process::start(program, args, variables, &self.home)?);
        Ok(())
    }

    /// Waits until `ready` finds in the words of the child that was started last what it looks for.
    pub(crate) fn wait<T>(
        &mut self,
        step: &str,
        ready: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
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
    pub(crate) fn start_display(&mut self, browser: &str) -> Result<String, Error> {
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
    pub(crate) fn start_driver(
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
    pub(crate) fn session(
        &mut self,
        facts: &Facts,
        port: u16,
        wanted: Map<String, Value>,
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
        home::end(&self.home.folder, &self.children);
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
