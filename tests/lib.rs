//! Nothing: this package exists for its test target, which links whatever it wants.
