//! harness/lab
