//! Makes a backup: beside its place, read back, and then put there in one step.

use super::{BackupError, FORMAT, Kept, MANIFEST, Manifest, Result, at, files, read};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use proofmark::fingerprint::digest;
use serde::de::IgnoredAny;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How often it is begun anew because a file went away meanwhile.
const ATTEMPTS: u32 = 3;

/// Writes all that a state holds into a new file, while others may append to it.
///
/// # Errors
/// The file is there already, something cannot be read or written, or what was written cannot be read back.
pub fn write(state: &Path, out: &Path, now: Timestamp) -> Result<Manifest> {
    let mut name = out.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(name);
    let mut attempt = 1;
    loop {
        refuse_existing(out)?;
        let written = archive(state, &part, now).and_then(|manifest| {
            // What the disk has, and not what was meant.
            let found = read::check(&part)?;
            if found != manifest {
                let detail = "what was read back is not what was written".to_owned();
                return Err(BackupError::Unsound { path: part.clone(), detail });
            }
            refuse_existing(out)?;
            fs::rename(&part, out).map_err(at(out))?;
            let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
            Ok(manifest)
        });
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        match written {
            Err(BackupError::Changing(_)) if attempt < ATTEMPTS => attempt += 1,
            written => return written,
        }
    }
}

fn refuse_existing(out: &Path) -> Result<()> {
    if fs::symlink_metadata(out).is_ok() {
        return Err(BackupError::Exists(out.to_owned()));
    }
    Ok(())
}

fn archive(state: &Path, part: &Path, now: Timestamp) -> Result<Manifest> {
    let file = File::create(part).map_err(at(part))?;
    let packed = GzEncoder::new(BufWriter::new(file), Compression::default());
    let mut archive = tar::Builder::new(packed);
    let mut manifest = Manifest { format: FORMAT, made_at: now, files: Vec::new() };
    for (path, source) in files(state)? {
        let bytes = match fs::read(&source) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::Changing(source));
            }
            bytes => bytes.map_err(at(&source))?,
        };
        let bytes = if path.ends_with(".jsonl") { complete(&bytes) } else { &bytes };
        append(&mut archive, &path, bytes, now).map_err(at(part))?;
        manifest.files.push(Kept { path, bytes: bytes.len() as u64, sha256: digest(bytes) });
    }
    let text = serde_json::to_string_pretty(&manifest).map_err(io::Error::from);
    let finished = text.and_then(|text| {
        append(&mut archive, MANIFEST, text.as_bytes(), now)?;
        let mut file = archive.into_inner()?.finish()?;
        file.flush()?;
        file.get_ref().sync_all()
    });
    finished.map_err(at(part))?;
    Ok(manifest)
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    path: &str,
    bytes: &[u8],
    now: Timestamp,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(u64::try_from(now.as_second()).unwrap_or_default());
    archive.append_data(&mut header, path, bytes)
}

/// The bytes of a file of lines without what somebody is writing, or was when he was killed. A whole last line whose end
/// is damaged is kept: a backup judges nothing.
fn complete(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut rest = serde_json::Deserializer::from_slice(&bytes[end..]).into_iter::<IgnoredAny>();
    if matches!(rest.next(), Some(Ok(_))) { bytes } else { &bytes[..end] }
}
