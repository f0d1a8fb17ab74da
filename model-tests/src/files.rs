//! Files that are written in one step, and digests of files, remembered while size and time of change hold.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Files below this size, in bytes, are hashed each time: that is faster than to remember.
const SMALL: u64 = 1 << 20;

/// SHA-256 of a file in lowercase hexadecimal.
pub(crate) fn digest(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::file("read", path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block).map_err(Error::file("read", path))? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&block[..n]),
        }
    }
}

/// A digest and the file that it was of.
#[derive(PartialEq, Serialize, Deserialize)]
struct Remembered {
    path: String,
    size: u64,
    modified_ns: u128,
    #[serde(default)]
    digest: String,
}

/// As [`digest`], remembered in `state` for as long as the file keeps its size and its time of change.
pub(crate) fn remembered_digest(path: &Path, state: &Path) -> Result<String, Error> {
    let facts = path.metadata().map_err(Error::file("read", path))?;
    if facts.len() < SMALL {
        return digest(path);
    }
    let modified = facts.modified().map_err(Error::file("read", path))?;
    let modified_ns = modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let path_text = path.display().to_string();
    let mut now =
        Remembered { path: path_text, size: facts.len(), modified_ns, digest: String::new() };
    let name = hex(&Sha256::digest(&now.path))[..16].to_owned();
    let memory = state.join("digests").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&memory).ok();
    if let Some(old) = text.and_then(|text| serde_json::from_str::<Remembered>(&text).ok()) {
        now.digest = old.digest.clone();
        if now == old && now.digest.len() == 64 {
            return Ok(now.digest);
        }
    }
    now.digest = digest(path)?;
    if let Ok(text) = serde_json::to_string(&now) {
        // What cannot be remembered is computed again.
        let _ = write(&memory, text.as_bytes());
    }
    Ok(now.digest)
}

/// Replaces a file in one step, so that a reader sees the old content or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(Error::file("write in", folder))?;
    file.write_all(bytes).map_err(Error::file("write", path))?;
    file.persist(path).map_err(|e| Error::file("write", path)(e.error))?;
    Ok(())
}

/// Lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, state) = (folder.path().join("w"), folder.path().join("state"));
        write(&path, &vec![1; SMALL as usize]).unwrap();
        let first = remembered_digest(&path, &state).unwrap();
        assert_eq!(first, digest(&path).unwrap());
        let memory = std::fs::read_dir(state.join("digests")).unwrap().next().unwrap().unwrap();
        let text = std::fs::read_to_string(memory.path()).unwrap();
        // Only a memory that is read can give a digest that is wrong.
        let wrong = "0".repeat(64);
        std::fs::write(memory.path(), text.replace(&first, &wrong)).unwrap();
        assert_eq!(remembered_digest(&path, &state).unwrap(), wrong);
        write(&path, &vec![2; SMALL as usize + 1]).unwrap();
        assert_eq!(remembered_digest(&path, &state).unwrap(), digest(&path).unwrap());
        std::fs::write(memory.path(), "damaged").unwrap();
        assert_eq!(remembered_digest(&path, &state).unwrap(), digest(&path).unwrap());
    }
}
