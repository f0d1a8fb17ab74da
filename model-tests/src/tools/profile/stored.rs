//! Keeps the roofs of a profile in the workspace's state, where reports look for them.

use super::analysis::Profile;
use crate::error::Error;
use proofmark::roof::{self, Limit, Roof, Roofs};
use proofmark::{Case, clock, env, environment};
use std::path::Path;

/// Appends what the tests of this profile attained.
pub(super) fn keep(case: &Case, profile: &Profile) -> Result<(), Error> {
    let state = env::state_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    roof::append(&state, &roofs(case, profile)).map_err(Error::file("write", &roof::file(&state)))
}

pub(super) fn roofs(case: &Case, profile: &Profile) -> Roofs {
    let of = |roof: &proofmark_kernels::Roof| Roof {
        limit: match roof.limit {
            proofmark_kernels::Limit::Bandwidth => Limit::Bandwidth,
            proofmark_kernels::Limit::Arithmetic => Limit::Arithmetic,
        },
        test: roof.test.clone(),
        per_s: roof.per_s,
    };
    Roofs {
        format: roof::FORMAT,
        id: roof::new_id(),
        recorded_at: clock::now(),
        suite: crate::suite::NAME.to_owned(),
        machine: environment::machine().machine,
        endpoint: case.id.endpoint.clone(),
        mark: profile.device.mark,
        adapter: profile.device.adapter.clone(),
        precision: case.id.precision.clone(),
        roofs: profile.roofs.iter().map(of).collect(),
    }
}
