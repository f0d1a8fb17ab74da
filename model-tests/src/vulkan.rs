//! What the Vulkan loader would find, without asking it: driver manifests, the libraries that they name, and the
//! variables that choose between them. A listing reads this to know whether an earlier probe still holds.

use crate::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Variables by which the loader, a driver or wgpu chooses an adapter.
const VARIABLES: [&str; 12] = [
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_ADD_DRIVER_FILES",
    "VK_LOADER_DRIVERS_SELECT",
    "VK_LOADER_DRIVERS_DISABLE",
    "VK_LOADER_DEVICE_SELECT",
    "MESA_VK_DEVICE_SELECT",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "WGPU_ADAPTER_NAME",
    "WGPU_BACKEND",
    "WGPU_POWER_PREF",
];

/// Those of them that list driver manifests.
const LISTS: [&str; 3] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"];

/// Folders in which the loader looks for driver manifests.
const MANIFESTS: [&str; 4] = [
    "/usr/share/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/local/etc/vulkan/icd.d",
];

/// Folders in which libraries are that a manifest names without a folder, and the loader itself.
const LIBRARIES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];

/// Device files that appear with a GPU.
const DEVICES: [&str; 3] = ["/dev/dri", "/dev/nvidia0", "/dev/dxg"];

/// A text that changes whenever an adapter may come, go or change.
pub(crate) fn signals() -> String {
    let mut text = env::settings(&VARIABLES);
    let named = LISTS.iter().filter_map(|name| env::var(name));
    let named = named.flat_map(|list| list.split(':').map(PathBuf::from).collect::<Vec<_>>());
    for place in MANIFESTS.iter().map(PathBuf::from).chain(named) {
        describe_drivers(&mut text, &place);
    }
    library_files("libvulkan.so.1").iter().for_each(|file| describe(&mut text, file));
    for device in DEVICES {
        for entry in entries(Path::new(device)) {
            let _ = writeln!(text, "{}", entry.display());
        }
    }
    text
}

/// The manifests of a folder (or the one that is named) and the libraries of their drivers.
fn describe_drivers(text: &mut String, place: &Path) {
    for manifest in entries(place) {
        describe(text, &manifest);
        if let Some(library) = library_of(&manifest) {
            library_files(&library).iter().for_each(|file| describe(text, file));
        }
    }
}

/// What is in a folder, in order; the file itself if it is one.
fn entries(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// Name, size and time of change.
fn describe(text: &mut String, path: &Path) {
    let Ok(facts) = path.metadata() else { return };
    let changed = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let changed = changed.unwrap_or_default().as_nanos();
    let _ = writeln!(text, "{} {} {changed}", path.display(), facts.len());
}

fn library_of(manifest: &Path) -> Option<String> {
    let value: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(manifest).ok()?).ok()?;
    Some(value["ICD"]["library_path"].as_str()?.to_owned())
}

fn library_files(library: &str) -> Vec<PathBuf> {
    if library.contains('/') {
        return vec![library.into()];
    }
    LIBRARIES.iter().map(|folder| Path::new(folder).join(library)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_comes_changes_or_goes_changes_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, library) = (folder.path().join("a.json"), folder.path().join("a.so"));
        let text = |place: &Path| {
            let mut text = String::new();
            describe_drivers(&mut text, place);
            text
        };
        let library_path = format!(r#"{{"ICD": {{"library_path": "{}"}}}}"#, library.display());
        let mut seen = vec![text(&manifest)];
        fs::write(&manifest, library_path).unwrap();
        seen.push(text(&manifest));
        fs::write(&library, "1").unwrap();
        seen.push(text(&manifest));
        fs::write(&library, "12").unwrap();
        seen.push(text(&manifest));
        seen.dedup();
        assert_eq!(seen.len(), 4, "{seen:#?}");
        assert_eq!(text(&manifest), seen[3]);
    }
}
