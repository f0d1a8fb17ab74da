//! The only reader of the environment in this crate.

use std::ffi::OsString;
use std::path::PathBuf;

/// The cargo that started us, or the one in `PATH`.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The folder in which the command was started.
pub(crate) fn current_dir() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}
