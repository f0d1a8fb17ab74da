//! Every op on every device that this machine has, against the reference in f64 with derived tolerances.
//!
//! `check` holds the one comparison and the recipes; `endpoints` the devices; the other files hold cases.

mod attention;
mod chains;
mod check;
mod constants;
mod dense;
mod elementwise;
mod endpoints;
mod int8;
mod layout;
mod programs;
mod random;
mod refusals;
mod rotary;
mod rows;
mod timings;
mod webnn;
mod windows;
