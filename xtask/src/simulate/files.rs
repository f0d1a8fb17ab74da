//! The files of predictions: devices, measured operators, a fit in its folder.

use anyhow::{Context as _, Result, bail};
use proofmark::fingerprint::digest;
use proofmark_lab::simulate::model::VERSION;
use proofmark_lab::simulate::{Device, Fit, Measured, Validation, table};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of a fit in its folder.
const FIT: &str = "fit.json";
/// The name of what was found by leaving out.
const VALIDATION: &str = "validation.json";

/// Reads a file of devices.
pub(super) fn devices(path: &Path) -> Result<Vec<Device>> {
    let text = read(path)?;
    let text = String::from_utf8(text)
        .with_context(|| format!("failed to read the devices {}: no UTF-8", path.display()))?;
    Device::read_all(&text)
        .with_context(|| format!("failed to understand the devices {}", path.display()))
}

/// Reads measured operators; gives a hash of the bytes too.
pub(super) fn measured(path: &Path, devices: &[Device]) -> Result<(Vec<Measured>, String)> {
    let bytes = read(path)?;
    let rows = table::read_measured(bytes.as_slice(), devices)
        .with_context(|| format!("failed to understand the operators {}", path.display()))?;
    let hash = digest([bytes, serde_json::to_vec(devices)?].concat());
    Ok((rows, hash))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

/// Writes a fit and its validation. A fit of other inputs that is there is kept beside it.
pub(super) fn write_fit(folder: &Path, fit: &Fit, validation: &Validation) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("failed to create the folder {}", folder.display()))?;
    keep_earlier(folder, &fit.inputs)?;
    write(&folder.join(VALIDATION), &serde_json::to_vec_pretty(validation)?)?;
    write(&folder.join(FIT), &serde_json::to_vec(fit)?)
}

/// Renames what other inputs made, by their hash.
fn keep_earlier(folder: &Path, inputs: &str) -> Result<()> {
    let Ok(earlier) = read_fit(folder) else { return Ok(()) };
    if earlier.inputs == inputs {
        return Ok(());
    }
    let short = &earlier.inputs[..earlier.inputs.len().min(12)];
    for (name, kept) in [(FIT, "fit"), (VALIDATION, "validation")] {
        let kept = folder.join(format!("{kept}-{short}.json"));
        if folder.join(name).exists() {
            fs::rename(folder.join(name), &kept)
                .with_context(|| format!("failed to keep the earlier fit as {}", kept.display()))?;
        }
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = partial(path);
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// Where a file is written before it is whole.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Reads the fit of a folder.
pub(super) fn read_fit(folder: &Path) -> Result<Fit> {
    let path = folder.join(FIT);
    let bytes = read(&path).context("make a fit first: cargo xtask simulate fit")?;
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("failed to understand the fit {}", path.display()))?;
    let version = value["version"].as_u64();
    if version != Some(u64::from(VERSION)) {
        bail!(
            "the fit {} is of version {}, this program's is {VERSION}: fit again",
            path.display(),
            version.map_or_else(|| "no known".to_owned(), |version| version.to_string()),
        );
    }
    serde_json::from_value(value)
        .with_context(|| format!("failed to understand the fit {}", path.display()))
}
