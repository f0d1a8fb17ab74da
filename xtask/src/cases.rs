//! The cases of all suites of a workspace, and which suite makes which.

use crate::process;
use crate::suites::Suite;
use anyhow::{Result, bail};
use proofmark::protocol::{Listed, Listing};
use proofmark::{CaseId, Expectation};
use proofmark_lab::browsers::Asked;
use std::collections::HashMap;

/// Cases in the order of the suites.
#[derive(Debug)]
pub(crate) struct Cases {
    pub(crate) listed: Vec<Listed>,
    /// The place of each case's suite among the suites.
    suite_of: HashMap<CaseId, usize>,
    /// The suites' own names.
    pub(crate) names: Vec<String>,
    /// What each suite expects to fail.
    expectations: Vec<Vec<Expectation<String>>>,
}

impl Cases {
    /// Asks every suite for its cases. Opens no device: endpoints that were not probed are absent.
    pub(crate) fn list(suites: &[Suite], flags: &[String]) -> Result<Self> {
        let mut cases = Self {
            listed: Vec::new(),
            suite_of: HashMap::new(),
            names: Vec::new(),
            expectations: Vec::new(),
        };
        let mut args = vec!["list".to_owned()];
        args.extend_from_slice(flags);
        for (index, suite) in suites.iter().enumerate() {
            let listing: Listing = process::ask(suite, &args)?;
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
            cases.names.push(listing.suite);
            cases.expectations.push(listing.expectations);
        }
        Ok(cases)
    }

    /// Each case with what its suite expects to fail.
    pub(crate) fn asked(&self) -> Vec<Asked<'_>> {
        let expectations = |listed: &Listed| {
            let suite = self.suite_of(&listed.id).and_then(|suite| self.expectations.get(suite));
            suite.map_or(&[][..], Vec::as_slice)
        };
        let asked = |listed| Asked { listed, expectations: expectations(listed) };
        self.listed.iter().map(asked).collect()
    }

    /// The place of a case's suite among the suites.
    pub(crate) fn suite_of(&self, case: &CaseId) -> Option<usize> {
        self.suite_of.get(case).copied()
    }
}
