//! The only reader of the environment in this crate: which browsers to take, and where fetched ones are.

use std::path::{Path, PathBuf};

/// Set (to anything) where a Chromium cannot make its sandbox and is trusted without one.
pub(crate) const NO_SANDBOX: &str = "PROOFMARK_NO_SANDBOX";
/// Where an X or Wayland display is.
pub(crate) const DISPLAYS: [&str; 2] = ["DISPLAY", "WAYLAND_DISPLAY"];
/// The longest folder for temporary files in which a browser's own sockets still fit into an address.
const SHORT: usize = 24;

/// A variable that is set and not empty.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables of these names that are set, as `NAME=value` lines.
pub(crate) fn settings(names: &[&str]) -> String {
    let line = |name: &&str| var(name).map(|value| format!("{name}={value}\n"));
    names.iter().filter_map(line).collect()
}

/// The folders of `PATH`.
pub(crate) fn path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

/// The folder of a user's home.
pub(crate) fn home() -> Option<PathBuf> {
    var("HOME").map(PathBuf::from)
}

/// Where fetched browsers are: `browsers` in `PROOFMARK_CACHE`, or in `proofmark` in the user's cache folder.
pub(crate) fn browsers_dir() -> Option<PathBuf> {
    let own = var("PROOFMARK_CACHE").map(PathBuf::from);
    let caches = || var("XDG_CACHE_HOME").map(PathBuf::from);
    let shared = || caches().or_else(|| home().map(|home| home.join(".cache")));
    let cache = own.or_else(|| shared().map(|folder| folder.join("proofmark")));
    cache.map(|folder| folder.join("browsers"))
}

/// The folder for temporary files, if its path is short enough for sockets below it; `/tmp` otherwise.
pub(crate) fn short_temp_dir() -> PathBuf {
    let given = std::env::temp_dir();
    let is_short = given.as_os_str().len() <= SHORT;
    if is_short && given.is_absolute() { given } else { Path::new("/tmp").to_owned() }
}
