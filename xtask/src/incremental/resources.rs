//! Fetching what cases lack. What cannot be fetched skips its cases with the message; the run goes on.

use super::Run;
use crate::output::tell;
use crate::process;
use anyhow::Result;
use proofmark::Absence;
use proofmark::protocol::{Fetched, Listed};
use std::collections::{BTreeSet, HashMap};

/// Whether a listed case lacks something that can be fetched.
pub(super) fn lacking(run: &Run<'_>) -> bool {
    run.cases.listed.iter().any(|case| resource(case).is_some())
}

/// Fetches the resources that the listed cases name, lists them again, and says whether anything failed.
/// Progress goes to the error output.
pub(super) fn fetch(run: &mut Run<'_>) -> Result<bool> {
    let mut failures: HashMap<(usize, String), String> = HashMap::new();
    for (index, suite) in run.suites.iter().enumerate() {
        let wanted = run.cases.listed.iter().filter(|c| run.cases.suite_of(&c.id) == Some(index));
        let names: BTreeSet<_> = wanted.filter_map(resource).map(|(name, _)| name).collect();
        if names.is_empty() {
            continue;
        }
        let mut args = vec!["fetch".to_owned()];
        args.extend(names.into_iter().cloned());
        let fetched: Vec<Fetched> = process::ask(suite, &args)?;
        for Fetched { name, failure } in fetched {
            if let Some(failure) = failure {
                tell!("warning: failed to fetch {name}: {failure}");
                failures.insert((index, name), failure);
            }
        }
    }
    run.cases = run.args.list(&run.suites)?;
    for place in 0..run.cases.listed.len() {
        let suite = run.cases.suite_of(&run.cases.listed[place].id);
        let case = &mut run.cases.listed[place];
        let Some((name, reason)) = suite.and(resource_mut(case)) else { continue };
        if let Some(failure) = failures.get(&(suite.unwrap_or_default(), name.clone())) {
            *reason = format!("failed to fetch {name}: {failure}");
        }
    }
    Ok(!failures.is_empty())
}

fn resource(case: &Listed) -> Option<(&String, &String)> {
    match &case.absence {
        Some(Absence::Resource { name, reason }) => Some((name, reason)),
        _ => None,
    }
}

fn resource_mut(case: &mut Listed) -> Option<(&String, &mut String)> {
    match &mut case.absence {
        Some(Absence::Resource { name, reason }) => Some((name, reason)),
        _ => None,
    }
}
