//! The rules over reports: JSON, Markdown and HTML.

pub(crate) mod cited;
mod html;
mod json;
mod markdown;
mod page;
mod prose;

use crate::file::{File, Language};
use crate::rule::Finding;

/// All findings in a report, but those that need other files.
pub(crate) fn check(file: &File<'_>) -> Vec<Finding> {
    match file.language {
        Language::Json => json::check(file),
        Language::Markdown => markdown::check(file),
        Language::Html => html::check(file),
        _ => Vec::new(),
    }
}
