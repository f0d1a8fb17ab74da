//! A page that is open in a browser and does what it is told, command by command.

use crate::clock;
use crate::content::Content;
use crate::server::Server;
use crate::wire;
use proofmark_kernels::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a page may take to load and to connect.
const CONNECT: Duration = Duration::from_secs(30);
/// How long a command may take. A case has a timeout of its own, which is shorter.
const COMMAND: Duration = Duration::from_secs(900);

/// What a page says of its browser and of the machine; what a browser does not tell is null.
#[derive(Clone, Debug, Deserialize)]
pub struct PageFacts {
    /// The browser's own words on what it is. Not believed: the driver says which browser was started.
    pub user_agent: String,
    /// Whether WebGPU and WebNN may be used at all.
    pub secure: bool,
    /// Whether the page is cross-origin isolated, which gives fine clocks and shared memory.
    pub isolated: bool,
    /// Logical processors.
    pub threads: f64,
    /// Whether memory can be shared between threads.
    pub shared_memory: bool,
    /// Whether WebAssembly has SIMD.
    pub wasm_simd: bool,
    /// Memory of the machine in GiB, rounded by the browser.
    pub memory_gb: Option<f64>,
    /// Bytes of JavaScript's heap.
    pub heap_bytes: Option<f64>,
    /// Whether there is `navigator.gpu`.
    pub webgpu: bool,
    /// Whether there is `navigator.ml`.
    pub webnn: bool,
    /// The renderer behind WebGL.
    pub renderer: Option<String>,
}

/// What is known of a browser from outside of its pages.
#[derive(Clone, Debug, Default)]
pub struct Browsing {
    /// Its name and version, and those of its driver: `Chromium 156.0.1 (ChromeDriver 156.0.1)`.
    pub label: String,
    /// All that is known, by name.
    pub details: BTreeMap<String, String>,
    /// What starting it took, if it was started for this page.
    pub started: Option<Duration>,
}

/// How a page is brought into a browser; a person who opens the link by hand is one way.
pub trait Opens: Send {
    /// Lets a browser open the address. Returns at once: the page's own connection shows that it is there.
    fn open(&mut self, url: &str) -> Result<(), String>;

    /// Whether the browser is still there, asked while a page is awaited; the error says why it is not.
    fn alive(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// The memory that the browser holds, in bytes, where it can be told.
    fn memory(&mut self) -> Option<u64> {
        None
    }
}

/// Where the page of a browser is served that somebody opens by hand.
#[derive(Clone, Debug)]
pub struct Stand {
    /// The address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    /// The name by which the browser reaches it, if it is not the address: of a tunnel, for example.
    pub host: Option<String>,
    /// How long the link is good for.
    pub patience: Duration,
}

/// How far the page's clock and ours may be apart in one command, besides a tenth of the time: the way to the page and
/// back, and what the page does before and behind the runs.
const SLACK: Duration = Duration::from_millis(60);
/// The same over a network.
const SLACK_BY_HAND: Duration = Duration::from_secs(1);

/// An open page.
pub(crate) struct Page {
    server: Server,
    /// The endpoint, in messages.
    name: String,
    facts: PageFacts,
    opened: Duration,
    slack: Duration,
    next: AtomicU64,
    programs: AtomicU32,
    /// Kept open as long as the page; closed after the server, so that the page ends by itself.
    opener: Mutex<Box<dyn Opens>>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Page {
    /// Opens a page of its own server in a browser and waits until it is connected.
    pub(crate) fn open(name: &str, opener: Box<dyn Opens>) -> Result<Self, Error> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let stand = Stand { address, host: None, patience: CONNECT };
        Self::open_at(name, &stand, SLACK, opener)
    }

    /// Serves a page for whoever opens it, which `opener` asks for.
    pub(crate) fn by_hand(
        name: &str,
        stand: &Stand,
        opener: Box<dyn Opens>,
    ) -> Result<Self, Error> {
        Self::open_at(name, stand, SLACK_BY_HAND, opener)
    }

    fn open_at(
        name: &str,
        stand: &Stand,
        slack: Duration,
        mut opener: Box<dyn Opens>,
    ) -> Result<Self, Error> {
        let failed = |detail: String| Error::Device { device: name.to_owned(), detail };
        let start = clock::start();
        let server = Server::start(stand.address, stand.host.as_deref()).map_err(failed)?;
        opener.open(server.url()).map_err(failed)?;
        server.wait(stand.patience, || opener.alive()).map_err(failed)?;
        let opened = start.elapsed();
        let answer = ask(&server, 0, "facts", json!({}), &[], COMMAND).map_err(failed)?;
        let facts = serde_json::from_value(answer.header["facts"].clone());
        let facts = facts.map_err(|e| failed(format!("the page's facts are broken: {e}")))?;
        let (next, programs) = (AtomicU64::new(1), AtomicU32::new(0));
        let opener = Mutex::new(opener);
        let name = name.to_owned();
        Ok(Self { server, name, facts, opened, slack, next, programs, opener })
    }

    /// What the page said of its browser.
    pub(crate) fn facts(&self) -> &PageFacts {
        &self.facts
    }

    /// The memory that its browser holds, in bytes, where it can be told.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.opener.lock().unwrap_or_else(PoisonError::into_inner).memory()
    }

    /// How far its clock and ours may be apart.
    pub(crate) fn slack(&self) -> Duration {
        self.slack
    }

    /// What it took to come here: the browser's start, the page until it was connected, and the adapter.
    pub(crate) fn stages(&self, browser: &Browsing, adapter: Duration) -> Vec<(String, Duration)> {
        let started = browser.started.map(|time| ("browser".to_owned(), time));
        let own = [("page".to_owned(), self.opened), ("adapter".to_owned(), adapter)];
        started.into_iter().chain(own).collect()
    }

    /// An error of this page.
    pub(crate) fn failed(&self, detail: impl Into<String>) -> Error {
        Error::Device { device: self.name.clone(), detail: detail.into() }
    }

    /// Sends a command; the answer is its header as `T` and the bytes behind it.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        command: &str,
        header: Value,
        parts: &[&[u8]],
    ) -> Result<(T, Vec<Vec<u8>>), Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = ask(&self.server, id, command, header, parts, COMMAND);
        let message = message.map_err(|detail| self.failed(detail))?;
        let header = serde_json::from_value(message.header);
        let header = header
            .map_err(|e| self.failed(format!("the page's answer to {command} is broken: {e}")))?;
        Ok((header, message.parts))
    }

    /// A number for a program, whose content the server gives from now on.
    pub(crate) fn offer(&self, content: Content) -> u32 {
        let id = self.programs.fetch_add(1, Ordering::Relaxed);
        self.server.offer(id, content);
        id
    }

    /// The content of a program is no longer needed.
    pub(crate) fn withdraw(&self, program: u32) {
        self.server.withdraw(program);
    }
}

fn ask(
    server: &Server,
    id: u64,
    command: &str,
    mut header: Value,
    parts: &[&[u8]],
    timeout: Duration,
) -> Result<wire::Message, String> {
    header["id"] = json!(id);
    header["command"] = json!(command);
    let message = server.ask(wire::encode(header, parts), timeout)?;
    if message.header["id"] != json!(id) {
        return Err(format!("the page answered something else than {command}"));
    }
    match message.header["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(message),
    }
}
