//! WebGPU and WebNN in real browsers: browsers are found, started and ended, and graphs are run in them.
//!
//! A browser runs a small page (`page/`), which does what it is told over a channel: it opens an adapter, fetches
//! weights, compiles the same WGSL as the native device, runs, and reads back. The same page works when a person opens
//! it by hand. What a result is worth (its class) is decided here, from what the browser says and how fast it is.

mod clock;
mod content;
mod mark;
mod page;
mod program;
mod secret;
mod server;
mod tab;
mod webgpu;
mod wire;

pub use mark::{AdapterInfo, Evidence, Rates, classify};
pub use tab::{Browsing, Opens, PageFacts};
pub use webgpu::WebGpuDevice;
