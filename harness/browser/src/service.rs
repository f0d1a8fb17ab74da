//! A browser that one process keeps and others use: a Unix socket that takes `open URL`, `close`, `alive`, `memory` and
//! `facts`, one line each, and answers with a line of JSON; and the client of it.

use crate::clock;
use crate::error::Error;
use crate::installed::Installed;
use crate::launch::{Browser, Facts, Opened, Options};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// For a client that has connected to say what it wants.
const REQUEST: Duration = Duration::from_secs(2);
/// For the service to answer: longer than a browser's own limit, so that its words arrive.
const ANSWER: Duration = Duration::from_secs(60);

/// What a client needs to know to use a service, as the text that [`serve`] gives.
#[derive(Debug, Serialize, Deserialize)]
struct Address {
    socket: PathBuf,
    facts: Facts,
}

/// The answer to a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Opened(Opened),
    Facts(Box<Facts>),
    Memory(Option<u64>),
    Done,
    Failed(String),
}

/// A service that runs. Dropping it ends the browser.
#[derive(Debug)]
pub struct Service {
    socket: PathBuf,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a browser in `folder` and serves it until the [`Service`] is dropped. The text is the address for
/// [`Window::served`].
pub fn serve(
    installed: &Installed,
    options: &Options,
    folder: &Path,
) -> Result<(String, Service), Error> {
    let browser = Browser::start(installed, folder, options)?;
    let socket = browser.short_folder().join("service");
    let listener = UnixListener::bind(&socket).map_err(Error::io("listening at", &socket))?;
    let address = Address { socket: socket.clone(), facts: browser.facts().clone() };
    let address = serde_json::to_string(&address).map_err(|e| said(&socket, e))?;
    let ends = Arc::new(AtomicBool::new(false));
    let ending = Arc::clone(&ends);
    let thread = std::thread::spawn(move || answer_all(browser, &listener, &ending));
    Ok((address, Service { socket, ends, thread: Some(thread) }))
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // The thread waits for somebody to connect.
        let _ = UnixStream::connect(&self.socket);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Answers one client after the other, one line each.
fn answer_all(mut browser: Browser, listener: &UnixListener, ends: &AtomicBool) {
    for stream in listener.incoming() {
        if ends.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        let mut line = String::new();
        let is_limited = stream.set_read_timeout(Some(REQUEST)).is_ok();
        // A client that went away, or says nothing, is its own problem.
        if !is_limited || BufReader::new(&stream).read_line(&mut line).is_err() {
            continue;
        }
        let answer = answer(&mut browser, line.trim_end());
        let _ = serde_json::to_writer(&stream, &answer);
        let _ = stream.write_all(b"\n");
    }
}

fn answer(browser: &mut Browser, line: &str) -> Answer {
    let answer = match line.split_once(' ').unwrap_or((line, "")) {
        ("open", url) => browser.open(url).map(Answer::Opened),
        ("close", "") => browser.leave().map(|()| Answer::Done),
        ("alive", "") => browser.alive().map(|()| Answer::Done),
        ("memory", "") => Ok(Answer::Memory(browser.memory())),
        ("facts", "") => Ok(Answer::Facts(Box::new(browser.facts().clone()))),
        _ => {
            let known = "`open URL`, close, alive, memory or facts";
            return Answer::Failed(format!("`{line}` is not {known}"));
        }
    };
    answer.unwrap_or_else(|e| Answer::Failed(e.to_string()))
}

/// A window to open pages in: of a browser of one's own, or of one that a service keeps.
#[derive(Debug)]
pub enum Window {
    /// Of a browser that this process started.
    Own(Box<Browser>),
    /// Of a browser that another process keeps.
    Served(Box<Client>),
}

impl Window {
    /// Starts a browser for this process alone.
    pub fn own(installed: &Installed, folder: &Path, options: &Options) -> Result<Window, Error> {
        Ok(Window::Own(Box::new(Browser::start(installed, folder, options)?)))
    }

    /// The window of the service at the address that [`serve`] gave.
    pub fn served(address: &str) -> Result<Window, Error> {
        let address: Result<Address, _> = serde_json::from_str(address);
        let address = address.map_err(|e| Error::Service {
            socket: "an unknown place".to_owned(),
            why: format!("its address cannot be read: {e}"),
        })?;
        let client = Client { socket: address.socket, facts: address.facts };
        Ok(Window::Served(Box::new(client)))
    }

    /// Opens a page in the place of the one before, and does not wait until it is loaded.
    pub fn open(&mut self, url: &str) -> Result<Opened, Error> {
        match self {
            Window::Own(browser) => browser.open(url),
            Window::Served(client) => client.open(&format!("open {url}")),
        }
    }

    /// Leaves the page, so that all that it held can be given back. The browser stays.
    pub fn close(&mut self) -> Result<(), Error> {
        match self {
            Window::Own(browser) => browser.leave(),
            Window::Served(client) => client.ask("close").map(drop),
        }
    }

    /// Whether the browser still answers; the error says what does not.
    pub fn alive(&mut self) -> Result<(), Error> {
        match self {
            Window::Own(browser) => browser.alive(),
            Window::Served(client) => client.ask("alive").map(drop),
        }
    }

    /// The memory that the browser's processes hold together, in bytes; nothing where that cannot be told.
    pub fn memory(&self) -> Option<u64> {
        match self {
            Window::Own(browser) => browser.memory(),
            Window::Served(client) => match client.ask("memory") {
                Ok(Answer::Memory(bytes)) => bytes,
                _ => None,
            },
        }
    }

    /// What is known of the browser.
    pub fn facts(&self) -> &Facts {
        match self {
            Window::Own(browser) => browser.facts(),
            Window::Served(client) => &client.facts,
        }
    }
}

/// The client of a service.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    facts: Facts,
}

impl Client {
    fn open(&self, line: &str) -> Result<Opened, Error> {
        let begin = clock::start();
        match self.ask(line)? {
            Answer::Opened(opened) => {
                // The way to the service and back is a part of what it costs.
                Ok(Opened { took_ns: clock::nanoseconds(begin.elapsed()), ..opened })
            }
            other => Err(said(&self.socket, format!("answered `{line}` with {other:?}"))),
        }
    }

    fn ask(&self, line: &str) -> Result<Answer, Error> {
        let failed = |e: std::io::Error| said(&self.socket, e);
        let mut stream = UnixStream::connect(&self.socket).map_err(failed)?;
        stream.set_read_timeout(Some(ANSWER)).map_err(failed)?;
        stream.write_all(format!("{line}\n").as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).map_err(failed)?;
        match serde_json::from_str(&answer).map_err(|e| said(&self.socket, e))? {
            Answer::Failed(why) => Err(said(&self.socket, why)),
            answer => Ok(answer),
        }
    }
}

fn said(socket: &Path, why: impl ToString) -> Error {
    Error::Service { socket: socket.display().to_string(), why: why.to_string() }
}
