//! How a command ends: its exit code, and the errors that carry one.

use crate::output::tell;
use proofmark::exit;
use proofmark_lab::store::StoreError;
use std::fmt;
use std::process::ExitCode;

/// An error that has an exit code of its own; every other error is bad usage or input.
#[derive(Debug)]
pub(crate) struct WithCode {
    code: u8,
    message: String,
}

impl fmt::Display for WithCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for WithCode {}

/// Something that is needed is absent.
pub(crate) fn absent(message: impl Into<String>) -> anyhow::Error {
    with_code(exit::ABSENT, message)
}

/// An error with an exit code.
pub(crate) fn with_code(code: u8, message: impl Into<String>) -> anyhow::Error {
    WithCode { code, message: message.into() }.into()
}

/// Prints an error with its causes and gives the exit code of the process.
pub(crate) fn exit_code(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let message = format!("{error:#}");
        if !message.is_empty() {
            tell!("error: {message}");
        }
        ExitCode::from(code_of(&error))
    })
}

fn code_of(error: &anyhow::Error) -> u8 {
    if let Some(StoreError::Missing(_)) = error.downcast_ref() {
        return exit::ABSENT;
    }
    error.downcast_ref::<WithCode>().map_or(exit::USAGE, |error| error.code)
}
