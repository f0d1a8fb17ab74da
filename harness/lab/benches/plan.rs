//! Placeholder while dependencies are built.
fn main() {}
