//! Reads a backup: every entry and its checksum, into a folder of its own or into nothing.

use super::{BackupError, FORMAT, Kept, MANIFEST, Manifest, Result, at, is_derived, is_inside};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The largest manifest that is read: of some million files.
const MAX_MANIFEST: u64 = 1 << 30;

/// Reads an archive to its end.
///
/// # Errors
/// It cannot be read, or is not sound.
pub(super) fn check(archive: &Path) -> Result<Manifest> {
    read(archive, |_, bytes| io::copy(bytes, &mut io::sink()).map(drop))
}

/// Unpacks an archive into a new folder, in which nothing is trusted before this has ended well.
///
/// # Errors
/// The archive cannot be read; it is not sound, has entries that are no plain files or lead elsewhere; or the folder is there
/// or cannot be written. What was unpacked until then stays in it.
pub fn unpack(archive: &Path, folder: &Path) -> Result<Manifest> {
    fs::create_dir(folder).map_err(at(folder))?;
    read(archive, |path, bytes| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut file = File::create_new(&path)?;
        io::copy(bytes, &mut file)?;
        file.sync_all()
    })
}

/// Gives each file to `each`, and holds all against the manifest.
fn read(
    path: &Path,
    mut each: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest> {
    let unsound = |detail: String| BackupError::Unsound { path: path.to_owned(), detail };
    let file = File::open(path).map_err(at(path))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut found: BTreeMap<String, Kept> = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    for entry in archive.entries().map_err(|e| unsound(e.to_string()))? {
        let mut entry = entry.map_err(|e| unsound(e.to_string()))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if manifest.is_some() {
            return Err(unsound(format!("{name:?} stands behind the manifest")));
        }
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(unsound(format!("{name:?} is no plain file")));
        }
        if name == MANIFEST {
            let text = io::read_to_string((&mut entry).take(MAX_MANIFEST));
            manifest = Some(parse(&text.map_err(|e| unsound(e.to_string()))?).map_err(unsound)?);
            continue;
        }
        if !is_inside(&name) || is_derived(&name) {
            return Err(unsound(format!("{name:?} is nothing that a backup holds")));
        }
        let size = entry.size();
        let mut hashed = Hashed { inner: &mut entry, hasher: Sha256::new(), bytes: 0 };
        each(&name, &mut hashed).map_err(|e| match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => at(path)(e),
            _ => unsound(format!("{name:?}: {e}")),
        })?;
        let kept = hashed.kept(&name);
        if kept.bytes != size {
            return Err(unsound(format!("{name:?} has {} of {size} bytes", kept.bytes)));
        }
        if found.insert(name.clone(), kept).is_some() {
            return Err(unsound(format!("{name:?} is in it twice")));
        }
    }
    // The checksum of the packed bytes stands at their end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|e| unsound(e.to_string()))?;
    let manifest = manifest.ok_or_else(|| unsound("it ends without a manifest".to_owned()))?;
    hold(&manifest, &found).map_err(unsound)?;
    Ok(manifest)
}

fn parse(text: &str) -> std::result::Result<Manifest, String> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u32,
    }
    let cannot = |e: serde_json::Error| format!("its manifest cannot be read: {e}");
    let Head { format } = serde_json::from_str(text).map_err(cannot)?;
    if format != FORMAT {
        return Err(format!("it is of format {format}, and this program knows {FORMAT}"));
    }
    serde_json::from_str(text).map_err(cannot)
}

/// Whether the files are those of the manifest.
fn hold(manifest: &Manifest, found: &BTreeMap<String, Kept>) -> std::result::Result<(), String> {
    for file in &manifest.files {
        match found.get(&file.path) {
            None => return Err(format!("{:?} is missing", file.path)),
            Some(found) if found != file => {
                return Err(format!("{:?} has another checksum than the manifest says", file.path));
            }
            Some(_) => {}
        }
    }
    if manifest.files.len() != found.len() {
        return Err("it has files that its manifest does not name once".to_owned());
    }
    Ok(())
}

/// Bytes that are hashed as they are read.
struct Hashed<'r> {
    inner: &'r mut dyn Read,
    hasher: Sha256,
    bytes: u64,
}

impl Read for Hashed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hasher.update(&into[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

impl Hashed<'_> {
    fn kept(self, path: &str) -> Kept {
        let mut sha256 = String::new();
        for byte in self.hasher.finalize() {
            let _ = write!(sha256, "{byte:02x}");
        }
        Kept { path: path.to_owned(), bytes: self.bytes, sha256 }
    }
}
