//! WebGPU and WebNN in real browsers: browsers are found, fetched, started and ended, and graphs are run in them.
//!
//! A browser runs a small page (`page/`), which does what it is told over a channel: it opens an adapter, fetches
//! weights, compiles the same WGSL as the native device, runs, and reads back. The same page works when a person opens
//! it by hand. What a result is worth (its class) is decided here, from what the browser says and how fast it is.

mod browsers;
mod clock;
mod content;
mod endpoint;
mod env;
mod error;
mod fetch;
mod flags;
mod home;
mod installed;
mod launch;
mod mark;
mod page;
mod parts;
mod process;
mod program;
mod running;
mod secret;
mod server;
mod service;
mod session;
mod signals;
mod tab;
mod webgpu;
mod webnn;
mod wire;

pub use browsers::{Kind, signals};
pub use endpoint::{BrowserDevice, BrowserEndpoint, Interface, Wishes};
pub use error::Error;
pub use fetch::{FETCHABLE, fetch};
pub use home::sweep;
pub use installed::{Installed, installed};
pub use launch::{Browser, Facts, Opened, Options};
pub use mark::{AdapterInfo, Evidence, Rates, classify};
pub use service::{Client, Service, Window, serve};
pub use tab::{Browsing, Opens, PageFacts, Stand};
pub use webgpu::{CompileTimes, WebGpuDevice, page_opening, page_plan};
pub use webnn::{DeviceType, Fallback, WebNnDevice};
