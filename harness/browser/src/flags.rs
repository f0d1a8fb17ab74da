//! What browsers are told at their start: Chromium's flags, Firefox's preferences, and the capabilities that a driver is
//! asked for.

use crate::browsers::{self, Kind};
use crate::env;
use crate::home::Home;
use crate::launch::Options;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Below this a browser is told not to keep what its processes share in `/dev/shm`: weights go that way to the GPU.
const SHARED_MEMORY_BYTES: u64 = 1 << 30;

/// For every run of Chromium: no first-run pages, no traffic of its own, no cache of old pages, and no saving of power
/// while nobody looks.
const CHROMIUM: [&str; 21] = [
    "--headless=new",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-hang-monitor",
    "--disable-popup-blocking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
    "--enable-unsafe-webgpu",
    "--disable-features=BackForwardCache,Translate,MediaRouter,OptimizationHints",
];

/// Whether a software adapter is asked for: only where there is no GPU that it could hide, or by wish.
pub(crate) fn is_software(options: &Options) -> bool {
    options.software.unwrap_or_else(|| !browsers::has_gpu())
}

/// The flags of Chromium and Edge.
pub(crate) fn chromium(home: &Home, options: &Options) -> Vec<String> {
    let mut flags: Vec<String> = CHROMIUM.map(str::to_owned).into();
    flags.push("--remote-debugging-port=0".to_owned());
    flags.push(format!("--user-data-dir={}", home.folder.join("profile").display()));
    let mut features = Vec::new();
    if options.webnn {
        features.push("WebMachineLearningNeuralNetwork");
    }
    if is_software(options) {
        flags.push("--use-webgpu-adapter=swiftshader".to_owned());
        // A dispatch in software may take longer than the watchdog of the GPU process lets pass.
        flags.push("--disable-gpu-watchdog".to_owned());
    } else if cfg!(target_os = "linux") {
        features.push("Vulkan");
        flags.extend(["--use-angle=vulkan", "--disable-vulkan-surface"].map(str::to_owned));
    }
    if !features.is_empty() {
        flags.push(format!("--enable-features={}", features.join(",")));
    }
    if rustix::process::geteuid().is_root() || env::var(env::NO_SANDBOX).is_some() {
        flags.push("--no-sandbox".to_owned());
    }
    if has_little_shared_memory() {
        flags.push("--disable-dev-shm-usage".to_owned());
    }
    flags.extend(options.flags.iter().cloned());
    flags
}

fn has_little_shared_memory() -> bool {
    let facts = rustix::fs::statvfs("/dev/shm");
    facts.is_ok_and(|facts| facts.f_bavail.saturating_mul(facts.f_frsize) < SHARED_MEMORY_BYTES)
}

/// The preferences of Firefox: WebGPU on any adapter, no cache of old pages, the clock as fine as it is, no proxy, no
/// dialogs of its own.
pub(crate) fn firefox() -> BTreeMap<String, Value> {
    let preferences = [
        ("dom.webgpu.enabled", json!(true)),
        ("gfx.webgpu.ignore-blocklist", json!(true)),
        ("gfx.webgpu.force-enabled", json!(true)),
        ("privacy.reduceTimerPrecision", json!(false)),
        ("privacy.reduceTimerPrecision.unconditional", json!(false)),
        ("browser.sessionhistory.max_total_viewers", json!(0)),
        ("fission.bfcacheInParent", json!(false)),
        ("dom.disable_beforeunload", json!(true)),
        ("dom.max_script_run_time", json!(0)),
        ("network.proxy.type", json!(0)),
    ];
    preferences.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What is asked of every driver: not to wait for pages to load, and to close dialogs and tell them.
fn common(name: &str) -> Map<String, Value> {
    let mut wanted = Map::new();
    wanted.insert("browserName".to_owned(), json!(name));
    wanted.insert("pageLoadStrategy".to_owned(), json!("none"));
    wanted.insert("unhandledPromptBehavior".to_owned(), json!("dismiss and notify"));
    wanted
}

/// For a Chromium that runs already and listens at this address.
pub(crate) fn attach(kind: Kind, address: &str) -> Map<String, Value> {
    let (name, key) = match kind {
        Kind::Edge => ("MicrosoftEdge", "ms:edgeOptions"),
        _ => ("chrome", "goog:chromeOptions"),
    };
    let mut wanted = common(name);
    wanted.insert(key.to_owned(), json!({ "debuggerAddress": address }));
    wanted
}

/// For a Firefox that the driver starts.
pub(crate) fn start_firefox(
    browser: &Path,
    flags: &[String],
    preferences: &BTreeMap<String, Value>,
) -> Map<String, Value> {
    let mut wanted = common("firefox");
    let options = json!({ "binary": browser, "args": flags, "prefs": preferences });
    wanted.insert("moz:firefoxOptions".to_owned(), options);
    wanted
}

/// For Safari, or for WebKitGTK's MiniBrowser, which the driver starts.
pub(crate) fn start_webkit(browser: &Path, flags: &[String]) -> Map<String, Value> {
    if cfg!(target_os = "macos") {
        return common("safari");
    }
    let mut wanted = common("MiniBrowser");
    let options = json!({ "binary": browser, "args": flags });
    wanted.insert("webkitgtk:browserOptions".to_owned(), options);
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_adapter_is_asked_for_only_where_there_is_no_gpu_or_by_wish() {
        let home = Home { folder: "/a".into(), short: "/b".into() };
        let software = |flags: &[String]| flags.iter().any(|flag| flag.contains("swiftshader"));
        let with = |software| chromium(&home, &Options { software, ..Options::default() });
        assert!(software(&with(Some(true))) && !software(&with(Some(false))));
        assert_eq!(software(&with(None)), !browsers::has_gpu());
    }

    #[test]
    fn features_are_one_flag() {
        let home = Home { folder: "/a".into(), short: "/b".into() };
        let options = Options { webnn: true, software: Some(false), ..Options::default() };
        let flags = chromium(&home, &options);
        let enabled: Vec<_> = flags.iter().filter(|f| f.starts_with("--enable-features")).collect();
        assert_eq!(enabled.len(), 1, "{flags:?}");
        assert!(enabled[0].contains("WebMachineLearningNeuralNetwork"), "{enabled:?}");
    }
}
