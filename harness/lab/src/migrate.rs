//! Legacy results in JSON, brought to our names and units: which number is what, where it stands, and what may be believed of it.
//!
//! Pure functions from bytes to rows. Files are walked, moved and told about by the command `migrate`; rows are kept as
//! `lines` has them, and the store takes them from there.

pub mod archive;
pub mod extract;
mod facts;
mod govern;
pub mod json;
pub mod lines;
mod names;
pub mod table;
mod tree;
pub mod words;

pub use extract::{Extracted, Group, Naming, Outcome, Row, extract};
pub use json::Fault;

/// The version of the rules. Content that other rules have read is read again.
pub const RULES: u32 = 1;

/// Reads a file and finds its numbers.
///
/// # Errors
/// The bytes are no JSON, in no known encoding, or too deep.
pub fn read(bytes: &[u8], name: &str) -> Result<Extracted, Fault> {
    let text = json::decode(bytes)?;
    Ok(extract(&json::parse(&text)?, name))
}

#[cfg(test)]
mod chance_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tests;
