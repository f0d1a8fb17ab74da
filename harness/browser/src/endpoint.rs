//! Endpoints in browsers: which browser, which interface, and how a device of it is opened, in a browser of one's own
//! or in one that a service keeps.

use crate::browsers::{Kind, signals};
use crate::installed::{Installed, installed};
use crate::launch::{Facts, Options};
use crate::service::{Service, Window, serve};
use crate::signals::Guard;
use crate::tab::{Browsing, Opens};
use crate::webgpu::WebGpuDevice;
use crate::webnn::{DeviceType, Fallback, WebNnDevice};
use crate::{Error as BrowserError, page};
use proofmark_kernels::webgpu::plan_sources;
use proofmark_kernels::{Device, Error, Graph, Precision, Source, webnn};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// The interface of a browser that runs graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// WebGPU.
    WebGpu,
    /// WebNN.
    WebNn,
}

/// An opened device of a browser.
#[derive(Debug)]
pub enum BrowserDevice {
    /// Of WebGPU.
    WebGpu(Box<WebGpuDevice>),
    /// Of WebNN.
    WebNn(Box<WebNnDevice>),
}

/// What is asked of an endpoint besides being there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// Of WebNN: the device type of the context.
    pub device_type: DeviceType,
    /// Of WebNN: what happens with what it lacks.
    pub fallback: Fallback,
}

impl BrowserDevice {
    /// The device for whoever needs no more than that.
    pub fn boxed(self) -> Box<dyn Device> {
        match self {
            Self::WebGpu(device) => device,
            Self::WebNn(device) => device,
        }
    }
}

/// An endpoint in a browser.
#[derive(Clone, Copy, Debug)]
pub struct BrowserEndpoint {
    /// Its name: `webgpu-chromium`.
    pub name: &'static str,
    /// The browser.
    pub kind: Kind,
    /// What of it runs the graphs.
    pub interface: Interface,
}

impl BrowserEndpoint {
    /// An endpoint of this name.
    pub const fn new(name: &'static str, kind: Kind, interface: Interface) -> Self {
        Self { name, kind, interface }
    }

    /// Opens the device: in the browser of a service if there is an address, otherwise in one that is started for it
    /// and ends with it.
    pub fn open(&self, service: Option<&str>, wishes: Wishes) -> Result<BrowserDevice, Error> {
        match service {
            Some(address) => {
                let window = Window::served(address).map_err(|e| self.failed(&e))?;
                self.open_in(Opener { window, own: None }, wishes)
            }
            None => self.first(|installed| {
                let folder = tempfile::Builder::new().prefix("proofmark-").tempdir();
                let unmade = |e: std::io::Error| Error::Device {
                    device: self.name.into(),
                    detail: format!("failed to make a folder for a browser's profile: {e}"),
                };
                let folder = folder.map_err(unmade)?;
                let guard = Guard::of(folder.path()).map_err(unmade)?;
                let window = Window::own(installed, folder.path(), &self.options());
                let window = window.map_err(|e| self.failed(&e))?;
                self.open_in(Opener { window, own: Some((guard, folder)) }, wishes)
            }),
        }
    }

    /// Starts a browser in which this endpoint is there, and keeps it for others: the address is for
    /// [`BrowserEndpoint::open`].
    pub fn serve(&self, folder: &Path) -> Result<(String, Service), Error> {
        let candidates = self.candidates()?;
        let only = candidates.len() == 1;
        self.first(|installed| {
            let served = serve(installed, &self.options(), folder);
            let (address, service) = served.map_err(|e| self.failed(&e))?;
            // Among several, the one is meant that has what the endpoint needs.
            if !only {
                drop(self.open(Some(&address), Wishes::default())?);
            }
            Ok((address, service))
        })
    }

    /// A text that changes when the browser may have come, gone or changed.
    pub fn signals(&self) -> String {
        format!("{}{}", signals(self.kind), page::digest(&page::sources()))
    }

    /// The sources that a result of a graph depends on: kernels, their planner, and the page.
    pub fn sources(&self, graph: &Graph, precision: Precision) -> Vec<Source> {
        let mut sources = match self.interface {
            Interface::WebGpu => plan_sources(graph, precision),
            Interface::WebNn => webnn::sources(graph, precision),
        };
        sources.extend(page::sources());
        sources
    }

    fn options(&self) -> Options {
        Options { webnn: self.interface == Interface::WebNn, ..Options::default() }
    }

    /// The browsers of the kind. The headless shell has WebNN where distributions leave it out, so it is first there.
    fn candidates(&self) -> Result<Vec<Installed>, Error> {
        let mut found = installed(self.kind).map_err(|e| self.failed(&e))?;
        if self.interface == Interface::WebNn {
            found.reverse();
        }
        Ok(found)
    }

    /// What the first of the candidates gives that gives something; their words if none does.
    fn first<T>(&self, work: impl Fn(&Installed) -> Result<T, Error>) -> Result<T, Error> {
        let mut reasons = Vec::new();
        for candidate in self.candidates()? {
            match work(&candidate) {
                Err(Error::Absent { detail, .. }) => reasons.push(detail),
                other => return other,
            }
        }
        Err(Error::Absent { device: self.name.into(), detail: reasons.join("; ") })
    }

    fn open_in(&self, opener: Opener, wishes: Wishes) -> Result<BrowserDevice, Error> {
        let facts = opener.window.facts();
        let started =
            matches!(opener.window, Window::Own(_)).then(|| Duration::from_nanos(facts.start_ns));
        let browser = Browsing { started, ..browsing(facts) };
        let opener = Box::new(opener);
        match self.interface {
            Interface::WebGpu => {
                let device = WebGpuDevice::open(self.name, browser, opener)?;
                Ok(BrowserDevice::WebGpu(Box::new(device)))
            }
            Interface::WebNn => {
                let wishes = (wishes.device_type, wishes.fallback);
                let device = WebNnDevice::open(self.name, wishes, browser, opener)?;
                Ok(BrowserDevice::WebNn(Box::new(device)))
            }
        }
    }

    fn failed(&self, error: &BrowserError) -> Error {
        let (device, detail) = (self.name.to_owned(), error.to_string());
        match error {
            BrowserError::Absent { .. } => Error::Absent { device, detail },
            _ => Error::Device { device, detail },
        }
    }
}

/// What the driver's side knows of a browser, for records.
fn browsing(facts: &Facts) -> Browsing {
    let mut driver = facts.driver.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(version) = &facts.driver_version {
        driver = format!("{driver} {version}");
    }
    let preferences = serde_json::to_string(&facts.preferences).unwrap_or_default();
    let variables: Vec<_> = facts.variables.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let details = [
        ("browser", facts.name.clone()),
        ("browser-version", facts.version.clone()),
        ("engine", facts.engine.to_string()),
        ("executable", facts.executable.display().to_string()),
        ("webdriver", driver.clone()),
        ("flags", facts.flags.join(" ")),
        ("preferences", preferences),
        ("variables", variables.join(" ")),
        ("software-adapter-asked", facts.software.to_string()),
    ];
    let details = details.into_iter().filter(|(_, value)| !value.is_empty() && value != "{}");
    let details: BTreeMap<_, _> = details.map(|(name, value)| (name.to_owned(), value)).collect();
    let label = format!("{} {} ({driver})", facts.name, facts.version);
    Browsing { label, details, started: None }
}

/// A window; and if the browser is this process's own, what ends it at a signal, and its folder, which goes last.
struct Opener {
    window: Window,
    own: Option<(Guard, TempDir)>,
}

impl Opens for Opener {
    fn open(&mut self, url: &str) -> Result<(), String> {
        self.window.open(url).map(drop).map_err(|e| e.to_string())
    }

    fn alive(&mut self) -> Result<(), String> {
        self.window.alive().map_err(|e| e.to_string())
    }

    fn memory(&mut self) -> Option<u64> {
        self.window.memory()
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        // A browser that stays gives back what the page held; one that goes needs no telling.
        if self.own.is_none() {
            let _ = self.window.close();
        }
    }
}
