//! Figures as people read them: three digits and the unit that suits them.

/// A length of time with three digits in the unit that suits it.
pub fn duration_ns(ns: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (size, unit) = units.into_iter().find(|(size, _)| ns >= *size).unwrap_or((1.0, "ns"));
    format!("{} {unit}", three_digits(ns / size))
}

/// A number with three digits.
pub fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// A part of one as percent.
pub fn percent(part: f64) -> String {
    format!("{} %", three_digits(100.0 * part))
}

/// A number of bytes with three digits in the unit that suits it.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(bytes: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let (size, unit) = units.into_iter().find(|(size, _)| bytes >= *size).unwrap_or((1, "B"));
    format!("{} {unit}", three_digits(bytes as f64 / size as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let found = [0.0, 12.34, 999.4, 1_234.0, 99_960.0, 5.678e6, 61e9].map(duration_ns);
        let expected = ["0.00 ns", "12.3 ns", "999 ns", "1.23 µs", "100 µs", "5.68 ms", "61.0 s"];
        assert_eq!(found, expected);
        assert_eq!(percent(0.0123), "1.23 %");
        assert_eq!([0, 1536, 91 << 20].map(bytes), ["0.00 B", "1.50 KiB", "91.0 MiB"]);
    }
}
