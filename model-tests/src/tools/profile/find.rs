//! A case by its id, or why there is none and which ids are near.

use crate::catalogue;
use crate::error::Error;
use crate::execution::target;
use crate::targets::TARGETS;
use proofmark::finding::Findings;
use proofmark::settings::Choices;
use proofmark::{Absence, Case, CaseId, Endpoint};

/// Near matches that an error names.
const NEAR: usize = 4;

/// The case of this id, ready to be opened: the endpoint is here, and so is the model, which is fetched if need be.
pub(super) fn case(id: &str) -> Result<Case, Error> {
    let parsed = id.parse::<CaseId>();
    let endpoint = parsed.as_ref().ok().map(|id| &id.endpoint);
    let known = TARGETS.iter().find(|target| Some(&target.endpoint) == endpoint);
    // Only this endpoint is probed: which shapes it has depends on what it is.
    let finding = known.map(|target| (target.driver().probe)());
    let cases =
        crate::suite().cases(&Findings::new(finding.into_iter().collect()), &Choices::default());
    let cases = cases.map_err(Error::Case)?;
    if let Some(case) = cases.iter().find(|case| case.id.to_string() == id) {
        return present(case.clone());
    }
    let not_driven = |endpoint: &&Endpoint| known.is_none() && Endpoint::KNOWN.contains(endpoint);
    if let Some(endpoint) = endpoint.filter(not_driven) {
        // Says why this endpoint is absent.
        target(endpoint.as_str())?;
    }
    let why = parsed.err().unwrap_or_else(|| "the suite makes no such case".into());
    let ids: Vec<_> = cases.iter().map(|case| case.id.to_string()).collect();
    let detail = format!(
        "{why}; near it are {}; `cargo test --package proofmark-models -- --list` lists all",
        near(id, &ids).join(", ")
    );
    Err(Error::UnknownCase { id: id.to_owned(), detail })
}

fn present(case: Case) -> Result<Case, Error> {
    match &case.absence {
        None => Ok(case),
        Some(Absence::Endpoint { reason }) => {
            Err(Error::Absent(format!("{} is absent: {reason}", case.id.endpoint)))
        }
        Some(Absence::Resource { name, .. }) => {
            catalogue::find(name)?.fetch()?;
            Ok(case)
        }
    }
}

/// The nearest ids, nearest first.
fn near<'a>(id: &str, ids: &'a [String]) -> Vec<&'a str> {
    let mut ranked: Vec<_> =
        ids.iter().map(|other| (strsim::damerau_levenshtein(id, other), other.as_str())).collect();
    // Stable: of two that are equally near the one that the suite makes first.
    ranked.sort_by_key(|(distance, _)| *distance);
    ranked.into_iter().take(NEAR).map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::code;
    use super::*;

    /// An id that does not lead to a case: the exit code, and what the message says.
    #[track_caller]
    fn check_refused(id: &str, exit_code: u8, says: &[&str]) {
        let error = case(id).expect_err("there is no such case");
        let message = error.to_string();
        for part in says {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(code(&Err(error)), exit_code, "{message}");
    }

    #[test]
    fn an_unknown_id_names_near_ones() {
        let near = ["bert-tiny/cpu/f32/b1-s16", "the suite makes no such case"];
        check_refused("bert-tiny/cpu/f32/b1-s17", 2, &near);
        check_refused("bert-tiyn/cpu/f32/b1-s16", 2, &near);
        check_refused("bert-tiny", 2, &["is not a case id", "bert-tiny/cpu/f32/"]);
        check_refused("", 2, &["is not a case id"]);
        check_refused("bert-tiny/gpu/f32/b1-s16", 2, &near[..1]);
    }

    #[test]
    fn an_endpoint_without_a_device_is_absent_with_the_reason() {
        check_refused("bert-tiny/rocm/f32/b1-s16", 3, &["rocm is absent", "ROCm"]);
    }

    #[test]
    fn a_case_is_found_and_is_of_a_model() {
        let found = case("bert-tiny/cpu/f32/b1-s16").unwrap();
        assert!(crate::subject::ModelCase::of(&found).is_some());
    }
}
