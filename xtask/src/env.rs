//! The only reader of the environment in this crate.

use std::ffi::OsString;
use std::path::PathBuf;

/// The cargo that started us, or the one in `PATH`.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The SMTP server, such as smtps://user:password@host:465.
pub(crate) const SMTP_URL: &str = "PROOFMARK_SMTP_URL";
/// Who e-mail is from.
pub(crate) const SMTP_FROM: &str = "PROOFMARK_SMTP_FROM";
/// Where a webhook is posted.
pub(crate) const WEBHOOK_URL: &str = "PROOFMARK_WEBHOOK_URL";

/// A variable that is set and not empty.
fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The SMTP server.
pub(crate) fn smtp_url() -> Option<String> {
    var(SMTP_URL)
}

/// Who e-mail is from.
pub(crate) fn smtp_from() -> Option<String> {
    var(SMTP_FROM)
}

/// Where a webhook is posted.
pub(crate) fn webhook_url() -> Option<String> {
    var(WEBHOOK_URL)
}

/// All values that must never be printed.
pub(crate) fn secrets() -> Vec<String> {
    let tokens = ["GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];
    tokens.into_iter().chain([SMTP_URL, WEBHOOK_URL]).filter_map(var).collect()
}

/// GitHub's command line: `PROOFMARK_GH`, or the one in `PATH`.
pub(crate) fn gh() -> OsString {
    std::env::var_os("PROOFMARK_GH").filter(|path| !path.is_empty()).unwrap_or_else(|| "gh".into())
}

/// The folder in which the command was started.
pub(crate) fn current_dir() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}
