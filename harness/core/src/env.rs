//! The only reader of the environment in this crate: variables, arguments, the path of the program.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Globs over case ids, separated by commas.
pub const FILTER: &str = "PROOFMARK_FILTER";
/// Endpoints that must be there, separated by commas.
pub const ENDPOINT: &str = "PROOFMARK_ENDPOINT";
/// Batch sizes, separated by commas.
pub const BATCH: &str = "PROOFMARK_BATCH";
/// The time after which a case is killed.
pub const TIMEOUT: &str = "PROOFMARK_TIMEOUT";
/// Samples per measured case.
pub const SAMPLES: &str = "PROOFMARK_SAMPLES";
/// The wanted length of the measured phase of a case.
pub const MEASURE_FOR: &str = "PROOFMARK_MEASURE_FOR";
/// The folder that holds records, findings and references.
pub const STATE: &str = "PROOFMARK_DIR";
/// Whether ops that a device cannot do may run elsewhere: `yes` or `no`.
pub const ALLOW_FALLBACK: &str = "PROOFMARK_ALLOW_FALLBACK";
/// Set for the child process of a case: the address of its endpoint's service.
pub(crate) const SERVICE: &str = "PROOFMARK_SERVICE";
/// Set as well where that service was started for this case: how long that took, in nanoseconds.
pub(crate) const SERVICE_START: &str = "PROOFMARK_SERVICE_START_NS";
/// Set for the child process of a case: the file that describes its job.
pub(crate) const JOB: &str = "PROOFMARK_JOB";

/// Where criterion writes.
pub(crate) const CRITERION_HOME: &str = "CRITERION_HOME";

/// A variable that is set and not empty.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The address of the service that the runner keeps for this case; nothing where the case runs in the runner's own
/// process, in a tool, or on an endpoint without one.
pub fn service() -> Option<String> {
    var(SERVICE)
}

/// How long the start of the service took, if it was started for this case and not for an earlier one.
pub fn service_start() -> Option<Duration> {
    var(SERVICE_START)?.parse().ok().map(Duration::from_nanos)
}

/// The arguments of the program, without its name.
pub(crate) fn args() -> Vec<String> {
    std::env::args().skip(1).collect()
}

/// The program itself.
pub(crate) fn current_exe() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|e| format!("failed to find the path of this program: {e}"))
}

/// The first of these programs that is in a folder of `PATH`.
pub(crate) fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file())
}

/// The state folder of the workspace that `manifest_dir` is in: `PROOFMARK_DIR`, or `.proofmark` beside the
/// `Cargo.lock`.
pub fn state_dir(manifest_dir: &Path) -> PathBuf {
    if let Some(folder) = var(STATE) {
        // A relative one is of the workspace, so that all programs mean the same folder.
        return workspace_root(manifest_dir).join(folder);
    }
    workspace_root(manifest_dir).join(".proofmark")
}

/// The nearest folder above with a `Cargo.lock`; the folder itself if there is none.
pub fn workspace_root(manifest_dir: &Path) -> PathBuf {
    let found = manifest_dir.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    found.unwrap_or(manifest_dir).to_owned()
}
