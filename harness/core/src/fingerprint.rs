//! The fingerprint: one hash over everything a result depends on, kept with its parts so that a change can be named.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// One thing that a result depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is: `graph`, `weights`, `kernel matmul.wgsl`, `crate wgpu`, `driver`.
    pub name: String,
    /// Its digest, or its short text where that says more (a version).
    pub value: String,
}

/// The parts in the order of their names, and the digest over all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// SHA-256 in lowercase hexadecimal.
    pub digest: String,
    /// What was hashed.
    pub parts: Vec<Part>,
}

impl Fingerprint {
    /// The fingerprint of these parts; their order does not matter.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hasher = Sha256::new();
        for part in &parts {
            for text in [&part.name, &part.value] {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text);
            }
        }
        Self { digest: hex(&hasher.finalize()), parts }
    }

    /// The names of the parts that differ between two fingerprints.
    pub fn changes(&self, other: &Self) -> Vec<String> {
        changed_parts(&self.parts, &other.parts)
    }
}

/// The names of the parts that are only in one list or have another value in the other.
pub fn changed_parts(a: &[Part], b: &[Part]) -> Vec<String> {
    let lacks = |part: &&Part, other: &[Part]| !other.contains(part);
    let mut names: Vec<_> = a.iter().filter(|part| lacks(part, b)).collect();
    names.extend(b.iter().filter(|part| lacks(part, a)));
    let mut names: Vec<_> = names.into_iter().map(|part| part.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Part {
    /// A part whose value is short enough to be kept as it is.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// A part of which only the digest is kept.
    pub fn hashed(name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        Self { name: name.into(), value: digest(value) }
    }
}

/// SHA-256 in lowercase hexadecimal.
pub fn digest(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes.as_ref()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_value_does() {
        let a = || Part::text("a", "1");
        let b = || Part::text("b", "2");
        let base = Fingerprint::new([a(), b()]);
        assert_eq!(base, Fingerprint::new([b(), a()]));
        let other = Fingerprint::new([a(), Part::text("b", "3")]);
        assert_ne!(base.digest, other.digest);
        assert_eq!(base.changes(&other), ["b"]);
        // The lengths are hashed as well, so that text cannot move between neighbours.
        let moved = Fingerprint::new([Part::text("a", "1b"), Part::text("", "2")]);
        assert_ne!(base.digest, moved.digest);
    }
}
