//! The parts of a fingerprint that come from the build: compiler, profile, and crates at their locked versions.

use crate::env::workspace_root;
use crate::environment::{PROFILE, RUSTC};
use crate::fingerprint::Part;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Compiler, profile, the compiler's flags and target features, and how samples are taken.
pub fn build_parts() -> [Part; 4] {
    [
        Part::text("rustc", RUSTC),
        Part::text("profile", PROFILE),
        Part::text("rustflags", env!("PROOFMARK_RUSTFLAGS")),
        Part::hashed("sampling", include_str!("sampling.rs")),
    ]
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The crates `roots` and everything below them, at the versions of the workspace's `Cargo.lock`.
/// Crates of the workspace itself are not parts: their sources are named where they matter.
pub fn crate_parts(manifest_dir: &Path, roots: &[&str]) -> Result<Vec<Part>, String> {
    let path = workspace_root(manifest_dir).join("Cargo.lock");
    let context = |e: &dyn std::fmt::Display| format!("failed to read {}: {e}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|e| context(&e))?;
    let lock: Lock = toml::from_str(&text).map_err(|e| context(&e))?;
    closure(&lock, roots).map_err(|name| {
        format!(
            "failed to find the crate `{name}` in {}: it is a root of the fingerprint",
            path.display()
        )
    })
}

fn closure(lock: &Lock, roots: &[&str]) -> Result<Vec<Part>, String> {
    let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    lock.package.iter().for_each(|p| by_name.entry(&p.name).or_default().push(p));
    let mut seen = BTreeSet::new();
    let mut queue: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    while let Some(wanted) = queue.pop() {
        // An entry is `name`, or `name version` where several versions are locked.
        let (name, version) = wanted.split_once(' ').unwrap_or((&wanted, ""));
        let version = version.split(' ').next().unwrap_or_default();
        let packages = by_name.get(name).ok_or_else(|| name.to_owned())?;
        for package in packages.iter().filter(|p| version.is_empty() || p.version == version) {
            if seen.insert((&package.name, &package.version, package.source.is_some())) {
                queue.extend(package.dependencies.iter().cloned());
            }
        }
    }
    let external = seen.into_iter().filter(|(_, _, external)| *external);
    Ok(external.map(|(name, version, _)| Part::text(format!("crate {name}"), version)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closure_follows_versions_and_leaves_out_the_rest() {
        let lock: Lock = toml::from_str(
            r#"
            [[package]]
            name = "ours"
            version = "0.1.0"
            dependencies = ["a 2.0.0"]
            [[package]]
            name = "a"
            version = "1.0.0"
            source = "registry"
            [[package]]
            name = "a"
            version = "2.0.0"
            source = "registry"
            dependencies = ["b"]
            [[package]]
            name = "b"
            version = "3.0.0"
            source = "registry"
            dependencies = ["a 2.0.0"]
            "#,
        )
        .unwrap();
        let parts = closure(&lock, &["ours"]).unwrap();
        assert_eq!(parts, [Part::text("crate a", "2.0.0"), Part::text("crate b", "3.0.0")]);
        assert_eq!(closure(&lock, &["c"]), Err("c".into()));
    }
}
