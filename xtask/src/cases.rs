//! The cases of all suites of a workspace, and which suite makes which.

use crate::process;
use crate::suites::Suite;
use anyhow::{Result, bail};
use proofmark::CaseId;
use proofmark::protocol::{Listed, Listing};
use std::collections::HashMap;

/// Cases in the order of the suites.
#[derive(Debug)]
pub(crate) struct Cases {
    pub(crate) listed: Vec<Listed>,
    /// The place of each case's suite among the suites.
    suite_of: HashMap<CaseId, usize>,
}

impl Cases {
    /// Asks every suite for its cases. Opens no device: endpoints that were not probed are absent.
    pub(crate) fn list(suites: &[Suite], flags: &[String]) -> Result<Self> {
        let mut cases = Self { listed: Vec::new(), suite_of: HashMap::new() };
        let mut args = vec!["list".to_owned()];
        args.extend_from_slice(flags);
        for (index, suite) in suites.iter().enumerate() {
            let listing: Listing = process::ask(&suite.program, &suite.folder, &args)?;
            for case in listing.cases {
                if cases.suite_of.insert(case.id.clone(), index).is_some() {
                    bail!(
                        "two suites of this workspace make the case {}, the second is {}: ids must be unique",
                        case.id,
                        listing.suite
                    );
                }
                cases.listed.push(case);
            }
        }
        Ok(cases)
    }

    /// The place of a case's suite among the suites.
    pub(crate) fn suite_of(&self, case: &CaseId) -> Option<usize> {
        self.suite_of.get(case).copied()
    }
}
