//! The folder of one running browser: its profile and what its processes wrote; and beside it, in the system's folder
//! for temporary files, one with a short name, because the address of a Unix socket holds about 100 bytes.

use crate::env;
use crate::error::Error;
use crate::process::{self, Child};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The link in the folder to the short one; whoever finds the folder finds both.
const LINK: &str = "short";
/// How the short folder's name begins: what a link to any other place names is not removed.
const PREFIX: &str = "pm-";
/// How often a folder is tried to be removed, while processes that were killed may still write into it.
const TRIES: u32 = 50;

/// The two folders of one browser.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    pub(crate) short: PathBuf,
}

impl Home {
    /// Makes them. A folder that holds a browser already is refused.
    pub(crate) fn make(folder: &Path) -> Result<Home, Error> {
        fs::create_dir_all(folder).map_err(Error::io("making the folder", folder))?;
        let folder = fs::canonicalize(folder).map_err(Error::io("finding the folder", folder))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|e| Error::Io {
            doing: "choosing a name for a folder beside",
            path: folder.clone(),
            source: e.into(),
        })?;
        let name = format!("{PREFIX}{:016x}", u64::from_le_bytes(random));
        let short = env::short_temp_dir().join(name);
        // First the link: if we are killed in between, the folder's sweep still finds what we made.
        let link = folder.join(LINK);
        symlink(&short, &link).map_err(Error::io("taking the folder of a browser by", &link))?;
        let made = DirBuilder::new().mode(0o700).create(&short);
        made.map_err(Error::io("making the folder", &short))?;
        Ok(Home { folder, short })
    }
}

/// Ends every process that a browser in `folder` left, and removes the folder. It does nothing if there is none.
pub fn sweep(folder: &Path) {
    // A folder that is gone may still be named by processes.
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    end(&folder, &[]);
}

/// The same by the process that started these children.
pub(crate) fn end(folder: &Path, children: &[Child]) {
    process::end_all(folder, children);
    if let Ok(short) = fs::read_link(folder.join(LINK))
        && short.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
    {
        remove(&short);
    }
    remove(folder);
}

fn remove(folder: &Path) {
    for _ in 0..TRIES {
        match fs::remove_dir_all(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => return,
        }
    }
}
