//! Tells the crate which compiler and which optimisation it is built with: results depend on both.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("-V").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.unwrap_or_else(|| "rustc of unknown version".into());
    println!("cargo::rustc-env=PROOFMARK_RUSTC={}", version.trim());
    let profile = std::env::var("PROFILE").unwrap_or_default();
    println!("cargo::rustc-env=PROOFMARK_PROFILE={profile}");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let flags = variable("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " ");
    let features = variable("CARGO_CFG_TARGET_FEATURE");
    println!("cargo::rustc-env=PROOFMARK_RUSTFLAGS={flags} +{features}");
    // Snapshots have absolute paths; without this insta would start `cargo metadata` in every process.
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rustc-env=INSTA_WORKSPACE_ROOT={folder}");
    println!("cargo::rerun-if-changed=build.rs");
}
