//! Exit codes, and the failures that lead to them: 1 a case failed, 2 bad usage or input, 3 something is absent.

use std::process::ExitCode;

/// A case failed or a verdict is bad.
pub const FAILED: u8 = 1;
/// Bad usage or input.
pub const USAGE: u8 = 2;
/// Something that is needed is absent.
pub const ABSENT: u8 = 3;

/// Why a run could not take place.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Something that is needed is absent.
    pub(crate) fn absent(message: String) -> Self {
        Self { code: ABSENT, message }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { code: USAGE, message }
    }
}

/// An error if anything is missing.
pub(crate) fn require(missing: Vec<String>) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::absent(missing.join("\n")))
}

/// Prints a failure and gives the exit code of a run.
pub(crate) fn report(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.message);
        ExitCode::from(failure.code)
    })
}
