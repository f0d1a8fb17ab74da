//! WebGPU and WebNN in real browsers.

mod browsers;
mod clock;
mod env;
mod error;
mod fetch;
mod flags;
mod home;
mod installed;
mod launch;
mod process;
mod running;
mod service;
mod session;

pub use browsers::{Kind, signals};
pub use error::Error;
pub use fetch::{FETCHABLE, fetch};
pub use home::sweep;
pub use installed::{Installed, installed};
pub use launch::{Browser, Facts, Opened, Options};
pub use service::{Client, Service, Window, serve};
