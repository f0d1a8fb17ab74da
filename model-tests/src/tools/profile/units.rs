//! Numbers for people.

/// With three digits and a decimal prefix: `1.24 G`.
pub(super) fn si(value: f64) -> String {
    let prefixes = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let large = prefixes.into_iter().find(|(size, _)| value.abs() >= *size * 0.9995);
    let (size, prefix) = large.unwrap_or((1.0, ""));
    let number = digits(value / size);
    if prefix.is_empty() { number } else { format!("{number} {prefix}") }
}

/// Three digits, fewer if there are no more.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A number of things or bytes; a dash for none.
pub(super) fn count(value: u64) -> String {
    if value == 0 { "-".into() } else { si(value as f64) }
}

/// A rate in units of 10⁹; a dash for none.
pub(super) fn giga(value: Option<f64>) -> String {
    match value {
        Some(value) if value > 0.0 => digits(value * 1e-9),
        _ => "-".into(),
    }
}

/// A time in microseconds or milliseconds.
pub(super) fn time(ns: f64) -> String {
    match ns.abs() {
        v if v >= 999.5e6 => format!("{} s", digits(ns * 1e-9)),
        v if v >= 999.5e3 => format!("{} ms", digits(ns * 1e-6)),
        _ => format!("{} µs", digits(ns * 1e-3)),
    }
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        let found = [0.0, 0.123, 9.0, 12.34, 999.4, 999.6, 1234.0, 99_960.0, 1.5e9, 2e16].map(si);
        let expected = ["0", "0.12", "9", "12.3", "999", "1 k", "1.23 k", "100 k", "1.5 G", "20 P"];
        assert_eq!(found, expected);
        assert_eq!(
            [120.0, 45_600.0, 7.89e6, 1.5e9].map(time),
            ["0.12 µs", "45.6 µs", "7.89 ms", "1.5 s"]
        );
        assert_eq!(
            (count(0), giga(None), giga(Some(2.5e9))),
            ("-".into(), "-".into(), "2.5".into())
        );
        assert_eq!(percent(-0.0123), "-1.2 %");
    }
}
