//! The files of the page, as they stand in `page/`, and their digest for the record.

use proofmark_kernels::Source;
use sha2::{Digest, Sha256};

/// One file: its name below the page's address, its name in fingerprints, its type, its text.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) mime: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! file {
    ($name:literal, $mime:literal) => {
        File {
            name: $name,
            path: concat!("page/", $name),
            mime: $mime,
            text: include_str!(concat!("../page/", $name)),
        }
    };
}

/// All files; the first is what the address itself gives.
pub(crate) const FILES: [File; 9] = [
    file!("index.html", "text/html; charset=utf-8"),
    file!("page.css", "text/css; charset=utf-8"),
    file!("main.js", "text/javascript; charset=utf-8"),
    file!("channel.js", "text/javascript; charset=utf-8"),
    file!("facts.js", "text/javascript; charset=utf-8"),
    file!("weights.js", "text/javascript; charset=utf-8"),
    file!("webgpu.js", "text/javascript; charset=utf-8"),
    file!("webnn.js", "text/javascript; charset=utf-8"),
    file!("mlgraph.js", "text/javascript; charset=utf-8"),
];

/// The file of a name; the empty name is the page itself.
pub(crate) fn find(name: &str) -> Option<&'static File> {
    let name = if name.is_empty() { FILES[0].name } else { name };
    FILES.iter().find(|file| file.name == name)
}

macro_rules! own_source {
    ($name:literal) => {
        Source { name: concat!("browser/", $name), text: include_str!($name) }
    };
}

/// The Rust sources that decide how a browser is started, what a page is told, and what is believed of it.
const DECIDING: [Source; 12] = [
    own_source!("content.rs"),
    own_source!("endpoint.rs"),
    own_source!("flags.rs"),
    own_source!("launch.rs"),
    own_source!("mark.rs"),
    own_source!("page.rs"),
    own_source!("parts.rs"),
    own_source!("program.rs"),
    own_source!("tab.rs"),
    own_source!("webgpu.rs"),
    own_source!("webnn.rs"),
    own_source!("wire.rs"),
];

/// What every result in a browser depends on besides its plan: the page, and what tells it what to do.
pub(crate) fn sources() -> Vec<Source> {
    page_sources().chain(DECIDING).collect()
}

fn page_sources() -> impl Iterator<Item = Source> {
    FILES.iter().map(|file| Source { name: file.path, text: file.text })
}

/// A digest of sources.
pub(crate) fn digest(sources: &[Source]) -> String {
    let mut hasher = Sha256::new();
    for source in sources {
        for text in [source.name, source.text] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
    }
    hex(&hasher.finalize())
}

/// A digest of everything that the browser is given to run.
pub(crate) fn page_digest() -> String {
    digest(&page_sources().collect::<Vec<_>>())
}

/// The first 16 bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
