//! What can go wrong between looking for a browser and having a page open in it. Every message says what failed, on
//! what, and what to do.

use crate::browsers::Kind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a browser could not be found, fetched, started, driven or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The browser or its driver is not on this machine.
    #[error("{kind} is absent: {why}; {remedy}")]
    Absent {
        /// Which one.
        kind: Kind,
        /// What was looked for.
        why: String,
        /// How to get it.
        remedy: String,
    },
    /// The driver is of another major version than the browser.
    #[error("{browser} has major version {wanted}, but {drivers}: both must be of one; {remedy}")]
    Version {
        /// The browser's name and version.
        browser: String,
        /// The browser's major version.
        wanted: String,
        /// The drivers that were found, with their versions.
        drivers: String,
        /// How to get the right one.
        remedy: String,
    },
    /// A program that is to be a browser or a driver could not be started at all.
    #[error("{} could not be started: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A process ended while it was still needed.
    #[error("{program} ended ({status}) {when}; it said: {said}{hint}")]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// What was being done.
        when: String,
        /// The end of what it wrote.
        said: String,
        /// What to do, if the words are known; with its own punctuation.
        hint: String,
    },
    /// A step took too long.
    #[error("{step} took over {} s; {said}", after.as_secs_f32())]
    TimedOut {
        /// What was being done.
        step: String,
        /// The limit.
        after: Duration,
        /// What was known by then.
        said: String,
    },
    /// Another program has the port.
    #[error(
        "port {port} of 127.0.0.1 is taken by another program; choose another, or let one be chosen"
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The browser needs a display, and there is none.
    #[error("{browser} needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set: {remedy}")]
    NoDisplay {
        /// The browser's name.
        browser: String,
        /// What to do.
        remedy: String,
    },
    /// The driver refused to make a session.
    #[error("{driver} made no session with {browser}: {said}")]
    Session {
        /// The driver.
        driver: String,
        /// The browser's name.
        browser: String,
        /// The driver's words.
        said: String,
    },
    /// The browser, or its driver, is gone.
    #[error("{browser} is gone: {why}; start a new one")]
    Gone {
        /// The browser's name.
        browser: String,
        /// What was noticed.
        why: String,
    },
    /// A page did not open.
    #[error("{browser} did not open {url}: {why}")]
    Open {
        /// The browser's name.
        browser: String,
        /// The address of the page.
        url: String,
        /// The driver's words.
        why: String,
    },
    /// The service that keeps a browser did not do what it was asked.
    #[error("the browser service at {socket}: {why}")]
    Service {
        /// The address of its socket.
        socket: String,
        /// What failed.
        why: String,
    },
    /// A browser or driver could not be fetched.
    #[error("fetching {name} failed: {why}")]
    Fetch {
        /// Its name.
        name: String,
        /// What failed.
        why: String,
    },
    /// A file or folder could not be made, read or moved.
    #[error("{doing} {} failed: {source}", path.display())]
    Io {
        /// What was done with it.
        doing: &'static str,
        /// Which one.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { doing, path, source }
    }
}
