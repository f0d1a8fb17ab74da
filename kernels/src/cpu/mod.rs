//! The multi-threaded CPU device.
