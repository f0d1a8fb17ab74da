//! End-to-end tests, one binary: the commands over real workspaces, the stores they leave, and tidiness.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adopter;
mod certifying;
mod crowds;
mod desk;
mod exporting;
mod gating;
mod hardships;
mod history;
mod importing;
mod interruptions;
mod judging;
mod keeping;
mod kills;
mod listeners;
mod migrating;
mod notify;
mod printed;
mod readme;
mod robustness;
mod runners;
mod scanning;
mod simulating;
mod support;
mod tidy;
mod validating;
mod workflows;
