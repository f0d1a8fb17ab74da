//! The only place in this crate that starts processes: Python, which fetches and unpacks packages.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `python3` (or `python`) with these arguments, in `folder`. All that it says goes to our error output, so
/// that the standard output stays clean. The error says what was run and how it ended.
pub(crate) fn python(args: &[&str], folder: &Path) -> Result<(), String> {
    for program in ["python3", "python"] {
        let mut command = Command::new(program);
        command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(std::io::stderr());
        match command.status() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(format!("`{program}` could not be started: {e}")),
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => {
                let said = "its own words are above";
                return Err(format!("`{program} {}` ended with {status}; {said}", args.join(" ")));
            }
        }
    }
    Err("neither `python3` nor `python` is in PATH".into())
}
