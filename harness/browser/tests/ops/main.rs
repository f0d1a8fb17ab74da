//! Every op in every browser that this machine has, against the reference in f64: the cases of the kernels' own tests.
//!
//! `endpoints` here stands in for the one there: it opens browsers.

#[path = "../../../../kernels/tests/ops/attention.rs"]
mod attention;
#[path = "../../../../kernels/tests/ops/chains.rs"]
mod chains;
#[path = "../../../../kernels/tests/ops/check.rs"]
mod check;
#[path = "../../../../kernels/tests/ops/constants.rs"]
mod constants;
#[path = "../../../../kernels/tests/ops/dense.rs"]
mod dense;
#[path = "../../../../kernels/tests/ops/elementwise.rs"]
mod elementwise;
mod endpoints;
#[path = "../../../../kernels/tests/ops/int8.rs"]
mod int8;
#[path = "../../../../kernels/tests/ops/layout.rs"]
mod layout;
#[path = "../../../../kernels/tests/ops/programs.rs"]
mod programs;
#[path = "../../../../kernels/tests/ops/rotary.rs"]
mod rotary;
#[path = "../../../../kernels/tests/ops/rows.rs"]
mod rows;
#[path = "../../../../kernels/tests/ops/windows.rs"]
mod windows;
