//! Finds DuckDB's shared library, so that nobody has to compile it: `DUCKDB_LIB_DIR`, a cache of this user, or a
//! package of npm's registry whose checksum is pinned here. Dependents get the folder as `lib_dir`.

use sha2::{Digest, Sha256};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Of the same DuckDB as the `duckdb` crate in the workspace's manifest.
const VERSION: &str = "1.5.6";
const RELEASE: &str = "1.5.6-r.1";
const REMEDIES: &str = "set DUCKDB_LIB_DIR to a folder that holds the library of DuckDB 1.5.6, \
or build with `--features proofmark-lab/duckdb-bundled`, which compiles it (over 30 minutes)";

/// A platform for which a library can be fetched.
struct Platform {
    name: &'static str,
    library: &'static str,
    sha256: &'static str,
}

const PLATFORMS: [Platform; 4] = [
    Platform {
        name: "linux-x64",
        library: "libduckdb.so",
        sha256: "3f4962cdd266eab2b479a5b5a4a6d063d279b2954ae814ed00385d553b747633",
    },
    Platform {
        name: "linux-arm64",
        library: "libduckdb.so",
        sha256: "23686593dba4ec22c6e581bb1c843b3964e84c4bc4d0063d8b4daddd2e20e30a",
    },
    Platform {
        name: "darwin-x64",
        library: "libduckdb.dylib",
        sha256: "75a519cb914ae36ca22cff0995a8a2e8c9a46990b8c0a479514f741a0d93f344",
    },
    Platform {
        name: "darwin-arm64",
        library: "libduckdb.dylib",
        sha256: "75a519cb914ae36ca22cff0995a8a2e8c9a46990b8c0a479514f741a0d93f344",
    },
];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["DUCKDB_LIB_DIR", "XDG_CACHE_HOME"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if env::var_os("CARGO_FEATURE_DUCKDB_BUNDLED").is_some() {
        return ExitCode::SUCCESS;
    }
    match library_folder() {
        Ok(folder) => {
            let folder = folder.display();
            println!("cargo::rustc-link-search=native={folder}");
            println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
            println!("cargo::metadata=lib_dir={folder}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("cargo::error=failed to find the library of DuckDB: {message}; {REMEDIES}");
            ExitCode::FAILURE
        }
    }
}

fn library_folder() -> Result<PathBuf, String> {
    if let Some(folder) = env::var_os("DUCKDB_LIB_DIR") {
        return fs::canonicalize(&folder)
            .map_err(|e| format!("DUCKDB_LIB_DIR is {}: {e}", Path::new(&folder).display()));
    }
    let platform = platform()?;
    let folder = cache()?.join(format!("duckdb-{VERSION}-{}", platform.name));
    let library = folder.join(platform.library);
    // If somebody cleans the cache, cargo starts this script again.
    println!("cargo::rerun-if-changed={}", library.display());
    if !library.is_file() {
        fetch(platform, &folder)?;
    }
    Ok(folder)
}

fn platform() -> Result<&'static Platform, String> {
    let variable = |name| env::var(name).unwrap_or_default();
    let (os, arch) = (variable("CARGO_CFG_TARGET_OS"), variable("CARGO_CFG_TARGET_ARCH"));
    let system = if os == "macos" { "darwin" } else { &os };
    let machine = match arch.as_str() {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let name = format!("{system}-{machine}");
    let found = PLATFORMS.iter().find(|platform| platform.name == name);
    found.ok_or_else(|| format!("there is no library with a known checksum for {name}"))
}

fn cache() -> Result<PathBuf, String> {
    let folder = |name, below| {
        env::var_os(name).filter(|v| !v.is_empty()).map(|v| PathBuf::from(v).join(below))
    };
    let cache = folder("XDG_CACHE_HOME", "").or_else(|| folder("HOME", ".cache"));
    let cache = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("proofmark"))
}

/// Fetches into a folder beside the wanted one, checks, and moves the whole into place in one step.
fn fetch(platform: &Platform, folder: &Path) -> Result<(), String> {
    let temporary = folder.with_extension(format!("{}.tmp", std::process::id()));
    let context = |e: std::io::Error| format!("failed to write {}: {e}", temporary.display());
    fs::create_dir_all(&temporary).map_err(context)?;
    let fetched = unpack(platform, &temporary).and_then(|library| {
        let checked = temporary.join("checked");
        fs::create_dir(&checked).map_err(context)?;
        fs::rename(library, checked.join(platform.library)).map_err(context)?;
        match fs::rename(&checked, folder) {
            // Another build was faster; its library has the same checksum.
            Err(_) if folder.join(platform.library).is_file() => Ok(()),
            moved => moved.map_err(context),
        }
    });
    let _ = fs::remove_dir_all(&temporary);
    fetched
}

/// The checked library, in `folder`.
fn unpack(platform: &Platform, folder: &Path) -> Result<PathBuf, String> {
    let package = format!("@duckdb/node-bindings-{}@{RELEASE}", platform.name);
    tell(&format!("fetching the library of DuckDB {VERSION} (24 MB) with npm: {package}"));
    run("npm", &["pack", "--silent", &package], folder)?;
    let entries = fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let archive = names.find(|name| name.ends_with(".tgz"));
    let archive = archive.ok_or_else(|| format!("npm pack {package} left no archive"))?;
    run("tar", &["-xzf", &archive], folder)?;
    let library = folder.join("package").join(platform.library);
    let bytes = fs::read(&library).map_err(|e| format!("{package} is not as expected: {e}"))?;
    let found = hex(&Sha256::digest(bytes));
    if found == platform.sha256 {
        return Ok(library);
    }
    Err(format!(
        "{} of {package} has the checksum {found}, expected is {}: it was not installed",
        platform.library, platform.sha256
    ))
}

/// Tells a terminal, and nobody else: cargo would show a warning of a build script again at every later build.
fn tell(message: &str) {
    if let Ok(mut terminal) = fs::OpenOptions::new().write(true).open("/dev/tty") {
        let _ = writeln!(terminal, "\r{message}");
    }
}

fn run(program: &str, args: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new(program).args(args).current_dir(folder).output();
    let output = output.map_err(|e| format!("failed to start {program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{program} {} ended with {}: {last}", args.join(" "), output.status))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
