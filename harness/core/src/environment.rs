//! Facts of the machine and of the build that every record carries.

use crate::fingerprint::digest;
use crate::process;
use crate::record::Environment;
use std::path::Path;

/// The compiler that this suite was built with.
pub const RUSTC: &str = env!("PROOFMARK_RUSTC");
/// The optimisation that this suite was built with: `release` or `debug`.
pub const PROFILE: &str = env!("PROOFMARK_PROFILE");

/// The facts of this machine, and the commit of the workspace at `root`.
pub fn environment(root: &Path) -> Environment {
    Environment { commit: commit(root), boot: boot(), ..machine() }
}

/// The facts of this machine alone.
pub fn machine() -> Environment {
    let cpu = cpu_model();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let memory_bytes = memory_bytes();
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    // Of the memory only its class, in steps of 8 GiB: the exact figure varies between boots.
    let memory_class = (memory_bytes >> 33) + 1;
    let key = format!("{platform}|{cpu}|{threads}|{memory_class}");
    Environment {
        machine: digest(key)[..12].to_owned(),
        platform,
        cpu,
        threads,
        memory_bytes,
        rustc: RUSTC.into(),
        profile: PROFILE.into(),
        commit: String::new(),
        boot: String::new(),
    }
}

/// Linux draws an id at each boot.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// How many processes are ready to run besides this one, by processor; nothing where the system does not tell.
#[expect(clippy::cast_precision_loss, reason = "processors are far fewer than 2^53")]
pub(crate) fn load() -> Option<f64> {
    // `0.20 0.18 0.12 1/80 11206`: averages, then those that are ready and all, then the last process id.
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let ready: f64 = text.split_whitespace().nth(3)?.split('/').next()?.parse().ok()?;
    let processors = std::thread::available_parallelism().ok()?.get();
    Some((ready - 1.0).max(0.0) / processors as f64)
}

/// The value of a `key : value` line of a file in `/proc`.
fn proc_value(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn cpu_model() -> String {
    proc_value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into())
}

fn memory_bytes() -> u64 {
    kibibytes(proc_value("/proc/meminfo", "MemTotal"))
}

/// The largest resident set that this process has had, in bytes; nothing where the system does not tell.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let bytes = kibibytes(proc_value("/proc/self/status", "VmHWM"));
    (bytes > 0).then_some(bytes)
}

fn kibibytes(value: Option<String>) -> u64 {
    let number = value.and_then(|v| v.split_whitespace().next().and_then(|n| n.parse().ok()));
    number.unwrap_or(0u64) * 1024
}

fn commit(root: &Path) -> String {
    let Some(head) = process::output_of("git", &["rev-parse", "HEAD"], root) else {
        return String::new();
    };
    let changed = process::output_of("git", &["status", "--porcelain", "-uno"], root);
    let dirty = if changed.is_none_or(|files| files.is_empty()) { "" } else { "-dirty" };
    head + dirty
}
