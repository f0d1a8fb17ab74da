//! A graph in parts computes what the whole does.
