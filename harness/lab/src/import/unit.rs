//! Units as tools write them, and as they are kept: times in nanoseconds, rates per second, sizes in bytes.
//!
//! docs/import.md shows this table, and a test compares. What is not in it is kept as it is written.

/// As written, ours, and the factor from one to the other.
pub(crate) const UNITS: &[(&str, &str, f64)] = &[
    ("ns", "ns", 1.0),
    ("ns/op", "ns", 1.0),
    ("us", "ns", 1e3),
    ("µs", "ns", 1e3),
    ("us/op", "ns", 1e3),
    ("ms", "ns", 1e6),
    ("ms/op", "ns", 1e6),
    ("s", "ns", 1e9),
    ("s/op", "ns", 1e9),
    ("min/op", "ns", 60e9),
    ("1/s", "1/s", 1.0),
    ("ops/s", "1/s", 1.0),
    ("ops/ms", "1/s", 1e3),
    ("ops/us", "1/s", 1e6),
    ("ops/ns", "1/s", 1e9),
    ("ops/min", "1/s", 1.0 / 60.0),
    ("B/s", "B/s", 1.0),
    // Go's, whose MB are 1,000,000 bytes. JMH writes MB/sec, which are another's.
    ("MB/s", "B/s", 1e6),
    ("B", "B", 1.0),
    ("B/op", "B", 1.0),
    ("allocs/op", "1", 1.0),
    ("1", "1", 1.0),
    // What devices tell.
    ("%", "1", 0.01),
    ("KiB", "B", 1024.0),
    ("MiB", "B", 1_048_576.0),
    ("W", "W", 1.0),
    ("mW", "W", 1e-3),
    ("µJ", "J", 1e-6),
    ("mV", "V", 1e-3),
    ("µV", "V", 1e-6),
    ("mA", "A", 1e-3),
    ("µA", "A", 1e-6),
    ("µAh", "Ah", 1e-6),
    ("Hz", "Hz", 1.0),
    ("kHz", "Hz", 1e3),
    ("MHz", "Hz", 1e6),
    ("°C", "°C", 1.0),
    ("C", "°C", 1.0),
    ("0.1°C", "°C", 0.1),
];

/// Our unit for one that is written, and the factor that leads to it.
pub(super) fn ours(raw: Option<&str>) -> (Option<String>, f64) {
    let known = UNITS.iter().find(|(written, _, _)| Some(*written) == raw);
    match known {
        Some((_, ours, factor)) => (Some((*ours).to_owned()), *factor),
        None => (raw.map(str::to_owned), 1.0),
    }
}

/// Whether values of this unit of ours cannot be below zero.
pub(super) fn is_never_negative(unit: &str) -> bool {
    matches!(unit, "ns" | "1/s" | "B/s" | "B" | "Hz")
}
