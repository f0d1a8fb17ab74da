//! End-to-end tests, one binary: the commands over real workspaces, the stores they leave, and tidiness.

mod adopter;

mod robustness;
mod runners;
mod support;
mod tidy;
