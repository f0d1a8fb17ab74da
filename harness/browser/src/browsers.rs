//! The kinds of browsers, where each may be, and a text that changes whenever one comes, goes or changes. Nothing here
//! starts a process: a listing reads this to know whether an earlier probe still holds.

use crate::env;
use crate::fetch;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

/// Which browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Chromium, Google Chrome, or Chromium's headless shell.
    Chromium,
    /// Microsoft Edge.
    Edge,
    /// Mozilla Firefox.
    Firefox,
    /// Safari on macOS, WebKitGTK's MiniBrowser elsewhere.
    WebKit,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Chromium, Kind::Edge, Kind::Firefox, Kind::WebKit];

    /// The name that endpoints and commands use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Chromium => "chromium",
            Kind::Edge => "edge",
            Kind::Firefox => "firefox",
            Kind::WebKit => "webkit",
        }
    }

    /// The engine in it.
    pub fn engine(self) -> &'static str {
        match self {
            Kind::Chromium | Kind::Edge => "Blink",
            Kind::Firefox => "Gecko",
            Kind::WebKit => "WebKit",
        }
    }

    /// Whether it is driven as Chromium is.
    pub(crate) fn is_chromium(self) -> bool {
        matches!(self, Kind::Chromium | Kind::Edge)
    }

    pub(crate) fn places(self) -> &'static Places {
        match self {
            Kind::Chromium => &CHROMIUM,
            Kind::Edge => &EDGE,
            Kind::Firefox => &FIREFOX,
            Kind::WebKit => &WEBKIT,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let known = Kind::ALL.map(Kind::name).join(", ");
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("there is no browser `{text}`; known are {known}"))
    }
}

/// Where a browser and its driver may be.
pub(crate) struct Places {
    /// Variables that name the browser and the driver.
    pub(crate) browser_variable: &'static str,
    pub(crate) driver_variable: &'static str,
    /// Programs, in `PATH` or with a folder, the preferred first.
    browsers: &'static [&'static str],
    drivers: &'static [&'static str],
    /// How to get it.
    pub(crate) remedy: &'static str,
}

const CHROMIUM: Places = Places {
    browser_variable: "PROOFMARK_CHROMIUM",
    driver_variable: "PROOFMARK_CHROMEDRIVER",
    browsers: &[
        "google-chrome",
        "google-chrome-stable",
        "chromium",
        "chromium-browser",
        "chrome-headless-shell",
        "/opt/google/chrome/chrome",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ],
    drivers: &[
        "chromedriver",
        "/usr/lib/chromium/chromedriver",
        "/usr/lib/chromium-browser/chromedriver",
        "/opt/homebrew/bin/chromedriver",
    ],
    remedy: "`apt install chromium chromium-driver`, `brew install --cask chromium chromedriver`, or \
        `cargo xtask browsers fetch chromium-shell`; or set PROOFMARK_CHROMIUM and PROOFMARK_CHROMEDRIVER",
};

const EDGE: Places = Places {
    browser_variable: "PROOFMARK_EDGE",
    driver_variable: "PROOFMARK_MSEDGEDRIVER",
    browsers: &[
        "microsoft-edge",
        "microsoft-edge-stable",
        "/opt/microsoft/msedge/msedge",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ],
    drivers: &["msedgedriver", "/opt/homebrew/bin/msedgedriver"],
    remedy: "install Edge and its driver from Microsoft (macOS: `brew install --cask microsoft-edge`), \
        or set PROOFMARK_EDGE and PROOFMARK_MSEDGEDRIVER",
};

const FIREFOX: Places = Places {
    browser_variable: "PROOFMARK_FIREFOX",
    driver_variable: "PROOFMARK_GECKODRIVER",
    browsers: &[
        "firefox",
        "firefox-esr",
        "/usr/lib/firefox/firefox",
        "/Applications/Firefox.app/Contents/MacOS/firefox",
    ],
    drivers: &["geckodriver", "/snap/bin/geckodriver", "/opt/homebrew/bin/geckodriver"],
    remedy: "`apt install firefox-esr` (Debian) or `brew install --cask firefox`, and \
        `brew install geckodriver` or `cargo xtask browsers fetch geckodriver`; \
        or set PROOFMARK_FIREFOX and PROOFMARK_GECKODRIVER",
};

const WEBKIT: Places = Places {
    browser_variable: "PROOFMARK_WEBKIT",
    driver_variable: "PROOFMARK_WEBKITDRIVER",
    browsers: &[
        "/Applications/Safari.app/Contents/MacOS/Safari",
        "/usr/lib/x86_64-linux-gnu/webkitgtk-6.0/MiniBrowser",
        "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
        "/usr/lib/aarch64-linux-gnu/webkitgtk-6.0/MiniBrowser",
        "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
        "/usr/libexec/webkitgtk-6.0/MiniBrowser",
        "/usr/libexec/webkit2gtk-4.1/MiniBrowser",
        "/usr/lib/webkitgtk-6.0/MiniBrowser",
        "/usr/lib/webkit2gtk-4.1/MiniBrowser",
    ],
    drivers: &["/usr/bin/safaridriver", "WebKitWebDriver"],
    remedy: "`apt install webkit2gtk-driver xvfb` (on macOS Safari is there: run `safaridriver --enable` once), \
        or set PROOFMARK_WEBKIT and PROOFMARK_WEBKITDRIVER",
};

/// Device files that appear with a GPU: drawing, compute, NVIDIA's, and Windows' below Linux.
const DEVICES: [&str; 3] = ["/dev/kfd", "/dev/nvidia0", "/dev/dxg"];

/// The signs of a GPU of this machine's own. A Mac has one always.
pub(crate) fn gpus() -> Vec<PathBuf> {
    let in_dri = fs::read_dir("/dev/dri").into_iter().flatten().flatten().map(|e| e.path());
    let is_render = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("renderD"))
    };
    let mut found: Vec<_> = in_dri.filter(is_render).collect();
    found.extend(DEVICES.iter().map(PathBuf::from).filter(|path| path.exists()));
    found.sort_unstable();
    found
}

/// Whether this machine has a GPU that a browser could use, so that no software adapter may be put in its place.
pub(crate) fn has_gpu() -> bool {
    cfg!(target_os = "macos") || !gpus().is_empty()
}

/// The browsers of this kind that are installed, the preferred first.
pub(crate) fn browser_files(kind: Kind) -> Vec<PathBuf> {
    files(kind.places().browsers)
}

/// The drivers of this kind that are installed or fetched, the preferred first.
pub(crate) fn driver_files(kind: Kind) -> Vec<PathBuf> {
    let mut found = files(kind.places().drivers);
    let fetched = match kind {
        Kind::Firefox => fetch::geckodriver_file(),
        Kind::Chromium | Kind::Edge | Kind::WebKit => None,
    };
    found.extend(fetched.filter(|file| file.is_file()));
    found
}

/// The programs of these names that exist, each file once.
fn files(names: &[&str]) -> Vec<PathBuf> {
    let folders = env::path();
    let mut found: Vec<(PathBuf, PathBuf)> = Vec::new();
    for name in names {
        // A name with a folder stays as it is: joining an absolute path replaces what is before.
        let is_absolute = Path::new(name).is_absolute();
        let places = if is_absolute { &[PathBuf::from("/")][..] } else { &folders[..] };
        let places = places.iter().map(|folder| folder.join(name));
        for file in places.filter(|file| file.is_file()) {
            let real = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if found.iter().all(|(_, known)| *known != real) {
                found.push((file, real));
            }
        }
    }
    found.into_iter().map(|(file, _)| file).collect()
}

/// A text that changes whenever a browser of this kind, its driver, or what decides how it is started may have
/// changed.
pub fn signals(kind: Kind) -> String {
    let places = kind.places();
    let variables = [places.browser_variable, places.driver_variable, env::NO_SANDBOX];
    let mut text = env::settings(&[&variables[..], &env::DISPLAYS[..]].concat());
    let named = [places.browser_variable, places.driver_variable].map(env::var);
    named.iter().flatten().for_each(|file| describe(&mut text, Path::new(file)));
    let fetched = match kind {
        Kind::Chromium => fetch::shell_files().map(|files| vec![files.browser, files.driver]),
        Kind::Edge | Kind::Firefox | Kind::WebKit => None,
    };
    let found = [browser_files(kind), driver_files(kind), fetched.unwrap_or_default()].concat();
    found.iter().for_each(|file| describe(&mut text, file));
    // A wrapper may stay as it is while the program behind it is replaced.
    let behind = ["/usr/lib/chromium/chromium", "/usr/lib/firefox-esr/firefox-esr"];
    behind.iter().for_each(|file| describe(&mut text, Path::new(file)));
    gpus().iter().for_each(|gpu| {
        let _ = writeln!(text, "{}", gpu.display());
    });
    text
}

/// Name, size and time of change.
fn describe(text: &mut String, path: &Path) {
    let Ok(facts) = path.metadata() else { return };
    let changed = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let changed = changed.unwrap_or_default().as_nanos();
    let _ = writeln!(text, "{} {} {changed}", path.display(), facts.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_what_its_name_says() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let message = "opera".parse::<Kind>().unwrap_err();
        assert_eq!(
            message,
            "there is no browser `opera`; known are chromium, edge, firefox, webkit"
        );
    }

    #[test]
    fn a_program_that_has_two_names_is_found_once_and_a_changed_one_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("browser"), folder.path().join("link"));
        let missing = folder.path().join("missing");
        fs::write(&file, "1").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let names = [&missing, &link, &file].map(|path| path.to_str().unwrap());
        assert_eq!(files(&names), std::slice::from_ref(&link));
        let text = || {
            let mut text = String::new();
            describe(&mut text, &link);
            text
        };
        let before = text();
        fs::write(&file, "12").unwrap();
        assert_ne!(before, text());
    }
}
