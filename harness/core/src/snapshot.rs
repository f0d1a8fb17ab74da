//! Accepted outputs: one snapshot per model and shape serves every endpoint, so a device that drifts is seen in review.

use crate::record::OutputCheck;
use std::fmt::Write as _;
use std::path::Path;

/// Compares the summaries of a case with the accepted ones; a difference panics with both, as insta does.
pub(crate) fn check(folder: &Path, name: &str, outputs: &[OutputCheck]) {
    let mut text = String::new();
    for output in outputs {
        let _ = writeln!(text, "{} {:?}\n{}", output.name, output.shape, output.summary);
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name.to_owned(), text));
}
