//! Browsers that this process started for itself end with it also when a signal ends it: Ctrl-C, a closed terminal,
//! a request to end. Nothing can be done about a signal that kills.

use crate::home;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// As long as it lives, a signal that ends this process ends the browser in the folder first.
#[derive(Debug)]
pub(crate) struct Guard(PathBuf);

impl Guard {
    pub(crate) fn of(folder: &Path) -> io::Result<Guard> {
        watch()?;
        let folder = folder.to_owned();
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.clone());
        Ok(Guard(folder))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Waits for signals, once in a process.
fn watch() -> io::Result<()> {
    static WATCHED: OnceLock<Result<(), io::ErrorKind>> = OnceLock::new();
    let watched = WATCHED.get_or_init(|| {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(|e| e.kind())?;
        std::thread::spawn(move || signals.forever().for_each(end));
        Ok(())
    });
    (*watched).map_err(io::Error::from)
}

/// Ends the browsers, and then this process as the signal would have done.
fn end(signal: i32) {
    // Held to the end, so that no browser starts meanwhile.
    let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    folders.iter().for_each(|folder| home::sweep(folder));
    let _ = emulate_default_handler(signal);
}
