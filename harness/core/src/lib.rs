//! harness/core
