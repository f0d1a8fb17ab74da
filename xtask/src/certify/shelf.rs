//! The certificates of a workspace: one JSON file per case, replaced in one step.

use crate::context::Context;
use crate::output::tell;
use anyhow::{Context as _, Result};
use proofmark::CaseId;
use proofmark_lab::certify::certificate::Certificate;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

fn path(context: &Context, case: &CaseId) -> PathBuf {
    // No part of a case id holds a `/`, and none of them is empty.
    let folder = context.folders.certificates.join(&case.model).join(case.endpoint.as_str());
    folder.join(&case.precision).join(format!("{}.json", case.shape))
}

/// The certificate of a case, if it has one. One that cannot be read is told, and is none.
pub(super) fn read(context: &Context, case: &CaseId) -> Option<Certificate> {
    let path = path(context, case);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        text => text.map_err(|error| error.to_string()),
    };
    let read = text.and_then(|text| Certificate::read(&text).map_err(|error| error.to_string()));
    read.map_err(|why| tell!("warning: the certificate {} is left out: {why}", path.display())).ok()
}

/// Keeps a certificate in the place of the one before it.
pub(super) fn keep(context: &Context, certificate: &Certificate) -> Result<()> {
    let path = path(context, &certificate.case);
    let failed = || format!("failed to write the certificate {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(&context.state)).with_context(failed)?;
    let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&fresh, serde_json::to_string_pretty(certificate)? + "\n").with_context(failed)?;
    fs::rename(&fresh, &path).with_context(failed)
}
