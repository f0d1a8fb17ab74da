//! The only reader of the environment in this crate: where models are kept, and what the Vulkan loader is told.

use proofmark_browser::DeviceType;
use proofmark_kernels::Error;
use std::path::PathBuf;

/// A folder with models that are there already, each in a folder of its name.
pub(crate) const MODELS: &str = "PROOFMARK_MODELS";
/// The folder for everything that is fetched.
pub(crate) const CACHE: &str = "PROOFMARK_CACHE";

/// Set to have the published sizes measured.
pub(crate) const PUBLISHED: &str = "PROOFMARK_PUBLISHED";

/// A variable that is set and not empty.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The device type that WebNN is asked for: cpu unless it is set.
pub(crate) const WEBNN_DEVICE: &str = "PROOFMARK_WEBNN_DEVICE";

/// The device type that WebNN is asked for.
pub(crate) fn webnn_device_type() -> Result<DeviceType, Error> {
    let parsed = var(WEBNN_DEVICE).map_or(Ok(DeviceType::default()), |text| text.parse());
    parsed.map_err(|why| Error::Input {
        name: WEBNN_DEVICE.into(),
        expected: "cpu, gpu or npu".into(),
        found: why,
    })
}

/// The folder that the user keeps models in.
pub(crate) fn models_dir() -> Option<PathBuf> {
    var(MODELS).map(PathBuf::from)
}

/// The per-user folder for what is fetched: `PROOFMARK_CACHE`, or `proofmark` in the user's cache folder.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    if let Some(folder) = var(CACHE) {
        return Some(folder.into());
    }
    let caches = var("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".cache")));
    caches.map(|folder| folder.join("proofmark"))
}

/// The variables of these names that are set, as `NAME=value` lines.
pub(crate) fn settings(names: &[&str]) -> String {
    let line = |name: &&str| var(name).map(|value| format!("{name}={value}\n"));
    names.iter().filter_map(line).collect()
}
